//! A fragment while it is filled, and the boxes in front of its samples.

use crate::{
    Extent, Piece,
    boxes::{Put, boxed, full_box},
    sample::Run,
};

/// Bytes of everything in front of the samples except the entries of `trun`; a little generous.
const FIXED: u64 = 192;
/// Bytes of an entry in `trun` with all four fields.
const ENTRY: u64 = 16;

/// Samples that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alike {
    count: u32,
    size: u32,
    duration: u32,
    offset: u32,
    flags: u32,
}

/// A fragment being filled. Reused from fragment to fragment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Building {
    samples: Vec<Alike>,
    extents: Vec<Extent>,
    /// Of the first sample, shifted.
    pub(crate) start: u64,
    pub(crate) duration: u64,
    pub(crate) count: u64,
    pub(crate) media_bytes: u64,
    pub(crate) description: u32,
}

impl Building {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many of the run's samples still fit into `max` bytes, headers included.
    pub(crate) fn room_for(&self, run: &Run, offset: u32, max: u64) -> u64 {
        let used = FIXED + self.media_bytes;
        let alike = self.samples.is_empty() || matches!(self.samples[..], [only] if only.like(run, offset));
        let count = if alike {
            // Fields that all samples share are written once.
            max.saturating_sub(used) / u64::from(run.size).max(1)
        } else {
            max.saturating_sub(used + self.count * ENTRY) / (u64::from(run.size) + ENTRY)
        };
        count.min(u64::from(u32::MAX) / 2 - self.count.min(u64::from(u32::MAX) / 2))
    }

    /// Adds `count` samples of the run. `offset` is the composition offset to write.
    pub(crate) fn push(&mut self, run: &Run, offset: u32, count: u64) {
        let bytes = count * u64::from(run.size);
        self.count += count;
        self.media_bytes += bytes;
        self.duration = self.duration.saturating_add(count * u64::from(run.duration));
        let count = u32::try_from(count).expect("`room_for` keeps counts below 2^31");
        match self.samples.last_mut() {
            Some(last) if last.like(run, offset) => last.count += count,
            _ => self.samples.push(Alike {
                count,
                size: run.size,
                duration: run.duration,
                offset,
                flags: run.flags,
            }),
        }
        match self.extents.last_mut() {
            _ if bytes == 0 => {}
            Some(last) if last.end() == run.position => last.len += bytes,
            _ => self.extents.push(Extent { offset: run.position, len: bytes }),
        }
    }

    /// The fragment's pieces and their length in all. Leaves an empty fragment behind.
    pub(crate) fn take(&mut self, track_id: u32, sequence: u32, first_in_segment: bool) -> (Vec<Piece>, u64) {
        let mut head = Vec::with_capacity(256 + self.samples.len() * ENTRY as usize);
        if first_in_segment {
            boxed(&mut head, b"styp", |out| out.extend_from_slice(b"msdh\0\0\0\0msdhcmfs"));
        }
        let moof = head.len();
        let data_offset = self.write_moof(&mut head, track_id, sequence);
        let mdat = u32::try_from(self.media_bytes + 8).expect("samples of a fragment stay far below 4 GiB");
        head.put_u32(mdat);
        head.extend_from_slice(b"mdat");
        let relative = (head.len() - moof) as u32;
        head[data_offset..data_offset + 4].copy_from_slice(&relative.to_be_bytes());

        let len = head.len() as u64 + self.media_bytes;
        let mut pieces = Vec::with_capacity(1 + self.extents.len());
        pieces.push(Piece::Literal(head));
        pieces.extend(self.extents.drain(..).map(Piece::Source));
        self.samples.clear();
        (self.count, self.media_bytes, self.duration) = (0, 0, 0);
        (pieces, len)
    }

    /// Appends the `moof` and says where its data offset has to be written.
    fn write_moof(&self, out: &mut Vec<u8>, track_id: u32, sequence: u32) -> usize {
        let first = self.samples[0];
        let same = |field: fn(&Alike) -> u32| self.samples.iter().all(|s| field(s) == field(&first));
        let (durations, sizes) = (!same(|s| s.duration), !same(|s| s.size));
        let offsets = self.samples.iter().any(|s| s.offset != 0);
        // A leading key frame before others is the usual case, and has a field of its own.
        let later_flags = self.samples.get(1).map_or(first.flags, |s| s.flags);
        let flags_differ = !same(|s| s.flags);
        let first_only =
            flags_differ && first.count == 1 && self.samples[1..].iter().all(|s| s.flags == later_flags);
        let flags = flags_differ && !first_only;

        // Default-base-is-moof, description, duration, size, flags.
        let tfhd = 0x2_0000 | 0x2 | 0x8 | 0x10 | 0x20;
        let trun = 0x1
            | if first_only { 0x4 } else { 0 }
            | if durations { 0x100 } else { 0 }
            | if sizes { 0x200 } else { 0 }
            | if flags { 0x400 } else { 0 }
            | if offsets { 0x800 } else { 0 };
        let mut data_offset = 0;
        boxed(out, b"moof", |out| {
            full_box(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
            boxed(out, b"traf", |out| {
                full_box(out, b"tfhd", 0, tfhd, |out| {
                    out.put_u32(track_id);
                    out.put_u32(self.description);
                    out.put_u32(first.duration);
                    out.put_u32(first.size);
                    out.put_u32(later_flags);
                });
                full_box(out, b"tfdt", 1, 0, |out| out.put_u64(self.start));
                full_box(out, b"trun", 1, trun, |out| {
                    out.put_u32(u32::try_from(self.count).expect("`room_for` keeps counts below 2^31"));
                    data_offset = out.len();
                    out.put_u32(0);
                    if first_only {
                        out.put_u32(first.flags);
                    }
                    if trun & 0xf00 == 0 {
                        return;
                    }
                    for sample in &self.samples {
                        for _ in 0..sample.count {
                            for (present, field) in [
                                (durations, sample.duration),
                                (sizes, sample.size),
                                (flags, sample.flags),
                                (offsets, sample.offset),
                            ] {
                                if present {
                                    out.put_u32(field);
                                }
                            }
                        }
                    }
                });
            });
        });
        data_offset
    }
}

impl Alike {
    fn like(&self, run: &Run, offset: u32) -> bool {
        (self.size, self.duration, self.offset, self.flags) == (run.size, run.duration, offset, run.flags)
    }
}
