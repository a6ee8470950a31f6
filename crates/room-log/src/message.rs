//! The frames of a room's socket: `version(1) ‖ CBOR`, one message in each.
//!
//! What is sealed is sealed before it gets here: `message` and `welcome` are MLS messages, and the log only looks at
//! their envelopes.

use gloaming_ids::{GroupId, SeatId};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{Malformed, Pass, cbor};

/// What a seat shows when its socket comes back: drawn by its member at random and told to nobody but the server, so
/// that nobody else can take the seat's place in the log. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeatToken(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl std::fmt::Debug for SeatToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeatToken(..)")
    }
}

/// How far a seat had come when its socket broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Which generation of the group it was in.
    pub generation: u64,
    /// The epoch that it had reached.
    pub epoch: u64,
    /// The offset of the last entry that it had seen.
    pub offset: u64,
}

/// What became of a [`Resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    /// Nothing to go on from: this seat is no member here, or not yet.
    Fresh,
    /// Everything that it missed follows.
    All,
    /// It is in the group still, but messages were lost, because they were many or the server was restarted.
    Lossy,
    /// A commit or the seat's own Welcome was lost, or what it saw is not what the log holds: it has to come in again, as
    /// a new seat.
    Gone,
}

/// What a member says to the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// The first message of a socket.
    Hello {
        /// Whose socket this is.
        seat: SeatId,
        /// Shows that it is.
        token: SeatToken,
        /// Shows that its member has the link.
        pass: Pass,
        /// For a seat that was here before.
        resume: Option<Resume>,
    },
    /// Begins a new generation, because nobody of the last one is left.
    Found {
        /// The generation that has nobody left.
        after: u64,
        /// The new group.
        group: GroupId,
    },
    /// Asks to be added.
    Knock {
        /// To which group.
        group: GroupId,
        /// An MLS KeyPackage, whose credential is the seat.
        key_package: ByteBuf,
        /// `HMAC(room secret, "join", group, SHA-256 of the key package)`: for members, not for the log.
        #[serde(with = "serde_bytes")]
        proof: [u8; 32],
        /// Who it is, sealed with the room secret: for members, not for the log.
        card: ByteBuf,
    },
    /// Takes the group from one epoch to the next.
    Commit {
        /// Of which group.
        group: GroupId,
        /// An MLS PublicMessage.
        message: ByteBuf,
        /// An MLS Welcome for those whom the commit adds.
        welcome: Option<ByteBuf>,
    },
    /// Says something to everybody, or to one.
    Send {
        /// Of which group.
        group: GroupId,
        /// The number of this message among the seat's own, from 1: what is sent again is taken once.
        seq: u64,
        /// Who gets it, if not everybody. Sealed for everybody all the same.
        to: Option<SeatId>,
        /// An MLS PrivateMessage.
        message: ByteBuf,
    },
    /// This seat can open frames of this epoch.
    Reached {
        /// The epoch.
        epoch: u64,
    },
    /// Tells somebody at the door that they are not let in.
    Deny {
        /// Whom.
        seat: SeatId,
    },
    /// Goes, for good.
    Leave {},
    /// Still here; and asks for whatever came after an offset.
    Ping {
        /// The offset of the last entry seen.
        offset: u64,
    },
}

/// What the log says to a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ServerMessage {
    /// The answer to `Hello`.
    Hello {
        /// Which generation the room is in; 0 before the first.
        generation: u64,
        /// Its group.
        group: Option<GroupId>,
        /// Its epoch.
        epoch: u64,
        /// The offset after which entries follow.
        offset: u64,
        /// How many members have a socket, or lost it only just now. Without any, the next to arrive founds a new
        /// generation.
        live: u64,
        /// What became of the request to resume.
        resumed: Resumed,
    },
    /// Something that happened.
    Entry {
        /// Its place in the log.
        offset: u64,
        /// The place of the entry before it that this seat gets to see. Another than the last one seen: something is
        /// missing, and a `Ping` brings it.
        prev: u64,
        /// What happened.
        entry: Entry,
    },
    /// A commit or a founding came too late: another was first.
    Conflict {
        /// The generation now.
        generation: u64,
        /// The epoch now.
        epoch: u64,
    },
    /// Every live member can open frames of this epoch.
    Reached {
        /// The epoch.
        epoch: u64,
    },
    /// A member said that you are not let in.
    Denied {},
    /// The answer to `Ping`, after whatever it brought.
    Pong {
        /// The offset of the last entry that this seat gets to see.
        offset: u64,
        /// The group's epoch: a member that is in an earlier one, with nothing left to come, was shown something else.
        epoch: u64,
        /// How many members are live.
        live: u64,
    },
    /// The message was not taken.
    Refused {
        /// Why.
        why: Refusal,
    },
}

