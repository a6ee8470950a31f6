/// Why something sealed would not open. One variant per thing that the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Written by a later version of the program: an update opens it.
    #[error("this was written by a newer version (format {found}); update to open it")]
    TooNew {
        /// The format version that was found.
        found: u8,
    },
    /// Wrong key, wrong place, an old version in a new one's stead, or tampering: indistinguishable on purpose.
    #[error("this did not pass its integrity check")]
    Rejected,
    /// Not the shape of anything we write: cut short, or another thing altogether.
    #[error("this is not what it claims to be, or it is incomplete")]
    Malformed,
    /// Sealed with a key that this keyring does not have (yet): a newer keyring may.
    #[error("this was sealed with key generation {generation}, which this keyring does not hold")]
    UnknownGeneration {
        /// The generation that was named in the header.
        generation: u32,
    },
}

impl KeyError {
    /// A stable name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooNew { .. } => "too_new",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::UnknownGeneration { .. } => "unknown_generation",
        }
    }
}

/// A message that did not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this did not pass its integrity check")]
pub struct Rejected;

impl From<Rejected> for KeyError {
    fn from(Rejected: Rejected) -> Self {
        Self::Rejected
    }
}
