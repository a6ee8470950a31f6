//! The reader of the frozen vectors (`tests/vectors.json`), which `vectors.py` wrote with other people's cryptography: what
//! every construction must make, byte for byte, and must refuse. The same reader runs natively and in browsers.
//!
//! A vector that does not have the fields of its kind is a bug of ours, and ends the test with a panic.

use gloaming_ids::{AccountId, RecordId, TrackId, VideoId};
use serde_json::{Map, Value};

use crate::*;

/// One vector, or one of its negatives.
pub type Fields = Map<String, Value>;

/// All of them.
pub fn vectors() -> Vec<Fields> {
    serde_json::from_str(include_str!("../tests/vectors.json")).expect("the vectors are JSON")
}

/// The negatives of a vector, each with the fields of the vector that it does not change.
pub fn negatives(vector: &Fields) -> Vec<Fields> {
    let changed = vector["negatives"].as_array().expect("a list").iter();
    changed
        .map(|negative| {
            let mut fields = vector.clone();
            fields.extend(negative.as_object().expect("fields").clone());
            fields
        })
        .collect()
}

/// Where a fragment belongs, and its key.
#[derive(Debug)]
pub struct Fragment {
    /// Of its segment.
    pub key: SegmentKey,
    /// In its segment, from 0.
    pub number: u32,
    /// Ends its segment.
    pub last: bool,
}

/// One vector's inputs, or those of one of its negatives.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a>(pub &'a Fields);

