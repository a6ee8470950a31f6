use gloaming_api::{ErrorBody, ErrorCode};
use gloaming_ids::AccountId;
use gloaming_keys::{KeyError, LinkError, PhraseError};
use gloaming_media::MediaError;

use crate::platform::{Offline, SourceFailure, StoreFailure};

/// Why something did not work: a variant per thing that a person or a program can do about it.
///
/// Messages are whole sentences without the full stop, for people. Programs match on [`code`](ClientError::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No answer. Whatever was under way goes on from where it was.
    #[error("the server cannot be reached ({reason}); check the network and try again, nothing is lost")]
    Offline {
        /// In a few words.
        reason: String,
    },
    /// The session ended. Unlocked keys and journals stay.
    #[error("you are signed out; sign in again, nothing is lost")]
    SignedOut,
    /// User name and password do not go together.
    #[error("the user name and the password do not go together; check both and try again")]
    WrongPassword,
    /// A password that could be guessed.
    #[error("this password is too easy to guess: {advice}")]
    WeakPassword {
        /// What would make it better.
        advice: String,
    },
    /// A name no account can have.
    #[error("{reason}; choose another name")]
    BadUsername {
        /// What is wrong with it.
        reason: String,
    },
    /// The words were typed wrong.
    #[error("{0}; check the words and try again")]
    Phrase(PhraseError),
    /// The words are well formed, and not this account's.
    #[error("these words do not belong to this account; check the user name and the words")]
    WrongPhrase,
    /// The keys are not on this device now.
    #[error("the library is locked; unlock it with your password")]
    Locked,
    /// Signed in, but not allowed.
    #[error("this account may not do that")]
    Forbidden,
    /// By whoever runs the server.
    #[error("this account was disabled; ask whoever runs the server")]
    AccountDisabled,
    /// The set-up or invite link is used up.
    #[error("this link was used already or has expired; ask for a new one")]
    BadInvite,
    /// Somebody else has it.
    #[error("this user name is taken; choose another")]
    NameTaken,
    /// No such thing, or not for this account.
    #[error("there is no {what}")]
    NotFound {
        /// Of what: "such video".
        what: String,
    },
    /// More than one thing is meant.
    #[error("{name} could be any of several; use more of the id")]
    Ambiguous {
        /// As it was typed.
        name: String,
    },
    /// Somebody else kept writing first, however often this was merged and tried again.
    #[error("another device changed this at the same time; try again")]
    VersionConflict,
    /// It is not in a state for this.
    #[error("that is not possible now: {reason}")]
    WrongState {
        /// Why.
        reason: String,
    },
    /// The server shows an older state than this device has seen already.
    #[error(
        "the server shows an older {what} than this device has seen: something was rolled back, perhaps by a restored backup, \
         perhaps on purpose; nothing was changed here. Ask whoever runs the server, and compare with another device"
    )]
    Rollback {
        /// Of what: "library", "keyring".
        what: &'static str,
    },
    /// The server shows a history that contradicts what this device or another has seen.
    #[error(
        "the server shows a different {what} than the one your devices have seen: its history was rewritten; \
         nothing was changed here. Ask whoever runs the server, and compare with another device"
    )]
    Fork {
        /// Of what.
        what: &'static str,
    },
    /// Something sealed did not pass its check.
    #[error("{what} did not pass its integrity check: it was damaged or tampered with, and is not used")]
    Tampered {
        /// What: "the index of this video".
        what: String,
    },
    /// What is stored is not what it was compared with.
    #[error("what is stored differs from the file: {what}")]
    Differs {
        /// Where.
        what: String,
    },
    /// The server asks for a weaker password protection than this client accepts.
    #[error("the server asks for a weaker protection of the password than is accepted; do not trust it")]
    WeakStretching,
    /// There is no keyring, which must never happen.
    #[error(
        "the account's keys are missing on the server; they are not made anew, because that would lose every video. \
             Ask whoever runs the server to restore them from a backup"
    )]
    KeyringMissing,
    /// More than the account may store.
    #[error(
        "your storage is full ({used} of {quota} bytes used); delete something or ask for more room, the upload goes on from here"
    )]
    QuotaExceeded {
        /// Bytes used.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// The server's disk or object store is full.
    #[error("the server has no room left; whoever runs it must make some, the upload goes on from here")]
    StorageFull,
    /// A link that cannot be opened as it is.
    #[error("{0}")]
    Link(LinkError),
    /// The server's keys of a contact are not the ones that were pinned.
    #[error(
        "the server has other keys for {name} than those of their contact link: they made new ones, or somebody put theirs in \
         their place. Nothing is shared with them, and nothing of theirs is opened; ask {name} for their contact link, by \
         another way than this server, and add it again"
    )]
    ChangedKey {
        /// Whose, as they are called here.
        name: String,
    },
    /// Shared by somebody who is no contact.
    #[error(
        "account {account} shared this, and is none of your contacts, so it was not opened; add them by their contact link if \
         you know who they are"
    )]
    UnknownSender {
        /// Theirs.
        account: AccountId,
    },
    /// The owner does not let viewers keep a copy.
    #[error("this may be watched, and not saved: its owner does not offer it for download")]
    NotForDownload,
    /// A share that does not let this viewer watch now. Its code says why.
    #[error("{}", not_admitted(*code))]
    NotAdmitted {
        /// `link_refused`, `share_revoked`, `share_expired`, `share_not_yet`, `share_used_up` or `too_many_at_once`.
        code: ErrorCode,
    },
    /// A playback must be begun anew, or its keys have moved on. Clients see to it by themselves.
    #[error("the connection to the server was interrupted; start playing again")]
    Playback {
        /// `session_gone`, `bad_proof`, `epoch_mismatch` or `counter_used`.
        code: ErrorCode,
        /// The server's epoch, with `epoch_mismatch`.
        epoch: u64,
    },
    /// The server is busy.
    #[error("the server is busy; try again in {seconds} seconds")]
    SlowDown {
        /// How long it asks to wait.
        seconds: u64,
    },
    /// A fault in the server, or in its object store.
    #[error("the server failed ({detail}); try again, and tell whoever runs it if it lasts")]
    Server {
        /// Its own words.
        detail: String,
    },
    /// An answer that makes no sense.
    #[error("the server's answer makes no sense ({detail}); it may run another version")]
    Nonsense {
        /// Which.
        detail: String,
    },
    /// Written by a later version.
    #[error("{what} was written by a newer version; update to use it")]
    TooNew {
        /// What.
        what: String,
    },
    /// The file is not the one it was.
    #[error("the file changed while it was read; start its upload again")]
    FileChanged,
    /// The file cannot be read.
    #[error("the file cannot be read ({reason}); check that it is still there and try again")]
    FileUnreadable {
        /// The system's words.
        reason: String,
    },
    /// The file is no video that can be taken in.
    #[error(transparent)]
    Media(MediaError),
    /// This device cannot keep what must be kept.
    #[error("this device cannot save what is needed to go on ({reason}); make room and try again")]
    Device {
        /// The system's words.
        reason: String,
    },
    /// Somebody said stop.
    #[error("stopped; it goes on from here when you start it again")]
    Cancelled,
}

