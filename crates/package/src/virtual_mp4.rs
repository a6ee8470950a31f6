use std::ops::Range;

use gloaming_media::{
    MediaError,
    mp4_out::{Stretch, merge_inits, segment_index},
};

use crate::{
    Index, Kind,
    presentation::{default_of, playable},
};

/// A stored video as one fragmented MP4: a header, then the segments of all tracks in the order in which they begin.
/// Every byte's place is known without opening a segment, so that a player can be served any range of it. The header
/// says where playback can begin (`sidx`), so that a player need not look for that place through all that is before it.
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
        let mut header = merge_inits(&index.inits())?;
        let lens = index.in_time_order().map(|(track, segment)| {
            let len = index.table(track).map_or(0, |table| table.plaintext_len(segment));
            (track, segment, len)
        });
        let lens: Vec<_> = lens.collect();
        header.extend(seek_index(index, &lens).unwrap_or_default());
        let (mut segments, mut len) = (Vec::with_capacity(lens.len()), header.len() as u64);
        for (track, segment, segment_len) in lens {
            segments.push((len, track, segment));
            len += segment_len;
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

/// Each segment of the main track, with the others' that follow it, is a stretch of the file that can be jumped to.
/// What lies before the main track's first one belongs to the first stretch.
fn seek_index(index: &Index, segments: &[(u16, u32, u64)]) -> Option<Vec<u8>> {
    let tracks = playable(index);
    let main = default_of(&tracks, Kind::Video).or_else(|| default_of(&tracks, Kind::Audio))?;
    let start = main.slots().next()?.start;
    let mut stretches: Vec<Stretch> = main
        .slots()
        .zip(0..)
        .map(|(slot, number)| Stretch {
            len: 0,
            duration: slot.duration,
            independent: main.begins_at(number),
        })
        .collect();
    let mut current = 0;
    for &(track, segment, len) in segments {
        if track == main.number {
            current = segment as usize;
        }
        stretches.get_mut(current)?.len += len;
    }
    segment_index(usize::from(main.number), main.about.timescale.get(), start, &stretches)
}
