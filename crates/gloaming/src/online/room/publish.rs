//! What is sent into a room: frames of files that are encoded already, at the times that they are for.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use gloaming_media::{
    Extent, MediaError, Movie, Piece, Plan, PlanOptions, Planner, TrackInfo, TrackKind, read_fragment,
};
use gloaming_room::Codec;

use super::signal::{CAMERA, MIC, SCREEN, SLOTS, SOUND, Sending};
use crate::{
    failure::{Exit, Failure},
    native::Source,
};

/// A frame of sound or picture, as an encoder made it.
#[derive(Debug)]
pub(super) struct Clip {
    pub(super) slot: usize,
    pub(super) codec: Codec,
    /// On the clock of RTP: 90 kHz for pictures, 48 kHz for sound.
    pub(super) time: u32,
    pub(super) bytes: Vec<u8>,
}

/// Frames in order of time. The clock starts with the first one that is asked for.
#[derive(Debug)]
pub(super) struct Program {
    items: Vec<Item>,
    sources: Vec<Option<Source>>,
    next: usize,
    /// Microseconds that were played in rounds before this one.
    before: u64,
    /// Microseconds of one round.
    length: u64,
    again: bool,
    began: Option<Instant>,
    /// The height of what is shared as a screen.
    lines: u32,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    /// Microseconds from the beginning.
    at: u64,
    slot: u8,
    codec: Codec,
    source: u8,
    place: Extent,
}

impl Program {
    /// Files, of which the first goes where a camera and a microphone go, the second where a shared screen does.
    pub(super) fn open(files: &[std::path::PathBuf], again: bool) -> Result<Self, Failure> {
        let mut program = Self::empty(again);
        for (file, (picture, sound)) in files.iter().zip([(CAMERA, MIC), (SCREEN, SOUND)]) {
            program.add(file, picture, sound)?;
        }
        program.items.sort_by_key(|item| item.at);
        Ok(program)
    }

    /// What a camera and a microphone of usual size would send, without anything in it: to measure with.
    pub(super) fn of_noise() -> Self {
        let mut program = Self::empty(true);
        let item = |at: u64, slot: usize, codec, len| Item {
            at,
            slot: u8::try_from(slot).expect("four places"),
            codec,
            source: 0,
            place: Extent { offset: at, len },
        };
        // 24 frames a second at 900 kbit/s, as the page's camera; a second of 50 frames at 40 kbit/s, as its voice.
        program.items.extend((0..24).map(|n| item(n * 1_000_000 / 24, CAMERA, Codec::Vp9, 4_690)));
        program.items.extend((0..50).map(|n| item(n * 20_000, MIC, Codec::Opus, 100)));
        program.items.sort_by_key(|item| item.at);
        program.sources.push(None);
        program.length = 1_000_000;
        program
    }

    fn empty(again: bool) -> Self {
        Self {
            items: Vec::new(),
            sources: Vec::new(),
            next: 0,
            before: 0,
            length: 0,
            again,
            began: None,
            lines: 0,
        }
    }

