//! Movie fragments: what a `moof` says about its samples.

use std::ops::Range;

use crate::{
    MediaError,
    boxes::{Reader, damaged},
    sample::{MAX_TIME, NON_SYNC_BIT, Run},
};

/// The most bytes a `moof` may have.
pub(crate) const MAX_MOOF: u64 = 8 << 20;
/// A run without a field per sample and without bytes has at most this many samples: nothing in the file would limit
/// it otherwise.
const MAX_BARE_RUN: u64 = 64;

/// `trex`: what fragments of a track leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) track_id: u32,
    pub(crate) description: u32,
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
}

/// One `trun`.
#[derive(Clone, Debug)]
pub(crate) struct Trun {
    /// Its entries in the `moof`'s bytes.
    entries: Range<usize>,
    count: u64,
    fields: u32,
    first_flags: Option<u32>,
    /// Where its first sample is in the source.
    position: u64,
    defaults: Defaults,
}

/// One `traf`.
#[derive(Clone, Debug)]
pub(crate) struct Traf {
    pub(crate) track_id: u32,
    /// Decode time of the first sample, where the file says it.
    pub(crate) dts: Option<u64>,
    pub(crate) truns: Vec<Trun>,
}

/// Reads a `moof`. `bytes` is the whole box, which lies at `at` in the source; `defaults` are the movie's `trex`.
pub(crate) fn parse_moof(bytes: &[u8], at: u64, defaults: &[Defaults]) -> Result<Vec<Traf>, MediaError> {
    let mut trafs = Vec::new();
    let mut end_of_previous = at;
    let Some(moof) = Reader::new(bytes, at).child()? else { return Ok(trafs) };
    let mut moof = moof.body;
    while let Some(child) = moof.child()? {
        if child.kind != *b"traf" {
            continue;
        }
        // Positions in `bytes` follow from positions in the source.
        let traf = parse_traf(child.body, bytes, at, end_of_previous, defaults)?;
        if let Some(last) = traf.truns.last() {
            end_of_previous = last.end(bytes)?;
        }
        trafs.push(traf);
    }
    Ok(trafs)
}

fn parse_traf(
    mut traf: Reader<'_>,
    moof: &[u8],
    moof_at: u64,
    end_of_previous: u64,
    all: &[Defaults],
) -> Result<Traf, MediaError> {
    let traf_at = traf.at();
    let Some(tfhd) = traf.find(b"tfhd")? else { return Err(damaged("a fragment has no header", traf_at)) };
    let mut tfhd = tfhd.body;
    let (_, flags) = tfhd.full()?;
    let track_id = tfhd.u32()?;
    let mut defaults = all.iter().find(|d| d.track_id == track_id).copied().unwrap_or(Defaults {
        track_id,
        description: 1,
        ..Defaults::default()
    });
    let base = if flags & 1 != 0 {
        tfhd.u64()?
    } else if flags & 0x2_0000 != 0 {
        moof_at
    } else {
        end_of_previous
    };
    for (bit, field) in [
        (2, &mut defaults.description),
        (8, &mut defaults.duration),
        (0x10, &mut defaults.size),
        (0x20, &mut defaults.flags),
    ] {
        if flags & bit != 0 {
            *field = tfhd.u32()?;
        }
    }
    let mut dts = None;
    let mut truns: Vec<Trun> = Vec::new();
    let mut position = base;
    while let Some(child) = traf.child()? {
        let mut body = child.body;
        match &child.kind {
            b"tfdt" => {
                let (version, _) = body.full()?;
                let time = body.u32_or_u64(version)?;
                if time > MAX_TIME {
                    return Err(damaged("a fragment starts impossibly late", body.at()));
                }
                dts = Some(time);
            }
            b"trun" => {
                let (_, fields) = body.full()?;
                let count = u64::from(body.u32()?);
                if fields & 1 != 0 {
                    let relative = i64::from(body.u32()? as i32);
                    position = base
                        .checked_add_signed(relative)
                        .ok_or(damaged("a fragment points outside the file", body.at()))?;
                }
                let first_flags = if fields & 4 != 0 { Some(body.u32()?) } else { None };
                let width = entry_width(fields);
                let bare = fields & 0x200 == 0 && defaults.size == 0 && width == 0;
                let start = (body.at() - moof_at) as usize;
                let len = count
                    .checked_mul(width as u64)
                    .filter(|&len| len <= body.rest().len() as u64 && !(bare && count > MAX_BARE_RUN))
                    .ok_or(damaged("a fragment holds fewer samples than it says", body.at()))?;
                let trun = Trun {
                    entries: start..start + len as usize,
                    count,
                    fields,
                    first_flags,
                    position,
                    defaults,
                };
                position = trun.end(moof)?;
                truns.push(trun);
            }
            _ => {}
        }
    }
    Ok(Traf { track_id, dts, truns })
}

