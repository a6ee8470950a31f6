//! The MPEG-DASH manifest of a stored video (ISO/IEC 23009-1, on-demand, one period, `SegmentTimeline`).

use std::fmt::Write;

use crate::{
    Index, Kind, Part,
    presentation::{Playable, Slot, default_of, playable},
};

/// Writes the manifest. `base` is where the parts are, ending in a slash; empty where they are beside the manifest.
pub fn mpd(index: &Index, base: &str) -> String {
    let tracks = playable(index);
    let longest = tracks
        .iter()
        .flat_map(|track| {
            track.slots().map(|slot| slot.duration as f64 / f64::from(track.about.timescale.get()))
        })
        .fold(1.0, f64::max);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
         type=\"static\" mediaPresentationDuration=\"PT{:.3}S\" maxSegmentDuration=\"PT{longest:.3}S\" \
         minBufferTime=\"PT4S\">",
        index.duration().as_secs_f64()
    );
    if !base.is_empty() {
        let _ = writeln!(out, "  <BaseURL>{}</BaseURL>", escape(base));
    }
    out.push_str("  <Period id=\"0\" start=\"PT0S\">\n");
    for track in &tracks {
        let main = default_of(&tracks, track.about.kind).is_some_and(|main| main.number == track.number);
        adaptation_set(&mut out, track, main);
    }
    out.push_str("  </Period>\n</MPD>\n");
    out
}

fn adaptation_set(out: &mut String, track: &Playable<'_>, main: bool) {
    let (number, about) = (track.number, track.about);
    let (content, mime) = match about.kind {
        Kind::Video => ("video", "video/mp4"),
        Kind::Audio => ("audio", "audio/mp4"),
        _ => ("text", "application/mp4"),
    };
    let _ = write!(out, "    <AdaptationSet id=\"{number}\" contentType=\"{content}\" mimeType=\"{mime}\"");
    let _ = write!(out, " segmentAlignment=\"true\"");
    if track.independent() {
        let _ = write!(out, " startWithSAP=\"1\"");
    }
    if let Some(language) = track.language() {
        let _ = write!(out, " lang=\"{}\"", escape(language));
    }
    out.push_str(">\n");
    let role = if about.kind == Kind::Subtitle {
        "subtitle"
    } else if main {
        "main"
    } else {
        "alternate"
    };
    let _ = writeln!(out, "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>");
    if let Some(transfer) = about.transfer.filter(|_| about.kind == Kind::Video) {
        let scheme = "urn:mpeg:mpegB:cicp:TransferCharacteristics";
        let _ = writeln!(out, "      <SupplementalProperty schemeIdUri=\"{scheme}\" value=\"{transfer}\"/>");
    }
    let _ = writeln!(out, "      <Label>{}</Label>", escape(&track.label()));
    let _ = write!(out, "      <Representation id=\"{number}\" bandwidth=\"{}\"", track.peak_bandwidth());
    let _ = write!(out, " codecs=\"{}\"", escape(&about.codec));
    if about.kind == Kind::Video {
        let _ = write!(out, " width=\"{}\" height=\"{}\"", about.width, about.height);
        if let Some((frames, seconds)) = about.frame_rate {
            let _ = write!(out, " frameRate=\"{frames}/{seconds}\"");
        }
    }
    if about.kind == Kind::Audio {
        let _ = write!(out, " audioSamplingRate=\"{}\"", about.sample_rate);
    }
    out.push_str(">\n");
    if about.kind == Kind::Audio {
        let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
        // ISO/IEC 23091-3 ChannelConfiguration: the number of channels, but for 7.1.
        let layout = if about.channels == 8 { 7 } else { about.channels };
        let _ =
            writeln!(out, "        <AudioChannelConfiguration schemeIdUri=\"{scheme}\" value=\"{layout}\"/>");
    }
    let _ = writeln!(
        out,
        "        <SegmentTemplate timescale=\"{}\" startNumber=\"0\" initialization=\"{}\" \
         media=\"$RepresentationID$/$Number$.m4s\">",
        about.timescale,
        Part::Init(number)
    );
    out.push_str("          <SegmentTimeline>\n");
    timeline(out, track.slots());
    out.push_str("          </SegmentTimeline>\n        </SegmentTemplate>\n");
    out.push_str("      </Representation>\n    </AdaptationSet>\n");
}

/// Segments of equal duration that follow each other are one entry.
fn timeline(out: &mut String, slots: impl Iterator<Item = Slot>) {
    let mut run: Option<(Slot, u32)> = None;
    let mut write_run = |run: Option<(Slot, u32)>| {
        let Some((slot, more)) = run else { return };
        let _ = write!(out, "            <S t=\"{}\" d=\"{}\"", slot.start, slot.duration);
        if more > 0 {
            let _ = write!(out, " r=\"{more}\"");
        }
        out.push_str("/>\n");
    };
    for slot in slots {
        match &mut run {
            Some((first, more))
                if first.duration == slot.duration
                    && slot.start == first.start + first.duration * (u64::from(*more) + 1) =>
            {
                *more += 1;
            }
            _ => write_run(run.replace((slot, 0))),
        }
    }
    write_run(run);
}

/// Text as XML 1.0 has it. Characters that XML cannot hold are dropped: names come from files.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_segments_in_a_row_are_one_entry() {
        let slots = [(0, 10), (10, 10), (20, 10), (30, 5), (40, 5), (45, 5)];
        let mut out = String::new();
        timeline(&mut out, slots.into_iter().map(|(start, duration)| Slot { start, duration }));
        let entries: Vec<_> = out.lines().map(str::trim).collect();
        assert_eq!(
            entries,
            [r#"<S t="0" d="10" r="2"/>"#, r#"<S t="30" d="5"/>"#, r#"<S t="40" d="5" r="1"/>"#]
        );
    }

    #[test]
    fn a_track_name_cannot_leave_its_element() {
        assert_eq!(escape("</Label><x y='\"&\u{1}\n"), "&lt;/Label&gt;&lt;x y=&apos;&quot;&amp; ");
    }
}
