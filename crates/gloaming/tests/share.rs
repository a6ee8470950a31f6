//! Sharing by links: the command line on the owner's and on the viewers' devices, a real server between them, and what a
//! server that lies can make of it (nothing).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod home;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use home::{Home, PASSWORD, Running, film, packets, refusal, serving};
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

/// A home whose owner, on `laptop`, has a film of so many seconds; the film and its id.
fn with_film(seconds: u32) -> (Home, PathBuf, String) {
    let (home, _) = Home::owned("laptop");
    let (file, id) = add(&home, "Harbour", seconds, 0);
    (home, file, id)
}

fn add(home: &Home, name: &str, seconds: u32, seed: u32) -> (PathBuf, String) {
    let file = home.path(&format!("{name}.mp4"));
    film(&file, seconds, seed);
    let stored = home.ok("laptop", &["upload", file.to_str().unwrap()]);
    let id = stored[0]["video"].as_str().unwrap().to_owned();
    (file, id)
}

/// Shares with these options; the link.
fn link(home: &Home, args: &[&str]) -> String {
    let made = home.ok("laptop", &[&["share", "--link"][..], args].concat());
    made["link"].as_str().unwrap().to_owned()
}

/// Saves what a link shows, on a device of its own.
fn saved(home: &Home, device: &str, link: &str, options: &[&str]) -> PathBuf {
    let out = home.path(&format!("{device}.mp4"));
    let ask = ["view", link, "--force", "--mp4", out.to_str().unwrap()];
    home.ok(device, &[&ask[..], options].concat());
    out
}

