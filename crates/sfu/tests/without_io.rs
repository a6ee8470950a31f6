//! The forwarder without sockets and with a clock of the test's own.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::time::{Duration, Instant};

use gloaming_ids::{RoomId, SeatId};
use gloaming_sfu::{
    Config, Forwarder, Outbox,
    signal::{Ended, FromForwarder, Refusal, Sends, ToForwarder},
};
use proptest::prelude::*;
use str0m::{
    Rtc,
    media::{Direction, MediaKind, Simulcast, SimulcastLayer},
};

const ROOM: RoomId = RoomId::from_bytes([1; 16]);
const SEAT: SeatId = SeatId::from_bytes([2; 16]);

/// An offer of a voice and a camera with two layers.
fn offer(now: Instant) -> (String, Vec<Sends>) {
    let mut rtc = Rtc::new(now);
    let mut api = rtc.sdp_api();
    let voice = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
    let layers = ["q", "h"];
    let simulcast = Simulcast { send: layers.map(SimulcastLayer::new).to_vec(), recv: vec![] };
    let camera = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, Some(simulcast));
    let (offer, _pending) = api.apply().unwrap();
    let send = vec![
        Sends { mid: voice.to_string(), track: 0, layers: vec![] },
        Sends { mid: camera.to_string(), track: 1, layers: layers.map(str::to_owned).to_vec() },
    ];
    (offer.to_sdp_string(), send)
}

fn forwarder(now: Instant) -> Forwarder {
    Forwarder::new(Config::new(vec!["127.0.0.1:3478".parse().unwrap()]), now)
}

/// What the seat is told of an offer.
fn told(forwarder: &mut Forwarder, sdp: String, send: Vec<Sends>, now: Instant) -> Vec<FromForwarder> {
    let mut outbox = Outbox::new(64);
    assert!(forwarder.members(ROOM, 1, &[(SEAT, 0)], now, &mut outbox));
    forwarder.signal(ROOM, SEAT, ToForwarder::Offer { sdp, send, receive: vec![] }, now, &mut outbox);
    std::iter::from_fn(|| forwarder.poll_event()).map(|event| event.message).collect()
}

#[test]
fn a_connection_that_does_not_come_about_ends() {
    let start = Instant::now();
    let mut forwarder = forwarder(start);
    assert_eq!(forwarder.next_timeout(), None, "nobody is there");
    let (sdp, send) = offer(start);
    let answered = told(&mut forwarder, sdp, send, start);
    let [FromForwarder::Answer { sdp }, FromForwarder::Tracks { .. }] = &answered[..] else {
        panic!("an answer and what there is: {answered:?}")
    };
    assert!(sdp.contains("a=ice-lite"));
    assert!(sdp.contains(" 127.0.0.1 3478 typ host"));
    assert!(!sdp.contains("ssrc-audio-level"), "who speaks is nobody's business");
    assert!(!sdp.contains("H264") && !sdp.contains("AV1") && !sdp.contains("red/"), "what cannot be sealed");
    let mut outbox = Outbox::new(64);
    let mut now = start;
    while forwarder.counts().peers > 0 {
        now = forwarder.next_timeout().expect("somebody is there").max(now + Duration::from_millis(1));
        assert!(now < start + Duration::from_secs(16), "it has waited long enough");
        forwarder.handle_timeout(now, &mut outbox);
        outbox.clear();
    }
    assert!(now > start + Duration::from_secs(14), "too soon");
    assert_eq!(forwarder.poll_event().unwrap().message, FromForwarder::Closed { why: Ended::Lost });
    assert_eq!(forwarder.next_timeout(), None);
}

#[test]
fn an_answer_has_credentials_of_its_own_each_time_ice_begins_anew() {
    let now = Instant::now();
    let mut forwarder = forwarder(now);
    let (sdp, send) = offer(now);
    let ufrag = |told: &[FromForwarder]| match &told[0] {
        FromForwarder::Answer { sdp } => {
            sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    };
    let first = ufrag(&told(&mut forwarder, sdp.clone(), send.clone(), now));
    let same = ufrag(&told(&mut forwarder, sdp.clone(), send.clone(), now));
    assert_eq!(first, same, "nothing began anew");
    let theirs = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
    let restarted = sdp.replace(theirs, "restarted");
    let second = ufrag(&told(&mut forwarder, restarted, send, now));
    assert_ne!(first, second);
    assert_eq!(second.len(), "a=ice-ufrag:".len() + 24, "drawn by us, not by str0m");
}

#[test]
fn what_nobody_fetches_is_given_up_and_counted() {
    let now = Instant::now();
    let mut config = Config::new(vec!["127.0.0.1:3478".parse().unwrap()]);
    config.limits.events = 3;
    let mut forwarder = Forwarder::new(config, now);
    let mut outbox = Outbox::new(64);
    for _ in 0..5 {
        let message = ToForwarder::Offer { sdp: String::new(), send: vec![], receive: vec![] };
        forwarder.signal(ROOM, SEAT, message, now, &mut outbox);
    }
    assert_eq!(forwarder.counts().events_lost, 2);
    let refused = FromForwarder::Refused { why: Refusal::NotAMember };
    assert!(std::iter::from_fn(|| forwarder.poll_event()).all(|event| event.message == refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Lines of a good offer left out, twice, in another place or cut short: an answer or a refusal, and nothing is left over.
    #[test]
    fn a_mangled_offer_is_answered_or_refused(
        changes in proptest::collection::vec((0..4u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let now = Instant::now();
        let mut forwarder = forwarder(now);
        let (sdp, send) = offer(now);
        let mut lines: Vec<String> = sdp.lines().map(str::to_owned).collect();
        for (what, at, other) in changes {
            let (at, other) = (at.index(lines.len()), other.index(lines.len()));
            match what {
                0 => drop(lines.remove(at)),
                1 => lines.insert(other, lines[at].clone()),
                2 => lines.swap(at, other),
                _ => {
                    let half = lines[at].len() / 2;
                    lines[at].truncate(half);
                }
            }
        }
        let told = told(&mut forwarder, lines.join("\r\n") + "\r\n", send, now);
        let answered = matches!(told[0], FromForwarder::Answer { .. });
        let refused = matches!(told[..], [FromForwarder::Refused { .. }] | [FromForwarder::Refused { .. }, FromForwarder::Tracks { .. }]);
        prop_assert!(answered || refused, "{told:?}");
        prop_assert_eq!(forwarder.counts().peers, usize::from(answered));
    }
}
