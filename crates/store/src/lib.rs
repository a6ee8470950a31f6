//! What the server remembers: accounts, sealed keyrings and records, videos and their objects, shares and the log of
//! their grants. SQLite.
//!
//! [`Store`] has one method for each thing the server does, and each is one transaction: it happened whole and is on
//! disk when the method answers, or it did not happen. Nothing here can open anything: keys, titles and media arrive
//! sealed.
//!
//! ```text
//! handlers ─async─► queue ─► one writer thread: BEGIN, every queued command in a savepoint of its own, COMMIT, answers
//!          ─async─► a few read-only connections, each answering from one snapshot
//! ```
//!
//! * Durable: write-ahead log with `synchronous = FULL`; no answer before the commit. Commands that wait while one
//!   commit is written share the next one, so that many small writes cost few flushes.
//! * A full disk is [`StoreError::StorageFull`], and changes nothing.
//! * Migrations are numbered, carry a checksum, and copy the database aside before they begin. A database written by a
//!   newer build is refused ([`StoreError::TooNew`]).
//! * Time and ids arrive as arguments.

mod account;
mod backup;
mod collect;
mod engine;
mod error;
mod grant_log;
mod invite;
mod keyring;
mod library;
mod master_key;
mod migrate;
mod people;
mod play;
mod room;
mod session;
mod share;
mod video;

pub use account::{AccountUsage, Credentials, NewAccount, NewPassword};
pub use collect::DRAFT_PATIENCE;
pub use engine::Store;
pub use error::StoreError;
pub use grant_log::LogPart;
pub use invite::NewInvite;
pub use library::LIBRARY_LIMIT;
pub use master_key::EnvelopeRow;
pub use play::{GrantRequest, Granted, Place, PlayReport, PlayStart, PlayStarted};
pub use room::{StoredDoor, StoredRoom};
pub use session::{NewSession, SESSION_IDLE, Session};
pub use share::{CommittedIndex, Envelope, NewShare, NewSharedVideo, ShareTerms, SharedKeys};
pub use video::Reservation;
