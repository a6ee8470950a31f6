//! The disk's own signed URLs.
//!
//! ```text
//! /blobs/{object}?length=N&expires=SECONDS&signature=HEX
//! signature = HMAC-SHA-256(key, Context("blob-url", method, object, length, expires))
//! ```
//!
//! * The method is signed: whoever may read cannot write.
//! * Object and length are signed: a URL cannot be moved to another object, nor used for more bytes than were admitted.
//! * The expiry is signed, in seconds since 1970.

use std::{fmt, io, path::Path};

use gloaming_ids::{Context, ObjectId};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key that signs a disk's URLs. Whoever has it can read and write ciphertext, and no more.
#[derive(Clone)]
pub struct UrlKey(Zeroizing<[u8; 32]>);

impl UrlKey {
    /// A key from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the key from its file, or makes a new one there, readable by its owner only. A new key ends the URLs of
    /// the old one, which clients renew; nothing else depends on it.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => {
                let bytes = bytes.as_slice().try_into().map_err(|_| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a key of URLs is 32 bytes: delete it to get a new one",
                    )
                })?;
                Ok(Self::from_bytes(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = Zeroizing::new([0; 32]);
                getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
                create_private(path, bytes.as_ref())?;
                Ok(Self(bytes))
            }
            Err(error) => Err(error),
        }
    }

    fn mac(&self, method: Method, claims: &Claims, object: ObjectId) -> Hmac<Sha256> {
        let context = Context::new("blob-url")
            .field(method.as_str())
            .field(object)
            .number(claims.length)
            .number(claims.expires);
        Hmac::<Sha256>::new_from_slice(self.0.as_ref())
            .expect("HMAC takes keys of any length")
            .chain_update(context.as_bytes())
    }

    /// The URL's path and query.
    pub(crate) fn sign(&self, method: Method, object: ObjectId, claims: &Claims) -> String {
        let signature = hex::encode(self.mac(method, claims, object).finalize().into_bytes());
        let Claims { length, expires } = claims;
        format!("/blobs/{object}?length={length}&expires={expires}&signature={signature}")
    }

    /// What a URL allows, if it was signed by us for this method and object. Expiry is the caller's to judge: an
    /// expired URL gets an answer that says so.
    pub(crate) fn verify(&self, method: Method, object: ObjectId, query: &SignedQuery) -> Option<Claims> {
        let claims = Claims { length: query.length, expires: query.expires };
        let signature = hex::decode(&query.signature).ok()?;
        // `verify_slice` compares in constant time.
        self.mac(method, &claims, object).verify_slice(&signature).ok()?;
        Some(claims)
    }
}

impl fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlKey(..)")
    }
}

fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;

    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What a URL is for. A URL for `GET` serves `HEAD` too, which tells less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Put,
    Get,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Method::Put => "PUT",
            Method::Get => "GET",
        }
    }
}

/// What a signature vouches for, beside method and object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) length: u64,
    /// Seconds since 1970.
    pub(crate) expires: u64,
}

/// The query of a signed URL, as it came in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedQuery {
    pub(crate) length: u64,
    pub(crate) expires: u64,
    pub(crate) signature: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn query(url: &str) -> SignedQuery {
        let mut query = SignedQuery { length: 0, expires: 0, signature: String::new() };
        for (name, value) in url::Url::parse("http://h").unwrap().join(url).unwrap().query_pairs() {
            match &*name {
                "length" => query.length = value.parse().unwrap(),
                "expires" => query.expires = value.parse().unwrap(),
                "signature" => query.signature = value.into_owned(),
                other => panic!("unexpected {other}"),
            }
        }
        query
    }

    proptest! {
        #[test]
        fn a_signature_holds_for_what_it_was_made_for_and_for_nothing_else(
            key: [u8; 32], object: [u8; 16], other: [u8; 16], length: u64, expires: u64, delta in 1u64.., bit in 0usize..256,
        ) {
            let key = UrlKey::from_bytes(key);
            let object = ObjectId::from_bytes(object);
            let claims = Claims { length, expires };
            for (method, wrong) in [(Method::Put, Method::Get), (Method::Get, Method::Put)] {
                let good = query(&key.sign(method, object, &claims));
                prop_assert_eq!(key.verify(method, object, &good), Some(claims));
                prop_assert_eq!(key.verify(wrong, object, &good), None);

                let other = ObjectId::from_bytes(other);
                prop_assume!(other != object);
                prop_assert_eq!(key.verify(method, other, &good), None);

                let longer = SignedQuery { length: length.wrapping_add(delta), ..good.clone() };
                prop_assert_eq!(key.verify(method, object, &longer), None);

                let later = SignedQuery { expires: expires.wrapping_add(delta), ..good.clone() };
                prop_assert_eq!(key.verify(method, object, &later), None);

                let mut signature = hex::decode(&good.signature).unwrap();
                signature[bit / 8] ^= 1 << (bit % 8);
                let flipped = SignedQuery { signature: hex::encode(&signature), ..good.clone() };
                prop_assert_eq!(key.verify(method, object, &flipped), None);

                for cut in [0, 1, 62] {
                    let short = SignedQuery { signature: good.signature[..cut].to_owned(), ..good.clone() };
                    prop_assert_eq!(key.verify(method, object, &short), None);
                }
            }
        }

        #[test]
        fn another_key_signs_nothing_for_us(key: [u8; 32], other: [u8; 32], length: u64, expires: u64) {
            prop_assume!(key != other);
            let object = ObjectId::from_bytes([7; 16]);
            let url = UrlKey::from_bytes(other).sign(Method::Get, object, &Claims { length, expires });
            prop_assert_eq!(UrlKey::from_bytes(key).verify(Method::Get, object, &query(&url)), None);
        }
    }

    #[test]
    fn a_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url.key");
        let first = UrlKey::open(&path).unwrap();
        let second = UrlKey::open(&path).unwrap();
        assert_eq!(first.0, second.0);
        assert_ne!(*first.0, [0; 32]);
        assert_eq!(format!("{first:?}"), "UrlKey(..)");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, b"short").unwrap();
        UrlKey::open(&path).unwrap_err();
    }
}
