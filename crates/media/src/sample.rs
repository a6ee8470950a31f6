use crate::MediaError;

/// `sample_flags` of a sample that others may be decoded from: it depends on no other.
pub(crate) const SYNC: u32 = 0x0200_0000;
/// `sample_flags` of any other sample.
pub(crate) const NOT_SYNC: u32 = 0x0101_0000;
/// The bit that says "not a sync sample".
pub(crate) const NON_SYNC_BIT: u32 = 0x0001_0000;
/// Decode times stay below this, so that sums and differences of a few of them fit an `i64`.
pub(crate) const MAX_TIME: u64 = 1 << 60;

/// The largest sample there may be, in bytes: it is sealed as one message, and held in memory whole.
pub(crate) const MAX_SAMPLE: u64 = 64 << 20;

pub(crate) fn check_size(size: u32) -> Result<(), MediaError> {
    let bytes = u64::from(size);
    if bytes > MAX_SAMPLE { Err(MediaError::SampleTooLarge { bytes, limit: MAX_SAMPLE }) } else { Ok(()) }
}

/// Samples in a row that are alike and contiguous in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many; at least 1.
    pub(crate) count: u64,
    /// Bytes of each.
    pub(crate) size: u32,
    /// Duration of each.
    pub(crate) duration: u32,
    /// Composition offset of each.
    pub(crate) offset: i32,
    pub(crate) flags: u32,
    /// Sample description, from 1.
    pub(crate) description: u32,
    /// Where the first one is in the source.
    pub(crate) position: u64,
    /// Decode time of the first one.
    pub(crate) dts: u64,
}

impl Run {
    /// Media time at which the last one is no longer shown.
    pub(crate) fn shown_until(&self) -> u64 {
        let decoded = self.dts.saturating_add(self.count.saturating_mul(u64::from(self.duration)));
        decoded.saturating_add_signed(i64::from(self.offset))
    }

    pub(crate) fn is_sync(&self) -> bool {
        self.flags & NON_SYNC_BIT == 0
    }
}
