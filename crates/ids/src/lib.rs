//! Ids that cannot be confused with one another, times, and the one encoding for key labels.
//!
//! * [`VideoId`] and its siblings: sixteen bytes each, written as UUIDs, not interchangeable.
//! * [`Entropy`]: where random bytes come from. Pure crates take it as an argument.
//! * [`UnixMillis`]: when. Pure crates take it as an argument too.
//! * [`Context`]: what a key is for or what a message is bound to, encoded so that no two meanings share bytes.

mod clock;
mod context;
mod entropy;
mod id;

pub use clock::UnixMillis;
pub use context::Context;
pub use entropy::Entropy;
pub use id::{
    AccountId, BadId, GroupId, InviteId, ObjectId, PlaybackId, RecordId, RoomId, SeatId, SessionId, ShareId,
    TrackId, VideoId,
};
