use std::ops::Range;

use gloaming_media::{MediaError, mp4_out::merge_inits};

use crate::Index;

/// A stored video as one fragmented MP4: a header, then the segments of all tracks in the order in which they begin.
/// Every byte's place is known without opening a segment, so that a player can be served any range of it.
#[derive(Clone, Debug)]
pub struct VirtualMp4 {
    header: Vec<u8>,
    /// Where each segment begins, in order.
    segments: Vec<(u64, u16, u32)>,
    len: u64,
}

/// Where some bytes of a [`VirtualMp4`] come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VirtualPart {
    /// These bytes of [`VirtualMp4::header`].
    Header(Range<usize>),
    /// These bytes of a segment, opened.
    Segment {
        /// Its track.
        track: u16,
        /// Its number.
        segment: u32,
        /// Which of its bytes.
        range: Range<u64>,
    },
}

impl VirtualMp4 {
    /// Lays the video out.
    pub fn new(index: &Index) -> Result<VirtualMp4, MediaError> {
        let header = merge_inits(&index.inits())?;
        let (mut segments, mut len) = (Vec::new(), header.len() as u64);
        for (track, segment) in index.in_time_order() {
            segments.push((len, track, segment));
            len += index.table(track).map_or(0, |table| table.plaintext_len(segment));
        }
        Ok(VirtualMp4 { header, segments, len })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: there is a header.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its first bytes.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Where this range of the file comes from, part by part. What lies beyond its end is left out.
    pub fn parts(&self, range: Range<u64>) -> impl Iterator<Item = VirtualPart> {
        let range = range.start.min(self.len)..range.end.min(self.len);
        let header_len = self.header.len() as u64;
        let header = (range.start < range.end.min(header_len))
            .then(|| VirtualPart::Header(range.start as usize..range.end.min(header_len) as usize));
        let first = self.segments.partition_point(|&(begin, ..)| begin <= range.start).saturating_sub(1);
        let of_segments =
            self.segments[first..].iter().enumerate().map_while(move |(i, &(begin, track, segment))| {
                let end = self.segments.get(first + i + 1).map_or(self.len, |&(next, ..)| next);
                let (from, to) = (range.start.max(begin), range.end.min(end));
                (begin < range.end).then(|| VirtualPart::Segment {
                    track,
                    segment,
                    range: from.min(end) - begin..to.max(from.min(end)) - begin,
                })
            });
        let empty =
            |part: &VirtualPart| matches!(part, VirtualPart::Segment { range, .. } if range.is_empty());
        header.into_iter().chain(of_segments.filter(move |part| !empty(part)))
    }
}
