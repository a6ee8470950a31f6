//! Accounts: OPAQUE (RFC 9807) registration and sign-in, password, recovery, sessions, invites.
//!
//! | route | body → answer |
//! |---|---|
//! | `GET /v1/server` | → [`ServerInfo`] (no session needed) |
//! | `POST /v1/registrations` | [`RegistrationStart`] → [`RegistrationChallenge`] |
//! | `POST /v1/registrations/finish` | [`RegistrationFinish`] → [`SessionOpened`] |
//! | `POST /v1/sessions` | [`LoginStart`] → [`LoginChallenge`] |
//! | `POST /v1/sessions/finish` | [`LoginFinish`] → [`SessionOpened`] |
//! | `GET /v1/sessions` | → [`SessionList`] |
//! | `DELETE /v1/sessions/{id}`, `DELETE /v1/sessions/current` | → 204 |
//! | `GET /v1/account` | → [`AccountInfo`] |
//! | `POST /v1/account/password` | [`PasswordStart`] → [`PasswordChallenge`] |
//! | `POST /v1/account/password/finish` | [`PasswordFinish`] → 204; other sessions end |
//! | `POST /v1/recovery` | [`RecoveryStart`] → [`RecoveryChallenge`] |
//! | `POST /v1/recovery/open` | [`RecoveryProof`] → [`RecoveryOpened`] |
//! | `POST /v1/recovery/finish` | [`RecoveryFinish`] → [`SessionOpened`] |
//! | `POST /v1/invites`, `GET /v1/invites`, `DELETE /v1/invites/{id}` | [`InviteRequest`] → [`Invite`]; [`InviteList`]; 204 |

use gloaming_ids::{AccountId, Context, InviteId, SessionId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Bytes, keyring::SealedKeyring};

/// What anybody may know of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerInfo {
    /// The server's version, as Cargo spells it.
    pub version: String,
    /// [`crate::PROTOCOL`] of the server.
    pub protocol: String,
    /// No owner yet: the set-up link makes one.
    pub needs_setup: bool,
    /// The server's clock.
    pub now: UnixMillis,
}

/// How Argon2id stretches a password: chosen by the client that registers, checked by every client that signs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Copy, Eq)]
pub struct Stretching {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Begins an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrationStart {
    /// The one-time token out of the set-up or invite link.
    pub token: String,
    /// 1 to 64 characters; compared, and given to OPAQUE, as [`crate::username_key`] spells it.
    pub username: String,
    /// OPAQUE `RegistrationRequest`.
    pub request: Bytes,
}

/// The server's half of a registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrationChallenge {
    /// The account's id, fixed now so that the keyring can be sealed under it.
    pub account: AccountId,
    /// OPAQUE `RegistrationResponse`.
    pub response: Bytes,
}

/// Ends a registration: the account exists with its keyring, or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrationFinish {
    /// The same token again; it is used up now.
    pub token: String,
    /// As in [`RegistrationStart`].
    pub username: String,
    /// As in [`RegistrationChallenge`].
    pub account: AccountId,
    /// OPAQUE `RegistrationRecord`.
    pub upload: Bytes,
    /// How the password was stretched.
    pub stretching: Stretching,
    /// Version 1 of the keyring, and its wraps.
    pub keyring: SealedKeyring,
    /// Ed25519 public key of the recovery phrase: only its signature may reset the password.
    pub recovery_key: Bytes,
    /// What this device calls itself.
    pub device: String,
    /// A command line asks for the token; a browser gets a cookie instead.
    pub want_token: bool,
}

/// Begins a sign-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginStart {
    /// The user name.
    pub username: String,
    /// OPAQUE `KE1`.
    pub request: Bytes,
}

/// The server's half of a sign-in. For an unknown name it is as convincing as for a known one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginChallenge {
    /// Names this attempt; good for two minutes, once.
    pub attempt: Bytes,
    /// OPAQUE `KE2`.
    pub response: Bytes,
    /// How this account stretches. A client refuses less than its own floor.
    pub stretching: Stretching,
}

/// Ends a sign-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginFinish {
    /// As in [`LoginChallenge`].
    pub attempt: Bytes,
    /// OPAQUE `KE3`.
    pub finalization: Bytes,
    /// What this device calls itself.
    pub device: String,
    /// A command line asks for the token; a browser gets a cookie instead.
    pub want_token: bool,
}

