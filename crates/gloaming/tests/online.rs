//! The command line against a real server: an account's life, a video's life, and a second device.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod home;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    sync::atomic::Ordering,
    time::Duration,
};

use home::{Home, PASSWORD, Running, film, json, noise, packets, refusal, serving};
use serde_json::Value;

const OTHER: &str = "copper meadow thirteen umbrellas";

#[test]
fn a_film_goes_in_and_comes_out_the_same() {
    let (home, _) = Home::owned("laptop");
    let file = home.path("Harbour.mp4");
    film(&file, 20, 0);
    let name = file.to_str().unwrap();

    let dry = home.ok("laptop", &["upload", "--dry-run", name]);
    assert_eq!(dry[0]["status"], "would be stored");
    assert_eq!(home.ok("laptop", &["ls"]).as_array().unwrap().len(), 0);

    let stored = home.ok("laptop", &["upload", name]);
    assert_eq!(stored[0]["status"], "stored");
    let id = stored[0]["video"].as_str().unwrap().to_owned();
    assert_eq!(home.ok("laptop", &["upload", name])[0]["status"], "already there");

    let shown = home.ok("laptop", &["show", &id[24..]]);
    assert_eq!(
        (&shown["title"], &shown["file_name"]),
        (&Value::from("Harbour"), &Value::from("Harbour.mp4"))
    );
    assert_eq!(shown["tracks"].as_array().unwrap().len(), 2);
    assert!(shown["duration_ms"].as_u64().unwrap().abs_diff(20_000) < 200);

    home.ok("laptop", &["rename", "Harbour", "Le Port à l’aube"]);
    assert_eq!(home.ok("laptop", &["ls", "port", "aube"])[0]["video"], id.as_str());

    let out = home.path("out.mp4");
    home.ok("laptop", &["download", "Le Port à l’aube", "--mp4", out.to_str().unwrap()]);
    assert_eq!(packets(name), packets(out.to_str().unwrap()));
    assert_eq!(home.refused("laptop", &["download", &id, "--mp4", out.to_str().unwrap()]).1, "output_exists");

    let verified = home.ok("laptop", &["verify", &id]);
    assert!(verified["fragments"].as_u64().unwrap() >= 10);
    assert!(home.ok("laptop", &["verify", &id, "--against", name])["samples"].as_u64().unwrap() > 500);
    let other = home.path("other.mp4");
    film(&other, 20, 40);
    assert_eq!(
        home.refused("laptop", &["verify", &id, "--against", other.to_str().unwrap()]),
        (20, "differs".into())
    );

    for (flag, folder, manifest) in [("--dash", "dash", "manifest.mpd"), ("--hls", "hls", "master.m3u8")] {
        let folder = home.path(folder);
        home.ok("laptop", &["export", &id, flag, folder.to_str().unwrap()]);
        assert!(packets(folder.join(manifest).to_str().unwrap()).lines().count() >= 2);
    }

    home.ok("laptop", &["trash", &id]);
    assert_eq!(home.ok("laptop", &["ls"]).as_array().unwrap().len(), 0);
    assert_eq!(home.ok("laptop", &["ls", "--trash"])[0]["video"], id.as_str());
    assert_eq!(home.refused("laptop", &["verify", &id]), (44, "wrong_state".into()));
    home.ok("laptop", &["restore", &id]);
    home.ok("laptop", &["verify", &id]);
    home.ok("laptop", &["delete", &id]);
    assert_eq!(home.refused("laptop", &["show", &id]), (43, "not_found".into()));
    assert_eq!(home.ok("laptop", &["account", "whoami"])["used_bytes"], 0);
    assert!(home.ailments("laptop").is_empty());
}

