//! Who may write a video's index: the holder of its sign seed. A viewer holds the index's key too, and together with
//! the store could otherwise forge one for other viewers.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gloaming_ids::{Context, VideoId};

use crate::{KeyError, Rejected, SignSeed};

const FORMAT: u8 = 1;

/// Signs a video's index.
pub struct VideoSigner(SigningKey);

impl VideoSigner {
    /// The signer behind a seed.
    pub fn new(seed: &SignSeed) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// What viewers check signatures with.
    pub fn verifier(&self) -> VideoVerifier {
        VideoVerifier(self.0.verifying_key())
    }

    /// Signs the index of `video` with this version, whose plaintext (as stored, compressed) has this SHA-256.
    pub fn sign_index(&self, video: VideoId, version: u64, sha256: &[u8; 32]) -> [u8; 64] {
        self.0.sign(message(video, version, sha256).as_bytes()).to_bytes()
    }
}

impl std::fmt::Debug for VideoSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VideoSigner(..)")
    }
}

/// Checks who signed a video's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoVerifier(VerifyingKey);

impl VideoVerifier {
    /// From a public key's bytes; [`KeyError::Malformed`] where they are no point of the curve.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::Malformed)
    }

    /// The public key.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether `signature` is this key's over the index of `video` with this version and SHA-256.
    pub fn verify_index(
        &self,
        video: VideoId,
        version: u64,
        sha256: &[u8; 32],
        signature: &[u8; 64],
    ) -> Result<(), Rejected> {
        self.0
            .verify_strict(message(video, version, sha256).as_bytes(), &Signature::from_bytes(signature))
            .map_err(|_| Rejected)
    }
}

fn message(video: VideoId, version: u64, sha256: &[u8; 32]) -> Context {
    Context::new("index-signature").number(FORMAT).field(video).number(version).field(sha256)
}
