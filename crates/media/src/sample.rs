/// `sample_flags` of a sample that others may be decoded from: it depends on no other.
pub(crate) const SYNC: u32 = 0x0200_0000;
/// `sample_flags` of any other sample.
pub(crate) const NOT_SYNC: u32 = 0x0101_0000;
/// The bit that says "not a sync sample".
pub(crate) const NON_SYNC_BIT: u32 = 0x0001_0000;
/// Decode times stay below this, so that sums and differences of a few of them fit an `i64`.
pub(crate) const MAX_TIME: u64 = 1 << 60;

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
    pub(crate) fn is_sync(&self) -> bool {
        self.flags & NON_SYNC_BIT == 0
    }
}
