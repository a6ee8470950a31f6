use gloaming_keys::{KeyError, Rejected};
use gloaming_media::MediaError;

/// Why sealing stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The source cannot be taken in.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The journal is about another file, or the file is not what it was. Starting over helps.
    #[error(
        "this is not the file that was begun with, or it has changed since; start it again from the beginning"
    )]
    OtherSource,
    /// A mistake of the caller's: a fragment without a digest, a pack without a place, a place that is none.
    #[error(
        "not every part was sealed and stored before the end; this is a mistake in the program, please report it"
    )]
    Unfinished,
}

impl SealError {
    /// A stable name, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SealError::Media(error) => error.code(),
            SealError::OtherSource => "seal_other_source",
            SealError::Unfinished => "seal_unfinished",
        }
    }
}

/// Why something sealed would not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Written by a later version of the program: an update opens it.
    #[error("this video was stored by a newer version (format {found}); update to open it")]
    TooNew {
        /// The format version that was found.
        found: u8,
    },
    /// Wrong key, wrong place, an old version in a new one's stead, or tampering: indistinguishable on purpose.
    #[error(
        "this did not pass its integrity check: it was damaged or tampered with, or the key belongs to another video"
    )]
    Rejected,
    /// It opens, but the owner did not sign it.
    #[error("this was not signed by the video's owner: somebody else made it")]
    Forged,
    /// Signed and sealed, yet it contradicts itself: made by a broken or hostile program.
    #[error("this video's index contradicts itself ({what}); it cannot be played safely")]
    Malformed {
        /// In a few words.
        what: &'static str,
    },
}

impl OpenError {
    /// A stable name, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            OpenError::TooNew { .. } => "open_too_new",
            OpenError::Rejected => "open_rejected",
            OpenError::Forged => "open_forged",
            OpenError::Malformed { .. } => "open_malformed",
        }
    }
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> OpenError {
        match error {
            KeyError::TooNew { found } => OpenError::TooNew { found },
            KeyError::Rejected | KeyError::Malformed | KeyError::UnknownGeneration { .. } => {
                OpenError::Rejected
            }
        }
    }
}

impl From<Rejected> for OpenError {
    fn from(Rejected: Rejected) -> OpenError {
        OpenError::Rejected
    }
}
