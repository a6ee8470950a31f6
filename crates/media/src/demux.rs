//! Finding out what a file is: a walk over its boxes, a look through its sample tables, and a [`Movie`].

use crate::{
    Extent, MediaError, Movie,
    boxes::{FourCc, Head, Reader, damaged},
    cursor::HOP,
    moof::{Defaults, MAX_MOOF, MoofSamples, is_sync, parse_moof},
    sample::{MAX_TIME, check_size},
    scan::TableScan,
    source_header::Collector,
    tables::{Sizes, Table},
    track::{Edit, MovieHeader, SourceTrack},
    window::Window,
};

/// How much of a `moov` is read at a time.
const READ: u64 = 256 << 10;
/// The largest box that is read in one piece.
const MAX_LEAF: u64 = 4 << 20;
const MAX_TRACKS: usize = 256;
/// Edits beyond these are as good as "several".
pub(crate) const MAX_EDITS: u64 = 1024;

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
///
/// Memory: a few windows of at most 4 MiB (8 MiB for a `moof`) and the source header (at most 16 MiB), whatever the
/// file's size.
#[derive(Debug)]
pub struct Demuxer {
    source_len: u64,
    window: Window,
    need: Option<Extent>,
    failed: Option<MediaError>,
    phase: Phase,
    position: u64,
    /// The boxes around `position`, outermost first.
    open: Vec<Open>,
    seen_media: bool,
    seen_moov: bool,
    first_fragment: Option<u64>,
    walk_end: u64,
    trailing: bool,
    brand: Option<FourCc>,
    movie: MovieHeader,
    defaults: Vec<Defaults>,
    tracks: Vec<SourceTrack>,
    header: Collector,
}

#[derive(Debug)]
enum Phase {
    /// Going from box to box.
    Walk,
    /// Keeping bytes for the source header, up to there; then on with the walk.
    Copy {
        end: u64,
    },
    /// Going through the tables of track number `track`.
    Scan {
        track: usize,
        scan: Box<TableScan>,
    },
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    kind: FourCc,
    end: u64,
}

/// What one step of the walk led to.
enum Step {
    Go,
    Need(Extent),
}

impl Demuxer {
    /// For a file of this many bytes.
    pub fn new(source_len: u64) -> Demuxer {
        let mut demuxer = Demuxer {
            source_len,
            window: Window::default(),
            need: None,
            failed: None,
            phase: Phase::Walk,
            position: 0,
            open: Vec::new(),
            seen_media: false,
            seen_moov: false,
            first_fragment: None,
            walk_end: source_len,
            trailing: false,
            brand: None,
            movie: MovieHeader::default(),
            defaults: Vec::new(),
            tracks: Vec::new(),
            header: Collector::new(source_len),
        };
        if source_len == 0 {
            demuxer.failed = Some(MediaError::Empty);
        } else {
            demuxer.need = Some(Extent { offset: 0, len: source_len.min(READ) });
        }
        demuxer
    }

    /// The range it wants to see next, at most 8 MiB of it; `None` when [`finish`](Demuxer::finish) has an answer.
    pub fn need(&self) -> Option<Extent> {
        self.need
    }

