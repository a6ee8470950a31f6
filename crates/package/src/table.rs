//! A track's segments, fragments and packs, as columns: some fifty bytes for a fragment, so that the index of a
//! hundred gigabytes is a few megabytes.

use std::time::Duration;

use gloaming_ids::ObjectId;
use gloaming_keys::{FRAGMENT_OVERHEAD, sha256};
use serde::{Deserialize, Serialize};

use crate::{MAX_PACK, OpenError};

/// One segment of a track. Times are in units of the track's timescale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Decode time of its first sample.
    pub start: u64,
    /// From there to the end of its last sample.
    pub duration: u64,
    /// Whether it begins with a sync sample, so that playback can begin here.
    pub independent: bool,
    /// What it is made of, in order; never empty.
    pub fragments: Vec<FragmentRow>,
}

impl SegmentRow {
    /// Bytes of the segment once it is open.
    pub fn len(&self) -> u64 {
        self.fragments.iter().map(FragmentRow::plaintext_len).sum()
    }

    /// Never: a segment has samples.
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }
}

/// One sealed fragment: where it rests and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentRow {
    /// Its number in the segment.
    pub number: u32,
    /// Whether the segment ends here.
    pub last: bool,
    /// The stored object it is in.
    pub object: ObjectId,
    /// Where in that object it begins.
    pub offset: u64,
    /// Bytes as it is stored: nonce, ciphertext, tag.
    pub len: u64,
    /// SHA-256 of those bytes.
    pub sha256: [u8; 32],
}

impl FragmentRow {
    /// Bytes once it is open.
    pub fn plaintext_len(&self) -> u64 {
        self.len - FRAGMENT_OVERHEAD as u64
    }

    /// Whether these are the bytes that the owner stored. To be asked before they are opened: whoever may watch holds
    /// the segment's key too, and with the help of the store could seal something else in their place.
    pub fn check(&self, sealed: &[u8]) -> Result<(), OpenError> {
        if sealed.len() as u64 == self.len && sha256(sealed) == self.sha256 {
            Ok(())
        } else {
            Err(OpenError::Rejected)
        }
    }

    /// Checks a fragment and opens it where it lies: on return `buf` is its plaintext. In a browser, WebCrypto does
    /// both.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_in_place(&self, key: &gloaming_keys::SegmentKey, buf: &mut Vec<u8>) -> Result<(), OpenError> {
        self.check(buf)?;
        Ok(gloaming_keys::open_fragment_in_place(key, self.number, self.last, buf)?)
    }
}

/// One stored object of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRow {
    /// Its name.
    pub object: ObjectId,
    /// How many fragments it holds.
    pub fragments: u32,
    /// Bytes as it is stored, padding included.
    pub stored_len: u64,
}

/// All rows of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    segments: Vec<Segment>,
    fragments: Vec<Fragment>,
    packs: Vec<PackRow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    start: u64,
    duration: u64,
    /// Position of its first fragment; its last is where the next one's begins.
    first: u32,
    independent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fragment {
    pack: u32,
    offset: u32,
    len: u32,
    sha256: [u8; 32],
}

impl Table {
    pub(crate) fn segment_count(&self) -> u32 {
        self.segments.len() as u32
    }

    pub(crate) fn packs(&self) -> &[PackRow] {
        &self.packs
    }

    /// Start, duration, independence.
    pub(crate) fn time(&self, segment: u32) -> Option<(u64, u64, bool)> {
        self.segments.get(segment as usize).map(|row| (row.start, row.duration, row.independent))
    }

    pub(crate) fn plaintext_len(&self, segment: u32) -> u64 {
        let fragments = self.fragments_of(segment as usize);
        fragments.iter().map(|row| u64::from(row.len) - FRAGMENT_OVERHEAD as u64).sum()
    }

    pub(crate) fn total_plaintext(&self) -> u64 {
        self.fragments.iter().map(|row| u64::from(row.len) - FRAGMENT_OVERHEAD as u64).sum()
    }

    pub(crate) fn segment(&self, number: u32) -> Option<SegmentRow> {
        let row = self.segments.get(number as usize)?;
        let fragments = self.fragments_of(number as usize);
        let last = fragments.len() - 1;
        let fragment = |(number, row): (usize, &Fragment)| FragmentRow {
            number: number as u32,
            last: number == last,
            object: self.packs[row.pack as usize].object,
            offset: u64::from(row.offset),
            len: u64::from(row.len),
            sha256: row.sha256,
        };
        Some(SegmentRow {
            start: row.start,
            duration: row.duration,
            independent: row.independent,
            fragments: fragments.iter().enumerate().map(fragment).collect(),
        })
    }

    fn fragments_of(&self, segment: usize) -> &[Fragment] {
        let first = self.segments[segment].first as usize;
        let end = self.segments.get(segment + 1).map_or(self.fragments.len(), |next| next.first as usize);
        &self.fragments[first..end]
    }
}

