//! Sharing with a person: HPKE in base mode (RFC 9180 §5.1.1) over X-Wing (draft-ietf-hpke-pq), HKDF-SHA-256 and
//! AES-256-GCM, signed by the sender.
//!
//! ```text
//! fingerprint = SHA-256("identity", X-Wing public key, Ed25519 public key)
//! info        = "person-share" ‖ format version ‖ sender's fingerprint ‖ recipient's ‖ share ‖ mode
//! sealed      = format version(1) ‖ signature(64) ‖ enc(1120) ‖ ciphertext
//! signature   = Ed25519(sender, "person-share-signature", info, enc, ciphertext)
//! ```

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gloaming_ids::{Context, Entropy, ShareId};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::XWing,
};
use zeroize::Zeroizing;

use super::SharedKeys;
use crate::{Identity, KeyError, digest::sha256};

const FORMAT: u8 = 1;
const SIGNATURE: usize = 64;
const ENC: usize = 1120;
/// Bytes of an X-Wing public key.
const X_WING: usize = 1216;

/// By which a person is known, whatever the server says their name is: SHA-256 over both public keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

/// All of it, in lower-case hexadecimal digits.
impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How much a person is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShareMode {
    /// Both halves: for good.
    Given,
    /// The view share only: as long as the server grants the rest.
    Lent,
}

impl ShareMode {
    fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Lent => "lent",
        }
    }
}

/// Why a share from or for a person is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// Public keys that are none.
    #[error("this is not a person's public identity")]
    BadIdentity,
    /// Not signed by who it is said to be from.
    #[error("this share does not come from who it says")]
    BadSignature,
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] KeyError),
}

/// A person's public keys.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicIdentity {
    x_wing: Vec<u8>,
    ed25519: VerifyingKey,
}

impl std::fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicIdentity({:?})", self.fingerprint())
    }
}

impl PublicIdentity {
    /// From what a server says. Believed only where the fingerprint is the one that was pinned.
    pub fn new(x_wing: &[u8], ed25519: &[u8]) -> Result<Self, PersonError> {
        let key: [u8; 32] = ed25519.try_into().map_err(|_| PersonError::BadIdentity)?;
        let ed25519 = VerifyingKey::from_bytes(&key).map_err(|_| PersonError::BadIdentity)?;
        <XWing as Kem>::PublicKey::from_bytes(x_wing).map_err(|_| PersonError::BadIdentity)?;
        if ed25519.is_weak() {
            return Err(PersonError::BadIdentity);
        }
        Ok(Self { x_wing: x_wing.to_vec(), ed25519 })
    }

    /// X-Wing, 1216 bytes.
    pub fn x_wing(&self) -> &[u8] {
        &self.x_wing
    }

    /// Ed25519.
    pub fn ed25519(&self) -> [u8; 32] {
        self.ed25519.to_bytes()
    }

    /// What is pinned.
    pub fn fingerprint(&self) -> Fingerprint {
        debug_assert_eq!(self.x_wing.len(), X_WING);
        let context = Context::new("identity").field(&self.x_wing).field(self.ed25519.to_bytes());
        Fingerprint(sha256(context.as_bytes()))
    }
}

impl Identity {
    /// What others may know.
    pub fn public(&self) -> PublicIdentity {
        let secret = self.private_key();
        PublicIdentity {
            x_wing: XWing::sk_to_pk(&secret).to_bytes().to_vec(),
            ed25519: self.signing_key().verifying_key(),
        }
    }

    fn private_key(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(self.x_wing.expose()).expect("any 32 bytes are a seed")
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.ed25519.expose())
    }
}

/// What a share for a person is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonShare {
    /// Which share; a gift has an id of its own too.
    pub share: ShareId,
    /// How much is given.
    pub mode: ShareMode,
}

impl PersonShare {
    fn info(&self, sender: &PublicIdentity, recipient: &PublicIdentity) -> Context {
        Context::new("person-share")
            .number(FORMAT)
            .field(sender.fingerprint().0)
            .field(recipient.fingerprint().0)
            .field(self.share)
            .field(self.mode.name())
    }
}

/// Seals keys to a person.
pub fn seal_for(
    recipient: &PublicIdentity,
    sender: &Identity,
    about: &PersonShare,
    keys: &SharedKeys,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, PersonError> {
    let info = about.info(&sender.public(), recipient);
    let to =
        <XWing as Kem>::PublicKey::from_bytes(&recipient.x_wing).map_err(|_| PersonError::BadIdentity)?;
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to,
        info.as_bytes(),
        &keys.encode(),
        b"",
        &mut gloaming_grants::Rng(entropy),
    )
    .map_err(|_| PersonError::BadIdentity)?;
    let enc = enc.to_bytes();
    let signature = sender.signing_key().sign(signed(&info, &enc, &ciphertext).as_bytes()).to_bytes();
    Ok([&[FORMAT], signature.as_slice(), enc.as_slice(), &ciphertext].concat())
}

/// Opens what [`seal_for`] made, from a sender whose fingerprint was pinned.
pub fn open_for(
    recipient: &Identity,
    sender: &PublicIdentity,
    about: &PersonShare,
    sealed: &[u8],
) -> Result<SharedKeys, PersonError> {
    let body = match sealed {
        [FORMAT, body @ ..] => body,
        [found, ..] if *found > FORMAT => return Err(KeyError::TooNew { found: *found }.into()),
        _ => return Err(KeyError::Malformed.into()),
    };
    let (signature, body) = body.split_first_chunk::<SIGNATURE>().ok_or(KeyError::Malformed)?;
    let (enc, ciphertext) = body.split_at_checked(ENC).ok_or(KeyError::Malformed)?;
    let info = about.info(sender, &recipient.public());
    sender
        .ed25519
        .verify_strict(signed(&info, enc, ciphertext).as_bytes(), &Signature::from_bytes(signature))
        .map_err(|_| PersonError::BadSignature)?;
    let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| KeyError::Malformed)?;
    let plain = hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &recipient.private_key(),
        &enc,
        info.as_bytes(),
        ciphertext,
        b"",
    )
    .map_err(|_| KeyError::Rejected)?;
    Ok(SharedKeys::decode(&Zeroizing::new(plain))?)
}

fn signed(info: &Context, enc: &[u8], ciphertext: &[u8]) -> Context {
    Context::new("person-share-signature").field(info).field(enc).field(ciphertext)
}
