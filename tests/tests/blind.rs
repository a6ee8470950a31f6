//! What the server was never told is nowhere in what it keeps, logs or has in memory: neither what is in a film and in
//! its names, nor any key that would open it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_tests::{
    binary, film,
    house::{House, PASSWORD},
    keys,
    search::{Needle, Search, contains, crash, marker},
};

#[tokio::test]
async fn neither_markers_nor_keys_reach_the_server() {
    let Some(binary) = binary() else { return };
    let house = House::open(binary);
    let words = house.move_in();
    let [picture, title, name] =
        ["picture", "title", "file"].map(|what| marker(what, u64::from(std::process::id())));

    let base = house.path("base.mp4");
    film::make(&base, 10, 800);
    let film = house.path(&format!("{name}.mp4"));
    film::plant(&base, &picture, &film);

    house.ok(&["upload", film.to_str().unwrap(), "--title", &title, "--playlist", &title]);
    let video = house.videos().remove(0);
    house.ok(&["verify", &video, "--against", film.to_str().unwrap()]);
    assert_eq!(house.ok(&["show", &video])["title"], title.as_str());
    // The password is used a second time, on another device.
    let elsewhere = house.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let login =
        house.client(&["account", "login", "ada"]).env("XDG_STATE_HOME", &elsewhere).output().unwrap();
    assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));

    let markers = [("picture", &picture), ("title", &title), ("file", &name)]
        .map(|(what, text)| Needle::text(what, text));
    let known = keys::known(PASSWORD, &words);
    let held = keys::held(&house.profile(), &format!("http://{}", house.road.address), &video).await;
    assert!(held.len() >= 15, "{}", held.len());
    let search = Search::new(markers.iter().chain(&known).chain(&held));

    // First control: whatever the shape, what lies beside the server's files is found, all of it.
    let control = house.data().join("control");
    fs::create_dir(&control).unwrap();
    fs::copy(&film, control.join("unsealed.mp4")).unwrap();
    fs::write(control.join("title"), &title).unwrap();
    fs::write(control.join(&name), "").unwrap();
    let both: Vec<&Needle> = known.iter().chain(&held).collect();
    for (at, needle) in both.iter().enumerate() {
        fs::write(control.join(format!("key-{at}")), needle.disguised(at)).unwrap();
    }
    let found = search.found_below(house.data());
    assert_eq!(found.iter().map(|(what, _)| *what).collect::<BTreeSet<_>>(), search.all());
    assert!(found.iter().all(|(_, path)| path.starts_with(&control)), "{found:?}");
    fs::remove_dir_all(&control).unwrap();

    // Second control: a client that plays has the keys in memory, and its dump shows them.
    let mut player = house.client(&["play", &video]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(player.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let dump = crash(&mut player, &house.path(""));
    let in_client = search.found_in(&dump);
    for expected in ["the password", "the grant share", "title"] {
        assert!(
            in_client.contains(expected),
            "{expected} is in the client's memory, which has {in_client:?}"
        );
    }
    assert!(in_client.iter().any(|what| what.starts_with("keyring/content")), "{in_client:?}");

    let wal = house.data().join("gloaming.db-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0, "there is a write-ahead log");
    assert_eq!(search.found_below(house.data()), BTreeSet::new());
    let dump = house.crash();
    assert!(contains(&dump, b"/v1/videos/"), "the dump is the server's memory");
    assert_eq!(search.found_in(&dump), BTreeSet::new(), "in the server's memory");
    let log = fs::read(house.log()).unwrap();
    assert!(contains(&log, b"/v1/keyring"), "there is a log");
    assert_eq!(search.found_in(&log), BTreeSet::new(), "in the log");
    assert_eq!(search.found_below(house.data()), BTreeSet::new());
}

/// The server grants every segment of a link's video, and of what opens it holds the grant share alone.
#[tokio::test]
async fn a_shared_video_is_watched_and_the_server_learns_one_half_only() {
    let Some(binary) = binary() else { return };
    let house = House::open(binary);
    house.move_in();
    let seed = u64::from(std::process::id());
    let [picture, title, label, password] =
        ["shared-picture", "shared-title", "label", "link-password"].map(|what| marker(what, seed));
    let (base, film) = (house.path("base.mp4"), house.path("shared.mp4"));
    film::make(&base, 10, 800);
    film::plant(&base, &picture, &film);
    house.ok(&["upload", film.to_str().unwrap(), "--title", &title]);
    let video = house.videos().remove(0);

    let secret = house.path("password");
    fs::write(&secret, &password).unwrap();
    let secret = secret.to_str().unwrap();
    let share = ["share", &video, "--link", "--label", &label, "--mark", "--download"];
    let made = house.ok(&[&share[..], &["--link-password-file", secret]].concat());
    let link = made["link"].as_str().unwrap();
    let out = house.path("watched.mp4");
    house.ok(&["view", link, "--link-password-file", secret, "--mp4", out.to_str().unwrap()]);
    let watched = fs::read(&out).unwrap();
    assert!(contains(&watched, picture.as_bytes()), "the viewer has the picture");
    assert!(house.ok(&["grants", &video, "--verify"])["grants"].as_u64().unwrap() > 0);

    let fragment = link.split_once('#').unwrap().1;
    let random = &URL_SAFE_NO_PAD.decode(fragment).unwrap()[2..34];
    let mut needles = vec![
        Needle::text("picture", &picture),
        Needle::text("title", &title),
        Needle::text("label", &label),
        Needle::text("the link's password", &password),
        Needle::text("the fragment", fragment),
        Needle::bytes("the link's secret", random),
    ];
    needles.extend(keys::held(&house.profile(), &format!("http://{}", house.road.address), &video).await);
    let granted = needles.iter().position(|needle| needle.name == "the grant share").unwrap();
    needles.remove(granted);
    let search = Search::new(needles.iter());

    let control = house.data().join("control");
    fs::create_dir(&control).unwrap();
    for (at, needle) in needles.iter().enumerate() {
        fs::write(control.join(format!("needle-{at}")), needle.disguised(at)).unwrap();
    }
    let found: BTreeSet<&str> = search.found_below(&control).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, search.all(), "what is there is found");
    fs::remove_dir_all(&control).unwrap();

    let dump = house.crash();
    assert!(contains(&dump, b"/v1/session"), "the dump is the server's memory");
    assert_eq!(search.found_in(&dump), BTreeSet::new(), "in the server's memory");
    assert_eq!(search.found_below(house.data()), BTreeSet::new());
    assert_eq!(search.found_in(&fs::read(house.log()).unwrap()), BTreeSet::new(), "in the log");
}
