//! Rooms with the forwarder: a real server, real members, and str0m in the places of their browsers' connections.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod call;
#[path = "../common/mod.rs"]
mod common;
mod control;
#[path = "../../../sfu/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use call::{Caller, Codecs, caller, until};
use common::{
    Home,
    guests::{Guest, Order, ROOM, SOON, Stranger, invite, is_joining, is_seated, make},
    home, home_in,
};
use gloaming_api::room::{IceServer, Notice, close};
use gloaming_room::{Event, Input, LeftHow};
use gloaming_server::{ForwarderListen, Turn};
use gloaming_sfu::signal::{Ended, FromForwarder, Refusal, ToForwarder};
use reqwest::{Method, StatusCode};
use str0m::media::MediaKind;
use tokio_tungstenite::tungstenite::Message;

const VOICE: u16 = 0;
const CAMERA: u16 = 1;

/// So many people, seated, the first of them the host. Nobody is connected to the forwarder yet.
async fn a_room(home: &Home, count: usize) -> Vec<Caller> {
    let mut callers: Vec<Caller> = Vec::new();
    for at in 0..count {
        let mut guest = Guest::come(home, &invite(), at == 0).await;
        guest.until(SOON, is_seated).await;
        for other in &mut callers {
            other.guest.until(SOON, is_joining).await;
        }
        callers.push(caller(guest).await);
    }
    callers
}

