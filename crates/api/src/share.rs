//! Shares: who else may watch, and until when. What the server needs to enforce it, and nothing that opens a video.
//!
//! | route | body → answer |
//! |---|---|
//! | `POST /v1/shares` | [`ShareRequest`] → [`ShareInfo`]; the same again is the same share |
//! | `GET /v1/shares` | → [`ShareList`]: all of the account's, revoked ones too |
//! | `GET /v1/shares/{id}` | → [`ShareInfo`] |
//! | `POST /v1/shares/{id}/policy` | [`Policy`] → [`ShareInfo`]: holds from the next grant on |
//! | `POST /v1/shares/{id}/revoke` | → [`ShareInfo`]: no grant and no address from now on, and its half of the keys is forgotten |
//! | `GET /v1/videos/{id}/grants?after=N&limit=N` | → [`GrantLog`] |
//! | `GET /v1/videos/{id}/plays` | → [`PlayList`] |
//!
//! Whoever was *given* a video needs no grant: the server has no half of its keys, counts nothing and logs nothing. It keeps
//! what is sealed to them, and gives addresses of the video's objects ([`crate::people`]).

use gloaming_grants::log::LogRow;
use gloaming_ids::{AccountId, ObjectId, PlaybackId, ShareId, TrackId, UnixMillis, VideoId};
use serde::{Deserialize, Serialize};

use crate::Bytes;

/// Videos of one share at most.
pub const MAX_SHARED_VIDEOS: usize = 500;
/// Bytes of [`ShareRequest::sealed`] at most.
pub const MAX_SEALED_SHARE: usize = 128 * 1024;
/// Tracks of one shared video at most.
pub const MAX_SHARED_TRACKS: usize = 64;
/// Sites that one share may be embedded in, at most.
pub const MAX_EMBED_ORIGINS: usize = 16;
/// Rows of one [`GrantLog`] at most.
pub const MAX_LOG_ROWS: usize = 2000;

/// Whom a share is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareKind {
    /// An account on this server, which has both halves of the keys.
    Given,
    /// An account on this server, one granted segment at a time.
    Lent,
    /// One named holder of a link.
    Link,
    /// Whoever has the link; each browser has its own playback.
    Audience,
    /// Whoever knows the address. The server holds the view share too, and could watch.
    Open,
}

/// What a share allows. Everything absent is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Policy {
    /// Not before.
    pub from: Option<UnixMillis>,
    /// Not from then on.
    pub until: Option<UnixMillis>,
    /// Different browsers (or accounts) in all.
    pub max_viewers: Option<u32>,
    /// Playbacks in all. Who comes back within the idle time goes on with the same one.
    pub max_plays: Option<u32>,
    /// Browsers at the same time.
    pub max_at_once: Option<u32>,
    /// Origins (`https://course.example.org`) whose pages may embed it.
    pub embed_origins: Vec<String>,
    /// Whether a viewer's program may write the video to a file. A courtesy between honest programs: who can watch can
    /// copy.
    pub download: bool,
    /// Segment-seconds granted for each second of the clock, in tenths; the server's own limit if absent.
    pub speed_tenths: Option<u32>,
}

/// Makes a share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareRequest {
    /// Minted by the client, because it is bound into what is sealed. Random.
    pub share: ShareId,
    /// Whom it is for.
    pub kind: ShareKind,
    /// The account it is given or lent to; for [`ShareKind::Given`] and [`ShareKind::Lent`] only.
    pub recipient: Option<AccountId>,
    /// SHA-256 of the token that a link's secret yields; for [`ShareKind::Link`] and [`ShareKind::Audience`] only.
    pub token_hash: Option<Bytes>,
    /// The view shares, sealed under the link's secret or to the recipient; when open, under a key that everybody can
    /// derive (`gloaming_keys::LinkSecret::open`).
    pub sealed: Bytes,
    /// What it allows; a gift has no terms, and the default here.
    pub policy: Policy,
    /// One video, or a playlist's in their order.
    pub videos: Vec<SharedVideo>,
}

