//! Rooms: where people meet. What is said in them never passes here; this is about the room itself.
//!
//! | route | body → answer |
//! |---|---|
//! | `POST /v1/rooms` | [`RoomRequest`] → 204; the same request again changes nothing |
//! | `GET /v1/rooms` | → [`RoomList`]: one's own, the newest first |
//! | `GET /v1/rooms/{id}` | → [`RoomView`], for whoever has the link: no account is asked for |
//! | `PUT /v1/rooms/{id}/door` | [`RoomDoor`] → 204, or a conflict: the host removed somebody, and the link is another |
//! | `DELETE /v1/rooms/{id}` | → 204: everybody is sent away, and nobody comes in again |
//! | `GET /v1/rooms/{id}/ws` | a WebSocket, whose binary frames `gloaming-room-log` describes; it ends with a [`close`] code |
//!
//! Its text frames are JSON: one [`Notice`] when a seat has been believed, and what browsers and the forwarder say to each
//! other (`gloaming_sfu::signal`).

use gloaming_ids::{RoomId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::Bytes;

/// Bytes of [`RoomDoor::sealed`] at most.
pub const MAX_SEALED_ROOM: usize = 4096;
/// Seats of a room where its owner does not say.
pub const USUAL_SEATS: u32 = 25;
/// Rooms of one account at most.
pub const MAX_ROOMS: usize = 1000;

/// What the server is told of a room's rules, because it has to keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomPolicy {
    /// How many may be in it at a time.
    pub max_seats: u32,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Whether its members learn each other's addresses: if not, everything goes through the forwarder.
    #[serde(default)]
    pub hide_addresses: bool,
}

impl Default for RoomPolicy {
    fn default() -> Self {
        Self { max_seats: USUAL_SEATS, expires_at: None, hide_addresses: false }
    }
}

/// A room to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomRequest {
    /// Which: random, by whoever makes it.
    pub room: RoomId,
    /// What the server keeps of its link.
    pub door: RoomDoor,
    /// The rules that the server keeps.
    #[serde(default)]
    pub policy: RoomPolicy,
}

/// What the server keeps of a room's link, so that it can tell those who have it from strangers. It changes with the link,
/// each time that the host removes somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomDoor {
    /// How many removals came before this link. Only a link with a greater number takes the place of another.
    pub number: u32,
    /// SHA-256 of the pass that the link gives: 32 bytes.
    pub hash: Bytes,
    /// The room's name, and the rules that members keep among themselves, sealed with the link's secret.
    pub sealed: Bytes,
}

/// One's own rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomList {
    /// The newest first.
    pub rooms: Vec<RoomInfo>,
}

/// A room, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomInfo {
    /// Which.
    pub room: RoomId,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What is behind the link.
    #[serde(flatten)]
    pub view: RoomView,
}

/// A room, as whoever has its link sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomView {
    /// [`RoomDoor::number`]: a link of another one is good no longer.
    pub number: u32,
    /// [`RoomDoor::sealed`].
    pub sealed: Bytes,
    /// The rules that the server keeps.
    pub policy: RoomPolicy,
    /// How many are in it now.
    pub live: u32,
}

/// What the server itself says in a text frame of a room's socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// How browsers may find their ways to each other: the first frame after a `Hello` that was believed, before its answer.
    Network {
        /// For `RTCPeerConnection`: the server's own STUN, and TURN servers where whoever runs it named some. Nobody else's.
        ice: Vec<IceServer>,
        /// Whether there is a forwarder here, for rooms too large for a mesh and browsers that find no way to each other.
        forwarder: bool,
    },
}

/// An `RTCIceServer`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// Where it is.
    pub urls: Vec<String>,
    /// For TURN: until when this is good (Unix time in seconds), and a random name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN: shows that this server gave the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Without the credential.
impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Why the server closes a room's socket: codes of WebSocket's private range (RFC 6455 §7.4.2), after those of HTTP.
pub mod close {
    /// The server stops or starts again: come back, and go on.
    pub const AGAIN: u16 = 1012;
    /// A frame does not read, or comes before the one that says who this is.
    pub const MALFORMED: u16 = 4400;
    /// The room is over, or never was.
    pub const GONE: u16 = 4404;
    /// Nothing was heard for too long.
    pub const SILENT: u16 = 4408;
    /// Another socket of the same seat came.
    pub const REPLACED: u16 = 4409;
    /// Frames of another version of the protocol: update.
    pub const VERSION: u16 = 4426;
    /// Too much at once, or too slow to take what others say.
    pub const SLOW_DOWN: u16 = 4429;
}