/// The first sends a voice and a camera, and everybody else receives both.
async fn a_call(home: &Home, count: usize) -> Vec<Caller> {
    let mut callers = a_room(home, count).await;
    let ada = callers[0].seat();
    callers[0].offer(|add| {
        vec![add.send(Some(VOICE), MediaKind::Audio, &[]), add.send(Some(CAMERA), MediaKind::Video, &[])]
    });
    until(&mut callers, "connected", |callers| callers[0].client.connected).await;
    for at in 1..count {
        callers[at].offer(|add| {
            vec![add.receive(ada, VOICE, MediaKind::Audio), add.receive(ada, CAMERA, MediaKind::Video)]
        });
        until(&mut callers, "connected", |callers| callers[at].client.connected).await;
        let tracks: Vec<_> =
            callers[at].client.tracks.iter().map(|track| (track.seat, track.track)).collect();
        assert_eq!(tracks, [(ada, VOICE), (ada, CAMERA)]);
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_seals_another_opens_and_who_is_removed_gets_nothing_more() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let mut callers = a_call(&home, 3).await;
    let ada = callers[0].seat();
    callers[0].talk(20).await;
    until(&mut callers, "heard and seen", |callers| {
        callers[1..].iter().all(|caller| caller.frames(Codecs::Voice).len() == 20)
            && callers[1..].iter().all(|caller| caller.frames(Codecs::Camera).len() == 20)
    })
    .await;
    for caller in &callers[1..] {
        for codec in [Codecs::Voice, Codecs::Camera] {
            let opened = caller.open(ada, codec).await;
            assert_eq!(
                opened.iter().map(|frame| frame.as_ref().ok()).collect::<Vec<_>>(),
                callers[0].sent(codec)
            );
        }
        let clear = caller.frames(Codecs::Voice);
        assert!(!clear.iter().any(|(_, frame)| callers[0].sent(Codecs::Voice).contains(&Some(frame))));
    }

    let counted = |text: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix("gloaming_forwarder_forwarded_packets_total "));
        line.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count > 0)
    };
    let page = format!("http://{}/metrics", home.metrics);
    let begun = std::time::Instant::now();
    while !counted(&home.http.get(&page).send().await.unwrap().text().await.unwrap()) {
        assert!(begun.elapsed() < SOON, "what is forwarded is counted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let bo = callers[1].seat();
    callers[0].guest.order(Input::Expel(bo));
    until(&mut callers, "cut off", |callers| callers[1].client.closed == Some(Ended::Removed)).await;
    let left = |event: &Event| *event == Event::Left(bo, LeftHow::Expelled);
    callers[0].guest.until(SOON, left).await;
    callers[2].guest.until(SOON, left).await;
    let before = callers[1].client.got_count;
    for caller in &mut callers {
        caller.forget();
    }
    callers[0].talk(20).await;
    until(&mut callers, "still heard", |callers| callers[2].frames(Codecs::Voice).len() == 20).await;
    let opened = callers[2].open(ada, Codecs::Voice).await;
    assert_eq!(
        opened.iter().map(|frame| frame.as_ref().ok()).collect::<Vec<_>>(),
        callers[0].sent(Codecs::Voice)
    );
    assert_eq!(callers[1].client.got_count, before, "nothing came to whom the host removed");

    callers[1].begin_anew();
    callers[1].offer(|add| vec![add.receive(ada, VOICE, MediaKind::Audio)]);
    until(&mut callers, "refused", |callers| callers[1].client.refused == Some(Refusal::NotAMember)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_cut_off_before_anybody_removes_them() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let mut callers = a_call(&home, 2).await;
    // Whoever would commit the removal is away.
    callers[1].guest.orders.send(Order::Cut).ok().unwrap();
    callers[0].guest.order(Input::Leave);
    until(&mut callers, "cut off", |callers| callers[0].client.closed == Some(Ended::Removed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_without_a_leaf_is_refused_and_what_is_no_signal_closes_the_socket() {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let callers = a_room(&home, 1).await;
    let offer = |seat: u8| {
        let mut client = support::Client::new(support::seat(seat), 0);
        let (offer, _) = client.offer(|add| add.receive(callers[0].seat(), VOICE, MediaKind::Audio));
        serde_json::to_string(&offer).unwrap()
    };
    let mut outside = Stranger::new(&home).await;
    outside.hello(9, 9).await;
    let Message::Text(first) = outside.frame().await else { panic!("the notice comes first") };
    assert!(matches!(serde_json::from_str(&first).unwrap(), Notice::Network { forwarder: true, .. }));
    outside.say(&offer(9)).await;
    let refused = FromForwarder::Refused { why: Refusal::NotAMember }.encode();
    loop {
        if let Message::Text(text) = outside.frame().await {
            assert_eq!(text.as_str(), refused);
            break;
        }
    }
    // The notice comes once for each socket.
    outside.hello(9, 9).await;
    assert!(matches!(outside.frame().await, Message::Binary(_)));

    let mut early = Stranger::new(&home).await;
    early.say(&offer(8)).await;
    assert_eq!(early.closed().await, close::MALFORMED);
    for nonsense in
        [r#"{"type":"bye","more":1}"#.to_owned(), "hello".into(), offer(8) + &" ".repeat(128 * 1024)]
    {
        let mut seated = Stranger::new(&home).await;
        seated.hello(8, 8).await;
        seated.next().await;
        seated.say(&nonsense).await;
        assert_eq!(seated.closed().await, close::MALFORMED);
    }
    let mut flood = Stranger::new(&home).await;
    flood.hello(7, 7).await;
    let bye = serde_json::to_string(&ToForwarder::Bye {}).unwrap();
    for _ in 0..2000 {
        if futures::SinkExt::send(&mut flood.0, Message::Text(bye.clone().into())).await.is_err() {
            break;
        }
    }
    assert_eq!(flood.closed().await, close::SLOW_DOWN);
}

/// What a socket is told first.
async fn notice(home: &Home) -> Notice {
    let mut stranger = Stranger::new(home).await;
    stranger.hello(5, 5).await;
    let Message::Text(first) = stranger.frame().await else { panic!("the notice comes first") };
    serde_json::from_str(&first).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_is_told_of_stun_and_turn_and_of_the_forwarder() {
    let dir = tempfile::tempdir().unwrap();
    let urls = vec!["turn:turn.example.org:3478".to_owned()];
    let turn = Turn { urls: urls.clone(), secret: "north".into(), lifetime: Duration::from_secs(3600) };
    let home = home_in(dir.path(), |config| config.turn = Some(turn)).await;
    make(&home.owner().await).await;
    let Notice::Network { ice, forwarder } = notice(&home).await;
    assert!(forwarder);
    let [stun, turn] = &ice[..] else { panic!("{ice:?}") };
    let expected = vec![format!("stun:{}", home.media[0])];
    assert_eq!(*stun, IceServer { urls: expected, username: None, credential: None });
    assert_eq!(turn.urls, urls);
    let (end, _) = turn.username.as_deref().unwrap().split_once(':').unwrap();
    assert_eq!(end, (home.now().0 / 1000 + 3600).to_string());
    assert_eq!(turn.credential.as_ref().unwrap().len(), 28, "20 bytes in base64");

    // The address is one that answers.
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let request = [&[0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42][..], &[9; 12]].concat();
    socket.send_to(&request, home.media[0]).await.unwrap();
    let mut answer = [0; 100];
    tokio::time::timeout(SOON, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[..2], [0x01, 0x01]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_forwarder_offers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| config.forwarder.listen = ForwarderListen::Off).await;
    make(&home.owner().await).await;
    assert_eq!(notice(&home).await, Notice::Network { ice: vec![], forwarder: false });
    let mut guest = Guest::come(&home, &invite(), true).await;
    guest.until(SOON, is_seated).await;
    let mut callers = [caller(guest).await];
    callers[0].offer(|add| vec![add.send(Some(VOICE), MediaKind::Audio, &[])]);
    until(&mut callers, "refused", |callers| callers[0].client.refused == Some(Refusal::Full)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_members_connect_again_and_at_the_rooms_end_nobody_is_connected() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    make(&owner).await;
    let token = owner.token.clone();
    let mut callers = a_call(&home, 2).await;
    let ada = callers[0].seat();
    home.stop().await;
    let home = home_in(dir.path(), |_| {}).await;
    for caller in &mut callers {
        caller.guest.go_on(&home).await;
        caller.begin_anew();
    }
    callers[0].offer(|add| vec![add.send(Some(VOICE), MediaKind::Audio, &[])]);
    until(&mut callers, "connected", |callers| callers[0].client.connected).await;
    callers[1].offer(|add| vec![add.receive(ada, VOICE, MediaKind::Audio)]);
    until(&mut callers, "connected", |callers| callers[1].client.connected).await;
    callers[0].talk(5).await;
    until(&mut callers, "heard", |callers| callers[1].frames(Codecs::Voice).len() == 5).await;
    assert!(callers[1].open(ada, Codecs::Voice).await.iter().all(Result::is_ok), "by the same keys");

    let end = home.request(Method::DELETE, &format!("/v1/rooms/{ROOM}")).bearer_auth(token);
    assert_eq!(end.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    until(&mut callers, "hung up", |callers| callers.iter().all(|caller| !caller.client.rtc.is_alive()))
        .await;
}
