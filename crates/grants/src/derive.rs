use gloaming_ids::Context;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// HKDF-SHA-256 (RFC 5869) to one 32-byte key. Without a salt, the salt is 32 zero bytes (§2.2).
pub fn derive(salt: Option<&[u8; 32]>, ikm: &[u8], info: &Context) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(salt.map(<[u8; 32]>::as_slice), ikm)
        .expand(info.as_bytes(), &mut key)
        .expect("32 bytes is less than HKDF's 255 hashes");
    key
}

pub(crate) fn hmac(key: &[u8; 32], message: &Context) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("HMAC takes keys of any length")
        .chain_update(message.as_bytes())
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
