use std::num::NonZeroU32;

use gloaming_ids::TrackId;
use gloaming_media::{TrackInfo, TrackKind};
use serde::{Deserialize, Serialize};

/// The codec of the attachment that keeps what surrounded the media in the source file.
pub const SOURCE_HEADER: &str = "source-header";

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Text to be shown with the picture.
    Subtitle,
    /// Timed metadata: GPS, gyroscope, time code.
    Metadata,
    /// Something else that has a time.
    Other,
    /// Bytes without a time, such as the source's own header. Its segments, one after another, are the bytes.
    Attachment,
}

/// One track of a stored video, as its index describes it. Times are in units of the track's own `timescale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Random, never reused; part of every key of this track.
    pub id: TrackId,
    /// What it carries.
    pub kind: Kind,
    /// RFC 6381 codec string where one is defined, else the sample entry's fourcc; [`SOURCE_HEADER`].
    pub codec: String,
    /// Units per second; 1 for an attachment.
    pub timescale: NonZeroU32,
    /// Sum of all samples' durations.
    pub duration: u64,
    /// Media time at which presentation begins, as in the init segment's `elst`.
    pub media_time: u64,
    /// How many samples.
    pub samples: u64,
    /// Bytes of samples in all its segments; of an attachment, its length.
    pub media_bytes: u64,
    /// Average bits per second.
    pub bitrate: u64,
    /// BCP 47 or ISO 639-2; `und` when unknown.
    pub language: String,
    /// The track's own name.
    pub name: Option<String>,
    /// Whether the source marks it as enabled; the first enabled one of a kind is the default.
    pub enabled: bool,
    /// Display width in pixels before rotation, else 0.
    pub width: u32,
    /// Display height in pixels before rotation, else 0.
    pub height: u32,
    /// How far a player turns the picture, clockwise, in degrees.
    pub rotation: u16,
    /// Audio channels, else 0.
    pub channels: u16,
    /// Audio samples per second, else 0.
    pub sample_rate: u32,
    /// Frames per second as a fraction.
    pub frame_rate: Option<(u32, u32)>,
    /// ITU-T H.273 transfer characteristics, 16 = PQ, 18 = HLG.
    pub transfer: Option<u16>,
    /// Whether the picture has a high dynamic range.
    pub hdr: bool,
    /// Whether samples are encrypted by somebody else already.
    pub encrypted: bool,
    /// CMAF init segment with `track_ID` = the track's position + 1; empty for an attachment.
    #[serde(with = "serde_bytes")]
    pub init: Vec<u8>,
}

impl Track {
    pub(crate) fn of(info: &TrackInfo, id: TrackId) -> Track {
        Track {
            id,
            kind: match info.kind {
                TrackKind::Video => Kind::Video,
                TrackKind::Audio => Kind::Audio,
                TrackKind::Subtitle => Kind::Subtitle,
                TrackKind::Metadata => Kind::Metadata,
                TrackKind::Other => Kind::Other,
            },
            codec: info.codec.clone(),
            timescale: info.timescale,
            duration: info.duration,
            media_time: info.media_time,
            samples: info.samples,
            media_bytes: 0,
            bitrate: info.bitrate,
            language: info.language.clone(),
            name: info.name.clone(),
            enabled: info.enabled,
            width: info.width,
            height: info.height,
            rotation: info.rotation,
            channels: info.channels,
            sample_rate: info.sample_rate,
            frame_rate: info.frame_rate,
            transfer: info.color.map(|color| color.transfer),
            hdr: info.hdr,
            encrypted: info.encrypted,
            init: info.init.clone(),
        }
    }

    pub(crate) fn attachment(codec: &str, len: u64, id: TrackId) -> Track {
        Track {
            id,
            kind: Kind::Attachment,
            codec: codec.to_owned(),
            timescale: NonZeroU32::MIN,
            duration: 0,
            media_time: 0,
            samples: 0,
            media_bytes: len,
            bitrate: 0,
            language: "und".to_owned(),
            name: None,
            enabled: false,
            width: 0,
            height: 0,
            rotation: 0,
            channels: 0,
            sample_rate: 0,
            frame_rate: None,
            transfer: None,
            hdr: false,
            encrypted: false,
            init: Vec::new(),
        }
    }
}
