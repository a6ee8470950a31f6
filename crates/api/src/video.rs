//! Videos, as the server sees them: a sealed secret, objects of ciphertext, sizes and times.
//!
//! | route | body → answer |
//! |---|---|
//! | `PUT /v1/videos/{id}` | [`DraftRequest`] → [`VideoInfo`]; the same again is the same draft |
//! | `POST /v1/videos/{id}/objects` | [`ObjectsRequest`] → [`SignedUploads`] |
//! | `POST /v1/videos/{id}/objects/renew` | [`ObjectIds`] → [`SignedUploads`]: fresh URLs for objects not yet stored |
//! | `GET /v1/videos/{id}/objects` | → [`StoredObjects`]: what of a draft is there already |
//! | `POST /v1/videos/{id}/commit` | [`Commit`] → [`VideoInfo`], or `objects_missing`; the same again is the same |
//! | `GET /v1/videos?after=ID&limit=N&state=S` | → [`VideoList`] |
//! | `GET /v1/videos/{id}` | → [`VideoOpened`]: with a signed URL for the index |
//! | `POST /v1/urls` | [`ObjectIds`] → [`SignedDownloads`], for any objects of the account |
//! | `POST /v1/videos/{id}/trash`, `…/restore` | → [`VideoInfo`] |
//! | `DELETE /v1/videos/{id}` | → 204; rows at once, objects soon after |
//!
//! URLs are opaque: a client sends the method and headers it was told, and nothing of its own (no cookie, no token).

use gloaming_ids::{ObjectId, UnixMillis, VideoId};
use serde::{Deserialize, Serialize};

use crate::Bytes;

/// Objects asked for, renewed or signed in one request, at most.
pub const MAX_OBJECTS: usize = 256;
/// Bytes of one object at most: a 64 MiB pack and its padding.
pub const MAX_OBJECT_BYTES: u64 = 66 * 1024 * 1024;
/// Objects of one video at most (1.6 TB in 16 MiB packs).
pub const MAX_OBJECTS_PER_VIDEO: usize = 100_000;

/// Begins a video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DraftRequest {
    /// The video's secret, sealed under the content key.
    pub sealed_secret: Bytes,
}

/// Where a video is in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Copy, Eq)]
#[serde(rename_all = "snake_case")]
pub enum VideoState {
    /// Being uploaded; gone after seven days without a new object.
    Draft,
    /// Committed.
    Kept,
    /// In the trash until somebody empties it.
    Trashed,
}

/// One video, as the server knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoInfo {
    /// Its id.
    pub video: VideoId,
    /// Where it is in its life.
    pub state: VideoState,
    /// When the draft was made.
    pub created_at: UnixMillis,
    /// When it was committed.
    pub committed_at: Option<UnixMillis>,
    /// When it was trashed.
    pub trashed_at: Option<UnixMillis>,
    /// Ciphertext it takes.
    pub stored_bytes: u64,
    /// How many objects.
    pub object_count: u64,
    /// The sealed secret, as it came.
    pub sealed_secret: Bytes,
    /// Version of the committed index; 0 for a draft.
    pub index_version: u64,
    /// The object that holds the index.
    pub index: Option<ObjectId>,
    /// The object that holds the card.
    pub card: Option<ObjectId>,
    /// The object that holds the poster.
    pub poster: Option<ObjectId>,
}

/// A page of videos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoList {
    /// In order of id, which is the order of making.
    pub videos: Vec<VideoInfo>,
    /// More after the last of these.
    pub more: bool,
}

/// One video and the way to its index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoOpened {
    /// The video.
    pub info: VideoInfo,
    /// A signed URL of the index object.
    pub index: Option<SignedDownload>,
}

/// Asks for places to put objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectsRequest {
    /// Length of each, in bytes; signed into its URL.
    pub lengths: Vec<u64>,
}

/// Names objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectIds {
    /// At most [`MAX_OBJECTS`].
    pub objects: Vec<ObjectId>,
}

/// A header to send along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Header {
    /// Its name, lower case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A place to `PUT` exactly one object of exactly one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUpload {
    /// Minted by the server.
    pub object: ObjectId,
    /// Its length.
    pub length: u64,
    /// Where.
    pub url: String,
    /// With these.
    pub headers: Vec<Header>,
    /// Until then; renew after.
    pub expires_at: UnixMillis,
}

/// Places to put objects, in the order asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUploads {
    /// One for each length or object asked.
    pub uploads: Vec<SignedUpload>,
}

/// A place to `GET` one object, with `Range`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedDownload {
    /// Which.
    pub object: ObjectId,
    /// Its length.
    pub length: u64,
    /// Where.
    pub url: String,
    /// Until then; ask again after.
    pub expires_at: UnixMillis,
}

/// Places to get objects, in the order asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedDownloads {
    /// One for each object asked.
    pub downloads: Vec<SignedDownload>,
}

/// One object of a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredObject {
    /// Which.
    pub object: ObjectId,
    /// Its length.
    pub length: u64,
    /// All of it is there.
    pub stored: bool,
}

/// The objects of a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredObjects {
    /// In the order of their making.
    pub objects: Vec<StoredObject>,
}

/// Makes a draft a video, or replaces its index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Commit {
    /// The index version this replaces; 0 for a draft.
    pub expected_version: u64,
    /// The new one's version: one more.
    pub index_version: u64,
    /// The object that holds the index.
    pub index: ObjectId,
    /// The object that holds the card.
    pub card: Option<ObjectId>,
    /// The object that holds the poster.
    pub poster: Option<ObjectId>,
    /// Every object the video needs, those three included. Others of the draft are deleted.
    pub objects: Vec<ObjectId>,
}
