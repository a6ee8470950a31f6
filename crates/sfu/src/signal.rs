//! What a browser and the forwarder say to each other, beside the room's log: JSON, through the room's socket.
//!
//! ```text
//! browser  ── offer { sdp, send, receive } ──►  forwarder
//!          ◄── answer { sdp } ──
//!          ◄── tracks { what others send } ──   whenever it changes; to receive one is to offer again
//! ```
//!
//! The browser always offers and the forwarder always answers, so there is no glare: whoever wants to send or to receive
//! something more adds a transceiver, send-only or receive-only, and offers again. Nobody sends candidates: the answer
//! holds the forwarder's, and the forwarder learns a browser's address from its connectivity checks.
//!
//! SDP goes in the clear, and so the server could put itself in the middle of this connection: it is the other end of it
//! anyway. What keeps it out is that frames are sealed.

use gloaming_ids::SeatId;
use serde::{Deserialize, Serialize};

/// The longest message from a browser, in bytes.
pub const MAX_SIGNAL: usize = 128 * 1024;

/// A browser's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToForwarder {
    /// Connects, or changes what is sent and received.
    Offer {
        /// The browser's offer.
        sdp: String,
        /// Its send-only sections, all of them.
        send: Vec<Sends>,
        /// Its receive-only sections, all of them.
        receive: Vec<Receives>,
    },
    /// Changes what is wanted of tracks that are received already.
    Prefer {
        /// Those that change.
        wants: Vec<Prefers>,
    },
    /// Disconnects.
    Bye {},
}

/// A section of an offer in which the browser sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sends {
    /// The section's `mid`.
    pub mid: String,
    /// The number that the sender gave the track: the one in the key ids of its frames.
    pub track: u16,
    /// The `rid`s of its simulcast layers, lowest first; empty for a track without.
    #[serde(default)]
    pub layers: Vec<String>,
}

/// A section of an offer in which the browser receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receives {
    /// The section's `mid`.
    pub mid: String,
    /// Whose track.
    pub seat: SeatId,
    /// Which of theirs.
    pub track: u16,
    /// How much of it.
    #[serde(default)]
    pub want: Want,
}

/// How much a browser wants of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// Larger comes first where there is not enough for everything. The page knows who speaks and what is pinned; the
    /// forwarder is not told how loud anybody is.
    pub priority: u8,
    /// The highest layer that there is a use for, 0 the lowest.
    pub highest: u8,
    /// Nothing at all for now: the tab is hidden, or the tile is.
    pub pause: bool,
}

impl Default for Want {
    fn default() -> Self {
        Self { priority: 0, highest: u8::MAX, pause: false }
    }
}

/// A change of what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefers {
    /// The receive-only section's `mid`.
    pub mid: String,
    /// How much from now on.
    pub want: Want,
}

/// The forwarder's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromForwarder {
    /// The answer to an offer.
    Answer {
        /// The forwarder's answer.
        sdp: String,
    },
    /// The offer was not taken. The connection, if there was one, is closed.
    Refused {
        /// Why.
        why: Refusal,
    },
    /// What others in the room send, all of it.
    Tracks {
        /// Sorted by seat and number.
        tracks: Vec<Track>,
    },
    /// Nothing more is forwarded of a track of yours: its frames are not sealed as they must be.
    Unsealed {
        /// Its number.
        track: u16,
    },
    /// Which layer of a track you get from now on.
    Layer {
        /// The receive-only section's `mid`.
        mid: String,
        /// 0 is the lowest, and the only one of a track without layers; `null` where there is not enough for any.
        layer: Option<u8>,
    },
    /// The connection is closed.
    Closed {
        /// Why.
        why: Ended,
    },
}

/// A track that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Whose.
    pub seat: SeatId,
    /// Which of theirs.
    pub track: u16,
    /// Picture, rather than sound.
    pub video: bool,
    /// How many layers, at least one.
    pub layers: u8,
}

/// Why an offer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Only who sits on a leaf of the room's group can send or receive.
    #[error("only members of the room's group may connect")]
    NotAMember,
    /// The forwarder, or the room, holds all the connections it may.
    #[error("the forwarder is full")]
    Full,
    /// More sections, tracks or layers than a seat may have.
    #[error("an offer asks for more than one seat may have")]
    TooMuch,
    /// The offer cannot be read, or does not match what was said of its sections.
    #[error("the offer cannot be used")]
    BadOffer,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As the seat asked.
    Bye,
    /// The seat is no longer a member of the room's group.
    Removed,
    /// It did not come about in time, or nothing was heard for too long. Offering again begins anew.
    Lost,
    /// The room is over, or has gone back to a mesh.
    RoomOver,
    /// A fault in the forwarder. Offering again begins anew.
    Fault,
}

impl ToForwarder {
    /// Reads a message; `None` for one that is too long or not one of these.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > MAX_SIGNAL { None } else { serde_json::from_str(text).ok() }
    }
}

impl FromForwarder {
    /// The text to send.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use super::*;

    /// Names on the wire stay: a page of yesterday must be understood.
    #[test]
    fn messages_read_as_they_are_documented() {
        let seat = SeatId::from_bytes([0x11; 16]);
        let offer = r#"{"type":"offer","sdp":"v=0","send":[{"mid":"0","track":3,"layers":["q","h"]}],
            "receive":[{"mid":"1","seat":"11111111-1111-1111-1111-111111111111","track":7}]}"#;
        let send = vec![Sends { mid: "0".into(), track: 3, layers: vec!["q".into(), "h".into()] }];
        let receive = vec![Receives { mid: "1".into(), seat, track: 7, want: Want::default() }];
        assert_eq!(
            ToForwarder::decode(offer).unwrap(),
            ToForwarder::Offer { sdp: "v=0".into(), send, receive }
        );
        let layer = FromForwarder::Layer { mid: "1".into(), layer: None };
        assert_eq!(layer.encode(), r#"{"type":"layer","mid":"1","layer":null}"#);
        let closed = FromForwarder::Closed { why: Ended::RoomOver };
        assert_eq!(closed.encode(), r#"{"type":"closed","why":"room_over"}"#);
        let tracks = vec![Track { seat, track: 7, video: true, layers: 2 }];
        let tracks = FromForwarder::Tracks { tracks }.encode();
        assert_eq!(serde_json::from_str::<FromForwarder>(&tracks).unwrap().encode(), tracks);
    }

    #[test]
    fn what_is_not_a_message_is_none() {
        assert_eq!(ToForwarder::decode(r#"{"type":"bye","more":1}"#), None);
        assert_eq!(ToForwarder::decode("[]"), None);
        assert_eq!(ToForwarder::decode(&" ".repeat(MAX_SIGNAL + 1)), None);
        assert_eq!(ToForwarder::decode(r#"{"type":"bye"}"#), Some(ToForwarder::Bye {}));
    }
}