impl ClientError {
    /// A stable name, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Offline { .. } => "offline",
            ClientError::SignedOut => "signed_out",
            ClientError::WrongPassword => "wrong_password",
            ClientError::WeakPassword { .. } => "weak_password",
            ClientError::BadUsername { .. } => "bad_username",
            ClientError::Phrase(error) => error.code(),
            ClientError::WrongPhrase => "wrong_phrase",
            ClientError::Locked => "locked",
            ClientError::Forbidden => "forbidden",
            ClientError::AccountDisabled => "account_disabled",
            ClientError::BadInvite => "bad_invite",
            ClientError::NameTaken => "name_taken",
            ClientError::NotFound { .. } => "not_found",
            ClientError::Ambiguous { .. } => "ambiguous",
            ClientError::VersionConflict => "version_conflict",
            ClientError::WrongState { .. } => "wrong_state",
            ClientError::Rollback { .. } => "rollback",
            ClientError::Fork { .. } => "fork",
            ClientError::Tampered { .. } => "tampered",
            ClientError::Differs { .. } => "differs",
            ClientError::WeakStretching => "weak_stretching",
            ClientError::KeyringMissing => "keyring_missing",
            ClientError::QuotaExceeded { .. } => "quota_exceeded",
            ClientError::StorageFull => "storage_full",
            ClientError::Link(LinkError::Incomplete) => "link_incomplete",
            ClientError::Link(LinkError::PasswordNeeded) => "password_needed",
            ClientError::Link(LinkError::TooNew) => "too_new",
            ClientError::ChangedKey { .. } => "changed_key",
            ClientError::UnknownSender { .. } => "unknown_sender",
            ClientError::NotForDownload => "not_for_download",
            ClientError::NotAdmitted { code } | ClientError::Playback { code, .. } => code.as_str(),
            ClientError::SlowDown { .. } => "slow_down",
            ClientError::Server { .. } => "server_failed",
            ClientError::Nonsense { .. } => "nonsense",
            ClientError::TooNew { .. } => "too_new",
            ClientError::FileChanged => "file_changed",
            ClientError::FileUnreadable { .. } => "file_unreadable",
            ClientError::Media(error) => error.code(),
            ClientError::Device { .. } => "device_full",
            ClientError::Cancelled => "cancelled",
        }
    }

    /// Whether waiting may mend it: no network, a busy server.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            ClientError::Offline { .. } | ClientError::SlowDown { .. } | ClientError::Server { .. }
        )
    }

    /// The server showed another history than was seen: to be told to the person, whatever was under way.
    pub fn is_alarm(&self) -> bool {
        matches!(self, ClientError::Rollback { .. } | ClientError::Fork { .. })
    }

    pub(crate) fn tampered(what: impl Into<String>) -> Self {
        ClientError::Tampered { what: what.into() }
    }

    pub(crate) fn nonsense(detail: impl Into<String>) -> Self {
        ClientError::Nonsense { detail: detail.into() }
    }

    /// What a seal that does not open means, where `what` was to be opened.
    pub(crate) fn sealed(error: KeyError, what: &str) -> Self {
        match error {
            KeyError::TooNew { .. } => ClientError::TooNew { what: what.into() },
            KeyError::Rejected | KeyError::Malformed | KeyError::UnknownGeneration { .. } => {
                ClientError::tampered(what)
            }
        }
    }

    /// From an answer that is not a success.
    pub(crate) fn from_answer(status: u16, body: &[u8], retry_after: Option<u64>) -> Self {
        let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
            return match status {
                // A proxy in front of the server answers in its own words.
                401 => ClientError::SignedOut,
                429 | 502..=504 => ClientError::SlowDown { seconds: retry_after.unwrap_or(5) },
                _ => ClientError::Server { detail: format!("status {status}") },
            };
        };
        let number = |name: &str| error.detail.as_ref().and_then(|d| d.get(name)?.as_u64()).unwrap_or(0);
        match error.code {
            ErrorCode::SignedOut => ClientError::SignedOut,
            ErrorCode::WrongCredentials => ClientError::WrongPassword,
            ErrorCode::Forbidden | ErrorCode::CrossOrigin => ClientError::Forbidden,
            ErrorCode::AccountDisabled => ClientError::AccountDisabled,
            ErrorCode::BadInvite => ClientError::BadInvite,
            ErrorCode::NotFound => ClientError::NotFound { what: "such thing on the server".into() },
            ErrorCode::VersionConflict => ClientError::VersionConflict,
            ErrorCode::NameTaken => ClientError::NameTaken,
            ErrorCode::WrongState | ErrorCode::ObjectsMissing => {
                ClientError::WrongState { reason: error.message }
            }
            code @ (ErrorCode::LinkRefused
            | ErrorCode::ShareRevoked
            | ErrorCode::ShareExpired
            | ErrorCode::ShareNotYet
            | ErrorCode::ShareUsedUp
            | ErrorCode::TooManyAtOnce) => ClientError::NotAdmitted { code },
            code @ (ErrorCode::SessionGone
            | ErrorCode::BadProof
            | ErrorCode::EpochMismatch
            | ErrorCode::CounterUsed) => ClientError::Playback { code, epoch: number("epoch") },
            ErrorCode::SlowDown => ClientError::SlowDown { seconds: retry_after.unwrap_or(5) },
            ErrorCode::Unavailable => ClientError::SlowDown { seconds: retry_after.unwrap_or(2) },
            ErrorCode::QuotaExceeded => {
                ClientError::QuotaExceeded { used: number("used"), quota: number("quota") }
            }
            ErrorCode::StorageFull => ClientError::StorageFull,
            ErrorCode::BadRequest | ErrorCode::TooLarge => ClientError::Nonsense { detail: error.message },
            ErrorCode::Internal | ErrorCode::Unknown => ClientError::Server { detail: error.message },
        }
    }
}

