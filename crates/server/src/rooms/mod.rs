//! Rooms that somebody is in, and their sockets.
//!
//! ```text
//! socket ─ frames ─► Room: its log, under one lock ─ deliveries ─► one bounded queue for each socket ─► socket
//!                      ├ what has to outlive a restart ─► store, behind
//!                      └ who sits on which leaf ─► forwarder (gloaming-sfu) ◄─ text frames ─► the same sockets
//! ```
//!
//! The log (`gloaming-room-log`) decides what is taken and who gets it. Here are sockets, queues, limits and time. Who does
//! not take what is sent to them loses their socket, and nobody waits for them.

mod media;
mod room;
mod socket;
mod turn;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gloaming_api::room::close;
use gloaming_ids::{AccountId, RoomId};
use gloaming_room_log::{Door, Head, Log, Policy};
use gloaming_sfu::Event;
use gloaming_store::{StoreError, StoredDoor, StoredRoom};
use tokio::sync::watch;

use crate::{app::App, error::ApiError};
pub(crate) use media::Media;
use room::{Joined, Room};
pub(crate) use socket::{READ_BUFFER, serve};

/// Bytes that wait for all sockets together, at most: a socket that would need more is closed.
const MAX_WAITING: usize = 256 * 1024 * 1024;

/// For sockets to be closed once the server stops.
const LEAVING: Duration = Duration::from_secs(3);

/// Between two looks at what time has brought.
pub(crate) const GLANCE: Duration = Duration::from_millis(500);

/// Between two looks at what the forwarder counted.
const COUNT: Duration = Duration::from_secs(1);

/// Every room that somebody is in.
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<RoomId, Arc<Room>>>,
    /// Held while a room is read from the store to here, and while what is stored of one changes: so that no room goes on here
    /// by what was true before.
    opening: tokio::sync::Mutex<()>,
    sockets: Mutex<HashMap<IpAddr, usize>>,
    waiting: Arc<AtomicUsize>,
    started: Instant,
    closing: watch::Sender<bool>,
    pub(crate) media: Arc<Media>,
}

impl Rooms {
    pub(crate) fn new(media: Media) -> Self {
        Self {
            rooms: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            sockets: Mutex::default(),
            waiting: Arc::default(),
            started: Instant::now(),
            closing: watch::Sender::new(false),
            media: Arc::new(media),
        }
    }
}

/// Leave for one more socket of a network. Given back when it is dropped.
pub(crate) struct Place {
    app: App,
    network: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sockets = lock(&self.app.rooms.sockets);
        if let Some(count) = sockets.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                sockets.remove(&self.network);
            }
        }
        metrics::gauge!("gloaming_room_sockets").decrement(1);
    }
}

impl Rooms {
    /// Since any one start; it does not jump.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Leave for one more socket.
    pub(crate) fn place(app: &App, network: IpAddr) -> Result<Place, ApiError> {
        let limits = &app.config.rooms;
        let mut sockets = lock(&app.rooms.sockets);
        let all: usize = if sockets.len() < limits.sockets { sockets.values().sum() } else { limits.sockets };
        let here = sockets.entry(network).or_default();
        if all >= limits.sockets || *here >= limits.sockets_per_network {
            if *here == 0 {
                sockets.remove(&network);
            }
            return Err(ApiError::slow_down(60));
        }
        *here += 1;
        drop(sockets);
        metrics::gauge!("gloaming_room_sockets").increment(1);
        Ok(Place { app: app.clone(), network })
    }

    /// How many are in a room now.
    pub(crate) fn live(&self, room: RoomId) -> usize {
        let there = lock(&self.rooms).get(&room).cloned();
        there.map_or(0, |room| room.live())
    }

    /// A room, and a socket's place in it; else the code to close the socket with.
    async fn enter(app: &App, room: RoomId) -> Result<(Arc<Room>, Joined), u16> {
        if let Some(entered) = app.rooms.enter_open(room) {
            return entered;
        }
        let _alone = app.rooms.opening.lock().await;
        if let Some(entered) = app.rooms.enter_open(room) {
            return entered;
        }
        let stored = app.store.room(room, app.now()).await.map_err(|error| match error {
            StoreError::NotFound => close::GONE,
            error => {
                tracing::error!(%error, "a room could not be read");
                close::AGAIN
            }
        })?;
        let log = app.rooms.log(&stored);
        let opened = Arc::new(Room::new(room, log, app.rooms.waiting.clone(), app.rooms.media.clone()));
        // Under the lock, so that the room is not put away between the two.
        let mut rooms = lock(&app.rooms.rooms);
        rooms.insert(room, opened.clone());
        let joined = opened.join().ok_or(close::SLOW_DOWN)?;
        Ok((opened, joined))
    }

