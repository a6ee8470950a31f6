//! The keyring: every long-lived key of an account, sealed as one.
//!
//! ```text
//! keyring = format version(1) ‖ AES-256-GCM message of CBOR
//!           key = HKDF(account key, "keyring-key", account)
//!           AAD = "keyring" ‖ format version ‖ account ‖ keyring version
//! ```
//!
//! * The version counts every change, and the server keeps keyrings by compare-and-swap on it. It is bound into the
//!   seal: an old keyring served under a new number does not open, and a device that remembers the last number it saw
//!   notices an old one served under its own.
//! * Old generations stay, so that what was sealed with them still opens. What is sealed anew uses the last.
//! * CBOR maps with unknown fields are refused: sealing such a keyring again would lose keys that a newer version
//!   put there. A new field is a new format version.

use gloaming_ids::{AccountId, Context, Entropy, RecordId, VideoId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    AccountKey, ContentKey, KeyError, MetadataKey, RecordIdKey, VideoSecret, aead, derive::derive,
    derive_record_id, record, video, wire_key::WireKey,
};

const FORMAT: u8 = 1;

gloaming_grants::secret! {
    /// The seed of an account's X-Wing key pair: what others seal to.
    XWingSeed;
    /// The seed of an account's Ed25519 key pair: what others know it by.
    IdentitySignSeed;
}

/// Who an account is to other people.
#[derive(Debug)]
pub struct Identity {
    /// Opens what others seal to this account.
    pub x_wing: XWingSeed,
    /// Signs what this account gives to others.
    pub ed25519: IdentitySignSeed,
}

impl Identity {
    fn generate(entropy: &mut dyn Entropy) -> Self {
        Self { x_wing: XWingSeed::generate(entropy), ed25519: IdentitySignSeed::generate(entropy) }
    }
}

/// An account's keys, open.
#[derive(Debug)]
pub struct Keyring {
    version: u64,
    contents: Vec<(u32, ContentKey)>,
    metadata: Vec<(u32, MetadataKey)>,
    identity: Identity,
    record_ids: RecordIdKey,
}

impl Keyring {
    /// The first keyring of a new account: version 1, generation 1. Only for making an account. A keyring that is
    /// missing later is an error, never a reason to make another.
    pub fn create(entropy: &mut dyn Entropy) -> Self {
        Self {
            version: 1,
            contents: vec![(1, ContentKey::generate(entropy))],
            metadata: vec![(1, MetadataKey::generate(entropy))],
            identity: Identity::generate(entropy),
            record_ids: RecordIdKey::generate(entropy),
        }
    }

    /// The next version, after a suspected compromise: new keys for whatever is sealed from now on, and a new
    /// identity. Wants a new account key too. Record ids keep their key: they would otherwise no longer be found.
    #[must_use = "the new keys exist nowhere else"]
    pub fn rotate(mut self, entropy: &mut dyn Entropy) -> Self {
        self.version += 1;
        self.contents.push((self.content().0 + 1, ContentKey::generate(entropy)));
        self.metadata.push((self.metadata_key().0 + 1, MetadataKey::generate(entropy)));
        self.identity = Identity::generate(entropy);
        self
    }

    /// Which version of the account's keyring this is, from 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who the account is to other people.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Seals the keyring for storage with the server, or on this device.
    pub fn seal(&self, key: &AccountKey, account: AccountId, entropy: &mut dyn Entropy) -> Vec<u8> {
        let plain = self.encode();
        let mut sealed = vec![FORMAT];
        let (key, aad) = (seal_key(key, account), aad(account, self.version));
        aead::seal_into(&key, entropy, aad.as_bytes(), &plain, &mut sealed);
        sealed
    }

    /// Opens what [`Keyring::seal`] made for this account and version.
    pub fn open(sealed: &[u8], key: &AccountKey, account: AccountId, version: u64) -> Result<Self, KeyError> {
        let message = match sealed {
            [FORMAT, message @ ..] => message,
            [found, ..] if *found > FORMAT => return Err(KeyError::TooNew { found: *found }),
            _ => return Err(KeyError::Malformed),
        };
        let plain = aead::open(&seal_key(key, account), aad(account, version).as_bytes(), message)?;
        let keyring = Self::decode(&Zeroizing::new(plain))?;
        if keyring.version == version { Ok(keyring) } else { Err(KeyError::Malformed) }
    }

    /// Seals a video's secret with the newest content key.
    pub fn seal_video_secret(
        &self,
        secret: &VideoSecret,
        account: AccountId,
        video: VideoId,
        entropy: &mut dyn Entropy,
    ) -> Vec<u8> {
        let (generation, key) = self.content();
        secret.seal(key, generation, account, video, entropy)
    }

    /// Opens a video's secret with the content key that its header names.
    pub fn open_video_secret(
        &self,
        sealed: &[u8],
        account: AccountId,
        video: VideoId,
    ) -> Result<VideoSecret, KeyError> {
        let generation = video::secret_generation(sealed)?;
        VideoSecret::open(sealed, find(&self.contents, generation)?, account, video)
    }