/// Why a link shows nothing.
fn refused(home: &Home, device: &str, link: &str) -> (i32, String) {
    let out = home.path(&format!("{device}-refused.mp4"));
    let refused = home.refused(device, &["view", link, "--force", "--mp4", out.to_str().unwrap()]);
    assert!(!out.exists(), "what was refused left a file behind");
    refused
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

/// `gloaming view`, running.
struct Viewer {
    running: Running,
    mp4: String,
}

impl Viewer {
    fn open(home: &Home, device: &str, link: &str) -> Viewer {
        let (running, said) = serving(home, device, &["view", link]);
        Viewer { running, mp4: said["mp4"].as_str().unwrap().to_owned() }
    }

    /// What comes of a range of the file: fewer bytes where playing ended.
    fn read(&self, from: u64, to: u64) -> Vec<u8> {
        let (host, path) = self.mp4.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut socket = TcpStream::connect(host).unwrap();
        write!(
            socket,
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={from}-{}\r\nConnection: close\r\n\r\n",
            to - 1
        )
        .unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        answer.split_off(end)
    }

    fn len(&self) -> u64 {
        let (host, path) = self.mp4.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut socket = TcpStream::connect(host).unwrap();
        write!(socket, "HEAD /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let length = answer
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        length.unwrap().trim().parse().unwrap()
    }

    /// How it ended by itself.
    fn ended(mut self) -> (i32, String) {
        let begun = Instant::now();
        while self.running.0.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
            thread::sleep(Duration::from_millis(100));
        }
        refusal(&self.running.end(), &["view"])
    }
}

fn grants(home: &Home, id: &str) -> u64 {
    let checked = home.ok("laptop", &["grants", id, "--verify"]);
    assert_eq!(checked["good"], true);
    checked["grants"].as_u64().unwrap()
}

#[test]
fn what_a_link_shows_is_what_was_stored_and_every_grant_of_it_is_in_the_log() {
    let (home, file, id) = with_film(20);
    let link = link(&home, &["Harbour", "--download", "--label", "Ana, cohort 3", "--mark"]);
    assert!(link.starts_with(&format!("{}/v/", home.url)));
    let out = saved(&home, "ana", &link, &[]);
    assert_eq!(packets(text(&file)), packets(text(&out)));

    let log = home.ok("laptop", &["grants", "Harbour"]);
    let playback = &log["playbacks"][0];
    assert_eq!(log["playbacks"].as_array().unwrap().len(), 1);
    assert_eq!(playback["label"], "Ana, cohort 3");
    assert_eq!(playback["grants"], log["grants"]);
    assert!(playback["furthest_ms"].as_u64().unwrap().abs_diff(20_000) < 200, "{log:#}");
    assert_eq!(grants(&home, &id), log["grants"].as_u64().unwrap());

    let shares = home.ok("laptop", &["shares", "Harbour"]);
    let expected = (&json!("Ana, cohort 3"), &json!(link), &json!(1), &json!(1));
    assert_eq!(
        (&shares[0]["label"], &shares[0]["link"], &shares[0]["plays"], &shares[0]["viewers"]),
        expected
    );
    let csv = home.command("laptop", &["shares", "--csv"]).output().unwrap();
    assert!(String::from_utf8(csv.stdout).unwrap().contains("Ana, cohort 3"));

    // Another device of the owner's knows the link too, and watches without a grant.
    home.ok("phone", &["account", "login", "ada"]);
    assert_eq!(home.ok("phone", &["shares"])[0]["link"], json!(link));
    home.ok("phone", &["verify", "Harbour"]);
    assert_eq!(grants(&home, &id), log["grants"].as_u64().unwrap());
}

#[test]
fn what_is_not_for_download_is_watched_and_not_saved() {
    let (home, file, _) = with_film(12);
    let link = link(&home, &["Harbour"]);
    assert_eq!(refused(&home, "ana", &link), (42, "not_for_download".into()));
    let viewer = Viewer::open(&home, "ana", &link);
    assert_eq!(packets(text(&file)), packets(&viewer.mp4));
}

#[test]
fn a_password_goes_with_the_link_and_neither_is_good_without_the_other() {
    let (home, file, _) = with_film(6);
    let (right, wrong) = (home.path("right"), home.path("wrong"));
    fs::write(&right, "Café am Hafen\n").unwrap();
    fs::write(&wrong, "cafe am hafen\n").unwrap();
    let with = link(&home, &["Harbour", "--download", "--link-password-file", text(&right)]);
    assert_eq!(refused(&home, "ana", &with), (41, "password_needed".into()));
    let out = home.path("no.mp4");
    let guess = ["view", &with, "--mp4", text(&out), "--link-password-file", text(&wrong)];
    assert_eq!(home.refused("ana", &guess), (41, "link_refused".into()));
    let out = saved(&home, "ana", &with, &["--link-password-file", text(&right)]);
    assert_eq!(packets(text(&file)), packets(text(&out)));

    // The password does not help where the link is another's, and a secret of another link opens nothing.
    let other = link(&home, &["Harbour", "--download"]);
    let (place, _) = other.split_once('#').unwrap();
    let (_, secret) = with.split_once('#').unwrap();
    let mixed = format!("{place}#{secret}");
    let mixed = ["view", &mixed, "--mp4", text(&out), "--force", "--link-password-file", text(&right)];
    assert_eq!(home.refused("ana", &mixed), (41, "link_refused".into()));
}

#[test]
fn a_link_that_was_cut_says_so() {
    let (home, ..) = with_film(6);
    let link = link(&home, &["Harbour", "--download"]);
    let (place, _) = link.split_once('#').unwrap();
    for cut in [place, &link[..link.len() - 1], &link[..link.len() - 20], &format!("{place}#")] {
        assert_eq!(refused(&home, "ana", cut), (2, "link_incomplete".into()), "{cut}");
    }
}

#[test]
fn a_share_has_its_time() {
    let (home, ..) = with_film(6);
    let later = link(&home, &["Harbour", "--download", "--from", "2h", "--until", "4h"]);
    assert_eq!(refused(&home, "ana", &later), (42, "share_not_yet".into()));
    home.clock.store(3 * HOUR, Ordering::SeqCst);
    saved(&home, "ana", &later, &[]);
    home.clock.store(5 * HOUR, Ordering::SeqCst);
    assert_eq!(refused(&home, "ana", &later), (42, "share_expired".into()));
    let id = home.ok("laptop", &["shares"])[0]["share"].as_str().unwrap().to_owned();
    home.ok("laptop", &["policy", &id, "--until", "2w"]);
    saved(&home, "ana", &later, &[]);
    assert_eq!(home.refused("laptop", &["policy", &id, "--until", "1970-01-02"]), (2, "bad_period".into()));
}

#[test]
fn who_is_watching_is_stopped_by_revoking() {
    let (home, _, id) = with_film(90);
    let link = link(&home, &["Harbour", "--label", "Ana"]);
    let viewer = Viewer::open(&home, "ana", &link);
    let whole = viewer.len();
    let begun = viewer.read(0, whole / 10);
    assert_eq!(begun.len() as u64, whole / 10);
    assert_eq!(home.ok("laptop", &["shares"])[0]["watching"], 1);

    home.ok("laptop", &["revoke", "Ana"]);
    let before = grants(&home, &id);
    let rest = viewer.read(whole / 10, whole);
    assert!((rest.len() as u64) < whole / 2, "{} of {whole} came after revoking", rest.len());
    assert_eq!(viewer.ended(), (42, "share_revoked".into()));
    assert_eq!(grants(&home, &id), before, "a segment was granted after revoking");
    assert_eq!(refused(&home, "ana", &link), (42, "share_revoked".into()));
    assert_eq!(home.ok("laptop", &["shares"]), json!([]));
    assert_eq!(home.ok("laptop", &["shares", "--all"])[0]["state"], "revoked");
}

#[test]
fn the_accounts_password_is_not_taken_for_the_links() {
    let (home, ..) = with_film(6);
    let (account, own) = (home.path("account.txt"), home.path("own.txt"));
    fs::write(&account, PASSWORD).unwrap();
    fs::write(&own, "swordfish\n").unwrap();
    let share = ["share", "Harbour", "--link", "--password-file", account.to_str().unwrap()];
    let warned = |options: &[&str]| {
        let output = home.run("laptop", &[&share[..], options].concat());
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("This link has no password")
    };
    assert!(warned(&[]));
    assert!(!warned(&["--link-password-file", own.to_str().unwrap()]));
}

#[test]
fn who_writes_half_a_title_is_told_the_whole() {
    let (home, ..) = with_film(6);
    let output = home.run("laptop", &["show", "harb"]);
    assert_eq!(refusal(&output, &["show"]), (43, "not_found".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean"));
}

#[test]
fn plays_and_viewers_are_counted() {
    let (home, ..) = with_film(6);
    let once = link(&home, &["Harbour", "--download", "--plays", "1"]);
    saved(&home, "ana", &once, &[]);
    saved(&home, "ana", &once, &[]); // soon after, it is the same playback
    assert_eq!(refused(&home, "ben", &once), (42, "share_used_up".into()));
    home.clock.store(2 * HOUR, Ordering::SeqCst);
    assert_eq!(refused(&home, "ana", &once), (42, "share_used_up".into()));

    let alone = link(&home, &["Harbour", "--at-once", "1"]);
    let viewer = Viewer::open(&home, "ana", &alone);
    viewer.read(0, 1000);
    assert_eq!(refused(&home, "ben", &alone), (42, "too_many_at_once".into()));
    drop(viewer);
    home.clock.store(4 * HOUR, Ordering::SeqCst);
    drop(Viewer::open(&home, "ben", &alone));
}

#[test]
fn a_playlist_goes_by_one_link_in_its_order() {
    let (home, harbour, one) = with_film(6);
    let (dunes, two) = add(&home, "Dunes", 8, 60);
    home.ok("laptop", &["playlist", "create", "Summer"]);
    home.ok("laptop", &["playlist", "add", "Summer", &two, &one]);
    let link = link(&home, &["--playlist", "Summer", "--download"]);
    let out = saved(&home, "ana", &link, &[]);
    assert_eq!(packets(text(&dunes)), packets(text(&out)));
    for name in ["2", "Harbour", &one] {
        let out = saved(&home, "ana", &link, &["--video", name]);
        assert_eq!(packets(text(&harbour)), packets(text(&out)), "{name}");
    }
    let out = home.path("none.mp4");
    for none in ["3", "0", "Sea"] {
        let ask = ["view", &link, "--video", none, "--mp4", text(&out)];
        assert_eq!(home.refused("ana", &ask), (43, "not_found".into()));
    }
    assert_eq!(home.ok("laptop", &["shares"])[0]["videos"], json!([two, one]));
}

#[test]
fn an_open_video_needs_no_secret_and_its_owner_to_know_what_that_means() {
    let (home, file, _) = with_film(6);
    assert_eq!(home.refused("laptop", &["publish", "Harbour", "--open"]), (2, "not_understood".into()));
    let open = home.ok("laptop", &["publish", "Harbour", "--open", "--i-understand", "--download"]);
    let link = open["link"].as_str().unwrap();
    assert!(!link.contains('#'));
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ana", link, &[]))));

    let audience = home.ok("laptop", &["publish", "Harbour", "--download"]);
    let link = audience["link"].as_str().unwrap();
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ben", link, &[]))));
}

#[test]
fn who_pauses_for_an_hour_or_meets_a_server_that_began_anew_goes_on() {
    let (mut home, file, _) = with_film(60);
    let link = link(&home, &["Harbour"]);
    let viewer = Viewer::open(&home, "ana", &link);
    let whole = viewer.len();
    let mut all = viewer.read(0, whole / 4);
    // Half a minute of the server's clock: the epoch is another.
    home.clock.store(30_000, Ordering::SeqCst);
    all.extend(viewer.read(all.len() as u64, whole / 2));
    // Two hours: the session has ended, and the addresses too.
    home.clock.store(2 * HOUR, Ordering::SeqCst);
    all.extend(viewer.read(all.len() as u64, whole * 3 / 4));
    home.stop();
    home.start();
    all.extend(viewer.read(all.len() as u64, whole));
    assert_eq!(all.len() as u64, whole);
    let out = home.path("all.mp4");
    fs::write(&out, all).unwrap();
    assert_eq!(packets(text(&file)), packets(text(&out)));
}

#[test]
fn a_video_in_the_trash_is_watched_by_nobody() {
    let (home, _, id) = with_film(60);
    let link = link(&home, &["Harbour", "--download"]);
    let viewer = Viewer::open(&home, "ana", &link);
    let whole = viewer.len();
    viewer.read(0, whole / 10);
    home.ok("laptop", &["trash", &id]);
    assert!((viewer.read(whole / 10, whole).len() as u64) < whole / 2);
    let (exit, _) = viewer.ended();
    assert!([42, 43].contains(&exit), "{exit}");
    let (exit, _) = refused(&home, "ben", &link);
    assert!([42, 43].contains(&exit), "{exit}");
    home.ok("laptop", &["restore", &id]);
    saved(&home, "ben", &link, &[]);
}

/// From now on, answers to requests of this method whose path begins so are edited.
fn edit(home: &Home, method: &'static str, at: &'static str, edit: impl Fn(&mut Value) + Send + 'static) {
    home.lie(move |asked, path, status, body| {
        if asked == method && path.split('?').next() == Some(at) && *status == 200 {
            let mut answer: Value = serde_json::from_slice(body).unwrap();
            edit(&mut answer);
            *body = serde_json::to_vec(&answer).unwrap();
        }
    });
}

/// Another first character, so that it is still base64url.
fn bend(value: &mut Value) {
    let text = value.as_str().unwrap();
    // In the middle: what is first says which format it is.
    let (before, rest) = text.split_at(text.len() / 2);
    let other = if rest.starts_with('A') { "B" } else { "A" };
    *value = json!(format!("{before}{other}{}", &rest[1..]));
}

#[test]
fn a_server_that_lies_about_a_share_shows_nothing_and_never_something_else() {
    let (home, _, one) = with_film(20);
    let (_, two) = add(&home, "Dunes", 20, 60);
    let link_one = link(&home, &[&one, "--download"]);
    let link_two = link(&home, &[&two, "--download"]);
    let recorded: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&recorded);
    edit(&home, "POST", "/v1/session", move |answer| record.lock().unwrap().push(answer.clone()));
    saved(&home, "ben", &link_two, &[]);
    let other = recorded.lock().unwrap()[0].clone();

    let session = |why: &str, exit: i32, code: &str, lie: Box<dyn Fn(&mut Value) + Send>| {
        edit(&home, "POST", "/v1/session", lie);
        assert_eq!(refused(&home, "ana", &link_one), (exit, code.into()), "{why}");
        home.honest();
    };
    session("bent keys", 20, "tampered", Box::new(|a| bend(&mut a["sealed"])));
    let keys = other["sealed"].clone();
    session("another share's keys", 20, "tampered", Box::new(move |a| a["sealed"] = keys.clone()));
    let index = other["index"].clone();
    session("another video's index", 20, "tampered", Box::new(move |a| a["index"] = index.clone()));
    let video = two.clone();
    session("another video", 51, "nonsense", Box::new(move |a| a["video_id"] = json!(video)));
    session("an index of long ago", 20, "rollback", Box::new(|a| a["index_version"] = json!(0)));
    session("an index of times to come", 20, "tampered", Box::new(|a| a["index_version"] = json!(7)));
    session("a bent exchange", 51, "bad_proof", Box::new(|a| bend(&mut a["kem_ciphertext_b64"])));
    session("another nonce", 51, "bad_proof", Box::new(|a| bend(&mut a["nonce_b64"])));
    session("half an exchange", 51, "nonsense", Box::new(|a| a["kem_ciphertext_b64"] = json!("AAAA")));
    session("no epochs", 51, "nonsense", Box::new(|a| a["epoch_seconds"] = json!(0)));
    session("open, all of a sudden", 51, "nonsense", Box::new(|a| a["kind"] = json!("open")));
    let exchange = other.clone();
    session(
        "an exchange of another time",
        51,
        "bad_proof",
        Box::new(move |a| {
            for field in ["kem_ciphertext_b64", "nonce_b64"] {
                a[field] = exchange[field].clone();
            }
        }),
    );
    saved(&home, "ana", &link_one, &[]);
}

#[test]
fn a_server_that_lies_about_grants_opens_nothing() {
    let (home, file, _) = with_film(20);
    let link = link(&home, &["Harbour", "--download"]);
    let recorded: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&recorded);
    edit(&home, "GET", "/v1/key", move |answer| record.lock().unwrap().push(answer["grants"].clone()));
    saved(&home, "ben", &link, &[]);
    let old = recorded.lock().unwrap().clone();

    let lie = |why: &str, exit: i32, code: &str, lie: Box<dyn Fn(&mut Value) + Send>| {
        edit(&home, "GET", "/v1/key", lie);
        assert_eq!(refused(&home, "ana", &link), (exit, code.into()), "{why}");
        home.honest();
    };
    lie("a bent grant", 20, "tampered", Box::new(|a| bend(&mut a["grants"][0]["wdek_b64"])));
    let wrapped = |grants: &Value, n: usize| grants[n]["wdek_b64"].clone();
    lie(
        "grants of one another",
        20,
        "tampered",
        Box::new(move |a| {
            if let [_, _, ..] = a["grants"].as_array().unwrap()[..] {
                let (first, second) = (wrapped(&a["grants"], 0), wrapped(&a["grants"], 1));
                a["grants"][0]["wdek_b64"] = second;
                a["grants"][1]["wdek_b64"] = first;
            }
        }),
    );
    lie(
        "grants that were recorded",
        20,
        "tampered",
        Box::new(move |a| a["grants"][0]["wdek_b64"] = old[0][0]["wdek_b64"].clone()),
    );
    lie("other segments", 51, "nonsense", Box::new(|a| a["grants"][0]["seg_idx"] = json!(99)));
    lie("nothing", 51, "nonsense", Box::new(|a| a["grants"] = json!([])));
    lie("an epoch far away", 51, "nonsense", Box::new(|a| a["epoch"] = json!(u64::MAX)));

    // The store lies too: a pack of bytes that are not the owner's.
    home.lie(|method, at, _, body| {
        if method == "GET" && at.starts_with("/blobs/") && body.len() > 100 {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
    });
    assert_eq!(refused(&home, "ana", &link), (20, "tampered".into()));
    home.honest();
    assert_eq!(packets(text(&file)), packets(text(&saved(&home, "ana", &link, &[]))));
}

#[test]
fn a_log_that_was_rewritten_cut_or_signed_by_another_is_noticed() {
    let (home, _, id) = with_film(12);
    let link = link(&home, &["Harbour", "--download"]);
    saved(&home, "ana", &link, &[]);
    let verify = ["grants", "Harbour", "--verify"];
    let pages: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&pages);
    let log = move |home: &Home, lie: Box<dyn Fn(&mut Value) + Send>| {
        home.lie(move |method, path, status, body| {
            if method == "GET" && path.contains("/grants?") && *status == 200 {
                let mut answer: Value = serde_json::from_slice(body).unwrap();
                lie(&mut answer);
                *body = serde_json::to_vec(&answer).unwrap();
            }
        });
    };
    log(&home, Box::new(move |page| record.lock().unwrap().push(page.clone())));
    let count = grants(&home, &id);
    let earlier = pages.lock().unwrap()[0].clone();
    saved(&home, "ben", &link, &[]);

    let tampered = (20, "tampered".to_owned());
    log(&home, Box::new(|page| page["rows"][0]["network"] = json!("203.0.113.0/24")));
    assert!([tampered.clone(), (20, "fork".into())].contains(&home.refused("laptop", &verify)));
    log(&home, Box::new(|page| drop(page["rows"].as_array_mut().unwrap().remove(1))));
    assert_eq!(home.refused("laptop", &verify), tampered);
    log(&home, Box::new(|page| drop(page["rows"].as_array_mut().unwrap().pop())));
    assert_eq!(home.refused("laptop", &verify), tampered);
    log(&home, Box::new(|page| page["count"] = json!(page["count"].as_u64().unwrap() - 1)));
    assert_eq!(home.refused("laptop", &verify), tampered, "a count that was not signed");
    log(&home, Box::new(|page| bend(&mut page["log_key"])));
    assert_eq!(home.refused("laptop", &verify), (20, "fork".into()));
    home.honest();
    assert!(grants(&home, &id) > count);

    // A true log of the past, with a true signature: the owner has seen more.
    log(&home, Box::new(move |page| *page = earlier.clone()));
    assert_eq!(home.refused("laptop", &verify), (20, "rollback".into()));
    home.honest();
    home.ok("laptop", &verify);
}

#[test]
fn help_shows_examples_and_wrong_words_are_refused() {
    let home = Home::new();
    for verb in ["share", "publish", "shares", "policy", "revoke", "grants", "view"] {
        let help = home.command("x", &[verb, "--help"]).output().unwrap();
        assert!(String::from_utf8(help.stdout).unwrap().contains("Example"), "{verb}");
    }
    for wrong in [
        &["share", "Harbour"][..],
        &["share", "--link"],
        &["share", "Harbour", "--link", "--until", "soon"],
        &["share", "Harbour", "--link", "--plays", "0"],
        &["share", "Harbour", "--link", "--embed", "example.org"],
        &["publish", "Harbour", "--i-understand"],
    ] {
        assert_eq!(home.run("x", wrong).status.code(), Some(2), "{wrong:?}");
    }
    let gone = home.run("x", &["view", &format!("{}/v/x#y", home.url)]);
    assert_eq!(refusal(&gone, &[]), (2, "link_incomplete".into()));
}
