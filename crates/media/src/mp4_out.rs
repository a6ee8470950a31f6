//! The way back: segments to one MP4 file.
//!
//! * [`Mp4Writer`]: a progressive MP4 with its `moov` at the end, streamed: any player, any editor.
//! * [`merge_inits`], then [`segment_index`]: the header of a virtual fragmented MP4 (header, then the segments as they
//!   are), of which every byte's place is known without reading a segment.

use std::ops::Range;

use crate::{
    MediaError, SourceHeader,
    boxes::{FourCc, Head, Put, Reader, boxed, damaged, full_box},
    init::{SOURCE_ID, write_elst, write_ftyp},
    moof::{MoofSamples, is_sync, parse_moof},
    sample::Run,
    timeline::Timeline,
    track::Edit,
};

/// Most samples whose sizes are written one by one: 1 GiB of `stsz`.
const MAX_SIZES: u64 = 1 << 28;

/// Writes a progressive MP4: [`begin`](Mp4Writer::begin), then for every fragment what
/// [`segment`](Mp4Writer::segment) points at, then [`finish`](Mp4Writer::finish).
///
/// Memory: four bytes per sample where their sizes differ, eight per fragment, and runs of equal durations and offsets.
#[derive(Debug)]
pub struct Mp4Writer {
    ftyp: Vec<u8>,
    mvhd: Vec<u8>,
    tracks: Vec<OutTrack>,
    media_bytes: u64,
    /// Bytes of samples so far.
    written: u64,
    /// `udta` and `meta` of the source's `moov`.
    notes: Vec<u8>,
    source_timescale: Option<u32>,
}

#[derive(Debug, Default)]
struct OutTrack {
    timescale: u32,
    media_time: u64,
    source_id: Option<u32>,
    tkhd: Vec<u8>,
    mdhd: Vec<u8>,
    /// `hdlr` and `elng`.
    handler: Vec<u8>,
    /// What `minf` holds before its `stbl`.
    media_header: Vec<u8>,
    stsd: Vec<u8>,
    /// `udta` and `meta`, the source's own where it is known.
    notes: Vec<u8>,
    /// The source's edits, and the box they were in.
    source_edits: Option<(Vec<Edit>, Vec<u8>)>,
    samples: u64,
    durations: Vec<(u32, u32)>,
    offsets: Vec<(u32, u32)>,
    sizes: OutSizes,
    /// (first chunk, samples per chunk, description)
    chunk_runs: Vec<(u32, u32, u32)>,
    chunks: Vec<u64>,
    /// Sync samples in a row: the first one's number, from 1, and how many.
    syncs: Vec<(u32, u32)>,
    first_dts: u64,
    end: u64,
    /// Decode time, plus offset, at which the last sample is no longer shown: later than `end`, by the reorder delay.
    shown_until: u64,
}

#[derive(Debug)]
enum OutSizes {
    Same { size: u32, count: u64 },
    Each(Vec<u32>),
}

impl Default for OutSizes {
    fn default() -> Self {
        OutSizes::Same { size: 0, count: 0 }
    }
}

impl Mp4Writer {
    /// `inits`: the tracks' init segments, in track order. `media_bytes`: what all segments' samples add up to
    /// (the sum of [`Fragment::media_bytes`](crate::Fragment::media_bytes)).
    pub fn new(inits: &[&[u8]], media_bytes: u64) -> Result<Mp4Writer, MediaError> {
        let mut tracks = Vec::new();
        let mut mvhd = Vec::new();
        let mut quicktime = false;
        for (number, init) in inits.iter().enumerate() {
            let parsed = Parsed::new(init, number)?;
            quicktime |= parsed.quicktime;
            if mvhd.is_empty() {
                mvhd = parsed.mvhd.to_vec();
            }
            tracks.push(OutTrack::new(parsed.trak)?);
        }
        if tracks.is_empty() {
            return Err(MediaError::NoTracks);
        }
        let mut ftyp = Vec::new();
        boxed(&mut ftyp, b"ftyp", |out| {
            out.extend_from_slice(if quicktime {
                b"qt  \0\0\x02\0qt  "
            } else {
                b"isom\0\0\x02\0isomiso2mp41"
            });
        });
        Ok(Mp4Writer {
            ftyp,
            mvhd,
            tracks,
            media_bytes,
            written: 0,
            notes: Vec::new(),
            source_timescale: None,
        })
    }