    fn enter_open(&self, room: RoomId) -> Option<Result<(Arc<Room>, Joined), u16>> {
        let rooms = lock(&self.rooms);
        let room = rooms.get(&room)?;
        Some(room.join().map(|joined| (room.clone(), joined)).ok_or(close::SLOW_DOWN))
    }

    /// The log of a room as it was left.
    fn log(&self, stored: &StoredRoom) -> Log {
        let policy = Policy {
            max_seats: usize::try_from(stored.policy.max_seats).unwrap_or(usize::MAX),
            door: Door(stored.door.hash),
        };
        // What does not read is as good as none: its members come in again, in a new generation.
        match stored.head.as_deref().and_then(|head| serde_json::from_slice::<Head>(head).ok()) {
            Some(head) => Log::restore(policy, head, self.now()),
            None => Log::new(policy),
        }
    }

    /// Listens to another link than before, here and after a restart.
    pub(crate) async fn change_door(
        app: &App,
        account: AccountId,
        room: RoomId,
        door: StoredDoor,
    ) -> Result<(), StoreError> {
        let _alone = app.rooms.opening.lock().await;
        let hash = door.hash;
        app.store.change_room_door(account, room, door).await?;
        if let Some(room) = lock(&app.rooms.rooms).get(&room) {
            room.change_door(Door(hash));
        }
        Ok(())
    }

    /// Ends a room and sends everybody away.
    pub(crate) async fn end(app: &App, account: AccountId, room: RoomId) -> Result<(), StoreError> {
        let _alone = app.rooms.opening.lock().await;
        app.store.delete_room(account, room).await?;
        app.rooms.send_away(room).await;
        Ok(())
    }

    /// Called while nobody opens a room.
    async fn send_away(&self, room: RoomId) {
        let there = lock(&self.rooms).remove(&room);
        if let Some(room) = there {
            room.close_all(close::GONE);
            room.put_away().await;
        }
    }

    /// Brings what the forwarder says to whom it is for, until the forwarder ends.
    pub(crate) async fn hear_forwarder(app: App) {
        let Some(mut events) = app.rooms.media.events() else { return };
        let mut count = tokio::time::interval(COUNT);
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(Event { room, seat, message }) = event else { break };
                    let there = lock(&app.rooms.rooms).get(&room).cloned();
                    if let Some(room) = there {
                        room.tell(seat, message.encode());
                    }
                }
                _ = count.tick() => app.rooms.media.count().await,
            }
        }
        if !*app.rooms.closing.borrow() {
            tracing::error!("the forwarder has stopped: rooms go without one until the server starts again");
            app.rooms.media.stop();
        }
    }

    /// Sends everybody away who is to come back: the server stops.
    pub(crate) async fn stop(app: &App) {
        app.rooms.closing.send_replace(true);
        let left = async {
            while !lock(&app.rooms.sockets).is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(LEAVING, left).await;
        let rooms: Vec<_> = lock(&app.rooms.rooms).values().cloned().collect();
        for room in rooms {
            room.save(app).await;
        }
        app.rooms.media.stop();
    }

    /// Says who has been without a socket for too long, and puts rooms away that nobody is in.
    pub(crate) async fn glance(app: &App) {
        let now = app.rooms.now();
        let rooms: Vec<_> = lock(&app.rooms.rooms).values().cloned().collect();
        let mut deserted = false;
        for room in rooms {
            if room.tick(now) {
                Room::save_behind(&room, app);
            }
            room.say_who_is_in().await;
            deserted |= room.is_deserted();
        }
        if deserted {
            // So that nobody opens one of them again before the forwarder has forgotten it.
            let _alone = app.rooms.opening.lock().await;
            let deserted: Vec<_> = lock(&app.rooms.rooms).extract_if(|_, room| room.is_deserted()).collect();
            for (_, room) in deserted {
                room.put_away().await;
            }
        }
        metrics::gauge!("gloaming_rooms").set(rooms_count(lock(&app.rooms.rooms).len()));
    }

    /// Forgets rooms whose time is over, and sends away who is in them.
    pub(crate) async fn expire(app: &App) -> Result<usize, StoreError> {
        let _alone = app.rooms.opening.lock().await;
        let over = app.store.expire_rooms(app.now()).await?;
        for room in &over {
            app.rooms.send_away(*room).await;
        }
        Ok(over.len())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number to look at")]
fn rooms_count(count: usize) -> f64 {
    count as f64
}

/// What waits in a queue is counted for all sockets together.
fn reserve(waiting: &AtomicUsize, bytes: usize) -> bool {
    let take = |now: usize| Some(now + bytes).filter(|all| *all <= MAX_WAITING);
    waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole between two statements; a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
