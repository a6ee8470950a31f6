//! A record: one sealed row of the library. The server sees its id, its version and its size in steps of 256 bytes.
//!
//! ```text
//! record    = format version(1) ‖ generation(4, BE) ‖ AES-256-GCM message of padded
//! padded    = length(4, BE) ‖ plaintext ‖ zeros, to the next multiple of 256
//!             key = HKDF(metadata key, "record", generation, record id)
//!             AAD = "record" ‖ format version ‖ account ‖ record id ‖ record version ‖ generation
//! record id = HMAC(record id key, "record-id" ‖ kind ‖ subject), its first sixteen bytes
//! ```
//!
//! * Fields travel as one message: none can be moved to another record, or kept from an older version of this one.

use gloaming_ids::{AccountId, Context, Entropy, RecordId};
use zeroize::Zeroizing;

use crate::{
    KeyError, aead,
    derive::{derive, hmac},
};

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const STEP: usize = 256;
const LENGTH: usize = 4;

gloaming_grants::secret! {
    /// The metadata key: its generations seal the library's records.
    MetadataKey;
    /// Names records, so that every device finds the same one. Never rotates.
    RecordIdKey;
}

/// The id of the record of this `kind` about `subject`.
pub fn derive_record_id(key: &RecordIdKey, kind: &str, subject: &[u8]) -> RecordId {
    let mac = hmac(key.expose(), &Context::new("record-id").field(kind).field(subject));
    RecordId::from_bytes(*mac.first_chunk().expect("a MAC of 32 bytes begins with sixteen"))
}

/// Seals a record with the metadata key of this `generation`. `version` is the record's own, from 1.
/// [`crate::Keyring::seal_record`] chooses the key.
///
/// # Panics
/// Where the plaintext is 4 GiB or longer: no record is.
pub fn seal_record(
    key: &MetadataKey,
    generation: u32,
    account: AccountId,
    record: RecordId,
    version: u64,
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let length = u32::try_from(plaintext.len()).expect("a record is a few kilobytes");
    let mut padded = Zeroizing::new(vec![0; padded_length(plaintext.len())]);
    padded[..LENGTH].copy_from_slice(&length.to_be_bytes());
    padded[LENGTH..LENGTH + plaintext.len()].copy_from_slice(plaintext);

    let mut sealed = Vec::with_capacity(HEADER + aead::NONCE + padded.len() + aead::TAG);
    sealed.push(FORMAT);
    sealed.extend_from_slice(&generation.to_be_bytes());
    let (key, aad) = (seal_key(key, generation, record), aad(account, record, version, generation));
    aead::seal_into(&key, entropy, aad.as_bytes(), &padded, &mut sealed);
    sealed
}

/// Opens what [`seal_record`] made for this account, record and version. [`crate::Keyring::open_record`] finds the key.
pub fn open_record(
    key: &MetadataKey,
    account: AccountId,
    record: RecordId,
    version: u64,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let generation = record_generation(sealed)?;
    let (key, aad) = (seal_key(key, generation, record), aad(account, record, version, generation));
    let mut padded = Zeroizing::new(aead::open(&key, aad.as_bytes(), &sealed[HEADER..])?);
    let length = padded.first_chunk::<LENGTH>().ok_or(KeyError::Malformed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| KeyError::Malformed)?;
    // One spelling only: exactly the padding that sealing makes.
    let zeros = length.checked_add(LENGTH).and_then(|end| padded.get(end..)).ok_or(KeyError::Malformed)?;
    if padded_length(length) != padded.len() || zeros.iter().any(|&byte| byte != 0) {
        return Err(KeyError::Malformed);
    }
    padded.copy_within(LENGTH..LENGTH + length, 0);
    padded.truncate(length);
    Ok(padded)
}

/// Which generation of the metadata key sealed this record.
pub fn record_generation(sealed: &[u8]) -> Result<u32, KeyError> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [found, ..] if *found > FORMAT => Err(KeyError::TooNew { found: *found }),
        _ => Err(KeyError::Malformed),
    }
}

fn padded_length(length: usize) -> usize {
    (LENGTH + length).next_multiple_of(STEP)
}

fn seal_key(key: &MetadataKey, generation: u32, record: RecordId) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(derive(key.expose(), &Context::new("record").number(generation).field(record)))
}

fn aad(account: AccountId, record: RecordId, version: u64, generation: u32) -> Context {
    Context::new("record").number(FORMAT).field(account).field(record).number(version).number(generation)
}