    /// Takes exactly the range that was asked for. After an error nothing more is asked, and
    /// [`finish`](Demuxer::finish) gives the same error.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let fed = Extent { offset, len: bytes.len() as u64 };
        let result = if self.need.take() == Some(fed) {
            match &mut self.phase {
                Phase::Scan { scan, .. } => scan.feed(bytes),
                _ => self.window.fill(offset, bytes),
            }
            self.advance()
        } else {
            Err(MediaError::WrongRange)
        };
        if let Err(error) = &result {
            self.need = None;
            self.failed = Some(error.clone());
        }
        result
    }

    /// The answer, once nothing more is needed.
    pub fn finish(self) -> Result<Movie, MediaError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.need.is_some() {
            return Err(MediaError::WrongRange);
        }
        let fragments = self.first_fragment.map(|start| crate::cursor::Fragments {
            start,
            end: self.walk_end,
            defaults: self.defaults,
        });
        crate::assemble::movie(crate::assemble::Parts {
            source_len: self.source_len,
            brand: self.brand,
            header: self.movie,
            tracks: self.tracks,
            fragments,
            shortened: self.header.shortened,
            trailing: self.trailing,
            source_header: self.header.finish(),
        })
    }

    fn advance(&mut self) -> Result<(), MediaError> {
        loop {
            let step = match &mut self.phase {
                Phase::Walk => self.walk()?,
                Phase::Copy { end } => {
                    let end = *end;
                    self.copy(end)
                }
                Phase::Scan { track, scan } => {
                    let track = *track;
                    match scan.advance(&mut self.tracks[track])? {
                        Some(extent) => Step::Need(extent),
                        None => {
                            self.start_scan(track + 1);
                            Step::Go
                        }
                    }
                }
                Phase::Done => return Ok(()),
            };
            if let Step::Need(extent) = step {
                self.need = Some(extent);
                return Ok(());
            }
        }
    }

    fn start_scan(&mut self, track: usize) {
        self.phase = match self.tracks.get(track) {
            Some(source) => {
                Phase::Scan { track, scan: Box::new(TableScan::new(&source.tables, self.source_len)) }
            }
            None => Phase::Done,
        };
    }

    /// Keeps what the window has up to `end`.
    fn copy(&mut self, end: u64) -> Step {
        let bytes = self.window.from(self.position, end - self.position);
        self.header.keep(self.position, bytes);
        self.position += bytes.len() as u64;
        if self.position >= end {
            self.phase = Phase::Walk;
            return Step::Go;
        }
        Step::Need(Extent { offset: self.position, len: (end - self.position).min(READ) })
    }

    fn walk(&mut self) -> Result<Step, MediaError> {
        let end = self.open.last().map_or(self.source_len, |open| open.end);
        let room = end - self.position;
        let inside = !self.open.is_empty();
        if room < 8 {
            // The end, or the zero that QuickTime ends lists with, or a few stray bytes.
            if room > 0 {
                if self.window.from(self.position, room).len() as u64 != room {
                    return Ok(Step::Need(Extent { offset: self.position, len: room }));
                }
                self.header.keep(self.position, self.window.from(self.position, room));
                self.position = end;
            }
            if self.open.pop().is_none() {
                self.end_walk(end)?;
            }
            return Ok(Step::Go);
        }
        let bytes = self.window.from(self.position, 16);
        if (bytes.len() as u64) < room.min(16) {
            let len = if inside { READ } else { HOP };
            return Ok(Step::Need(Extent { offset: self.position, len: room.min(len) }));
        }
        let Some(head) = Head::read(bytes, room) else {
            return self.no_box(inside);
        };
        if self.position == 0 && !starts_movie(head.kind) {
            return Err(what_else(self.window.from(0, 4096)));
        }
        if head.size > room {
            if inside {
                return Err(damaged("a box does not fit its parent", self.position));
            }
            if !known_at_top(head.kind) && self.seen_moov {
                return self.no_box(inside);
            }
            return Err(MediaError::Truncated { missing: head.size - room });
        }
        self.enter(head)
    }

    /// Something at `position` that is no box.
    fn no_box(&mut self, inside: bool) -> Result<Step, MediaError> {
        if inside {
            return Err(damaged("a box header makes no sense", self.position));
        }
        if self.position == 0 {
            return Err(what_else(self.window.from(0, 4096)));
        }
        if !self.seen_moov {
            return Err(if self.seen_media { MediaError::NoIndex } else { MediaError::NotMedia });
        }
        // Phones and editors append things of their own; zeros are left by recorders that preallocate.
        self.trailing = true;
        let end = self.position;
        let rest = self.source_len - end;
        self.end_walk(end)?;
        if self.header.admits(rest) {
            // `copy` returns to the walk, which finds nothing left.
            self.walk_end = end;
            self.phase = Phase::Copy { end: self.source_len };
        }
        Ok(Step::Go)
    }

    fn end_walk(&mut self, end: u64) -> Result<(), MediaError> {
        if !self.trailing || self.position != self.source_len {
            self.walk_end = end;
        }
        if !self.seen_moov {
            return Err(if self.seen_media { MediaError::NoIndex } else { MediaError::NotMedia });
        }
        self.start_scan(0);
        Ok(())
    }

    fn enter(&mut self, head: Head) -> Result<Step, MediaError> {
        let parent = self.open.last().map(|open| open.kind);
        let body = self.position + head.len;
        let end = self.position + head.size;
        let of = |parent: Option<FourCc>| parent.unwrap_or(*b"file");
        match (&of(parent), &head.kind) {
            (b"file", b"mdat") => {
                self.seen_media = true;
                self.position = end;
                Ok(Step::Go)
            }
            (b"file", b"mfra") => {
                self.position = end;
                Ok(Step::Go)
            }
            (b"file", b"moof") => self.read_moof(head),
            (b"moov", b"cmov") => {
                Err(MediaError::UnsupportedFeature { what: "a compressed QuickTime header" })
            }
            (b"file", b"moov") if self.seen_moov => Err(damaged("there are two indexes", self.position)),
            (b"file", b"moov")
            | (b"moov", b"trak" | b"mvex")
            | (b"trak", b"mdia" | b"edts")
            | (b"mdia", b"minf")
            | (b"minf", b"stbl") => {
                self.seen_moov |= head.kind == *b"moov";
                if head.kind == *b"trak" {
                    if self.tracks.len() == MAX_TRACKS {
                        return Err(MediaError::TooMuch { what: "tracks", limit: MAX_TRACKS as u64 });
                    }
                    self.tracks.push(SourceTrack::default());
                }
                let header = self.window.from(self.position, head.len);
                self.header.keep(self.position, header);
                self.open.push(Open { kind: head.kind, end });
                self.position = body;
                Ok(Step::Go)
            }
            (
                b"stbl",
                b"stts" | b"ctts" | b"stsc" | b"stsz" | b"stz2" | b"stco" | b"co64" | b"stss" | b"sdtp",
            ) => self.note_table(head),
            (b"file", b"ftyp")
            | (b"moov", b"mvhd" | b"udta" | b"meta")
            | (b"mvex", b"trex")
            | (b"trak", b"tkhd" | b"udta" | b"tref")
            | (b"edts", b"elst")
            | (b"mdia", b"mdhd" | b"hdlr" | b"elng")
            | (b"minf", b"vmhd" | b"smhd" | b"nmhd" | b"sthd" | b"hmhd" | b"gmhd" | b"dinf")
            | (b"stbl", b"stsd") => self.read_leaf(of(parent), head),
            _ => {
                // Not ours to understand: kept, or left out whole.
                if self.header.admits(head.size) {
                    self.phase = Phase::Copy { end };
                } else {
                    self.position = end;
                }
                Ok(Step::Go)
            }
        }
    }

    fn read_leaf(&mut self, parent: FourCc, head: Head) -> Result<Step, MediaError> {
        let extent = Extent { offset: self.position, len: head.size };
        if head.size > MAX_LEAF {
            if matches!(&head.kind, b"udta" | b"meta" | b"tref") {
                self.header.admits(u64::MAX);
                self.position = extent.end();
                return Ok(Step::Go);
            }
            return Err(MediaError::TooMuch { what: "bytes in one header box", limit: MAX_LEAF });
        }
        let Some(bytes) = self.window.get(extent) else {
            let room = self.open.last().map_or(self.source_len, |open| open.end) - self.position;
            return Ok(Step::Need(Extent { len: head.size.max(READ).min(room), ..extent }));
        };
        self.header.keep(extent.offset, bytes);
        let body = Reader::new(&bytes[head.len as usize..], extent.offset + head.len);
        match (&parent, &head.kind) {
            (b"file", b"ftyp") => self.brand = self.brand.or(body.rest().first_chunk().copied()),
            (b"moov", b"mvhd") => self.movie.read_mvhd(body)?,
            // People's notes: what cannot be read there stays unread.
            (b"moov", b"udta" | b"meta") => self.movie.read_notes(head.kind, body),
            (b"mvex", b"trex") => {
                if self.defaults.len() < MAX_TRACKS {
                    self.defaults.push(read_trex(body)?);
                }
            }
            _ => {
                let Some(track) = self.tracks.last_mut() else {
                    return Err(damaged("a track's box lies outside of tracks", extent.offset));
                };
                match &head.kind {
                    b"tkhd" => track.read_tkhd(body)?,
                    b"udta" => track.read_udta(body),
                    b"tref" => track.read_tref(body),
                    b"elst" => track.edits = read_elst(body)?,
                    b"mdhd" => track.read_mdhd(body)?,
                    b"hdlr" => track.read_hdlr(body)?,
                    b"elng" => track.read_elng(body),
                    b"dinf" => track.read_dinf(body)?,
                    b"stsd" => track.stsd = body.rest().to_vec(),
                    _ => track.media_header = bytes.to_vec(),
                }
            }
        }
        self.position = extent.end();
        Ok(Step::Go)
    }

    fn note_table(&mut self, head: Head) -> Result<Step, MediaError> {
        let (at, end) = (self.position, self.position + head.size);
        // Version, flags and counts: at most 12 bytes.
        let fixed = (head.size - head.len).min(12);
        let Some(bytes) = self.window.get(Extent { offset: at, len: head.len + fixed }) else {
            return Ok(Step::Need(Extent { offset: at, len: head.size.min(READ) }));
        };
        let (header, fields) = bytes.split_at(head.len as usize);
        let mut body = Reader::new(fields, at + head.len);
        let Some(track) = self.tracks.last_mut() else {
            return Err(damaged("a sample table lies outside of tracks", at));
        };
        let tables = &mut track.tables;
        let table = |mut body: Reader<'_>, width: u8| {
            body.full()?;
            let count = u64::from(body.u32()?);
            Table::new(body.at(), count, width, end - body.at())
        };
        match &head.kind {
            b"stts" => tables.durations = table(body, 8)?,
            b"ctts" => tables.offsets = Some(table(body, 8)?),
            b"stsc" => tables.chunk_runs = table(body, 12)?,
            b"stco" => tables.chunks = table(body, 4)?,
            b"co64" => tables.chunks = table(body, 8)?,
            b"stss" => tables.syncs = Some(table(body, 4)?),
            b"stsz" | b"stz2" => {
                body.full()?;
                let first = body.u32()?;
                let count = u64::from(body.u32()?);
                let table = |count, width| Table::new(body.at(), count, width, end - body.at());
                tables.sizes = match (&head.kind, first & 0xff) {
                    (b"stz2", 4) => Sizes::Nibbles { table: table(count.div_ceil(2), 1)?, count },
                    (b"stz2", 8) => Sizes::Each(table(count, 1)?),
                    (b"stz2", 16) => Sizes::Each(table(count, 2)?),
                    (b"stz2", _) => return Err(damaged("sample sizes of an unknown width", at)),
                    _ if first == 0 => Sizes::Each(table(count, 4)?),
                    _ => {
                        // Nothing else bounds this count.
                        if count.saturating_mul(u64::from(first)) > self.source_len {
                            return Err(damaged("a track is larger than its file", at));
                        }
                        Sizes::Same { size: first, count }
                    }
                };
            }
            _ => {}
        }
        self.header.keep(at, header);
        self.position = end;
        Ok(Step::Go)
    }

    fn read_moof(&mut self, head: Head) -> Result<Step, MediaError> {
        let extent = Extent { offset: self.position, len: head.size };
        if head.size > MAX_MOOF {
            return Err(MediaError::TooMuch { what: "bytes in one fragment's index", limit: MAX_MOOF });
        }
        let Some(bytes) = self.window.get(extent) else {
            let room = self.source_len - self.position;
            return Ok(Step::Need(Extent { len: head.size.max(HOP).min(room), ..extent }));
        };
        if self.seen_moov {
            self.first_fragment.get_or_insert(self.position);
            for traf in parse_moof(bytes, extent.offset, &self.defaults)? {
                let Some(track) = self.tracks.iter_mut().find(|track| track.id == traf.track_id) else {
                    continue;
                };
                let stats = &mut track.fragments;
                let mut dts = traf.dts.unwrap_or(stats.end);
                stats.first_dts.get_or_insert(dts);
                stats.goes_back |= dts.saturating_add(u64::from(track.timescale)) <= stats.end;
                let mut samples = MoofSamples::new(traf.truns);
                while let Some(run) = samples.run(bytes, dts)? {
                    check_size(run.size)?;
                    samples.advance(run.count, run.size);
                    let took = run.count.saturating_mul(u64::from(run.size));
                    let end = run.position.saturating_add(took);
                    if end > self.source_len {
                        return Err(MediaError::Truncated { missing: end - self.source_len });
                    }
                    let lasted = run.count.saturating_mul(u64::from(run.duration));
                    dts = dts.saturating_add(lasted);
                    stats.bytes = stats.bytes.saturating_add(took);
                    if dts > MAX_TIME || stats.bytes > self.source_len {
                        return Err(damaged("a fragment's times or sizes are impossible", run.position));
                    }
                    stats.duration = stats.duration.saturating_add(lasted);
                    stats.samples += run.count;
                    stats.syncs += if is_sync(run.flags) { run.count } else { 0 };
                    stats.least_offset = stats.least_offset.min(run.offset);
                    track.shown_until = track.shown_until.max(run.shown_until());
                    stats.note_duration(run.duration);
                }
                stats.end = dts;
            }
        }
        self.position = extent.end();
        Ok(Step::Go)
    }
}

