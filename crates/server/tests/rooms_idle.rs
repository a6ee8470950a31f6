//! What people weigh who are in rooms and say nothing. `./x bench rooms` runs it; beside other tests it would measure them too.
//!
//! The server is this process and nothing else: the other ends of the sockets are a process of their own.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and this one measures"
)]

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use common::home_in;
use futures::{SinkExt, StreamExt, stream};
use gloaming_api::room::{RoomDoor, RoomPolicy, RoomRequest};
use gloaming_ids::{GroupId, RoomId, SeatId};
use gloaming_room_log::{ClientMessage, Door, Pass, SeatToken, ServerMessage};
use gloaming_server::Rate;
use reqwest::StatusCode;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

const ROOMS: u16 = 1000;
const IN_EACH: u8 = 5;
/// Bytes of memory for each socket, its share of the room included.
const FLOOR: u64 = 8_000;
/// Where the other process finds the server.
const ADDRESS: &str = "GLOAMING_TEST_SERVER";
const PASS: Pass = Pass([7; 32]);

fn room(n: u16) -> RoomId {
    let mut id = [1; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    RoomId::from_bytes(id)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures: `./x bench rooms`"]
async fn five_thousand_who_say_nothing_take_eight_kilobytes_each() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| {
        config.max_connections = 10_000;
        config.limits.room = Rate { burst: 20_000, every: Duration::from_millis(1) };
        config.rooms.sockets_per_network = 10_000;
    })
    .await;
    let owner = home.owner().await;
    let hash = Door::of(&PASS).0.to_vec();
    let make = |n| {
        let door = RoomDoor { number: 0, hash: hash.clone().into(), sealed: vec![9; 284].into() };
        let request = RoomRequest { room: room(n), door, policy: RoomPolicy::default() };
        let owner = &owner;
        async move { assert_eq!(owner.post("/v1/rooms", &request).await.status(), StatusCode::NO_CONTENT) }
    };
    stream::iter(0..ROOMS).map(make).buffer_unordered(32).collect::<()>().await;

    let before = resident();
    let mut crowd = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_crowd", "--nocapture"])
        .env(ADDRESS, home.address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(crowd.stdout.take().unwrap());
    let waited = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        while !line.contains("everybody is there") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "the crowd did not come");
        }
        said
    });
    // What else the other process prints has somewhere to go.
    let _said = waited.await.unwrap();
    // What was to be written is written by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sockets = u64::from(ROOMS) * u64::from(IN_EACH);
    let each = resident().saturating_sub(before) / sockets;
    println!("{sockets} sockets in {ROOMS} rooms: {each} bytes each (floor {FLOOR})");
    let metrics =
        home.http.get(format!("http://{}/metrics", home.metrics)).send().await.unwrap().text().await;
    assert!(metrics.unwrap().contains(&format!("gloaming_room_sockets {sockets}")), "all of them are there");
    drop(crowd.stdin.take());
    assert!(crowd.wait().unwrap().success());
    assert!(each <= FLOOR, "{each} bytes each");
}

/// The other side, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the one above"]
async fn the_crowd() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    // Whoever founds a room comes first.
    let mut crowd = Vec::new();
    for seat in 1..=IN_EACH {
        let come = |n| come(&address, room(n), seat);
        crowd.extend(stream::iter(0..ROOMS).map(come).buffer_unordered(32).collect::<Vec<_>>().await);
    }
    println!("everybody is there");
    std::io::stdout().flush().unwrap();
    // Until the other process has seen enough.
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await.unwrap().unwrap();
}

async fn come(address: &str, room: RoomId, seat: u8) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let url = format!("ws://{address}/v1/rooms/{room}/ws");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let hello = ClientMessage::Hello {
        seat: SeatId::from_bytes([seat; 16]),
        token: SeatToken([seat; 16]),
        pass: PASS,
        resume: None,
    };
    let found = ClientMessage::Found { after: 0, group: GroupId::from_bytes([1; 16]) };
    for message in [Some(hello), (seat == 1).then_some(found)].into_iter().flatten() {
        socket.send(Message::Binary(message.encode().into())).await.unwrap();
        let answer = loop {
            match socket.next().await {
                Some(Ok(Message::Binary(answer))) => break answer,
                Some(Ok(Message::Text(_))) => {}
                other => panic!("no answer: {other:?}"),
            }
        };
        let answer = ServerMessage::decode(&answer).unwrap();
        assert!(matches!(answer, ServerMessage::Hello { .. } | ServerMessage::Entry { .. }), "{answer:?}");
    }
    socket
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
