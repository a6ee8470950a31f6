//! What goes in comes out: packets and times of generated files, before and after, as ffmpeg sees them.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../media/tests/support/films.rs"]
mod films;
mod support;

use support::Work;

/// Name, and ffmpeg's arguments to make it. `{}` is the output.
const FILES: &[(&str, &str)] = &[
    (
        "b-frames",
        "-f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine=r=48000 -t 9 -c:v libx264 -bf 3 -g 50 -c:a aac {}",
    ),
    (
        "moov-first",
        "-f lavfi -i testsrc2=s=128x72:r=30000/1001 -f lavfi -i sine -t 7 -c:v libx264 -c:a aac -movflags +faststart {}",
    ),
    (
        "variable-rate",
        "-f lavfi -i testsrc2=s=128x72:r=30 -t 8 -vf select='not(mod(n\\,3))+lt(mod(n\\,10)\\,2)' -vsync vfr -c:v libx264 -bf 2 {}",
    ),
    (
        "late-sound",
        "-f lavfi -i testsrc2=s=128x72:r=25 -itsoffset 1.3 -f lavfi -i sine -t 8 -c:v libx264 -c:a aac {}",
    ),
    (
        "fragmented",
        "-f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine -t 9 -c:v libx264 -bf 2 -g 25 -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof {}",
    ),
    ("rotated", "-f lavfi -i testsrc2=s=128x72:r=25 -t 4 -c:v libx264 -metadata:s:v rotate=90 {}"),
    (
        "hdr",
        "-f lavfi -i testsrc2=s=128x72:r=25 -t 4 -c:v libx265 -x265-params log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc -pix_fmt yuv420p10le -tag:v hvc1 {}",
    ),
    (
        "three-sounds",
        "-f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine -f lavfi -i sine=f=660 -f lavfi -i sine=f=880 -t 6 -map 0 -map 1 -map 2 -map 3 -c:v libx264 -c:a aac -c:a:1 ac3 -metadata:s:a:0 language=eng -metadata:s:a:1 language=fra {}",
    ),
    ("sound-only", "-f lavfi -i sine=r=44100 -t 11 -c:a aac {}"),
    ("one-frame", "-f lavfi -i testsrc2=s=128x72:r=25 -frames:v 1 -c:v libx264 {}"),
    (
        "odd-timescale",
        "-f lavfi -i testsrc2=s=128x72:r=24 -t 5 -c:v libx264 -bf 2 -video_track_timescale 90017 {}",
    ),
    (
        "negative-offsets",
        "-f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine -t 6 -c:v libx264 -bf 3 -g 50 -c:a aac -movflags negative_cts_offsets {}",
    ),
    ("one-key-frame", "-f lavfi -i testsrc2=s=64x36:r=10 -t 70 -c:v libx264 -g 10000 -sc_threshold 0 {}"),
];

/// Each goes in once and comes out in every way: as the same packets, and as exports that ffmpeg has nothing to say
/// about, of timestamps or anything else.
fn check(work: &Work, name: &str) {
    let probe = work.run(&["probe", "in.mp4", "--json"]).succeeds();
    let fragmented = probe.contains("Fragmented MP4");
    work.run(&["seal", "in.mp4", "--to", "sealed"]).succeeds();
    work.run(&["open", "sealed", "--key", "sealed.key", "--mp4", "out.mp4"]).succeeds();
    work.assert_same_packets(name, "in.mp4", "out.mp4", fragmented);
    // Of the real films some have codecs that ffmpeg does not know or complains about, and one is a sequence of images,
    // which no manifest names.
    let Some(before) = work.decode("in.mp4") else { return };
    if !["video", "audio"].iter().any(|kind| probe.contains(&format!("\"kind\": \"{kind}\""))) {
        return;
    }
    for (option, manifest) in [("--hls", "master.m3u8"), ("--dash", "manifest.mpd")] {
        let folder = &option[2..];
        work.run(&["open", "sealed", "--key", "sealed.key", option, folder]).succeeds();
        let said = work.decode(&format!("{folder}/{manifest}"));
        let said = said.unwrap_or_else(|| panic!("{name} as {folder} cannot be decoded"));
        assert!(said.is_empty() || !before.is_empty(), "{name} as {folder}: {said}");
    }
}

#[test]
fn generated_films_come_back_with_every_packet_and_exports_decode_without_a_word() {
    for (name, arguments) in FILES {
        let work = Work::new(name);
        work.ffmpeg(&arguments.replace("{}", "in.mp4"));
        assert_eq!(work.decode("in.mp4").as_deref(), Some(""), "{name}: the film itself");
        check(&work, name);
    }
}

#[test]
fn a_film_trimmed_by_an_edit_list_comes_back_so() {
    let work = Work::new("trimmed");
    work.ffmpeg(&FILES[0].1.replace("{}", "whole.mp4"));
    work.ffmpeg("-ss 2.7 -i whole.mp4 -c copy in.mp4");
    check(&work, "trimmed");
}

#[test]
fn real_films_come_back_with_every_packet() {
    let Some(folder) = films::folder("real films") else { return };
    for (package, name, sha256) in films::FILMS {
        let work = Work::new("film");
        std::fs::copy(films::path(&folder, package, name, sha256), work.path("in.mp4")).unwrap();
        check(&work, name);
    }
}

#[test]
fn an_exports_packets_are_those_of_the_source() {
    let work = Work::new("export");
    work.ffmpeg(&FILES[0].1.replace("{}", "in.mp4"));
    work.run(&["seal", "in.mp4", "--to", "sealed"]).succeeds();
    work.run(&["open", "sealed", "--key", "sealed.key", "--hls", "hls"]).succeeds();
    work.run(&["open", "sealed", "--key", "sealed.key", "--dash", "dash"]).succeeds();
    let source = work.packets("in.mp4");
    assert_eq!(source, work.packets("hls/master.m3u8"));
    assert_eq!(source, work.packets("dash/manifest.mpd"));
}
