use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use gloaming_api::{
    Bytes, ErrorBody, ErrorCode,
    playback::{Grants, PlaybackRefresh, PlaybackRefreshed, PlaybackReport, PlaybackStart, PlaybackStarted},
    share::ShareKind,
    video::SignedDownloads,
};
use gloaming_grants::{
    chain::EPOCH,
    exchange::{Purpose, answer},
};
use gloaming_ids::{Context, ObjectId, PlaybackId, TrackId, UnixMillis, VideoId};
use gloaming_store::{PlayReport, PlayStart, ShareTerms, StoreError};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::IntoParams;

use crate::{
    app::App,
    client::Client,
    data_dir::entropy,
    error::ApiError,
    extract::{Device, Json},
    grants::{
        Asked, Browser, Bucket, GoOn, NewSession, Objects, Pace, Report, Segments, Session, authorise, place,
        playback_cookie,
    },
    kms,
};

/// Begins a playback, or goes on with one after a while or a restart of the server.
#[utoipa::path(
    post, path = "/v1/session", tag = "playback", request_body = PlaybackStart,
    responses((status = 200, body = PlaybackStarted), (status = "default", body = ErrorBody))
)]
pub(super) async fn start(
    State(app): State<App>,
    client: Client,
    device: Result<Device, ApiError>,
    headers: HeaderMap,
    Json(start): Json<PlaybackStart>,
) -> Result<(HeaderMap, axum::Json<PlaybackStarted>), ApiError> {
    let now = app.now();
    app.limits.playback(client.network())?;
    let (terms, viewer) = admit(&app, &client, device, &start, now).await?;
    if terms.kind == ShareKind::Given {
        // There is nothing to grant: whom it is for has all keys.
        return Err(ApiError::not_found());
    }
    let video = match start.video_id {
        Some(video) if terms.videos.contains(&video) => video,
        Some(_) => return Err(ApiError::not_found()),
        None => *terms.videos.first().ok_or_else(ApiError::not_found)?,
    };
    let share = start.share;
    app.store.check_share(share, video, now).await?;

    let purpose = Purpose { playback: PlaybackId::generate(&mut entropy), video, share };
    let (answer, epochs) = answer(&purpose, start.client_pubkey_b64.as_ref(), &mut entropy)
        .map_err(|_| ApiError::bad_request("This is not a public key of this exchange."))?;
    let browser = Browser::of(&headers);
    app.playbacks.enter(share, browser.hash(), &terms.policy, now)?;
    let hot = app.playbacks.hot(&app, terms.account, share, video).await?;
    let view_share = match terms.kind {
        ShareKind::Open => Some(view_share(&app, &terms, &purpose).await?),
        ShareKind::Given | ShareKind::Lent | ShareKind::Link | ShareKind::Audience => None,
    };
    // Last, because it counts.
    let begin = PlayStart {
        share,
        video,
        playback: purpose.playback,
        browser: browser.hash(),
        viewer: viewer.unwrap_or_else(|| browser.hash()),
        place: place(&client, &headers),
        idle: app.config.playback.session_ttl,
    };
    let begun = app.store.start_play(begin, now).await.inspect_err(|_| {
        // Who may not watch takes nobody's place.
        app.playbacks.leave(share, browser.hash());
    })?;

    let playback = &app.config.playback;
    let expires_at = now + playback.session_ttl.min(playback.session_longest);
    let requests = playback.request_pace().unwrap_or(Pace { burst_ms: 0, speed_tenths: 0 });
    app.playbacks.admit(
        Session::new(NewSession {
            purpose,
            kind: terms.kind,
            browser: browser.hash(),
            embedded: start.embedded,
            play: begun.play,
            epochs,
            hot,
            requests: Bucket::full(requests, now),
            started_at: now,
            expires_at,
        }),
        begun.policy.clone(),
    )?;
    // A revocation that came in between did not see this session, and it must not keep the keys.
    app.store.check_share(share, video, now).await.inspect_err(|_| app.playbacks.end(purpose.playback))?;
    let index = app.blobs.sign_get_briefly(begun.index.object, begun.index.length, now);
    let started = PlaybackStarted {
        session_id: purpose.playback,
        video_id: video,
        kem_ciphertext_b64: answer.ciphertext.into(),
        nonce_b64: Bytes(answer.nonce.to_vec()),
        epoch_seconds: u32::try_from(EPOCH.as_secs()).expect("twenty"),
        expires_at,
        now,
        kind: terms.kind,
        policy: begun.policy,
        videos: terms.videos,
        sealed: terms.sealed.into(),
        view_share,
        index_version: begun.index.version,
        index,
    };
    Ok((with_cookie(&app, &browser, start.embedded, client.https), axum::Json(started)))
}

