//! Sharing with people: two accounts and more on a real server, and what a server that lies can make of it (nothing).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod home;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use gloaming_keys::{ContactLink, Fingerprint};
use home::{Home, Running, film, packets, refusal, serving};
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A home whose owner Ada, on `laptop`, has a film; and Ida, on `ida`. Neither knows the other.
fn strangers() -> (Home, PathBuf) {
    let (home, _) = Home::owned("laptop");
    join(&home, "ida");
    let file = add(&home, "Harbour", 0);
    (home, file)
}

/// Makes an account, on a device of the same name.
fn join(home: &Home, name: &str) {
    let invite = home.ok("laptop", &["account", "invite"]);
    home.ok(name, &["account", "create", "--invite", invite["link"].as_str().unwrap(), name]);
}

/// The same, and they know each other.
fn friends() -> (Home, PathBuf) {
    let (home, file) = strangers();
    know(&home, "laptop", "ida", "Ida");
    know(&home, "ida", "laptop", "Ada");
    (home, file)
}

fn add(home: &Home, name: &str, seed: u32) -> PathBuf {
    let file = home.path(&format!("{name}.mp4"));
    film(&file, 12, seed);
    home.ok("laptop", &["upload", text(&file)]);
    file
}

fn link(home: &Home, device: &str) -> String {
    home.ok(device, &["contact"])["link"].as_str().unwrap().to_owned()
}

fn know(home: &Home, device: &str, whom: &str, name: &str) {
    home.ok(device, &["contact", "add", &link(home, whom), "--name", name]);
}

fn account(home: &Home, device: &str) -> String {
    ContactLink::parse(&link(home, device)).unwrap().account.to_string()
}

fn received(home: &Home, device: &str) -> Vec<Value> {
    home.ok(device, &["received"]).as_array().unwrap().clone()
}

fn saved(home: &Home, device: &str, name: &str) -> PathBuf {
    let out = home.path(&format!("{device}-saved.mp4"));
    home.ok(device, &["download", name, "--force", "--mp4", text(&out)]);
    out
}

/// Why a video is not saved.
fn refused(home: &Home, device: &str, name: &str) -> (i32, String) {
    let out = home.path(&format!("{device}-refused.mp4"));
    let refused = home.refused(device, &["download", name, "--mp4", text(&out)]);
    assert!(!out.exists(), "what was refused left a file behind");
    refused
}

/// `gloaming play`, running; and its address.
fn playing(home: &Home, device: &str, name: &str) -> (Running, String) {
    let (running, said) = serving(home, device, &["play", name]);
    (running, said["mp4"].as_str().unwrap().to_owned())
}

/// How it ended, while a player keeps asking: what was opened is kept for a quarter of a minute.
fn ended(mut running: Running, mp4: &str) -> (i32, String) {
    let begun = Instant::now();
    while running.0.as_mut().unwrap().try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
        let player = ["-v", "quiet", "-i", mp4, "-c", "copy", "-f", "null", "-"];
        let _ = Command::new("ffmpeg").args(player).stdin(Stdio::null()).status();
        thread::sleep(Duration::from_millis(300));
    }
    refusal(&running.end(), &["play"])
}

#[test]
fn what_was_given_is_played_and_saved_and_nobody_counts_it() {
    let (home, file) = friends();
    let made = home.ok("laptop", &["share", "Harbour", "--to", "Ida"]);
    assert_eq!(
        (&made["kind"], &made["label"], &made["link"]),
        (&json!("given"), &json!("Ida"), &Value::Null)
    );
    assert_eq!(made["recipient"], json!(account(&home, "ida")));

    let row = &received(&home, "ida")[0];
    let said = (&row["state"], &row["kind"], &row["from"], &row["name"]);
    assert_eq!(said, (&json!("open"), &json!("given"), &json!("Ada"), &json!("Harbour")));
    let video = row["videos"][0]["video"].as_str().unwrap();
    for name in ["Harbour", video, &row["share"].as_str().unwrap()[..8]] {
        assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ida", name))), "{name}");
    }
    let (_running, mp4) = playing(&home, "ida", "Harbour");
    assert_eq!(packets(text(&file)), packets(&mp4));
    let out = home.path("viewed.mp4");
    home.ok("ida", &["view", "Harbour", "--mp4", text(&out)]);
    assert_eq!(packets(text(&file)), packets(text(&out)));
    assert_eq!(home.ok("laptop", &["grants", "Harbour", "--verify"])["grants"], 0);

    // It is in the owner's list, and not in the library of whom it was given to.
    assert_eq!(home.ok("laptop", &["shares"])[0]["state"], "good");
    assert_eq!(home.ok("ida", &["ls"]), json!([]));

    let revoked = home.run("laptop", &["revoke", "Ida"]);
    assert!(revoked.status.success());
    let note = String::from_utf8(revoked.stderr).unwrap();
    assert!(note.contains("does not take keys back"), "{note}");
    assert_eq!(received(&home, "ida"), [] as [Value; 0]);
    assert_eq!(refused(&home, "ida", "Harbour"), (43, "not_found".into()));
}

