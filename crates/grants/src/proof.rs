//! That a request comes from the one who did the exchange, and was not sent before: a cookie alone is worth nothing.
//!
//! ```text
//! x-gloaming-proof: <playback id> "." <epoch> "." <counter> "." base64url(mac)
//! mac = HMAC-SHA-256(proof_e, "playback-proof", method, target, SHA-256(body), epoch, counter)
//! ```
//!
//! The target is path and query as they are sent.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_ids::{Context, PlaybackId};
use hmac::Mac;

use crate::{
    chain::EpochKeys,
    derive::{hmac, sha256},
};

/// The header that carries a proof.
pub const PROOF_HEADER: &str = "x-gloaming-proof";

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

/// A proof, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whose.
    pub playback: PlaybackId,
    /// Of this epoch's key.
    pub epoch: u64,
    /// Never used before in this epoch.
    pub counter: u64,
    mac: [u8; 32],
}

/// Not a proof, or not a true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's proof is missing or wrong")]
pub struct BadProof;

impl Proof {
    /// Proves a request.
    pub fn new(keys: &EpochKeys, playback: PlaybackId, counter: u64, asked: &Asked<'_>) -> Self {
        let mac =
            hmac(keys.proof.expose(), &message(keys.epoch, counter, asked)).finalize().into_bytes().into();
        Self { playback, epoch: keys.epoch, counter, mac }
    }

    /// Whether it proves this request. In constant time. Whether the counter is fresh, a [`Window`](crate::Window) knows.
    pub fn verify(&self, keys: &EpochKeys, asked: &Asked<'_>) -> Result<(), BadProof> {
        if self.epoch != keys.epoch {
            return Err(BadProof);
        }
        let message = message(self.epoch, self.counter, asked);
        hmac(keys.proof.expose(), &message).verify_slice(&self.mac).map_err(|_| BadProof)
    }
}

fn message(epoch: u64, counter: u64, asked: &Asked<'_>) -> Context {
    Context::new("playback-proof")
        .field(asked.method)
        .field(asked.target)
        .field(sha256(&[asked.body]))
        .number(epoch)
        .number(counter)
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof { playback, epoch, counter, mac } = self;
        write!(f, "{playback}.{epoch}.{counter}.{}", URL_SAFE_NO_PAD.encode(mac))
    }
}

impl FromStr for Proof {
    type Err = BadProof;

    fn from_str(text: &str) -> Result<Self, BadProof> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next().ok_or(BadProof);
        let playback = part()?.parse().map_err(|_| BadProof)?;
        let epoch = part()?.parse().map_err(|_| BadProof)?;
        let counter = part()?.parse().map_err(|_| BadProof)?;
        let mac = URL_SAFE_NO_PAD.decode(part()?).map_err(|_| BadProof)?;
        Ok(Self { playback, epoch, counter, mac: mac.try_into().map_err(|_| BadProof)? })
    }
}