impl<'a> Case<'a> {
    /// A field of text.
    pub fn text(&self, name: &str) -> &'a str {
        self.0[name].as_str().expect("text")
    }

    /// A field of bytes, in hexadecimal digits.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.text(name);
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn fixed<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().expect("the length of its kind")
    }

    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().expect("a number")
    }

    fn small(&self, name: &str) -> u32 {
        self.number(name).try_into().expect("a small number")
    }

    fn account(&self) -> AccountId {
        AccountId::from_bytes(self.fixed("account"))
    }

    fn video(&self) -> VideoId {
        VideoId::from_bytes(self.fixed("video"))
    }

    fn track(&self) -> TrackId {
        TrackId::from_bytes(self.fixed("track"))
    }

    fn record(&self) -> RecordId {
        RecordId::from_bytes(self.fixed("record"))
    }

    fn method(&self) -> Method {
        let all = [Method::Password, Method::Recovery, Method::Passkey];
        all.into_iter().find(|method| method.name() == self.text("method")).expect("a method")
    }

    fn role(&self) -> ObjectRole {
        match self.text("role") {
            "index" => ObjectRole::Index,
            "card" => ObjectRole::Card,
            "poster" => ObjectRole::Poster,
            other => panic!("no role {other}"),
        }
    }

    fn phrase(&self) -> RecoveryPhrase {
        let bytes = self.bytes("phrase");
        RecoveryPhrase::generate(&mut |out: &mut [u8]| out.copy_from_slice(&bytes))
    }

    fn video_secret(&self, plaintext: &str) -> VideoSecret {
        let bytes = self.bytes(plaintext);
        let mut parts = bytes.chunks_exact(32);
        VideoSecret::generate(&mut |out: &mut [u8]| out.copy_from_slice(parts.next().expect("three keys")))
    }

    /// What the inputs make.
    pub fn make(&self) -> Vec<u8> {
        let mut entropy = self.0.get("entropy").map_or(Vec::new(), |_| self.bytes("entropy")).into_iter();
        let mut fill =
            |out: &mut [u8]| out.fill_with(|| entropy.next().expect("more entropy than the vector has"));
        let made = match self.text("kind") {
            "segment_share" => {
                let grant = GrantShare::from_bytes(self.fixed("grant_share"));
                segment_share(&grant, self.video(), self.track(), self.small("index")).expose().to_vec()
            }
            "view_salt" => {
                let view = ViewShare::from_bytes(self.fixed("view_share"));
                ViewSalt::derive(&view, self.video()).expose().to_vec()
            }
            "segment_key" => {
                let secret = VideoSecret {
                    view_share: ViewShare::from_bytes(self.fixed("view_share")),
                    grant_share: GrantShare::from_bytes(self.fixed("grant_share")),
                    sign_seed: SignSeed::from_bytes([0; 32]),
                };
                let keys = SegmentKeys::new(&secret, self.video());
                keys.derive_segment_key(self.track(), self.small("index")).expose().to_vec()
            }
            "object_key" => {
                let view = ViewShare::from_bytes(self.fixed("view_share"));
                derive_object_key(&view, self.role(), self.video(), self.number("version")).expose().to_vec()
            }
            "record_id" => {
                let key = RecordIdKey::from_bytes(self.fixed("key"));
                derive_record_id(&key, self.text("record_kind"), &self.bytes("subject")).as_bytes().to_vec()
            }
            "kek" => match self.method() {
                Method::Password => KeyEncryptionKey::from_export_key(&self.fixed("ikm")),
                Method::Recovery => {
                    let bytes = self.bytes("ikm");
                    let mut fill = |out: &mut [u8]| out.copy_from_slice(&bytes);
                    KeyEncryptionKey::from_phrase(&RecoveryPhrase::generate(&mut fill))
                }
                Method::Passkey => KeyEncryptionKey::from_passkey(&self.fixed("ikm")),
            }
            .expose()
            .to_vec(),
            "recovery_signature" => {
                let key = self.phrase().recovery_key();
                assert_eq!(key.public_key().as_slice(), self.bytes("public_key"));
                key.sign_reset(self.account(), &self.fixed("challenge")).to_vec()
            }
            "account_key" => wrap_account_key(
                &KeyEncryptionKey::from_bytes(self.fixed("kek")),
                self.method(),
                self.account(),
                self.number("version"),
                &AccountKey::from_bytes(self.fixed("plaintext")),
                &mut fill,
            ),
            "keyring" => {
                let keyring = Keyring::create(&mut fill);
                keyring.seal(&AccountKey::from_bytes(self.fixed("account_key")), self.account(), &mut fill)
            }
            "video_secret" => {
                let key = ContentKey::from_bytes(self.fixed("content_key"));
                let secret = self.video_secret("plaintext");
                secret.seal(&key, self.small("generation"), self.account(), self.video(), &mut fill)
            }
            "key_file" => self.video_secret("plaintext").to_key_file(self.video()).as_bytes().to_vec(),
            "object" => seal_object(
                &ObjectKey::from_bytes(self.fixed("key")),
                self.role(),
                self.video(),
                self.number("version"),
                &self.bytes("plaintext"),
                &mut fill,
            ),
            "index_signature" => {
                let signer = VideoSigner::new(&SignSeed::from_bytes(self.fixed("sign_seed")));
                assert_eq!(signer.verifier().to_bytes().as_slice(), self.bytes("public_key"));
                signer.sign_index(self.video(), self.number("version"), &self.fixed("sha256")).to_vec()
            }
            #[cfg(not(target_arch = "wasm32"))]
            "fragment" => {
                let mut nonce = [0; 12];
                fill(&mut nonce);
                let mut buf = [vec![0; 12], self.bytes("plaintext")].concat();
                let Fragment { key, number, last } = self.fragment();
                seal_fragment_in_place(&key, number, last, nonce, &mut buf);
                buf
            }
            "record" => seal_record(
                &MetadataKey::from_bytes(self.fixed("metadata_key")),
                self.small("generation"),
                self.account(),
                self.record(),
                self.number("version"),
                &self.bytes("plaintext"),
                &mut fill,
            ),
            other => panic!("no kind {other}"),
        };
        assert_eq!(entropy.len(), 0, "some entropy was not used");
        made
    }

    /// The key and place of a vector of kind "fragment": in a browser WebCrypto seals and opens those.
    pub fn fragment(&self) -> Fragment {
        Fragment {
            key: SegmentKey::from_bytes(self.fixed("key")),
            number: self.small("number"),
            last: self.0["last"].as_bool().expect("yes or no"),
        }
    }

    /// Whether it is only made, and there is nothing to open.
    pub fn only_made(&self) -> bool {
        self.0.contains_key("output")
    }

    /// What [`make`](Self::make) is to give.
    pub fn wanted(&self) -> Vec<u8> {
        if self.only_made() { self.bytes("output") } else { self.sealed() }
    }

    /// What opening gives; `None` where this kind is not opened.
    pub fn open(&self, sealed: &[u8]) -> Option<Result<Vec<u8>, KeyError>> {
        let opened = match self.text("kind") {
            "segment_share" | "view_salt" | "segment_key" | "object_key" | "record_id" | "kek" => {
                return None;
            }
            "recovery_signature" => gloaming_grants::verify_recovery(
                &self.fixed("public_key"),
                self.account(),
                &self.fixed("challenge"),
                sealed.try_into().expect("64 bytes"),
            )
            .map(|()| Vec::new())
            .map_err(|_| KeyError::Rejected),
            "account_key" => {
                let kek = KeyEncryptionKey::from_bytes(self.fixed("kek"));
                unwrap_account_key(&kek, self.method(), self.account(), self.number("version"), sealed)
                    .map(|key| key.expose().to_vec())
            }
            "keyring" => {
                let key = AccountKey::from_bytes(self.fixed("account_key"));
                // What a keyring holds shows in what it seals: the same, from the same entropy.
                Keyring::open(sealed, &key, self.account(), self.number("version")).map(|keyring| {
                    let nonce = self.bytes("entropy").split_off(5 * 32);
                    keyring.seal(&key, self.account(), &mut |out: &mut [u8]| out.copy_from_slice(&nonce))
                })
            }
            "video_secret" => {
                let key = ContentKey::from_bytes(self.fixed("content_key"));
                VideoSecret::open(sealed, &key, self.account(), self.video()).map(|secret| spell(&secret))
            }
            "key_file" => VideoSecret::from_key_file(std::str::from_utf8(sealed).expect("text")).map(
                |(video, secret)| {
                    assert_eq!(video, self.video());
                    spell(&secret)
                },
            ),
            "object" => open_object(
                &ObjectKey::from_bytes(self.fixed("key")),
                self.role(),
                self.video(),
                self.number("version"),
                sealed,
            ),
            "index_signature" => VideoVerifier::from_bytes(self.fixed("public_key")).and_then(|verifier| {
                let signature = sealed.try_into().expect("64 bytes");
                verifier.verify_index(
                    self.video(),
                    self.number("version"),
                    &self.fixed("sha256"),
                    signature,
                )?;
                Ok(Vec::new())
            }),
            #[cfg(not(target_arch = "wasm32"))]
            "fragment" => {
                let Fragment { key, number, last } = self.fragment();
                let mut buf = sealed.to_vec();
                open_fragment_in_place(&key, number, last, &mut buf).map(|()| buf).map_err(KeyError::from)
            }
            "record" => {
                let key = MetadataKey::from_bytes(self.fixed("metadata_key"));
                open_record(&key, self.account(), self.record(), self.number("version"), sealed)
                    .map(|plain| plain.to_vec())
            }
            other => panic!("no kind {other}"),
        };
        Some(opened)
    }

    /// What the vector says is made of its plaintext: sealed bytes, or a text.
    pub fn sealed(&self) -> Vec<u8> {
        if self.0.contains_key("text") { self.text("text").as_bytes().to_vec() } else { self.bytes("sealed") }
    }

    /// What opening gives.
    pub fn plaintext(&self) -> Vec<u8> {
        match self.text("kind") {
            "index_signature" | "recovery_signature" => Vec::new(),
            "keyring" => self.bytes("sealed"),
            _ => self.bytes("plaintext"),
        }
    }
}

fn spell(secret: &VideoSecret) -> Vec<u8> {
    [*secret.view_share.expose(), *secret.grant_share.expose(), *secret.sign_seed.expose()].concat()
}
