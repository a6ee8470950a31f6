//! The key hierarchy, and everything small that it seals.
//!
//! ```text
//! password ─ export key ─► KEK ─┐
//! phrase ───── HKDF ─────► KEK ─┴─ wraps ─► AccountKey ─ seals ─► Keyring
//! Keyring: ContentKey  ─ HKDF per video ──► seals VideoSecret { view share, grant share, sign seed }
//!          MetadataKey ─ HKDF per record ─► seals each library record
//! VideoSecret: view share ─► object keys (index, card, poster), and a salt
//!              grant share ─► segment shares; share + salt ─► segment keys ─ seal ─► fragments
//! ```
//!
//! Everything is a function of bytes: randomness is an argument, and nothing here knows a server. Every key has one
//! purpose, named in the HKDF `info` it came from; every seal is bound (AAD) to its format version, its role, and
//! whatever a hostile host could exchange it with. Bytes are drawn in the module that makes them.

mod account;
pub mod aead;
mod derive;
mod digest;
mod error;
mod fragment;
mod keyring;
mod object;
mod phrase;
mod record;
mod room;
mod segment;
mod share;
mod signature;
#[cfg(feature = "vectors")]
pub mod vectors;
mod video;
mod wire_key;

pub use account::{AccountKey, KeyEncryptionKey, Method, unwrap_account_key, wrap_account_key};
pub use digest::sha256;
pub use error::{KeyError, Rejected};
pub use fragment::{FRAGMENT_OVERHEAD, fragment_aad};
#[cfg(not(target_arch = "wasm32"))]
pub use fragment::{open_fragment_in_place, seal_fragment_in_place, seal_fragment_in_slice};
pub use gloaming_grants::{GrantShare, SegmentShare, recovery_message, segment_share};
pub use keyring::{Identity, IdentitySignSeed, Keyring, XWingSeed};
pub use object::{ObjectKey, ObjectRole, derive_object_key, open_object, seal_object};
pub use phrase::{PhraseError, RecoveryKey, RecoveryPhrase};
pub use record::{MetadataKey, RecordIdKey, derive_record_id, open_record, record_generation, seal_record};
pub use room::{RoomDeviceSeed, RoomHostSeed};
pub use segment::{SegmentKey, SegmentKeys, ViewSalt};
pub use share::{
    ContactLink, Fingerprint, LinkError, LinkKeys, LinkSecret, LinkToken, PersonError, PersonShare,
    PublicIdentity, ShareMode, SharedKey, SharedKeys, open_for, seal_for,
};
pub use signature::{VideoSigner, VideoVerifier};
pub use video::{ContentKey, SignSeed, VideoSecret, ViewShare};
