//! From what the demuxer saw to a [`Movie`].

use std::{num::NonZeroU32, time::Duration};

use crate::{
    MediaError, Movie, TrackInfo, TrackKind, Warning,
    boxes::{FourCc, Reader, damaged},
    codec::{Entry, parse_stsd},
    cursor::{Cursor, Fragments},
    init::{Init, iso_sound_entries},
    movie::Source,
    timeline::Timeline,
    track::{MovieHeader, SourceTrack},
};

/// A timeline that begins this much later than 0 is moved to its beginning.
const LATE: u64 = 10;

/// Everything the walk found.
pub(crate) struct Parts {
    pub(crate) source_len: u64,
    pub(crate) brand: Option<FourCc>,
    pub(crate) header: MovieHeader,
    pub(crate) tracks: Vec<SourceTrack>,
    pub(crate) fragments: Option<Fragments>,
    pub(crate) shortened: bool,
    pub(crate) trailing: bool,
    pub(crate) source_header: Vec<u8>,
}

pub(crate) fn movie(parts: Parts) -> Result<Movie, MediaError> {
    let mut warnings = Vec::new();
    if parts.shortened {
        warnings.push(Warning::HeaderShortened);
    }
    if parts.trailing {
        warnings.push(Warning::TrailingBytes);
    }
    if parts.tracks.is_empty() {
        return Err(MediaError::NoTracks);
    }
    for track in parts.tracks.iter().filter(|track| track.samples() == 0) {
        warnings.push(Warning::EmptyTrack { source_id: track.id });
    }
    let chapters: Vec<u32> = parts.tracks.iter().flat_map(|track| track.chapters.iter().copied()).collect();
    let mut tracks: Vec<SourceTrack> = parts.tracks.into_iter().filter(|track| track.samples() > 0).collect();
    if tracks.is_empty() {
        return Err(MediaError::NoSamples);
    }
    if tracks.iter().all(|track| track.duration() == 0) {
        return Err(MediaError::NoDuration);
    }

    let mut timelines = Vec::new();
    for track in &mut tracks {
        if track.timescale == 0 {
            return Err(damaged("a track has no clock", 0));
        }
        let least = track.least_offset.min(track.fragments.least_offset);
        timelines.push(Timeline::new(
            &track.edits,
            parts.header.timescale,
            track.timescale,
            least,
            track.end(),
        ));
    }
    warnings.extend(start_at_zero(&tracks, &mut timelines));

    let quicktime = parts.brand.is_none_or(|brand| brand == *b"qt  ");
    let mut movie = Movie {
        format: match (&parts.fragments, quicktime) {
            (Some(_), _) => "Fragmented MP4",
            (None, true) => "QuickTime",
            (None, false) => "MP4",
        }
        .to_owned(),
        duration: Duration::ZERO,
        tracks: Vec::new(),
        created: parts.header.created(),
        source_header: parts.source_header,
        warnings,
        sources: Vec::new(),
    };
    for (number, (track, timeline)) in tracks.iter().zip(&timelines).enumerate() {
        if timeline.edited {
            movie.warnings.push(Warning::EditsNotApplied { track: number });
        }
        if timeline.end_trimmed {
            movie.warnings.push(Warning::EndTrimNotApplied { track: number });
        }
        if track.fragments.goes_back {
            movie.warnings.push(Warning::TimesGoBack { track: number });
        }
        let entries = parse_stsd(Reader::new(&track.stsd, 0), track.layout())?;
        check_references(track, &entries)?;
        let info = describe(number, track, timeline, &entries, &parts.header, quicktime, &chapters)?;
        if info.encrypted {
            movie.warnings.push(Warning::Encrypted { track: number });
        }
        movie.duration = movie.duration.max(plays_for(track, timeline));
        movie.sources.push(Source {
            kind: info.kind,
            timescale: info.timescale,
            enabled: info.enabled,
            samples: info.samples,
            timeline: *timeline,
            cursor: Cursor::new(&track.tables, track.id, parts.fragments.as_ref(), parts.source_len),
        });
        movie.tracks.push(info);
    }
    Ok(movie)
}

