//! The running forwarder, and str0m in the browsers' places, over loopback UDP.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

mod support;

use std::{
    collections::HashSet,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use gloaming_sfu::signal::{Ended, Refusal, Sends, ToForwarder, Track, Want};
use str0m::media::{MediaKind, Mid, Rid};
use support::{Got, Seal, World, seat};

const SEALED: Seal = Seal::As { track: 1, leaf: 0, epoch: 7 };
const FRAME: Duration = Duration::from_millis(20);

/// Somebody who sends a picture of one layer as track 1, and so many who watch. Their sections.
fn a_share(viewers: u8) -> (World, Mid, Vec<Mid>) {
    let mut world = World::with_members(viewers + 1, |_| {});
    let sent = world.connect(0, |add| add.send(Some(1), MediaKind::Video, &[]));
    let received = (1..=usize::from(viewers))
        .map(|at| world.connect(at, |add| add.receive(seat(1), 1, MediaKind::Video)));
    let received = received.collect();
    (world, sent, received)
}

fn send(world: &mut World, mid: Mid, frames: usize, packets: u8, seal: Seal) {
    for at in 0..frames {
        world.clients[0].send_frame(mid, None, at == 0, packets, 600, seal);
        world.run(FRAME);
    }
}

fn in_order(got: &[Got]) -> Vec<&Got> {
    let mut got: Vec<_> = got.iter().collect();
    got.sort_by_key(|packet| packet.seq);
    got
}

#[test]
fn everybody_gets_the_packets_as_they_were_sent() {
    let (mut world, mid, received) = a_share(3);
    let track = Track { seat: seat(1), track: 1, video: true, layers: 1 };
    assert_eq!(world.clients[3].tracks, [track]);
    send(&mut world, mid, 20, 5, SEALED);
    world.settle();
    for (at, mid) in (1..).zip(received) {
        let got = in_order(&world.clients[at].got[&mid]);
        let origins: Vec<_> = got.iter().map(|packet| packet.origin()).collect();
        let sent: Vec<_> = (0..20).flat_map(|frame| (0..5).map(move |packet| (0, frame, packet))).collect();
        assert_eq!(origins, sent, "viewer {at}");
        assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
        assert!(got.iter().all(|packet| packet.marker == (packet.origin().2 == 4)));
        assert!(got.iter().all(|packet| packet.payload.len() == 600));
    }
    let counts = world.counts();
    assert_eq!((counts.packets, counts.forwarded, counts.unsealed), (100, 300, 0));
}

#[test]
fn sound_is_forwarded_too() {
    let mut world = World::with_members(2, |_| {});
    let sent = world.connect(0, |add| add.send(Some(1), MediaKind::Audio, &[]));
    let received = world.connect(1, |add| add.receive(seat(1), 1, MediaKind::Audio));
    for _ in 0..30 {
        world.clients[0].send_frame(sent, None, false, 1, 120, SEALED);
        world.run(FRAME);
    }
    world.settle();
    assert_eq!(world.clients[1].got[&received].len(), 30);
}

/// 1,500 packets in a second: several for each time that the forwarder looks at its clock.
#[test]
fn a_fast_network_carries_all_that_is_sent() {
    let (mut world, mid, received) = a_share(1);
    world.until_in(Duration::from_secs(40), "carrying all of it", |world| {
        let got = |world: &World| world.clients[1].got.get(&received[0]).map_or(0, Vec::len);
        let before = got(world);
        send(world, mid, 25, 30, SEALED);
        got(world) - before >= 740
    });
}

#[test]
fn lost_packets_are_asked_for_again_on_both_hops() {
    let (mut world, mid, received) = a_share(2);
    send(&mut world, mid, 3, 5, SEALED);
    world.clients[0].lose_outgoing = Some(17);
    world.clients[1].lose_incoming = Some(13);
    send(&mut world, mid, 60, 5, SEALED);
    world.clients[0].lose_outgoing = None;
    world.clients[1].lose_incoming = None;
    send(&mut world, mid, 3, 5, SEALED);
    world.settle();
    for (at, mid) in [1, 2].into_iter().zip(received) {
        let got: HashSet<_> = world.clients[at].got[&mid].iter().map(Got::origin).collect();
        assert_eq!(got.len(), 66 * 5, "viewer {at}");
    }
}

#[test]
fn a_viewer_who_comes_late_begins_with_a_key_frame_and_it_is_asked_for() {
    let (mut world, mid, _) = a_share(1);
    send(&mut world, mid, 30, 2, SEALED);
    world.clients.push(support::Client::new(seat(3), 2));
    world.say_who_is_in(3);
    world.clients[0].key_frames_wanted.clear();
    let late = world.connect(2, |add| add.receive(seat(1), 1, MediaKind::Video));
    world.until("asked for", |world| {
        world.clients[0].send_frame(mid, None, false, 2, 600, SEALED);
        world.run(FRAME);
        world.clients[0].key_frames_wanted.contains_key(&(mid, None))
    });
    assert!(!world.clients[2].got.contains_key(&late), "what it could not decode");
    send(&mut world, mid, 5, 2, SEALED);
    world.settle();
    let got = in_order(&world.clients[2].got[&late]);
    assert_eq!(got.len(), 10);
    assert_eq!(got[0].payload[4], 0x10, "a key frame");
}

#[test]
fn however_many_ask_the_sender_is_asked_twice_a_second() {
    let (mut world, mid, received) = a_share(3);
    send(&mut world, mid, 30, 1, SEALED);
    world.run(Duration::from_millis(600));
    world.clients[0].key_frames_wanted.clear();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(900) {
        for (at, mid) in (1..).zip(&received) {
            world.clients[at].ask_for_key_frame(*mid);
        }
        // Sent, but none of them a key frame.
        world.clients[0].send_frame(mid, None, false, 1, 600, SEALED);
        world.run(FRAME);
    }
    let asked = world.clients[0].key_frames_wanted[&(mid, None)].len();
    assert!((1..=2).contains(&asked), "{asked}");
}

#[test]
fn frames_that_are_not_sealed_go_nowhere_and_the_track_is_stopped() {
    let (mut world, mid, received) = a_share(1);
    send(&mut world, mid, 5, 3, SEALED);
    send(&mut world, mid, 4, 3, Seal::Not);
    world.settle();
    assert_eq!(world.clients[1].got[&received[0]].len(), 15);
    assert_eq!(world.clients[0].unsealed, [0u16; 0], "a few may be a mistake that passes");
    // Somebody else's leaf; and, which counts for nothing but does not pass either, an epoch that the room never had.
    send(&mut world, mid, 5, 3, Seal::As { track: 1, leaf: 1, epoch: 7 });
    send(&mut world, mid, 4, 3, Seal::As { track: 1, leaf: 0, epoch: 8 });
    assert_eq!(world.clients[0].unsealed, [0u16; 0]);
    send(&mut world, mid, 1, 3, Seal::Not);
    world.until("stopped", |world| world.clients[0].unsealed == [1]);
    assert_eq!(world.clients[1].tracks, [], "nobody is offered it any more");
    send(&mut world, mid, 5, 3, SEALED);
    world.settle();
    assert_eq!(world.clients[1].got[&received[0]].len(), 15);
    assert!(world.counts().unsealed >= 30);
}

#[test]
fn after_a_commit_the_new_epoch_is_good_and_the_old_one_still_is() {
    let (mut world, mid, received) = a_share(1);
    send(&mut world, mid, 3, 1, SEALED);
    world.epoch = 8;
    world.say_who_is_in(2);
    send(&mut world, mid, 3, 1, SEALED);
    send(&mut world, mid, 3, 1, Seal::As { track: 1, leaf: 0, epoch: 8 });
    world.settle();
    assert_eq!(world.clients[1].got[&received[0]].len(), 9);
}

#[test]
fn a_track_that_nobody_announced_is_not_forwarded() {
    let mut world = World::with_members(2, |_| {});
    let (announced, other) = world
        .connect(0, |add| (add.send(Some(1), MediaKind::Video, &[]), add.send(None, MediaKind::Video, &[])));
    let received = world.connect(1, |add| add.receive(seat(1), 1, MediaKind::Video));
    for at in 0..5 {
        world.clients[0].send_frame(announced, None, at == 0, 1, 600, SEALED);
        world.clients[0].send_frame(other, None, at == 0, 1, 600, SEALED);
        world.run(FRAME);
    }
    world.settle();
    assert_eq!(world.clients[1].got.keys().collect::<Vec<_>>(), [&received]);
    assert_eq!(world.clients[1].got[&received].len(), 5);
    assert_eq!(world.counts().unannounced, 5);
}

#[test]
fn nobody_speaks_for_a_connection_from_elsewhere() {
    let (mut world, mid, received) = a_share(1);
    send(&mut world, mid, 3, 1, SEALED);
    world.run(Duration::from_millis(100));
    let before = world.counts();
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let forwarder = world.service.addresses()[0];
    // RTP, DTLS, noise, and a check without the connection's password.
    for datagram in [&[0x80; 700][..], &[22; 100], &[255; 50], &[0x00, 0x01, 0x00, 0x00], &[]] {
        elsewhere.send_to(datagram, forwarder).unwrap();
    }
    world.settle();
    let counts = world.counts();
    assert!(counts.foreign >= before.foreign + 4, "{counts:?}");
    assert_eq!(counts.packets, before.packets);
    send(&mut world, mid, 3, 1, SEALED);
    world.settle();
    assert_eq!(world.clients[1].got[&received[0]].len(), 6, "and everybody else is undisturbed");
}

#[test]
fn who_asks_for_their_own_address_is_told() {
    let world = World::new(|_| {});
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut request = vec![0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(&[9; 12]);
    socket.send_to(&request, world.service.addresses()[0]).unwrap();
    let mut answer = [0; 100];
    let count = socket.recv(&mut answer).unwrap();
    assert_eq!(&answer[..4], [0x01, 0x01, 0x00, 0x0c]);
    assert_eq!(&answer[8..20], [9; 12]);
    assert_eq!(count, 32);
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    assert_eq!(port, socket.local_addr().unwrap().port());
}

const LAYERS: [(&str, u8, usize); 3] = [("q", 1, 300), ("h", 2, 600), ("z", 5, 1_000)];

/// Half a second's worth of a camera's three layers, at about 0.1, 0.5 and 2 Mbit/s.
fn film(world: &mut World, mid: Mid, frames: usize) {
    for _ in 0..frames {
        for (rid, packets, size) in LAYERS {
            // As a browser does: when it was asked.
            let key = world.clients[0].key_frames_wanted.remove(&(mid, Some(Rid::from(rid)))).is_some();
            world.clients[0].send_frame(mid, Some(rid), key, packets, size, SEALED);
        }
        world.run(FRAME);
    }
}

fn a_camera(change: impl FnOnce(&mut gloaming_sfu::Settings)) -> (World, Mid, Mid) {
    let mut world = World::with_members(2, change);
    let sent = world.connect(0, |add| add.send(Some(1), MediaKind::Video, &["q", "h", "z"]));
    let received = world.connect(1, |add| add.receive(seat(1), 1, MediaKind::Video));
    (world, sent, received)
}

#[test]
fn a_viewer_gets_the_layer_that_it_has_a_use_for_in_one_unbroken_stream() {
    let (mut world, sent, received) = a_camera(|settings| settings.estimate = Some(20_000_000));
    film(&mut world, sent, 50);
    let small = Want { highest: 0, ..Want::default() };
    world.prefer(1, received, small);
    film(&mut world, sent, 50);
    world.prefer(1, received, Want { pause: true, ..small });
    film(&mut world, sent, 5);
    world.clients[1].got.get_mut(&received).unwrap().push(Got {
        seq: u64::MAX,
        time: 0,
        marker: false,
        payload: vec![0; 20],
    });
    let paused = world.clients[1].got[&received].len();
    film(&mut world, sent, 25);
    assert_eq!(world.clients[1].got[&received].len(), paused, "nothing while it is paused");
    world.clients[1].got.get_mut(&received).unwrap().pop();
    world.prefer(1, received, Want::default());
    film(&mut world, sent, 50);
    world.settle();

    let got = in_order(&world.clients[1].got[&received]);
    let mut layers: Vec<_> = got.iter().map(|packet| packet.origin().0).collect();
    layers.dedup();
    let last = *layers.last().unwrap();
    assert_eq!(last, b'z', "{layers:?}");
    assert!(layers.contains(&b'q'));
    assert!(layers.len() <= 6, "no more switches than there were reasons: {layers:?}");
    assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "no gap that the forwarder made");
    assert!(got.windows(2).all(|pair| pair[1].picture().wrapping_sub(pair[0].picture()) & 0x7fff <= 1));
    assert!(got.windows(2).all(|pair| pair[1].time.wrapping_sub(pair[0].time) < 90_000 * 2));
    // Every switch is at a key frame.
    for pair in got.windows(2).filter(|pair| pair[1].origin().0 != pair[0].origin().0) {
        assert_eq!((pair[1].payload[0], pair[1].payload[4]), (0x90, 0x10));
    }
    assert_eq!(world.clients[1].layers[&received.to_string()].last(), Some(&Some(2)));
}

#[test]
fn a_slow_network_gets_the_small_picture_and_a_fast_one_finds_out() {
    let (mut world, sent, received) = a_camera(|settings| settings.estimate = Some(300_000));
    film(&mut world, sent, 20);
    world.until_in(Duration::from_secs(60), "at the best layer", |world| {
        film(world, sent, 5);
        world.clients[1].layers[&received.to_string()].last() == Some(&Some(2))
    });
    film(&mut world, sent, 10);
    assert_eq!(world.clients[1].got[&received].last().unwrap().origin().0, b'z');
    let told = &world.clients[1].layers[&received.to_string()];
    assert!(
        told.contains(&Some(0)) || told.contains(&Some(1)),
        "it was not believed fast at first: {told:?}"
    );
}

#[test]
fn only_members_connect_and_who_is_removed_is_disconnected() {
    let (mut world, mid, _) = a_share(1);
    world.clients.push(support::Client::new(seat(9), 9));
    world.offer(2, |add| add.receive(seat(1), 1, MediaKind::Video));
    world.until("refused", |world| world.clients[2].refused == Some(Refusal::NotAMember));

    send(&mut world, mid, 3, 1, SEALED);
    world.epoch = 8;
    // The second seat is left alone in the room.
    world.clients.swap(0, 1);
    world.say_who_is_in_exactly(&[(seat(2), 1)]);
    world.until("disconnected", |world| world.clients[1].closed == Some(Ended::Removed));
    world.until("told", |world| world.clients[0].tracks.is_empty());
    assert_eq!(world.counts().peers, 1);
    world.close_room();
    world.until("closed", |world| world.clients[0].closed == Some(Ended::RoomOver));
    let counts = world.counts();
    assert_eq!((counts.peers, counts.rooms), (0, 0));
}

#[test]
fn a_page_that_is_loaded_again_takes_its_seats_place() {
    let (mut world, mid, received) = a_share(1);
    send(&mut world, mid, 3, 1, SEALED);
    world.clients[1] = support::Client::new(seat(2), 1);
    let again = world.connect(1, |add| add.receive(seat(1), 1, MediaKind::Video));
    assert_ne!(again, received[0]);
    assert_eq!(world.counts().peers, 2);
    send(&mut world, mid, 3, 1, SEALED);
    world.settle();
    assert_eq!(world.clients[1].got[&again].len(), 3);
    world.signal(1, ToForwarder::Bye {});
    world.until("gone", |world| world.clients[1].closed == Some(Ended::Bye));
}

#[test]
fn tracks_can_be_added_to_a_connection() {
    let (mut world, mid, received) = a_share(1);
    send(&mut world, mid, 3, 1, SEALED);
    let voice = world.connect(1, |add| add.send(Some(4), MediaKind::Audio, &[]));
    world.until("told", |world| world.clients[0].tracks.len() == 1);
    let heard = world.connect(0, |add| add.receive(seat(2), 4, MediaKind::Audio));
    for _ in 0..5 {
        world.clients[1].send_frame(voice, None, false, 1, 100, Seal::As { track: 4, leaf: 1, epoch: 7 });
        world.run(FRAME);
    }
    send(&mut world, mid, 3, 1, SEALED);
    world.settle();
    assert_eq!(world.clients[0].got[&heard].len(), 5);
    assert_eq!(world.clients[1].got[&received[0]].len(), 6);
}

#[test]
fn limits_are_kept() {
    let mut world = World::with_members(4, |settings| {
        settings.limits.peers_per_room = 2;
        settings.limits.tracks_per_peer = 2;
        settings.limits.ingress = 400_000;
    });
    // Too many tracks, the same number twice, a section that is not there.
    world.offer(3, |add| {
        for track in 0..3 {
            add.send(Some(track), MediaKind::Audio, &[]);
        }
    });
    world.until("refused", |world| world.clients[3].refused.take() == Some(Refusal::TooMuch));
    let twice = |mid: &str| Sends { mid: mid.into(), track: 1, layers: vec![] };
    for send in [vec![twice("a"), twice("b")], vec![twice("none")]] {
        let (message, _) =
            support::Client::new(seat(4), 3).offer(|add| add.send(None, MediaKind::Audio, &[]));
        let ToForwarder::Offer { sdp, receive, .. } = message else { unreachable!("an offer") };
        world.signal(3, ToForwarder::Offer { sdp, send, receive });
        world.until("refused", |world| world.clients[3].refused.take() == Some(Refusal::BadOffer));
    }
    world.signal(
        3,
        ToForwarder::Offer { sdp: "v=0\r\no=- 1 2 IN IP4 0\r\n".into(), send: vec![], receive: vec![] },
    );
    world.until("refused", |world| world.clients[3].refused.take() == Some(Refusal::BadOffer));
    assert_eq!(world.counts().peers, 0);

    let sent = world.connect(0, |add| add.send(Some(1), MediaKind::Video, &[]));
    let received = world.connect(1, |add| add.receive(seat(1), 1, MediaKind::Video));
    world.offer(2, |add| add.receive(seat(1), 1, MediaKind::Video));
    world.until("refused", |world| world.clients[2].refused == Some(Refusal::Full));

    // Ten times as much as a seat may send.
    for at in 0..50 {
        world.clients[0].send_frame(sent, None, at == 0, 10, 1_000, SEALED);
        world.run(FRAME);
    }
    world.settle();
    let got: usize = world.clients[1].got[&received].iter().map(|packet| packet.payload.len()).sum();
    assert!(got < 200_000, "{got} bytes of 500,000");
    assert!(world.counts().excess > 0);
}

#[test]
fn whose_network_lets_no_udp_through_comes_by_tcp() {
    let mut world = World::with_members(3, |_| {});
    let forwarder = world.service.addresses()[0];
    world.clients[1] = support::Client::by_tcp(seat(2), 1, forwarder);
    let sent = world.connect(0, |add| add.send(Some(1), MediaKind::Video, &[]));
    let (voice, received) = world.connect(1, |add| {
        (add.send(Some(4), MediaKind::Audio, &[]), add.receive(seat(1), 1, MediaKind::Video))
    });
    let heard = world.connect(2, |add| add.receive(seat(2), 4, MediaKind::Audio));
    for at in 0..20 {
        world.clients[0].send_frame(sent, None, at == 0, 10, 1_000, SEALED);
        world.clients[1].send_frame(voice, None, false, 1, 100, Seal::As { track: 4, leaf: 1, epoch: 7 });
        world.run(FRAME);
    }
    world.settle();
    assert_eq!(world.clients[1].got[&received].len(), 200);
    assert_eq!(world.clients[2].got[&heard].len(), 20);
}

#[test]
fn who_connects_and_says_nothing_of_use_is_hung_up_on() {
    let mut world = World::new(|settings| settings.limits.streams_per_address = 2);
    let connect = || {
        let stream = TcpStream::connect(world.service.addresses()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    };
    let ends = |mut stream: TcpStream| matches!(stream.read(&mut [0; 10]), Ok(0) | Err(_));
    let (mut web, silent) = (connect(), connect());
    // Both take part, or the third would not be one too many.
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    assert!(ends(connect()), "one too many");
    web.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(ends(web), "that is no connectivity check");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(ends(silent));
    assert!((4..9).contains(&start.elapsed().as_secs()), "it had a few seconds");
    world.run(Duration::from_millis(50));
}
