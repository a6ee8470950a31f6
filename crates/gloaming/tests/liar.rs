//! A server that lies: each lie ends in an error that names it, and never in wrong bytes.
//!
//! The liar is a proxy before the real server, so that everything else about it stays real.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod home;

use std::sync::{Arc, Mutex};

use gloaming_api::library::{EMPTY_HEAD, Entry, next_head, record_digest};
use home::{Home, film};
use serde_json::{Value, json};

/// A home with two films, `one` and `two`; their ids.
fn two_films() -> (Home, [String; 2]) {
    let (home, _) = Home::owned("laptop");
    let ids = ["one", "two"].map(|name| {
        let file = home.path(&format!("{name}.mp4"));
        film(&file, 12, name.len() as u32 + u32::from(name == "two"));
        home.ok("laptop", &["upload", file.to_str().unwrap()])[0]["video"].as_str().unwrap().to_owned()
    });
    home.honest();
    (home, ids)
}

/// Changes the JSON of answers to `method path…`.
fn edit(home: &Home, method: &'static str, path: String, change: impl Fn(&mut Value) + Send + 'static) {
    home.lie(move |asked, at, _, body| {
        if asked == method && at.split('?').next() == Some(path.as_str()) {
            let mut answer: Value = serde_json::from_slice(body).unwrap();
            change(&mut answer);
            *body = serde_json::to_vec(&answer).unwrap();
        }
    });
}

/// Another base64url letter in the middle of some bytes.
fn bend(text: &mut Value) {
    let mut letters: Vec<char> = text.as_str().unwrap().chars().collect();
    let middle = letters.len() / 2;
    letters[middle] = if letters[middle] == 'A' { 'B' } else { 'A' };
    *text = letters.into_iter().collect::<String>().into();
}

/// A request to the store for bytes.
fn is_object(method: &str, path: &str) -> bool {
    method == "GET" && path.starts_with("/blobs/")
}

