use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use gloaming_api::{
    ErrorBody, ErrorCode,
    account::{LoginChallenge, LoginFinish, LoginStart, SessionList, SessionOpened, Stretching},
};
use gloaming_ids::{AccountId, SessionId, UnixMillis};
use gloaming_login::KsfParams;
use gloaming_store::NewSession;

use super::registration::name_key;
use crate::{
    app::App,
    client::Client,
    data_dir::entropy,
    error::ApiError,
    extract::{Device, Id, Json, LOOPBACK_COOKIE, SECURE_COOKIE, new_token, token, token_hash},
};

/// Between the two messages of a sign-in; a slow device needs a while for Argon2id.
const ATTEMPT: Duration = Duration::from_secs(120);
/// Characters of a device's name.
const MAX_DEVICE: usize = 200;

/// Begins a sign-in. For an unknown name the answer is as convincing as for a known one.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "account", request_body = LoginStart,
    responses((status = 200, body = LoginChallenge), (status = "default", body = ErrorBody))
)]
pub(super) async fn start(
    State(app): State<App>,
    client: Client,
    Json(start): Json<LoginStart>,
) -> Result<axum::Json<LoginChallenge>, ApiError> {
    // What is no user name is nobody's, and is told no more than that.
    let name = name_key(&start.username).map_err(|_| ApiError::wrong_credentials())?;
    app.limits.sign_in(&name, client.network())?;
    let known = app.store.credentials(name.clone()).await?;
    let record = known.as_ref().map(|credentials| credentials.opaque_record.as_slice());
    let (login, response) = app.login.login_start(record, &name, start.request.as_ref(), &mut entropy)?;
    let stretching = known.map_or_else(usual_stretching, |credentials| credentials.stretching);
    let attempt = app.sign_ins.begin(login, ATTEMPT, app.now())?;
    Ok(axum::Json(LoginChallenge { attempt, response: response.into(), stretching }))
}

/// What most accounts have.
fn usual_stretching() -> Stretching {
    let KsfParams { memory_kib, passes, lanes } = KsfParams::default();
    Stretching { memory_kib, passes, lanes }
}

/// Ends a sign-in. The session that this device had before, if it shows one, ends too.
#[utoipa::path(
    post, path = "/v1/sessions/finish", tag = "account", request_body = LoginFinish,
    responses((status = 200, body = SessionOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn finish(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    Json(finish): Json<LoginFinish>,
) -> Result<(HeaderMap, axum::Json<SessionOpened>), ApiError> {
    let now = app.now();
    let login = app.sign_ins.take(&finish.attempt, now)?;
    let name = login.username().to_owned();
    login.finish(finish.finalization.as_ref())?;
    // Read again: the password may have changed, or the account been disabled, since the attempt began.
    let account = app.store.credentials(name).await?.ok_or_else(ApiError::wrong_credentials)?;
    if account.disabled {
        return Err(ApiError::disabled());
    }
    let opening = Opening::new(&client, &finish.device, finish.want_token, now)?;
    // A device that signs in again leaves no session behind that it has no token of any more.
    let replaces = token(&headers).map(token_hash);
    app.store.open_session(account.account, opening.session.clone(), replaces, now).await?;
    Ok(opened(account.account, opening))
}

/// The signed-in devices.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "account",
    responses((status = 200, body = SessionList), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(
    State(app): State<App>,
    device: Device,
) -> Result<axum::Json<SessionList>, ApiError> {
    let sessions = app.store.sessions(device.account, device.session, app.now()).await?;
    Ok(axum::Json(SessionList { sessions }))
}

/// Signs this device out.
#[utoipa::path(
    delete, path = "/v1/sessions/current", tag = "account",
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn end_current(
    State(app): State<App>,
    device: Device,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    app.store.end_session(device.account, device.session).await?;
    Ok((StatusCode::NO_CONTENT, forget_cookies()))
}

/// Signs a device out.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "account", params(("id" = SessionId, Path)),
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn end(
    State(app): State<App>,
    device: Device,
    Id(session): Id<SessionId>,
) -> Result<StatusCode, ApiError> {
    app.store.end_session(device.account, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session about to open: its row, and how the device will hold its token.
pub(super) struct Opening {
    pub(super) session: NewSession,
    token: String,
    /// Whether HTTPS carries the cookie; none if the token goes into the answer.
    cookie: Option<bool>,
}

impl Opening {
    pub(super) fn new(
        client: &Client,
        device: &str,
        want_token: bool,
        now: UnixMillis,
    ) -> Result<Self, ApiError> {
        if !want_token && !client.is_secure() {
            return Err(ApiError::new(
                ErrorCode::Forbidden,
                "Browsers sign in over HTTPS only, or on the machine that the server runs on.",
            ));
        }
        let token = new_token();
        let session = NewSession {
            session: SessionId::generate_at(now, &mut entropy),
            token_hash: token_hash(&token),
            device: device.trim().chars().filter(|c| !c.is_control()).take(MAX_DEVICE).collect(),
        };
        Ok(Self { session, token, cookie: (!want_token).then_some(client.https) })
    }
}

/// The answer to whoever opened a session: a cookie, or the token itself.
pub(super) fn opened(account: AccountId, opening: Opening) -> (HeaderMap, axum::Json<SessionOpened>) {
    let session = opening.session.session;
    let mut headers = HeaderMap::new();
    let Some(https) = opening.cookie else {
        return (headers, axum::Json(SessionOpened { account, session, token: Some(opening.token) }));
    };
    // The server decides when it ends; 400 days is as long as browsers keep a cookie (RFC 6265bis §5.5).
    let cookie = cookie(https, &opening.token, 400 * 24 * 60 * 60);
    headers.insert(header::SET_COOKIE, cookie);
    (headers, axum::Json(SessionOpened { account, session, token: None }))
}

fn cookie(https: bool, value: &str, max_age: u64) -> HeaderValue {
    let (name, secure) = if https { (SECURE_COOKIE, "; Secure") } else { (LOOPBACK_COOKIE, "") };
    let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("a token is base64url")
}

fn forget_cookies() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(header::SET_COOKIE, cookie(true, "", 0));
    headers.append(header::SET_COOKIE, cookie(false, "", 0));
    headers
}
