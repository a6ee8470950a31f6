//! Files of every kind that ffmpeg can make go through the engine, and come out with the same packets at the same times.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test may panic, a skipped one has to say so"
)]

mod support;

use gloaming_media::PlanOptions;
use support::*;

const VIDEO: &str = "-f lavfi -i testsrc2=s=160x120:r=30";
const SOUND: &str = "-f lavfi -i sine=f=440:r=48000";

/// Makes a file with ffmpeg, cuts it, and compares what comes out.
fn check(name: &str, extension: &str, args: &str) {
    if !have_ffmpeg(name) {
        return;
    }
    let dir = Scratch::new(name);
    let source = dir.path(&format!("source.{extension}"));
    let mut words: Vec<&str> = args.split_whitespace().collect();
    words.push(source.to_str().unwrap());
    ffmpeg(&words);
    check_file(name, &dir, &source);
}

fn check_file(name: &str, dir: &Scratch, source: &std::path::Path) {
    let movie = demux(source).unwrap();
    let fragments = plan(source, movie.clone(), PlanOptions::default()).unwrap();
    let tracks = write_tracks(dir, &movie, &fragments);
    for (number, track) in tracks.iter().enumerate() {
        assert_eq!(
            stream_hash(source, number, &[]),
            stream_hash(track, 0, &[]),
            "{name}: payload of track {number}"
        );
        assert_same_frames(name, &frames(source, number, &[]), &frames(track, 0, &[]));
        assert_eq!(decode_warnings(track), "", "{name}: track {number}");
    }
}

#[test]
fn b_frames_and_aac() {
    check(
        "b-frames",
        "mp4",
        &format!("{VIDEO} {SOUND} -t 10 -c:v libx264 -bf 3 -g 60 -pix_fmt yuv420p -c:a aac"),
    );
}