fn read_trex(mut body: Reader<'_>) -> Result<Defaults, MediaError> {
    body.full()?;
    Ok(Defaults {
        track_id: body.u32()?,
        description: body.u32()?,
        duration: body.u32()?,
        size: body.u32()?,
        flags: body.u32()?,
    })
}

pub(crate) fn read_elst(mut body: Reader<'_>) -> Result<Vec<Edit>, MediaError> {
    let (version, _) = body.full()?;
    let count = u64::from(body.u32()?);
    let width = if version == 1 { 20 } else { 12 };
    Table::new(body.at(), count, width, body.rest().len() as u64)?;
    let mut edits = Vec::new();
    for _ in 0..count.min(MAX_EDITS) {
        let duration = body.u32_or_u64(version)?;
        let media_time = if version == 1 { body.u64()? as i64 } else { i64::from(body.u32()? as i32) };
        let rate = body.u32()? as i32;
        if duration > MAX_TIME || media_time.unsigned_abs() > MAX_TIME {
            return Err(damaged("an edit has impossible times", body.at()));
        }
        edits.push(Edit { duration, media_time, rate });
    }
    Ok(edits)
}

/// Whether a file of ours may begin with this box.
fn starts_movie(kind: FourCc) -> bool {
    matches!(&kind, b"ftyp" | b"styp" | b"pnot" | b"PICT") || known_at_top(kind)
}

