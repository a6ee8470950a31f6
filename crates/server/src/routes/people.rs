use axum::{extract::State, http::StatusCode};
use gloaming_api::{
    ErrorBody,
    people::{
        ED25519_PUBLIC_KEY, GiftObjects, GiftOpened, GiftWish, MAX_RECEIVED, PublicKeys, ReceivedList,
        X_WING_PUBLIC_KEY,
    },
    playback::MAX_PLAYBACK_OBJECTS,
    video::SignedDownloads,
};
use gloaming_ids::{AccountId, ShareId};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Id, Json, Query},
};

/// Says by which keys this account is known to others. Whether they are good, only those who pinned them can tell.
#[utoipa::path(
    put, path = "/v1/identity", tag = "people", request_body = PublicKeys,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn set_identity(
    State(app): State<App>,
    device: Device,
    Json(keys): Json<PublicKeys>,
) -> Result<StatusCode, ApiError> {
    if keys.x_wing.0.len() != X_WING_PUBLIC_KEY || keys.ed25519.0.len() != ED25519_PUBLIC_KEY {
        return Err(ApiError::bad_request("An identity is an X-Wing and an Ed25519 public key."));
    }
    app.store.set_identity(device.account, keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// By which keys an account is known, as its devices said. Neither names nor whether somebody is there can be asked for:
/// whoever asks knows the account's id already, from its contact link.
#[utoipa::path(
    get, path = "/v1/people/{id}", tag = "people", params(("id" = AccountId, Path)),
    responses((status = 200, body = PublicKeys), (status = "default", body = ErrorBody))
)]
pub(super) async fn person(
    State(app): State<App>,
    _device: Device,
    Id(account): Id<AccountId>,
) -> Result<axum::Json<PublicKeys>, ApiError> {
    Ok(axum::Json(app.store.identity(account).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReceivedQuery {
    /// Only what is older than this share.
    #[param(value_type = Option<String>)]
    before: Option<ShareId>,
    /// Shares at most.
    limit: Option<u32>,
}

/// What others gave or lent to this account, the newest first.
#[utoipa::path(
    get, path = "/v1/received", tag = "people", params(ReceivedQuery),
    responses((status = 200, body = ReceivedList), (status = "default", body = ErrorBody))
)]
pub(super) async fn received(
    State(app): State<App>,
    device: Device,
    Query(query): Query<ReceivedQuery>,
) -> Result<axum::Json<ReceivedList>, ApiError> {
    let most = u32::try_from(MAX_RECEIVED).expect("thirty-two");
    let limit = query.limit.unwrap_or(most).clamp(1, most);
    let mut received = app.store.received(device.account, query.before, limit + 1).await?;
    let more = received.len() > limit as usize;
    received.truncate(limit as usize);
    Ok(axum::Json(ReceivedList { received, more }))
}

/// Where the index of a given video is. Nothing is counted and nothing is written down.
#[utoipa::path(
    post, path = "/v1/received/{id}/open", tag = "people", params(("id" = ShareId, Path)), request_body = GiftWish,
    responses((status = 200, body = GiftOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn open(
    State(app): State<App>,
    device: Device,
    Id(share): Id<ShareId>,
    Json(GiftWish { video_id }): Json<GiftWish>,
) -> Result<axum::Json<GiftOpened>, ApiError> {
    let now = app.now();
    let index = app.store.gift_index(device.account, share, video_id, now).await?;
    let download = app.blobs.sign_get_briefly(index.object, index.length, now);
    Ok(axum::Json(GiftOpened { video_id, index_version: index.version, index: download }))
}

/// Signed addresses of objects of a given video, for a few minutes: revoked, it gets no more.
#[utoipa::path(
    post, path = "/v1/received/{id}/urls", tag = "people", params(("id" = ShareId, Path)), request_body = GiftObjects,
    responses((status = 200, body = SignedDownloads), (status = "default", body = ErrorBody))
)]
pub(super) async fn urls(
    State(app): State<App>,
    device: Device,
    Id(share): Id<ShareId>,
    Json(GiftObjects { video_id, objects }): Json<GiftObjects>,
) -> Result<axum::Json<SignedDownloads>, ApiError> {
    if !(1..=MAX_PLAYBACK_OBJECTS).contains(&objects.len()) {
        return Err(ApiError::bad_request("One request names 1 to 64 objects."));
    }
    let now = app.now();
    let found = app.store.gift_objects(device.account, share, video_id, objects, now).await?;
    let downloads = found.iter().map(|there| app.blobs.sign_get_briefly(there.object, there.length, now));
    Ok(axum::Json(SignedDownloads { downloads: downloads.collect() }))
}