/// A session is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionOpened {
    /// Whose.
    pub account: AccountId,
    /// Its name in the list of sessions.
    pub session: SessionId,
    /// The bearer token, for a client that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// One signed-in device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Its id.
    pub session: SessionId,
    /// What the device called itself.
    pub device: String,
    /// When it signed in.
    pub created_at: UnixMillis,
    /// When it last asked for something, to the minute.
    pub seen_at: UnixMillis,
    /// The one that asks.
    pub current: bool,
}

/// All signed-in devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionInfo>,
}

/// What somebody may do on this server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Copy, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made first; may invite.
    Owner,
    /// Anybody else.
    Member,
}

/// One's own account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountInfo {
    /// Its id.
    pub account: AccountId,
    /// Its name, as written at registration.
    pub username: String,
    /// What it may do.
    pub role: Role,
    /// Bytes stored, drafts and trash included.
    pub used_bytes: u64,
    /// Bytes it may store; none is no limit.
    pub quota_bytes: Option<u64>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// Begins a change of password. Needs a session; the client proves the old password by a fresh sign-in first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordStart {
    /// OPAQUE `RegistrationRequest` for the new password.
    pub request: Bytes,
}

/// The server's half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordChallenge {
    /// OPAQUE `RegistrationResponse`.
    pub response: Bytes,
}

/// Ends a change of password: record and wrap change together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordFinish {
    /// OPAQUE `RegistrationRecord`.
    pub upload: Bytes,
    /// How the new password was stretched.
    pub stretching: Stretching,
    /// The account key wrapped under the new password: the version after the one that was read, or `version_conflict`.
    pub password_wrap: Bytes,
}

impl PasswordFinish {
    /// What the recovery key signs of it, so that nobody on the way can put a password of their own in its place:
    /// SHA-256 of `"gloaming/v1/new-password"`, upload, stretching and wrap.
    pub fn digest(&self) -> [u8; 32] {
        let Stretching { memory_kib, passes, lanes } = self.stretching;
        let all = Context::new("new-password")
            .field(self.upload.as_ref())
            .number(memory_kib)
            .number(passes)
            .number(lanes)
            .field(self.password_wrap.as_ref());
        Sha256::digest(all.as_bytes()).into()
    }
}

/// Begins a recovery with the 24 words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryStart {
    /// The user name.
    pub username: String,
}

/// What the recovery key must sign. Equally convincing for unknown names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryChallenge {
    /// Names this attempt; good for ten minutes.
    pub attempt: Bytes,
    /// 32 random bytes.
    pub challenge: Bytes,
    /// Whose recovery it would be.
    pub account: AccountId,
}

/// Shows that the words are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryProof {
    /// As in [`RecoveryChallenge`].
    pub attempt: Bytes,
    /// Ed25519 over the recovery context: account, challenge.
    pub signature: Bytes,
    /// OPAQUE `RegistrationRequest` for the new password.
    pub request: Bytes,
}

/// What somebody who knows the words gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryOpened {
    /// The sealed keyring with its wraps: the recovery wrap opens it.
    pub keyring: SealedKeyring,
    /// OPAQUE `RegistrationResponse`.
    pub response: Bytes,
}

/// Ends a recovery: new password, other sessions end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryFinish {
    /// As in [`RecoveryChallenge`].
    pub attempt: Bytes,
    /// The new password's record and wrap.
    pub password: PasswordFinish,
    /// Ed25519 over the recovery's second context: account, challenge, [`PasswordFinish::digest`].
    pub signature: Bytes,
    /// What this device calls itself.
    pub device: String,
    /// A command line asks for the token.
    pub want_token: bool,
}

/// Asks for an invite link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InviteRequest {
    /// For the inviter's own list; the server sees it.
    pub label: String,
    /// How long it is good for, in seconds; at most 30 days.
    pub valid_seconds: u64,
    /// The quota of the account it makes.
    pub quota_bytes: Option<u64>,
}

/// Leave to make an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invite {
    /// Its id.
    pub invite: InviteId,
    /// As asked.
    pub label: String,
    /// When it stops being good.
    pub expires_at: UnixMillis,
    /// The token, in the answer to its making only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Invites not yet used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InviteList {
    /// Newest first.
    pub invites: Vec<Invite>,
}
