//! The words that a room's server and its members share, and all that a server may know of a room.
//!
//! ```text
//! member ── ClientMessage ──► Log ── ServerMessage ──► members
//! ```
//!
//! * [`Log`]: one order for everything that happens in a room. A commit names the epoch that it follows, and the first
//!   to arrive for an epoch wins; whoever was away asks for what came after the last offset they saw.
//! * [`PublicCommit`]: what can be checked of a commit without a key: that it is a well-formed MLS `PublicMessage` of
//!   this group and epoch, sent from a leaf that the sender sits on, that it adds, removes and renews and nothing else,
//!   and that it carries an external pre-shared key. Who may be in the room is for the members to decide, who hold that
//!   key; what is checked here only keeps mistakes out of everybody's log. Signatures are not checked: that would need
//!   a tree of every leaf's key, and a member checks them anyway.
//! * [`Door`]: whom a room's log listens to at all: those who show a [`Pass`], which only the link gives.
//! * [`SFrameHeader`], [`KeyId`]: the header in front of every sealed frame, so that a forwarder can tell a sealed frame
//!   from one that is not.
//!
//! Pure: no sockets, no clock, no randomness.

mod cbor;
mod door;
mod limits;
mod log;
mod message;
mod mls;
mod sframe;

pub use cbor::Malformed;
pub use door::{Door, Pass};
pub use limits::{
    GONE_AGAIN, GRACE, GRACE_OF_A_CLOSED_PAGE, KNOCK_AGAIN, MAX_KNOCKS, MAX_LOG_BYTES, MAX_LOG_ENTRIES,
    MAX_MESSAGE, MAX_RESENT, MAX_SEATS, PAST_EPOCHS, PROTOCOL_VERSION, RESENT_EACH_SECOND,
};
pub use log::{Delivery, Head, HeadMember, Log, Policy};
pub use message::{ClientMessage, Entry, Refusal, Resume, Resumed, SeatToken, ServerMessage};
pub use mls::{AddedLeaf, NotACommit, PrivateEnvelope, PublicCommit, SUITE};
pub use sframe::{BadHeader, KeyId, MAX_LEAF, MAX_TRACK, SFrameHeader};
