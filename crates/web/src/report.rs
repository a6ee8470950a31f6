//! What a track is, in words for people.

use gloaming_client::Inspected;
use gloaming_media::{Support, TrackInfo, TrackKind, plays_in};
use gloaming_package::{Kind, Track};

use crate::{
    convert::sentence,
    wire::{Plays, Probe, TrackReport},
};

pub(crate) fn probe(inspected: &Inspected, name: &str) -> Probe {
    let movie = &inspected.movie;
    Probe {
        name: name.into(),
        bytes: inspected.stamp.len,
        format: movie.format().into(),
        duration_ms: u64::try_from(movie.duration().as_millis()).unwrap_or(u64::MAX),
        captured_at: movie.created().map(|at| at.0),
        tracks: movie.tracks().iter().map(track).collect(),
        warnings: movie.warnings().iter().map(|warning| sentence(&warning.to_string())).collect(),
        already: inspected.already.map(|video| video.to_string()),
    }
}

pub(crate) fn track(info: &TrackInfo) -> TrackReport {
    let kind = match info.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
        TrackKind::Subtitle => "subtitle",
        TrackKind::Metadata => "metadata",
        TrackKind::Other => "other",
    };
    let facts = Facts {
        size: displayed(info.width, info.height, info.rotation),
        frame_rate: info.frame_rate,
        hdr: info.hdr,
        channels: info.channels,
        sample_rate: info.sample_rate,
        bitrate: info.bitrate,
        encrypted: info.encrypted,
    };
    report(kind, &info.codec, &info.language, &facts)
}

/// The same of a track that is stored.
pub(crate) fn stored(about: &Track) -> TrackReport {
    let kind = match about.kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
        Kind::Subtitle => "subtitle",
        Kind::Metadata => "metadata",
        Kind::Other | Kind::Attachment => "other",
    };
    let facts = Facts {
        size: displayed(about.width, about.height, about.rotation),
        frame_rate: about.frame_rate,
        hdr: about.hdr,
        channels: about.channels,
        sample_rate: about.sample_rate,
        bitrate: about.bitrate,
        encrypted: about.encrypted,
    };
    report(kind, &about.codec, &about.language, &facts)
}

/// What is said of a track, wherever it is known from.
struct Facts {
    size: (u32, u32),
    frame_rate: Option<(u32, u32)>,
    hdr: bool,
    channels: u16,
    sample_rate: u32,
    bitrate: u64,
    encrypted: bool,
}

fn report(kind: &'static str, codec: &str, language_tag: &str, facts: &Facts) -> TrackReport {
    TrackReport {
        kind,
        codec: codec.into(),
        codec_name: codec_name(codec).into(),
        language: language(language_tag),
        detail: detail(kind, facts),
        plays: plays(codec),
    }
}

/// None for `und`, which says nothing.
pub(crate) fn language(language: &str) -> Option<String> {
    (!language.is_empty() && language != "und").then(|| language.to_owned())
}

/// "On some devices" counts as yes: whoever plays here asks this very browser.
fn plays(codec: &str) -> Plays {
    let support = plays_in(codec);
    let plays = |support| support != Support::No;
    Plays {
        chromium: plays(support.chromium),
        firefox: plays(support.firefox),
        safari: plays(support.safari),
        here: None,
    }
}

/// What people call a codec; the codec string itself where they have no name for it.
fn codec_name(codec: &str) -> &str {
    match codec.split('.').next().unwrap_or(codec) {
        "avc1" | "avc3" => "H.264",
        "hvc1" | "hev1" => "HEVC",
        "dvh1" | "dvhe" | "dva1" | "dvav" => "Dolby Vision",
        "vp08" => "VP8",
        "vp09" => "VP9",
        "av01" => "AV1",
        "apch" | "apcn" | "apcs" | "apco" | "ap4h" | "ap4x" => "ProRes",
        "jpeg" | "mjpg" | "mjpa" => "Motion JPEG",
        "mp4v" => "MPEG-4 Video",
        "mp4a" if codec.starts_with("mp4a.6") => "MP3",
        "mp4a" => "AAC",
        "mp3" | ".mp3" => "MP3",
        "Opus" | "opus" => "Opus",
        "fLaC" | "flac" => "FLAC",
        "alac" => "Apple Lossless",
        "ac-3" => "Dolby Digital",
        "ec-3" => "Dolby Digital Plus",
        "ac-4" => "Dolby AC-4",
        "dtsc" | "dtsh" | "dtsl" | "dtse" => "DTS",
        "lpcm" | "sowt" | "twos" | "in24" | "in32" | "fl32" | "fl64" | "raw " | "ipcm" | "fpcm" => "PCM",
        "tx3g" | "text" => "Timed text",
        "wvtt" => "WebVTT",
        "stpp" => "TTML",
        "tmcd" => "Time code",
        "gpmd" => "GoPro telemetry",
        "mebx" | "mett" | "metx" => "Timed metadata",
        _ => codec,
    }
}

fn detail(kind: &str, facts: &Facts) -> String {
    let mut out = String::new();
    let mut add = |text: String| {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&text);
    };
    if kind == "video" {
        add(format!("{}×{}", facts.size.0, facts.size.1));
        if let Some((frames, seconds)) = facts.frame_rate {
            let rate = format!("{:.2}", f64::from(frames) / f64::from(seconds.max(1)));
            add(format!("{} fps", rate.trim_end_matches('0').trim_end_matches('.')));
        }
    }
    if facts.hdr {
        add("HDR".into());
    }
    match facts.channels {
        0 => {}
        1 => add("mono".into()),
        2 => add("stereo".into()),
        6 => add("5.1".into()),
        8 => add("7.1".into()),
        n => add(format!("{n} channels")),
    }
    if facts.sample_rate > 0 {
        add(format!("{} kHz", f64::from(facts.sample_rate) / 1000.0));
    }
    match facts.bitrate {
        0 => {}
        bits @ 1..1_000_000 => add(format!("{} kbit/s", bits.div_ceil(1000))),
        bits => add(format!("{:.1} Mbit/s", bits as f64 / 1e6)),
    }
    if facts.encrypted {
        add("protected by its publisher".into());
    }
    out
}

/// As it stands on the screen.
fn displayed(width: u32, height: u32, rotation: u16) -> (u32, u32) {
    if rotation % 180 == 90 { (height, width) } else { (width, height) }
}
