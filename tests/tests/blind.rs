//! What the server was never told is nowhere in what it keeps, logs or has in memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::PathBuf};

use gloaming_tests::{
    binary, film,
    house::House,
    search::{Marker, contains, files_with, memory},
};

#[test]
fn markers_in_film_title_and_file_name_never_reach_the_server() {
    let Some(binary) = binary() else { return };
    let house = House::open(binary);
    house.move_in();
    let [picture, title, name] =
        ["picture", "title", "file"].map(|what| Marker::new(what, u64::from(std::process::id())));

    let base = house.path("base.mp4");
    film::make(&base, 10, 800);
    let film = house.path(&format!("{}.mp4", name.text));
    film::plant(&base, &picture.text, &film);

    house.ok(&["upload", film.to_str().unwrap(), "--title", &title.text, "--playlist", &title.text]);
    let video = house.videos().remove(0);
    house.ok(&["verify", &video, "--against", film.to_str().unwrap()]);
    assert_eq!(house.ok(&["show", &video])["title"], title.text.as_str());
    let dump = memory(house.process()).unwrap();

    // The controls: the same search finds what is there to be found.
    assert!(picture.is_in(&fs::read(&film).unwrap()), "the marker is in the film itself");
    assert!(contains(&dump, b"/v1/videos/"), "the dump is the server's memory");
    let control = house.data().join("control");
    fs::create_dir(&control).unwrap();
    fs::copy(&film, control.join("unsealed.mp4")).unwrap();
    fs::write(control.join("title"), &title.text).unwrap();
    fs::write(control.join(&name.text), "").unwrap();
    for marker in [&picture, &title, &name] {
        let found = files_with(marker, house.data());
        assert_eq!(found.len(), 1, "{}: {found:?}", marker.text);
        assert!(found[0].starts_with(&control));
    }
    fs::remove_dir_all(&control).unwrap();

    let log = fs::read(house.log()).unwrap();
    assert!(contains(&log, b"{"), "there is a log");
    assert!(house.data().join("gloaming.db").exists(), "there is a database");
    for marker in [&picture, &title, &name] {
        assert_eq!(files_with(marker, house.data()), Vec::<PathBuf>::new(), "{}", marker.text);
        assert!(!marker.is_in(&log), "{} in the log", marker.text);
        assert!(!marker.is_in(&dump), "{} in the server's memory", marker.text);
    }
}
