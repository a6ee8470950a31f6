use axum::{
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
};
use gloaming_api::{
    ErrorBody,
    video::{Commit, DraftRequest, MAX_OBJECTS_PER_VIDEO, VideoInfo, VideoList, VideoOpened, VideoState},
};
use gloaming_ids::VideoId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::object;
use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Id, Json, Query},
};

/// Bytes of a sealed video secret at most: three keys and their seal are some 200.
const MAX_SECRET: usize = 4096;
/// Videos in one answer at most.
const MAX_VIDEOS: u32 = 500;

/// Begins a video. The same again is the same draft.
#[utoipa::path(
    put, path = "/v1/videos/{id}", tag = "video", params(("id" = VideoId, Path)), request_body = DraftRequest,
    responses((status = 200, body = VideoInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn begin(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
    Json(draft): Json<DraftRequest>,
) -> Result<axum::Json<VideoInfo>, ApiError> {
    match draft.sealed_secret.0.len() {
        0 => Err(ApiError::bad_request("A video begins with its sealed secret.")),
        n if n > MAX_SECRET => Err(ApiError::too_large()),
        _ => Ok(axum::Json(app.store.begin_video(device.account, video, draft, app.now()).await?)),
    }
}

/// Makes a draft a video, or replaces a video's index.
#[utoipa::path(
    post, path = "/v1/videos/{id}/commit", tag = "video", params(("id" = VideoId, Path)), request_body = Commit,
    responses((status = 200, body = VideoInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn commit(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
    Json(commit): Json<Commit>,
) -> Result<axum::Json<VideoInfo>, ApiError> {
    if Some(commit.index_version) != commit.expected_version.checked_add(1) {
        return Err(ApiError::bad_request("An index's version is one more than the one it replaces."));
    }
    if commit.objects.len() > MAX_OBJECTS_PER_VIDEO {
        return Err(ApiError::bad_request("A video has 100,000 objects at most."));
    }
    object::confirm(&app, device.account, video, Some(&commit.objects)).await?;
    Ok(axum::Json(app.store.commit_video(device.account, video, commit, app.now()).await.inspect(|_| {
        // Objects that it did not name can go.
        app.deleted.notify_one();
    })?))
}

/// The largest commit names 100,000 ids of 39 characters.
pub(super) fn commit_body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_OBJECTS_PER_VIDEO * 48)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The last video of the page before.
    #[param(value_type = Option<String>)]
    after: Option<VideoId>,
    /// Videos at most.
    limit: Option<u32>,
    /// Those in this state only.
    #[param(value_type = Option<String>)]
    state: Option<VideoState>,
}

/// Videos in order of id, which is the order of making.
#[utoipa::path(
    get, path = "/v1/videos", tag = "video", params(ListQuery),
    responses((status = 200, body = VideoList), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(
    State(app): State<App>,
    device: Device,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<VideoList>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_VIDEOS).clamp(1, MAX_VIDEOS);
    Ok(axum::Json(app.store.videos(device.account, query.after, limit, query.state).await?))
}

/// One video, and a signed address of its index.
#[utoipa::path(
    get, path = "/v1/videos/{id}", tag = "video", params(("id" = VideoId, Path)),
    responses((status = 200, body = VideoOpened), (status = "default", body = ErrorBody))
)]
pub(super) async fn open(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<VideoOpened>, ApiError> {
    let info = app.store.video(device.account, video).await?;
    let index = match info.index {
        Some(index) => object::sign(&app, device.account, vec![index]).await?.pop(),
        None => None,
    };
    Ok(axum::Json(VideoOpened { info, index }))
}

/// Puts a video in the trash.
#[utoipa::path(
    post, path = "/v1/videos/{id}/trash", tag = "video", params(("id" = VideoId, Path)),
    responses((status = 200, body = VideoInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn trash(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<VideoInfo>, ApiError> {
    Ok(axum::Json(app.store.trash_video(device.account, video, app.now()).await?))
}

/// Takes a video out of the trash.
#[utoipa::path(
    post, path = "/v1/videos/{id}/restore", tag = "video", params(("id" = VideoId, Path)),
    responses((status = 200, body = VideoInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn restore(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<VideoInfo>, ApiError> {
    Ok(axum::Json(app.store.restore_video(device.account, video).await?))
}

/// Deletes a video for good: its rows now, its objects soon after.
#[utoipa::path(
    delete, path = "/v1/videos/{id}", tag = "video", params(("id" = VideoId, Path)),
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn delete(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_video(device.account, video, app.now()).await?;
    app.deleted.notify_one();
    Ok(StatusCode::NO_CONTENT)
}
