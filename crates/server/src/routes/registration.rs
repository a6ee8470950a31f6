use axum::{extract::State, http::HeaderMap};
use gloaming_api::{
    ErrorBody, MAX_USERNAME,
    account::{RegistrationChallenge, RegistrationFinish, RegistrationStart, SessionOpened, Stretching},
    keyring::{SealedKeyring, UnlockMethod},
    username_key,
};
use gloaming_login::{KsfParams, registration_finish};
use gloaming_store::NewAccount;

use super::session::{self, Opening};
use crate::{
    app::App,
    client::Client,
    error::ApiError,
    extract::{Json, token_hash},
};

/// Begins an account by the token of a set-up or invite link.
#[utoipa::path(
    post, path = "/v1/registrations", tag = "account", request_body = RegistrationStart,
    responses((status = 200, body = RegistrationChallenge), (status = "default", body = ErrorBody))
)]
pub(super) async fn start(
    State(app): State<App>,
    client: Client,
    Json(start): Json<RegistrationStart>,
) -> Result<axum::Json<RegistrationChallenge>, ApiError> {
    app.limits.registration(client.network())?;
    let name = name_key(&start.username)?;
    let account = app.store.begin_registration(token_hash(&start.token), name.clone(), app.now()).await?;
    let response = app.login.registration_start(&name, start.request.as_ref())?;
    Ok(axum::Json(RegistrationChallenge { account, response: response.into() }))
}

/// Ends a registration. The account exists now, with its keyring and a session, and the token is used up.
#[utoipa::path(
    post, path = "/v1/registrations/finish", tag = "account", request_body = RegistrationFinish,
    responses((status = 200, body = SessionOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn finish(
    State(app): State<App>,
    client: Client,
    Json(finish): Json<RegistrationFinish>,
) -> Result<(HeaderMap, axum::Json<SessionOpened>), ApiError> {
    app.limits.registration(client.network())?;
    let name_key = name_key(&finish.username)?;
    check_stretching(finish.stretching)?;
    check_first_keyring(&finish.keyring)?;
    let recovery_key = finish
        .recovery_key
        .as_ref()
        .try_into()
        .map_err(|_| ApiError::bad_request("A recovery key is 32 bytes."))?;
    let opening = Opening::new(&client, &finish.device, finish.want_token, app.now())?;
    let account = finish.account;
    let new = NewAccount {
        token_hash: token_hash(&finish.token),
        account,
        name: finish.username.trim().chars().take(MAX_USERNAME).collect(),
        name_key,
        opaque_record: registration_finish(finish.upload.as_ref())?,
        stretching: finish.stretching,
        keyring: finish.keyring,
        recovery_key,
        session: opening.session.clone(),
    };
    app.store.create_account(new, app.now()).await?;
    if app.setup.is_open() && app.store.has_owner().await? {
        app.setup.used();
    }
    Ok(session::opened(account, opening))
}

/// A user name, as it is compared and given to OPAQUE.
pub(super) fn name_key(name: &str) -> Result<String, ApiError> {
    username_key(name).map_err(|_| {
        ApiError::bad_request("A user name has 1 to 64 letters, digits, spaces or any of . _ - @ + '")
    })
}

/// Refuses what no client of ours would choose; a client checks again at each sign-in.
pub(super) fn check_stretching(stretching: Stretching) -> Result<(), ApiError> {
    let Stretching { memory_kib, passes, lanes } = stretching;
    KsfParams { memory_kib, passes, lanes }
        .check()
        .map_err(|_| ApiError::bad_request("The password must be stretched by Argon2id within our bounds."))
}

fn check_first_keyring(keyring: &SealedKeyring) -> Result<(), ApiError> {
    if keyring.version != 1 {
        return Err(ApiError::bad_request("A new account's keyring has version 1."));
    }
    super::keyring::check(keyring)?;
    let has = |method| keyring.wraps.iter().any(|wrap| wrap.method == method);
    if has(UnlockMethod::Password) && has(UnlockMethod::Recovery) {
        Ok(())
    } else {
        Err(ApiError::bad_request("A new account's keyring is wrapped for the password and for recovery."))
    }
}
