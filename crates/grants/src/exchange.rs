//! How a viewer and a server come to share a chain of keys: one X-Wing encapsulation (draft-connolly-cfrg-xwing-kem:
//! X25519 and ML-KEM-768), so that what is recorded today stays closed to a quantum computer tomorrow.
//!
//! ```text
//! viewer ── public key ──► server            the server encapsulates to it
//! viewer ◄── ciphertext, nonce ── server
//! root    = HKDF(salt = nonce, ikm = shared secret, "playback-root", playback, video, share, SHA-256(public key ‖ ciphertext))
//! chain_0 = HKDF(root, "playback-chain")      see `chain`
//! ```
//!
//! Both sides forget the X-Wing secret, the shared secret and the root as soon as the chain exists.

use gloaming_ids::{Context, Entropy, PlaybackId, ShareId, VideoId};
use x_wing::{
    CIPHERTEXT_SIZE, Ciphertext, DecapsulationKey, ENCAPSULATION_KEY_SIZE, EncapsulationKey, KeyExport,
    KeyInit,
    kem::{Decapsulate, Decapsulator, Encapsulate},
};
use zeroize::Zeroizing;

use crate::{
    chain::{ChainKey, Epochs},
    derive::{derive, sha256},
    rng::Rng,
};

/// Bytes of a viewer's public key.
pub const OFFER: usize = ENCAPSULATION_KEY_SIZE;
/// Bytes of the server's answer to it.
pub const ANSWER: usize = CIPHERTEXT_SIZE;

/// What an exchange is for. The chain that comes out is good for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purpose {
    /// This playback.
    pub playback: PlaybackId,
    /// Of this video.
    pub video: VideoId,
    /// Under this share.
    pub share: ShareId,
}

/// A public key or a ciphertext that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the other half of a key exchange")]
pub struct BadExchange;

/// The viewer's half: asked for once, answered once.
pub struct Offer {
    secret: DecapsulationKey,
    public: Vec<u8>,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offer(..)")
    }
}

impl Offer {
    /// A fresh key pair.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut_slice());
        let secret = DecapsulationKey::new((&*seed).into());
        let public = secret.encapsulation_key().to_bytes().to_vec();
        Self { secret, public }
    }

    /// What the server is sent: [`OFFER`] bytes.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The keys of a new playback, from the server's answer. A wrong answer makes keys that fit nothing.
    pub fn accept(self, purpose: &Purpose, answer: &Answer) -> Result<Epochs, BadExchange> {
        let shared = self.shared(&answer.ciphertext)?;
        Ok(Epochs::new(&root(&shared, purpose, &self.public, answer)))
    }

    /// Takes the answer to a refresh, given in the epoch that `epochs` is in. Says from which epoch on it holds.
    pub fn accept_refresh(
        self,
        epochs: &mut Epochs,
        purpose: &Purpose,
        answer: &Answer,
    ) -> Result<u64, BadExchange> {
        let shared = self.shared(&answer.ciphertext)?;
        Ok(epochs.mix(&root(&shared, purpose, &self.public, answer)))
    }

    fn shared(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, BadExchange> {
        let ciphertext = Ciphertext::try_from(ciphertext).map_err(|_| BadExchange)?;
        Ok(Zeroizing::new(self.secret.decapsulate(&ciphertext).0))
    }
}

/// What the server sends back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// [`ANSWER`] bytes.
    pub ciphertext: Vec<u8>,
    /// The root's salt.
    pub nonce: [u8; 32],
}

/// The server's half of a new playback.
pub fn answer(
    purpose: &Purpose,
    public_key: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<(Answer, Epochs), BadExchange> {
    let (answer, root) = encapsulate(purpose, public_key, entropy)?;
    Ok((answer, Epochs::new(&root)))
}

/// The server's half of a refresh: from the next epoch on (which is said), what somebody else knew of the chain is of no
/// more use.
pub fn answer_refresh(
    epochs: &mut Epochs,
    purpose: &Purpose,
    public_key: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<(Answer, u64), BadExchange> {
    let (answer, root) = encapsulate(purpose, public_key, entropy)?;
    Ok((answer, epochs.mix(&root)))
}

fn encapsulate(
    purpose: &Purpose,
    public_key: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<(Answer, ChainKey), BadExchange> {
    let key = EncapsulationKey::try_from(public_key).map_err(|_| BadExchange)?;
    let (ciphertext, shared) = key.encapsulate_with_rng(&mut Rng(entropy));
    let shared = Zeroizing::new(shared.0);
    let mut nonce = [0; 32];
    entropy.fill(&mut nonce);
    let answer = Answer { ciphertext: ciphertext.to_vec(), nonce };
    let root = root(&shared, purpose, public_key, &answer);
    Ok((answer, root))
}

fn root(shared: &[u8; 32], purpose: &Purpose, public_key: &[u8], answer: &Answer) -> ChainKey {
    let info = Context::new("playback-root")
        .field(purpose.playback)
        .field(purpose.video)
        .field(purpose.share)
        .field(sha256(&[public_key, &answer.ciphertext]));
    ChainKey::from_bytes(derive(Some(&answer.nonce), shared, &info))
}
