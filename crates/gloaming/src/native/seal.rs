use gloaming_ids::Entropy;
use gloaming_keys::{
    aead::{NONCE, TAG},
    seal_fragment_in_slice, sha256,
};
use gloaming_media::Piece;
use gloaming_package::FragmentJob;

use super::{Source, os_entropy};
use crate::failure::Failure;

/// Makes a fragment, somewhere in `buf`: nonce, ciphertext and tag, and the SHA-256 of that.
///
/// Every byte is read once, to where it is sealed. `buf` only grows: used again and again, its memory is cleared once.
pub(crate) fn seal_fragment<'a>(
    source: &Source,
    job: &FragmentJob,
    buf: &'a mut Vec<u8>,
) -> Result<(&'a [u8], [u8; 32]), Failure> {
    let sealed_len = job.sealed_len as usize;
    if buf.len() < sealed_len {
        buf.resize(sealed_len, 0);
    }
    let buf = &mut buf[..sealed_len];
    let mut rest = &mut buf[NONCE..sealed_len - TAG];
    for piece in &job.pieces {
        let (here, after) = std::mem::take(&mut rest).split_at_mut(piece.len() as usize);
        match piece {
            Piece::Source(extent) => source.read_into(here, extent.offset)?,
            Piece::Literal(bytes) => here.copy_from_slice(bytes),
        }
        rest = after;
    }
    assert!(rest.is_empty(), "a fragment's pieces add up to its length");
    let mut nonce = [0; NONCE];
    os_entropy().fill(&mut nonce);
    seal_fragment_in_slice(&job.key, job.place.number, job.last, nonce, buf);
    let sha256 = sha256(buf);
    Ok((buf, sha256))
}

/// Random bytes to fill a pack with.
pub(crate) fn pad(len: u64) -> Vec<u8> {
    let mut padding = vec![0; len as usize];
    os_entropy().fill(&mut padding);
    padding
}
