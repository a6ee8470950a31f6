//! What members say to each other on the group's keys: CBOR in an MLS application message.
//!
//! ```text
//! sealed = { seq, to?, broadcast, app }     seq: the seat's messages, from 1     broadcast: its messages to everybody
//! ```
//!
//! * `seq` and `to` are what the log sees beside the message; that they agree is checked, so the server can neither repeat a
//!   message nor hand it to somebody else.
//! * `broadcast` has no gaps: a message to everybody that was withheld is noticed with the next one.

use gloaming_ids::SeatId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{Card, Doubt};

/// The most that one message may hold, in bytes.
pub const MAX_APP: usize = 64 * 1024;

/// Something that one member says to all or one of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum App {
    /// Who sits on the sender's seat. Said by the member itself.
    Introduce(Card),
    /// An offer, an answer or a candidate, for one other seat: so fingerprints are authenticated, and addresses stay out of
    /// the log.
    Signal(ByteBuf),
    /// A line of chat.
    Chat {
        /// The text.
        text: String,
    },
    /// A reaction that passes.
    React {
        /// An emoji.
        emoji: String,
    },
    /// A hand goes up or down.
    Hand {
        /// Up?
        up: bool,
    },
    /// Please mute this track. A request: nobody can mute another's microphone but its owner.
    Mute {
        /// The number of the track.
        track: u16,
    },
    /// The host admits whoever made the key package with this hash. Said by the host's member itself.
    Admit {
        /// Who.
        seat: SeatId,
        /// SHA-256 of their KeyPackage.
        #[serde(with = "serde_bytes")]
        key_package_hash: [u8; 32],
        /// The host's.
        #[serde(with = "serde_bytes")]
        signature: [u8; 64],
    },
    /// The host ends the meeting. Said by the host's member itself.
    End {
        /// The host's.
        #[serde(with = "serde_bytes")]
        signature: [u8; 64],
    },
    /// Anything else that members agree on; a member that does not know the kind leaves it alone.
    Control {
        /// What it is about.
        kind: ControlKind,
        /// In that kind's own words.
        body: ByteBuf,
    },
}

/// What a [`App::Control`] is about. Numbers below 100 are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ControlKind(pub u16);

impl ControlKind {
    /// Which tracks a seat sends, and what they are.
    pub const TRACKS: Self = Self(1);
    /// Mesh or forwarder, and when to switch.
    pub const TOPOLOGY: Self = Self(2);
    /// Watching a video of somebody's library together: its link, and where it stands.
    pub const WATCH: Self = Self(3);
    /// Somebody records.
    pub const RECORDING: Self = Self(4);
}

/// What is sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    pub(crate) seq: u64,
    pub(crate) to: Option<SeatId>,
    pub(crate) broadcast: u64,
    pub(crate) app: App,
}

impl Said {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("writing to memory does not fail");
        bytes
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Doubt> {
        if bytes.len() > MAX_APP + 256 {
            return Err(Doubt::Unreadable);
        }
        let said = ciborium::from_reader(&mut bytes).map_err(|_| Doubt::Unreadable)?;
        if bytes.is_empty() { Ok(said) } else { Err(Doubt::Unreadable) }
    }
}

impl App {
    pub(crate) fn fits(&self) -> bool {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("writing to memory does not fail");
        bytes.len() <= MAX_APP
    }
}
