use gloaming_ids::{ObjectId, RecordId, UnixMillis};
use rusqlite::ErrorCode;

/// Why a command did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such thing, or not for this account.
    #[error("no such thing")]
    NotFound,
    /// Another write came first.
    #[error("the version is {current} by now")]
    VersionConflict {
        /// The version there is.
        current: u64,
    },
    /// Another write to this record came first; none of the changes were written.
    #[error("record {record} has version {current} by now")]
    RecordConflict {
        /// The first record that conflicts.
        record: RecordId,
        /// The version there is; 0 if it does not exist.
        current: u64,
    },
    /// Somebody has this user name.
    #[error("the user name is taken")]
    NameTaken,
    /// The token was used, has expired, or never was.
    #[error("the invite is not good")]
    BadInvite,
    /// What is asked does not fit the state of the thing.
    #[error("{0}")]
    WrongState(&'static str),
    /// The upload is not all there.
    #[error("{} objects are missing", .0.len())]
    ObjectsMissing(Vec<ObjectId>),
    /// The account may not store that much.
    #[error("{used} of {quota} bytes are used")]
    QuotaExceeded {
        /// Bytes used.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// The owner stopped sharing.
    #[error("the share was revoked")]
    ShareRevoked,
    /// The share's time is over.
    #[error("the share has expired")]
    ShareExpired,
    /// The share's time has not begun.
    #[error("the share begins at {from}")]
    ShareNotYet {
        /// When it does.
        from: UnixMillis,
    },
    /// All its playbacks, or all its viewers, are used up.
    #[error("the share is used up")]
    ShareUsedUp,
    /// The master key was replaced: seal under the new one, and try again.
    #[error("the master key was replaced")]
    KeyRetired,
    /// The disk is full, or refuses writes. Nothing changed.
    #[error("the disk is full or refuses to be written")]
    StorageFull,
    /// The database was written by a newer build: update the program.
    #[error("the database has format {found}, and this build knows formats up to {known}: use a newer build")]
    TooNew {
        /// Number of its last migration.
        found: u32,
        /// Number of ours.
        known: u32,
    },
    /// The database was made by migrations that are not ours: another program's, or an edited build's.
    #[error("migration {number} of the database is not the one of this build")]
    ForeignMigration {
        /// Which.
        number: u32,
    },
    /// The store has shut down.
    #[error("the store has shut down")]
    Closed,
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// Which, and doing what.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// Anything else is a fault of ours or of the file.
    #[error("database: {0}")]
    Database(String),
}

impl StoreError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io { what, source },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            // An I/O error while writing is what a full disk looks like through a shared-memory or journal file.
            rusqlite::Error::SqliteFailure(e, _)
                if matches!(e.code, ErrorCode::DiskFull | ErrorCode::SystemIoFailure) =>
            {
                Self::StorageFull
            }
            other => Self::Database(other.to_string()),
        }
    }
}
