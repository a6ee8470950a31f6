//! What surrounds the media in a source file, kept so that nothing is lost.
//!
//! ```text
//! source header = "GLSH" ‖ version(1) = 1 ‖ source length(u64) ‖ record*          integers are big-endian
//! record        = offset in the source(u64) ‖ length(u64) ‖ that many bytes of the source
//! ```
//!
//! Records are in source order and do not touch. What lies between them is `mdat` (with its header), `moof`, `mfra`,
//! the bodies of sample tables (`stts`, `ctts`, `stsc`, `stsz`, `stz2`, `stco`, `co64`, `stss`, `sdtp`), or a box too
//! large to keep. Container boxes keep their original headers, so sizes in there describe the source.

use crate::MediaError;

/// Reads the attachment that [`Movie::source_header`](crate::Movie::source_header) makes.
#[derive(Clone, Copy, Debug)]
pub struct SourceHeader<'a> {
    source_len: u64,
    records: &'a [u8],
}

const MAGIC: &[u8; 5] = b"GLSH\x01";

impl<'a> SourceHeader<'a> {
    /// Checks the framing's first bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<SourceHeader<'a>, MediaError> {
        let damaged = MediaError::Damaged { what: "the kept source header is not one", at: 0 };
        let rest = bytes.strip_prefix(MAGIC).ok_or(damaged.clone())?;
        let (len, records) = rest.split_first_chunk::<8>().ok_or(damaged)?;
        Ok(SourceHeader { source_len: u64::from_be_bytes(*len), records })
    }

    /// How long the source was.
    pub fn source_len(&self) -> u64 {
        self.source_len
    }

    /// The kept ranges: where they were, and what they were. Ends early where the framing is broken.
    pub fn records(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let mut rest = self.records;
        std::iter::from_fn(move || {
            let (offset, tail) = rest.split_first_chunk::<8>()?;
            let (len, tail) = tail.split_first_chunk::<8>()?;
            let (bytes, tail) = tail.split_at_checked(usize::try_from(u64::from_be_bytes(*len)).ok()?)?;
            rest = tail;
            Some((u64::from_be_bytes(*offset), bytes))
        })
    }
}

/// The most that is kept.
const MAX_HEADER: u64 = 16 << 20;

/// Collects the records while the source is walked.
#[derive(Debug)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    /// Where the last record's length field is, and where in the source the record ends.
    last: Option<(usize, u64)>,
    /// Whether something had to be left out.
    pub(crate) shortened: bool,
}

impl Collector {
    pub(crate) fn new(source_len: u64) -> Collector {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&source_len.to_be_bytes());
        Collector { bytes, last: None, shortened: false }
    }

    /// Whether this many more bytes may be kept; if not, notes that something is missing.
    pub(crate) fn admits(&mut self, len: u64) -> bool {
        let fits = len.saturating_add(self.bytes.len() as u64 + 16) <= MAX_HEADER;
        self.shortened |= !fits;
        fits
    }

    /// Keeps these bytes of the source, which begin at `offset`. Ranges come in source order.
    pub(crate) fn keep(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() || !self.admits(bytes.len() as u64) {
            return;
        }
        let end = offset + bytes.len() as u64;
        match &mut self.last {
            Some((field, last_end)) if *last_end == offset => {
                self.bytes.extend_from_slice(bytes);
                let len = (self.bytes.len() - *field - 8) as u64;
                self.bytes[*field..*field + 8].copy_from_slice(&len.to_be_bytes());
                *last_end = end;
            }
            _ => {
                self.bytes.extend_from_slice(&offset.to_be_bytes());
                let field = self.bytes.len();
                self.bytes.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                self.bytes.extend_from_slice(bytes);
                self.last = Some((field, end));
            }
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