#[test]
fn stored_bytes_that_were_changed_cut_or_exchanged_are_never_played() {
    let (home, [one, _]) = two_films();
    let out = home.path("out.mp4");
    let download = ["download", one.as_str(), "--mp4", out.to_str().unwrap()];
    let tampered = (20, "tampered".to_owned());

    // One bit, somewhere in a pack (objects are asked for after the index).
    let mut objects = 0;
    home.lie(move |method, path, _, body| {
        if is_object(method, path) {
            objects += 1;
            if objects == 3 {
                let middle = body.len() / 2;
                body[middle] ^= 1;
            }
        }
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "a flipped bit");

    // The index.
    let mut objects = 0;
    home.lie(move |method, path, _, body| {
        if is_object(method, path) {
            objects += 1;
            if objects == 1 {
                body[100] ^= 1;
            }
        }
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "a bent index");

    // Cut short, with the length that is left.
    let mut objects = 0;
    home.lie(move |method, path, _, body| {
        if is_object(method, path) {
            objects += 1;
            if objects > 1 {
                body.truncate(body.len() / 2);
            }
        }
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "a truncated pack");

    // What was served before, served again: the same length of other bytes.
    let kept: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let mut objects = 0;
    home.lie(move |method, path, _, body| {
        if is_object(method, path) {
            objects += 1;
            if objects > 1 {
                let mut kept = kept.lock().unwrap();
                let old = kept.get_or_insert_with(|| body.clone());
                let len = body.len();
                *body = old.iter().copied().cycle().take(len).collect();
            }
        }
    });
    assert_eq!(home.refused("laptop", &download), tampered, "a replayed pack");
    assert!(!out.exists(), "no wrong file was left");

    home.honest();
    home.ok("laptop", &download);
}

#[test]
fn one_videos_address_index_or_key_in_anothers_stead_is_refused() {
    let (home, [one, two]) = two_films();
    let tampered = (20, "tampered".to_owned());
    let other = Arc::new(Mutex::new(Value::Null));
    let seen = Arc::clone(&other);
    let path = format!("/v1/videos/{two}");
    home.lie(move |method, at, _, body| {
        if method == "GET" && at == path {
            *seen.lock().unwrap() = serde_json::from_slice(body).unwrap();
        }
    });
    home.ok("laptop", &["verify", &two]);
    let other = other.lock().unwrap().clone();

    let at = format!("/v1/videos/{one}");
    let theirs = other.clone();
    edit(&home, "GET", at.clone(), move |answer| {
        answer["info"]["sealed_secret"] = theirs["info"]["sealed_secret"].clone()
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "another video's key");

    let theirs = other.clone();
    edit(&home, "GET", at.clone(), move |answer| {
        answer["index"] = theirs["index"].clone();
        answer["info"]["index"] = theirs["info"]["index"].clone();
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "another video's index");

    let theirs = other.clone();
    edit(&home, "GET", at.clone(), move |answer| *answer = theirs.clone());
    assert_eq!(
        home.refused("laptop", &["verify", &one]),
        (51, "nonsense".into()),
        "another video altogether"
    );

    edit(&home, "GET", at.clone(), |answer| answer["info"]["index_version"] = json!(0));
    assert_eq!(home.refused("laptop", &["verify", &one]), (20, "rollback".into()), "an older index");
    edit(&home, "GET", at.clone(), |answer| answer["info"]["index_version"] = json!(2));
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "an index of a version that it is not");

    // Addresses exchanged: object A's name on object B's bytes.
    edit(&home, "POST", "/v1/urls".into(), |answer| {
        let downloads = answer["downloads"].as_array_mut().unwrap();
        let urls: Vec<_> = downloads.iter().map(|download| download["url"].clone()).collect();
        let count = urls.len();
        for (i, download) in downloads.iter_mut().enumerate() {
            download["url"] = urls[(i + 1) % count].clone();
        }
    });
    assert_eq!(home.refused("laptop", &["verify", &one]), tampered, "exchanged addresses");
    home.honest();
    home.ok("laptop", &["verify", &one]);
}

#[test]
fn a_library_that_was_rewritten_shortened_or_held_back_raises_an_alarm() {
    let (home, [one, _]) = two_films();
    home.ok("laptop", &["rename", &one, "first"]);
    home.ok("laptop", &["rename", &one, "again"]);
    home.ok("laptop", &["account", "login", "ada"]);
    let feed = || "/v1/library".to_owned();

    // To a device that has seen all of it.
    edit(&home, "GET", feed(), |answer| answer["last"] = json!(1));
    assert_eq!(home.refused("laptop", &["ls"]), (20, "rollback".into()), "a shorter history");
    edit(&home, "GET", feed(), |answer| bend(&mut answer["head"]));
    assert_eq!(home.refused("laptop", &["ls"]), (20, "fork".into()), "another head");
    home.honest();

    // To a device that sees it for the first time.
    let fresh = |device: &str, code: &str, why: &str| {
        assert_eq!(home.refused(device, &["account", "login", "ada"]), (20, code.to_owned()), "{why}");
    };
    edit(&home, "GET", feed(), |answer| {
        answer["entries"].as_array_mut().unwrap().swap(0, 1);
    });
    fresh("a", "fork", "entries in another order");
    edit(&home, "GET", feed(), |answer| {
        answer["entries"].as_array_mut().unwrap().remove(1);
    });
    fresh("b", "fork", "an entry left out");
    // The last change is left out, and the head made to fit: only the records' own testimony could tell, and there is
    // none of it. An earlier change left out with the rest made to fit is told by the records that came after.
    let kept: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&kept);
    home.lie(move |method, at, _, body| {
        if method == "GET" && at.starts_with("/v1/library") {
            let mut answer: Value = serde_json::from_slice(body).unwrap();
            let entries: Vec<Entry> = serde_json::from_value(answer["entries"].clone()).unwrap();
            // Pretend that the second video never was: drop its record, number the rest anew, compute the chain anew.
            let dropped = entries[1].record;
            let mut head = EMPTY_HEAD;
            let mut forged = Vec::new();
            for mut entry in entries.into_iter().filter(|entry| entry.record != dropped) {
                entry.seq = forged.len() as u64 + 1;
                head = next_head(&head, &entry);
                forged.push(entry);
            }
            answer["last"] = json!(forged.len());
            answer["head"] = serde_json::to_value(gloaming_api::Bytes(head.to_vec())).unwrap();
            answer["entries"] = serde_json::to_value(&forged).unwrap();
            seen.lock().unwrap().push(answer.clone());
            *body = serde_json::to_vec(&answer).unwrap();
        }
    });
    fresh("e", "fork", "a history computed anew without one of its records");
    home.honest();
    home.ok("e", &["account", "login", "ada"]);
    assert_eq!(home.ok("e", &["ls"]).as_array().unwrap().len(), 2);
}

/// Changes the newest entry of the library's feed, and makes the chain fit.
fn forge_newest(home: &Home, change: impl Fn(&mut Entry) + Send + 'static) {
    let mut forged = Value::Null;
    home.lie(move |method, at, _, body| {
        if method != "GET" || !at.starts_with("/v1/library") {
            return;
        }
        let mut answer: Value = serde_json::from_slice(body).unwrap();
        let mut entries: Vec<Entry> = serde_json::from_value(answer["entries"].clone()).unwrap();
        // Asked for one entry again, or for none.
        if entries.len() < 2 {
            entries.iter_mut().for_each(&change);
        } else {
            change(entries.last_mut().unwrap());
            let head = entries.iter().fold(EMPTY_HEAD, |head, entry| next_head(&head, entry));
            forged = serde_json::to_value(gloaming_api::Bytes(head.to_vec())).unwrap();
        }
        answer["head"] = forged.clone();
        answer["entries"] = serde_json::to_value(&entries).unwrap();
        *body = serde_json::to_vec(&answer).unwrap();
    });
}

/// Signs in on a new device: what it warns of, and how many videos it then shows.
fn warned(home: &Home, device: &str) -> (String, usize) {
    let output = home.run(device, &["account", "login", "ada"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    (told, home.ok(device, &["ls"]).as_array().unwrap().len())
}

#[test]
fn one_entry_that_cannot_be_read_is_told_of_and_the_rest_is_shown() {
    let (home, [one, two]) = two_films();
    let feed = || "/v1/library".to_owned();
    let newest = |answer: &mut Value, change: fn(&mut Value)| {
        if let Some(entry) = answer["entries"].as_array_mut().and_then(|entries| entries.last_mut()) {
            change(&mut entry["sealed"]);
        }
    };

    // Damaged in the server's database, say: once it is mended there, it is shown again.
    edit(&home, "GET", feed(), move |answer| newest(answer, bend));
    let (told, shown) = warned(&home, "a");
    assert!(told.contains("Warning: entry ") && told.contains("integrity check"), "{told}");
    assert_eq!(shown, 1);
    assert_eq!(home.ailments("a"), ["library", "storage"]);
    assert_eq!(home.ok("a", &["show", &one])["title"], "one");
    assert_eq!(home.refused("a", &["show", &two]), (43, "not_found".into()));
    home.honest();
    assert_eq!(home.ok("a", &["ls"]).as_array().unwrap().len(), 2);
    assert!(home.ailments("a").is_empty());

    edit(&home, "GET", feed(), move |answer| newest(answer, |sealed| *sealed = Value::Null));
    let (told, shown) = warned(&home, "b");
    assert!(told.contains("keeps entry "), "{told}");
    assert_eq!(shown, 1);
    home.honest();
    assert_eq!(home.ok("b", &["ls"]).as_array().unwrap().len(), 2);

    // Written by a newer version: kept as it is, and not to be given up from here.
    forge_newest(&home, |entry| {
        let sealed = entry.sealed.as_mut().unwrap();
        sealed.0[0] = 2;
        entry.digest = gloaming_api::Bytes(record_digest(&sealed.0).to_vec());
    });
    let (told, shown) = warned(&home, "c");
    assert!(told.contains("newer version") && told.contains("update"), "{told}");
    assert_eq!(shown, 1);
    let record = told.split_whitespace().nth(2).unwrap();
    assert_eq!(home.refused("c", &["doctor", "--forget", record]), (51, "too_new".into()));
    // The chain was forged, so an honest server is another than this device has seen.
    home.honest();
    home.ok("laptop", &["rename", &one, "first"]);
    assert_eq!(home.refused("c", &["ls"]), (20, "fork".into()));

    // An older version of an entry, served in the newest one's place.
    let old: Arc<Mutex<Option<Entry>>> = Arc::default();
    let seen = Arc::clone(&old);
    home.lie(move |method, at, _, body| {
        if method == "GET" && at.starts_with("/v1/library") {
            let answer: Value = serde_json::from_slice(body).unwrap();
            let entries: Vec<Entry> = serde_json::from_value(answer["entries"].clone()).unwrap();
            if let Some(newest) = entries.last() {
                *seen.lock().unwrap() = Some(newest.clone());
            }
        }
    });
    warned(&home, "d");
    home.honest();
    home.ok("laptop", &["rename", &one, "again"]);
    let old = old.lock().unwrap().clone().unwrap();
    forge_newest(&home, move |entry| (entry.sealed, entry.digest) = (old.sealed.clone(), old.digest.clone()));
    let (told, shown) = warned(&home, "e");
    assert!(told.contains("integrity check"), "{told}");
    assert_eq!(shown, 1);

    // Nobody can mend it: it is given up, and nothing warns any more.
    home.honest();
    edit(&home, "GET", feed(), move |answer| newest(answer, |sealed| *sealed = Value::Null));
    let (told, _) = warned(&home, "f");
    let record = told.split_whitespace().nth(5).unwrap();
    assert_eq!(home.refused("f", &["doctor", "--forget", "nothing"]), (43, "not_found".into()));
    home.run("f", &["doctor", "--forget", record]);
    home.honest();
    for device in ["f", "laptop"] {
        let output = home.run(device, &["ls"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len(), 1);
        assert_eq!(home.ailments(device), ["storage"]);
    }
}

#[test]
fn keys_that_were_swapped_bent_lost_or_weakened_open_nothing() {
    let (home, _) = Home::owned("laptop");
    let login = ["account", "login", "ada"];
    let fresh = |device: &str, exit: i32, code: &str, why: &str| {
        assert_eq!(home.refused(device, &login), (exit, code.to_owned()), "{why}");
        // Nothing was left behind that a later command would take for unlocked keys.
        home.honest();
    };
    let keyring = || "/v1/keyring".to_owned();
    edit(&home, "GET", keyring(), |answer| bend(&mut answer["sealed"]));
    fresh("a", 20, "tampered", "a bent keyring");
    edit(&home, "GET", keyring(), |answer| answer["version"] = json!(2));
    fresh("b", 20, "tampered", "an old keyring under a new number");
    edit(&home, "GET", keyring(), |answer| {
        for wrap in answer["wraps"].as_array_mut().unwrap() {
            bend(&mut wrap["sealed"]);
        }
    });
    fresh("c", 20, "tampered", "bent wraps");
    edit(&home, "GET", keyring(), |answer| {
        let wraps = answer["wraps"].as_array_mut().unwrap();
        let sealed: Vec<_> = wraps.iter().map(|wrap| wrap["sealed"].clone()).collect();
        (wraps[0]["sealed"], wraps[1]["sealed"]) = (sealed[1].clone(), sealed[0].clone());
    });
    fresh("d", 20, "tampered", "the recovery's wrap passed off as the password's");
    edit(&home, "GET", keyring(), |answer| answer["wraps"] = json!([]));
    fresh("e", 51, "keyring_missing", "no wrap");
    home.lie(|method, at, status, body| {
        if method == "GET" && at == "/v1/keyring" {
            *status = 404;
            *body = br#"{"code":"not_found","message":"no keyring"}"#.to_vec();
        }
    });
    fresh("f", 51, "keyring_missing", "no keyring: never made anew");
    edit(&home, "POST", "/v1/sessions".into(), |answer| answer["stretching"]["memory_kib"] = json!(1024));
    fresh("g", 20, "weak_stretching", "cheap stretching");
    edit(&home, "POST", "/v1/sessions".into(), |answer| bend(&mut answer["response"]));
    fresh("h", 41, "wrong_password", "a bent OPAQUE message");
    home.honest();
    home.ok("h", &login);
}

#[test]
fn a_password_wrap_that_was_rolled_back_is_noticed_by_a_device_that_saw_the_newer_one() {
    let (home, _) = Home::owned("laptop");
    let old: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&old);
    home.lie(move |method, at, _, body| {
        if method == "GET" && at == "/v1/keyring" {
            *seen.lock().unwrap() = body.clone();
        }
    });
    home.ok("laptop", &["ls"]);
    home.honest();
    let change = home
        .command("laptop", &["account", "password"])
        .env("GLOAMING_NEW_PASSWORD", "copper meadow thirteen umbrellas")
        .output()
        .unwrap();
    assert!(change.status.success());
    let replay = old.lock().unwrap().clone();
    home.lie(move |method, at, _, body| {
        if method == "GET" && at == "/v1/keyring" {
            body.clone_from(&replay);
        }
    });
    assert_eq!(home.refused("laptop", &["ls"]), (20, "rollback".into()));
}
