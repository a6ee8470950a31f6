//! AES-256-GCM with a random nonce in front: the one way in which anything is sealed.
//!
//! ```text
//! message = nonce(12) ‖ ciphertext ‖ tag(16)
//! ```
//!
//! * `ring` natively, RustCrypto in WASM; the bytes are the same. In WASM this is for small messages: fragments of
//!   media are sealed by WebCrypto, which is 6 to 40 times as fast there.
//! * The nonce is random. 2³² messages under one key would bring a repeat near (SP 800-38D §8.3), so keys that seal
//!   often are derived per record, per object or per segment.

use gloaming_ids::Entropy;

pub use crate::error::Rejected;

/// Bytes of the nonce that begins a message.
pub const NONCE: usize = 12;
/// Bytes of the tag that ends a message.
pub const TAG: usize = 16;

/// Seals `plaintext`, bound to `aad`.
pub fn seal(key: &[u8; 32], entropy: &mut dyn Entropy, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(NONCE + plaintext.len() + TAG);
    seal_into(key, entropy, aad, plaintext, &mut message);
    message
}

/// Opens a message that was sealed with this `key` and `aad`. Where the plaintext is a key, the caller wraps what
/// this returns in [`zeroize::Zeroizing`] at once: no other copy is left behind.
pub fn open(key: &[u8; 32], aad: &[u8], message: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut message = message.to_vec();
    engine::open_in_place(key, aad, &mut message)?;
    Ok(message)
}

/// Seals `plaintext` behind whatever `out` holds already, such as a header.
pub(crate) fn seal_into(
    key: &[u8; 32],
    entropy: &mut dyn Entropy,
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    // All of it at once: growing later would leave a copy of the plaintext in memory that is not wiped.
    out.reserve_exact(NONCE + plaintext.len() + TAG);
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plaintext);
    let tag = engine::seal_in_place(key, nonce, aad, &mut out[start..]);
    out.extend_from_slice(&tag);
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native as engine;
#[cfg(target_arch = "wasm32")]
use portable as engine;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::{NONCE, Rejected, TAG};

    fn cipher(key: &[u8; 32]) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has AES-256's length"))
    }

    pub(crate) fn seal_in_place(
        key: &[u8; 32],
        nonce: [u8; NONCE],
        aad: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG] {
        let tag = cipher(key)
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
            .expect("a message is far shorter than GCM's 64 GiB");
        tag.as_ref().try_into().expect("GCM's tag is 16 bytes")
    }

    /// Turns the message into its plaintext.
    pub(crate) fn open_in_place(key: &[u8; 32], aad: &[u8], message: &mut Vec<u8>) -> Result<(), Rejected> {
        let nonce = *message.first_chunk::<NONCE>().ok_or(Rejected)?;
        let length = cipher(key)
            .open_within(Nonce::assume_unique_for_key(nonce), Aad::from(aad), message, NONCE..)
            .map_err(|_| Rejected)?
            .len();
        message.truncate(length);
        Ok(())
    }
}

#[cfg(any(target_arch = "wasm32", test))]
mod portable {
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Tag};

    use super::{NONCE, Rejected, TAG};

    pub(super) fn seal_in_place(
        key: &[u8; 32],
        nonce: [u8; NONCE],
        aad: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG] {
        Aes256Gcm::new(key.into())
            .encrypt_inout_detached(&nonce.into(), aad, text.into())
            .expect("a message is far shorter than GCM's 64 GiB")
            .into()
    }

    /// Turns the message into its plaintext.
    pub(super) fn open_in_place(key: &[u8; 32], aad: &[u8], message: &mut Vec<u8>) -> Result<(), Rejected> {
        let nonce = *message.first_chunk::<NONCE>().ok_or(Rejected)?;
        let tag = *message[NONCE..].last_chunk::<TAG>().ok_or(Rejected)?;
        let end = message.len() - TAG;
        Aes256Gcm::new(key.into())
            .decrypt_inout_detached(&nonce.into(), aad, (&mut message[NONCE..end]).into(), &Tag::from(tag))
            .map_err(|_| Rejected)?;
        message.copy_within(NONCE..end, 0);
        message.truncate(end - NONCE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "vectors are constants")]

    use proptest::prelude::*;

    use super::*;

    /// The GCM specification's test cases 13, 14 and 16 (McGrew and Viega, appendix B; AES-256, 96-bit nonce):
    /// key, nonce, AAD, plaintext, ciphertext, tag.
    const SPECIFICATION: [[&str; 6]; 3] = [
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ],
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "00000000000000000000000000000000",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ],
        [
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ],
    ];

    #[test]
    fn both_engines_are_the_specifications_gcm() {
        for [key, nonce, aad, text, ciphertext, tag] in SPECIFICATION {
            let key: [u8; 32] = hex::decode(key).unwrap().try_into().unwrap();
            let nonce: [u8; 12] = hex::decode(nonce).unwrap().try_into().unwrap();
            let (aad, text) = (hex::decode(aad).unwrap(), hex::decode(text).unwrap());
            for seal in [native::seal_in_place, portable::seal_in_place] {
                let mut sealed = text.clone();
                assert_eq!(hex::encode(seal(&key, nonce, &aad, &mut sealed)), tag);
                assert_eq!(hex::encode(sealed), ciphertext);
            }
        }
    }

    proptest! {
        #[test]
        fn what_one_engine_seals_both_open(key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, text: Vec<u8>) {
            let message = seal(&key, &mut |out: &mut [u8]| out.copy_from_slice(&nonce), &aad, &text);
            let mut portably = nonce.to_vec();
            let mut sealed = text.clone();
            let tag = portable::seal_in_place(&key, nonce, &aad, &mut sealed);
            portably.extend_from_slice(&sealed);
            portably.extend_from_slice(&tag);
            prop_assert_eq!(&message, &portably);
            prop_assert_eq!(open(&key, &aad, &message), Ok(text.clone()));
            portable::open_in_place(&key, &aad, &mut portably).unwrap();
            prop_assert_eq!(portably, text);
        }
    }

    #[test]
    fn no_bit_of_a_message_or_its_binding_can_change_and_none_can_go() {
        let (key, aad) = ([1; 32], b"bound to");
        let message = seal(&key, &mut |out: &mut [u8]| out.fill(2), aad, b"a few bytes");
        type Open = fn(&[u8; 32], &[u8], &mut Vec<u8>) -> Result<(), Rejected>;
        let mut engines: Vec<Open> = Vec::new();
        engines.push(native::open_in_place);
        engines.push(portable::open_in_place);
        for open in engines {
            for bit in 0..message.len() * 8 {
                let mut bent = message.clone();
                bent[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, aad, &mut bent), Err(Rejected), "bit {bit}");
            }
            for length in 0..message.len() {
                assert_eq!(open(&key, aad, &mut message[..length].to_vec()), Err(Rejected), "{length} bytes");
            }
            assert_eq!(open(&key, b"Bound to", &mut message.clone()), Err(Rejected));
            assert_eq!(open(&[3; 32], aad, &mut message.clone()), Err(Rejected));
            assert_eq!(open(&key, aad, &mut message.clone()), Ok(()));
        }
    }
}
