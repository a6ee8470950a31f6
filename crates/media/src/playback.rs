//! Where codecs play through Media Source Extensions.
//!
//! Chromium and Firefox were asked (`MediaSource.isTypeSupported`) on Linux, Safari's column is from its
//! documentation. A player must still ask its own browser; this table is for those who decide before uploading.

use serde::Serialize;

/// Whether a browser plays a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// On every device that runs the browser.
    Yes,
    /// Depends on the device or the system (hardware decoders, version).
    Some,
    /// Nowhere.
    No,
}

/// Where a codec plays without re-encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Playback {
    /// Chrome, Edge, Brave and the like.
    pub chromium: Support,
    /// Firefox.
    pub firefox: Support,
    /// Safari, and every browser on iOS.
    pub safari: Support,
}

impl Playback {
    const fn new(chromium: Support, firefox: Support, safari: Support) -> Playback {
        Playback { chromium, firefox, safari }
    }
}

/// Where an RFC 6381 codec string (or a bare fourcc) plays.
pub fn plays_in(codec: &str) -> Playback {
    use Support::{No, Some, Yes};
    let entry = codec.split('.').next().unwrap_or(codec);
    match entry {
        "avc1" | "avc3" => match codec.get(5..7) {
            // High 10, High 4:2:2 and High 4:4:4: Chromium claims them, Firefox does not, Safari's decoder has none.
            std::option::Option::Some("6E" | "6e" | "7A" | "7a" | "F4" | "f4") => Playback::new(Yes, No, No),
            _ => Playback::new(Yes, Yes, Yes),
        },
        // Hardware only in Chromium (none on Linux).
        "hvc1" | "hev1" => Playback::new(Some, Yes, Yes),
        "dvh1" | "dvhe" | "dva1" | "dvav" => Playback::new(No, No, Some),
        "vp09" => Playback::new(Yes, Yes, Some),
        "av01" => Playback::new(Yes, Yes, Some),
        "mp4a" => match codec {
            "mp4a.40.42" => Playback::new(No, No, Yes),
            "mp4a.6B" | "mp4a.69" => Playback::new(No, Some, Yes),
            _ if codec.starts_with("mp4a.40") || codec == "mp4a.67" => Playback::new(Yes, Yes, Yes),
            _ => Playback::new(No, No, No),
        },
        "mp3" => Playback::new(No, Yes, Yes),
        "Opus" | "opus" | "fLaC" | "flac" => Playback::new(Yes, Yes, Some),
        "ac-3" | "ec-3" | "alac" => Playback::new(No, No, Yes),
        "wvtt" | "stpp" => Playback::new(No, No, Yes),
        _ => Playback::new(No, No, No),
    }
}
