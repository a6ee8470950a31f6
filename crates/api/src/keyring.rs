//! The sealed keyring: created once with the account, then compare-and-swap.
//!
//! | route | body → answer |
//! |---|---|
//! | `GET /v1/keyring` | → [`SealedKeyring`] |
//! | `PUT /v1/keyring` | [`KeyringUpdate`] → 204, or `version_conflict` |
//!
//! A wrap on the wire is `version(8, BE) ‖ what is sealed`; the version is bound into the seal. Writing a wrap is
//! compare-and-swap too: the new one's version must be one more than that of the one it replaces ([`wrap_version`]), so a
//! device with an old copy cannot put an old wrap, or one of an old key, in a new one's place.
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
    /// Its version, and the sealed account key.
    pub sealed: Bytes,
}

/// Which version of its method's wraps this is; none where it is too short to be a wrap.
pub fn wrap_version(sealed: &[u8]) -> Option<u64> {
    sealed.split_first_chunk().map(|(version, _)| u64::from_be_bytes(*version))
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