#[test]
fn any_player_opens_the_loopback_address() {
    let (home, _) = Home::owned("laptop");
    let file = home.path("film.mp4");
    film(&file, 12, 0);
    home.ok("laptop", &["upload", file.to_str().unwrap()]);
    let (_running, urls) = serving(&home, "laptop", &["play", "film"]);
    let mp4 = urls["mp4"].as_str().unwrap();
    assert_eq!(packets(mp4), packets(file.to_str().unwrap()));
    assert_eq!(packets(urls["hls"].as_str().unwrap()).lines().count(), 2);

    let (host, path) = mp4.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let part = get(host, path, host, "Range: bytes=4-7\r\n");
    assert!(
        part.0.contains("206 Partial Content") && part.0.to_lowercase().contains("content-range: bytes 4-7/")
    );
    assert_eq!(part.1, b"ftyp");
    assert!(get(host, path, "evil.example", "").0.contains("404"));
    assert!(get(host, "0123456789abcdef0123456789abcdef/video.mp4", host, "").0.contains("404"));
}

fn get(address: &str, path: &str, host: &str, headers: &str) -> (String, Vec<u8>) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}

#[test]
fn a_second_device_sees_the_library_and_both_may_write() {
    let (home, _) = Home::owned("laptop");
    let folder = home.path("Films");
    fs::create_dir_all(folder.join("Sea")).unwrap();
    film(&folder.join("one.mp4"), 3, 0);
    film(&folder.join("Sea/two.mp4"), 4, 1);
    fs::write(folder.join("broken.mp4"), b"not a film").unwrap();
    let output = home.run("laptop", &["upload", folder.to_str().unwrap(), "--playlist", "Summer"]);
    assert_eq!(output.status.code(), Some(10), "{}", String::from_utf8_lossy(&output.stderr));
    let outcomes: Value = serde_json::from_slice(&output.stdout).unwrap();
    let status: Vec<_> = outcomes.as_array().unwrap().iter().map(|o| o["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["stored", "failed", "stored"]);

    home.ok("phone", &["account", "login", "ADA"]);
    assert_eq!(home.ok("phone", &["ls"]).as_array().unwrap().len(), 2);
    let lists = home.ok("phone", &["playlist", "ls"]);
    let lists: Vec<_> = lists
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["path"].clone(), l["videos"].as_array().unwrap().len()))
        .collect();
    assert!(lists.contains(&(Value::from("Films/Sea"), 1)) && lists.contains(&(Value::Null, 2)), "{lists:?}");

    home.ok("phone", &["playlist", "move", "Summer", "one", "1"]);
    home.ok("laptop", &["playlist", "rename", "Summer", "Winter"]);
    let order = home.ok("phone", &["ls", "--playlist", "Winter"]);
    assert_eq!(order[0]["title"], "one");

    assert_eq!(home.ok("phone", &["account", "sessions"]).as_array().unwrap().len(), 2);
    home.ok("phone", &["account", "logout"]);
    assert_eq!(home.refused("phone", &["ls"]), (40, "signed_out".into()));
    assert_eq!(home.ok("laptop", &["account", "sessions"]).as_array().unwrap().len(), 1);
}

