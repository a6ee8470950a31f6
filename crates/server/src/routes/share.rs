use std::collections::HashSet;

use axum::extract::{DefaultBodyLimit, State};
use gloaming_api::{
    Bytes, ErrorBody,
    share::{
        GrantLog, MAX_EMBED_ORIGINS, MAX_LOG_ROWS, MAX_SEALED_SHARE, MAX_SHARED_TRACKS, MAX_SHARED_VIDEOS,
        PlayList, Policy, ShareInfo, ShareKind, ShareList, ShareRequest, SharedVideo,
    },
};
use gloaming_grants::log::log_start;
use gloaming_ids::{AccountId, ShareId, VideoId};
use gloaming_store::{LogPart, NewShare, NewSharedVideo, StoreError};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;
use utoipa::IntoParams;

use crate::{
    app::App,
    error::ApiError,
    extract::{Device, Id, Json, Query},
    kms::{Bound, Secret},
};

/// Segments of one track at most: a year in segments of a second.
const MAX_SEGMENTS: u32 = 32_000_000;
/// How long one segment may be said to play.
const NOMINAL_MS: std::ops::RangeInclusive<u32> = 1..=600_000;

/// Gives others leave to watch, on terms. The same request again is the same share.
#[utoipa::path(
    post, path = "/v1/shares", tag = "share", request_body = ShareRequest,
    responses((status = 200, body = ShareInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn create(
    State(app): State<App>,
    device: Device,
    Json(request): Json<ShareRequest>,
) -> Result<axum::Json<ShareInfo>, ApiError> {
    check(&request)?;
    if request.recipient == Some(device.account) {
        return Err(ApiError::bad_request("What is your own need not be shared with you."));
    }
    for _ in 0..3 {
        let new = seal(&app, device.account, &request).await?;
        match app.store.create_share(device.account, new, app.now()).await {
            // The master key was replaced between sealing and writing.
            Err(StoreError::KeyRetired) => app.kms.reload().map_err(ApiError::internal)?,
            created => return Ok(axum::Json(watched(&app, created?))),
        }
    }
    Err(ApiError::unavailable())
}

/// 500 videos with a few tracks each.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(4 * 1024 * 1024)
}

/// All shares of the account, the newest first.
#[utoipa::path(
    get, path = "/v1/shares", tag = "share",
    responses((status = 200, body = ShareList), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(State(app): State<App>, device: Device) -> Result<axum::Json<ShareList>, ApiError> {
    let shares = app.store.shares(device.account).await?;
    Ok(axum::Json(ShareList { shares: shares.into_iter().map(|info| watched(&app, info)).collect() }))
}

/// One share.
#[utoipa::path(
    get, path = "/v1/shares/{id}", tag = "share", params(("id" = ShareId, Path)),
    responses((status = 200, body = ShareInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn open(
    State(app): State<App>,
    device: Device,
    Id(share): Id<ShareId>,
) -> Result<axum::Json<ShareInfo>, ApiError> {
    Ok(axum::Json(watched(&app, app.store.share(device.account, share).await?)))
}

/// Changes what a share allows, from the next grant on.
#[utoipa::path(
    post, path = "/v1/shares/{id}/policy", tag = "share", params(("id" = ShareId, Path)), request_body = Policy,
    responses((status = 200, body = ShareInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn set_policy(
    State(app): State<App>,
    device: Device,
    Id(share): Id<ShareId>,
    Json(policy): Json<Policy>,
) -> Result<axum::Json<ShareInfo>, ApiError> {
    check_policy(&policy)?;
    let info = app.store.set_share_policy(device.account, share, policy).await?;
    app.playbacks.set_policy(share, &info.policy);
    Ok(axum::Json(watched(&app, info)))
}

/// Ends a share: no segment is granted under it any more, and the server forgets its half of the keys.
#[utoipa::path(
    post, path = "/v1/shares/{id}/revoke", tag = "share", params(("id" = ShareId, Path)),
    responses((status = 200, body = ShareInfo), (status = "default", body = ErrorBody))
)]
pub(super) async fn revoke(
    State(app): State<App>,
    device: Device,
    Id(share): Id<ShareId>,
) -> Result<axum::Json<ShareInfo>, ApiError> {
    let info = app.store.revoke_share(device.account, share, app.now()).await?;
    app.playbacks.forget_share(share);
    Ok(axum::Json(watched(&app, info)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// The last row that is known already.
    after: Option<u64>,
    /// Rows at most.
    limit: Option<u32>,
}

/// The log of a video's grants, under all shares.
#[utoipa::path(
    get, path = "/v1/videos/{id}/grants", tag = "share", params(("id" = VideoId, Path), LogQuery),
    responses((status = 200, body = GrantLog), (status = "default", body = ErrorBody))
)]
pub(super) async fn grants(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
    Query(query): Query<LogQuery>,
) -> Result<axum::Json<GrantLog>, ApiError> {
    let most = u32::try_from(MAX_LOG_ROWS).expect("two thousand");
    let (after, limit) = (query.after.unwrap_or(0), query.limit.unwrap_or(most).clamp(1, most));
    let part = app.store.grant_log(device.account, video, after, limit).await?.unwrap_or_else(|| {
        let head = log_start(device.account, video);
        LogPart { rows: Vec::new(), count: 0, head, cleared: 0, cleared_head: head }
    });
    let last = part.rows.last().map_or(after.max(part.cleared), |row| row.number);
    let signature = app.log_key.sign(device.account, video, part.count, &part.head);
    Ok(axum::Json(GrantLog {
        more: last < part.count,
        rows: part.rows,
        count: part.count,
        head: Bytes(part.head.to_vec()),
        cleared: part.cleared,
        cleared_head: Bytes(part.cleared_head.to_vec()),
        signature: Bytes(signature.to_vec()),
        log_key: Bytes(app.log_key.public().to_vec()),
    }))
}

/// Who watched a video, the newest first.
#[utoipa::path(
    get, path = "/v1/videos/{id}/plays", tag = "share", params(("id" = VideoId, Path)),
    responses((status = 200, body = PlayList), (status = "default", body = ErrorBody))
)]
pub(super) async fn plays(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<PlayList>, ApiError> {
    let mut plays = app.store.plays(device.account, video).await?;
    let live = app.playbacks.live_plays(video, app.now());
    for play in &mut plays {
        play.watching = live.contains(&play.playback);
    }
    Ok(axum::Json(PlayList { plays }))
}

/// With who is watching now.
fn watched(app: &App, info: ShareInfo) -> ShareInfo {
    ShareInfo { watching: app.playbacks.watching(info.share, app.now()), ..info }
}

fn check(request: &ShareRequest) -> Result<(), ApiError> {
    let bad = |message: &'static str| Err(ApiError::bad_request(message));
    let link = matches!(request.kind, ShareKind::Link | ShareKind::Audience);
    let given = request.kind == ShareKind::Given;
    if request.recipient.is_some() != (given || request.kind == ShareKind::Lent) {
        return bad("A gift or a loan, and nothing else, has an account that it is for.");
    }
    if given && request.policy != Policy::default() {
        return bad("A gift has no terms.");
    }
    if request.token_hash.is_some() != link
        || request.token_hash.as_ref().is_some_and(|hash| hash.0.len() != 32)
    {
        return bad("A link or an audience, and nothing else, has the hash of a token: 32 bytes.");
    }
    let open = request.kind == ShareKind::Open;
    if !(1..=MAX_SEALED_SHARE).contains(&request.sealed.0.len()) {
        return bad("What is sealed for the viewer is at most 128 KiB.");
    }
    if !(1..=MAX_SHARED_VIDEOS).contains(&request.videos.len()) {
        return bad("A share is of 1 to 500 videos.");
    }
    let videos: HashSet<VideoId> = request.videos.iter().map(|shared| shared.video).collect();
    if videos.len() != request.videos.len() {
        return bad("A share names each video once.");
    }
    for shared in &request.videos {
        if given {
            check_gift(shared)?;
        } else {
            check_video(shared, open)?;
        }
    }
    check_policy(&request.policy)
}

/// The server is to have no part in a gift.
fn check_gift(shared: &SharedVideo) -> Result<(), ApiError> {
    if shared.grant_share.is_some() || shared.view_share.is_some() || !shared.tracks.is_empty() {
        return Err(ApiError::bad_request("Of a gift the server gets no key, and it counts no track."));
    }
    Ok(())
}

fn check_video(shared: &SharedVideo, open: bool) -> Result<(), ApiError> {
    let bad = |message: &'static str| Err(ApiError::bad_request(message));
    let wrong_length = |share: &Option<Bytes>| share.as_ref().is_some_and(|share| share.0.len() != 32);
    if shared.grant_share.is_none() || wrong_length(&shared.grant_share) || wrong_length(&shared.view_share) {
        return bad("A grant share and a view share are 32 bytes.");
    }
    if shared.view_share.is_some() != open {
        return bad("Only an open share, and every open share, gives the server its view shares.");
    }
    if !(1..=MAX_SHARED_TRACKS).contains(&shared.tracks.len()) {
        return bad("A shared video has 1 to 64 tracks.");
    }
    let tracks: HashSet<_> = shared.tracks.iter().map(|track| track.track).collect();
    if tracks.len() != shared.tracks.len() {
        return bad("A shared video names each track once.");
    }
    if !shared.tracks.iter().any(|track| track.charged) {
        return bad("At least one track of a shared video is charged.");
    }
    let sensible =
        |segments, nominal| (1..=MAX_SEGMENTS).contains(&segments) && NOMINAL_MS.contains(&nominal);
    if !shared.tracks.iter().all(|track| sensible(track.segments, track.nominal_ms)) {
        return bad("A track has at least one segment, which plays for at most ten minutes.");
    }
    Ok(())
}

fn check_policy(policy: &Policy) -> Result<(), ApiError> {
    let bad = |message: &'static str| Err(ApiError::bad_request(message));
    if policy.from.zip(policy.until).is_some_and(|(from, until)| from >= until) {
        return bad("A share begins before it ends.");
    }
    if [policy.max_viewers, policy.max_plays, policy.max_at_once].contains(&Some(0)) {
        return bad("A limit of nobody is no share: revoke it instead.");
    }
    if policy.speed_tenths.is_some_and(|speed| !(10..=10_000).contains(&speed)) {
        return bad("A share is watched in real time at least, and a thousand times as fast at most.");
    }
    if policy.embed_origins.len() > MAX_EMBED_ORIGINS || !policy.embed_origins.iter().all(|o| is_origin(o)) {
        return bad("A share is embedded by at most 16 origins such as https://course.example.org.");
    }
    Ok(())
}

/// Whether a text is an origin, exactly as a browser spells it, whose pages cannot be somebody else's.
fn is_origin(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    // One site each: in a Content-Security-Policy `*.example` would be many.
    let one = url.host_str().is_some_and(|host| !host.contains('*'));
    let secure = url.scheme() == "https"
        || (url.scheme() == "http" && url.host_str().is_some_and(crate::client::is_loopback));
    one && secure && url.origin().ascii_serialization() == text
}

/// The share with the halves of its keys sealed under the master key.
async fn seal(app: &App, account: AccountId, request: &ShareRequest) -> Result<NewShare, ApiError> {
    let key_id = app.kms.current();
    let mut videos = Vec::with_capacity(request.videos.len());
    for shared in &request.videos {
        let bound = |role| Bound { role, account, video: shared.video, share: request.share };
        videos.push(NewSharedVideo {
            video: shared.video,
            grant_share: match &shared.grant_share {
                Some(half) => Some(seal_half(app, &key_id, half, bound("grant")).await?),
                None => None,
            },
            view_share: match &shared.view_share {
                Some(half) => Some(seal_half(app, &key_id, half, bound("view")).await?),
                None => None,
            },
            tracks: shared.tracks.clone(),
        });
    }
    let request_bytes = serde_json::to_vec(request).map_err(ApiError::internal)?;
    Ok(NewShare {
        share: request.share,
        kind: request.kind,
        recipient: request.recipient,
        token_hash: request.token_hash.as_ref().map(|hash| hash.0.as_slice().try_into().expect("checked")),
        sealed: request.sealed.0.clone(),
        policy: request.policy.clone(),
        videos,
        key_id,
        request: Sha256::digest(zeroize::Zeroizing::new(request_bytes)).into(),
    })
}

async fn seal_half(app: &App, key_id: &str, half: &Bytes, bound: Bound) -> Result<Vec<u8>, ApiError> {
    let half = Secret::new(half.0.as_slice().try_into().expect("checked to be 32 bytes"));
    app.kms.seal(key_id, &half, &bound).await.map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelled_in_one_way_and_is_secure() {
        for yes in
            ["https://a.example", "https://a.example:8443", "http://localhost:3000", "http://127.0.0.1"]
        {
            assert!(is_origin(yes), "{yes}");
        }
        for no in [
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "https://*.example",
            "http://a.example",
            "https://a.example; script-src *",
            "https://a.example https://b.example",
            "https://u@a.example",
            "'self'",
            "*",
            "",
            "null",
            "data:x",
        ] {
            assert!(!is_origin(no), "{no}");
        }
    }
}
