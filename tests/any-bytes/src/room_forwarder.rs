//! Whatever two seats say to the forwarder, and whatever arrives at its port: it goes on, within its limits, and nobody is
//! connected who was not answered.
//!
//! Input: steps, each `kind(1) ‖ length(2, big-endian) ‖ bytes`. Kinds: 0 and 1 what a seat says, 2 a datagram, 3 one over
//! TCP, 4 tenths of a second that pass.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use gloaming_ids::{RoomId, SeatId};
use gloaming_sfu::{
    Config, Forwarder, Outbox, Via,
    signal::{FromForwarder, ToForwarder},
};

const ROOM: RoomId = RoomId::from_bytes([1; 16]);
const SEATS: [SeatId; 2] = [SeatId::from_bytes([2; 16]), SeatId::from_bytes([3; 16])];

/// See the module.
pub fn check(mut input: &[u8]) {
    let here = SocketAddr::from(([127, 0, 0, 1], 8422));
    let from = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let mut now = Instant::now();
    let mut outbox = Outbox::new(64);
    let mut forwarder = Forwarder::new(Config { tcp: true, ..Config::new(vec![here]) }, now);
    assert!(forwarder.members(ROOM, 1, &[(SEATS[0], 0), (SEATS[1], 1)], now, &mut outbox));
    while let Some(([kind, high, low], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        input = rest;
        match kind % 5 {
            seat @ (0 | 1) => {
                let message = std::str::from_utf8(bytes).ok().and_then(ToForwarder::decode);
                let Some(message) = message else { continue };
                forwarder.signal(ROOM, SEATS[usize::from(seat)], message, now, &mut outbox);
            }
            2 => forwarder.receive(Via::Udp, from, bytes, now, &mut outbox),
            3 => forwarder.receive(Via::Tcp, from, bytes, now, &mut outbox),
            _ => {
                now += Duration::from_millis(100) * u32::from(bytes.first().copied().unwrap_or(1));
                forwarder.handle_timeout(now, &mut outbox);
            }
        }
        outbox.clear();
        let mut answered = 0;
        while let Some(event) = forwarder.poll_event() {
            assert!(event.room == ROOM && SEATS.contains(&event.seat));
            answered += usize::from(matches!(event.message, FromForwarder::Answer { .. }));
            assert!(event.message.encode().len() < 256 * 1024);
        }
        assert!(answered <= 1 && forwarder.counts().peers <= SEATS.len());
    }
    forwarder.close(ROOM, now, &mut outbox);
    assert_eq!(forwarder.counts().peers, 0);
    assert_eq!(forwarder.next_timeout(), None);
}