#[test]
fn passwords_are_checked_changed_and_recovered() {
    let (home, phrase) = Home::owned("laptop");
    let with = |device: &str, password: &str, args: &[&str]| {
        home.command(device, args).env("GLOAMING_PASSWORD", password).output().unwrap()
    };
    let login = ["account", "login", "ada"];
    assert_eq!(
        refusal(&with("phone", "not it at all, sorry", &login), &login),
        (41, "wrong_password".into())
    );
    let invite = home.ok("laptop", &["account", "invite", "for Ida"]);
    let create = ["account", "create", "--invite", invite["link"].as_str().unwrap(), "--username", "ida"];
    assert_eq!(refusal(&with("ida", "password1", &create), &create), (41, "weak_password".into()));

    // Locked: nothing is readable without the password, and nobody is asked where nobody sits.
    home.ok("laptop", &["lock"]);
    let mut locked = home.command("laptop", &["ls"]);
    let locked = locked.env_remove("GLOAMING_PASSWORD").output().unwrap();
    assert_eq!(refusal(&locked, &["ls"]), (41, "no_password".into()));
    let unlock = ["unlock"];
    assert_eq!(refusal(&with("laptop", OTHER, &unlock), &unlock), (41, "wrong_password".into()));
    home.ok("laptop", &["unlock"]);
    home.ok("laptop", &["ls"]);

    json(&with("phone", PASSWORD, &login), &login);
    let change = ["account", "password"];
    let changed = home.command("laptop", &change).env("GLOAMING_NEW_PASSWORD", OTHER).output().unwrap();
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert_eq!(home.refused("phone", &["ls"]), (40, "signed_out".into()), "other sessions ended");
    assert_eq!(refusal(&with("phone", PASSWORD, &login), &login), (41, "wrong_password".into()));
    json(&with("phone", OTHER, &login), &login);

    let words = home.path("words");
    let recover = ["account", "recovery", "ada", "--phrase-file", words.to_str().unwrap()];
    let mut wrong: Vec<_> = phrase.split(' ').collect();
    wrong.swap(0, 1);
    fs::write(&words, wrong.join(" ")).unwrap();
    assert_eq!(with("tablet", PASSWORD, &recover).status.code(), Some(41));
    fs::write(&words, &phrase).unwrap();
    json(&with("tablet", PASSWORD, &recover), &recover);
    json(&with("phone", PASSWORD, &login), &login);
    assert_eq!(home.ok("phone", &["ls"]).as_array().unwrap().len(), 0);
}

const NOISE: &str = "noise.mp4";

/// How many objects that film is.
fn noise_objects(home: &Home) -> usize {
    home.honest();
    home.ok("laptop", &["upload", "--again", noise().to_str().unwrap()]);
    home.objects_sent()
}

#[test]
fn an_upload_that_was_killed_goes_on_where_it_was() {
    let (home, _) = Home::owned("laptop");
    let upload = ["upload", noise().to_str().unwrap()];
    home.take_objects(2, 503);
    let first = home.begin("laptop", &upload, 4);
    // The journal is a second behind.
    std::thread::sleep(Duration::from_millis(1500));
    drop(first);
    home.honest();
    assert_eq!(home.ok("laptop", &["ls"]).as_array().unwrap().len(), 0, "nothing half-written is shown");
    assert_eq!(home.ok("laptop", &["upload", "--dry-run", upload[1]])[0]["status"], "would go on");
    assert_eq!(home.ailments("laptop"), ["uploads"]);
    let doctor = String::from_utf8(home.run("laptop", &["doctor"]).stdout).unwrap();
    assert!(doctor.contains(NOISE), "{doctor}");

    home.honest();
    assert_eq!(home.ok("laptop", &upload)[0]["status"], "stored");
    let again = home.objects_sent();
    home.ok("laptop", &["verify", "noise", "--against", upload[1]]);
    let whole = noise_objects(&home);
    assert!(again + 2 <= whole, "{again} of {whole} objects were sent again");
}

#[test]
fn an_upload_that_is_interrupted_says_what_is_safe_and_sends_none_of_it_again() {
    let (home, _) = Home::owned("laptop");
    let upload = ["upload", noise().to_str().unwrap()];
    let whole = noise_objects(&home);
    let mut again = upload.to_vec();
    again.push("--again");
    for signal in ["INT", "TERM"] {
        home.honest();
        home.take_objects(2, 503);
        // Soon, and not a second later, when the journal would have been saved anyway.
        let mut running = home.begin("laptop", &again, 4);
        std::thread::sleep(Duration::from_millis(400));
        running.signal(signal);
        let output = running.end();
        assert_eq!(refusal(&output, &again), (60, "interrupted".into()));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("Run the same command to go on"), "{told}");
        let safe = told.split("paused: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let safe: usize = safe.parse().unwrap();
        assert!((1..=2).contains(&safe), "{told}");
        home.honest();
        assert_eq!(home.ok("laptop", &again)[0]["status"], "stored");
        let sent = home.objects_sent();
        assert!(sent + safe <= whole, "{sent} of {whole} objects were sent again, and {safe} were safe");
    }
}

