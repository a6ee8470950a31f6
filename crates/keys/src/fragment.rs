//! A fragment: up to 8 MiB of one segment, sealed as one message. The bulk of all bytes.
//!
//! ```text
//! fragment = nonce(12) ‖ ciphertext ‖ tag(16)
//!            AAD = format version(1) ‖ fragment number(4, BE) ‖ last?(1)
//! ```
//!
//! * Video, track and segment number are in the key, so a fragment opens in its own segment only.
//! * Number and finality are authenticated: a host can neither reorder fragments nor end a segment early.
//! * The nonce is random, so sealing a place again after a resume is safe.
//!
//! In a browser WebCrypto does this, with [`fragment_aad`] as `additionalData`.

use crate::aead;
#[cfg(not(target_arch = "wasm32"))]
use crate::{Rejected, SegmentKey};

const FORMAT: u8 = 1;

/// How much longer a sealed fragment is than its plaintext: the nonce and the tag.
pub const FRAGMENT_OVERHEAD: usize = aead::NONCE + aead::TAG;

/// What fragment `number` of a segment is bound to; `last` says that it ends its segment.
pub const fn fragment_aad(number: u32, last: bool) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [FORMAT, a, b, c, d, last as u8]
}

/// Seals a fragment where it lies. On entry `buf` is twelve bytes of room ‖ plaintext; on return it is the sealed
/// fragment. The nonce must be fresh and random. Nothing is copied if `buf` has room for sixteen bytes more.
///
/// # Panics
/// Where `buf` has no room for the nonce: a mistake of the caller's.
#[cfg(not(target_arch = "wasm32"))]
pub fn seal_fragment_in_place(
    key: &SegmentKey,
    number: u32,
    last: bool,
    nonce: [u8; aead::NONCE],
    buf: &mut Vec<u8>,
) {
    let (room, text) = buf.split_at_mut(aead::NONCE);
    room.copy_from_slice(&nonce);
    let tag = aead::native::seal_in_place(key.expose(), nonce, &fragment_aad(number, last), text);
    buf.extend_from_slice(&tag);
}

/// Like [`seal_fragment_in_place`] in memory that is used again and again: on entry `buf` is twelve bytes of room ‖
/// plaintext ‖ sixteen bytes of room, on return it is the sealed fragment.
///
/// # Panics
/// Where `buf` has no room for nonce and tag: a mistake of the caller's.
#[cfg(not(target_arch = "wasm32"))]
pub fn seal_fragment_in_slice(
    key: &SegmentKey,
    number: u32,
    last: bool,
    nonce: [u8; aead::NONCE],
    buf: &mut [u8],
) {
    let (room, rest) = buf.split_first_chunk_mut().expect("there is room for the nonce");
    let (text, tag) = rest.split_last_chunk_mut().expect("there is room for the tag");
    *room = nonce;
    *tag = aead::native::seal_in_place(key.expose(), nonce, &fragment_aad(number, last), text);
}

/// Opens a sealed fragment where it lies: on return `buf` is its plaintext. What was rejected is not to be used.
#[cfg(not(target_arch = "wasm32"))]
pub fn open_fragment_in_place(
    key: &SegmentKey,
    number: u32,
    last: bool,
    buf: &mut Vec<u8>,
) -> Result<(), Rejected> {
    aead::native::open_in_place(key.expose(), &fragment_aad(number, last), buf)
}