fn not_admitted(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::LinkRefused => {
            "the link or its password is wrong; check that the whole link was copied, and the password"
        }
        ErrorCode::ShareRevoked => "this is no longer shared; ask whoever shared it",
        ErrorCode::ShareExpired => "the time to watch this is over; ask whoever shared it for more",
        ErrorCode::ShareNotYet => "this cannot be watched yet; try again later",
        ErrorCode::ShareUsedUp => "this was watched as often as it may be; ask whoever shared it for more",
        _ => "as many people as may are watching this now; try again when one of them has stopped",
    }
}

impl From<Offline> for ClientError {
    fn from(offline: Offline) -> Self {
        ClientError::Offline { reason: offline.reason }
    }
}

impl From<SourceFailure> for ClientError {
    fn from(failure: SourceFailure) -> Self {
        match failure {
            SourceFailure::Changed => ClientError::FileChanged,
            SourceFailure::Unreadable(reason) => ClientError::FileUnreadable { reason },
        }
    }
}

impl From<StoreFailure> for ClientError {
    fn from(failure: StoreFailure) -> Self {
        let server = |detail: &str| ClientError::Server { detail: detail.into() };
        match failure {
            StoreFailure::Offline(reason) => ClientError::Offline { reason },
            StoreFailure::AlreadyThere => server("its store holds another object in this place"),
            StoreFailure::Expired => server(
                "its store refuses the address it gave; whoever runs it should look whether the clocks of server and store agree",
            ),
            StoreFailure::Missing => {
                ClientError::NotFound { what: "such object in the store: the video is incomplete".into() }
            }
            StoreFailure::Full => ClientError::StorageFull,
            StoreFailure::Busy => ClientError::SlowDown { seconds: 2 },
            StoreFailure::WrongLength => ClientError::tampered("an object in the store"),
            StoreFailure::Status(413) => server(
                "its store takes no object of this size (413); whoever runs it must let bodies of 66 MiB through any proxy before it",
            ),
            StoreFailure::Status(status) => {
                ClientError::Server { detail: format!("its store answered {status}") }
            }
        }
    }
}

impl From<MediaError> for ClientError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::WrongRange => ClientError::FileChanged,
            error => ClientError::Media(error),
        }
    }
}

impl From<LinkError> for ClientError {
    fn from(error: LinkError) -> Self {
        ClientError::Link(error)
    }
}

impl From<PhraseError> for ClientError {
    fn from(error: PhraseError) -> Self {
        ClientError::Phrase(error)
    }
}
