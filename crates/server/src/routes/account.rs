use axum::{extract::State, http::StatusCode};
use gloaming_api::{
    ErrorBody, PROTOCOL,
    account::{AccountInfo, PasswordChallenge, PasswordFinish, PasswordStart, ServerInfo},
    username_key,
};
use gloaming_login::registration_finish;
use gloaming_store::NewPassword;

use super::{keyring, registration::check_stretching};
use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Json},
};

/// What anybody may know of this server.
#[utoipa::path(
    get, path = "/v1/server", tag = "account",
    responses((status = 200, body = ServerInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn server(State(app): State<App>) -> axum::Json<ServerInfo> {
    axum::Json(ServerInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: PROTOCOL.into(),
        needs_setup: app.setup.is_open(),
        now: app.now(),
    })
}

/// One's own account.
#[utoipa::path(
    get, path = "/v1/account", tag = "account",
    responses((status = 200, body = AccountInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn info(
    State(app): State<App>,
    device: Device,
) -> Result<axum::Json<AccountInfo>, ApiError> {
    Ok(axum::Json(app.store.account(device.account).await?))
}

/// Begins a change of password.
#[utoipa::path(
    post, path = "/v1/account/password", tag = "account", request_body = PasswordStart,
    responses((status = 200, body = PasswordChallenge), (status = "default", body = ErrorBody))
)]
pub(super) async fn start_password(
    State(app): State<App>,
    device: Device,
    Json(start): Json<PasswordStart>,
) -> Result<axum::Json<PasswordChallenge>, ApiError> {
    let username = app.store.account(device.account).await?.username;
    let name = username_key(&username).map_err(ApiError::internal)?;
    let response = app.login.registration_start(&name, start.request.as_ref())?;
    Ok(axum::Json(PasswordChallenge { response: response.into() }))
}

/// Ends a change of password: record and wrap change together, and other sessions end.
#[utoipa::path(
    post, path = "/v1/account/password/finish", tag = "account", request_body = PasswordFinish,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn finish_password(
    State(app): State<App>,
    device: Device,
    Json(finish): Json<PasswordFinish>,
) -> Result<StatusCode, ApiError> {
    app.store.change_password(device.account, new_password(finish)?, device.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn new_password(finish: PasswordFinish) -> Result<NewPassword, ApiError> {
    check_stretching(finish.stretching)?;
    keyring::check_wrap(&finish.password_wrap)?;
    Ok(NewPassword {
        opaque_record: registration_finish(finish.upload.as_ref())?,
        stretching: finish.stretching,
        password_wrap: finish.password_wrap.0,
    })
}