#[test]
fn an_upload_whose_session_ended_goes_on_after_the_next_sign_in() {
    let (home, _) = Home::owned("laptop");
    let upload = ["upload", noise().to_str().unwrap()];
    home.ok("phone", &["account", "login", "ada"]);
    home.take_objects(2, 503);
    let mut first = home.begin("laptop", &upload, 4);
    let sessions = home.ok("phone", &["account", "sessions"]);
    let laptop = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    home.ok("phone", &["account", "sessions", "--revoke", laptop["session"].as_str().unwrap()]);
    home.honest();
    assert_eq!(refusal(&first.end(), &upload), (40, "signed_out".into()));
    assert_eq!(home.refused("laptop", &upload), (40, "signed_out".into()));

    home.ok("laptop", &["account", "login", "ada"]);
    home.honest();
    assert_eq!(home.ok("laptop", &upload)[0]["status"], "stored");
    let again = home.objects_sent();
    home.ok("laptop", &["verify", "noise"]);
    let whole = noise_objects(&home);
    assert!(again + 2 <= whole, "{again} of {whole} objects were sent again");
}

#[test]
fn an_upload_waits_for_a_server_that_is_gone_and_says_so() {
    let (mut home, _) = Home::owned("laptop");
    let upload = ["upload", noise().to_str().unwrap()];
    home.take_objects(2, 502);
    let mut running = home.begin("laptop", &upload, 4);
    home.stop();
    home.honest();
    std::thread::sleep(Duration::from_secs(4));
    home.start();
    let output = running.end();
    assert_eq!(json(&output, &upload)[0]["status"], "stored");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("Waiting: the server is busy"), "{told}");
    assert!(told.contains("Waiting: the network is gone"), "{told}");
    assert!(told.contains("Going on."), "{told}");
    home.ok("laptop", &["verify", "noise", "--against", upload[1]]);
}

#[test]
fn a_full_server_and_a_reached_quota_are_named_and_lose_nothing() {
    let (home, _) = Home::owned("laptop");
    let upload = ["upload", noise().to_str().unwrap()];
    home.take_objects(1, 507);
    assert_eq!(home.refused("laptop", &upload), (51, "storage_full".into()));
    assert_eq!(home.ok("laptop", &["ls"]).as_array().unwrap().len(), 0);
    home.honest();
    assert_eq!(home.ok("laptop", &["upload", "--dry-run", upload[1]])[0]["status"], "would go on");
    assert_eq!(home.ok("laptop", &upload)[0]["status"], "stored");

    let invite = home.ok("laptop", &["account", "invite", "--quota-gb", "0.03"]);
    home.ok("ida", &["account", "create", "--invite", invite["link"].as_str().unwrap(), "ida"]);
    assert_eq!(home.refused("ida", &upload), (45, "quota_exceeded".into()));
    assert_eq!(home.ok("ida", &["upload", "--dry-run", upload[1]])[0]["status"], "would go on");
    let account = home.ok("ida", &["account", "whoami"]);
    assert!(account["used_bytes"].as_u64().unwrap() <= 30_000_000, "{account}");
    // What is smaller still fits.
    let small = home.path("small.mp4");
    film(&small, 4, 0);
    home.ok("ida", &["upload", small.to_str().unwrap()]);
    home.ok("ida", &["verify", "small"]);
}