    /// Seals a record with the newest metadata key. `version` is the record's own, from 1.
    pub fn seal_record(
        &self,
        account: AccountId,
        record: RecordId,
        version: u64,
        plaintext: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Vec<u8> {
        let (generation, key) = self.metadata_key();
        record::seal_record(key, generation, account, record, version, plaintext, entropy)
    }

    /// Opens a record with the metadata key that its header names.
    pub fn open_record(
        &self,
        account: AccountId,
        record: RecordId,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let generation = record::record_generation(sealed)?;
        record::open_record(find(&self.metadata, generation)?, account, record, version, sealed)
    }

    /// The id of the record of this `kind` about `subject` (a video's bytes, a name): the same on every device and
    /// for good, and telling the server nothing.
    pub fn derive_record_id(&self, kind: &str, subject: &[u8]) -> RecordId {
        derive_record_id(&self.record_ids, kind, subject)
    }

    fn content(&self) -> (u32, &ContentKey) {
        let (generation, key) = self.contents.last().expect("a keyring has a content key");
        (*generation, key)
    }

    fn metadata_key(&self) -> (u32, &MetadataKey) {
        let (generation, key) = self.metadata.last().expect("a keyring has a metadata key");
        (*generation, key)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let wire = Wire {
            version: self.version,
            content: self.contents.iter().map(|(g, key)| WireGeneration::new(*g, key.expose())).collect(),
            metadata: self.metadata.iter().map(|(g, key)| WireGeneration::new(*g, key.expose())).collect(),
            x_wing: WireKey::new(self.identity.x_wing.expose()),
            ed25519: WireKey::new(self.identity.ed25519.expose()),
            record_ids: WireKey::new(self.record_ids.expose()),
        };
        // More than it takes, so that the buffer never moves and leaves a copy: 64 bytes for a generation, 256 for
        // the rest.
        let keys = self.contents.len() + self.metadata.len();
        let capacity = 256 + 64 * keys;
        let mut plain = Zeroizing::new(Vec::with_capacity(capacity));
        ciborium::into_writer(&wire, &mut *plain).expect("writing to memory does not fail");
        debug_assert!(plain.capacity() == capacity, "the buffer moved");
        plain
    }

    fn decode(plain: &[u8]) -> Result<Self, KeyError> {
        let mut rest = plain;
        let wire: Wire = ciborium::from_reader(&mut rest).map_err(|_| KeyError::Malformed)?;
        let in_order = |keys: &[WireGeneration]| {
            !keys.is_empty()
                && keys[0].generation > 0
                && keys.is_sorted_by(|a, b| a.generation < b.generation)
        };
        if !rest.is_empty() || wire.version == 0 || !in_order(&wire.content) || !in_order(&wire.metadata) {
            return Err(KeyError::Malformed);
        }
        Ok(Self {
            version: wire.version,
            contents: wire
                .content
                .iter()
                .map(|g| (g.generation, ContentKey::from_bytes(*g.key.expose())))
                .collect(),
            metadata: wire
                .metadata
                .iter()
                .map(|g| (g.generation, MetadataKey::from_bytes(*g.key.expose())))
                .collect(),
            identity: Identity {
                x_wing: XWingSeed::from_bytes(*wire.x_wing.expose()),
                ed25519: IdentitySignSeed::from_bytes(*wire.ed25519.expose()),
            },
            record_ids: RecordIdKey::from_bytes(*wire.record_ids.expose()),
        })
    }
}

fn find<K>(keys: &[(u32, K)], generation: u32) -> Result<&K, KeyError> {
    let found = keys.iter().find(|(g, _)| *g == generation);
    found.map(|(_, key)| key).ok_or(KeyError::UnknownGeneration { generation })
}

fn seal_key(key: &AccountKey, account: AccountId) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(derive(key.expose(), &Context::new("keyring-key").field(account)))
}

fn aad(account: AccountId, version: u64) -> Context {
    Context::new("keyring").number(FORMAT).field(account).number(version)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u64,
    content: Vec<WireGeneration>,
    metadata: Vec<WireGeneration>,
    x_wing: WireKey,
    ed25519: WireKey,
    record_ids: WireKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireGeneration {
    generation: u32,
    key: WireKey,
}

impl WireGeneration {
    fn new(generation: u32, key: &[u8; 32]) -> Self {
        Self { generation, key: WireKey::new(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        Keyring::create(&mut |out: &mut [u8]| out.fill(1))
    }

    fn rotated(times: u8) -> Keyring {
        (0..times).fold(keyring(), |keyring, n| keyring.rotate(&mut |out: &mut [u8]| out.fill(n)))
    }

    #[test]
    fn a_keyring_of_many_generations_is_encoded_without_moving() {
        for times in [0, 1, 30, 255] {
            let encoded = rotated(times).encode();
            let decoded = Keyring::decode(&encoded).expect("our own encoding");
            assert_eq!(decoded.encode(), encoded);
        }
    }

    #[test]
    fn a_keyring_with_a_field_we_do_not_know_is_refused_rather_than_lost_at_the_next_seal() {
        let encoded = keyring().encode();
        let mut map: ciborium::Value = ciborium::from_reader(encoded.as_slice()).expect("our own encoding");
        map.as_map_mut().expect("a map").push(("newer".into(), 1.into()));
        let mut bytes = Vec::new();
        ciborium::into_writer(&map, &mut bytes).expect("memory");
        assert_eq!(Keyring::decode(&bytes).err(), Some(KeyError::Malformed));
    }

    #[test]
    fn a_keyring_without_keys_or_with_two_of_one_generation_is_refused() {
        let mut none = keyring();
        none.contents.clear();
        let mut twice = keyring();
        twice.metadata.push((1, MetadataKey::from_bytes([2; 32])));
        let mut zeroth = keyring();
        zeroth.contents[0].0 = 0;
        let trailing = [keyring().encode().as_slice(), &[0]].concat();
        for bytes in [none.encode().as_slice(), &twice.encode(), &zeroth.encode(), &trailing, b""] {
            assert_eq!(Keyring::decode(bytes).err(), Some(KeyError::Malformed));
        }
    }
}
