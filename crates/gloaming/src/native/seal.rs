use gloaming_client::platform::SealJob;
use gloaming_ids::Entropy;
use gloaming_keys::{
    FRAGMENT_OVERHEAD,
    aead::{NONCE, TAG},
    seal_fragment_in_slice, sha256,
};
use gloaming_media::Piece;

use super::os_entropy;

/// Makes a fragment in `buf`: nonce, ciphertext and tag, and the SHA-256 of that. `read` fills what it is given with the
/// source's bytes from an offset on.
///
/// Every byte is read once, to where it is sealed. `buf` only grows: used again and again, its memory is cleared once.
pub(crate) fn seal_fragment<'a, E>(
    job: &SealJob,
    read: impl Fn(&mut [u8], u64) -> Result<(), E>,
    buf: &'a mut Vec<u8>,
) -> Result<(&'a [u8], [u8; 32]), E> {
    let sealed_len = job.plaintext_len as usize + FRAGMENT_OVERHEAD;
    if buf.len() < sealed_len {
        buf.resize(sealed_len, 0);
    }
    let buf = &mut buf[..sealed_len];
    let mut rest = &mut buf[NONCE..sealed_len - TAG];
    for piece in &job.pieces {
        let (here, after) = std::mem::take(&mut rest).split_at_mut(piece.len() as usize);
        match piece {
            Piece::Source(extent) => read(here, extent.offset)?,
            Piece::Literal(bytes) => here.copy_from_slice(bytes),
        }
        rest = after;
    }
    assert!(rest.is_empty(), "a fragment's pieces add up to its length");
    let mut nonce = [0; NONCE];
    os_entropy().fill(&mut nonce);
    seal_fragment_in_slice(&job.key, job.number, job.last, nonce, buf);
    let sha256 = sha256(buf);
    Ok((buf, sha256))
}

/// Random bytes to fill a pack with.
pub(crate) fn pad(len: u64) -> Vec<u8> {
    let mut padding = vec![0; len as usize];
    os_entropy().fill(&mut padding);
    padding
}
