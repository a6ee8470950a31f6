//! The sealed keyring: created once with the account, then compare-and-swap.
//!
//! | route | body → answer |
//! |---|---|
//! | `GET /v1/keyring` | → [`SealedKeyring`] |
//! | `PUT /v1/keyring` | [`KeyringUpdate`] → 204, or `version_conflict` |
//!
//! There is no route that makes a keyring where one is missing: that is an error for somebody to look at.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// What unlocks the account key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Copy, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum UnlockMethod {
    /// OPAQUE's export key.
    Password,
    /// The 24 words.
    Recovery,
}

/// The account key, sealed for one way of unlocking it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wrap {
    /// Which way.
    pub method: UnlockMethod,
    /// The sealed account key.
    pub sealed: Bytes,
}

/// Keys that the server cannot open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SealedKeyring {
    /// Grows by one with every write.
    pub version: u64,
    /// The keyring, sealed under the account key.
    pub sealed: Bytes,
    /// One for each way of unlocking.
    pub wraps: Vec<Wrap>,
}

/// Replaces the keyring, if it still has the version that the writer read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyringUpdate {
    /// The version that was read; `keyring.version` must be one more.
    pub expected: u64,
    /// What to store.
    pub keyring: SealedKeyring,
}
