//! Files of every kind that ffmpeg can make go through the engine, and come out with the same packets at the same times.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test may panic, a skipped one has to say so"
)]

mod support;

use gloaming_media::{Movie, PlanOptions, TrackInfo, TrackKind, Warning};
use support::*;

const VIDEO: &str = "-f lavfi -i testsrc2=s=160x120:r=30";
const SOUND: &str = "-f lavfi -i sine=f=440:r=48000";
const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";

/// Makes a file with ffmpeg, takes it through the engine both ways, and compares.
fn check(name: &str, extension: &str, steps: &[&str]) -> Option<Movie> {
    check_with(name, extension, steps, &[], &|_, _| 0)
}

/// `steps`: arguments of one ffmpeg run each; `IN` is the result of the one before, the result goes at the end.
/// `reading`: what ffmpeg needs to read the source as it was meant. `late`: how much later it shows the source.
fn check_with(
    name: &str,
    extension: &str,
    steps: &[&str],
    reading: &[&str],
    late: &dyn Fn(&TrackInfo, bool) -> i64,
) -> Option<Movie> {
    if !have_ffmpeg(name) {
        return None;
    }
    let dir = Scratch::new(name);
    let mut source = dir.path("none");
    for (number, step) in steps.iter().enumerate() {
        let before = source;
        source = dir.path(&format!("source{number}.{extension}"));
        let words: Vec<&str> = step
            .split_whitespace()
            .map(|word| if word == "IN" { before.to_str().unwrap() } else { word })
            .collect();
        ffmpeg(&[&words[..], &[source.to_str().unwrap()]].concat());
    }
    Some(check_file_late(name, &dir, &source, reading, late))
}

#[test]
fn b_frames_and_aac() {
    let movie = check(
        "b-frames",
        "mp4",
        &[&format!(
            "{VIDEO} {SOUND} -t 10 {H264} -bf 3 -g 60 -c:a aac -metadata creation_time=2026-11-22T03:10:18Z"
        )],
    );
    let Some(movie) = movie else { return };
    assert_eq!(movie.format(), "MP4");
    assert_eq!(movie.created().unwrap().0, 1_795_317_018_000);
    assert!(movie.warnings().is_empty());
    let [video, sound] = movie.tracks() else { panic!() };
    assert_eq!((video.kind, sound.kind), (TrackKind::Video, TrackKind::Audio));
    assert!(video.codec.starts_with("avc1.64"));
    assert_eq!(sound.codec, "mp4a.40.2");
    assert_eq!(video.frame_rate, Some((30, 1)));
    assert_eq!((video.width, video.height, video.samples, video.sync_samples), (160, 120, 300, 5));
    assert_eq!((sound.channels, sound.sample_rate, sound.media_time), (1, 48000, 1024));
    assert!((movie.duration().as_secs_f64() - 10.0).abs() < 0.05, "{:?}", movie.duration());
}

#[test]
fn moov_in_front_and_quicktime() {
    check("faststart", "mp4", &[&format!("{VIDEO} {SOUND} -t 3 {H264} -c:a aac -movflags +faststart")]);
    let movie = check("quicktime", "mov", &[&format!("{VIDEO} {SOUND} -t 3 {H264} -c:a aac")]);
    assert!(movie.is_none_or(|movie| movie.format() == "QuickTime"));
}

#[test]
fn pcm_in_quicktime() {
    // Few samples: ffmpeg makes a packet of each where they are in fragments, and takes its time.
    let sound = "-f lavfi -i sine=f=440:r=8000";
    check("pcm", "mov", &[&format!("{VIDEO} {sound} -t 5 {H264} -c:a pcm_s16le")]);
    check("pcm24", "mov", &[&format!("{sound} -t 3 -c:a pcm_s24le -ac 2")]);
}

#[test]
fn variable_frame_rate() {
    let movie = check(
        "vfr",
        "mp4",
        &[&format!(
            "{VIDEO} -t 6 -vf select='not(mod(n\\,7))+not(mod(n\\,3))' -vsync vfr {H264} -bf 2 -g 20"
        )],
    );
    assert!(movie.is_none_or(|movie| movie.tracks()[0].frame_rate.is_some()));
}

#[test]
fn fragmented() {
    for (name, flags) in [
        ("empty-moov", "+frag_keyframe+empty_moov"),
        ("default-base", "+frag_keyframe+empty_moov+default_base_moof"),
        ("moov-with-samples", "+frag_keyframe"),
        ("every-frame", "+frag_every_frame+empty_moov"),
        ("cmaf", "+cmaf+frag_keyframe"),
        ("dash", "+dash+global_sidx+frag_keyframe"),
        ("omit-tfhd-offset", "+frag_keyframe+empty_moov+omit_tfhd_offset"),
        ("separate", "+frag_keyframe+empty_moov+separate_moof"),
    ] {
        // With a fragment for every packet, ffmpeg itself dates sound wrongly: some packets begin before others end.
        let sound = if name == "every-frame" { "-an" } else { "-c:a aac" };
        // Negative offsets in fragments make ffmpeg show every picture late by the reorder delay. We write that delay
        // into an edit list, which it follows.
        let late = |track: &TrackInfo, _: bool| {
            if name == "cmaf" && track.kind == TrackKind::Video { track.media_time as i64 } else { 0 }
        };
        let steps = format!("{VIDEO} {SOUND} -t 5 {H264} -bf 2 -g 30 {sound} -movflags {flags}");
        let movie = check_with(name, "mp4", &[&steps], &[], &late);
        let Some(movie) = movie else { return };
        assert_eq!(movie.format(), "Fragmented MP4");
        assert_eq!(movie.tracks()[0].samples, 150);
    }
}

