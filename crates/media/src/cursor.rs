//! One track's samples in decode order, wherever the file keeps them.

use crate::{
    Extent, MediaError,
    boxes::{Head, damaged},
    moof::{Defaults, MAX_MOOF, MoofSamples, Traf, parse_moof},
    sample::{MAX_TIME, Run},
    tables::{TableCursor, Tables},
    window::Window,
};

/// How much is read at a time on the way from one `moof` to the next.
pub(crate) const HOP: u64 = 64 << 10;

/// Where the movie fragments are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragments {
    /// The first box that may be a `moof`.
    pub(crate) start: u64,
    /// Where the boxes end.
    pub(crate) end: u64,
    pub(crate) defaults: Vec<Defaults>,
}

/// Walks a track: first what `moov` describes, then the fragments.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    tables: TableCursor,
    fragments: Option<FragmentCursor>,
    in_tables: bool,
    source_len: u64,
    /// Bytes of samples gone past. No honest track is larger than its file, and this bounds the work for others.
    passed: u64,
}

impl Cursor {
    pub(crate) fn new(
        tables: &Tables,
        track_id: u32,
        fragments: Option<&Fragments>,
        source_len: u64,
    ) -> Cursor {
        Cursor {
            tables: TableCursor::new(tables),
            fragments: fragments.map(|f| FragmentCursor::new(track_id, f.clone())),
            in_tables: true,
            source_len,
            passed: 0,
        }
    }

    /// Makes the next sample known; answers with the bytes that are missing for it.
    pub(crate) fn fill(&mut self) -> Result<Option<Extent>, MediaError> {
        if self.in_tables {
            if let Some(extent) = self.tables.fill()? {
                return Ok(Some(extent));
            }
            if self.tables.run().is_some() {
                return Ok(None);
            }
            self.in_tables = false;
            if let Some(fragments) = &mut self.fragments {
                fragments.dts = self.tables.dts();
            }
        }
        self.fragments.as_mut().map_or(Ok(None), FragmentCursor::fill)
    }

    pub(crate) fn feed(&mut self, offset: u64, bytes: &[u8]) {
        if self.in_tables {
            self.tables.feed(bytes);
        } else if let Some(fragments) = &mut self.fragments {
            fragments.window.fill(offset, bytes);
        }
    }

    /// The next samples, `None` at the track's end. Only after [`fill`](Cursor::fill) has nothing to ask.
    pub(crate) fn run(&self) -> Result<Option<Run>, MediaError> {
        let run = if self.in_tables {
            self.tables.run()
        } else {
            self.fragments.as_ref().and_then(|fragments| fragments.current)
        };
        let Some(run) = run else { return Ok(None) };
        // The first sample decides; a run that leaves the file later is caught when it gets there.
        let end = run.position.saturating_add(u64::from(run.size));
        if end > self.source_len {
            return Err(MediaError::Truncated { missing: end - self.source_len });
        }
        Ok(Some(run))
    }

    /// Goes past `count` samples of the current run, and no more than it has.
    pub(crate) fn advance(&mut self, run: &Run, count: u64) -> Result<(), MediaError> {
        let bytes = count.saturating_mul(u64::from(run.size));
        if run.position.saturating_add(bytes) > self.source_len {
            return Err(MediaError::Truncated {
                missing: run.position.saturating_add(bytes) - self.source_len,
            });
        }
        self.passed = self.passed.saturating_add(bytes);
        if self.passed > self.source_len {
            return Err(damaged("a track is larger than its file", run.position));
        }
        match &mut self.fragments {
            Some(fragments) if !self.in_tables => fragments.advance(run, count),
            _ => self.tables.advance(count),
        }
    }
}

/// Hops from `moof` to `moof` for one track.
#[derive(Clone, Debug)]
struct FragmentCursor {
    track_id: u32,
    fragments: Fragments,
    /// The next box to look at.
    position: u64,
    window: Window,
    moof: Vec<u8>,
    trafs: std::vec::IntoIter<Traf>,
    samples: MoofSamples,
    current: Option<Run>,
    dts: u64,
}

impl FragmentCursor {
    fn new(track_id: u32, fragments: Fragments) -> FragmentCursor {
        FragmentCursor {
            track_id,
            position: fragments.start,
            fragments,
            window: Window::default(),
            moof: Vec::new(),
            trafs: Vec::new().into_iter(),
            samples: MoofSamples::new(Vec::new()),
            current: None,
            dts: 0,
        }
    }

    fn fill(&mut self) -> Result<Option<Extent>, MediaError> {
        while self.current.is_none() {
            self.current = self.samples.run(&self.moof, self.dts)?;
            if self.current.is_some() {
                break;
            }
            if let Some(traf) = self.trafs.next() {
                if traf.track_id == self.track_id {
                    self.dts = traf.dts.unwrap_or(self.dts);
                    self.samples = MoofSamples::new(traf.truns);
                }
                continue;
            }
            let room = self.fragments.end.saturating_sub(self.position);
            if room < 8 {
                return Ok(None);
            }
            let bytes = self.window.from(self.position, 16);
            if (bytes.len() as u64) < room.min(16) {
                return Ok(Some(Extent { offset: self.position, len: room.min(HOP) }));
            }
            // The demuxer walked the same boxes and set the end before the first that is none.
            let Some(head) = Head::read(bytes, room).filter(|head| head.size <= room) else {
                return Err(MediaError::WrongRange);
            };
            if head.kind == *b"moof" {
                if head.size > MAX_MOOF {
                    return Err(MediaError::TooMuch {
                        what: "bytes in one fragment's index",
                        limit: MAX_MOOF,
                    });
                }
                let extent = Extent { offset: self.position, len: head.size };
                let Some(bytes) = self.window.get(extent) else {
                    return Ok(Some(Extent { len: head.size.max(HOP).min(room), ..extent }));
                };
                self.moof.clear();
                self.moof.extend_from_slice(bytes);
                self.trafs = parse_moof(&self.moof, self.position, &self.fragments.defaults)?.into_iter();
            }
            self.position += head.size;
        }
        Ok(None)
    }

    fn advance(&mut self, run: &Run, count: u64) -> Result<(), MediaError> {
        self.dts = count
            .checked_mul(u64::from(run.duration))
            .and_then(|lasted| self.dts.checked_add(lasted))
            .filter(|&dts| dts <= MAX_TIME)
            .ok_or(damaged("times in the file overflow", run.position))?;
        self.samples.advance(count, run.size);
        self.current = None;
        Ok(())
    }
}