#[test]
fn what_was_lent_is_granted_logged_and_taken_back() {
    let (home, file) = friends();
    let made = home.ok("laptop", &["share", "Harbour", "--to", "Ida", "--lend", "--until", "2h"]);
    assert_eq!(made["kind"], "lent");
    assert_eq!(received(&home, "ida")[0]["state"], "open");
    assert_eq!(refused(&home, "ida", "Harbour"), (42, "not_for_download".into()));
    let (running, mp4) = playing(&home, "ida", "Harbour");
    assert_eq!(packets(text(&file)), packets(&mp4));
    let log = home.ok("laptop", &["grants", "Harbour", "--verify"]);
    assert!(log["grants"].as_u64().unwrap() > 4, "{log}");
    let log = home.ok("laptop", &["grants", "Harbour"]);
    assert_eq!(log["playbacks"][0]["label"], "Ida");

    home.ok("laptop", &["revoke", "Ida"]);
    assert_eq!(ended(running, &mp4), (42, "share_revoked".into()));
    assert_eq!(received(&home, "ida"), [] as [Value; 0]);

    let keeps = ["share", "Harbour", "--to", "Ida", "--lend", "--download", "--until", "2h"];
    let keeps = home.ok("laptop", &keeps)["share"].as_str().unwrap().to_owned();
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ida", "Harbour"))));
    home.clock.store(3 * HOUR, Ordering::SeqCst);
    assert_eq!(refused(&home, "ida", "Harbour"), (42, "share_expired".into()));
    home.ok("laptop", &["policy", &keeps, "--until", "9h"]);
    saved(&home, "ida", "Harbour");
}

#[test]
fn a_playlist_goes_to_a_person_in_its_order() {
    let (home, harbour) = friends();
    let dunes = add(&home, "Dunes", 60);
    home.ok("laptop", &["playlist", "create", "Summer"]);
    let id = |name| home.ok("laptop", &["show", name])["video"].as_str().unwrap().to_owned();
    home.ok("laptop", &["playlist", "add", "Summer", &id("Dunes"), &id("Harbour")]);
    for lend in [&[][..], &["--lend", "--download"]] {
        let made = home.ok("laptop", &[&["share", "--playlist", "Summer", "--to", "Ida"][..], lend].concat());
        let row = &received(&home, "ida")[0];
        assert_eq!(row["name"], "Summer");
        let titles: Vec<_> = row["videos"].as_array().unwrap().iter().map(|one| &one["title"]).collect();
        assert_eq!(titles, ["Dunes", "Harbour"]);
        assert_eq!(packets(text(&harbour)), packets(text(&saved(&home, "ida", "Harbour"))));
        assert_eq!(packets(text(&dunes)), packets(text(&saved(&home, "ida", "Dunes"))));
        let out = home.path("second.mp4");
        home.ok("ida", &["view", "Summer", "--video", "2", "--force", "--mp4", text(&out)]);
        assert_eq!(packets(text(&harbour)), packets(text(&out)));
        home.ok("laptop", &["revoke", made["share"].as_str().unwrap()]);
    }
}

