use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use gloaming_api::{ErrorBody, ErrorCode};
use gloaming_blobs::BlobError;
use gloaming_login::LoginError;
use gloaming_store::StoreError;
use serde_json::{Value, json};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// A file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another server works in this folder.
    #[error("{0} is in use by another server: stop it first, or choose another folder with --data")]
    InUse(std::path::PathBuf),
    /// The certificate or its key.
    #[error("the certificate: {0}")]
    Tls(String),
    /// Keys of shared videos are sealed under a master key that is not here.
    #[error("{file} is missing, and shared videos are sealed under it: restore it from a backup")]
    MasterKeyMissing {
        /// Which.
        file: String,
    },
    /// A file of the data folder is damaged.
    #[error("{file} is damaged: restore it from a backup")]
    Damaged {
        /// Which.
        file: String,
    },
}

impl StartError {
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

/// An answer that is not a success. What a person reads says what to do; what only the log may know is in `fault`.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    detail: Option<Value>,
    /// Seconds.
    retry_after: Option<u64>,
    fault: Option<String>,
}

/// Travels with an answer to where requests are logged.
#[derive(Clone, Debug)]
pub(crate) struct Fault(pub(crate) String);

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), detail: None, retry_after: None, fault: None }
    }

    pub(crate) fn with(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is no such thing here, or it is not yours.")
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(ErrorCode::SignedOut, "You are not signed in, or not any more. Sign in again.")
    }

    pub(crate) fn wrong_credentials() -> Self {
        Self::new(ErrorCode::WrongCredentials, "User name and password do not go together. Check both.")
    }

    pub(crate) fn disabled() -> Self {
        Self::new(
            ErrorCode::AccountDisabled,
            "This account is disabled. Ask whoever runs this server to enable it again.",
        )
    }

    pub(crate) fn cross_origin() -> Self {
        Self::new(ErrorCode::CrossOrigin, "This request came from another site's page, so it was refused.")
    }

    pub(crate) fn attempt_over() -> Self {
        Self::new(ErrorCode::WrongCredentials, "This attempt took too long or was used already. Begin again.")
    }

    pub(crate) fn slow_down(seconds: u64) -> Self {
        let seconds = seconds.max(1);
        let message = format!("Too many tries. Wait {seconds} seconds, then try again.");
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::SlowDown, message) }
    }

    pub(crate) fn too_large() -> Self {
        Self::new(ErrorCode::TooLarge, "This request is larger than the server takes. Send less at once.")
    }

    pub(crate) fn unavailable() -> Self {
        let message = "The server cannot do this now. Nothing was lost; try again in a little while.";
        Self { retry_after: Some(5), ..Self::new(ErrorCode::Unavailable, message) }
    }

    pub(crate) fn internal(fault: impl ToString) -> Self {
        let message =
            "Something in the server went wrong. Whoever runs it finds this request's id in its log.";
        Self { fault: Some(fault.to_string()), ..Self::new(ErrorCode::Internal, message) }
    }

    fn storage_full() -> Self {
        let message = "The server's storage is full. Nothing was lost, but nothing new fits: whoever runs it must \
                       make room.";
        Self { fault: Some("storage is full".into()), ..Self::new(ErrorCode::StorageFull, message) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let conflict = "Another device changed this first. Fetch it, merge, and try again.";
        match error {
            StoreError::NotFound => Self::not_found(),
            StoreError::VersionConflict { current } => {
                Self::new(ErrorCode::VersionConflict, conflict).with(json!({ "current": current }))
            }
            StoreError::RecordConflict { record, current } => Self::new(ErrorCode::VersionConflict, conflict)
                .with(json!({ "record": record, "current": current })),
            StoreError::NameTaken => {
                Self::new(ErrorCode::NameTaken, "Somebody has this user name. Choose another.")
            }
            StoreError::BadInvite => Self::new(
                ErrorCode::BadInvite,
                "This link was used, has expired, or was never good. Ask for a new one.",
            ),
            StoreError::WrongState(message) => Self::new(ErrorCode::WrongState, message),
            StoreError::ObjectsMissing(missing) => Self::new(
                ErrorCode::ObjectsMissing,
                "Parts of this video have not arrived. Upload them, then try again.",
            )
            .with(json!({ "missing": missing })),
            StoreError::QuotaExceeded { used, quota } => Self::new(
                ErrorCode::QuotaExceeded,
                "This does not fit in your storage. Delete something for good, or ask for more.",
            )
            .with(json!({ "used": used, "quota": quota })),
            StoreError::ShareRevoked => Self::new(
                ErrorCode::ShareRevoked,
                "The owner has stopped sharing this. Ask them for a new link.",
            ),
            StoreError::ShareExpired => {
                Self::new(ErrorCode::ShareExpired, "The time to watch this is over. Ask its owner for more.")
            }
            StoreError::ShareNotYet { from } => {
                Self::new(ErrorCode::ShareNotYet, "It is too early to watch this. Come back later.")
                    .with(json!({ "from": from }))
            }
            StoreError::ShareUsedUp => Self::new(
                ErrorCode::ShareUsedUp,
                "This has been watched as often as it may. Ask its owner for more.",
            ),
            // Whoever seals tries again before it comes to this.
            StoreError::KeyRetired => Self::unavailable(),
            StoreError::StorageFull => Self::storage_full(),
            StoreError::Closed => Self::unavailable(),
            other @ (StoreError::TooNew { .. }
            | StoreError::ForeignMigration { .. }
            | StoreError::Io { .. }
            | StoreError::Database(_)) => Self::internal(other),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Disk { source, .. }
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                ) =>
            {
                Self::storage_full()
            }
            BlobError::Unavailable { .. } => Self { fault: Some(error.to_string()), ..Self::unavailable() },
            other => Self::internal(other),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::WrongPassword => Self::wrong_credentials(),
            LoginError::Malformed | LoginError::Downgraded | LoginError::TooCostly => {
                Self::bad_request("The sign-in message does not read. Update the program that sent it.")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).expect("an error code's status is a status");
        let body = ErrorBody { code: self.code, message: self.message.into_owned(), detail: self.detail };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(fault) = self.fault {
            response.extensions_mut().insert(Fault(fault));
        }
        response
    }
}
