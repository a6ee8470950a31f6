//! Rooms over real sockets: real members, a real server, and people who misbehave at its door.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{
    Home, entropy,
    guests::{
        Guest, Order, ROOM, SEED, SOON, Stranger, connect, door, invite, is_joining, is_seated, make, request,
    },
    home, home_in,
};
use futures::{SinkExt, StreamExt};
use gloaming_api::room::{RoomDoor, RoomList, RoomPolicy, RoomRequest, RoomView, close};
use gloaming_ids::{GroupId, RoomId};
use gloaming_room::{
    Event, HostKey, Input, Invite, LeftHow,
    log::{ClientMessage, Entry, PROTOCOL_VERSION, Pass, Refusal, Resumed, ServerMessage},
};
use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::{
    self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode,
};

/// What whoever has the link is told of the room, without an account.
async fn view(home: &Home) -> RoomView {
    common::read(home.request(Method::GET, &format!("/v1/rooms/{ROOM}")).send().await.unwrap()).await
}

/// The status with which a socket was refused.
async fn refused(home: &Home, room: RoomId) -> u16 {
    match connect(home, room).await {
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_meet_and_a_restart_of_the_server_is_no_reason_to_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    make(&home.owner().await).await;
    let link = invite();
    let mut ada = Guest::come(&home, &link, true).await;
    let first = ada.until(SOON, is_seated).await;
    assert!(first.contains(&Event::First), "{first:?}");
    let mut bo = Guest::come(&home, &link, false).await;
    let came = bo.until(SOON, is_seated).await;
    assert!(!came.contains(&Event::First), "{came:?}");
    ada.until(SOON, is_joining).await;
    ada.say("are you there");
    bo.hears("are you there").await;
    let view = view(&home).await;
    assert_eq!((view.live, view.number), (2, 0));
    assert_eq!(link.open_about(ROOM, &view.sealed.0).unwrap().name, "Tuesdays");

    home.stop().await;
    let home = home_in(dir.path(), |_| {}).await;
    bo.go_on(&home).await;
    ada.go_on(&home).await;
    ada.say("still here");
    let heard = bo.hears("still here").await;
    bo.say("so am I");
    ada.hears("so am I").await;
    let anew =
        |event: &Event| matches!(event, Event::First | Event::Rejoining | Event::Seated | Event::Doubt(_));
    assert!(!heard.iter().any(anew), "{heard:?}");
    let (ada, bo) = (ada.stop().await, bo.stop().await);
    assert!(ada.authenticator().is_some());
    assert_eq!((ada.epoch(), ada.authenticator()), (bo.epoch(), bo.authenticator()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_comes_back_to_what_they_missed_or_is_removed() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let link = invite();
    let mut ada = Guest::come(&home, &link, true).await;
    ada.until(SOON, is_seated).await;
    let mut bo = Guest::come(&home, &link, false).await;
    bo.until(SOON, is_seated).await;
    ada.until(SOON, is_joining).await;

    bo.orders.send(Order::Cut).ok().unwrap();
    ada.say("while you were away");
    tokio::time::sleep(Duration::from_secs(1)).await;
    bo.go_on(&home).await;
    let seen = bo.hears("while you were away").await;
    assert!(!seen.contains(&Event::Rejoining), "{seen:?}");

    bo.orders.send(Order::Cut).ok().unwrap();
    let gone = |event: &Event| matches!(event, Event::Left(_, LeftHow::Lost));
    let seen = ada.until(Duration::from_secs(30), gone).await;
    assert!(seen.iter().any(|event| matches!(event, Event::Away(_))), "{seen:?}");
    bo.go_on(&home).await;
    bo.until(SOON, is_seated).await;
    ada.until(SOON, is_joining).await;
    ada.say("welcome back");
    bo.hears("welcome back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_rooms_protocol_closes_the_socket_and_says_why() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    assert_eq!(refused(&home, RoomId::from_bytes([1; 16])).await, 404);
    let elsewhere = home.request(Method::GET, &format!("/v1/rooms/{ROOM}/ws")).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::BAD_REQUEST, "no WebSocket");

    let mut other = format!("ws://{}/v1/rooms/{ROOM}/ws", home.address).into_client_request().unwrap();
    other.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    match tokio_tungstenite::connect_async(other).await {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }

    let mut early = Stranger::new(&home).await;
    early.send(&ClientMessage::Ping { offset: 0 }).await;
    assert_eq!(early.closed().await, close::MALFORMED);

    let mut text = Stranger::new(&home).await;
    text.0.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(text.closed().await, close::MALFORMED);

    let mut nonsense = Stranger::new(&home).await;
    nonsense.0.send(Message::Binary(vec![PROTOCOL_VERSION, 0xff].into())).await.unwrap();
    assert_eq!(nonsense.closed().await, close::MALFORMED);

    let mut newer = Stranger::new(&home).await;
    newer.0.send(Message::Binary(vec![PROTOCOL_VERSION + 1, 0xa0].into())).await.unwrap();
    assert_eq!(newer.closed().await, close::VERSION);

    let mut flood = Stranger::new(&home).await;
    flood.hello(1, 1).await;
    for _ in 0..2000 {
        let ping = ClientMessage::Ping { offset: 0 }.encode();
        if flood.0.send(Message::Binary(ping.into())).await.is_err() {
            break;
        }
    }
    assert_eq!(flood.closed().await, close::SLOW_DOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_is_whose_it_was_and_has_one_socket() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let mut mine = Stranger::new(&home).await;
    mine.hello(1, 1).await;
    assert!(matches!(mine.next().await, ServerMessage::Hello { resumed: Resumed::Fresh, live: 0, .. }));

    let mut thief = Stranger::new(&home).await;
    thief.hello(1, 2).await;
    assert_eq!(thief.next().await, ServerMessage::Refused { why: Refusal::NotYourSeat });
    // Nothing of it reached whose seat it is.
    mine.send(&ClientMessage::Ping { offset: 0 }).await;
    assert!(matches!(mine.next().await, ServerMessage::Pong { .. }));
    // And it speaks for nobody.
    thief.send(&ClientMessage::Ping { offset: 0 }).await;
    assert_eq!(thief.closed().await, close::MALFORMED);

    let mut again = Stranger::new(&home).await;
    again.hello(1, 1).await;
    assert!(matches!(again.next().await, ServerMessage::Hello { .. }));
    assert_eq!(mine.closed().await, close::REPLACED);
    again.send(&ClientMessage::Ping { offset: 0 }).await;
    assert!(
        matches!(again.next().await, ServerMessage::Pong { .. }),
        "the old socket's end is not the seat's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_have_the_link_is_neither_let_in_nor_heard() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let mut stranger = Stranger::new(&home).await;
    for wrong in [Pass([0; 32]), Pass(invite().door(ROOM).0), invite().pass(RoomId::from_bytes([1; 16]))] {
        stranger.hello_with(1, 1, wrong).await;
        assert_eq!(stranger.next().await, ServerMessage::Refused { why: Refusal::NoPass });
    }
    // It has no seat, so it founds nothing where nobody is.
    stranger.send(&ClientMessage::Found { after: 0, group: GroupId::from_bytes([1; 16]) }).await;
    assert_eq!(stranger.closed().await, close::MALFORMED);

    let other = Invite::generate(HostKey::from_seed(&SEED).public(), false, &mut entropy);
    let mut lost = Guest::come(&home, &other, true).await;
    let seen = lost.until(SOON, |event| *event == Event::LinkRefused).await;
    assert_eq!(seen, [Event::LinkRefused]);
    let mut ada = Guest::come(&home, &invite(), true).await;
    assert!(ada.until(SOON, is_seated).await.contains(&Event::First));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_host_removed_finds_the_door_closed_and_the_new_link_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    make(&owner).await;
    let old = invite();
    let mut ada = Guest::come(&home, &old, true).await;
    ada.until(SOON, is_seated).await;
    let mut bo = Guest::come(&home, &old, false).await;
    bo.until(SOON, is_seated).await;
    let joined = ada.until(SOON, is_joining).await;
    let Some(Event::Joined(seat)) = joined.last() else { panic!("{joined:?}") };
    ada.order(Input::Expel(*seat));
    ada.until(SOON, |event| *event == Event::LinkChanged).await;
    bo.until(SOON, |event| *event == Event::Removed).await;
    let new = ada.link().await;
    assert_eq!(new.number, 1);

    // Until the owner deposits it, the server knows only the old one.
    let mut cy = Guest::come(&home, &new, false).await;
    cy.until(SOON, |event| *event == Event::LinkRefused).await;
    let path = format!("/v1/rooms/{ROOM}/door");
    let stranger = home.register("Bo", &owner.invite(None).await).await;
    assert_eq!(stranger.put(&path, &door(ROOM, &new)).await.status(), StatusCode::NOT_FOUND);
    let nobody = home.request(Method::PUT, &path).json(&door(ROOM, &new)).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    let short = RoomDoor { hash: vec![1; 31].into(), ..door(ROOM, &new) };
    assert_eq!(owner.put(&path, &short).await.status(), StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        assert_eq!(
            owner.put(&path, &door(ROOM, &new)).await.status(),
            StatusCode::NO_CONTENT,
            "once is as twice"
        );
    }
    for late in [door(ROOM, &old), RoomDoor { number: 1, ..door(ROOM, &old) }] {
        assert_eq!(owner.put(&path, &late).await.status(), StatusCode::CONFLICT);
    }
    assert_eq!(
        owner.post("/v1/rooms", &request(ROOM)).await.status(),
        StatusCode::CONFLICT,
        "nor by making it anew"
    );
    cy.until(SOON, is_seated).await;
    // What is said before somebody is there is not for them.
    ada.until(SOON, is_joining).await;
    ada.say("without Bo");
    cy.hears("without Bo").await;
    let seen = view(&home).await;
    assert_eq!((seen.number, seen.live), (1, 2));
    assert!(old.open_about(ROOM, &seen.sealed.0).is_none() && new.open_about(ROOM, &seen.sealed.0).is_some());
    let mut bo = Guest::come(&home, &old, false).await;
    assert_eq!(bo.until(SOON, |event| *event == Event::LinkRefused).await, [Event::LinkRefused]);

    // The server remembers it.
    home.stop().await;
    let home = home_in(dir.path(), |_| {}).await;
    let mut bo = Guest::come(&home, &old, false).await;
    assert_eq!(bo.until(SOON, |event| *event == Event::LinkRefused).await, [Event::LinkRefused]);
    let mut di = Guest::come(&home, &new, false).await;
    ada.go_on(&home).await;
    di.until(SOON, is_seated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_the_door_when_the_link_changes_has_to_show_the_new_one() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    make(&owner).await;
    let mut host = Stranger::new(&home).await;
    host.hello(1, 1).await;
    host.next().await;
    host.send(&ClientMessage::Found { after: 0, group: GroupId::from_bytes([1; 16]) }).await;
    host.next().await;
    let mut waiting = Stranger::new(&home).await;
    waiting.hello(2, 2).await;
    assert!(matches!(waiting.next().await, ServerMessage::Hello { live: 1, .. }));
    let new = Invite { number: 1, ..invite() };
    let put = owner.put(&format!("/v1/rooms/{ROOM}/door"), &door(ROOM, &new)).await;
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    waiting.send(&ClientMessage::Ping { offset: 0 }).await;
    assert_eq!(waiting.next().await, ServerMessage::Refused { why: Refusal::NotYourSeat });
    waiting.hello(2, 2).await;
    assert_eq!(waiting.next().await, ServerMessage::Refused { why: Refusal::NoPass });
    // Whoever has a seat keeps it, whatever link they came by.
    host.send(&ClientMessage::Ping { offset: 0 }).await;
    assert!(matches!(host.next().await, ServerMessage::Entry { .. } | ServerMessage::Pong { .. }));
    waiting.hello_with(2, 2, new.pass(ROOM)).await;
    assert!(matches!(waiting.next().await, ServerMessage::Hello { live: 1, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_says_so() {
    let (_dir, home) = home().await;
    let mut small = request(ROOM);
    small.policy.max_seats = 2;
    let owner = home.owner().await;
    assert_eq!(owner.post("/v1/rooms", &small).await.status(), StatusCode::NO_CONTENT);
    let mut guests = Vec::new();
    for n in 0..2 {
        let mut guest = Guest::come(&home, &invite(), n == 0).await;
        guest.until(SOON, is_seated).await;
        guests.push(guest);
    }
    let mut late = Guest::come(&home, &invite(), false).await;
    let seen = late.until(SOON, |event| *event == Event::Full).await;
    assert!(!seen.contains(&Event::Seated), "{seen:?}");
    guests.pop().unwrap().order(Input::Leave);
    late.until(SOON, is_seated).await;
}

/// Something sealed, as far as the log can tell.
fn sealed(group: GroupId, length: u32) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 2, 16];
    message.extend_from_slice(group.as_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[1, 0, 0]);
    message.extend_from_slice(&(0x8000_0000 | length).to_be_bytes());
    message.resize(message.len() + length as usize, 7);
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_what_is_said_loses_the_socket_and_finds_all_of_it_later() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let group = GroupId::from_bytes([1; 16]);
    let mut deaf = Stranger::new(&home).await;
    deaf.hello(1, 1).await;
    deaf.next().await;
    deaf.send(&ClientMessage::Found { after: 0, group }).await;
    deaf.next().await;
    // While somebody has a socket, a room is not put away.
    let mut witness = Stranger::new(&home).await;
    witness.hello(2, 2).await;
    witness.next().await;
    // Less than a socket may send at once.
    for seq in 1..=15 {
        let message = sealed(group, 200 * 1024).into();
        deaf.send(&ClientMessage::Send { group, seq, to: None, message }).await;
        assert!(matches!(deaf.next().await, ServerMessage::Entry { .. }));
    }
    // And then all of it again and again, and nobody who takes it.
    for _ in 0..20 {
        deaf.send(&ClientMessage::Ping { offset: 0 }).await;
    }
    // Who has had no socket for a while is there no longer.
    let begun = Instant::now();
    while view(&home).await.live > 0 {
        assert!(begun.elapsed() < 3 * SOON, "nobody waits for ever for somebody who does not listen");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let mut back = Stranger::new(&home).await;
    back.hello(1, 1).await;
    // The last entry says that they are gone.
    assert!(matches!(back.next().await, ServerMessage::Hello { offset: 17.., .. }));
    back.send(&ClientMessage::Ping { offset: 0 }).await;
    for expected in 1..=16 {
        match back.next().await {
            ServerMessage::Entry { offset, entry: Entry::Founded { .. } | Entry::Send { .. }, .. } => {
                assert_eq!(offset, expected);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut taken = 0;
    while let Some(Ok(Message::Binary(frame))) = deaf.0.next().await {
        taken += frame.len();
    }
    assert!(
        taken < 20 * 1024 * 1024,
        "{taken} bytes of more than 60 MB were sent to somebody who does not listen"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_its_owners_and_ends_with_everybody_sent_away() {
    let (_dir, home) = home().await;
    let ada = home.owner().await;
    make(&ada).await;
    assert_eq!(ada.post("/v1/rooms", &request(ROOM)).await.status(), StatusCode::NO_CONTENT, "once more");
    let bo = home.register("Bo", &ada.invite(None).await).await;
    assert_eq!(bo.post("/v1/rooms", &request(ROOM)).await.status(), StatusCode::CONFLICT);
    assert_eq!(bo.delete(&format!("/v1/rooms/{ROOM}")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(common::read::<RoomList>(bo.get("/v1/rooms").await).await.rooms, []);
    assert_eq!(common::read::<RoomList>(ada.get("/v1/rooms").await).await.rooms.len(), 1);
    let mut nobody = request(RoomId::from_bytes([2; 16]));
    nobody.policy.max_seats = 1;
    assert_eq!(ada.post("/v1/rooms", &nobody).await.status(), StatusCode::BAD_REQUEST);

    let mut guest = Stranger::new(&home).await;
    guest.hello(1, 1).await;
    guest.next().await;
    assert_eq!(ada.delete(&format!("/v1/rooms/{ROOM}")).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(guest.closed().await, close::GONE);
    assert_eq!(refused(&home, ROOM).await, 404);

    let short = RoomRequest {
        policy: RoomPolicy {
            expires_at: Some(home.now() + Duration::from_secs(60)),
            ..RoomPolicy::default()
        },
        ..request(ROOM)
    };
    assert_eq!(ada.post("/v1/rooms", &short).await.status(), StatusCode::NO_CONTENT);
    let mut guest = Stranger::new(&home).await;
    guest.hello(1, 1).await;
    guest.next().await;
    home.later(Duration::from_secs(61));
    assert_eq!(refused(&home, ROOM).await, 404);
    home.jobs.round().await;
    assert_eq!(guest.closed().await, close::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_all_the_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| config.rooms.sockets_per_network = 3).await;
    make(&home.owner().await).await;
    let mut here = Vec::new();
    for _ in 0..3 {
        here.push(Stranger::new(&home).await);
    }
    assert_eq!(refused(&home, ROOM).await, 429);
    drop(here.pop());
    let begun = Instant::now();
    while connect(&home, ROOM).await.is_err() {
        assert!(begun.elapsed() < SOON, "a place that was left is free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn codes_stand_in_the_range_for_programs() {
    for code in
        [close::MALFORMED, close::GONE, close::SILENT, close::REPLACED, close::VERSION, close::SLOW_DOWN]
    {
        assert!(matches!(CloseCode::from(code), CloseCode::Library(_)), "{code}");
    }
}
