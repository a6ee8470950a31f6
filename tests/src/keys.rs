//! Every secret of an account and of a video, as a device of its owner has them: what a server must never see.

use std::{fs, path::Path};

use gloaming_api::{keyring::SealedKeyring, video::VideoOpened};
use gloaming_ids::{AccountId, Context, VideoId};
use gloaming_keys::{
    AccountKey, KeyEncryptionKey, Keyring, ObjectRole, RecoveryPhrase, SegmentKeys, aead, derive_object_key,
};
use gloaming_package::Index;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::search::Needle;

/// What the device's owner knows: the password, and the twenty-four words.
pub fn known(password: &str, words: &[String]) -> Vec<Needle> {
    let phrase = words.join(" ");
    let entropy = bip39::Mnemonic::parse(&phrase).unwrap().to_entropy();
    let kek = KeyEncryptionKey::from_phrase(&RecoveryPhrase::parse(&phrase).unwrap());
    let mut needles = vec![
        Needle::text("the password", password),
        Needle::bytes("the phrase's random bytes", &entropy),
        Needle::bytes("the phrase's wrapping key", kek.expose()),
    ];
    // Whichever three words stand together, however they are written.
    for (at, three) in words.windows(3).enumerate() {
        for between in [" ", "\",\"", "\", \""] {
            let text = three.join(between);
            if text.len() >= 16 {
                needles.push(Needle::text(&format!("words {} to {}", at + 1, at + 3), &text));
            }
        }
    }
    needles
}

/// The keys that the profile's folder, together with what the server stores, leads to.
pub async fn held(profile: &Path, server: &str, video: &str) -> Vec<Needle> {
    let token = fs::read_to_string(profile.join("token")).unwrap();
    let get = async |path: &str| {
        let answer = reqwest::Client::new().get(format!("{server}{path}")).bearer_auth(token.trim()).send();
        answer.await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
    };
    let kept = fs::read_dir(profile.join("keys/account")).unwrap().next().unwrap().unwrap();
    let account: AccountId = kept.file_name().to_str().unwrap().parse().unwrap();
    let key = AccountKey::from_bytes(fs::read(kept.path()).unwrap().try_into().unwrap());

    let sealed: SealedKeyring = serde_json::from_slice(&get("/v1/keyring").await).unwrap();
    let mut keyring_key = [0; 32];
    let info = Context::new("keyring-key").field(account);
    Hkdf::<Sha256>::new(None, key.expose()).expand(info.as_bytes(), &mut keyring_key).unwrap();
    let aad = Context::new("keyring").number(1u8).field(account).number(sealed.version);
    let plain = aead::open(&keyring_key, aad.as_bytes(), &sealed.sealed.0[1..]).unwrap();
    let mut needles = vec![
        Needle::bytes("the account key", key.expose()),
        Needle::bytes("the keyring's key", &keyring_key),
        Needle::bytes("the keyring, unsealed", &plain),
    ];
    let mut inside = Vec::new();
    keys_in("keyring", &ciborium::from_reader(plain.as_slice()).unwrap(), &mut inside);
    assert!(inside.len() >= 5, "content, metadata, two of the identity, record ids");
    needles.extend(inside);

    let video: VideoId = video.parse().unwrap();
    let opened: VideoOpened = serde_json::from_slice(&get(&format!("/v1/videos/{video}")).await).unwrap();
    let keyring = Keyring::open(&sealed.sealed.0, &key, account, sealed.version).unwrap();
    let secret = keyring.open_video_secret(&opened.info.sealed_secret.0, account, video).unwrap();
    let version = opened.info.index_version;
    let index_key = derive_object_key(&secret.view_share, ObjectRole::Index, video, version);
    needles.extend([
        Needle::bytes("the view share", secret.view_share.expose()),
        Needle::bytes("the grant share", secret.grant_share.expose()),
        Needle::bytes("the signing seed", secret.sign_seed.expose()),
        Needle::bytes("the index's key", index_key.expose()),
    ]);
    let stored = get(&opened.index.unwrap().url).await;
    let verifier = secret.signer().verifier();
    let index = Index::open(&stored, &secret.view_share, video, version, &verifier).unwrap();
    let segments = SegmentKeys::new(&secret, video);
    for (number, track) in index.tracks().enumerate() {
        for segment in 0..index.segment_count(u16::try_from(number).unwrap()) {
            let key = segments.derive_segment_key(track.id, segment);
            needles.push(Needle::bytes(&format!("the key of segment {number}/{segment}"), key.expose()));
        }
    }
    needles
}

/// Every string of 32 bytes in the keyring's CBOR, named by where it stands.
fn keys_in(place: &str, value: &ciborium::Value, found: &mut Vec<Needle>) {
    match value {
        ciborium::Value::Bytes(bytes) if bytes.len() == 32 => found.push(Needle::bytes(place, bytes)),
        ciborium::Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                keys_in(&format!("{place}/{at}"), item, found);
            }
        }
        ciborium::Value::Map(entries) => {
            for (name, item) in entries {
                keys_in(&format!("{place}/{}", name.as_text().unwrap_or("?")), item, found);
            }
        }
        _ => {}
    }
}