    /// Puts back what the source's own header said: `udta` and `meta` of the movie and its tracks, and its edit lists
    /// where they still mean the same.
    pub fn with_source_header(mut self, source_header: &[u8]) -> Result<Mp4Writer, MediaError> {
        let kept = Kept(SourceHeader::parse(source_header)?);
        let Some(moov) = kept.children(0..u64::MAX).find(|child| child.kind == *b"moov") else {
            return Ok(self);
        };
        let (mut notes, mut timescale) = (Vec::new(), None);
        for child in kept.children(moov.body()) {
            match &child.kind {
                b"mvhd" => {
                    let mut header = crate::track::MovieHeader::default();
                    if let Some(bytes) = kept.body(&child)
                        && header.read_mvhd(bytes).is_ok()
                    {
                        timescale = Some(header.timescale);
                    }
                }
                b"udta" | b"meta" => notes.extend_from_slice(kept.whole(&child).unwrap_or_default()),
                b"trak" => self.restore_track(&kept, &child),
                _ => {}
            }
        }
        self.notes = notes;
        self.source_timescale = timescale;
        Ok(self)
    }

    fn restore_track(&mut self, kept: &Kept<'_>, trak: &KeptBox) {
        let mut found = crate::track::SourceTrack::default();
        let (mut notes, mut edits) = (Vec::new(), None);
        for child in kept.children(trak.body()) {
            match &child.kind {
                b"tkhd" => {
                    if let Some(body) = kept.body(&child) {
                        // A header that cannot be read belongs to no track of ours.
                        let _ = found.read_tkhd(body);
                    }
                }
                b"udta" | b"meta" => notes.extend_from_slice(kept.whole(&child).unwrap_or_default()),
                b"edts" => {
                    let elst = kept.children(child.body()).find(|inner| inner.kind == *b"elst");
                    edits = elst.and_then(|elst| {
                        let list = crate::demux::read_elst(kept.body(&elst)?).ok()?;
                        Some((list, kept.whole(&child)?.to_vec()))
                    });
                }
                _ => {}
            }
        }
        if let Some(track) = self.tracks.iter_mut().find(|track| track.source_id == Some(found.id)) {
            track.source_edits = edits;
            if !notes.is_empty() {
                track.notes = notes;
            }
        }
    }

    /// The file's first bytes: `ftyp` and the header of `mdat`.
    pub fn begin(&self) -> Vec<u8> {
        let mut out = self.ftyp.clone();
        // Always the 64-bit form: what the file will hold is known only to the caller.
        out.put_u32(1);
        out.extend_from_slice(b"mdat");
        out.put_u64(self.media_bytes.saturating_add(16));
        out
    }

