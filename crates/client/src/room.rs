//! Rooms that somebody made: their links, and what makes an account the host of them.
//!
//! The server keeps a room's rules, and of its link what tells whether somebody has it. The link itself, and what the host
//! signs with, rest in a sealed record of the library, so that every device of the owner can show the link again and come in
//! as the host. Links are made, and rooms are held, by `gloaming-room`; here they are kept.

use std::collections::HashMap;

use gloaming_api::room::{RoomDoor, RoomInfo, RoomList, RoomPolicy, RoomRequest};
use gloaming_ids::RoomId;
use gloaming_keys::{RoomDeviceSeed, RoomHostSeed};

use crate::{
    ClientError, Library, Platform,
    library::Edit,
    records::{Fragment, HostSeed, Kept, Record, RoomRecord},
};

/// A room that was drawn up, with its first link, and that nobody knows of yet.
#[derive(Debug)]
pub struct RoomPlan<'a> {
    /// Which.
    pub room: RoomId,
    /// What stands behind its link's `#`.
    pub fragment: &'a str,
    /// What the host signs with.
    pub host: RoomHostSeed,
    /// What it is called. The server never learns it.
    pub name: &'a str,
    /// Whether the host admits everybody one by one.
    pub lobby: bool,
    /// What the server keeps of the link.
    pub door: RoomDoor,
    /// The rules that the server keeps.
    pub policy: RoomPolicy,
}

/// A room, as its owner knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// What the server knows of it.
    pub info: RoomInfo,
    record: Option<RoomRecord>,
}

impl Room {
    /// What it is called; empty where this account does not know.
    pub fn name(&self) -> &str {
        self.record.as_ref().map_or("", |record| record.name.as_str())
    }

    /// The page of the link, with its secret: `/r/<room>#<secret>`. Nothing where the secret is not known.
    pub fn link(&self) -> Option<String> {
        let RoomRecord { room, fragment: Fragment(secret), .. } = self.record.as_ref()?;
        Some(format!("/r/{room}#{secret}"))
    }

    /// Whether the host admits everybody one by one.
    pub fn lobby(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.lobby)
    }
}

/// With what an account comes into a room.
#[derive(Debug)]
pub struct RoomKeys {
    /// What vouches for the account's seats.
    pub device: RoomDeviceSeed,
    /// What makes it the host, where it made the room.
    pub host: Option<RoomHostSeed>,
}

impl<P: Platform> Library<P> {
    /// Makes a room. The server is told first, then the library: what is lost in between is a room whose link nobody has.
    pub async fn make_room(&self, plan: RoomPlan<'_>) -> Result<Room, ClientError> {
        let RoomPlan { room, fragment, host, name, lobby, door, policy } = plan;
        let record = RoomRecord {
            room,
            name: name.trim().into(),
            fragment: Fragment(fragment.into()),
            number: door.number,
            lobby,
            host: HostSeed(serde_bytes::ByteArray::new(*host.expose())),
            created_at: self.0.platform().now(),
        };
        self.0.0.server.post_quiet("/v1/rooms", &RoomRequest { room, door, policy }).await?;
        self.put_room(&record).await?;
        let made = self.rooms().await?.into_iter().find(|made| made.info.room == room);
        made.ok_or_else(|| ClientError::nonsense("a room that was made and is not there"))
    }

    /// The rooms that are not over, the newest first: what the server knows joined with what only the owner does.
    pub async fn rooms(&self) -> Result<Vec<Room>, ClientError> {
        let list: RoomList = self.0.0.server.get("/v1/rooms").await?;
        let library = self.0.0.library.borrow();
        let records: HashMap<RoomId, &RoomRecord> =
            library.rooms().map(|record| (record.room, record)).collect();
        let joined =
            |info: RoomInfo| Room { record: records.get(&info.room).map(|record| (*record).clone()), info };
        Ok(list.rooms.into_iter().map(joined).collect())
    }

    /// Ends a room: everybody is sent away, and its link leads nowhere.
    pub async fn end_room(&self, room: RoomId) -> Result<(), ClientError> {
        match self.0.0.server.delete(&format!("/v1/rooms/{room}")).await {
            // It was over, or the first answer was lost.
            Ok(()) | Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let id = self.0.keys()?.derive_record_id("room", room.as_bytes());
        self.write(|library| Ok(if library.has(id) { vec![Edit::Delete(id)] } else { vec![] })).await
    }

    /// With what this account comes into a room, its own or somebody else's.
    pub fn room_keys(&self, room: RoomId) -> Result<RoomKeys, ClientError> {
        let device = RoomDeviceSeed::of(self.0.keys()?.identity());
        let library = self.0.0.library.borrow();
        let host = library.room_kept(room).map(|record| RoomHostSeed::from_bytes(*record.known.host.0));
        Ok(RoomKeys { device, host })
    }

    /// The host removed somebody, so the room has another link. The library is told first: the server listens to the old
    /// link until it is told too, and a link that it has and nobody knows would be lost.
    pub async fn change_room_link(
        &self,
        room: RoomId,
        fragment: &str,
        door: &RoomDoor,
    ) -> Result<(), ClientError> {
        let record = self.0.0.library.borrow().room_kept(room).map(|record| record.known.clone());
        let Some(record) = record else {
            return Err(ClientError::NotFound { what: "such room of this account".into() });
        };
        if door.number < record.number {
            return Err(ClientError::WrongState { reason: "the room has a later link than this one".into() });
        }
        let changed = RoomRecord { fragment: Fragment(fragment.into()), number: door.number, ..record };
        self.put_room(&changed).await?;
        self.0.0.server.put_quiet(&format!("/v1/rooms/{room}/door"), door).await
    }

    async fn put_room(&self, known: &RoomRecord) -> Result<(), ClientError> {
        let id = self.0.keys()?.derive_record_id("room", known.room.as_bytes());
        self.write(|library| {
            let there = library.room_kept(known.room);
            // Another device of the host's may have been quicker.
            if there.is_some_and(|there| there.known == *known || there.known.number > known.number) {
                return Ok(vec![]);
            }
            Ok(vec![Edit::Write(id, Record::Room(Kept::over(there, known.clone())))])
        })
        .await
    }
}
