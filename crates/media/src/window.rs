use crate::Extent;

/// The part of the source that was fed last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn fill(&mut self, offset: u64, bytes: &[u8]) {
        self.offset = offset;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// These bytes of the source, if they are here.
    pub(crate) fn get(&self, extent: Extent) -> Option<&[u8]> {
        let start = usize::try_from(extent.offset.checked_sub(self.offset)?).ok()?;
        let len = usize::try_from(extent.len).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }

    /// What is here from `offset` on, at most `len` bytes.
    pub(crate) fn from(&self, offset: u64, len: u64) -> &[u8] {
        let Some(start) = offset.checked_sub(self.offset).and_then(|n| usize::try_from(n).ok()) else {
            return &[];
        };
        let rest = self.bytes.get(start..).unwrap_or_default();
        &rest[..rest.len().min(usize::try_from(len).unwrap_or(usize::MAX))]
    }
}