#[test]
fn contacts_are_added_by_their_links_alone() {
    let (home, _) = strangers();
    assert_eq!(home.refused("laptop", &["share", "Harbour", "--to", "ida"]), (43, "not_found".into()));
    let ida = link(&home, "ida");
    assert!(ida.starts_with(&format!("{}/c/", home.url)), "{ida}");
    assert_eq!(link(&home, "ida"), ida, "the same every time");
    assert_eq!(home.refused("laptop", &["contact", "add", &ida]), (44, "wrong_state".into()), "no name");
    let added = home.ok("laptop", &["contact", "add", &ida, "--name", "Ida"]);
    assert_eq!(added["name"], "Ida");
    assert_eq!(home.ok("ida", &["contact"])["fingerprint"], added["fingerprint"]);
    // Again verifies again, under the same name, or another.
    assert_eq!(home.ok("laptop", &["contact", "add", &ida])["name"], "Ida");
    assert_eq!(home.ok("laptop", &["contact", "add", &ida, "--name", "Ida B."])["name"], "Ida B.");
    assert_eq!(home.ok("laptop", &["contact", "ls"]).as_array().unwrap().len(), 1);
    // Another device of the same account knows them too.
    home.ok("phone", &["account", "login", "ada"]);
    assert_eq!(home.ok("phone", &["contact", "ls"])[0]["account"], added["account"]);

    join(&home, "eve");
    let eve = link(&home, "eve");
    let same_name = ["contact", "add", eve.as_str(), "--name", "IDA B."];
    assert_eq!(home.refused("laptop", &same_name), (44, "wrong_state".into()));
    let own = link(&home, "laptop");
    let own = ["contact", "add", own.as_str(), "--name", "Me"];
    assert_eq!(home.refused("laptop", &own), (44, "wrong_state".into()));
    let (place, fragment) = ida.split_once('#').unwrap();
    let (_, other) = eve.split_once('#').unwrap();
    for cut in [place, &ida[..ida.len() - 1], &format!("{place}#{other}"), fragment, "x"] {
        let add = ["contact", "add", cut, "--name", "X"];
        assert_eq!(home.refused("laptop", &add), (2, "link_incomplete".into()), "{cut}");
    }
    // An account of another server, or of nobody.
    let nobody = ContactLink {
        account: gloaming_ids::AccountId::from_bytes([7; 16]),
        fingerprint: Fingerprint([7; 32]),
    };
    let nobody = format!("{}/c/{}#{}", home.url, nobody.account, nobody.to_fragment());
    let add = ["contact", "add", nobody.as_str(), "--name", "X"];
    assert_eq!(home.refused("laptop", &add), (43, "not_found".into()));

    home.ok("laptop", &["contact", "rm", "ida b."]);
    assert_eq!(home.ok("laptop", &["contact", "ls"]), json!([]));
    assert_eq!(home.refused("laptop", &["contact", "rm", "Ida"]), (43, "not_found".into()));
}

#[test]
fn what_comes_from_somebody_unknown_waits_unopened() {
    let (home, file) = strangers();
    know(&home, "laptop", "ida", "Ida");
    home.ok("laptop", &["share", "Harbour", "--to", "Ida"]);
    let row = &received(&home, "ida")[0];
    assert_eq!((&row["state"], &row["name"]), (&json!("unknown_sender"), &Value::Null));
    assert_eq!(row["sender"], json!(account(&home, "laptop")));
    let own = home.ok("laptop", &["contact"]);
    assert_eq!(row["fingerprint"], own["fingerprint"]);
    let share = row["share"].as_str().unwrap();
    assert_eq!(refused(&home, "ida", share), (20, "unknown_sender".into()));
    assert_eq!(refused(&home, "ida", "Harbour"), (43, "not_found".into()));
    let shown = home.command("ida", &["received"]).env_remove("X").output().unwrap();
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("Harbour"));

    know(&home, "ida", "laptop", "Ada");
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ida", share))));
    home.ok("ida", &["contact", "rm", "Ada"]);
    assert_eq!(refused(&home, "ida", share), (20, "unknown_sender".into()));
}

/// From now on, answers to requests of this method and path are edited.
fn edit(home: &Home, method: &'static str, at: String, edit: impl Fn(&mut Value) + Send + 'static) {
    home.lie(move |asked, path, status, body| {
        if asked == method && path.split('?').next() == Some(at.as_str()) && *status == 200 {
            let mut answer: Value = serde_json::from_slice(body).unwrap();
            edit(&mut answer);
            *body = serde_json::to_vec(&answer).unwrap();
        }
    });
}

/// Another character at a place, so that it is still base64url.
fn bend(value: &mut Value, at: usize) {
    let mut letters: Vec<char> = value.as_str().unwrap().chars().collect();
    letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
    *value = letters.into_iter().collect::<String>().into();
}

/// What the server answers to a device's request.
fn answer(home: &Home, device: &str, args: &[&str], method: &'static str, at: &str) -> Value {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let note = std::sync::Arc::clone(&seen);
    edit(home, method, at.into(), move |answer| *note.lock().unwrap() = answer.clone());
    home.run(device, args);
    home.honest();
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.is_null(), "{at} was asked");
    seen
}

