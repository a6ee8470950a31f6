//! Bad input, bad output, bad keys: a typed failure, plain words, and nothing left that looks complete.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::Work;

const MOVIE: &str = "-f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine -t 7 -c:v libx264 -c:a aac in.mp4";

fn with_movie(name: &str) -> Work {
    let work = Work::new(name);
    work.ffmpeg(MOVIE);
    work
}

fn sealed(name: &str) -> Work {
    let work = with_movie(name);
    work.run(&["seal", "in.mp4", "--to", "sealed"]).succeeds();
    work
}

#[test]
fn what_is_no_video_says_so_and_leaves_nothing() {
    let work = with_movie("no-video");
    let movie = std::fs::read(work.path("in.mp4")).unwrap();
    work.ffmpeg("-f lavfi -i testsrc2=s=64x64 -frames:v 1 picture.png");
    work.write("empty", b"");
    work.write("text", b"This is a letter, not a film.\n".repeat(100).as_slice());
    work.write("cut.mp4", &movie[..movie.len() / 2]);
    work.write(
        "noise.mp4",
        &[b"\0\0\0\x18ftypisom\0\0\0\0isommp41", movie[..999].repeat(9).as_slice()].concat(),
    );
    std::fs::create_dir(work.path("folder")).unwrap();
    for (file, exit) in
        [("empty", 10), ("text", 10), ("picture.png", 10), ("cut.mp4", 11), ("folder", 31), ("nowhere", 31)]
    {
        let said = work.run(&["seal", file, "--to", "out"]).fails(exit);
        assert!(said.starts_with("gloaming: ") && said.len() > 40, "{file}: {said}");
        assert!(work.run(&["probe", file]).fails(exit).starts_with("gloaming: "));
    }
    let code = work.run(&["seal", "noise.mp4", "--to", "out"]).0.status.code();
    assert!(matches!(code, Some(10 | 11)), "{code:?}");
    let left: Vec<_> = work.names(".").into_iter().filter(|name| name.contains("out")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_truncation_is_a_typed_failure() {
    let work = with_movie("truncated");
    let movie = std::fs::read(work.path("in.mp4")).unwrap();
    for tenth in 1..10 {
        work.write("cut.mp4", &movie[..movie.len() * tenth / 10]);
        let code = work.run(&["probe", "cut.mp4"]).0.status.code();
        assert!(matches!(code, Some(10 | 11)), "{tenth}: {code:?}");
    }
}

#[test]
fn a_failure_as_json_has_a_code() {
    let work = Work::new("json");
    work.write("empty", b"");
    let said = work.run(&["--json", "probe", "empty"]).fails(10);
    let failure: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(failure["error"]["code"], "media_empty");
}

#[test]
fn nothing_is_overwritten() {
    let work = sealed("overwrite");
    assert!(work.run(&["seal", "in.mp4", "--to", "sealed"]).fails(32).contains("exists already"));
    work.write("other.key", b"precious");
    work.run(&["seal", "in.mp4", "--to", "other"]).fails(32);
    assert_eq!(std::fs::read(work.path("other.key")).unwrap(), b"precious");
    assert!(!work.path("other").exists());
    work.write("out.mp4", b"precious");
    work.run(&["open", "sealed", "--key", "sealed.key", "--mp4", "out.mp4"]).fails(32);
    assert_eq!(std::fs::read(work.path("out.mp4")).unwrap(), b"precious");
}

#[test]
fn the_key_is_its_owners_alone_and_the_folder_has_the_usual_permissions() {
    let work = sealed("modes");
    let mode = |name: &str| std::fs::metadata(work.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("sealed.key"), 0o600);
    std::fs::create_dir(work.path("usual")).unwrap();
    assert_eq!(mode("sealed"), mode("usual"));
    work.run(&["open", "sealed", "--key", "sealed.key", "--mp4", "out.mp4"]).succeeds();
    assert_eq!(mode("out.mp4"), mode("in.mp4"));
}

#[test]
fn another_videos_key_opens_nothing() {
    let work = sealed("key");
    work.run(&["seal", "in.mp4", "--to", "second", "--key-out", "second.txt"]).succeeds();
    work.run(&["open", "sealed", "--key", "second.txt", "--mp4", "out.mp4"]).fails(20);
    work.run(&["open", "sealed", "--key", "in.mp4", "--mp4", "out.mp4"]).fails(20);
    assert!(!work.path("out.mp4").exists());
}

#[test]
fn a_bent_swapped_or_shortened_object_is_refused_and_no_output_stays() {
    let work = sealed("tampered");
    let names = work.names("sealed");
    assert!(names.len() >= 4, "{names:?}");
    let refuse = |what: &str| {
        let said = work.run(&["open", "sealed", "--key", "sealed.key", "--mp4", "out.mp4"]).fails(20);
        assert!(said.contains("sealed/"), "{what}: {said}");
        assert_eq!(work.names("."), ["in.mp4", "sealed", "sealed.key"], "{what}");
    };
    for name in &names {
        let path = work.path("sealed").join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bent = good.clone();
        bent[40] ^= 1;
        std::fs::write(&path, &bent).unwrap();
        refuse("a bit");
        std::fs::write(&path, &good[..20]).unwrap();
        refuse("shortened");
        std::fs::write(&path, &good).unwrap();
    }
    let objects: Vec<_> =
        names.iter().filter(|name| *name != "index").map(|name| work.path("sealed").join(name)).collect();
    let aside = work.path("aside");
    std::fs::rename(&objects[0], &aside).unwrap();
    std::fs::rename(&objects[1], &objects[0]).unwrap();
    std::fs::rename(&aside, &objects[1]).unwrap();
    refuse("swapped");
}

#[test]
fn a_sealed_folder_holds_no_plaintext_and_no_name() {
    let work = with_movie("plaintext");
    let movie = std::fs::read(work.path("in.mp4")).unwrap();
    work.run(&["seal", "in.mp4", "--to", "sealed"]).succeeds();
    let marker = &movie[movie.len() / 2..movie.len() / 2 + 24];
    for name in work.names("sealed") {
        let object = std::fs::read(work.path("sealed").join(&name)).unwrap();
        assert!(!object.windows(24).any(|window| window == marker), "{name}");
        assert!(!object.windows(6).any(|window| window == b"in.mp4"), "{name}");
    }
}

#[test]
fn a_video_that_is_probed_says_where_it_plays() {
    let work = with_movie("probe");
    let text = work.run(&["probe", "in.mp4"]).succeeds();
    assert!(text.contains("128×72") && text.contains("plays in Chrome, Firefox, Safari"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&work.run(&["probe", "in.mp4", "--json"]).succeeds()).unwrap();
    assert_eq!(json["tracks"][0]["kind"], "video");
    assert_eq!(json["tracks"][1]["plays"]["firefox"], "yes");
}

#[test]
fn a_command_that_makes_no_sense_ends_with_two() {
    let work = Work::new("usage");
    work.run(&["open", "x", "--key", "y"]).fails(2);
    work.run(&["open", "x", "--key", "y", "--mp4", "a", "--hls", "b"]).fails(2);
    work.run(&["frobnicate"]).fails(2);
    assert!(work.run(&["completions", "bash"]).succeeds().contains("gloaming"));
}
