//! People: by which public keys an account is known, and what others gave or lent to it.
//!
//! | route | body → answer |
//! |---|---|
//! | `PUT /v1/identity` | [`PublicKeys`] → 204: one's own |
//! | `GET /v1/people/{id}` | → [`PublicKeys`] of an account; whoever is signed in may ask |
//! | `GET /v1/received?before=ID&limit=N` | → [`ReceivedList`]: what others shared with this account, but for what was revoked |
//! | `POST /v1/received/{id}/open` | [`GiftWish`] → [`GiftOpened`]: of a gift; a loan is opened by `POST /v1/session` |
//! | `POST /v1/received/{id}/urls` | [`GiftObjects`] → [`crate::video::SignedDownloads`]: of a gift |
//!
//! A client believes none of it by itself: keys must have the fingerprint that was pinned from a contact link, and what was
//! sealed must open, and be signed, by such keys.

use gloaming_ids::{AccountId, ObjectId, ShareId, UnixMillis, VideoId};
use serde::{Deserialize, Serialize};

use crate::{
    Bytes,
    share::{Policy, ShareKind},
    video::SignedDownload,
};

/// Bytes of [`PublicKeys::x_wing`].
pub const X_WING_PUBLIC_KEY: usize = 1216;
/// Bytes of [`PublicKeys::ed25519`].
pub const ED25519_PUBLIC_KEY: usize = 32;
/// Shares in one [`ReceivedList`] at most.
pub const MAX_RECEIVED: usize = 32;

/// By which keys an account is known to other people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicKeys {
    /// What others seal to: 1216 bytes.
    pub x_wing: Bytes,
    /// What it signs with: 32 bytes.
    pub ed25519: Bytes,
}

/// What others shared with an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceivedList {
    /// The newest first.
    pub received: Vec<ReceivedShare>,
    /// More, before the last of these.
    pub more: bool,
}

/// One share, as whoever it is for sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceivedShare {
    /// Which.
    pub share: ShareId,
    /// Who shared it, by the server's word. What is sealed is signed by them.
    pub sender: AccountId,
    /// [`ShareKind::Given`] or [`ShareKind::Lent`], by the server's word. What is sealed is bound to it.
    pub kind: ShareKind,
    /// What a loan allows.
    pub policy: Policy,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The keys, sealed to this account.
    pub sealed: Bytes,
}

/// Asks for a video of a gift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiftWish {
    /// Which.
    pub video_id: VideoId,
}

/// Where the index of a given video is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiftOpened {
    /// Which video.
    pub video_id: VideoId,
    /// Version of its index.
    pub index_version: u64,
    /// Where the index is.
    pub index: SignedDownload,
}

/// Asks for addresses of objects of a given video, 64 at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiftObjects {
    /// Of which.
    pub video_id: VideoId,
    /// Which.
    pub objects: Vec<ObjectId>,
}
