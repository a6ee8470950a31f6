use gloaming_ids::Context;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HKDF-SHA-256 (RFC 5869) without a salt.
pub(crate) fn derive(ikm: &[u8], info: &Context) -> [u8; 32] {
    gloaming_grants::derive(None, ikm, info)
}

/// HKDF-SHA-256 (RFC 5869) with a salt that is itself a secret.
pub(crate) fn derive_salted(salt: &[u8; 32], ikm: &[u8], info: &Context) -> [u8; 32] {
    gloaming_grants::derive(Some(salt), ikm, info)
}

/// HMAC-SHA-256 (RFC 2104).
pub(crate) fn hmac(key: &[u8; 32], message: &Context) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "vectors are constants")]

    use hkdf::Hkdf;
    use hmac::{Hmac, KeyInit, Mac};

    use super::*;

    /// RFC 5869, appendix A: ikm, salt, info, okm.
    #[test]
    fn hkdf_is_rfc_5869s() {
        let vectors = [
            (
                "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
                Some("000102030405060708090a0b0c"),
                "f0f1f2f3f4f5f6f7f8f9",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
                None,
                "",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
            ),
        ];
        for (ikm, salt, info, okm) in vectors {
            let salt = salt.map(|salt| hex::decode(salt).unwrap());
            let mut out = [0; 42];
            Hkdf::<Sha256>::new(salt.as_deref(), &hex::decode(ikm).unwrap())
                .expand(&hex::decode(info).unwrap(), &mut out)
                .unwrap();
            assert_eq!(hex::encode(out), okm);
        }
    }

    /// RFC 4231, test cases 1, 2 and 6: key, data, HMAC-SHA-256.
    #[test]
    fn hmac_is_rfc_4231s() {
        let vectors: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, data, mac) in vectors {
            let out = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(data).finalize();
            assert_eq!(hex::encode(out.into_bytes()), mac);
        }
    }
}