#[test]
fn a_clock_that_is_an_hour_off_hinders_nothing_and_is_found() {
    for ahead in [3_600_000, -3_600_000] {
        let home = Home::new();
        home.clock.store(ahead, Ordering::SeqCst);
        home.ok("laptop", &["account", "create", "--setup", &home.setup, "ada"]);
        let file = home.path("film.mp4");
        film(&file, 4, 0);
        home.ok("laptop", &["upload", file.to_str().unwrap()]);
        home.ok("laptop", &["trash", "film"]);
        home.ok("laptop", &["restore", "film"]);
        home.ok("phone", &["account", "login", "ada"]);
        home.ok("phone", &["verify", "film"]);
        assert_eq!(home.ailments("laptop"), ["clock"]);
    }
}

#[test]
fn a_session_that_nobody_used_for_a_month_ends_and_loses_nothing() {
    let (home, _) = Home::owned("laptop");
    let file = home.path("film.mp4");
    film(&file, 4, 0);
    home.ok("laptop", &["upload", file.to_str().unwrap()]);
    home.clock.store(31 * 24 * 3_600_000, Ordering::SeqCst);
    for verb in [vec!["ls"], vec!["upload", file.to_str().unwrap()], vec!["account", "whoami"]] {
        assert_eq!(home.refused("laptop", &verb), (40, "signed_out".into()));
    }
    home.ok("laptop", &["account", "login", "ada"]);
    home.ok("laptop", &["verify", "film"]);
}