#[test]
fn keys_that_the_server_puts_in_somebodys_place_stop_sharing_until_they_are_verified_anew() {
    let (home, file) = friends();
    join(&home, "eve");
    let (ida, eve) = (account(&home, "ida"), account(&home, "eve"));
    let at = |account: &str| format!("/v1/people/{account}");
    let keys = answer(&home, "eve", &["contact"], "GET", &at(&eve));
    let evil = keys.clone();
    let changed = (20, "changed_key".to_owned());

    edit(&home, "GET", at(&ida), move |answer| *answer = evil.clone());
    for how in [&["share", "Harbour", "--to", "Ida"][..], &["share", "Harbour", "--to", "Ida", "--lend"]] {
        assert_eq!(home.refused("laptop", how), changed);
    }
    let again = link(&home, "laptop"); // asks for nothing of Ida's
    assert!(again.contains("/c/"));
    assert!(!home.honest().iter().any(|asked| asked == "POST /v1/shares"), "nothing was sent");
    // One half of them, or keys that are none.
    for (field, value) in [("x_wing", keys["x_wing"].clone()), ("ed25519", keys["ed25519"].clone())] {
        edit(&home, "GET", at(&ida), move |answer| answer[field] = value.clone());
        assert_eq!(home.refused("laptop", &["share", "Harbour", "--to", "Ida"]), changed, "{field}");
    }
    edit(&home, "GET", at(&ida), |answer| answer["ed25519"] = json!("AAAA"));
    assert_eq!(home.refused("laptop", &["share", "Harbour", "--to", "Ida"]).0, 43);
    assert!(!home.honest().iter().any(|asked| asked == "POST /v1/shares"));

    // A link that does not fit what the server says is not pinned, and one that does is: whoever gave it is known by it.
    let link_of = |fingerprint: &Value| {
        let mut digest = [0; 32];
        hex::decode_to_slice(fingerprint.as_str().unwrap(), &mut digest).unwrap();
        let link = ContactLink { account: ida.parse().unwrap(), fingerprint: Fingerprint(digest) };
        format!("{}/c/{ida}#{}", home.url, link.to_fragment())
    };
    let new = link_of(&home.ok("eve", &["contact"])["fingerprint"]);
    assert_eq!(home.refused("laptop", &["contact", "add", &new]), changed);
    edit(&home, "GET", at(&ida), move |answer| *answer = keys.clone());
    home.ok("laptop", &["contact", "add", &new]);
    home.ok("laptop", &["share", "Harbour", "--to", "Ida"]);
    home.honest();
    assert_eq!(home.refused("laptop", &["share", "Harbour", "--to", "Ida"]), changed);

    // What was sealed to other keys than hers opens nothing for her; verified anew, all is well.
    assert_eq!(received(&home, "ida")[0]["state"], "tampered");
    know(&home, "laptop", "ida", "Ida");
    home.ok("laptop", &["share", "Harbour", "--to", "Ida"]);
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ida", "Harbour"))));
}

