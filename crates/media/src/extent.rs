/// A range of the source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Bytes; never 0 where somebody is asked for it.
    pub len: u64,
}

impl Extent {
    /// The first byte after it.
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// Bytes of a fragment: copied from the source, or made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Copy this range of the source file.
    Source(Extent),
    /// Write these bytes.
    Literal(Vec<u8>),
}

impl Piece {
    /// How many bytes the piece stands for.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Source(extent) => extent.len,
            Piece::Literal(bytes) => bytes.len() as u64,
        }
    }

    /// Whether it stands for no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
