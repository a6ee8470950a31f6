//! A member of a room: who is in it, under which keys they speak, and what to do when.
//!
//! ```text
//! Input, time, randomness ──► Member ──► frames for the socket, Events, the next deadline
//!                               │
//!                               └─ FrameSealer, FrameOpener: media in SFrame, under the group's keys
//! ```
//!
//! * [`Member`] is one state machine without a socket or a clock: fed by [`Member::handle`], drained by
//!   [`Member::poll`], woken at [`Member::deadline`]. The browser, the command line and the tests run the same one.
//! * [`Invite`] is what the link's fragment holds: the room secret, and whose word is the host's. Without the secret
//!   nobody can derive a key of the room, whatever the server does.
//! * Group state is never written anywhere: who reloads comes in again, as a new leaf.
//!
//! What a member refuses, and why, is [`Doubt`]. The protocol is in `docs/rooms.md`.

mod about;
mod app;
mod device;
mod doubt;
mod frame;
mod group;
mod invite;
mod member;
mod storage;
mod suite;

pub use about::About;
pub use app::{App, ControlKind, MAX_APP};
pub use device::{Card, DeviceCode, DeviceKey, HostKey};
pub use doubt::Doubt;
pub use frame::{Codec, FrameFault, FrameKey, FrameOpener, FrameSealer, OpenJob, SealJob};
pub use gloaming_room_log as log;
pub use invite::{BadInvite, Invite, RoomSecret};
pub use member::{Config, Event, Input, LeftHow, Member, Output, PeerView, timing};