#[test]
fn negative_offsets() {
    check(
        "negative-cts",
        "mp4",
        &[&format!("{VIDEO} -t 4 {H264} -bf 3 -g 30 -movflags negative_cts_offsets")],
    );
}

#[test]
fn a_late_track_stays_late() {
    check(
        "late-sound",
        "mp4",
        &[&format!("{VIDEO} -itsoffset 1.5 {SOUND} -t 6 {H264} -bf 2 -g 30 -c:a aac")],
    );
    check(
        "late-picture",
        "mp4",
        &[&format!("-itsoffset 0.7 {VIDEO} {SOUND} -t 6 {H264} -bf 2 -g 30 -c:a aac")],
    );
}

#[test]
fn a_trimmed_start_stays_an_edit() {
    // Copying from the middle of a GOP leaves the frames before the cut behind an edit; ffmpeg drops packets that an
    // edit list hides, so it has to be told not to.
    let steps = [&*format!("{VIDEO} {SOUND} -t 8 {H264} -bf 2 -g 90 -c:a aac"), "-ss 1.7 -i IN -c copy"];
    check_with("trimmed", "mp4", &steps, WHOLE, &|_, _| 0);
}

#[test]
fn rotation_is_kept() {
    let steps = [&*format!("{VIDEO} -t 2 {H264}"), "-i IN -c copy -metadata:s:v:0 rotate=90"];
    let Some(movie) = check("rotation", "mp4", &steps) else { return };
    assert_eq!(
        movie.tracks()[0].rotation,
        270,
        "the tag counts the other way round: the matrix says (0, -1, 1, 0)"
    );
}

#[test]
fn hdr_is_kept_and_seen() {
    let movie = check(
        "hdr",
        "mp4",
        &[&format!(
            "{VIDEO} -t 2 -pix_fmt yuv420p10le -c:v libx265 -tag:v hvc1 -preset ultrafast -x265-params log-level=none:hdr10=1:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400 -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc"
        )],
    );
    let Some(movie) = movie else { return };
    let video = &movie.tracks()[0];
    assert!(video.hdr, "{:?}", video.color);
    assert!(video.codec.starts_with("hvc1.2.4.L"), "{}", video.codec);
}

#[test]
fn several_sounds_with_languages() {
    let movie = check(
        "sounds",
        "mp4",
        &[&format!(
            "{VIDEO} {SOUND} -f lavfi -i sine=f=880:r=44100 -t 5 -map 0 -map 1 -map 2 {H264} -c:a:0 aac -c:a:1 ac3 -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu"
        )],
    );
    let Some(movie) = movie else { return };
    let languages: Vec<&str> = movie.tracks().iter().map(|track| &*track.language).collect();
    assert_eq!(languages[1..], ["eng", "deu"]);
    assert_eq!(movie.tracks()[2].codec, "ac-3");
}

#[test]
fn sound_alone() {
    let movie = check("aac", "m4a", &[&format!("{SOUND} -t 10 -c:a aac")]);
    assert!(movie.is_none_or(|movie| movie.tracks()[0].kind == TrackKind::Audio));
    check("opus", "mp4", &[&format!("{SOUND} -t 5 -c:a libopus")]);
    check("flac", "mp4", &[&format!("{SOUND} -t 5 -c:a flac -strict -2")]);
    check("alac", "m4a", &[&format!("{SOUND} -t 5 -c:a alac")]);
}

#[test]
fn one_frame() {
    let movie = check("one-frame", "mp4", &[&format!("{VIDEO} -frames:v 1 {H264}")]);
    assert!(movie.is_none_or(|movie| movie.tracks()[0].samples == 1));
}

#[test]
fn odd_clocks() {
    check(
        "90001",
        "mp4",
        &[&format!("{VIDEO} {SOUND} -t 5 {H264} -bf 2 -video_track_timescale 90001 -c:a aac")],
    );
    let movie = check(
        "ntsc",
        "mp4",
        &[&format!("-f lavfi -i testsrc2=s=160x120:r=24000/1001 {SOUND} -t 5 {H264} -bf 2 -c:a aac")],
    );
    assert!(movie.is_none_or(|movie| movie.tracks()[0].frame_rate == Some((24000, 1001))));
}

