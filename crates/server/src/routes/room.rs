use axum::{
    extract::{State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use gloaming_api::{
    ErrorBody,
    room::{MAX_SEALED_ROOM, RoomDoor, RoomInfo, RoomList, RoomPolicy, RoomRequest, RoomView},
};
use gloaming_ids::RoomId;
use gloaming_room_log::{MAX_MESSAGE, MAX_SEATS};
use gloaming_store::{StoreError, StoredDoor, StoredRoom};

use crate::{
    app::App,
    client::Client,
    cross_origin,
    error::ApiError,
    extract::{Device, Id, Json},
    rooms::{self, Rooms},
};

/// Makes a room.
#[utoipa::path(
    post, path = "/v1/rooms", tag = "rooms", request_body = RoomRequest,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn create(
    State(app): State<App>,
    device: Device,
    Json(request): Json<RoomRequest>,
) -> Result<StatusCode, ApiError> {
    let RoomRequest { room, door, policy } = request;
    check(&policy, &app)?;
    app.store.create_room(device.account, room, checked(door)?, policy, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(door: RoomDoor) -> Result<StoredDoor, ApiError> {
    let RoomDoor { number, hash, sealed } = door;
    let Ok(hash) = hash.0.try_into() else {
        return Err(ApiError::bad_request("The hash of a room's pass has 32 bytes."));
    };
    if sealed.0.is_empty() || sealed.0.len() > MAX_SEALED_ROOM {
        return Err(ApiError::bad_request("What is sealed of a room takes at most 4096 bytes."));
    }
    Ok(StoredDoor { number, hash, sealed: sealed.0 })
}

fn check(policy: &RoomPolicy, app: &App) -> Result<(), ApiError> {
    let seats = usize::try_from(policy.max_seats).unwrap_or(usize::MAX);
    if !(2..=MAX_SEATS).contains(&seats) {
        return Err(ApiError::bad_request("A room has at least 2 seats and at most 128."));
    }
    if policy.expires_at.is_some_and(|at| at <= app.now()) {
        return Err(ApiError::bad_request("The room would be over already."));
    }
    Ok(())
}

/// One's own rooms.
#[utoipa::path(
    get, path = "/v1/rooms", tag = "rooms",
    responses((status = 200, body = RoomList), (status = "default", body = ErrorBody))
)]
pub(super) async fn list(State(app): State<App>, device: Device) -> Result<axum::Json<RoomList>, ApiError> {
    let rooms = app.store.rooms(device.account, app.now()).await?;
    let info = |stored: StoredRoom| RoomInfo {
        room: stored.room,
        created_at: stored.created_at,
        view: view(&app, stored),
    };
    Ok(axum::Json(RoomList { rooms: rooms.into_iter().map(info).collect() }))
}

/// A room, for whoever has its link.
#[utoipa::path(
    get, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = RoomId, Path)),
    responses((status = 200, body = RoomView), (status = "default", body = ErrorBody))
)]
pub(super) async fn open(
    State(app): State<App>,
    client: Client,
    Id(room): Id<RoomId>,
) -> Result<axum::Json<RoomView>, ApiError> {
    app.limits.room(client.network())?;
    let stored = app.store.room(room, app.now()).await?;
    Ok(axum::Json(view(&app, stored)))
}

fn view(app: &App, stored: StoredRoom) -> RoomView {
    let live = u32::try_from(app.rooms.live(stored.room)).unwrap_or(u32::MAX);
    let StoredDoor { number, sealed, .. } = stored.door;
    RoomView { number, sealed: sealed.into(), policy: stored.policy, live }
}

/// Deposits what tells those with the new link from strangers, because the host removed somebody.
#[utoipa::path(
    put, path = "/v1/rooms/{id}/door", tag = "rooms", params(("id" = RoomId, Path)), request_body = RoomDoor,
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn change_door(
    State(app): State<App>,
    device: Device,
    Id(room): Id<RoomId>,
    Json(door): Json<RoomDoor>,
) -> Result<StatusCode, ApiError> {
    let door = checked(door)?;
    to_the_end(async move { Rooms::change_door(&app, device.account, room, door).await }).await
}

/// What is stored of a room and what goes on in it change together, whether or not whoever asked waits for the answer.
async fn to_the_end(
    change: impl Future<Output = Result<(), StoreError>> + Send + 'static,
) -> Result<StatusCode, ApiError> {
    tokio::spawn(change).await.map_err(ApiError::internal)??;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a room.
#[utoipa::path(
    delete, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = RoomId, Path)),
    responses((status = 204), (status = "default", body = ErrorBody))
)]
pub(super) async fn end(
    State(app): State<App>,
    device: Device,
    Id(room): Id<RoomId>,
) -> Result<StatusCode, ApiError> {
    to_the_end(async move { Rooms::end(&app, device.account, room).await }).await
}

/// The room's socket. Its binary frames are those of `gloaming-room-log`, its text frames those of the forwarder.
#[utoipa::path(
    get, path = "/v1/rooms/{id}/ws", tag = "rooms", params(("id" = RoomId, Path)),
    responses((status = 101, description = "a WebSocket of binary and text frames"), (status = "default", body = ErrorBody))
)]
pub(super) async fn socket(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    Id(room): Id<RoomId>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::bad_request("This address is a WebSocket's."))?;
    // A socket is no read: browsers open it for whatever page asks, and do not ask us first.
    if !cross_origin::may_ask(&app, &client, &headers) {
        return Err(ApiError::cross_origin());
    }
    app.limits.room(client.network())?;
    app.store.room(room, app.now()).await?;
    let place = Rooms::place(&app, client.network())?;
    let upgrade = upgrade
        .read_buffer_size(rooms::READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| rooms::serve(socket, app, room, place)))
}