/// One video of a share: the half of its keys that the server is to grant, and what it needs to count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedVideo {
    /// Which.
    pub video: VideoId,
    /// 32 bytes: the grant share. The server seals it under its master key, and it opens nothing by itself. A gift has
    /// none: it went to the person.
    pub grant_share: Option<Bytes>,
    /// 32 bytes: the view share, for [`ShareKind::Open`] only. With both halves the server could watch.
    pub view_share: Option<Bytes>,
    /// What may be granted of it; of a gift, nothing.
    pub tracks: Vec<SharedTrack>,
}

/// What the server counts a track's segments as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedTrack {
    /// Which.
    pub track: TrackId,
    /// Whether its segments are charged.
    pub charged: bool,
    /// How many segments it has.
    pub segments: u32,
    /// How long one of them plays, about, in milliseconds.
    pub nominal_ms: u32,
}

/// A share, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareInfo {
    /// Which.
    pub share: ShareId,
    /// Whom it is for.
    pub kind: ShareKind,
    /// The account it is given or lent to.
    pub recipient: Option<AccountId>,
    /// Its videos, in order.
    pub videos: Vec<VideoId>,
    /// What it allows.
    pub policy: Policy,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
    /// Different browsers so far.
    pub viewers: u32,
    /// Playbacks so far.
    pub plays: u32,
    /// Browsers watching now.
    pub watching: u32,
    /// When a segment was last granted.
    pub watched_at: Option<UnixMillis>,
}

/// The shares of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareList {
    /// The newest first.
    pub shares: Vec<ShareInfo>,
}

/// A part of the log of a video's grants. `gloaming_grants::log` says how it is chained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantLog {
    /// Rows in order, from `after` + 1 on.
    pub rows: Vec<GrantRow>,
    /// More after the last of these.
    pub more: bool,
    /// Grants in all.
    pub count: u64,
    /// The head after all of them: 32 bytes.
    pub head: Bytes,
    /// Grants before this number were cleared away, as retention wants it…
    pub cleared: u64,
    /// …and this was the head then: 32 bytes.
    pub cleared_head: Bytes,
    /// Ed25519 by [`log_key`](GrantLog::log_key) over `gloaming_grants::log::log_head_message`: 64 bytes.
    pub signature: Bytes,
    /// The server's log key, pinned by the owner's client when it is first seen: 32 bytes.
    pub log_key: Bytes,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantRow {
    /// From 1.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// Under which share.
    pub share: ShareId,
    /// To which playback.
    pub playback: PlaybackId,
    /// Of which track.
    pub track: TrackId,
    /// Which segment.
    pub segment: u32,
    /// Whence: an IPv4 /24 or an IPv6 /48.
    pub network: String,
    /// What the viewer's program called itself.
    pub agent: String,
}

impl GrantRow {
    /// As it stands in the chain.
    pub fn logged(&self) -> LogRow<'_> {
        LogRow {
            number: self.number,
            at: self.at,
            share: self.share,
            playback: self.playback,
            track: self.track,
            segment: self.segment,
            network: &self.network,
            agent: &self.agent,
        }
    }
}

/// Who watched a video, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlayList {
    /// At most the last 1,000.
    pub plays: Vec<PlayInfo>,
}

/// One playback, as the owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlayInfo {
    /// Which.
    pub playback: PlaybackId,
    /// Under which share.
    pub share: ShareId,
    /// When it began.
    pub started_at: UnixMillis,
    /// When a segment was last granted.
    pub granted_at: Option<UnixMillis>,
    /// Whether it is live.
    pub watching: bool,
    /// Whence, at its start.
    pub network: String,
    /// The viewer's program.
    pub agent: String,
    /// Segments granted.
    pub grants: u64,
    /// Where the furthest granted segment of a charged track ends, about, in milliseconds.
    pub furthest_ms: u64,
    /// From the viewer's press of play to the first picture, in milliseconds, as their program reports it.
    pub startup_ms: Option<u32>,
    /// How often playback had to wait, as their program reports it.
    pub stalls: u32,
}

/// Names the object that holds a video's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexPlace {
    /// The committed version.
    pub version: u64,
    /// Where it rests.
    pub object: ObjectId,
}
