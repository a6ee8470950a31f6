//! A short turn without a fuzzer: every committed input, and what chance makes of them. `./x soak fuzz` is the long one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they did"
)]

use std::{
    fs,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use gloaming_any_bytes::TARGETS;

/// For each target.
const TURN: Duration = Duration::from_secs(3);
const LONGEST: usize = 64 * 1024;
/// What takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The input that is being tried, and since when.
type Trying = Arc<Mutex<Option<(Instant, PathBuf, Vec<u8>)>>>;

#[test]
fn what_holds_of_any_bytes_holds_of_these() {
    let seed =
        std::env::var("GLOAMING_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut chance = fastrand::Rng::with_seed(seed);
    let trying = Trying::default();
    let watched = Arc::clone(&trying);
    thread::spawn(move || watch(&watched));
    for (name, check) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "fuzz/corpus/{name} has something to begin with");
        let kept = std::env::temp_dir().join(format!("gloaming-{name}-{seed}"));
        let tried = |input: &[u8]| {
            *trying.lock().unwrap() = Some((Instant::now(), kept.clone(), input.to_vec()));
            if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
                fs::write(&kept, input).unwrap();
                panic!("{name} does not hold of {} (GLOAMING_SEED={seed})", kept.display());
            }
            *trying.lock().unwrap() = None;
        };
        corpus.iter().for_each(|input| tried(input));
        let begun = Instant::now();
        let mut turns = 0_u64;
        while begun.elapsed() < TURN {
            tried(&changed(&corpus, &mut chance));
            turns += 1;
        }
        println!("{name}: {turns} inputs, seed {seed}");
    }
}

/// Ends everything where an input does not end, and keeps that input.
fn watch(trying: &Trying) {
    loop {
        thread::sleep(Duration::from_secs(1));
        if let Some((since, kept, input)) = &*trying.lock().unwrap()
            && since.elapsed() > PATIENCE
        {
            fs::write(kept, input).unwrap();
            // Past what the test harness captures: nothing comes after it.
            let _ = writeln!(std::io::stderr(), "there is no end of {}", kept.display());
            std::process::abort();
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One of the inputs after a few changes of the kinds that parsers stumble over.
fn changed(corpus: &[Vec<u8>], chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = corpus[chance.usize(..corpus.len())].clone();
    for _ in 0..chance.usize(1..=8) {
        let at = chance.usize(..=input.len());
        match chance.u8(..8) {
            0 => input.truncate(at),
            1 => input.insert(at, chance.u8(..)),
            2 if at < input.len() => drop(input.remove(at)),
            3 if at < input.len() => input[at] ^= 1 << chance.u8(..8),
            4 if at < input.len() => input[at] = *chance.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap(),
            // Lengths, counts and times.
            5 | 6 if at + 8 <= input.len() => {
                let number =
                    *chance.choice(&[0, 1, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX]).unwrap();
                let bytes = number.to_be_bytes();
                let wide = *chance.choice(&[2, 4, 8]).unwrap();
                input[at..at + wide].copy_from_slice(&bytes[8 - wide..]);
            }
            _ => {
                let other = &corpus[chance.usize(..corpus.len())];
                let from = chance.usize(..=other.len());
                let to = chance.usize(from..=other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(LONGEST);
    input
}