/// Bytes of an entry in a `trun` with these flags.
fn entry_width(fields: u32) -> usize {
    [0x100, 0x200, 0x400, 0x800].iter().filter(|&&bit| fields & bit != 0).count() * 4
}

impl Trun {
    /// Where its last sample ends in the source.
    fn end(&self, moof: &[u8]) -> Result<u64, MediaError> {
        let bytes = if self.fields & 0x200 == 0 {
            self.count * u64::from(self.defaults.size)
        } else {
            let width = entry_width(self.fields);
            let before = if self.fields & 0x100 != 0 { 4 } else { 0 };
            let entries = moof.get(self.entries.clone()).unwrap_or_default();
            entries
                .chunks_exact(width)
                .map(|entry| {
                    let size = entry.get(before..).and_then(|e| e.first_chunk::<4>());
                    size.map_or(0, |size| u64::from(u32::from_be_bytes(*size)))
                })
                .sum()
        };
        self.position.checked_add(bytes).ok_or(damaged("a fragment points outside the file", self.position))
    }

    /// The samples from number `index` on that are alike. `position` and `dts` are where the caller has come to.
    pub(crate) fn run(
        &self,
        moof: &[u8],
        index: u64,
        position: u64,
        dts: u64,
    ) -> Result<Option<Run>, MediaError> {
        if index >= self.count {
            return Ok(None);
        }
        let d = &self.defaults;
        let mut run = Run {
            count: 1,
            size: d.size,
            duration: d.duration,
            offset: 0,
            flags: d.flags,
            description: d.description.max(1),
            position,
            dts,
        };
        let width = entry_width(self.fields);
        if width == 0 {
            run.count = self.count - index;
        } else {
            let start = self.entries.start + index as usize * width;
            let mut entry = Reader::new(moof.get(start..start + width).unwrap_or_default(), position);
            if self.fields & 0x100 != 0 {
                run.duration = entry.u32()?;
            }
            if self.fields & 0x200 != 0 {
                run.size = entry.u32()?;
            }
            if self.fields & 0x400 != 0 {
                run.flags = entry.u32()?;
            }
            if self.fields & 0x800 != 0 {
                run.offset = entry.u32()? as i32;
            }
        }
        if let (0, Some(flags)) = (index, self.first_flags) {
            run.flags = flags;
            run.count = 1;
        }
        if run.duration > i32::MAX as u32 {
            return Err(damaged("a sample's duration is negative", position));
        }
        Ok(Some(run))
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}

/// Walks the samples of one track in one `moof`.
#[derive(Clone, Debug)]
pub(crate) struct MoofSamples {
    truns: std::vec::IntoIter<Trun>,
    current: Option<Trun>,
    index: u64,
    position: u64,
}

impl MoofSamples {
    pub(crate) fn new(truns: Vec<Trun>) -> MoofSamples {
        MoofSamples { truns: truns.into_iter(), current: None, index: 0, position: 0 }
    }

    /// The next samples that are alike; `None` when the `moof` holds no more.
    pub(crate) fn run(&mut self, moof: &[u8], dts: u64) -> Result<Option<Run>, MediaError> {
        loop {
            if let Some(trun) = &self.current
                && let Some(run) = trun.run(moof, self.index, self.position, dts)?
            {
                return Ok(Some(run));
            }
            let Some(next) = self.truns.next() else { return Ok(None) };
            self.index = 0;
            self.position = next.position();
            self.current = Some(next);
        }
    }

    pub(crate) fn advance(&mut self, count: u64, size: u32) {
        self.index += count;
        self.position = self.position.saturating_add(count.saturating_mul(u64::from(size)));
    }
}

/// Whether these flags leave a sample decodable on its own.
pub(crate) fn is_sync(flags: u32) -> bool {
    flags & NON_SYNC_BIT == 0
}
