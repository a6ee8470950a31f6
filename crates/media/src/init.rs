//! CMAF init segments.

use crate::{
    boxes::{FourCc, Put, boxed, full_box},
    timeline::rescale,
    track::{Edit, MovieHeader, SourceTrack},
};

/// A box of our own in a track's `udta`: the `track_ID` it had in the source, by which the source header is matched.
pub(crate) const SOURCE_ID: &FourCc = b"glid";

/// An init segment's parts that do not come out of the source as they are.
pub(crate) struct Init<'a> {
    pub(crate) track_id: u32,
    pub(crate) movie: &'a MovieHeader,
    pub(crate) track: &'a SourceTrack,
    /// Body of the `stsd` to write.
    pub(crate) stsd: &'a [u8],
    pub(crate) media_time: u64,
    /// Of all samples, in the track's timescale.
    pub(crate) duration: u64,
    /// Whether sample entries follow QuickTime, so that readers have to be told.
    pub(crate) quicktime: bool,
}

impl Init<'_> {
    /// `ftyp` and `moov`.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024 + self.stsd.len());
        write_ftyp(&mut out, self.quicktime);
        boxed(&mut out, b"moov", |out| {
            self.write_mvhd(out);
            boxed(out, b"trak", |out| self.write_trak(out));
            boxed(out, b"mvex", |out| {
                let duration = rescale(self.duration, self.movie.timescale, self.track.timescale);
                full_box(out, b"mehd", 1, 0, |out| out.put_u64(duration));
                full_box(out, b"trex", 0, 0, |out| {
                    for field in [self.track_id, 1, 0, 0, 0] {
                        out.put_u32(field);
                    }
                });
            });
        });
        out
    }

    fn write_mvhd(&self, out: &mut Vec<u8>) {
        full_box(out, b"mvhd", 1, 0, |out| {
            out.put_u64(self.movie.creation);
            out.put_u64(self.movie.modification);
            out.put_u32(self.movie.timescale);
            out.put_u64(0);
            // Normal rate, full volume.
            out.put_u32(0x1_0000);
            out.put_u16(0x100);
            out.extend_from_slice(&[0; 10]);
            out.extend_from_slice(&self.movie.matrix);
            out.extend_from_slice(&[0; 24]);
            out.put_u32(self.track_id + 1);
        });
    }

    fn write_trak(&self, out: &mut Vec<u8>) {
        let track = self.track;
        full_box(out, b"tkhd", 1, track.flags, |out| {
            out.put_u64(track.creation);
            out.put_u64(track.modification);
            out.put_u32(self.track_id);
            out.put_u32(0);
            out.put_u64(0);
            out.put_u64(0);
            out.put_u16(track.layer);
            out.put_u16(track.group);
            out.put_u16(track.volume);
            out.put_u16(0);
            out.extend_from_slice(&track.matrix);
            out.put_u32(track.width);
            out.put_u32(track.height);
        });
        if self.media_time > 0 {
            boxed(out, b"edts", |out| write_elst(out, &[Edit::new(0, self.media_time as i64)]));
        }
        boxed(out, b"mdia", |out| {
            full_box(out, b"mdhd", 1, 0, |out| {
                out.put_u64(track.creation);
                out.put_u64(track.modification);
                out.put_u32(track.timescale);
                out.put_u64(0);
                out.put_u16(track.language);
                out.put_u16(0);
            });
            full_box(out, b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.extend_from_slice(&track.handler);
                out.extend_from_slice(&[0; 12]);
                out.extend_from_slice(&track.handler_name);
                out.push(0);
            });
            if let Some(language) = &track.extended_language {
                full_box(out, b"elng", 0, 0, |out| {
                    out.extend_from_slice(language.as_bytes());
                    out.push(0);
                });
            }
            boxed(out, b"minf", |out| self.write_minf(out));
        });
        boxed(out, b"udta", |out| {
            if let Some(name) = &track.name {
                boxed(out, b"name", |out| out.extend_from_slice(name.as_bytes()));
            }
            boxed(out, SOURCE_ID, |out| out.put_u32(track.id));
        });
    }

    fn write_minf(&self, out: &mut Vec<u8>) {
        if self.track.media_header.is_empty() {
            full_box(out, b"nmhd", 0, 0, |_| {});
        } else {
            out.extend_from_slice(&self.track.media_header);
        }
        // Sample entries are copied with their data reference's number, so there are as many as before.
        let references = self.track.references.len().max(1);
        boxed(out, b"dinf", |out| {
            full_box(out, b"dref", 0, 0, |out| {
                out.put_u32(references as u32);
                for _ in 0..references {
                    full_box(out, b"url ", 0, 1, |_| {});
                }
            });
        });
        boxed(out, b"stbl", |out| {
            boxed(out, b"stsd", |out| out.extend_from_slice(self.stsd));
            for kind in [b"stts", b"stsc", b"stco"] {
                full_box(out, kind, 0, 0, |out| out.put_u32(0));
            }
            full_box(out, b"stsz", 0, 0, |out| out.put_u64(0));
        });
    }
}

/// The file type of everything fragmented that is made here.
pub(crate) fn write_ftyp(out: &mut Vec<u8>, quicktime: bool) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6\0\0\0\0iso6cmfcdashmp41");
        if quicktime {
            out.extend_from_slice(b"qt  ");
        }
    });
}

pub(crate) fn write_elst(out: &mut Vec<u8>, edits: &[Edit]) {
    full_box(out, b"elst", 1, 0, |out| {
        out.put_u32(edits.len() as u32);
        for edit in edits {
            out.put_u64(edit.duration);
            out.put_u64(edit.media_time as u64);
            out.put_u32(edit.rate as u32);
        }
    });
}

/// QuickTime's sound entries (version 1 and 2) hide the `esds` in a `wave` box behind fields that ISO does not have,
/// and browsers stumble over both. This writes the same as an ISO entry; the original stays in the source header.
pub(crate) fn iso_sound_entries(entries: &[crate::codec::Entry]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    out.put_u32(0);
    out.put_u32(entries.len() as u32);
    for entry in entries {
        let esds = entry.quicktime_esds.as_ref()?;
        boxed(&mut out, &entry.kind, |out| {
            out.extend_from_slice(&[0; 6]);
            out.put_u16(entry.data_reference);
            out.extend_from_slice(&[0; 8]);
            out.put_u16(entry.channels);
            out.put_u16(16);
            out.put_u32(0);
            out.put_u32(u32::from(u16::try_from(entry.sample_rate).unwrap_or(0)) << 16);
            out.extend_from_slice(esds);
        });
    }
    Some(out)
}
