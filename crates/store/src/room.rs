use gloaming_api::room::{MAX_ROOMS, RoomPolicy};
use gloaming_ids::{AccountId, RoomId, UnixMillis};
use rusqlite::{OptionalExtension, Row};

use crate::{Store, StoreError, share};

/// What is kept of a room's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDoor {
    /// How many removals came before it.
    pub number: u32,
    /// SHA-256 of the pass that it gives.
    pub hash: [u8; 32],
    /// The room's name, which only those with the link can open.
    pub sealed: Vec<u8>,
}

/// A room, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRoom {
    /// Which.
    pub room: RoomId,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Of its link, as it is now.
    pub door: StoredDoor,
    /// Its rules.
    pub policy: RoomPolicy,
    /// What [`Store::save_room_head`] kept last.
    pub head: Option<Vec<u8>>,
}

impl Store {
    /// Makes a room. The same one again, of the same account, changes nothing.
    pub async fn create_room(
        &self,
        account: AccountId,
        room: RoomId,
        door: StoredDoor,
        policy: RoomPolicy,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let there = db
                .query_row(
                    "SELECT account, link, door, sealed FROM rooms WHERE id = ?1",
                    [room.as_bytes()],
                    |row| Ok((row.get::<_, [u8; 16]>(0)?, stored_door(row, 1)?)),
                )
                .optional()?;
            match there {
                Some((of, as_door)) if of == *account.as_bytes() && as_door == door => return Ok(()),
                Some(_) => return Err(StoreError::WrongState("There is a room of this id already.")),
                None => {}
            }
            let count: usize =
                db.query_row("SELECT count(*) FROM rooms WHERE account = ?1", [account.as_bytes()], |r| {
                    r.get(0)
                })?;
            if count >= MAX_ROOMS {
                return Err(StoreError::WrongState("Too many rooms are open. End some of them first."));
            }
            db.execute(
                "INSERT INTO rooms (id, account, link, door, sealed, policy, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    room.as_bytes(),
                    account.as_bytes(),
                    door.number,
                    door.hash,
                    &door.sealed,
                    share::json_text(&policy),
                    now.0,
                    policy.expires_at.map(|at| at.0),
                ),
            )?;
            Ok(())
        })
        .await
    }

    /// The link is another: only one of a greater number takes the place of one that is there. The same one again changes
    /// nothing.
    pub async fn change_room_door(
        &self,
        account: AccountId,
        room: RoomId,
        door: StoredDoor,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let (current, hash): (u32, [u8; 32]) = db
                .query_row(
                    "SELECT link, door FROM rooms WHERE id = ?1 AND account = ?2",
                    (room.as_bytes(), account.as_bytes()),
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?
                .ok_or(StoreError::NotFound)?;
            if (current, hash) == (door.number, door.hash) {
                return Ok(());
            }
            if door.number <= current {
                return Err(StoreError::VersionConflict { current: current.into() });
            }
            db.execute(
                "UPDATE rooms SET link = ?2, door = ?3, sealed = ?4 WHERE id = ?1",
                (room.as_bytes(), door.number, door.hash, &door.sealed),
            )?;
            Ok(())
        })
        .await
    }

    /// The rooms of an account that are not over, the newest first.
    pub async fn rooms(&self, account: AccountId, now: UnixMillis) -> Result<Vec<StoredRoom>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, created_at, link, door, sealed, policy, NULL FROM rooms
                 WHERE account = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY number DESC",
            )?;
            let rows = statement.query_map((account.as_bytes(), now.0), stored)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A room that is not over.
    pub async fn room(&self, room: RoomId, now: UnixMillis) -> Result<StoredRoom, StoreError> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT r.id, r.created_at, r.link, r.door, r.sealed, r.policy, r.head
                 FROM rooms r JOIN accounts a ON a.id = r.account
                 WHERE r.id = ?1 AND (r.expires_at IS NULL OR r.expires_at > ?2) AND NOT a.disabled",
            )?
            .query_row((room.as_bytes(), now.0), stored)
            .optional()?
            .ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Keeps what has to outlive a restart. Of a room that is over, nothing.
    pub async fn save_room_head(&self, room: RoomId, head: Vec<u8>) -> Result<(), StoreError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE rooms SET head = ?2 WHERE id = ?1")?
                .execute((room.as_bytes(), head))?;
            Ok(())
        })
        .await
    }

    /// Ends a room.
    pub async fn delete_room(&self, account: AccountId, room: RoomId) -> Result<(), StoreError> {
        self.write(move |db| {
            let deleted = db.execute(
                "DELETE FROM rooms WHERE id = ?1 AND account = ?2",
                (room.as_bytes(), account.as_bytes()),
            )?;
            if deleted == 0 { Err(StoreError::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// Forgets rooms whose time is over; which.
    pub async fn expire_rooms(&self, now: UnixMillis) -> Result<Vec<RoomId>, StoreError> {
        self.write(move |db| {
            let mut statement = db.prepare_cached("DELETE FROM rooms WHERE expires_at <= ?1 RETURNING id")?;
            let rows = statement.query_map([now.0], |row| Ok(RoomId::from_bytes(row.get(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRoom> {
    Ok(StoredRoom {
        room: RoomId::from_bytes(row.get(0)?),
        created_at: UnixMillis(row.get(1)?),
        door: stored_door(row, 2)?,
        policy: share::json(row, 5)?,
        head: row.get(6)?,
    })
}

fn stored_door(row: &Row<'_>, first: usize) -> rusqlite::Result<StoredDoor> {
    Ok(StoredDoor { number: row.get(first)?, hash: row.get(first + 1)?, sealed: row.get(first + 2)? })
}
