//! What the source's header says about the movie and its tracks, before it becomes a [`Movie`](crate::Movie).

use gloaming_ids::UnixMillis;

use crate::{
    MediaError, TrackKind,
    boxes::{FourCc, Reader, damaged},
    codec::Layout,
    notes,
    tables::Tables,
};

/// No transformation: the matrix of `mvhd` and `tkhd` that leaves a picture as it is.
pub(crate) const UPRIGHT: [u8; 36] = {
    let mut matrix = [0; 36];
    matrix[1] = 1;
    matrix[17] = 1;
    matrix[32] = 0x40;
    matrix
};

/// The `rate` of an edit that plays as it is.
pub(crate) const NORMAL_SPEED: i32 = 0x1_0000;

/// One entry of `elst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// In the movie's timescale.
    pub(crate) duration: u64,
    /// In the track's timescale; negative: nothing is shown.
    pub(crate) media_time: i64,
    /// 16.16 fixed point.
    pub(crate) rate: i32,
}

impl Edit {
    /// At normal speed.
    pub(crate) fn new(duration: u64, media_time: i64) -> Edit {
        Edit { duration, media_time, rate: NORMAL_SPEED }
    }
}

/// `mvhd` and what people wrote into `udta` and `meta`.
#[derive(Clone, Debug)]
pub(crate) struct MovieHeader {
    pub(crate) timescale: u32,
    pub(crate) creation: u64,
    pub(crate) modification: u64,
    pub(crate) matrix: [u8; 36],
    /// Dates from notes, the better ones first.
    pub(crate) creation_date: Option<UnixMillis>,
    pub(crate) day: Option<UnixMillis>,
}

impl Default for MovieHeader {
    fn default() -> Self {
        MovieHeader {
            timescale: 1000,
            creation: 0,
            modification: 0,
            matrix: UPRIGHT,
            creation_date: None,
            day: None,
        }
    }
}

impl MovieHeader {
    pub(crate) fn read_mvhd(&mut self, mut body: Reader<'_>) -> Result<(), MediaError> {
        let (version, _) = body.full()?;
        self.creation = body.u32_or_u64(version)?;
        self.modification = body.u32_or_u64(version)?;
        // Zero is written by broken tools; then the usual millisecond is as good as any.
        self.timescale = Some(body.u32()?).filter(|&t| t > 0).unwrap_or(1000);
        body.u32_or_u64(version)?;
        body.skip(16)?;
        self.matrix = body.array()?;
        Ok(())
    }

    pub(crate) fn read_notes(&mut self, kind: FourCc, body: Reader<'_>) {
        let found = notes::dates(kind, body);
        self.creation_date = self.creation_date.or(found.creation_date);
        self.day = self.day.or(found.day);
    }

    /// When it was made.
    pub(crate) fn created(&self) -> Option<UnixMillis> {
        /// From 1904, where QuickTime's clock starts, to 1970.
        const EPOCH: u64 = 2_082_844_800;
        let mvhd = self.creation.checked_sub(EPOCH).filter(|&s| s > 0).and_then(|s| s.checked_mul(1000));
        self.creation_date.or(self.day).or(mvhd.map(UnixMillis))
    }
}

/// Sums over samples, by tables and by fragments.
#[derive(Clone, Debug, Default)]
pub(crate) struct FragmentStats {
    pub(crate) first_dts: Option<u64>,
    pub(crate) end: u64,
    pub(crate) samples: u64,
    pub(crate) syncs: u64,
    pub(crate) bytes: u64,
    pub(crate) duration: u64,
    pub(crate) least_offset: i32,
    /// A fragment begins a second or more before the one before it ends.
    pub(crate) goes_back: bool,
    /// The first sample's duration, how many samples have the same, and how many have been counted.
    first_duration: u32,
    alike: u64,
    counted: u64,
}

impl FragmentStats {
    pub(crate) fn note_duration(&mut self, duration: u32) {
        self.note_durations(duration, 1);
    }

    pub(crate) fn note_durations(&mut self, duration: u32, count: u64) {
        if self.counted == 0 {
            self.first_duration = duration;
        }
        self.counted += count;
        self.alike += if duration == self.first_duration { count } else { 0 };
    }

