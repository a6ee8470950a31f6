use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use gloaming_api::{
    ErrorBody,
    account::{Invite, InviteList, InviteRequest},
};
use gloaming_ids::{AccountId, InviteId, UnixMillis};
use gloaming_store::{NewInvite, Store, StoreError};

use crate::{
    app::App,
    data_dir::entropy,
    error::ApiError,
    extract::{Device, Id, Json, new_token, token_hash},
};

/// An invite is good for 30 days at most.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Characters of an invite's label.
const MAX_LABEL: usize = 200;

/// Makes an invite. Its token is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/invites", tag = "account", request_body = InviteRequest,
    responses((status = 200, body = Invite), (status = "default", body = ErrorBody))
)]
pub(super) async fn create(
    State(app): State<App>,
    device: Device,
    Json(request): Json<InviteRequest>,
) -> Result<axum::Json<Invite>, ApiError> {
    device.must_be_owner()?;
    let valid = Duration::from_secs(request.valid_seconds);
    if valid.is_zero() || valid > LONGEST {
        return Err(ApiError::bad_request("An invite is good for at least a second and at most 30 days."));
    }
    Ok(axum::Json(make(&app.store, request, app.now()).await?))
}

pub(crate) async fn make(
    store: &Store,
    request: InviteRequest,
    now: UnixMillis,
) -> Result<Invite, StoreError> {
    let token = new_token();
    let new = NewInvite {
        invite: InviteId::generate_at(now, &mut entropy),
        account: AccountId::generate(&mut entropy),
        token_hash: token_hash(&token),
        label: request.label.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect(),
        quota_bytes: request.quota_bytes,
        expires_at: now + Duration::from_secs(request.valid_seconds),
    };
    Ok(Invite { token: Some(token), ..store.create_invite(new, now).await? })
}

/// Invites that are not used yet.
#[utoipa::path(
    get, path = "/v1/invites", tag = "account",
    responses((status = 200, body = InviteList), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(State(app): State<App>, device: Device) -> Result<axum::Json<InviteList>, ApiError> {
    device.must_be_owner()?;
    Ok(axum::Json(InviteList { invites: app.store.invites(app.now()).await? }))
}

/// Takes an invite back.
#[utoipa::path(
    delete, path = "/v1/invites/{id}", tag = "account", params(("id" = InviteId, Path)),
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn delete(
    State(app): State<App>,
    device: Device,
    Id(invite): Id<InviteId>,
) -> Result<StatusCode, ApiError> {
    device.must_be_owner()?;
    app.store.delete_invite(invite).await?;
    Ok(StatusCode::NO_CONTENT)
}
