//! Errors as they travel. Programs match on [`ErrorCode`]; people read `message`, which says what to do.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// What went wrong, for a program. A code keeps its meaning for ever; new ones may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A code this build does not know.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ErrorCode {
            /// All codes a server may answer with.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// The code as it is written on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* ErrorCode::Unknown => "unknown" }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* ErrorCode::Unknown => 500 }
            }
        }
    };
}

codes! {
    /// The request does not parse, or says something impossible.
    BadRequest = "bad_request", 400;
    /// No session, or one that ended: sign in again. Unlocked keys stay good.
    SignedOut = "signed_out", 401;
    /// This playback is not known (any more): begin another.
    SessionGone = "session_gone", 401;
    /// The request's proof is missing or wrong.
    BadProof = "bad_proof", 401;
    /// User name and password do not go together (or there is no such user: the answer is the same).
    WrongCredentials = "wrong_credentials", 401;
    /// Signed in, but this is not theirs to do.
    Forbidden = "forbidden", 403;
    /// The account was disabled by whoever runs the server.
    AccountDisabled = "account_disabled", 403;
    /// The set-up or invite link was used, has expired, or never was.
    BadInvite = "bad_invite", 403;
    /// A request from another origin's page.
    CrossOrigin = "cross_origin", 403;
    /// The link's token is wrong: a cut link, or a wrong password.
    LinkRefused = "link_refused", 403;
    /// The owner stopped sharing this.
    ShareRevoked = "share_revoked", 403;
    /// The share's time is over.
    ShareExpired = "share_expired", 403;
    /// The share's time has not begun: `detail.from` says when it does.
    ShareNotYet = "share_not_yet", 403;
    /// All its playbacks, or all its viewers, are used up.
    ShareUsedUp = "share_used_up", 403;
    /// As many as may are watching now.
    TooManyAtOnce = "too_many_at_once", 403;
    /// No such thing, or not for this account: the answer is the same.
    NotFound = "not_found", 404;
    /// Somebody else's write came first: fetch, merge, try again. `detail.current` has the version.
    VersionConflict = "version_conflict", 409;
    /// Proved with another epoch's key: `detail.epoch` is the server's.
    EpochMismatch = "epoch_mismatch", 409;
    /// This counter was used before: ask again with the next.
    CounterUsed = "counter_used", 409;
    /// The user name is taken.
    NameTaken = "name_taken", 409;
    /// What is asked does not fit the state of the thing (a commit of a trashed video, say).
    WrongState = "wrong_state", 409;
    /// The upload is not all there: `detail.missing` lists the objects.
    ObjectsMissing = "objects_missing", 409;
    /// The body is larger than this route takes.
    TooLarge = "too_large", 413;
    /// Too many requests: wait for `Retry-After` seconds.
    SlowDown = "slow_down", 429;
    /// The account's quota would be passed: `detail.used` and `detail.quota` are bytes.
    QuotaExceeded = "quota_exceeded", 507;
    /// The server's disk is full, or its object store refuses: nothing was lost, and whoever runs it must make room.
    StorageFull = "storage_full", 507;
    /// The server cannot answer now: try again.
    Unavailable = "unavailable", 503;
    /// A fault in the server. Its log has the request id.
    Internal = "internal", 500;
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what happened and what to do.
    pub message: String,
    /// More for programs; its shape belongs to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub detail: Option<serde_json::Value>,
}
