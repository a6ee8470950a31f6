//! What handlers ask for: a signed-in device, an id, a body, a query. Each refuses in words.

use std::{str::FromStr, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_api::{ErrorCode, account::Role};
use gloaming_ids::{AccountId, SessionId};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{app::App, client::Client, error::ApiError};

/// The cookie over HTTPS: bound to this host, over HTTPS only, by its name.
pub(crate) const SECURE_COOKIE: &str = "__Host-gloaming";
/// The cookie on plain HTTP to this machine itself, where the other's `Secure` is not kept by every browser.
pub(crate) const LOOPBACK_COOKIE: &str = "gloaming";

/// A session's use is noted to the minute.
const TOUCH: Duration = Duration::from_secs(60);

/// A signed-in device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) role: Role,
}

impl Device {
    pub(crate) fn must_be_owner(&self) -> Result<(), ApiError> {
        match self.role {
            Role::Owner => Ok(()),
            Role::Member => {
                Err(ApiError::new(ErrorCode::Forbidden, "Only the owner of this server may do this."))
            }
        }
    }
}

impl FromRequestParts<App> for Device {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = token(&parts.headers).ok_or_else(ApiError::signed_out)?;
        let now = app.now();
        let session = app.store.session(token_hash(token), now).await?.ok_or_else(ApiError::signed_out)?;
        if session.disabled {
            return Err(ApiError::disabled());
        }
        app.limits.account(session.account)?;
        if now.since(session.seen_at) >= TOUCH {
            app.store.touch_session(session.session, now).await?;
        }
        Ok(Self { account: session.account, session: session.session, role: session.role })
    }
}

/// What is stored of a token.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token: 256 random bits.
pub(crate) fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(crate::data_dir::random::<32>())
}

/// What a request shows to be of a session: a bearer token, or a cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        return authorization.to_str().ok()?.strip_prefix("Bearer ");
    }
    cookie(headers)
}

pub(crate) fn has_cookie(headers: &HeaderMap) -> bool {
    cookie(headers).is_some()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let find = |name: &str| {
        let texts = headers.get_all(header::COOKIE).iter().filter_map(|text| text.to_str().ok());
        let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    find(SECURE_COOKIE).or_else(|| find(LOOPBACK_COOKIE))
}

impl FromRequestParts<App> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Client>().expect("identified before").clone())
    }
}

/// The one id in a path. What is not an id is nothing that exists.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, app).await;
        let axum::extract::Path(text) = path.map_err(|_| ApiError::not_found())?;
        text.parse().map(Self).map_err(|_| ApiError::not_found())
    }
}

/// A query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(query) => Ok(Self(query.0)),
            Err(_) => Err(ApiError::bad_request("The question mark's part of the address does not read.")),
        }
    }
}

/// All of a request's body.
pub(crate) async fn whole_body(request: Request, app: &App) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, app).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            ApiError::too_large()
        } else {
            ApiError::bad_request("The body did not arrive whole. Try again.")
        }
    })
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        // A form of another site can send text or form fields without asking first, but not this type.
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(ApiError::bad_request("The body must be JSON, with content-type: application/json."));
        }
        let body = whole_body(request, app).await?;
        // serde's own words quote the body, which may hold what must not come back in an error.
        serde_json::from_slice(&body).map(Self).map_err(|e| {
            let at = format!("line {}, column {}", e.line(), e.column());
            ApiError::bad_request(format!("The body does not read as what this route takes ({at})."))
        })
    }
}
