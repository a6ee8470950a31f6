use std::{fmt, num::NonZeroU32, time::Duration};

use gloaming_ids::UnixMillis;
use serde::Serialize;

use crate::{cursor::Cursor, timeline::Timeline};

/// What a file turned out to be. Made by [`Demuxer::finish`](crate::Demuxer::finish), consumed by
/// [`Planner::new`](crate::Planner::new), which gives its description back through
/// [`Planner::movie`](crate::Planner::movie).
#[derive(Clone, Debug)]
pub struct Movie {
    pub(crate) format: String,
    pub(crate) duration: Duration,
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) created: Option<UnixMillis>,
    pub(crate) source_header: Vec<u8>,
    pub(crate) warnings: Vec<Warning>,
    /// For each track, where its samples are.
    pub(crate) sources: Vec<Source>,
}

/// What the planner needs to know about a track.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) kind: TrackKind,
    pub(crate) timescale: NonZeroU32,
    pub(crate) enabled: bool,
    pub(crate) samples: u64,
    pub(crate) timeline: Timeline,
    pub(crate) cursor: Cursor,
}

impl Movie {
    /// The container's name: `MP4`, `QuickTime`, `Fragmented MP4`.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// How long the longest track plays, edit lists applied.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The tracks that hold samples, in the source's order. A track's position here is its number everywhere else,
    /// and its `track_ID` in the segments is that position plus one.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// When it was recorded, if the file says so: QuickTime's `creationdate`, then `©day`, then `mvhd`.
    pub fn created(&self) -> Option<UnixMillis> {
        self.created
    }

    /// Everything in the source that is neither sample table nor media, to be kept as an attachment. See
    /// [`SourceHeader`](crate::SourceHeader) for its framing.
    pub fn source_header(&self) -> &[u8] {
        &self.source_header
    }

    /// What the uploader ought to know. Empty for most files.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Text to be shown with the picture.
    Subtitle,
    /// Timed metadata: GPS, gyroscope, time code, chapters.
    Metadata,
    /// Something else; kept all the same.
    Other,
}

/// One track of a [`Movie`].
#[derive(Clone, Debug, Serialize)]
pub struct TrackInfo {
    /// What it carries.
    pub kind: TrackKind,
    /// `track_ID` in the source.
    pub source_id: u32,
    /// RFC 6381 codec string where one is defined, else the sample entry's fourcc.
    pub codec: String,
    /// The sample entry's type (of the first one, if there are several).
    pub sample_entry: [u8; 4],
    /// Units per second of every time in this track.
    pub timescale: NonZeroU32,
    /// Sum of all samples' durations.
    pub duration: u64,
    /// How many samples.
    pub samples: u64,
    /// Sum of all samples' sizes.
    pub bytes: u64,
    /// BCP 47 where the file has it, else ISO 639-2; `und` when unknown.
    pub language: String,
    /// The track's own name.
    pub name: Option<String>,
    /// Whether the source marks it as enabled; the first enabled track of a kind is the default one.
    pub enabled: bool,
    /// Display width in pixels, before rotation; 0 for anything but pictures and text.
    pub width: u32,
    /// Display height in pixels, before rotation.
    pub height: u32,
    /// How far a player turns the picture, clockwise, in degrees: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Audio channels, else 0.
    pub channels: u16,
    /// Audio samples per second, else 0.
    pub sample_rate: u32,
    /// Average bits per second.
    pub bitrate: u64,
    /// Frames per second as a fraction: exact when every frame lasts equally long, else the average.
    pub frame_rate: Option<(u32, u32)>,
    /// What the `colr` box says.
    pub color: Option<ColorInfo>,
    /// Whether the picture has a high dynamic range (PQ, HLG or Dolby Vision).
    pub hdr: bool,
    /// Whether samples are encrypted already (`encv`, `enca`): kept, but nobody without the key can play them.
    pub encrypted: bool,
    /// How many samples can be decoded on their own; equal to `samples` for most audio.
    pub sync_samples: u64,
    /// Media time at which presentation begins: priming or reorder delay, as written into the init segment's `elst`.
    /// A sample's presentation time is `dts + cts offset - media_time`.
    pub media_time: u64,
    /// CMAF init segment: `ftyp` and `moov`, with `track_ID` = the track's position + 1.
    #[serde(skip)]
    pub init: Vec<u8>,
}

/// ITU-T H.273 code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ColorInfo {
    /// Colour primaries, 9 = BT.2020.
    pub primaries: u16,
    /// Transfer characteristics, 16 = PQ, 18 = HLG.
    pub transfer: u16,
    /// Matrix coefficients.
    pub matrix: u16,
    /// Full (0 to 255) rather than studio range.
    pub full_range: bool,
}

/// Something the uploader ought to know; nothing was lost that is not named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "code")]
#[non_exhaustive]
pub enum Warning {
    /// Several edits (cuts, repeats, speed changes): every packet is kept, playback shows them uncut.
    EditsNotApplied {
        /// Position of the track.
        track: usize,
    },
    /// The source hides the end of a track; every packet is kept and plays.
    EndTrimNotApplied {
        /// Position of the track.
        track: usize,
    },
    /// The timeline began late (a recorded live stream) and was moved to the start.
    TimelineMoved {
        /// By how many whole seconds.
        seconds: u64,
    },
    /// The clock of a fragmented track goes back by a second or more: every packet is kept, players may stumble.
    TimesGoBack {
        /// Position of the track.
        track: usize,
    },
    /// Parts of the source's header were too large to keep beside the video.
    HeaderShortened,
    /// Bytes after the last box, kept in the source header if they fit there.
    TrailingBytes,
    /// The track is encrypted by a DRM system: it is kept, but will not play.
    Encrypted {
        /// Position of the track.
        track: usize,
    },
    /// A track without samples was left out.
    EmptyTrack {
        /// `track_ID` in the source.
        source_id: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::EditsNotApplied { track } => write!(
                f,
                "track {} has been cut or sped up by an edit list; everything is kept, and plays uncut",
                track + 1
            ),
            Warning::EndTrimNotApplied { track } => {
                write!(f, "the end of track {} was hidden by an edit list; it is kept, and plays", track + 1)
            }
            Warning::TimelineMoved { seconds } => {
                write!(
                    f,
                    "the recording starts {seconds} seconds into its timeline; it now starts at the beginning"
                )
            }
            Warning::TimesGoBack { track } => write!(
                f,
                "the clock of track {} goes back in the middle; everything is kept, but may not play well",
                track + 1
            ),
            Warning::HeaderShortened => {
                f.write_str("some metadata of the original file is too large and is not kept")
            }
            Warning::TrailingBytes => f.write_str("the file has unknown data after its end"),
            Warning::Encrypted { track } => {
                write!(f, "track {} is protected by its publisher; it is kept, but will not play", track + 1)
            }
            Warning::EmptyTrack { source_id } => write!(f, "track {source_id} is empty and is left out"),
        }
    }
}