/// Recorded streams carry the time since they went on air. Moves all tracks by the same whole seconds, which every
/// clock can express exactly.
fn start_at_zero(tracks: &[SourceTrack], timelines: &mut [Timeline]) -> Option<Warning> {
    let starts = tracks.iter().zip(timelines.iter()).map(|(track, timeline)| {
        let start = i128::from(track.first_dts()) + i128::from(timeline.shift);
        u64::try_from(start / i128::from(track.timescale)).unwrap_or(0)
    });
    // What a fragmented file begins with; tables begin at 0, and their late start is an edit's intention.
    let seconds = starts.min().filter(|&s| s >= LATE && tracks.iter().all(|t| t.first_dts() > 0))?;
    for (track, timeline) in tracks.iter().zip(timelines) {
        timeline.shift -=
            i64::try_from(seconds.saturating_mul(u64::from(track.timescale))).unwrap_or(i64::MAX);
    }
    Some(Warning::TimelineMoved { seconds })
}

fn plays_for(track: &SourceTrack, timeline: &Timeline) -> Duration {
    let units = i128::from(track.shown_until) + i128::from(timeline.shift) - i128::from(timeline.media_time)
        + i128::from(timeline.bias);
    let nanos = units.max(0) * 1_000_000_000 / i128::from(track.timescale);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Media in other files would be missing silently.
fn check_references(track: &SourceTrack, entries: &[Entry]) -> Result<(), MediaError> {
    let external = entries.iter().any(|entry| {
        let number = usize::from(entry.data_reference).checked_sub(1);
        number.and_then(|number| track.references.get(number)) == Some(&false)
    });
    if external {
        return Err(MediaError::UnsupportedFeature { what: "media that is in another file" });
    }
    Ok(())
}

fn describe(
    number: usize,
    track: &SourceTrack,
    timeline: &Timeline,
    entries: &[Entry],
    header: &MovieHeader,
    quicktime: bool,
    chapters: &[u32],
) -> Result<TrackInfo, MediaError> {
    let entry = entries.first().ok_or(damaged("a track does not say what its samples are", 0))?;
    let timescale = NonZeroU32::new(track.timescale).ok_or(damaged("a track has no clock", 0))?;
    let iso_sound = iso_sound_entries(entries);
    let (samples, duration, bytes) = (track.samples(), track.duration(), track.bytes());
    let kind = if chapters.contains(&track.id) { TrackKind::Metadata } else { track.kind() };
    let pixels = |shown: u32, coded: u32| if shown >> 16 > 0 { shown >> 16 } else { coded };
    let shows = matches!(kind, TrackKind::Video | TrackKind::Subtitle);
    let (width, height) =
        if shows { (pixels(track.width, entry.width), pixels(track.height, entry.height)) } else { (0, 0) };
    let init = Init {
        track_id: number as u32 + 1,
        movie: header,
        track,
        stsd: iso_sound.as_deref().unwrap_or(&track.stsd),
        media_time: timeline.media_time,
        duration,
        quicktime: quicktime && iso_sound.is_none() && kind == TrackKind::Audio,
    }
    .write();
    Ok(TrackInfo {
        kind,
        source_id: track.id,
        codec: entry.codec.clone(),
        sample_entry: entry.kind,
        timescale,
        duration,
        samples,
        bytes,
        language: track.language(),
        name: track.name.clone(),
        enabled: track.flags & 1 != 0,
        width,
        height,
        rotation: track.rotation(),
        channels: entry.channels,
        sample_rate: entry.sample_rate,
        bitrate: average_bitrate(bytes, duration, track.timescale),
        frame_rate: if kind == TrackKind::Video { frame_rate(track) } else { None },
        color: entry.color,
        hdr: entry.dolby_vision || entry.color.is_some_and(|color| matches!(color.transfer, 16 | 18)),
        encrypted: entry.encrypted,
        sync_samples: track.sync_samples(),
        media_time: timeline.media_time,
        init,
    })
}

fn average_bitrate(bytes: u64, duration: u64, timescale: u32) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(timescale);
    u64::try_from(bits / u128::from(duration.max(1))).unwrap_or(u64::MAX)
}

/// Frames per second, as a fraction in lowest terms.
fn frame_rate(track: &SourceTrack) -> Option<(u32, u32)> {
    let (mut frames, mut time) = match track.fragments.constant_duration() {
        Some(duration) => (u64::from(track.timescale), u64::from(duration)),
        None => (track.samples().checked_mul(u64::from(track.timescale))?, track.duration()),
    };
    let divisor = gcd(frames, time);
    if divisor == 0 || time == 0 {
        return None;
    }
    (frames, time) = (frames / divisor, time / divisor);
    while frames > u64::from(u32::MAX) || time > u64::from(u32::MAX) {
        (frames, time) = (frames / 2, time / 2);
    }
    Some((u32::try_from(frames).ok()?, u32::try_from(time).ok().filter(|&time| time > 0)?))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