#[test]
fn a_device_that_signs_in_again_leaves_no_session_behind() {
    let (home, _) = Home::owned("laptop");
    home.ok("laptop", &["account", "login", "ada"]);
    assert_eq!(home.ok("laptop", &["account", "sessions"]).as_array().unwrap().len(), 1);
    // Nor keys, when somebody else signs in.
    let invite = home.ok("laptop", &["account", "invite"]);
    home.ok("ida", &["account", "create", "--invite", invite["link"].as_str().unwrap(), "ida"]);
    home.ok("phone", &["account", "login", "ada"]);
    home.ok("laptop", &["account", "login", "ida"]);
    let keys = home.path("devices/laptop/gloaming/default/keys/account");
    assert_eq!(fs::read_dir(keys).unwrap().count(), 1);
    assert_eq!(home.ok("phone", &["account", "sessions"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_server_is_remembered_once_somebody_signed_in_there() {
    let (home, _) = Home::owned("laptop");
    let run = |device: &str, args: &[&str]| {
        home.command(device, args).env_remove("GLOAMING_SERVER").output().unwrap()
    };
    // Mistyped: on a new device, and on one that knows a server.
    let mistyped = ["--server", "http://127.0.0.1:9", "account", "login", "ada"];
    assert_eq!(refusal(&run("phone", &mistyped), &mistyped), (50, "offline".into()));
    assert_eq!(refusal(&run("phone", &["ls"]), &["ls"]), (2, "no_server".into()));
    home.ok("laptop", &["account", "logout"]);
    assert_eq!(refusal(&run("laptop", &mistyped), &mistyped), (50, "offline".into()));
    let wrong = ["--server", &home.url, "account", "login", "nobody"];
    assert_eq!(refusal(&run("phone", &wrong), &wrong), (41, "wrong_password".into()));
    assert_eq!(refusal(&run("phone", &["ls"]), &["ls"]), (2, "no_server".into()));
    let login = ["account", "login", "ada"];
    json(&run("laptop", &login), &login);
    json(&run("laptop", &["ls"]), &["ls"]);
}

#[test]
fn a_pin_is_the_named_servers_and_no_other() {
    let (home, _) = Home::owned("laptop");
    let (url, setup, pin) = home::secure_server(&home.path("secure"));
    let run = |device: &str, args: &[&str]| {
        home.command(device, args).env_remove("GLOAMING_SERVER").output().unwrap()
    };
    let create = ["account", "create", "--setup", &setup, "ada"];
    assert_eq!(refusal(&run("pinned", &create), &create), (50, "offline".into()), "nobody vouches for it");
    let create = ["--pin", &pin, "account", "create", "--setup", &setup, "ada"];
    json(&run("pinned", &create), &create);
    json(&run("pinned", &["ls"]), &["ls"]);
    let nought = "0".repeat(64);
    let wrong = ["--pin", &nought, "ls"];
    assert_eq!(refusal(&run("pinned", &wrong), &wrong), (50, "offline".into()));
    json(&run("pinned", &["ls"]), &["ls"]);

    // A store elsewhere has a certificate of its own: it is believed for what vouches for it, and not for the pin.
    let file = home.path("film.mp4");
    film(&file, 4, 0);
    home.ok("laptop", &["upload", file.to_str().unwrap()]);
    let elsewhere = url.clone();
    home.lie(move |_, _, _, body| {
        if let Ok(text) = std::str::from_utf8(body) {
            *body = text.replace("\"/blobs/", &format!("\"{elsewhere}/blobs/")).into_bytes();
        }
    });
    let certificate = home.path("secure/tls/cert.pem");
    assert_eq!(home.refused("laptop", &["--pin", &pin, "verify", "film"]), (50, "offline".into()));
    let believed = ["--pin", &nought, "--cacert", certificate.to_str().unwrap(), "verify", "film"];
    // It is reached, and knows nothing of these addresses.
    assert_eq!(home.refused("laptop", &believed), (51, "server_failed".into()));
}

#[test]
fn a_link_names_its_server_and_options_may_come_before_the_verb() {
    let home = Home::new();
    let run = |args: &[&str]| home.command("laptop", args).env_remove("GLOAMING_SERVER").output().unwrap();
    let create = ["account", "create", "--setup", &home.setup, "--username", "ada"];
    json(&run(&create), &create);
    json(&run(&["ls"]), &["ls"]);
    let third = ["--profile", "third", "ls"];
    assert_eq!(refusal(&run(&third), &third), (2, "no_server".into()));
    let second = ["--server", &home.url, "--profile", "second", "account", "login", "ada"];
    json(&run(&second), &second);
    let whoami = ["--profile", "second", "account", "whoami"];
    assert_eq!(json(&run(&whoami), &whoami)["username"], "ada");
}

#[test]
fn two_devices_that_write_at_once_lose_nothing() {
    let (home, _) = Home::owned("laptop");
    home.ok("phone", &["account", "login", "ada"]);
    home.ok("laptop", &["playlist", "create", "Both"]);
    let names: Vec<String> = (0..8).map(|n| format!("list {n}")).collect();
    let writers: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let device = if n % 2 == 0 { "laptop" } else { "phone" };
            home.command(device, &["playlist", "create", name]).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    // Whole films, and changes of one list, too.
    let films = ["one", "two"].map(|name| {
        let file = home.path(&format!("{name}.mp4"));
        film(&file, 6, name.len() as u32 + u32::from(name == "two"));
        file
    });
    let uploads: Vec<_> = ["laptop", "phone"]
        .iter()
        .zip(&films)
        .map(|(device, file)| {
            let upload = ["upload", file.to_str().unwrap(), "--playlist", "Both"];
            Running(Some(home.command(device, &upload).stdout(Stdio::piped()).spawn().unwrap()))
        })
        .collect();
    for mut upload in uploads {
        assert!(upload.end().status.success());
    }
    for device in ["laptop", "phone"] {
        let both = home.ok(device, &["ls", "--playlist", "Both"]);
        assert_eq!(both.as_array().unwrap().len(), 2, "{both}");
        home.ok(device, &["verify", "one"]);
        home.ok(device, &["verify", "two"]);
        let lists = home.ok(device, &["playlist", "ls"]);
        let there: Vec<_> =
            lists.as_array().unwrap().iter().map(|list| list["name"].as_str().unwrap()).collect();
        assert!(names.iter().all(|name| there.contains(&name.as_str())), "{there:?}");
    }
}