    /// Takes the plaintext of a segment, or of one or more whole fragments of it, and says which parts of it come
    /// next in the file.
    ///
    /// Each track's fragments have to come in their order; how the tracks are interleaved is the caller's choice.
    pub fn segment(&mut self, track: usize, plaintext: &[u8]) -> Result<Vec<Range<usize>>, MediaError> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        self.add(track, plaintext, true, |position, bytes| {
            let start = usize::try_from(position).ok();
            let range = start.zip(usize::try_from(bytes).ok()).and_then(|(start, len)| {
                let end = start.checked_add(len).filter(|&end| end <= plaintext.len())?;
                Some(start..end)
            });
            let range = range.ok_or(damaged("a segment is shorter than it says", position))?;
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
            Ok(())
        })?;
        Ok(ranges)
    }

    /// Like [`segment`](Mp4Writer::segment) for parts that are in the file already: takes what a fragment has in front
    /// of its samples (`styp`, `moof`, the header of `mdat`), of one or more fragments, *without* the samples, and
    /// says how many bytes of samples that is. An interrupted download replays these, then continues.
    pub fn segment_headers(&mut self, track: usize, headers: &[u8]) -> Result<u64, MediaError> {
        let before = self.written;
        self.add(track, headers, false, |_, _| Ok(()))?;
        Ok(self.written - before)
    }

    /// Goes through fragments and notes their samples. `place` hears where the samples of each run of the bytes are.
    fn add(
        &mut self,
        track: usize,
        bytes: &[u8],
        with_samples: bool,
        mut place: impl FnMut(u64, u64) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let begin = self.position() - self.written;
        let Some(out) = self.tracks.get_mut(track) else {
            return Err(damaged("a segment of a track that is not there", 0));
        };
        let mut at = 0_usize;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 8) {
            let head = Head::read(rest, rest.len() as u64);
            let Some(head) = head else { return Err(damaged("a segment is not one", at as u64)) };
            if head.kind == *b"mdat" && !with_samples {
                at += head.len as usize;
                continue;
            }
            let size = usize::try_from(head.size).ok().filter(|&size| size <= rest.len());
            let Some(size) = size else { return Err(damaged("a segment is cut off", at as u64)) };
            if head.kind == *b"moof" {
                let moof = &rest[..size];
                for traf in parse_moof(moof, at as u64, &[])? {
                    let mut dts = traf.dts.unwrap_or(out.end);
                    for trun in traf.truns {
                        let mut samples = MoofSamples::new(vec![trun]);
                        let (mut in_chunk, mut position, mut taken, mut description) = (0, None, 0, 1);
                        while let Some(run) = samples.run(moof, dts)? {
                            samples.advance(run.count, run.size);
                            let took = run.count.saturating_mul(u64::from(run.size));
                            position.get_or_insert(run.position);
                            taken += took;
                            description = run.description;
                            in_chunk += run.count;
                            out.push(&run)?;
                            dts = dts.saturating_add(run.count.saturating_mul(u64::from(run.duration)));
                        }
                        let Some(position) = position else { continue };
                        if self.written.saturating_add(taken) > self.media_bytes {
                            return Err(damaged("there is more media than announced", position));
                        }
                        place(position, taken)?;
                        out.chunk(begin + self.written, in_chunk, description)?;
                        self.written += taken;
                    }
                }
            }
            at += size;
        }
        Ok(())
    }

    /// How many bytes the file has so far, its beginning included.
    pub fn position(&self) -> u64 {
        self.ftyp.len() as u64 + 16 + self.written
    }

    /// The file's last bytes: its `moov`.
    pub fn finish(self) -> Result<Vec<u8>, MediaError> {
        if self.written < self.media_bytes {
            return Err(MediaError::Truncated { missing: self.media_bytes - self.written });
        }
        let mut mvhd = Mvhd(self.mvhd.clone());
        let timescale = self.timescale(mvhd.timescale());
        let presented = self.tracks.iter().map(|track| track.presented(timescale)).max().unwrap_or(0);
        mvhd.set(timescale, presented, self.tracks.len() as u32 + 1);
        let source_timescale = self.source_timescale;
        let mut out = Vec::new();
        boxed(&mut out, b"moov", |out| {
            out.extend_from_slice(&mvhd.0);
            for track in self.tracks {
                track.write(out, timescale, source_timescale);
            }
            out.extend_from_slice(&self.notes);
        });
        Ok(out)
    }

    /// A movie clock on which every late start is exact: the source's if it can (its own edits always are), else one
    /// that all tracks divide.
    fn timescale(&self, source: u32) -> u32 {
        let exact = |clock: u32| {
            self.tracks.iter().all(|track| {
                u128::from(track.first_dts) * u128::from(clock) % u128::from(track.timescale) == 0
                    || (self.source_timescale == Some(clock) && track.restored_edits(clock).is_some())
            })
        };
        if exact(source) {
            return source;
        }
        let common = self.tracks.iter().try_fold(1_u64, |common, track| {
            let own = u64::from(track.timescale);
            let together = common / gcd(common, own) * own;
            (together <= u64::from(u32::MAX / 2)).then_some(together)
        });
        common.and_then(|clock| u32::try_from(clock).ok()).unwrap_or(source)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `time` of one clock on another, rounded up.
fn rescale_up(time: u64, to: u32, from: u32) -> u64 {
    let scaled = (u128::from(time) * u128::from(to)).div_ceil(u128::from(from.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

impl OutTrack {
    fn new(trak: Reader<'_>) -> Result<OutTrack, MediaError> {
        let mut track = OutTrack::default();
        let mut children = trak;
        while let Some(child) = children.child()? {
            match &child.kind {
                b"tkhd" => track.tkhd = child.whole.to_vec(),
                b"edts" => {
                    if let Some(elst) = child.body.find(b"elst")? {
                        let edit = crate::demux::read_elst(elst.body)?.first().copied();
                        track.media_time = edit.map_or(0, |edit| edit.media_time.max(0).unsigned_abs());
                    }
                }
                b"udta" => {
                    if let Some(id) = child.body.find(SOURCE_ID)? {
                        track.source_id = id.body.clone().u32().ok();
                    }
                    if let Some(name) = child.body.find(b"name")? {
                        boxed(&mut track.notes, b"udta", |out| out.extend_from_slice(name.whole));
                    }
                }
                b"mdia" => track.read_media(child.body)?,
                _ => {}
            }
        }
        // Ours are version 1; the places of durations depend on it.
        if [&track.tkhd, &track.mdhd].iter().any(|header| header.get(8) != Some(&1))
            || track.tkhd.len() < 44
            || track.mdhd.len() < 40
            || track.timescale == 0
            || track.stsd.is_empty()
        {
            return Err(damaged("an init segment is not one of ours", trak.at()));
        }
        Ok(track)
    }

    fn read_media(&mut self, mdia: Reader<'_>) -> Result<(), MediaError> {
        let mut children = mdia;
        while let Some(child) = children.child()? {
            match &child.kind {
                b"mdhd" => {
                    self.mdhd = child.whole.to_vec();
                    let mut body = child.body;
                    body.skip(20)?;
                    self.timescale = body.u32()?;
                }
                b"hdlr" | b"elng" => self.handler.extend_from_slice(child.whole),
                b"minf" => {
                    let mut inner = child.body;
                    while let Some(child) = inner.child()? {
                        if child.kind != *b"stbl" {
                            self.media_header.extend_from_slice(child.whole);
                        } else if let Some(stsd) = child.body.find(b"stsd")? {
                            self.stsd = stsd.whole.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, run: &Run) -> Result<(), MediaError> {
        let too_many = || MediaError::TooMuch { what: "samples", limit: u64::from(u32::MAX) };
        let count = u32::try_from(run.count).map_err(|_| too_many())?;
        if self.samples == 0 {
            (self.first_dts, self.end) = (run.dts, run.dts);
        } else if run.dts != self.end {
            self.bridge(run.dts);
        }
        let first = u32::try_from(self.samples + 1).map_err(|_| too_many())?;
        first.checked_add(count).ok_or_else(too_many)?;
        if is_sync(run.flags) {
            match self.syncs.last_mut() {
                Some((begin, many)) if begin.checked_add(*many) == Some(first) => *many += count,
                _ => self.syncs.push((first, count)),
            }
        }
        append(&mut self.durations, count, run.duration);
        append(&mut self.offsets, count, run.offset as u32);
        match &mut self.sizes {
            OutSizes::Same { size, count } if *count == 0 || *size == run.size => {
                *size = run.size;
                *count += run.count;
            }
            sizes => {
                if self.samples + run.count > MAX_SIZES {
                    return Err(MediaError::TooMuch { what: "samples", limit: MAX_SIZES });
                }
                if let OutSizes::Same { size, count } = sizes {
                    *sizes = OutSizes::Each(vec![*size; *count as usize]);
                }
                if let OutSizes::Each(each) = sizes {
                    each.extend(std::iter::repeat_n(run.size, run.count as usize));
                }
            }
        }
        self.samples += run.count;
        self.shown_until = self.shown_until.max(run.shown_until());
        self.end = run.dts.saturating_add(run.count.saturating_mul(u64::from(run.duration)));
        Ok(())
    }

    /// A progressive file has no gaps: the sample before one lasts until the next.
    fn bridge(&mut self, dts: u64) {
        let Some((count, duration)) = self.durations.last_mut() else { return };
        let gap = i128::from(dts) - i128::from(self.end);
        let lasts = (i128::from(*duration) + gap).clamp(0, i128::from(i32::MAX)) as u32;
        if *count == 1 {
            *duration = lasts;
        } else {
            *count -= 1;
            self.durations.push((1, lasts));
        }
    }

    fn chunk(&mut self, offset: u64, samples: u64, description: u32) -> Result<(), MediaError> {
        let too_many = |_| MediaError::TooMuch { what: "fragments", limit: u64::from(u32::MAX) };
        self.chunks.push(offset);
        let number = u32::try_from(self.chunks.len()).map_err(too_many)?;
        let samples = u32::try_from(samples).map_err(too_many)?;
        if self.chunk_runs.last().is_none_or(|&(_, n, d)| (n, d) != (samples, description)) {
            self.chunk_runs.push((number, samples, description));
        }
        Ok(())
    }

    /// Sum of durations as written.
    fn media_duration(&self) -> u64 {
        self.durations.iter().map(|&(count, duration)| u64::from(count) * u64::from(duration)).sum()
    }

    /// How long it is shown, late start included, on the movie's clock. Rounded up, for a reader that hides what lies
    /// after the end would hide the last sample otherwise.
    fn presented(&self, timescale: u32) -> u64 {
        rescale_up(self.shown_until.saturating_sub(self.media_time), timescale, self.timescale)
    }

    /// The source's own edits, as they apply to what is written here; `source`: the clock of their durations. `None`
    /// where there are none, or where they would lead to another timeline.
    ///
    /// They say more than one edit can: cuts, a hidden end. Offsets that were negative have been raised by as much as
    /// the init segment's edit is later than theirs, so media times are raised alike.
    fn restored_edits(&self, source: u32) -> Option<Vec<u8>> {
        let (edits, whole) = self.source_edits.as_ref()?;
        let theirs = Timeline::new(edits, source, self.timescale, 0, self.media_duration());
        let ours = i64::try_from(self.first_dts).ok()?.checked_sub_unsigned(self.media_time)?;
        let raise = theirs.zero().checked_sub(ours)?;
        if raise == 0 {
            return Some(whole.clone());
        }
        // A list that was not read to its end cannot be written.
        if raise < 0 || edits.len() as u64 == crate::demux::MAX_EDITS {
            return None;
        }
        let raised = |edit: &Edit| Edit {
            media_time: if edit.media_time < 0 {
                edit.media_time
            } else {
                edit.media_time.saturating_add(raise)
            },
            ..*edit
        };
        let edits: Vec<Edit> = edits.iter().map(raised).collect();
        let mut out = Vec::new();
        boxed(&mut out, b"edts", |out| write_elst(out, &edits));
        Some(out)
    }

    /// `edts`: the source's own where they still apply, else what the init segment says.
    fn edits(&self, timescale: u32, source_timescale: Option<u32>) -> Vec<u8> {
        if let Some(source) = source_timescale.filter(|&source| source == timescale)
            && let Some(edits) = self.restored_edits(source)
        {
            return edits;
        }
        let mut out = Vec::new();
        if self.first_dts == 0 && self.media_time == 0 {
            return out;
        }
        let late = crate::timeline::rescale(self.first_dts, timescale, self.timescale);
        let shown = self.shown_until.saturating_sub(self.first_dts).saturating_sub(self.media_time);
        let shown = rescale_up(shown, timescale, self.timescale);
        boxed(&mut out, b"edts", |out| {
            let all = [Edit::new(late, -1), Edit::new(shown, self.media_time as i64)];
            write_elst(out, if self.first_dts > 0 { &all } else { &all[1..] });
        });
        out
    }

    fn write(mut self, out: &mut Vec<u8>, timescale: u32, source_timescale: Option<u32>) {
        let presented = self.presented(timescale);
        let edits = self.edits(timescale, source_timescale);
        self.tkhd[36..44].copy_from_slice(&presented.to_be_bytes());
        let duration = self.media_duration();
        self.mdhd[32..40].copy_from_slice(&duration.to_be_bytes());
        boxed(out, b"trak", |out| {
            out.extend_from_slice(&self.tkhd);
            out.extend_from_slice(&edits);
            boxed(out, b"mdia", |out| {
                out.extend_from_slice(&self.mdhd);
                out.extend_from_slice(&self.handler);
                boxed(out, b"minf", |out| {
                    out.extend_from_slice(&self.media_header);
                    boxed(out, b"stbl", |out| self.write_tables(out));
                });
            });
            out.extend_from_slice(&self.notes);
        });
    }

    fn write_tables(&self, out: &mut Vec<u8>) {
        let pairs = |out: &mut Vec<u8>, pairs: &[(u32, u32)]| {
            out.put_u32(pairs.len() as u32);
            for &(count, value) in pairs {
                out.put_u32(count);
                out.put_u32(value);
            }
        };
        out.extend_from_slice(&self.stsd);
        full_box(out, b"stts", 0, 0, |out| pairs(out, &self.durations));
        if self.offsets.iter().any(|&(_, offset)| offset != 0) {
            // Version 1 is signed; ours are not negative, and version 0 is what everything reads.
            full_box(out, b"ctts", 0, 0, |out| pairs(out, &self.offsets));
        }
        let syncs: u64 = self.syncs.iter().map(|&(_, count)| u64::from(count)).sum();
        if syncs < self.samples {
            full_box(out, b"stss", 0, 0, |out| {
                out.put_u32(syncs as u32);
                for sample in self.syncs.iter().flat_map(|&(first, count)| first..first + count) {
                    out.put_u32(sample);
                }
            });
        }
        full_box(out, b"stsz", 0, 0, |out| match &self.sizes {
            OutSizes::Same { size, count } if *size > 0 => {
                out.put_u32(*size);
                out.put_u32(*count as u32);
            }
            // A common size of 0 would mean "see below".
            OutSizes::Same { count, .. } => {
                out.put_u32(0);
                out.put_u32(*count as u32);
                out.resize(out.len() + *count as usize * 4, 0);
            }
            OutSizes::Each(each) => {
                out.put_u32(0);
                out.put_u32(each.len() as u32);
                for &size in each {
                    out.put_u32(size);
                }
            }
        });
        full_box(out, b"stsc", 0, 0, |out| {
            out.put_u32(self.chunk_runs.len() as u32);
            for &(first, samples, description) in &self.chunk_runs {
                for field in [first, samples, description] {
                    out.put_u32(field);
                }
            }
        });
        let wide = self.chunks.last().is_some_and(|&offset| offset > u64::from(u32::MAX));
        full_box(out, if wide { b"co64" } else { b"stco" }, 0, 0, |out| {
            out.put_u32(self.chunks.len() as u32);
            for &offset in &self.chunks {
                if wide { out.put_u64(offset) } else { out.put_u32(offset as u32) }
            }
        });
    }
}

fn append(runs: &mut Vec<(u32, u32)>, count: u32, value: u32) {
    match runs.last_mut() {
        Some((last, same)) if *same == value && last.checked_add(count).is_some() => *last += count,
        _ => runs.push((count, value)),
    }
}

/// A version 1 `mvhd`, whole.
struct Mvhd(Vec<u8>);

impl Mvhd {
    fn timescale(&self) -> u32 {
        self.0
            .get(28..32)
            .and_then(|field| field.first_chunk())
            .map_or(1000, |field| u32::from_be_bytes(*field))
    }

    fn set(&mut self, timescale: u32, duration: u64, next_track: u32) {
        self.0[28..32].copy_from_slice(&timescale.to_be_bytes());
        self.0[32..40].copy_from_slice(&duration.to_be_bytes());
        let end = self.0.len();
        self.0[end - 4..].copy_from_slice(&next_track.to_be_bytes());
    }
}

/// An init segment's parts.
struct Parsed<'a> {
    quicktime: bool,
    mvhd: &'a [u8],
    trak: Reader<'a>,
    whole_trak: &'a [u8],
    /// Duration in `mehd`.
    duration: u64,
    trex: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// Reads the init segment of track number `number`, and checks that it is that.
    fn new(init: &'a [u8], number: usize) -> Result<Parsed<'a>, MediaError> {
        let missing = damaged("an init segment is not one of ours", 0);
        let file = Reader::new(init, 0);
        let ftyp = file.find(b"ftyp")?.ok_or(missing.clone())?;
        let moov = file.find(b"moov")?.ok_or(missing.clone())?.body;
        let mvhd = moov.find(b"mvhd")?.ok_or(missing.clone())?.whole;
        let trak = moov.find(b"trak")?.ok_or(missing.clone())?;
        let mvex = moov.find(b"mvex")?.ok_or(missing.clone())?.body;
        let trex = mvex.find(b"trex")?.ok_or(missing.clone())?;
        let id = trex.body.rest().get(4..8).and_then(|id| id.first_chunk()).map(|id| u32::from_be_bytes(*id));
        if mvhd.len() != 120 || mvhd[8] != 1 || id != Some(number as u32 + 1) {
            return Err(missing);
        }
        let mehd = mvex.find(b"mehd")?.and_then(|mehd| mehd.body.rest().get(4..12)?.first_chunk().copied());
        Ok(Parsed {
            quicktime: ftyp.body.rest().chunks_exact(4).any(|brand| brand == b"qt  "),
            mvhd,
            trak: trak.body,
            whole_trak: trak.whole,
            duration: mehd.map_or(0, u64::from_be_bytes),
            trex: trex.whole,
        })
    }
}

/// One header for a fragmented MP4 of all these tracks: after it, their segments follow unchanged, in any order that
/// keeps each track's own. `track_ID`s are 1, 2, 3… as in the init segments themselves, so they must be given in
/// track order, all of them.
pub fn merge_inits(inits: &[&[u8]]) -> Result<Vec<u8>, MediaError> {
    let parsed: Vec<Parsed<'_>> =
        inits.iter().enumerate().map(|(number, init)| Parsed::new(init, number)).collect::<Result<_, _>>()?;
    let first = parsed.first().ok_or(MediaError::NoTracks)?;
    let mut mvhd = Mvhd(first.mvhd.to_vec());
    mvhd.set(mvhd.timescale(), 0, parsed.len() as u32 + 1);
    let mut out = Vec::new();
    write_ftyp(&mut out, parsed.iter().any(|init| init.quicktime));
    boxed(&mut out, b"moov", |out| {
        out.extend_from_slice(&mvhd.0);
        for init in &parsed {
            out.extend_from_slice(init.whole_trak);
        }
        boxed(out, b"mvex", |out| {
            let duration = parsed.iter().map(|init| init.duration).max().unwrap_or(0);
            full_box(out, b"mehd", 1, 0, |out| out.put_u64(duration));
            for init in &parsed {
                out.extend_from_slice(init.trex);
            }
        });
    });
    Ok(out)
}

/// A stretch of a fragmented file, as [`segment_index`] tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Bytes.
    pub len: u64,
    /// How long the track plays in it, in the track's timescale.
    pub duration: u64,
    /// Whether playback can begin with it.
    pub independent: bool,
}

/// `sidx`, which follows the header of a fragmented MP4: without one, a player that is to begin in the middle has to
/// read all headers up to there. `start`: when the first stretch begins, in the timescale of the track number
/// `track`. The stretches follow each other, and end where the file does.
///
/// `None` where the box cannot say it: there are none or more than 65535 stretches, or one is 2 GiB long.
pub fn segment_index(track: usize, timescale: u32, start: u64, stretches: &[Stretch]) -> Option<Vec<u8>> {
    let count = u16::try_from(stretches.len()).ok().filter(|&count| count > 0)?;
    let track_id = u32::try_from(track).ok()?.checked_add(1)?;
    let mut rows = Vec::with_capacity(12 * stretches.len());
    for stretch in stretches {
        rows.put_u32(u32::try_from(stretch.len).ok().filter(|&len| len <= i32::MAX as u32)?);
        rows.put_u32(u32::try_from(stretch.duration).ok()?);
        // Starts with a stream access point, of a type that is not told.
        rows.put_u32(if stretch.independent { 1 << 31 } else { 0 });
    }
    let mut out = Vec::with_capacity(40 + rows.len());
    full_box(&mut out, b"sidx", 1, 0, |out| {
        out.put_u32(track_id);
        out.put_u32(timescale);
        out.put_u64(start);
        // From the end of this box to the first stretch.
        out.put_u64(0);
        out.put_u16(0);
        out.put_u16(count);
        out.extend_from_slice(&rows);
    });
    Some(out)
}

/// The source header, walked like the file it was.
struct Kept<'a>(SourceHeader<'a>);

/// A box of the source whose header was kept.
struct KeptBox {
    kind: FourCc,
    at: u64,
    head: u64,
    end: u64,
}

impl KeptBox {
    fn body(&self) -> Range<u64> {
        self.at + self.head..self.end
    }
}

impl<'a> Kept<'a> {
    /// What was kept from `at` on, without a gap.
    fn from(&self, at: u64) -> &'a [u8] {
        self.0
            .records()
            .find_map(|(offset, bytes)| bytes.get(usize::try_from(at.checked_sub(offset)?).ok()?..))
            .filter(|bytes| !bytes.is_empty())
            .unwrap_or_default()
    }

    /// The boxes in a range whose headers were kept. Boxes that were not (`mdat`) are gone past by the next record.
    fn children(&self, range: Range<u64>) -> impl Iterator<Item = KeptBox> {
        let end = range.end.min(self.0.source_len());
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            if self.from(at).is_empty() {
                at =
                    self.0.records().map(|(offset, _)| offset).find(|&offset| offset > at && offset < end)?;
            }
            let head = Head::read(self.from(at), end - at).filter(|head| head.size <= end - at)?;
            let found = KeptBox { kind: head.kind, at, head: head.len, end: at + head.size };
            at = found.end;
            Some(found)
        })
    }

    fn whole(&self, found: &KeptBox) -> Option<&'a [u8]> {
        self.from(found.at).get(..usize::try_from(found.end - found.at).ok()?)
    }

    fn body(&self, found: &KeptBox) -> Option<Reader<'a>> {
        let whole = self.whole(found)?;
        Some(Reader::new(whole.get(found.head as usize..)?, found.at + found.head))
    }
}
