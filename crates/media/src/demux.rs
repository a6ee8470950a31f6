use crate::{Extent, MediaError, Movie};

/// Reads what a file is.
///
/// ```no_run
/// # use gloaming_media::*;
/// # fn read(_: Extent) -> Vec<u8> { Vec::new() }
/// # fn run(source_len: u64) -> Result<Movie, MediaError> {
/// let mut demuxer = Demuxer::new(source_len);
/// while let Some(extent) = demuxer.need() {
///     demuxer.feed(extent.offset, &read(extent))?;
/// }
/// demuxer.finish()
/// # }
/// ```
#[derive(Debug)]
pub struct Demuxer {
    source_len: u64,
}

impl Demuxer {
    /// For a file of this many bytes.
    pub fn new(source_len: u64) -> Demuxer {
        Demuxer { source_len }
    }

    /// The range it wants to see next, at most 8 MiB of it; `None` when [`finish`](Demuxer::finish) has an answer.
    pub fn need(&self) -> Option<Extent> {
        None
    }

    /// Takes exactly the range that was asked for.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let _ = (offset, bytes);
        Err(MediaError::WrongRange)
    }

    /// The answer, once nothing more is needed.
    pub fn finish(self) -> Result<Movie, MediaError> {
        if self.source_len == 0 { Err(MediaError::Empty) } else { Err(MediaError::NotMedia) }
    }
}
