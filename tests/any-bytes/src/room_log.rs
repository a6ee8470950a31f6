//! Whatever two sockets send: the log goes on, stays bounded, and gives every seat a chain of offsets without gaps.

use std::{collections::BTreeMap, time::Duration};

use gloaming_ids::SeatId;
use gloaming_room_log::{ClientMessage, Door, Log, Pass, Policy, ServerMessage};

/// See the module.
pub fn check(frames: Vec<(u8, u8, Vec<u8>)>) {
    let mut log = Log::new(Policy { max_seats: 3, door: Door::of(&Pass([0; 32])) });
    let mut now = Duration::ZERO;
    let mut seen: BTreeMap<SeatId, u64> = BTreeMap::new();
    for (who, wait, frame) in frames {
        now += Duration::from_secs(wait.into());
        let seat = SeatId::from_bytes([who % 4; 16]);
        let mut out = log.tick(now);
        match ClientMessage::decode(&frame) {
            Ok(message) => out.extend(log.handle(seat, message, now)),
            Err(_) => log.disconnect(seat, now),
        }
        for delivery in out {
            match delivery.message {
                ServerMessage::Hello { offset, .. } => drop(seen.insert(delivery.to, offset)),
                ServerMessage::Entry { offset, prev, .. } => {
                    assert!(prev < offset);
                    seen.insert(delivery.to, offset);
                }
                _ => {}
            }
        }
        assert!(log.live() <= 4);
    }
}
