//! Small real files, made by encoders and devices that we do not have.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

mod support;

use support::{films::*, *};

#[test]
fn real_films_keep_every_packet() {
    if !have_ffmpeg("real films") {
        return;
    }
    let Some(folder) = folder("real films") else { return };
    for (package, name, sha256) in FILMS {
        let label = name.rsplit('/').next().unwrap();
        check_file(label, &Scratch::new(label), &path(&folder, package, name, sha256), &[]);
    }
}

#[test]
fn real_films_that_were_cut_off_are_refused() {
    let Some(folder) = folder("films that were cut off") else { return };
    for (package, name, sha256, code) in BROKEN {
        let Err(error) = demux(&path(&folder, package, name, sha256)) else { panic!("{name} is taken") };
        assert_eq!(error.code(), *code, "{name}: {error}");
    }
}
