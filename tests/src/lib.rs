//! Whole-system tests: the real binary as server and as client, each a process of its own on loopback.
//!
//! | module | |
//! |---|---|
//! | [`house`] | a server that can be killed and started again, and people with devices |
//! | [`ambush`] | the way between client and server, on which one of them dies at a named moment |
//! | [`film`] | small films, made by ffmpeg |
//! | [`keys`] | every secret of an account and of a video |
//! | [`search`] | finding bytes in files and in the memory of a process |
//! | [`viewers`] | many who watch by one link |
//! | [`weed`] | an S3 store |
//!
//! The binary is `GLOAMING_BIN`, or what `./x build` left. Without one the tests skip aloud; with `CI=true` they fail.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "this crate is tests, which fail by panicking"
)]

pub mod ambush;
pub mod film;
pub mod house;
pub mod keys;
pub mod search;
pub mod viewers;
pub mod weed;

use std::{io::Write as _, path::PathBuf};

/// The binary under test. None: it was said aloud that there is none.
pub fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GLOAMING_BIN") {
        return Some(named.into());
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = target.join("release/gloaming");
    if built.exists() {
        return Some(built);
    }
    skip("whole-system tests: there is no binary; ./x build makes it, GLOAMING_BIN names another");
    None
}

/// Says aloud that something is not tested here. In CI that is a failure.
pub fn skip(what: &str) {
    assert!(std::env::var("CI").is_err(), "CI must not skip {what}");
    // Straight to stderr: the test harness would hide a printed line.
    std::io::stderr().write_all(format!("SKIPPED {what}\n").as_bytes()).unwrap();
}

/// A small generator of random numbers that prints as its seed, so that what it led to can be led to again.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed, the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From zero to just below `end` (SplitMix64).
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