/// The table as it is written. Columns, because equal things then lie side by side, which compresses; offsets and
/// positions are left out, because they are sums, and a sum cannot contradict itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireTable {
    /// How far each segment starts from the end of the one before it; mostly 0.
    pub(crate) gaps: Vec<i64>,
    pub(crate) durations: Vec<u64>,
    /// Numbers of the segments that do not begin with a sync sample.
    pub(crate) dependent: Vec<u32>,
    /// How many fragments each segment has.
    pub(crate) fragments: Vec<u32>,
    /// Sealed length of each fragment.
    pub(crate) lengths: Vec<u32>,
    /// SHA-256 of each sealed fragment, one after another.
    #[serde(with = "serde_bytes")]
    pub(crate) digests: Vec<u8>,
    pub(crate) packs: Vec<PackRow>,
}

impl WireTable {
    /// Takes a written table at its word only where every number agrees with every other.
    pub(crate) fn check(self) -> Result<Table, OpenError> {
        let bad = |what| OpenError::Malformed { what };
        if self.gaps.len() != self.durations.len() || self.gaps.len() != self.fragments.len() {
            return Err(bad("segment columns of different lengths"));
        }
        if self.digests.len() as u64 != 32 * self.lengths.len() as u64 {
            return Err(bad("digests and fragments differ in number"));
        }
        if u32::try_from(self.lengths.len()).is_err() || u32::try_from(self.gaps.len()).is_err() {
            return Err(bad("too many fragments"));
        }
        if !self.dependent.is_sorted_by(|a, b| a < b)
            || self.dependent.last().is_some_and(|&last| last as usize >= self.gaps.len())
        {
            return Err(bad("dependent segments that are none"));
        }
        let mut segments = Vec::with_capacity(self.gaps.len());
        let (mut end, mut first, mut least) = (0u64, 0u32, 0u64);
        let mut dependent = self.dependent.iter().copied().peekable();
        for (number, ((&gap, &duration), &count)) in
            self.gaps.iter().zip(&self.durations).zip(&self.fragments).enumerate()
        {
            let start = end.checked_add_signed(gap).filter(|&start| start >= least);
            let start = start.ok_or(bad("a segment before the one in front of it"))?;
            end = start
                .checked_add(duration)
                .filter(|&end| end <= i64::MAX as u64)
                .ok_or(bad("a time without end"))?;
            least = start;
            let independent = dependent.next_if(|&n| n as usize == number).is_none();
            segments.push(Segment { start, duration, first, independent });
            if count == 0 {
                return Err(bad("a segment without a fragment"));
            }
            first = first.checked_add(count).ok_or(bad("too many fragments"))?;
        }
        if first as usize != self.lengths.len() {
            return Err(bad("segments and fragments differ in number"));
        }
        let mut rows = self.lengths.iter().zip(self.digests.as_chunks::<32>().0);
        let mut fragments = Vec::with_capacity(self.lengths.len());
        for (number, pack) in self.packs.iter().enumerate() {
            let mut offset = 0u64;
            for _ in 0..pack.fragments {
                let (&len, &sha256) = rows.next().ok_or(bad("packs and fragments differ in number"))?;
                if len as usize <= FRAGMENT_OVERHEAD {
                    return Err(bad("an empty fragment"));
                }
                let place = u32::try_from(offset).map_err(|_| bad("a pack that is too long"))?;
                fragments.push(Fragment { pack: number as u32, offset: place, len, sha256 });
                offset += u64::from(len);
            }
            if pack.fragments == 0 || pack.stored_len > MAX_PACK || offset > pack.stored_len {
                return Err(bad("a pack that is too long, too short or empty"));
            }
        }
        if rows.next().is_some() {
            return Err(bad("packs and fragments differ in number"));
        }
        Ok(Table { segments, fragments, packs: self.packs })
    }
}

impl From<&Table> for WireTable {
    fn from(table: &Table) -> WireTable {
        let mut wire = WireTable { packs: table.packs.clone(), ..WireTable::default() };
        let mut end = 0u64;
        for (number, row) in table.segments.iter().enumerate() {
            wire.gaps.push(row.start.wrapping_sub(end) as i64);
            wire.durations.push(row.duration);
            if !row.independent {
                wire.dependent.push(number as u32);
            }
            wire.fragments.push(table.fragments_of(number).len() as u32);
            end = row.start + row.duration;
        }
        for row in &table.fragments {
            wire.lengths.push(row.len);
            wire.digests.extend_from_slice(&row.sha256);
        }
        wire
    }
}

/// `time` units as a duration.
pub(crate) fn seconds(time: u64, timescale: std::num::NonZeroU32) -> Duration {
    let timescale = u64::from(timescale.get());
    Duration::new(
        time / timescale,
        (u128::from(time % timescale) * 1_000_000_000 / u128::from(timescale)) as u32,
    )
}
