//! Rooms from the command line: a real server, real participants in processes of their own, and ffmpeg to say what arrived.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod home;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt};
use gloaming_api::room::{RoomDoor, RoomPolicy, RoomRequest};
use gloaming_ids::RoomId;
use gloaming_room::{About, Config, DeviceKey, Event, HostKey, Input, Invite, Member, Output};
use home::{Home, Running, refusal};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

/// For anything that happens as soon as a slow machine gets to it.
const PATIENCE: Duration = Duration::from_secs(180);

/// Makes a room; its link, at the server's own address.
fn room(home: &Home, options: &[&str]) -> String {
    let made = home.ok("laptop", &[&["room", "create"][..], options].concat());
    made["link"].as_str().unwrap().replace(&home.url, &home.direct())
}

/// A participant, running.
struct Participant {
    running: Running,
    lines: mpsc::Receiver<Value>,
    seen: Vec<Value>,
}

impl Participant {
    fn join(home: &Home, device: &str, link: &str, options: &[&str]) -> Participant {
        let mut command = home.command(device, &[&["room", "join", "-"][..], options].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{link}").unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = say.send(serde_json::from_str(&line).unwrap());
            }
        });
        Participant { running: Running(Some(child)), lines, seen: Vec::new() }
    }

    /// Waits for an event.
    fn until(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!(
                    "no {event}; what there was: {:#?}\n{:?}",
                    self.seen,
                    self.running.0.as_mut().map(|c| c.kill())
                )
            };
            self.seen.push(line.clone());
            if line["event"] == event && wanted(&line) {
                return line;
            }
        }
    }

    /// Ctrl-C; what it said last.
    fn interrupt(mut self) -> Value {
        self.running.signal("INT");
        let over = self.until("over", |_| true);
        let output = self.running.end();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        over
    }

    /// How it failed.
    fn failed(mut self) -> (i32, String) {
        self.until("over", |over| over["why"] == "failed");
        refusal(&self.running.end(), &["room", "join"])
    }
}

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{arguments:?}: {complaints}");
    output.stdout
}

/// Four seconds, red on the left and blue on the right, with a tone of 1,000 Hz.
fn stage(path: &Path) {
    let picture = "color=red:s=160x180:r=15:d=4[a];color=blue:s=160x180:r=15:d=4[b];[a][b]hstack[v]";
    let tone = "sine=frequency=1000:sample_rate=48000:duration=4";
    ffmpeg(&[
        "-filter_complex",
        picture,
        "-f",
        "lavfi",
        "-i",
        tone,
        "-map",
        "[v]",
        "-map",
        "0:a",
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        "15",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "libopus",
        path.to_str().unwrap(),
    ]);
}

/// Asserts that a picture is red on the left and blue on the right.
fn assert_red_and_blue(file: &Path) {
    let raw = ffmpeg(&["-i", file.to_str().unwrap(), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
    let frame = 320 * 180 * 3;
    assert!(raw.len() >= 30 * frame && raw.len().is_multiple_of(frame), "{} bytes of pictures", raw.len());
    for (number, picture) in raw.chunks(frame).enumerate() {
        let pixel = |x: usize| &picture[(90 * 320 + x) * 3..][..3];
        let ([r, _, b], [r2, _, b2]) = (pixel(40), pixel(280)) else { unreachable!() };
        assert!(
            *r > 200 && *b < 60 && *b2 > 200 && *r2 < 60,
            "picture {number}: {:?} {:?}",
            pixel(40),
            pixel(280)
        );
    }
}

/// How often a second of sound from the middle of a file swings.
fn frequency(file: &Path) -> f64 {
    let raw = ffmpeg(&["-i", file.to_str().unwrap(), "-f", "s16le", "-ac", "1", "-ar", "48000", "-"]);
    let samples: Vec<_> = raw.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
    assert!(samples.len() > 2 * 48_000, "{} samples", samples.len());
    let second = &samples[samples.len() / 2 - 24_000..][..48_000];
    assert!(second.iter().any(|sample| sample.unsigned_abs() > 1_000), "silence");
    let crossings = second.windows(2).filter(|two| (two[0] < 0) != (two[1] < 0)).count();
    crossings as f64 / 2.0
}

#[test]
fn a_room_is_made_listed_and_ended() {
    let (home, _) = Home::owned("laptop");
    let made =
        home.ok("laptop", &["room", "create", "Tuesdays", "--max-seats", "5", "--lobby", "--until", "2d"]);
    assert_eq!(
        (&made["name"], &made["max_seats"], &made["lobby"]),
        (&"Tuesdays".into(), &5.into(), &true.into())
    );
    assert!(made["expires_at"].as_u64().is_some());
    let link = made["link"].as_str().unwrap().replace(&home.url, &home.direct());
    let only = home.ok("laptop", &["room", "create", "--link-only"]);
    assert!(only.as_str().unwrap().starts_with(&format!("{}/r/", home.url)));
    let listed = home.ok("laptop", &["room", "ls"]);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&made), "{listed:?}");

    // Nobody is there to be asked.
    assert_eq!(home.refused("laptop", &["room", "end", "Tuesdays"]), (2, "not_confirmed".into()));
    assert_eq!(home.refused("laptop", &["room", "end", "Wednesdays", "--yes"]), (43, "not_found".into()));
    let join = |link: &str| home.refused("stranger", &["room", "join", link, "--for", "1s"]);
    for end in ["#", "x"] {
        let cut = &link[..link.rfind('#').unwrap()];
        assert_eq!(join(&format!("{cut}{end}")), (2, "link_incomplete".into()));
    }
    // Of the right form, with another secret.
    let at = link.rfind('#').unwrap() + 12;
    let other = if &link[at..=at] == "A" { "B" } else { "A" };
    let wrong = format!("{}{other}{}", &link[..at], &link[at + 1..]);
    assert_eq!(join(&wrong), (42, "room_link_refused".into()));

    home.ok("laptop", &["room", "end", "Tuesdays", "--yes"]);
    assert_eq!(home.ok("laptop", &["room", "ls"]).as_array().unwrap().len(), 1);
    assert_eq!(join(&link), (43, "room_over".into()));
}