/// The terms of a share, for whoever shows that it is for them; and what counts as one viewer, if not the browser.
async fn admit(
    app: &App,
    client: &Client,
    device: Result<Device, ApiError>,
    start: &PlaybackStart,
    now: UnixMillis,
) -> Result<(ShareTerms, Option<[u8; 32]>), ApiError> {
    let network = client.network();
    app.playbacks.may_try(start.share, network, now)?;
    let found = app.store.share_terms(start.share).await?;
    let is_link = found.as_ref().is_none_or(|terms| terms.token_hash.is_some());
    if is_link {
        // A share that does not exist is refused as a wrong token is, after the same work.
        let hash: [u8; 32] = Sha256::digest(start.token.as_ref().map_or(&[][..], Bytes::as_ref)).into();
        let wanted = found.as_ref().and_then(|terms| terms.token_hash).unwrap_or_default();
        if !bool::from(hash.ct_eq(&wanted)) {
            app.playbacks.tried_in_vain(start.share, network, now);
            let message =
                "This link does not open anything. Check that all of it was copied, and the password.";
            return Err(ApiError::new(ErrorCode::LinkRefused, message));
        }
    }
    let terms = found.ok_or_else(ApiError::not_found)?;
    let Some(recipient) = terms.recipient else { return Ok((terms, None)) };
    if device?.account != recipient {
        return Err(ApiError::not_found());
    }
    let account = Context::new("viewer-account").field(recipient);
    Ok((terms, Some(Sha256::digest(account.as_bytes()).into())))
}

/// The half of an open share that others keep from the server.
async fn view_share(app: &App, terms: &ShareTerms, purpose: &Purpose) -> Result<Bytes, ApiError> {
    let envelope = app.store.shared_keys(purpose.share, purpose.video).await?.envelope;
    let sealed = envelope.view_share.ok_or(StoreError::ShareRevoked)?;
    let bound =
        kms::Bound { role: "view", account: terms.account, video: purpose.video, share: purpose.share };
    let opened = kms::open(app.kms.as_ref(), &envelope.key_id, &sealed, &bound).await;
    Ok(Bytes(opened.map_err(ApiError::internal)?.to_vec()))
}

fn with_cookie(app: &App, browser: &Browser, embedded: bool, https: bool) -> HeaderMap {
    let seconds = app.config.playback.session_ttl.as_secs();
    HeaderMap::from_iter([(header::SET_COOKIE, playback_cookie(browser, embedded, https, seconds))])
}

/// Goes on for a while longer, with fresh keys mixed in.
#[utoipa::path(
    post, path = "/v1/session/refresh", tag = "playback", request_body = PlaybackRefresh,
    responses((status = 200, body = PlaybackRefreshed), (status = "default", body = ErrorBody))
)]
pub(super) async fn refresh(
    State(app): State<App>,
    asked: Asked,
) -> Result<(HeaderMap, axum::Json<PlaybackRefreshed>), ApiError> {
    let body: PlaybackRefresh = asked.body()?;
    let went_on = authorise(&app, &asked, GoOn { public_key: body.client_pubkey_b64 }).await?;
    let headers = match asked.browser(&went_on.browser) {
        Some(browser) => with_cookie(&app, browser, went_on.embedded, asked.https()),
        None => HeaderMap::new(),
    };
    Ok((headers, axum::Json(went_on.refreshed)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Of which video.
    #[param(value_type = String)]
    video_id: VideoId,
    /// Of which track.
    #[param(value_type = String)]
    rend: TrackId,
    /// One segment…
    seg_idx: Option<u32>,
    /// …or from this one on…
    from: Option<u32>,
    /// …so many.
    count: Option<u32>,
}

/// Grants segments: their half of the keys that the server holds, wrapped for this playback.
#[utoipa::path(
    get, path = "/v1/key", tag = "playback", params(KeyQuery),
    responses((status = 200, body = Grants), (status = "default", body = ErrorBody))
)]
pub(super) async fn key(State(app): State<App>, asked: Asked) -> Result<axum::Json<Grants>, ApiError> {
    let query: KeyQuery = asked.query()?;
    let (from, count) = match (query.seg_idx, query.from, query.count) {
        (Some(index), None, None) => (index, 1),
        (None, Some(from), count) => (from, count.unwrap_or(1)),
        _ => {
            return Err(ApiError::bad_request("Ask for one segment (seg_idx) or for several (from, count)."));
        }
    };
    let wish = Segments { video: query.video_id, track: query.rend, from, count };
    Ok(axum::Json(authorise(&app, &asked, wish).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UrlsQuery {
    /// Of which video.
    #[param(value_type = String)]
    video_id: VideoId,
    /// Ids, by commas.
    objects: String,
}

/// Signed addresses of objects of the video, for a few minutes.
#[utoipa::path(
    get, path = "/v1/urls", tag = "playback", params(UrlsQuery),
    responses((status = 200, body = SignedDownloads), (status = "default", body = ErrorBody))
)]
pub(super) async fn urls(
    State(app): State<App>,
    asked: Asked,
) -> Result<axum::Json<SignedDownloads>, ApiError> {
    let query: UrlsQuery = asked.query()?;
    let objects: Result<Vec<ObjectId>, _> = query.objects.split(',').map(str::parse).collect();
    let objects = objects.map_err(|_| ApiError::bad_request("Objects are ids, by commas."))?;
    let found = authorise(&app, &asked, Objects { video: query.video_id, objects }).await?;
    let now = app.now();
    let sign =
        |object: &gloaming_store::Reservation| app.blobs.sign_get_briefly(object.object, object.length, now);
    Ok(axum::Json(SignedDownloads { downloads: found.iter().map(sign).collect() }))
}

/// How it went, as the viewer's program says, for the owner.
#[utoipa::path(
    post, path = "/v1/session/report", tag = "playback", request_body = PlaybackReport,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn report(State(app): State<App>, asked: Asked) -> Result<StatusCode, ApiError> {
    let PlaybackReport { startup_ms, stalls } = asked.body()?;
    authorise(&app, &asked, Report(PlayReport { startup_ms, stalls })).await?;
    Ok(StatusCode::NO_CONTENT)
}