/// Why a message was not taken into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The pass is not the room's: another link's, or that of a link before the host removed somebody.
    #[error("this link does not open the room")]
    NoPass,
    /// The seat is taken, and the token another.
    #[error("this seat belongs to somebody else")]
    NotYourSeat,
    /// Only members may.
    #[error("only members of the group may do that")]
    NotAMember,
    /// All seats are taken, or too many wait at the door.
    #[error("the room is full")]
    Full,
    /// There is nothing to knock at yet, or the group is another by now.
    #[error("the group is another")]
    OtherGroup,
    /// The commit, key package or message is not what it should be.
    #[error("the message is not well-formed")]
    Malformed,
    /// The message is of an epoch long past, or of none yet.
    #[error("the message is of another epoch")]
    OtherEpoch,
    /// Somebody is still there, so nobody may begin anew.
    #[error("members are still in the room")]
    Occupied,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A new generation began. Everybody sees it.
    Founded {
        /// Its number.
        generation: u64,
        /// Its group.
        group: GroupId,
        /// By whom.
        seat: SeatId,
    },
    /// Somebody at the door asks to be added. Members see it.
    Knock {
        /// Who.
        seat: SeatId,
        /// Their MLS KeyPackage.
        key_package: ByteBuf,
        /// What shows that they have the link.
        #[serde(with = "serde_bytes")]
        proof: [u8; 32],
        /// Who it is, sealed with the room secret.
        card: ByteBuf,
    },
    /// The group went on to its next epoch. Members see the message, those who were added the Welcome.
    Commit {
        /// By whom.
        seat: SeatId,
        /// The MLS PublicMessage; empty for those who were added by it.
        message: ByteBuf,
        /// The MLS Welcome, for those who were added by it.
        welcome: Option<ByteBuf>,
    },
    /// Somebody said something. Members see it, or the one it was for.
    Send {
        /// Who.
        seat: SeatId,
        /// The number of the message among the seat's own.
        seq: u64,
        /// The MLS PrivateMessage.
        message: ByteBuf,
    },
    /// The server proposes to remove a seat: it left, or was without a socket for [`crate::GRACE`]. This is the only
    /// proposal that a server can make. Members see it.
    Gone {
        /// Which seat.
        seat: SeatId,
        /// Whether it said so itself.
        left: bool,
    },
    /// A seat that was gone is back before anybody removed it. Members see it.
    Back {
        /// Which seat.
        seat: SeatId,
    },
}

macro_rules! framed {
    ($($name:ident)*) => {$(
        impl $name {
            /// The frame that carries this message.
            pub fn encode(&self) -> Vec<u8> {
                cbor::encode(self)
            }

            /// Reads one frame; [`Malformed`] where it is anything but one whole message.
            pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
                cbor::decode(frame)
            }
        }
    )*};
}

framed! { ClientMessage ServerMessage }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_MESSAGE;

    fn commit() -> ClientMessage {
        ClientMessage::Commit {
            group: GroupId::from_bytes([1; 16]),
            message: ByteBuf::from(vec![2; 300]),
            welcome: None,
        }
    }

    #[test]
    fn a_message_reads_back_and_nothing_may_follow_it() {
        for message in [commit(), ClientMessage::Leave {}, ClientMessage::Ping { offset: 3 }] {
            let mut frame = message.encode();
            assert_eq!(ClientMessage::decode(&frame), Ok(message));
            frame.push(0);
            assert_eq!(ClientMessage::decode(&frame), Err(Malformed::Fields));
        }
    }

    #[test]
    fn bytes_travel_as_bytes() {
        assert!(commit().encode().len() < 300 + 64);
    }

    #[test]
    fn another_version_is_told_apart_from_nonsense() {
        let mut frame = commit().encode();
        frame[0] = 9;
        assert_eq!(ClientMessage::decode(&frame), Err(Malformed::Version { found: 9 }));
        assert_eq!(ClientMessage::decode(&[]), Err(Malformed::Fields));
        assert_eq!(ClientMessage::decode(&vec![1; MAX_MESSAGE + 1]), Err(Malformed::TooLong));
    }

    #[test]
    fn a_token_does_not_print() {
        assert_eq!(format!("{:?}", SeatToken([7; 16])), "SeatToken(..)");
    }
}