fn known_at_top(kind: FourCc) -> bool {
    matches!(
        &kind,
        b"ftyp"
            | b"moov"
            | b"mdat"
            | b"moof"
            | b"free"
            | b"skip"
            | b"wide"
            | b"uuid"
            | b"udta"
            | b"meta"
            | b"sidx"
            | b"mfra"
            | b"styp"
            | b"emsg"
            | b"prft"
            | b"pdin"
            | b"junk"
    )
}

/// What a file that is no MP4 seems to be.
fn what_else(bytes: &[u8]) -> MediaError {
    let format = match bytes {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "Matroska and WebM",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => "AVI",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "WAV",
        [b'O', b'g', b'g', b'S', ..] => "Ogg",
        [b'f', b'L', b'a', b'C', ..] => "FLAC",
        [b'F', b'L', b'V', 1, ..] => "Flash video",
        [b'I', b'D', b'3', ..] => "MP3",
        [0x30, 0x26, 0xb2, 0x75, ..] => "Windows Media",
        [0, 0, 1, 0xba, ..] => "MPEG program stream",
        _ if bytes.first() == Some(&0x47) && bytes.get(188) == Some(&0x47) => "MPEG transport stream",
        _ if bytes.get(4) == Some(&0x47) && bytes.get(196) == Some(&0x47) => "MPEG transport stream (M2TS)",
        _ => return MediaError::NotMedia,
    };
    MediaError::UnsupportedFormat { format }
}