#[test]
fn nobody_waits_for_those_who_left() {
    let (mut home, _) = Home::owned("laptop");
    let link = room(&home, &[]);
    for after in ["nobody", "a visit", "a restart"] {
        let mut visitor = Participant::join(&home, "laptop", &link, &[]);
        assert_eq!(visitor.until("seated", |_| true)["first"], true, "after {after}");
        assert!(
            !visitor.seen.iter().any(|line| line["event"] == "knocking"),
            "after {after}: {:?}",
            visitor.seen
        );
        visitor.interrupt();
        // The server puts away a room in which nobody is, within a second.
        thread::sleep(Duration::from_secs(2));
        if after == "a visit" {
            home.stop();
            home.start();
        }
    }
}

#[test]
fn what_one_sends_the_other_sees_and_hears() {
    let (home, _) = Home::owned("laptop");
    let link = room(&home, &["Stage"]);
    let film = home.path("stage.mp4");
    stage(&film);
    let mut sender = Participant::join(
        &home,
        "stage",
        &link,
        &["--publish", film.to_str().unwrap(), "--loop", "--name", "Stage"],
    );
    assert_eq!(sender.until("seated", |_| true)["first"], true);
    let folder = home.path("received");
    let mut receiver =
        Participant::join(&home, "hall", &link, &["--receive", folder.to_str().unwrap(), "--name", "Hall"]);
    assert_eq!(receiver.until("seated", |_| true)["first"], false);
    sender.until("named", |named| named["name"] == "Hall");
    sender.until("connection", |connection| connection["connected"] == true);
    let track = |track: &'static str| move |file: &Value| file["track"] == track && file["name"] == "Stage";
    let mut files = Vec::new();
    for _ in 0..2 {
        files.push(receiver.until("file", |_| true));
    }
    assert!(["mic", "camera"].iter().all(|name| files.iter().any(track(name))), "{files:?}");
    // Longer than the film, so that it begins again.
    let mut frames = 0;
    while frames < 500 {
        frames += receiver.until("rates", |_| true)["frames_received"].as_u64().unwrap();
    }
    sender.interrupt();
    let left = receiver.until("left", |_| true);
    assert_eq!((&left["name"], &left["how"]), (&"Stage".into(), &"left".into()));
    let over = receiver.interrupt();
    assert_eq!(over["files"].as_array().unwrap().len(), 2);
    let path = |name: &str| {
        PathBuf::from(files.iter().find(|file| file["track"] == name).unwrap()["file"].as_str().unwrap())
    };
    assert_red_and_blue(&path("camera"));
    let heard = frequency(&path("mic"));
    assert!((990.0..1010.0).contains(&heard), "{heard} Hz");
}

