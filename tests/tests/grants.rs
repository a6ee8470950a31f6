//! The server is killed (SIGKILL) while many watch. Every grant that a viewer was answered is in the log, and its chain is
//! whole and goes on from what the owner saw before.
//!
//! `GLOAMING_KILLS` says how often (4 unless told), `GLOAMING_SEED` where chance begins.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that tells what it does")]

use std::{collections::HashMap, env, time::Duration};

use gloaming_ids::PlaybackId;
use gloaming_tests::{
    Chance, binary, film,
    house::House,
    viewers::{Link, Track, Viewer},
};
use tokio::{task::JoinSet, time::sleep};

/// Who watch at the same time.
const VIEWERS: u32 = 8;
/// Segments of one request.
const BATCH: u32 = 4;
/// The server is killed after so many milliseconds of it, at most.
const STORM_MS: u64 = 300;

/// What one viewer was answered.
struct Answered {
    playback: PlaybackId,
    grants: u64,
}

#[test]
fn a_grant_that_was_answered_is_in_the_log() {
    let Some(binary) = binary() else { return };
    let number = |name: &str, otherwise: u64| env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let kills = number("GLOAMING_KILLS", 4);
    let seed = number("GLOAMING_SEED", u64::from(std::process::id()) << 16);
    println!("GLOAMING_SEED={seed} GLOAMING_KILLS={kills} does this again");
    let mut chance = Chance::new(seed);

    // No limit may end the storm before the blow does.
    let settings = [("TRUSTED_PROXY", "127.0.0.1/32"), ("GRANT_SPEED", "1000000"), ("GRANT_BURST", "43200")];
    let settings = settings.map(|(name, value)| (format!("GLOAMING_{name}"), value.to_owned()));
    let house = House::open_with(binary, settings.to_vec());
    house.move_in();
    let file = house.path("harbour.mp4");
    film::make(&file, 40, 100);
    let video = house.ok(&["upload", file.to_str().unwrap()])[0]["video"].as_str().unwrap().to_owned();
    let link = house.ok(&["publish", &video])["link"].as_str().unwrap().to_owned();
    let link = Link::read(&link, house.address());

    let mut answered: HashMap<String, u64> = HashMap::new();
    for kill in 0..kills {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let after = Duration::from_millis(chance.below(STORM_MS));
        let storm = runtime.block_on(storm(&link, after, house.killer()));
        // The runtime's connections lead to a server that is gone.
        drop(runtime);
        let granted: u64 = storm.iter().map(|one| one.grants).sum();
        println!("kill {kill}: after {after:?} and {granted} grants to {} viewers", storm.len());
        answered.extend(storm.into_iter().map(|one| (one.playback.to_string(), one.grants)));
        house.start();

        // The chain goes on from what this owner saw after the last kill.
        assert_eq!(house.ok(&["grants", &video, "--verify"])["good"], true);
        let told = house.ok(&["grants", &video]);
        let logged: HashMap<&str, u64> =
            told["playbacks"].as_array().unwrap().iter().map(of_playback).collect();
        for (playback, answered) in &answered {
            let logged = logged.get(playback.as_str()).copied().unwrap_or_default();
            // The last request of each may be in the log without having been answered.
            let honest = *answered..=answered + u64::from(BATCH);
            assert!(honest.contains(&logged), "{playback}: {answered} answered, {logged} in the log");
        }
    }
    assert!(answered.values().sum::<u64>() > kills * u64::from(VIEWERS * BATCH), "a storm, not a drizzle");
}

fn of_playback(row: &serde_json::Value) -> (&str, u64) {
    (row["playback"].as_str().unwrap(), row["grants"].as_u64().unwrap())
}

/// Everybody watches as fast as they can until the server is gone.
async fn storm(link: &Link, after: Duration, kill: impl FnOnce() + Send + 'static) -> Vec<Answered> {
    let http = reqwest::Client::new();
    let mut viewers = Vec::new();
    let mut track = None;
    for number in 0..VIEWERS {
        let (viewer, started) = link.begin(&http, number).await.expect("the server is there");
        if track.is_none() {
            track = Some(link.longest_track(&http, &started).await);
        }
        viewers.push(viewer);
    }
    let track = track.expect("somebody watches");
    let mut all: JoinSet<Answered> = viewers.into_iter().map(|viewer| watch(viewer, track)).collect();
    sleep(after).await;
    tokio::task::spawn_blocking(kill).await.unwrap();
    let mut answered = Vec::new();
    while let Some(one) = all.join_next().await {
        answered.push(one.unwrap());
    }
    answered
}

async fn watch(mut viewer: Viewer, track: Track) -> Answered {
    let mut answered = Answered { playback: viewer.playback(), grants: 0 };
    let mut from = 0;
    while let Some(granted) = viewer.ask(track, from, BATCH).await {
        let granted = granted.expect("nothing refuses").grants;
        assert!(granted.iter().zip(from..).all(|(grant, wanted)| grant.seg_idx == wanted));
        answered.grants += granted.len() as u64;
        from = if from + 2 * BATCH > track.segments { 0 } else { from + BATCH };
    }
    answered
}
