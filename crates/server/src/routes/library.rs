use axum::extract::{DefaultBodyLimit, State};
use gloaming_api::{
    ErrorBody,
    library::{Changes, Feed, MAX_CHANGES, MAX_CHANGES_BYTES, MAX_FEED, MAX_RECORD, Written},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Json, Query},
};

/// The largest write in base64, and room for ids and punctuation.
const BODY: usize = MAX_CHANGES_BYTES / 3 * 4 + MAX_CHANGES * 256;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FeedQuery {
    /// The last position that is known; 0 for all.
    #[serde(default)]
    since: u64,
    /// Entries at most.
    limit: Option<u32>,
}

/// Changes to the library since a position.
#[utoipa::path(
    get, path = "/v1/library", tag = "library", params(FeedQuery),
    responses((status = 200, body = Feed), (status = "default", body = ErrorBody))
)]
pub(super) async fn feed(
    State(app): State<App>,
    device: Device,
    Query(query): Query<FeedQuery>,
) -> Result<axum::Json<Feed>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_FEED);
    Ok(axum::Json(app.store.feed(device.account, query.since, limit).await?))
}

/// Writes changes to the library, all or none.
#[utoipa::path(
    post, path = "/v1/library", tag = "library", request_body = Changes,
    responses((status = 200, body = Written), (status = "default", body = ErrorBody))
)]
pub(super) async fn write(
    State(app): State<App>,
    device: Device,
    Json(Changes { changes }): Json<Changes>,
) -> Result<axum::Json<Written>, ApiError> {
    if changes.is_empty() || changes.len() > MAX_CHANGES {
        return Err(ApiError::bad_request("One request writes 1 to 500 changes."));
    }
    let lengths = || changes.iter().filter_map(|change| change.sealed.as_ref()).map(|sealed| sealed.0.len());
    if lengths().any(|length| length > MAX_RECORD) || lengths().sum::<usize>() > MAX_CHANGES_BYTES {
        return Err(ApiError::too_large());
    }
    Ok(axum::Json(app.store.write_library(device.account, changes).await?))
}

/// The limit on this route's body.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(BODY)
}
