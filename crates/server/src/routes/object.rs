use std::collections::HashSet;

use axum::extract::State;
use futures::{StreamExt, TryStreamExt};
use gloaming_api::{
    ErrorBody,
    video::{
        MAX_OBJECT_BYTES, MAX_OBJECTS, ObjectIds, ObjectsRequest, SignedDownload, SignedDownloads,
        SignedUploads, StoredObject, StoredObjects, VideoState,
    },
};
use gloaming_ids::{AccountId, ObjectId, VideoId};
use gloaming_store::Reservation;

use crate::{
    app::App,
    data_dir::entropy,
    error::ApiError,
    extract::{Device, Id, Json},
};

/// Questions to the object store at a time, when a commit asks after its objects.
const IN_FLIGHT: usize = 16;

/// Sets places aside for objects, and signs an upload for each. Their bytes count against the quota from now on.
#[utoipa::path(
    post, path = "/v1/videos/{id}/objects", tag = "video", params(("id" = VideoId, Path)),
    request_body = ObjectsRequest,
    responses((status = 200, body = SignedUploads), (status = "default", body = ErrorBody))
)]
pub(super) async fn reserve(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
    Json(request): Json<ObjectsRequest>,
) -> Result<axum::Json<SignedUploads>, ApiError> {
    check_count(request.lengths.len())?;
    if request.lengths.iter().any(|length| !(1..=MAX_OBJECT_BYTES).contains(length)) {
        return Err(ApiError::bad_request("An object has 1 byte to 66 MiB."));
    }
    let now = app.now();
    let objects: Vec<Reservation> = request
        .lengths
        .into_iter()
        .map(|length| Reservation { object: ObjectId::generate(&mut entropy), length })
        .collect();
    app.store.reserve_objects(device.account, video, objects.clone(), now).await?;
    let uploads = objects.iter().map(|o| app.blobs.sign_put(o.object, o.length, now)).collect();
    Ok(axum::Json(SignedUploads { uploads }))
}

/// Fresh addresses for objects not yet stored.
#[utoipa::path(
    post, path = "/v1/videos/{id}/objects/renew", tag = "video", params(("id" = VideoId, Path)),
    request_body = ObjectIds,
    responses((status = 200, body = SignedUploads), (status = "default", body = ErrorBody))
)]
pub(super) async fn renew(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
    Json(ObjectIds { objects }): Json<ObjectIds>,
) -> Result<axum::Json<SignedUploads>, ApiError> {
    check_count(objects.len())?;
    if app.store.video(device.account, video).await?.state == VideoState::Trashed {
        let message = "The video is in the trash. Restore it first.";
        return Err(ApiError::new(gloaming_api::ErrorCode::WrongState, message));
    }
    let there = app.store.objects(device.account, video).await?;
    let now = app.now();
    let sign = |object: ObjectId| {
        let found = there.iter().find(|there| there.object == object).ok_or_else(ApiError::not_found)?;
        Ok(app.blobs.sign_put(object, found.length, now))
    };
    let uploads = objects.into_iter().map(sign).collect::<Result<_, ApiError>>()?;
    Ok(axum::Json(SignedUploads { uploads }))
}

/// What of a video is stored already.
#[utoipa::path(
    get, path = "/v1/videos/{id}/objects", tag = "video", params(("id" = VideoId, Path)),
    responses((status = 200, body = StoredObjects), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(
    State(app): State<App>,
    device: Device,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<StoredObjects>, ApiError> {
    Ok(axum::Json(StoredObjects { objects: confirm(&app, device.account, video, None).await? }))
}

/// Signed addresses of any objects of one's own.
#[utoipa::path(
    post, path = "/v1/urls", tag = "video", request_body = ObjectIds,
    responses((status = 200, body = SignedDownloads), (status = "default", body = ErrorBody))
)]
pub(super) async fn urls(
    State(app): State<App>,
    device: Device,
    Json(ObjectIds { objects }): Json<ObjectIds>,
) -> Result<axum::Json<SignedDownloads>, ApiError> {
    check_count(objects.len())?;
    Ok(axum::Json(SignedDownloads { downloads: sign(&app, device.account, objects).await? }))
}

/// Signs downloads of an account's own objects.
pub(super) async fn sign(
    app: &App,
    account: AccountId,
    objects: Vec<ObjectId>,
) -> Result<Vec<SignedDownload>, ApiError> {
    let now = app.now();
    let objects = app.store.objects_of(account, objects).await?;
    Ok(objects.iter().map(|object| app.blobs.sign_get(object.object, object.length, now)).collect())
}

/// The objects of a video, after asking the object store about those that nobody has seen there yet (of `wanted` only,
/// if given) and remembering those that are.
pub(super) async fn confirm(
    app: &App,
    account: AccountId,
    video: VideoId,
    wanted: Option<&[ObjectId]>,
) -> Result<Vec<StoredObject>, ApiError> {
    let mut objects = app.store.objects(account, video).await?;
    let wanted: Option<HashSet<&ObjectId>> = wanted.map(|wanted| wanted.iter().collect());
    let unseen = objects
        .iter()
        .filter(|object| {
            !object.stored && wanted.as_ref().is_none_or(|wanted| wanted.contains(&object.object))
        })
        .cloned()
        .collect::<Vec<_>>();
    let found: HashSet<ObjectId> = futures::stream::iter(unseen)
        .map(async |object: StoredObject| -> Result<Option<ObjectId>, ApiError> {
            let length = app.blobs.stored_length(object.object).await?;
            Ok((length == Some(object.length)).then_some(object.object))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    if !found.is_empty() {
        app.store.mark_stored(account, found.iter().copied().collect()).await?;
    }
    for object in &mut objects {
        object.stored |= found.contains(&object.object);
    }
    Ok(objects)
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if (1..=MAX_OBJECTS).contains(&count) {
        Ok(())
    } else {
        Err(ApiError::bad_request("One request names 1 to 256 objects."))
    }
}
