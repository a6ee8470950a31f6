//! A video's whole life where ciphertext rests in an S3 store: the real server and the real client, against SeaweedFS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use gloaming_tests::{
    binary, film,
    house::House,
    search::{Needle, Search, marker},
    weed::Weed,
};
use reqwest::{Client, StatusCode, header};
use serde_json::Value;

#[tokio::test]
async fn a_video_is_kept_played_by_range_and_deleted() {
    let Some(binary) = binary() else { return };
    let Some(weed) = Weed::start().await else { return };
    let house = House::open_with(binary, weed.settings());
    house.move_in();
    let title = marker("title", u64::from(std::process::id()));
    let film = house.path("evening.mp4");
    film::make(&film, 20, 8000);

    house.ok(&["upload", film.to_str().unwrap(), "--title", &title]);
    let list = house.ok(&["ls"]);
    assert_eq!(list[0]["title"], title.as_str());
    let video = house.videos().remove(0);
    house.ok(&["verify", &video, "--against", film.to_str().unwrap()]);

    let objects = weed.objects().await;
    let stored: u64 = objects.iter().map(|(_, length)| length).sum();
    assert!(objects.len() >= 4 && stored > fs::metadata(&film).unwrap().len(), "{objects:?}");
    assert!(!house.data().join("blobs").exists(), "the server keeps no ciphertext of its own");
    let search = Search::new(&[Needle::text("title", &title)]);
    for folder in [weed.dir(), house.data()] {
        assert!(search.found_below(folder).is_empty(), "{}", folder.display());
    }

    let mut player = house.client(&["play", &video]).spawn().unwrap();
    let told = player.stdout.take().unwrap();
    let told: Value = serde_json::Deserializer::from_reader(told).into_iter().next().unwrap().unwrap();
    let address = told["mp4"].as_str().unwrap();
    let http = Client::new();
    let whole = http.get(address).send().await.unwrap().bytes().await.unwrap();
    let played = house.path("played.mp4");
    fs::write(&played, &whole).unwrap();
    let length = whole.len();
    for (range, expected) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=3000000-9000000".to_owned(), 3_000_000..9_000_001),
        ("bytes=-70000".to_owned(), length - 70_000..length),
    ] {
        let answer = http.get(address).header(header::RANGE, &range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let said = answer.headers()[header::CONTENT_RANGE].to_str().unwrap().to_owned();
        assert_eq!(said, format!("bytes {}-{}/{length}", expected.start, expected.end - 1));
        assert!(answer.bytes().await.unwrap() == whole[expected], "{range}");
    }
    player.kill().unwrap();
    player.wait().unwrap();

    let saved = house.path("saved.mp4");
    house.ok(&["download", &video, "--mp4", saved.to_str().unwrap()]);
    let source = film::stream_hashes(&film);
    assert_eq!(film::stream_hashes(&saved), source, "downloaded");
    assert_eq!(film::stream_hashes(&played), source, "played");

    house.ok(&["trash", &video]);
    assert_eq!(weed.objects().await, objects, "the trash gives back");
    house.ok(&["delete", &video]);
    // The server deletes objects soon after it answered.
    for _ in 0..150 {
        if weed.objects().await.is_empty() {
            assert!(house.videos().is_empty());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("still there: {:?}", weed.objects().await);
}

#[test]
fn without_an_s3_store_there_are_no_cors_rules_to_write() {
    let Some(binary) = binary() else { return };
    let house = House::open(binary);
    let output = house.admin(&["cors"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("s3_endpoint"), "{said}");
}