    fn add(&mut self, path: &Path, picture: usize, sound: usize) -> Result<(), Failure> {
        let source = Source::open(path)?;
        let movie = probe(&source, path)?;
        let mut slots = HashMap::new();
        for (kind, slot) in [(TrackKind::Video, picture), (TrackKind::Audio, sound)] {
            if let Some((track, codec)) = choose(&movie, kind, path)? {
                let info = &movie.tracks()[track];
                slots.insert(track, (slot, codec, info.timescale.get(), info.media_time));
                if slot == SCREEN {
                    self.lines = info.height;
                }
            }
        }
        if slots.is_empty() {
            let message = format!("{} has neither pictures nor sound", path.display());
            return Err(Failure::new(Exit::NotAVideo, "nothing_to_publish", message));
        }
        let number = u8::try_from(self.sources.len()).expect("two files at most");
        let mut planner = Planner::new(movie, PlanOptions::default())?;
        let (mut found, mut least, mut end) = (Vec::new(), i64::MAX, i64::MIN);
        loop {
            let fragment = match planner.next()? {
                Plan::Need(extent) => {
                    planner.feed(extent.offset, &source.read(extent)?)?;
                    continue;
                }
                Plan::Fragment(fragment) => fragment,
                Plan::Done => break,
            };
            let Some((slot, codec, timescale, media_time)) = slots.get(&fragment.track).copied() else {
                continue;
            };
            let micros =
                |ticks: i128| i64::try_from(ticks * 1_000_000 / i128::from(timescale)).unwrap_or(i64::MAX);
            for (place, start, duration, offset) in samples(&fragment.pieces)? {
                let shown = i128::from(start) + i128::from(offset) - i128::from(media_time);
                let at = micros(shown);
                least = least.min(at);
                end = end.max(micros(shown + i128::from(duration)));
                found.push((at, slot, codec, place));
            }
        }
        // Sound that was primed begins a little before zero.
        let shift = least.min(0);
        self.length = self.length.max(u64::try_from(end - shift).unwrap_or(0));
        self.items.extend(found.into_iter().map(|(at, slot, codec, place)| Item {
            at: u64::try_from(at - shift).unwrap_or(0),
            slot: u8::try_from(slot).expect("four places"),
            codec,
            source: number,
            place,
        }));
        self.sources.push(Some(source));
        Ok(())
    }

    /// Which places hold something.
    pub(super) fn sending(&self) -> Sending {
        let has = |slot: usize| self.items.iter().any(|item| usize::from(item.slot) == slot);
        let [mic, camera, screen, sound] = [MIC, CAMERA, SCREEN, SOUND].map(has);
        Sending { mic, camera, screen, sound, lines: self.lines }
    }

    /// Whether there is nothing left to send.
    pub(super) fn is_over(&self) -> bool {
        self.items.is_empty() || (self.next >= self.items.len() && !self.again)
    }

    /// Begins now, if it has not.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// When the next frame is due; `None` before the beginning and after the end.
    pub(super) fn due(&self) -> Option<Instant> {
        let began = self.began.filter(|_| !self.is_over())?;
        let (item, before) = match self.items.get(self.next) {
            Some(item) => (item, self.before),
            None => (self.items.first()?, self.before + self.length),
        };
        Some(began + Duration::from_micros(before + item.at))
    }

    /// The next frame, if it is due.
    pub(super) fn take(&mut self, now: Instant) -> Result<Option<Clip>, Failure> {
        if self.due().is_none_or(|due| due > now) {
            return Ok(None);
        }
        if self.next >= self.items.len() {
            self.before += self.length;
            self.next = 0;
        }
        let item = self.items[self.next];
        self.next += 1;
        let slot = usize::from(item.slot);
        let rate = if SLOTS[slot].video { 90 } else { 48 };
        let bytes = match &self.sources[usize::from(item.source)] {
            Some(source) => source.read(item.place)?,
            None => noise(item.codec, item.place),
        };
        #[expect(clippy::cast_possible_truncation, reason = "RTP's times go round")]
        let time = (u128::from(self.before + item.at) * rate / 1_000) as u32;
        Ok(Some(Clip { slot, codec: item.codec, time, bytes }))
    }
}

fn noise(codec: Codec, place: Extent) -> Vec<u8> {
    let mut bytes = vec![0x55; usize::try_from(place.len).expect("a few kilobytes")];
    // What is looked at: whether it is a key frame.
    bytes[0] = if codec == Codec::Vp9 && place.offset > 0 { 0x86 } else { 0x82 };
    bytes
}

/// How to make of anything what can be sent.
fn convert(path: &Path) -> String {
    format!(
        "Make it into what can be: ffmpeg -i {} -c:v libvpx-vp9 -deadline realtime -row-mt 1 -b:v 2M -g 60 -pix_fmt \
         yuv420p -c:a libopus -b:a 96k room.mp4",
        quoted(path)
    )
}

