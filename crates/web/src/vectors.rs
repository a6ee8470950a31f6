//! The frozen vectors of `gloaming-keys`, read where they matter most: in a browser, by the code that ships to it.
//! Fragments go through WebCrypto, as they do in a real upload. Its native twin is `crates/keys/tests/vectors.rs`.

use gloaming_client::{
    Platform,
    platform::{Bulk, OpenJob, SealJob},
};
use gloaming_ids::{AccountId, RecordId, TrackId, VideoId};
use gloaming_keys::*;
use gloaming_media::Piece;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use crate::{bulk::JsBytes, host::Host, platform::Browser, source::FileSource};

type Fields = Map<String, Value>;
/// A vector that is not what it should be is a bug of ours: it ends the check, with its name.
type Opened = Result<Vec<u8>, &'static str>;

/// Makes, opens and refuses every vector of `crates/keys/tests/vectors.json`. Answers with how many of each, or throws
/// the name of the first that is wrong.
#[wasm_bindgen(js_name = checkVectors)]
pub async fn check_vectors(json: String, host: Host) -> Result<String, JsValue> {
    let vectors: Vec<Fields> = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    let browser = Browser::new(host);
    let (mut made, mut opened, mut refused) = (0, 0, 0);
    for vector in &vectors {
        let case = Case(vector);
        let name = case.text("name");
        // A browser draws its own nonces, so a sealed fragment is checked by opening it again.
        let wanted = if vector.contains_key("output") { case.bytes("output") } else { case.sealed() };
        let same = match case.text("kind") {
            "fragment" => case.seals_a_fragment(&browser).await,
            _ => case.make() == wanted,
        };
        if !same {
            return Err(format!("{name}: made something else").into());
        }
        made += 1;
        if vector.contains_key("output") {
            continue;
        }
        if case.open(&browser, &case.sealed()).await != Ok(case.plaintext()) {
            return Err(format!("{name}: did not open").into());
        }
        opened += 1;
        for negative in vector["negatives"].as_array().expect("a list") {
            let mut fields = vector.clone();
            fields.extend(negative.as_object().expect("fields").clone());
            let case = Case(&fields);
            if case.open(&browser, &case.sealed()).await != Err(case.text("error")) {
                return Err(format!("{name}: {}: was not refused as it should be", case.text("name")).into());
            }
            refused += 1;
        }
    }
    Ok(format!("{made} made, {opened} opened, {refused} refused"))
}

/// One vector's inputs, or those of one of its negatives.
struct Case<'a>(&'a Fields);

impl<'a> Case<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.0[name].as_str().expect("text")
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
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

    fn aad(&self) -> [u8; 6] {
        fragment_aad(self.small("number"), self.last())
    }

    fn last(&self) -> bool {
        self.0["last"].as_bool().expect("yes or no")
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

    fn phrase(&self, name: &str) -> RecoveryPhrase {
        let bytes = self.bytes(name);
        RecoveryPhrase::generate(&mut |out: &mut [u8]| out.copy_from_slice(&bytes))
    }

    fn video_secret(&self) -> VideoSecret {
        let bytes = self.bytes("plaintext");
        let mut parts = bytes.chunks_exact(32);
        VideoSecret::generate(&mut |out: &mut [u8]| out.copy_from_slice(parts.next().expect("three keys")))
    }

    fn sealed(&self) -> Vec<u8> {
        if self.0.contains_key("text") { self.text("text").as_bytes().to_vec() } else { self.bytes("sealed") }
    }

    fn plaintext(&self) -> Vec<u8> {
        match self.text("kind") {
            "index_signature" | "recovery_signature" => Vec::new(),
            "keyring" => self.bytes("sealed"),
            _ => self.bytes("plaintext"),
        }
    }

    async fn seals_a_fragment(&self, browser: &Browser) -> bool {
        let plaintext = self.bytes("plaintext");
        let job = SealJob {
            plaintext_len: plaintext.len() as u64,
            pieces: vec![Piece::Literal(plaintext.clone())],
            key: SegmentKey::from_bytes(self.fixed("key")),
            number: self.small("number"),
            last: self.last(),
            aad: self.aad(),
        };
        let nothing = FileSource::new(js_sys::Object::new().into());
        let sealed = browser.seal(&nothing, job).await.expect("nothing was to be read");
        let digest = sha256(&sealed.bytes.to_vec());
        digest == sealed.sha256 && self.open(browser, &sealed.bytes.to_vec()).await == Ok(plaintext)
    }

    /// What the inputs make: the value of "output", "sealed" or "text".
    fn make(&self) -> Vec<u8> {
        let mut entropy = self.0.get("entropy").map_or(Vec::new(), |_| self.bytes("entropy")).into_iter();
        let mut fill = |out: &mut [u8]| out.fill_with(|| entropy.next().expect("enough entropy"));
        match self.text("kind") {
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
                Method::Recovery => KeyEncryptionKey::from_phrase(&self.phrase("ikm")),
                Method::Passkey => KeyEncryptionKey::from_passkey(&self.fixed("ikm")),
            }
            .expose()
            .to_vec(),
            "recovery_signature" => {
                let key = self.phrase("phrase").recovery_key();
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
                let secret = self.video_secret();
                secret.seal(&key, self.small("generation"), self.account(), self.video(), &mut fill)
            }
            "key_file" => self.video_secret().to_key_file(self.video()).as_bytes().to_vec(),
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
        }
    }

    async fn open(&self, browser: &Browser, sealed: &[u8]) -> Opened {
        let opened = match self.text("kind") {
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
                Keyring::open(sealed, &key, self.account(), self.number("version")).map(|keyring| {
                    let nonce = self.bytes("entropy").split_off(5 * 32);
                    keyring.seal(&key, self.account(), &mut |out: &mut [u8]| out.copy_from_slice(&nonce))
                })
            }
            "video_secret" => {
                let key = ContentKey::from_bytes(self.fixed("content_key"));
                VideoSecret::open(sealed, &key, self.account(), self.video()).map(|secret| spell(&secret))
            }
            "key_file" => VideoSecret::from_key_file(std::str::from_utf8(sealed).expect("text"))
                .map(|(_, secret)| spell(&secret)),
            "object" => open_object(
                &ObjectKey::from_bytes(self.fixed("key")),
                self.role(),
                self.video(),
                self.number("version"),
                sealed,
            ),
            "index_signature" => VideoVerifier::from_bytes(self.fixed("public_key")).and_then(|verifier| {
                let signature = sealed.try_into().expect("64 bytes");
                verifier
                    .verify_index(self.video(), self.number("version"), &self.fixed("sha256"), signature)
                    .map(|()| Vec::new())
                    .map_err(KeyError::from)
            }),
            "fragment" => {
                let key = SegmentKey::from_bytes(self.fixed("key"));
                let (number, last) = (self.small("number"), self.last());
                let job = OpenJob { key, number, last, aad: self.aad(), sha256: sha256(sealed) };
                let opened = browser.open(JsBytes::from_vec(sealed.to_vec()), job).await;
                opened.map(|bytes| bytes.to_vec()).map_err(|_| KeyError::Rejected)
            }
            "record" => {
                let key = MetadataKey::from_bytes(self.fixed("metadata_key"));
                open_record(&key, self.account(), self.record(), self.number("version"), sealed)
                    .map(|plain| plain.to_vec())
            }
            other => panic!("{other} is not opened"),
        };
        opened.map_err(KeyError::code)
    }
}

fn spell(secret: &VideoSecret) -> Vec<u8> {
    [secret.view_share.expose().as_slice(), secret.grant_share.expose(), secret.sign_seed.expose()].concat()
}
