use std::{fmt::Write, path::PathBuf};

use clap::Args;
use gloaming_ids::UnixMillis;
use gloaming_media::{Movie, Playback, Support, TrackInfo, TrackKind, plays_in};
use serde::Serialize;

use crate::{Run, failure::Failure, native::Source, terminal::Terminal};

/// Say what a file is: its tracks, how long it plays, and where.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gloaming probe holiday.mov")]
pub(crate) struct Probe {
    /// The video.
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    format: String,
    seconds: f64,
    bytes: u64,
    created: Option<UnixMillis>,
    tracks: Vec<Track>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Track {
    #[serde(flatten)]
    info: TrackInfo,
    seconds: f64,
    plays: Playback,
}

impl Run for Probe {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let source = Source::open(&self.file)?;
        let movie = source.probe()?;
        terminal.print(&report(&movie, source.len()), text);
        Ok(())
    }
}

fn report(movie: &Movie, bytes: u64) -> Report {
    let track = |info: &TrackInfo| Track {
        info: info.clone(),
        seconds: info.duration as f64 / f64::from(info.timescale.get()),
        plays: plays_in(&info.codec),
    };
    Report {
        format: movie.format().to_owned(),
        seconds: movie.duration().as_secs_f64(),
        bytes,
        created: movie.created(),
        tracks: movie.tracks().iter().map(track).collect(),
        warnings: movie.warnings().iter().map(ToString::to_string).collect(),
    }
}

fn text(report: &Report) -> String {
    let mut out = format!("{}, {}, {} bytes\n", report.format, clock(report.seconds), report.bytes);
    for (number, track) in report.tracks.iter().enumerate() {
        let info = &track.info;
        let what = match info.kind {
            TrackKind::Video => "video",
            TrackKind::Audio => "audio",
            TrackKind::Subtitle => "subtitle",
            TrackKind::Metadata => "metadata",
            TrackKind::Other => "other",
        };
        let _ = write!(out, "  {number}  {what:<9} {:<18}", info.codec);
        if info.kind == TrackKind::Video {
            let _ = write!(out, " {}×{}", info.width, info.height);
            if let Some((numerator, denominator)) = info.frame_rate {
                let _ = write!(out, " {:.2} fps", f64::from(numerator) / f64::from(denominator.max(1)));
            }
            if info.rotation != 0 {
                let _ = write!(out, " turned by {}°", info.rotation);
            }
            if info.hdr {
                out.push_str(" HDR");
            }
        }
        if info.kind == TrackKind::Audio {
            let _ = write!(out, " {} channels {} Hz", info.channels, info.sample_rate);
        }
        let _ = write!(out, " {} kbit/s {}", info.bitrate / 1000, info.language);
        if matches!(info.kind, TrackKind::Video | TrackKind::Audio) {
            let _ = write!(out, "\n     plays in {}", places(track.plays));
        }
        out.push('\n');
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "  note: {warning}");
    }
    out
}

fn places(plays: Playback) -> String {
    let place = |name: &str, support| match support {
        Support::Yes => Some(name.to_owned()),
        Support::Some => Some(format!("{name} (on some devices)")),
        Support::No => None,
    };
    let places: Vec<_> =
        [place("Chrome", plays.chromium), place("Firefox", plays.firefox), place("Safari", plays.safari)]
            .into_iter()
            .flatten()
            .collect();
    if places.is_empty() {
        "no browser; kept all the same, for download".to_owned()
    } else {
        places.join(", ")
    }
}

fn clock(seconds: f64) -> String {
    let whole = seconds as u64;
    format!("{}:{:02}:{:06.3}", whole / 3600, whole / 60 % 60, seconds % 60.0)
}
