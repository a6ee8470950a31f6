//! The way back: segments to one MP4 file.
//!
//! * [`Mp4Writer`]: a progressive MP4 with its `moov` at the end, streamed: any player, any editor.
//! * [`merge_inits`]: the header of a virtual fragmented MP4 (header, then the segments as they are), of which every
//!   byte's place is known without reading a segment.

use std::ops::Range;

use crate::MediaError;

/// Writes a progressive MP4: [`begin`](Mp4Writer::begin), then for every fragment what
/// [`segment`](Mp4Writer::segment) points at, then [`finish`](Mp4Writer::finish).
#[derive(Debug)]
pub struct Mp4Writer {
    media_bytes: u64,
}

impl Mp4Writer {
    /// `inits`: the tracks' init segments, in track order. `media_bytes`: what all segments' samples add up to
    /// (the sum of [`Fragment::media_bytes`](crate::Fragment::media_bytes)).
    pub fn new(inits: &[&[u8]], media_bytes: u64) -> Result<Mp4Writer, MediaError> {
        let _ = inits;
        Ok(Mp4Writer { media_bytes })
    }

    /// Puts back what the source's own header said: creation date, `udta`, `meta`, edit lists where they still fit.
    pub fn with_source_header(self, source_header: &[u8]) -> Result<Mp4Writer, MediaError> {
        let _ = source_header;
        Ok(self)
    }

    /// The file's first bytes: `ftyp` and the header of `mdat`.
    pub fn begin(&self) -> Vec<u8> {
        self.media_bytes.to_be_bytes().to_vec()
    }

    /// Takes the plaintext of a segment, or of one or more whole fragments of it, and says which parts of it come
    /// next in the file.
    pub fn segment(&mut self, track: usize, plaintext: &[u8]) -> Result<Vec<Range<usize>>, MediaError> {
        let _ = (track, plaintext);
        Err(MediaError::NotMedia)
    }

    /// Like [`segment`](Mp4Writer::segment) for parts that are in the file already: takes one or more `moof` boxes
    /// (what surrounds them may be present or absent, `mdat` payloads may be cut off) and says how many bytes of
    /// samples they describe. An interrupted download replays these, then continues.
    pub fn segment_headers(&mut self, track: usize, headers: &[u8]) -> Result<u64, MediaError> {
        let _ = (track, headers);
        Err(MediaError::NotMedia)
    }

    /// How many bytes the file has so far, its beginning included.
    pub fn position(&self) -> u64 {
        0
    }

    /// The file's last bytes: its `moov`.
    pub fn finish(self) -> Result<Vec<u8>, MediaError> {
        Err(MediaError::NotMedia)
    }
}

/// One header for a fragmented MP4 of all these tracks: after it, their segments follow unchanged, in any order that
/// keeps each track's own. `track_ID`s are 1, 2, 3… as in the init segments themselves.
pub fn merge_inits(inits: &[&[u8]]) -> Result<Vec<u8>, MediaError> {
    let _ = inits;
    Err(MediaError::NotMedia)
}