    /// The duration that every sample has; the last one may differ.
    pub(crate) fn constant_duration(&self) -> Option<u32> {
        (self.first_duration > 0 && self.alike + 1 >= self.counted).then_some(self.first_duration)
    }
}

/// One `trak`.
#[derive(Clone, Debug)]
pub(crate) struct SourceTrack {
    pub(crate) id: u32,
    pub(crate) flags: u32,
    pub(crate) layer: u16,
    pub(crate) group: u16,
    pub(crate) volume: u16,
    pub(crate) matrix: [u8; 36],
    /// 16.16 fixed point.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) creation: u64,
    pub(crate) modification: u64,
    pub(crate) timescale: u32,
    /// As `mdhd` packs it.
    pub(crate) language: u16,
    pub(crate) extended_language: Option<String>,
    pub(crate) handler: FourCc,
    pub(crate) handler_name: Vec<u8>,
    pub(crate) name: Option<String>,
    /// `vmhd`, `smhd`, `gmhd`…, whole.
    pub(crate) media_header: Vec<u8>,
    /// For each entry of `dref`: whether it means this file.
    pub(crate) references: Vec<bool>,
    /// The body of `stsd`.
    pub(crate) stsd: Vec<u8>,
    pub(crate) edits: Vec<Edit>,
    /// Tracks that hold this one's chapters.
    pub(crate) chapters: Vec<u32>,
    pub(crate) tables: Tables,
    pub(crate) table_duration: u64,
    pub(crate) table_bytes: u64,
    pub(crate) table_syncs: u64,
    pub(crate) least_offset: i32,
    /// Media time at which the last sample is no longer shown: later than decode times end, by the reorder delay.
    pub(crate) shown_until: u64,
    pub(crate) fragments: FragmentStats,
}

impl Default for SourceTrack {
    fn default() -> Self {
        SourceTrack {
            id: 0,
            flags: 3,
            layer: 0,
            group: 0,
            volume: 0,
            matrix: UPRIGHT,
            width: 0,
            height: 0,
            creation: 0,
            modification: 0,
            timescale: 0,
            language: UNDETERMINED,
            extended_language: None,
            handler: *b"    ",
            handler_name: Vec::new(),
            name: None,
            media_header: Vec::new(),
            references: Vec::new(),
            stsd: Vec::new(),
            edits: Vec::new(),
            chapters: Vec::new(),
            tables: Tables::default(),
            table_duration: 0,
            table_bytes: 0,
            table_syncs: 0,
            least_offset: 0,
            shown_until: 0,
            fragments: FragmentStats::default(),
        }
    }
}

/// `und`, packed.
const UNDETERMINED: u16 = 0x55c4;

impl SourceTrack {
    pub(crate) fn read_tkhd(&mut self, mut body: Reader<'_>) -> Result<(), MediaError> {
        let (version, flags) = body.full()?;
        self.flags = flags;
        self.creation = body.u32_or_u64(version)?;
        self.modification = body.u32_or_u64(version)?;
        self.id = body.u32()?;
        body.skip(4)?;
        body.u32_or_u64(version)?;
        body.skip(8)?;
        self.layer = body.u16()?;
        self.group = body.u16()?;
        self.volume = body.u16()?;
        body.skip(2)?;
        self.matrix = body.array()?;
        self.width = body.u32()?;
        self.height = body.u32()?;
        Ok(())
    }

    pub(crate) fn read_mdhd(&mut self, mut body: Reader<'_>) -> Result<(), MediaError> {
        let (version, _) = body.full()?;
        body.u32_or_u64(version)?;
        body.u32_or_u64(version)?;
        let at = body.at();
        self.timescale = body.u32()?;
        body.u32_or_u64(version)?;
        self.language = body.u16()?;
        if self.timescale == 0 { Err(damaged("a track has no clock", at)) } else { Ok(()) }
    }

    pub(crate) fn read_hdlr(&mut self, mut body: Reader<'_>) -> Result<(), MediaError> {
        body.skip(8)?;
        self.handler = body.array()?;
        body.skip(12)?;
        // QuickTime counts its letters in front, ISO ends them with a zero.
        let name = match body.rest() {
            [len, text @ ..] if usize::from(*len) == text.len() => text,
            text => text,
        };
        let len = name.iter().position(|&c| c == 0).unwrap_or(name.len());
        self.handler_name = name[..len.min(255)].to_vec();
        Ok(())
    }

