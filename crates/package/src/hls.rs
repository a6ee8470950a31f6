//! HLS playlists of a stored video (RFC 8216 and its successor's fMP4; version 7).
//!
//! The master playlist has one variant for each kind of sound beside the default picture: several pictures in one
//! file are several scenes or cameras, and HLS would take them for qualities of the same one. DASH names them all, and
//! each has a playlist of its own.

use std::fmt::Write;

use crate::{
    Index, Kind, Part,
    presentation::{Playable, default_of, playable},
};

/// The master playlist.
pub fn master(index: &Index) -> String {
    let tracks = playable(index);
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    if tracks.iter().all(Playable::independent) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let of = |kind| tracks.iter().filter(move |track| track.about.kind == kind);
    let (video, audio) = (default_of(&tracks, Kind::Video), default_of(&tracks, Kind::Audio));
    for track in of(Kind::Audio) {
        rendition(
            &mut out,
            "AUDIO",
            &audio_group(track),
            track,
            audio.is_some_and(|it| it.number == track.number),
        );
    }
    for track in of(Kind::Subtitle) {
        rendition(&mut out, "SUBTITLES", "text", track, false);
    }
    // One variant for each sound codec, the default's first: a variant names all codecs that it may need.
    let mut codecs: Vec<&str> = Vec::new();
    for track in audio.iter().chain(of(Kind::Audio)) {
        if !codecs.contains(&track.about.codec.as_str()) {
            codecs.push(&track.about.codec);
        }
    }
    let with_text = of(Kind::Subtitle).next().is_some();
    let groups: Vec<_> =
        codecs.iter().map(|codec| of(Kind::Audio).filter(|t| t.about.codec == *codec).collect()).collect();
    for group in if groups.is_empty() { vec![Vec::new()] } else { groups } {
        variant(&mut out, video.as_ref(), &group, with_text);
    }
    out
}

/// One track's playlist, if it is one that plays.
pub fn media(index: &Index, track: u16) -> Option<String> {
    let tracks = playable(index);
    let track = tracks.iter().find(|playable| playable.number == track)?;
    let timescale = f64::from(track.about.timescale.get());
    let lasts = |duration: u64| duration as f64 / timescale;
    // RFC 8216, 4.3.3.1: no segment's duration, rounded to the nearest second, exceeds it.
    let target = track.slots().map(|slot| lasts(slot.duration).round() as u64).max().unwrap_or(1).max(1);
    let mut out = format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n");
    out.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
    if track.independent() {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    out.push_str("#EXT-X-MAP:URI=\"init.mp4\"\n");
    for (number, slot) in track.slots().enumerate() {
        let _ = writeln!(out, "#EXTINF:{:.6},\n{number}.m4s", lasts(slot.duration));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    Some(out)
}

fn rendition(out: &mut String, kind: &str, group: &str, track: &Playable<'_>, default: bool) {
    // Names must differ within a group, so the track's number goes along.
    let name = format!("{} ({})", track.label(), track.number + 1);
    let _ =
        write!(out, "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{}\",NAME=\"{}\"", quotable(group), quotable(&name));
    if let Some(language) = track.language() {
        let _ = write!(out, ",LANGUAGE=\"{}\"", quotable(language));
    }
    let _ = write!(out, ",DEFAULT={},AUTOSELECT=YES", if default { "YES" } else { "NO" });
    if track.about.channels > 0 {
        let _ = write!(out, ",CHANNELS=\"{}\"", track.about.channels);
    }
    let _ = writeln!(out, ",URI=\"{}\"", Part::Playlist(track.number));
}

fn variant(out: &mut String, video: Option<&Playable<'_>>, audio: &[&Playable<'_>], with_text: bool) {
    let Some(main) = video.or(audio.first().copied()) else { return };
    let peak_sound = audio.iter().map(|track| track.peak_bandwidth()).max().unwrap_or(0);
    let average_sound = audio.iter().map(|track| track.average_bandwidth()).max().unwrap_or(0);
    let (peak, average) = match video {
        Some(video) => (video.peak_bandwidth() + peak_sound, video.average_bandwidth() + average_sound),
        None => (peak_sound, average_sound),
    };
    let codecs: Vec<_> =
        video.into_iter().chain(audio.first().copied()).map(|it| it.about.codec.as_str()).collect();
    let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}");
    let _ = write!(out, ",CODECS=\"{}\"", quotable(&codecs.join(",")));
    if let Some(video) = video {
        let about = video.about;
        let _ = write!(out, ",RESOLUTION={}x{}", about.width, about.height);
        if let Some((frames, seconds)) = about.frame_rate {
            let _ = write!(out, ",FRAME-RATE={:.3}", f64::from(frames) / f64::from(seconds));
        }
        match about.transfer {
            Some(16) => out.push_str(",VIDEO-RANGE=PQ"),
            Some(18) => out.push_str(",VIDEO-RANGE=HLG"),
            _ => {}
        }
    }
    if let Some(track) = audio.first() {
        let _ = write!(out, ",AUDIO=\"{}\"", quotable(&audio_group(track)));
    }
    if with_text {
        out.push_str(",SUBTITLES=\"text\"");
    }
    let _ = writeln!(out, "\n{}", Part::Playlist(main.number));
}

fn audio_group(track: &Playable<'_>) -> String {
    format!("audio-{}", track.about.codec)
}

/// What a quoted string can hold (RFC 8216, 4.2): no line breaks, no quotes.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c == '"' { '\'' } else { c }).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_name_cannot_leave_its_quotes_or_its_line() {
        assert_eq!(quotable("a\"b\r\n#EXT-X-KEY:x"), "a'b#EXT-X-KEY:x");
    }
}