#[test]
fn sparse_key_frames() {
    if !have_ffmpeg("sparse") {
        return;
    }
    let dir = Scratch::new("sparse");
    let source = dir.path("source.mp4");
    let args = format!(
        "-f lavfi -i testsrc2=s=64x48:r=10 {SOUND} -t 75 {H264} -g 10000 -keyint_min 10000 -sc_threshold 0 -c:a aac"
    );
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    let movie = check_file("sparse", &dir, &source, &[]);
    let fragments = plan(&source, movie, PlanOptions::default()).unwrap();
    let starts: Vec<bool> = fragments
        .iter()
        .map(|(f, _)| f)
        .filter(|f| f.track == 0 && f.number == 0)
        .map(|f| f.independent)
        .collect();
    assert_eq!(
        starts,
        [true, false, false],
        "a segment every 30 seconds, of which one begins with a key frame"
    );
}

#[test]
fn subtitles_are_packed_like_any_other_track() {
    if !have_ffmpeg("subtitles") {
        return;
    }
    let dir = Scratch::new("subtitles");
    let (text, source) = (dir.path("text.srt"), dir.path("source.mp4"));
    std::fs::write(
        &text,
        "1\n00:00:00,500 --> 00:00:02,000\nGood evening\n\n2\n00:00:05,000 --> 00:00:06,500\nGood night\n",
    )
    .unwrap();
    let args = format!("{VIDEO} -i {} -t 8 {H264} -g 60 -c:s mov_text", text.display());
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    let movie = check_file("subtitles", &dir, &source, WHOLE);
    assert_eq!(movie.tracks()[1].kind, TrackKind::Subtitle);
    assert_eq!(&movie.tracks()[1].sample_entry, b"tx3g");
}

#[test]
fn a_stream_recorded_late_starts_at_the_beginning() {
    if !have_ffmpeg("late-stream") {
        return;
    }
    let dir = Scratch::new("late-stream");
    let source = dir.path("source.mp4");
    let args =
        format!("{VIDEO} {SOUND} -t 3 {H264} -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof");
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    // An hour later, on every track's clock.
    let clocks: Vec<u64> =
        demux(&source).unwrap().tracks().iter().map(|track| u64::from(track.timescale.get())).collect();
    let mut bytes = std::fs::read(&source).unwrap();
    let mut track = 0;
    for at in 0..bytes.len() - 20 {
        match &bytes[at..at + 4] {
            b"tfhd" => track = usize::from(bytes[at + 11]) - 1,
            b"tfdt" => {
                let time: &mut [u8; 8] = (&mut bytes[at + 8..at + 16]).try_into().unwrap();
                *time = (u64::from_be_bytes(*time) + 3600 * clocks[track]).to_be_bytes();
            }
            _ => {}
        }
    }
    std::fs::write(&source, bytes).unwrap();
    let movie = demux(&source).unwrap();
    let moved = movie.warnings().iter().find_map(|warning| match warning {
        Warning::TimelineMoved { seconds } => Some(*seconds),
        _ => None,
    });
    assert_eq!(moved, Some(3600), "{:?}", movie.warnings());
    let fragments = plan(&source, movie, PlanOptions::default()).unwrap();
    assert!(fragments.iter().all(|(fragment, _)| fragment.start < 10 * 90_000));
}

#[test]
fn a_clock_that_goes_back_is_named_and_every_packet_kept() {
    if !have_ffmpeg("clock") {
        return;
    }
    let dir = Scratch::new("clock");
    let source = dir.path("source.mp4");
    let args = format!("{VIDEO} -t 3 {H264} -g 30 -movflags +frag_keyframe+empty_moov+default_base_moof");
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    // The last of three fragments is at the beginning again.
    let mut bytes = std::fs::read(&source).unwrap();
    let last = bytes.windows(4).rposition(|kind| kind == b"tfdt").unwrap();
    bytes[last + 8..last + 16].fill(0);
    std::fs::write(&source, bytes).unwrap();
    let movie = demux(&source).unwrap();
    assert_eq!(movie.warnings(), [Warning::TimesGoBack { track: 0 }]);
    let fragments = plan(&source, movie.clone(), PlanOptions::default()).unwrap();
    let output = dir.path("output.mp4");
    write_progressive(&output, &movie, &fragments);
    assert_eq!(stream_hash(&source, 0, &[]), stream_hash(&output, 0, &[]));
}

#[test]
fn the_leading_key_frame_is_alone_and_cuts_are_where_they_should_be() {
    if !have_ffmpeg("cuts") {
        return;
    }
    let dir = Scratch::new("cuts");
    let source = dir.path("source.mp4");
    let args = format!("{VIDEO} {SOUND} -t 20 {H264} -bf 2 -g 30 -keyint_min 30 -sc_threshold 0 -c:a aac");
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    let movie = demux(&source).unwrap();
    let timescale = u64::from(movie.tracks()[0].timescale.get());
    let fragments = plan(&source, movie, PlanOptions::default()).unwrap();
    let video: Vec<_> = fragments.iter().map(|(f, _)| f).filter(|f| f.track == 0).collect();
    assert!(video.iter().filter(|f| f.number == 0).all(|f| f.samples == 1 && f.independent));
    let starts: Vec<u64> = video.iter().filter(|f| f.number == 0).map(|f| f.start / timescale).collect();
    assert_eq!(starts, [0, 1, 5, 9, 13, 17]);
}
