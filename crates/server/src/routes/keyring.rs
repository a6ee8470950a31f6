use axum::{extract::State, http::StatusCode};
use gloaming_api::{
    Bytes, ErrorBody,
    keyring::{KeyringUpdate, SealedKeyring, wrap_version},
};

use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Json},
};

/// Bytes of a sealed keyring or wrap at most: a keyring is a few hundred bytes for each generation of keys.
const MAX_SEALED: usize = 64 * 1024;

/// The sealed keyring.
#[utoipa::path(
    get, path = "/v1/keyring", tag = "keyring",
    responses((status = 200, body = SealedKeyring), (status = "default", body = ErrorBody))
)]
pub(super) async fn get(
    State(app): State<App>,
    device: Device,
) -> Result<axum::Json<SealedKeyring>, ApiError> {
    Ok(axum::Json(app.store.keyring(device.account).await?))
}

/// Replaces the keyring, if it still has the version that was read.
#[utoipa::path(
    put, path = "/v1/keyring", tag = "keyring", request_body = KeyringUpdate,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn replace(
    State(app): State<App>,
    device: Device,
    Json(update): Json<KeyringUpdate>,
) -> Result<StatusCode, ApiError> {
    check(&update.keyring)?;
    app.store.replace_keyring(device.account, update).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A keyring that could be opened again: not empty, and with a wrap, none twice.
pub(super) fn check(keyring: &SealedKeyring) -> Result<(), ApiError> {
    check_sealed(&keyring.sealed)?;
    for (n, wrap) in keyring.wraps.iter().enumerate() {
        check_wrap(&wrap.sealed)?;
        if keyring.wraps[..n].iter().any(|other| other.method == wrap.method) {
            return Err(ApiError::bad_request("A keyring has one wrap for each way of unlocking."));
        }
    }
    if keyring.wraps.is_empty() {
        return Err(ApiError::bad_request("A keyring without a wrap could never be opened again."));
    }
    Ok(())
}

pub(super) fn check_wrap(sealed: &Bytes) -> Result<(), ApiError> {
    check_sealed(sealed)?;
    let version = wrap_version(sealed.as_ref());
    version.map(drop).ok_or_else(|| ApiError::bad_request("A wrap begins with its version."))
}

fn check_sealed(sealed: &Bytes) -> Result<(), ApiError> {
    match sealed.0.len() {
        0 => Err(ApiError::bad_request("What should be sealed is empty.")),
        n if n > MAX_SEALED => Err(ApiError::too_large()),
        _ => Ok(()),
    }
}
