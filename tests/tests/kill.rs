//! Server and client are killed (SIGKILL) at every step of a video's life. Nothing acknowledged may be lost, nothing
//! half-written shown, and what was interrupted must finish when it is tried again.
//!
//! `GLOAMING_KILLS` says how often (12 unless told: each step once for each of the two), `GLOAMING_SEED` where chance
//! begins: the same first seed strikes at the same steps and moments again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that tells what it does")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use gloaming_tests::{
    Chance,
    ambush::{Ambush, Moment, Phase},
    binary, film,
    house::{House, answer},
};

/// However often it is killed, an upload ends before that.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Client,
}

#[test]
fn nothing_is_lost_when_either_side_is_killed() {
    let Some(binary) = binary() else { return };
    let number = |name: &str, otherwise: u64| env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let kills = number("GLOAMING_KILLS", 12);
    let first_seed = number("GLOAMING_SEED", u64::from(std::process::id()) << 16);

    println!("GLOAMING_SEED={first_seed} GLOAMING_KILLS={kills} does this again");
    let house = House::open(binary);
    house.move_in();
    let base = house.path("base.mp4");
    film::make(&base, 12, 800);

    // Once without harm: how many requests of each step an upload has, and a video that must survive everything.
    let keepsake = house.path("keepsake.mp4");
    film::vary(&base, "keepsake", &keepsake);
    house.road.set(None);
    upload(&house, &keepsake);
    let puts = house.road.seen(Phase::Put);
    assert!(puts >= 4, "a film of several objects, not {puts}");
    let records = house.road.seen(Phase::Record);
    let mut kept: Vec<(String, PathBuf)> = vec![(house.videos().remove(0), keepsake)];

    for n in 0..kills {
        let phase = Phase::ALL[usize::try_from(n).unwrap() % Phase::ALL.len()];
        let victim =
            if (n / Phase::ALL.len() as u64).is_multiple_of(2) { Victim::Server } else { Victim::Client };
        let seed = first_seed + n;
        let mut chance = Chance::new(seed);
        let nth = match phase {
            Phase::Put => usize::try_from(chance.below(puts as u64 - 1)).unwrap(),
            Phase::Index => puts - 1,
            Phase::Record => usize::try_from(chance.below(records as u64)).unwrap(),
            Phase::Draft | Phase::Commit | Phase::Delete => 0,
        };
        let moment = match chance.below(4) {
            0 => Moment::Before,
            1 => Moment::Half,
            2 => Moment::During(chance.below(30)),
            _ => Moment::After,
        };
        println!("kill {n}: {victim:?} at {phase:?} {nth}, {moment:?}; seed {seed}");

        let before = house.videos().len();
        if phase == Phase::Delete {
            let (video, file) = kept.pop().unwrap();
            house.ok(&["trash", &video]);
            strike(&house, victim, phase, nth, moment, &["delete", &video]);
            assert!(!house.videos().contains(&video));
            assert_eq!(house.refused(&["show", &video]), "not_found");
            fs::remove_file(file).unwrap();
        } else {
            let file = house.path(&format!("film-{n}.mp4"));
            film::vary(&base, &format!("film {seed}"), &file);
            strike(&house, victim, phase, nth, moment, &["upload", file.to_str().unwrap()]);
            let videos = house.videos();
            assert_eq!(videos.len(), before + 1, "once, not twice");
            let new = videos.into_iter().find(|id| kept.iter().all(|(known, _)| known != id)).unwrap();
            verify(&house, &new, &file);
            kept.push((new, file));
        }
        let (video, file) = &kept[usize::try_from(chance.below(kept.len() as u64)).unwrap()];
        verify(&house, video, file);
    }
    for (video, file) in &kept {
        verify(&house, video, file);
    }
    assert_eq!(house.videos().len(), kept.len());
    let incoming = fs::read_dir(house.data().join("blobs/incoming")).unwrap().count();
    assert_eq!(incoming, 0, "nothing half-written stays");
}

fn upload(house: &House, file: &Path) {
    assert_eq!(house.ok(&["upload", file.to_str().unwrap()])[0]["status"], "stored");
}

fn verify(house: &House, video: &str, file: &Path) {
    house.ok(&["verify", video, "--against", file.to_str().unwrap()]);
}

/// Starts a client, lets the blow fall, looks at what is left, and lets the work finish.
fn strike(house: &House, victim: Victim, phase: Phase, nth: usize, moment: Moment, arguments: &[&str]) {
    let before = house.videos();
    let (struck, blow) = mpsc::channel();
    let (tell, process) = mpsc::channel::<u32>();
    let kill_client = move || {
        let process = process.recv().unwrap().to_string();
        std::process::Command::new("kill").args(["-9", &process]).status().unwrap();
    };
    let strike: Box<dyn FnOnce() + Send> = match victim {
        Victim::Server => Box::new(house.killer()),
        Victim::Client => Box::new(kill_client),
    };
    house.road.set(Some(Ambush { phase, nth, moment, strike, struck }));
    let client = house.client(arguments).spawn().unwrap();
    // Nobody listens where the server is the victim.
    let _ = tell.send(client.id());
    blow.recv_timeout(PATIENCE).expect("the client comes by the trap");

    if victim == Victim::Server {
        house.start();
    }
    let waiting = Instant::now();
    let output = client.wait_with_output().unwrap();
    assert!(waiting.elapsed() < PATIENCE, "the client gives up or succeeds in time");
    if victim == Victim::Client {
        assert!(!output.status.success(), "it was killed");
    }

    // Whatever is shown now is whole: all that was there, and what was interrupted either not at all or completely.
    let shown = house.videos();
    for video in &shown {
        if !before.contains(video) {
            house.ok(&["verify", video]);
        }
    }
    if phase != Phase::Delete {
        assert!(before.iter().all(|video| shown.contains(video)), "{before:?} became {shown:?}");
    }
    if output.status.success() {
        answer(&output, arguments);
        return;
    }
    // Tried again, it finishes; a deletion may have finished before.
    let again = house.client(arguments).output().unwrap();
    let err = String::from_utf8_lossy(&again.stderr);
    let done = again.status.success() || (phase == Phase::Delete && err.contains("not_found"));
    assert!(done, "{arguments:?} again: {}\n{err}", again.status);
}
