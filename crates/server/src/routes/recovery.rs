use std::time::Duration;

use axum::{extract::State, http::HeaderMap};
use gloaming_api::{
    ErrorBody,
    account::{
        RecoveryChallenge, RecoveryFinish, RecoveryOpened, RecoveryProof, RecoveryStart, SessionOpened,
    },
};
use gloaming_grants::{verify_new_password, verify_recovery};
use gloaming_ids::{AccountId, Context, UnixMillis};
use sha2::{Digest, Sha256};

use super::{
    account::new_password,
    registration::name_key,
    session::{self, Opening},
};
use crate::{app::App, client::Client, data_dir::random, error::ApiError, extract::Json};

/// Time to type 24 words and think of a new password.
const ATTEMPT: Duration = Duration::from_secs(600);

/// A recovery under way.
pub(crate) struct RecoveryAttempt {
    name: String,
    account: AccountId,
    /// None where there is no such account: every signature is then wrong.
    recovery_key: Option<[u8; 32]>,
    challenge: [u8; 32],
    until: UnixMillis,
    /// The words were shown to be known.
    proven: bool,
}

/// Begins a recovery with the 24 words. For an unknown name the answer is as convincing as for a known one.
#[utoipa::path(
    post, path = "/v1/recovery", tag = "account", request_body = RecoveryStart,
    responses((status = 200, body = RecoveryChallenge), (status = "default", body = ErrorBody))
)]
pub(super) async fn start(
    State(app): State<App>,
    client: Client,
    Json(start): Json<RecoveryStart>,
) -> Result<axum::Json<RecoveryChallenge>, ApiError> {
    let name = name_key(&start.username).map_err(|_| ApiError::wrong_credentials())?;
    app.limits.recovery(&name, client.network())?;
    let now = app.now();
    let known = app.store.credentials(name.clone()).await?;
    let account = known.as_ref().map_or_else(|| decoy(&app.decoy_key, &name), |known| known.account);
    let challenge: [u8; 32] = random();
    let attempt = RecoveryAttempt {
        name,
        account,
        recovery_key: known.map(|known| known.recovery_key),
        challenge,
        until: now + ATTEMPT,
        proven: false,
    };
    let attempt = app.recoveries.begin(attempt, ATTEMPT, now)?;
    Ok(axum::Json(RecoveryChallenge { attempt, challenge: challenge.to_vec().into(), account }))
}

/// Shows that the words are known, and gets the sealed keyring.
#[utoipa::path(
    post, path = "/v1/recovery/open", tag = "account", request_body = RecoveryProof,
    responses((status = 200, body = RecoveryOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn open(
    State(app): State<App>,
    Json(proof): Json<RecoveryProof>,
) -> Result<axum::Json<RecoveryOpened>, ApiError> {
    let mut attempt = app.recoveries.take(&proof.attempt, app.now())?;
    let signature = proof.signature.as_ref().try_into();
    let signed = match (&attempt.recovery_key, signature) {
        (Some(key), Ok(signature)) => {
            verify_recovery(key, attempt.account, &attempt.challenge, signature).is_ok()
        }
        _ => false,
    };
    if !signed {
        // The attempt is over: the next try is another attempt, and counted.
        return Err(ApiError::wrong_credentials());
    }
    let response = app.login.registration_start(&attempt.name, proof.request.as_ref())?;
    let keyring = app.store.keyring(attempt.account).await?;
    attempt.proven = true;
    app.recoveries.put_back(&proof.attempt, attempt.until, attempt);
    Ok(axum::Json(RecoveryOpened { keyring, response: response.into() }))
}

/// Ends a recovery: a new password, signed by the words, and all sessions before it end.
#[utoipa::path(
    post, path = "/v1/recovery/finish", tag = "account", request_body = RecoveryFinish,
    responses((status = 200, body = SessionOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn finish(
    State(app): State<App>,
    client: Client,
    Json(finish): Json<RecoveryFinish>,
) -> Result<(HeaderMap, axum::Json<SessionOpened>), ApiError> {
    let now = app.now();
    let digest = finish.password.digest();
    let new = new_password(finish.password)?;
    let opening = Opening::new(&client, &finish.device, finish.want_token, now)?;
    let attempt = app.recoveries.take(&finish.attempt, now)?;
    let signed = match (&attempt.recovery_key, finish.signature.as_ref().try_into()) {
        (Some(key), Ok(signature)) => {
            verify_new_password(key, attempt.account, &attempt.challenge, &digest, signature).is_ok()
        }
        _ => false,
    };
    if !attempt.proven || !signed {
        return Err(ApiError::wrong_credentials());
    }
    let account = app.store.credentials(attempt.name).await?.ok_or_else(ApiError::wrong_credentials)?;
    if account.disabled {
        return Err(ApiError::disabled());
    }
    app.store.recover_account(attempt.account, new, opening.session.clone(), now).await?;
    Ok(session::opened(attempt.account, opening))
}

/// An id for a name that nobody has, the same each time, so that asking twice tells nothing.
fn decoy(key: &[u8; 32], name: &str) -> AccountId {
    let digest = Sha256::digest(Context::new("decoy-account").field(key).field(name));
    AccountId::generate(&mut |out: &mut [u8]| out.copy_from_slice(&digest[..out.len()]))
}