/// As a word of a command that somebody copies into their shell (POSIX 2.2.2).
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn probe(source: &Source, path: &Path) -> Result<Movie, Failure> {
    const MATROSKA: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
    let head = source.read(Extent { offset: 0, len: source.len().min(4) })?;
    if head == MATROSKA {
        let message = format!(
            "{} is WebM or Matroska, and only MP4 can be read; put the same frames into MP4: ffmpeg -i {} -c copy room.mp4",
            path.display(),
            quoted(path)
        );
        return Err(Failure::new(Exit::NotAVideo, "not_mp4", message));
    }
    source.probe()
}

/// The first track of a kind, which has to be of a codec that rooms have.
fn choose(movie: &Movie, kind: TrackKind, path: &Path) -> Result<Option<(usize, Codec)>, Failure> {
    let tracks = || movie.tracks().iter().enumerate().filter(|(_, track)| track.kind == kind);
    let fit = tracks().find_map(|(number, track)| Some((number, codec_of(track)?)));
    if fit.is_some() {
        return Ok(fit);
    }
    let Some((_, other)) = tracks().next() else { return Ok(None) };
    let (what, codecs) =
        if kind == TrackKind::Video { ("pictures", "VP9 (profile 0) or VP8") } else { ("sound", "Opus") };
    let message = format!(
        "{} has {what} in {}, and a room takes {codecs}. {}",
        path.display(),
        other.codec,
        convert(path)
    );
    Err(Failure::new(Exit::NotAVideo, "codec_not_sealable", message))
}

fn codec_of(track: &TrackInfo) -> Option<Codec> {
    if track.encrypted {
        return None;
    }
    match &track.sample_entry {
        b"vp09" if track.codec.starts_with("vp09.00") => Some(Codec::Vp9),
        b"vp08" => Some(Codec::Vp8),
        b"Opus" => Some(Codec::Opus),
        _ => None,
    }
}

type Sample = (Extent, u64, u32, i32);

/// Where the samples of a fragment are in the source, when they are decoded, for how long, and how much later shown.
fn samples(pieces: &[Piece]) -> Result<Vec<Sample>, MediaError> {
    let mut head = Vec::new();
    let mut extents = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) if extents.is_empty() => head.extend_from_slice(bytes),
            Piece::Literal(_) => return Err(MediaError::WrongRange),
            Piece::Source(extent) => extents.push(*extent),
        }
    }
    let (runs, _) = read_fragment(&head)?;
    let mut out = Vec::new();
    let mut extents = extents.into_iter();
    let mut here = Extent { offset: 0, len: 0 };
    for run in runs {
        for n in 0..run.count {
            while here.len == 0 {
                here = extents.next().ok_or(MediaError::WrongRange)?;
            }
            // A sample lies in the source in one piece.
            let len = u64::from(run.size);
            let rest = here.len.checked_sub(len).ok_or(MediaError::WrongRange)?;
            let start = run.start + n * u64::from(run.duration);
            if len > 0 {
                out.push((Extent { offset: here.offset, len }, start, run.duration, run.offset));
            }
            here = Extent { offset: here.offset + len, len: rest };
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_name_is_one_word_to_a_shell_whatever_is_in_it() {
        for name in ["film.mov", "Grandma's 80th.mov", "$HOME `ls` \"a\\b\".mov", "''"] {
            let echo = format!("printf %s {}", quoted(Path::new(name)));
            let said = std::process::Command::new("sh").args(["-c", &echo]).output().unwrap().stdout;
            assert_eq!(String::from_utf8(said).unwrap(), name);
        }
    }

    #[test]
    fn a_program_that_is_played_again_goes_on_without_a_gap() {
        let mut program = Program::of_noise();
        let start = Instant::now();
        assert_eq!(program.due(), None);
        program.begin(start);
        let mut times = Vec::new();
        while let Some(clip) = program.take(start + Duration::from_millis(2_999)).unwrap() {
            if clip.slot == MIC {
                times.push(clip.time);
            }
        }
        assert_eq!(times, (0..150).map(|n| n * 960).collect::<Vec<_>>());
        assert!(!program.is_over());
    }
}
