//! Rooms: those that this account made, their links, and with what it comes into one.

use gloaming_api::room::{RoomDoor, RoomPolicy};
use gloaming_client::room::{Room, RoomPlan};
use gloaming_ids::{RoomId, UnixMillis};
use gloaming_keys::RoomHostSeed;
use wasm_bindgen::prelude::*;

use super::{WebVault, access::origin};
use crate::{
    convert::{Answer, fault, from_js, id, to_js},
    wire::{self, RoomAsk},
};

#[wasm_bindgen]
impl WebVault {
    /// Makes a room that a room's worker drew up: `{ room, fragment, host, name, lobby, door, maxSeats, expiresAt,
    /// hideAddresses }` → the room, with its link.
    #[wasm_bindgen(js_name = depositRoom)]
    pub async fn deposit_room(&self, ask: JsValue) -> Answer {
        let RoomAsk { room, fragment, host, name, lobby, door, max_seats, expires_at, hide_addresses } =
            from_js(&ask)?;
        let host = <[u8; 32]>::try_from(host.as_slice()).map_err(|_| fault("a host's key has 32 bytes"))?;
        let plan = RoomPlan {
            room: id(&room)?,
            fragment: &fragment,
            host: RoomHostSeed::from_bytes(host),
            name: &name,
            lobby,
            door,
            policy: RoomPolicy { max_seats, expires_at: expires_at.map(UnixMillis), hide_addresses },
        };
        let made = self.change(async |library| library.make_room(plan).await).await?;
        Ok(to_js(&shown(&made)))
    }

    /// This account's rooms that are not over, the newest first.
    pub async fn rooms(&self) -> Answer {
        let rooms = self.change(async |library| library.rooms().await).await?;
        Ok(to_js(&rooms.iter().map(shown).collect::<Vec<_>>()))
    }

    /// Ends a room for good.
    #[wasm_bindgen(js_name = endRoom)]
    pub async fn end_room(&self, room: String) -> Answer<()> {
        let room: RoomId = id(&room)?;
        self.change(async |library| library.end_room(room).await).await
    }

    /// With what this account comes into a room: `{ username, device, host }`. For the worker that holds the room.
    #[wasm_bindgen(js_name = roomKeys)]
    pub async fn room_keys(&self, room: String) -> Answer {
        let room: RoomId = id(&room)?;
        let username = self.session().map_err(|error| self.complain(error))?.username().to_owned();
        let keys = self
            .change(async |library| {
                // A room that another device made is known here once the library was looked at.
                library.sync().await?;
                library.room_keys(room)
            })
            .await?;
        Ok(to_js(&wire::RoomKeys {
            username,
            device: keys.device.expose().to_vec(),
            host: keys.host.map(|host| host.expose().to_vec()),
        }))
    }

    /// The host removed somebody, and the room has another link: `{ fragment, door }`.
    #[wasm_bindgen(js_name = changeRoomLink)]
    pub async fn change_room_link(&self, room: String, fragment: String, door: JsValue) -> Answer<()> {
        let (room, door): (RoomId, RoomDoor) = (id(&room)?, from_js(&door)?);
        self.change(async |library| library.change_room_link(room, &fragment, &door).await).await
    }
}

fn shown(room: &Room) -> wire::Room {
    let policy = room.info.view.policy;
    wire::Room {
        room: room.info.room.to_string(),
        name: room.name().into(),
        link: room.link().map(|path| format!("{}{path}", origin())),
        lobby: room.lobby(),
        created_at: room.info.created_at.0,
        max_seats: policy.max_seats,
        expires_at: policy.expires_at.map(|at| at.0),
        live: room.info.view.live,
    }
}