    pub(crate) fn read_elng(&mut self, mut body: Reader<'_>) {
        if body.full().is_ok() {
            let text = body.rest();
            let len = text.iter().position(|&c| c == 0).unwrap_or(text.len());
            self.extended_language = std::str::from_utf8(&text[..len])
                .ok()
                .filter(|tag| {
                    (2..=35).contains(&tag.len())
                        && tag.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
                })
                .map(str::to_owned);
        }
    }

    pub(crate) fn read_udta(&mut self, body: Reader<'_>) {
        self.name = notes::name(body).or(self.name.take());
    }

    pub(crate) fn read_tref(&mut self, body: Reader<'_>) {
        if let Ok(Some(chapters)) = body.find(b"chap") {
            let mut ids = chapters.body;
            while let (true, Ok(id)) = (self.chapters.len() < 16, ids.u32()) {
                self.chapters.push(id);
            }
        }
    }

    pub(crate) fn read_dinf(&mut self, body: Reader<'_>) -> Result<(), MediaError> {
        const MAX: usize = 64;
        let Some(dref) = body.find(b"dref")? else { return Ok(()) };
        let mut dref = dref.body;
        dref.skip(8)?;
        self.references.clear();
        while let Some(mut entry) = dref.child()? {
            if self.references.len() == MAX {
                return Err(MediaError::TooMuch { what: "data references", limit: MAX as u64 });
            }
            let (_, flags) = entry.body.full()?;
            self.references.push(flags & 1 != 0);
        }
        Ok(())
    }

    pub(crate) fn layout(&self) -> Layout {
        match &self.handler {
            b"vide" | b"auxv" | b"pict" => Layout::Visual,
            b"soun" => Layout::Audio,
            _ => Layout::Other,
        }
    }

    pub(crate) fn kind(&self) -> TrackKind {
        match &self.handler {
            b"vide" => TrackKind::Video,
            b"soun" => TrackKind::Audio,
            b"text" | b"sbtl" | b"subt" | b"subp" | b"clcp" => TrackKind::Subtitle,
            b"meta" | b"tmcd" | b"camm" | b"gpmd" => TrackKind::Metadata,
            _ => TrackKind::Other,
        }
    }

    pub(crate) fn language(&self) -> String {
        if let Some(tag) = &self.extended_language {
            return tag.clone();
        }
        let letters = [10, 5, 0].map(|shift| 0x60 + (self.language >> shift & 31) as u8);
        if self.language >= 0x400 && letters.iter().all(u8::is_ascii_lowercase) {
            letters.iter().map(|&c| char::from(c)).collect()
        } else {
            // Below 0x400 it is one of Macintosh's own codes, of which only English is common.
            if self.language == 0 { "eng" } else { "und" }.to_owned()
        }
    }

    /// Clockwise, in degrees.
    pub(crate) fn rotation(&self) -> u16 {
        let at = |n: usize| i32::from_be_bytes([0, 1, 2, 3].map(|i| self.matrix[n * 4 + i]));
        match (at(0).signum(), at(1).signum()) {
            (0, 1) => 90,
            (-1, 0) => 180,
            (0, -1) => 270,
            _ => 0,
        }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.tables.sizes.count().saturating_add(self.fragments.samples)
    }

    pub(crate) fn sync_samples(&self) -> u64 {
        self.table_syncs.saturating_add(self.fragments.syncs)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.table_bytes.saturating_add(self.fragments.bytes)
    }

    pub(crate) fn duration(&self) -> u64 {
        self.table_duration.saturating_add(self.fragments.duration)
    }

    /// Decode time of the first sample, as the source has it.
    pub(crate) fn first_dts(&self) -> u64 {
        if self.tables.sizes.count() > 0 { 0 } else { self.fragments.first_dts.unwrap_or(0) }
    }

    /// Decode time of the end.
    pub(crate) fn end(&self) -> u64 {
        if self.fragments.samples > 0 { self.fragments.end } else { self.table_duration }
    }
}
