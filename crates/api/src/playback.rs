//! Playback under a share: a session, its epochs, and one grant for each segment. `gloaming_grants` holds the
//! cryptography of both sides.
//!
//! | route | body → answer |
//! |---|---|
//! | `POST /v1/session` | [`PlaybackStart`] → [`PlaybackStarted`], with the cookie `vp_session` |
//! | `POST /v1/session/refresh` | [`PlaybackRefresh`] → [`PlaybackRefreshed`]; proved |
//! | `GET /v1/key?video_id=ID&rend=ID&from=N&count=N` | → [`Grants`]; proved; `&seg_idx=N` asks for one |
//! | `GET /v1/urls?video_id=ID&objects=ID,ID` | → [`crate::video::SignedDownloads`]; proved |
//! | `POST /v1/session/report` | [`PlaybackReport`] → 204; proved |
//!
//! *Proved* requests carry the cookie and `x-gloaming-proof`. Answers are never stored (`Cache-Control: no-store`).

use gloaming_ids::{PlaybackId, ShareId, UnixMillis, VideoId};
use serde::{Deserialize, Serialize};

use crate::{
    Bytes,
    share::{Policy, ShareKind},
    video::SignedDownload,
};

/// The cookie that names a viewer's browser.
pub const PLAYBACK_COOKIE: &str = "vp_session";
/// Segments granted in one request at most.
pub const MAX_GRANTS: u32 = 64;
/// Objects signed in one request at most.
pub const MAX_PLAYBACK_OBJECTS: usize = 64;
/// How grants are wrapped and what they open: [`Grants::alg`].
pub const GRANT_ALG: &str = "A256GCM";

/// Begins a playback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaybackStart {
    /// Under which share.
    pub share: ShareId,
    /// Which of its videos; the first if absent.
    pub video_id: Option<VideoId>,
    /// A link's token: 32 bytes. A loan needs the recipient's account instead, an open share nothing.
    pub token: Option<Bytes>,
    /// X-Wing: 1216 bytes.
    pub client_pubkey_b64: Bytes,
    /// In a frame on another site: the cookie is then that site's own.
    #[serde(default)]
    pub embedded: bool,
}

/// A playback that has begun, and all that is needed for its first picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaybackStarted {
    /// Never in a URL.
    pub session_id: PlaybackId,
    /// Which video it is for.
    pub video_id: VideoId,
    /// X-Wing: 1120 bytes.
    pub kem_ciphertext_b64: Bytes,
    /// 32 bytes.
    pub nonce_b64: Bytes,
    /// How long an epoch is.
    pub epoch_seconds: u32,
    /// It ends then, unless it is refreshed.
    pub expires_at: UnixMillis,
    /// The server's clock, from which epochs count.
    pub now: UnixMillis,
    /// Whom the share is for.
    pub kind: ShareKind,
    /// What it allows.
    pub policy: Policy,
    /// The share's videos, in order.
    pub videos: Vec<VideoId>,
    /// The view shares, sealed as they came.
    pub sealed: Bytes,
    /// The view share of this video, where the share is open: 32 bytes.
    pub view_share: Option<Bytes>,
    /// Version of this video's index.
    pub index_version: u64,
    /// Where the index is.
    pub index: SignedDownload,
}

/// Goes on for another half hour, with fresh keys mixed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaybackRefresh {
    /// X-Wing: 1216 bytes, a fresh one.
    pub client_pubkey_b64: Bytes,
}

/// The answer to a refresh. The new keys hold from this epoch on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaybackRefreshed {
    /// X-Wing: 1120 bytes.
    pub kem_ciphertext_b64: Bytes,
    /// 32 bytes.
    pub nonce_b64: Bytes,
    /// The epoch whose chain key was mixed.
    pub epoch: u64,
    /// It ends then.
    pub expires_at: UnixMillis,
}

/// Segments, granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grants {
    /// In order. Fewer than asked where the track ends, or where the limit is reached: `retry_after_ms` then says when
    /// to ask for the rest.
    pub grants: Vec<WrappedGrant>,
    /// What the key is for: [`GRANT_ALG`].
    pub alg: String,
    /// Wrapped for this epoch.
    pub epoch: u64,
    /// Forget them after so many seconds.
    pub ttl_seconds: u32,
    /// The limit was reached: ask for the rest after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// One segment's share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WrappedGrant {
    /// Which segment.
    pub seg_idx: u32,
    /// AES-KW (RFC 3394): 40 bytes.
    pub wdek_b64: Bytes,
}

/// How it went, for the owner only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaybackReport {
    /// From the press of play to the first picture, in milliseconds.
    pub startup_ms: Option<u32>,
    /// How often playback had to wait so far.
    pub stalls: u32,
}