#[test]
fn what_a_room_does_not_take_is_said_with_the_way_out() {
    let (home, _) = Home::owned("laptop");
    let link = room(&home, &[]);
    let film = home.path("film.mp4");
    home::film(&film, 1, 0);
    let publish = |file: &Path| {
        let output =
            home.run("stage", &["room", "join", &link, "--publish", file.to_str().unwrap(), "--for", "1s"]);
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains("ffmpeg -i"), "{said}");
        refusal(&output, &["room", "join"])
    };
    assert_eq!(publish(&film), (10, "codec_not_sealable".into()));
    let webm = home.path("film.webm");
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=64x64:d=1", "-c:v", "libvpx", webm.to_str().unwrap()]);
    assert_eq!(publish(&webm), (10, "not_mp4".into()));
}

#[test]
fn where_addresses_are_hidden_all_goes_through_the_forwarder_and_nothing_without_one() {
    let (mut home, _) = Home::owned("laptop");
    let link = room(&home, &["--hide-addresses"]);
    let film = home.path("stage.mp4");
    stage(&film);
    let (folder, film) = (home.path("received"), film.to_str().unwrap().to_owned());
    let mut sender = Participant::join(&home, "stage", &link, &["--publish", &film, "--loop"]);
    sender.until("seated", |_| true);
    let mut receiver = Participant::join(&home, "hall", &link, &["--receive", folder.to_str().unwrap()]);
    receiver.until("way", |way| way["way"] == "forwarder");
    let mut frames = 0;
    while frames < 400 {
        frames += receiver.until("rates", |_| true)["frames_received"].as_u64().unwrap();
    }
    let rates = sender.until("rates", |_| true);
    assert!(rates["frames_sent"].as_u64() > Some(0), "{rates}");
    let over = receiver.interrupt();
    sender.interrupt();
    let files = received(&over);
    assert_eq!(files.len(), 2);
    assert_red_and_blue(&files["ivf"]);
    let heard = frequency(&files["ogg"]);
    assert!((990.0..1010.0).contains(&heard), "{heard} Hz");

    home.stop();
    home.forwarder = gloaming_server::ForwarderListen::Off;
    home.start();
    let refused = home.refused("stage", &["room", "join", &link, "--for", "60s"]);
    assert_eq!(refused, (42, "addresses_hidden".into()));
}

#[test]
fn at_the_fifth_a_room_goes_to_the_forwarder_and_back_at_the_third_and_the_film_has_no_hole() {
    let (home, _) = Home::owned("laptop");
    let link = room(&home, &["Crowd"]);
    let film = home.path("stage.mp4");
    stage(&film);
    let folder = home.path("received");
    let publish = ["--publish", film.to_str().unwrap(), "--loop", "--name", "Stage"];
    let mut sender = Participant::join(&home, "stage", &link, &publish);
    sender.until("seated", |_| true);
    let mut receiver = Participant::join(&home, "hall", &link, &["--receive", folder.to_str().unwrap()]);
    receiver.until("file", |file| file["track"] == "camera");
    let mut guests: Vec<_> = (0..3)
        .map(|number| Participant::join(&home, &format!("guest{number}"), &link, &["--name", "Guest"]))
        .collect();
    for participant in guests.iter_mut().chain([&mut sender, &mut receiver]) {
        participant.until("way", |way| way["way"] == "forwarder");
    }
    // Who came last was never in a mesh with anybody, and everybody gets the film.
    for participant in guests.iter_mut().chain([&mut receiver]) {
        for _ in 0..2 {
            participant.until("rates", |rates| rates["frames_received"].as_u64() > Some(100));
        }
    }
    for guest in guests.drain(1..) {
        guest.interrupt();
    }
    for participant in [&mut sender, &mut receiver, &mut guests[0]] {
        participant.until("way", |way| way["way"] == "mesh");
    }
    for participant in [&mut receiver, &mut guests[0]] {
        for _ in 0..2 {
            participant.until("rates", |rates| rates["frames_received"].as_u64() > Some(100));
        }
    }
    let stage = receiver.seen.iter().find(|line| line["name"] == "Stage").unwrap()["seat"].clone();
    let lost =
        |line: &&Value| line["event"] == "connection" && line["seat"] == stage && line["connected"] == false;
    assert_eq!(receiver.seen.iter().find(lost), None, "there was a way all the time");
    let over = receiver.interrupt();
    assert_eq!(over["frames_dropped"], 0);
    let files = received(&over);
    assert_red_and_blue(&files["ivf"]);
    let heard = frequency(&files["ogg"]);
    assert!((990.0..1010.0).contains(&heard), "{heard} Hz");
    let times = times(&files["ivf"]);
    let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert!(longest < 3 * 90_000, "{longest} ticks of 1/90,000 s without a picture");
}

