//! The library: sealed records, and the feed of their changes.
//!
//! | route | body → answer |
//! |---|---|
//! | `GET /v1/library?since=SEQ&limit=N` | → [`Feed`] |
//! | `POST /v1/library` | [`Changes`] → [`Written`], or `version_conflict` and nothing is written |
//!
//! The feed is a hash chain that clients recompute ([`next_head`]): a server that drops, reorders or rewrites an entry,
//! or shows two devices two histories, is found out by whoever remembers an earlier head.

use gloaming_ids::{Context, RecordId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Bytes;

/// Entries in one answer at most.
pub const MAX_FEED: u32 = 1000;
/// Changes in one request at most.
pub const MAX_CHANGES: usize = 500;
/// Bytes of one sealed record at most.
pub const MAX_RECORD: usize = 256 * 1024;
/// Sealed bytes of all changes in one request at most. The server's limit on the body follows from it.
pub const MAX_CHANGES_BYTES: usize = 8 << 20;

/// One change, as it stands in the feed. Older versions of a record keep their place, but lose their bytes
/// (`superseded`): the chain is over digests, so that it can still be recomputed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Position in the feed, from 1.
    pub seq: u64,
    /// Which record.
    pub record: RecordId,
    /// From 1, one more with each change.
    pub version: u64,
    /// SHA-256 of the sealed bytes; of nothing for a tombstone.
    pub digest: Bytes,
    /// The sealed bytes, unless deleted or superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Bytes>,
    /// The record was deleted by this change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A stretch of the feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Feed {
    /// In order, without gaps, beginning after `since`.
    pub entries: Vec<Entry>,
    /// The last position there is; more to fetch if beyond the last entry.
    pub last: u64,
    /// The head after the last entry of this answer (after `since`, if there is none).
    pub head: Bytes,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Which record; minted by the client.
    pub record: RecordId,
    /// The version this replaces; 0 for a new record.
    pub expected: u64,
    /// The sealed bytes; none deletes.
    pub sealed: Option<Bytes>,
}

/// Writes that happen together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changes {
    /// At most [`MAX_CHANGES`], together at most [`MAX_CHANGES_BYTES`], no record twice.
    pub changes: Vec<Change>,
}

/// The writes happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Written {
    /// Position of the last of them.
    pub last: u64,
    /// The head after it.
    pub head: Bytes,
}

/// The head of an empty feed.
pub const EMPTY_HEAD: [u8; 32] = [0; 32];

/// The head after one more entry: SHA-256 over `Context("library-feed", head, seq, record, version, deleted, digest)`.
pub fn next_head(head: &[u8; 32], entry: &Entry) -> [u8; 32] {
    let context = Context::new("library-feed")
        .field(head)
        .number(entry.seq)
        .field(entry.record)
        .number(entry.version)
        .number(u8::from(entry.deleted))
        .field(&entry.digest);
    Sha256::digest(context.as_bytes()).into()
}

/// The digest that stands in the chain for these sealed bytes.
pub fn record_digest(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}