#[test]
fn a_server_that_lies_about_what_was_received_shows_nothing_and_never_something_else() {
    let (home, file) = friends();
    add(&home, "Dunes", 60);
    join(&home, "eve");
    join(&home, "bob");
    know(&home, "ida", "eve", "Eve");
    know(&home, "laptop", "eve", "Eve");
    let (eve, bob) = (account(&home, "eve"), account(&home, "bob"));
    home.ok("laptop", &["share", "Dunes", "--to", "Eve"]);
    let hers = answer(&home, "eve", &["received"], "GET", "/v1/received")["received"][0].clone();
    home.ok("laptop", &["share", "Dunes", "--to", "Ida", "--lend"]);
    let lent = answer(&home, "ida", &["received"], "GET", "/v1/received")["received"][0].clone();
    let share = home.ok("laptop", &["share", "Harbour", "--to", "Ida"])["share"].as_str().unwrap().to_owned();
    let given = answer(&home, "ida", &["received"], "GET", "/v1/received")["received"][0].clone();

    // The list has one entry, changed: it is listed with the reason, shows no title, and opens nothing.
    let lie = |why: &str, code: &str, entry: &Value, change: &dyn Fn(&mut Value)| {
        let mut entry = entry.clone();
        change(&mut entry);
        let id = entry["share"].as_str().unwrap().to_owned();
        edit(&home, "GET", "/v1/received".into(), move |answer| answer["received"] = json!([entry]));
        let rows = received(&home, "ida");
        assert_eq!((rows.len(), &rows[0]["state"]), (1, &json!(code)), "{why}");
        assert_eq!((&rows[0]["name"], &rows[0]["videos"]), (&Value::Null, &json!([])), "{why}");
        assert_eq!(refused(&home, "ida", &id), (20, code.to_owned()), "{why}");
        home.honest();
    };
    let length = given["sealed"].as_str().unwrap().len();
    for at in [1, 50, 200, length / 2, length - 3] {
        lie("changed bytes", "tampered", &given, &|entry| bend(&mut entry["sealed"], at));
    }
    lie("cut bytes", "tampered", &given, &|entry| entry["sealed"] = json!("AQ"));
    lie("a gift as a loan", "tampered", &given, &|entry| entry["kind"] = json!("lent"));
    lie("a loan as a gift", "tampered", &lent, &|entry| entry["kind"] = json!("given"));
    lie("another account's gift", "tampered", &hers, &|_| {});
    lie("another account's gift, in its place", "tampered", &given, &|entry| {
        entry["sealed"] = hers["sealed"].clone();
    });
    lie("another share's id", "tampered", &given, &|entry| entry["share"] = lent["share"].clone());
    lie("a contact who did not send it", "tampered", &given, &|entry| entry["sender"] = json!(eve));
    lie("somebody unknown", "unknown_sender", &given, &|entry| entry["sender"] = json!(bob));
    lie("the server itself", "unknown_sender", &given, &|entry| {
        entry["sender"] = json!("00000000-0000-4000-8000-000000000000");
    });
    let ada = account(&home, "laptop");
    let evil = answer(&home, "eve", &["contact"], "GET", &format!("/v1/people/{eve}"));
    edit(&home, "GET", format!("/v1/people/{ada}"), move |answer| *answer = evil.clone());
    assert_eq!(refused(&home, "ida", &share), (20, "changed_key".into()));
    home.honest();

    // What it says of the video, and what it grants.
    let open = |why: &str, exit: i32, code: &str, change: Box<dyn Fn(&mut Value) + Send>| {
        edit(&home, "POST", format!("/v1/received/{share}/open"), change);
        assert_eq!(refused(&home, "ida", "Harbour"), (exit, code.to_owned()), "{why}");
        home.honest();
    };
    open("another video", 51, "nonsense", Box::new(|answer| answer["video_id"] = json!(uuid(9))));
    open("an index of long ago", 20, "rollback", Box::new(|answer| answer["index_version"] = json!(0)));
    open("an index to come", 20, "tampered", Box::new(|answer| answer["index_version"] = json!(7)));
    home.lie(|method, at, _, body| {
        if method == "GET" && at.starts_with("/blobs/") && body.len() > 100 {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
    });
    assert_eq!(refused(&home, "ida", "Harbour"), (20, "tampered".into()));
    home.honest();
    edit(&home, "POST", "/v1/session".into(), |answer| answer["kind"] = json!("link"));
    assert_eq!(home.refused("ida", &["play", "Dunes"]), (51, "nonsense".into()));
    home.honest();
    let (_running, mp4) = playing(&home, "ida", "Dunes");
    assert!(packets(&mp4).contains("SHA256"));
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ida", "Harbour"))));
}

fn uuid(n: u8) -> String {
    gloaming_ids::VideoId::from_bytes([n; 16]).to_string()
}

#[test]
fn the_server_is_told_neither_titles_nor_what_people_call_each_other() {
    let (home, _) = strangers();
    know(&home, "laptop", "ida", "Zephyrine");
    know(&home, "ida", "laptop", "Montgomery");
    home.ok("laptop", &["share", "Harbour", "--to", "Zephyrine", "--lend", "--mark", "--download"]);
    saved(&home, "ida", "Harbour");
    home.ok("laptop", &["share", "Harbour", "--to", "Zephyrine"]);
    saved(&home, "ida", "Harbour");
    let mut files = vec![home.path("server")];
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        read += bytes.len();
        for name in ["Harbour", "Zephyrine", "Montgomery"] {
            let found = bytes.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(!found, "{name} in {}", path.display());
        }
    }
    assert!(read > 100_000, "the server's files were read");
}

#[test]
fn help_shows_examples_and_wrong_words_are_refused() {
    let home = Home::new();
    for verb in [&["contact"][..], &["contact", "add"], &["received"], &["share"]] {
        let help = home.command("x", &[verb, &["--help"]].concat()).output().unwrap();
        assert!(String::from_utf8(help.stdout).unwrap().contains("Example"), "{verb:?}");
    }
    for wrong in [
        &["share", "Harbour"][..],
        &["share", "Harbour", "--link", "--to", "Ida"],
        &["share", "Harbour", "--link", "--lend"],
        &["share", "Harbour", "--link", "--mark"],
        &["share", "Harbour", "--to", "Ida", "--label", "x"],
        &["share", "Harbour", "--to", "Ida", "--until", "7d"],
        &["share", "Harbour", "--to", "Ida", "--plays", "3"],
        &["contact", "add"],
    ] {
        assert_eq!(home.run("x", wrong).status.code(), Some(2), "{wrong:?}");
    }
}
