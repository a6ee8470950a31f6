use gloaming_ids::Entropy;
use gloaming_keys::{FRAGMENT_OVERHEAD, aead::NONCE, seal_fragment_in_place, sha256};
use gloaming_media::Piece;
use gloaming_package::FragmentJob;

use super::{Source, os_entropy};
use crate::failure::Failure;

/// Makes a fragment: on return `buf` is nonce, ciphertext and tag, and the answer is the SHA-256 of that.
///
/// Every byte is read once, to where it is sealed. A buffer that is used again and again keeps its memory, and is
/// cleared only where it grows.
pub(crate) fn seal_fragment(
    source: &Source,
    job: &FragmentJob,
    buf: &mut Vec<u8>,
) -> Result<[u8; 32], Failure> {
    let plaintext_len = job.plaintext_len as usize;
    buf.reserve((plaintext_len + FRAGMENT_OVERHEAD).saturating_sub(buf.len()));
    buf.resize(NONCE + plaintext_len, 0);
    let mut rest = &mut buf[NONCE..];
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
    seal_fragment_in_place(&job.key, job.place.number, job.last, nonce, buf);
    Ok(sha256(buf))
}

/// Random bytes to fill a pack with.
pub(crate) fn pad(len: u64) -> Vec<u8> {
    let mut padding = vec![0; len as usize];
    os_entropy().fill(&mut padding);
    padding
}