/// What was received, by the files' endings.
fn received(over: &Value) -> HashMap<String, PathBuf> {
    let files = over["files"].as_array().unwrap().iter().map(|file| PathBuf::from(file.as_str().unwrap()));
    files.map(|file| (file.extension().unwrap().to_str().unwrap().to_owned(), file)).collect()
}

/// The times of an IVF file's pictures, in ticks of 1/90,000 s.
fn times(file: &Path) -> Vec<u64> {
    let bytes = fs::read(file).unwrap();
    let (mut at, mut times) = (32, Vec::new());
    while at < bytes.len() {
        times.push(u64::from_le_bytes(bytes[at + 4..at + 12].try_into().unwrap()));
        at += 12 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    times
}

/// The laptop's session token, to ask for what the command line does not.
fn token(home: &Home) -> String {
    let profile = home.path("devices/laptop/gloaming/default");
    fs::read_to_string(profile.join("token")).unwrap().trim().to_owned()
}

fn door(room: RoomId, invite: &Invite) -> RoomDoor {
    let sealed = invite.seal_about(room, &About::default(), &mut dice);
    RoomDoor { number: invite.number, hash: invite.door(room).0.to_vec().into(), sealed: sealed.into() }
}

fn dice(out: &mut [u8]) {
    getrandom::fill(out).unwrap();
}

/// A host who removes whoever comes; the room's next link.
async fn removes_whoever_comes(server: &str, room: RoomId, invite: Invite, host: HostKey) -> Invite {
    let config = Config {
        room,
        invite,
        device: DeviceKey::generate(&mut dice),
        host: Some(host),
        name: "Host".into(),
    };
    let mut member = Member::new(config, &mut dice);
    let url = format!("{}/v1/rooms/{room}/ws", server.replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let started = Instant::now();
    member.handle(Input::Opened, started.elapsed(), &mut dice);
    let mut changed = false;
    loop {
        let mut orders = Vec::new();
        while let Some(output) = member.poll() {
            match output {
                Output::Send(frame) => socket.send(Message::Binary(frame.into())).await.unwrap(),
                Output::Event(Event::Introduced(seat)) => orders.push(Input::Expel(seat)),
                Output::Event(Event::LinkChanged) => changed = true,
                Output::Event(_) => {}
            }
        }
        for order in orders {
            member.handle(order, started.elapsed(), &mut dice);
        }
        if changed {
            return Invite::from_fragment(&member.invite().to_fragment()).unwrap();
        }
        let wait = member.deadline().map_or(PATIENCE, |at| at.saturating_sub(started.elapsed()));
        tokio::select! {
            heard = socket.next() => {
                if let Message::Binary(frame) = heard.unwrap().unwrap() {
                    member.handle(Input::Received(&frame), started.elapsed(), &mut dice);
                }
            }
            () = tokio::time::sleep(wait) => member.handle(Input::Tick, started.elapsed(), &mut dice),
        }
    }
}

#[test]
fn who_is_removed_is_out_and_their_link_opens_nothing() {
    let (home, _) = Home::owned("laptop");
    let (room, seed, server) = (RoomId::generate(&mut dice), [5; 32], home.direct());
    let invite = Invite::generate(HostKey::from_seed(&seed).public(), false, &mut dice);
    let link = format!("{server}/r/{room}#{}", &*invite.to_fragment());
    let request = RoomRequest { room, door: door(room, &invite), policy: RoomPolicy::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ask = |method: reqwest::Method, path: String, body: Value| {
        let ask = reqwest::Client::new().request(method, format!("{server}{path}")).bearer_auth(token(&home));
        let ask = ask.header("content-type", "application/json").body(body.to_string());
        assert_eq!(runtime.block_on(ask.send()).unwrap().status(), 204);
    };
    ask(reqwest::Method::POST, "/v1/rooms".into(), serde_json::to_value(&request).unwrap());
    let host = runtime.spawn({
        let server = server.clone();
        async move { removes_whoever_comes(&server, room, invite, HostKey::from_seed(&seed)).await }
    });
    let guest = Participant::join(&home, "guest", &link, &[]);
    assert_eq!(guest.failed(), (42, "room_removed".into()));
    let next = runtime.block_on(host).unwrap();
    ask(
        reqwest::Method::PUT,
        format!("/v1/rooms/{room}/door"),
        serde_json::to_value(door(room, &next)).unwrap(),
    );
    assert_eq!(home.refused("guest", &["room", "join", &link, "--for", "1s"]), (42, "room_link_old".into()));
    let new = format!("{server}/r/{room}#{}", &*next.to_fragment());
    let output = home.run("guest", &["room", "join", &new, "--for", "1s"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
