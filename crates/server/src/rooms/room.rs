use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::Message;
use gloaming_api::room::close;
use gloaming_ids::{RoomId, SeatId};
use gloaming_room_log::{
    ClientMessage, Delivery, Door, Log, MAX_LOG_BYTES, MAX_LOG_ENTRIES, Malformed, Refusal, ServerMessage,
};
use gloaming_sfu::signal::{self, FromForwarder, ToForwarder};
use tokio::sync::{mpsc, oneshot};

use super::{Media, lock, reserve};
use crate::app::App;

/// Frames that wait for one socket: somebody who was away may be sent the whole log at once, and what happens meanwhile.
const MAX_FRAMES: usize = 2 * MAX_LOG_ENTRIES;
/// Their bytes.
const MAX_BYTES: usize = 2 * MAX_LOG_BYTES;

/// Sockets of one room. More than can have a seat or wait for one: the rest are those who have not said who they are.
const MAX_SOCKETS: usize = 256;

/// One room that somebody is in.
pub(super) struct Room {
    id: RoomId,
    state: Mutex<State>,
    /// Of all rooms.
    waiting: Arc<AtomicUsize>,
    /// Held while its head is written, so that an older one never comes after a newer.
    saving: tokio::sync::Mutex<()>,
    media: Arc<Media>,
    /// Held while the forwarder is spoken to, so that it hears of everything in the order in which it happened.
    forwarding: tokio::sync::Mutex<Forwarding>,
}

/// What the forwarder knows of a room.
#[derive(Default)]
struct Forwarding {
    /// The offset up to which it was looked.
    seen: Option<u64>,
    epoch: u64,
    leaves: Vec<(SeatId, u32)>,
    /// The room was put away here.
    over: bool,
}

struct State {
    log: Log,
    next: u64,
    sockets: HashMap<u64, Socket>,
    /// Which socket speaks for a seat.
    seats: HashMap<SeatId, u64>,
    /// Something happened that is not in the store yet.
    unsaved: bool,
}

struct Socket {
    seat: Option<SeatId>,
    /// It was told how to reach others.
    greeted: bool,
    frames: mpsc::Sender<Frame>,
    /// Bytes in `frames`.
    bytes: Arc<AtomicUsize>,
    close: Option<oneshot::Sender<u16>>,
}

/// What a new socket has of its room.
pub(super) struct Joined {
    pub(super) number: u64,
    pub(super) frames: mpsc::Receiver<Frame>,
    /// Comes once the room wants the socket closed, with the code of why.
    pub(super) close: oneshot::Receiver<u16>,
}

/// A frame on its way to a socket. While it waits it is counted.
pub(super) struct Frame {
    message: Message,
    size: usize,
    counts: [Arc<AtomicUsize>; 2],
}

impl Frame {
    /// What to send. It is counted until the frame is dropped: until it is sent.
    pub(super) fn message(&self) -> Message {
        self.message.clone()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

impl Room {
    pub(super) fn new(id: RoomId, log: Log, waiting: Arc<AtomicUsize>, media: Arc<Media>) -> Self {
        let state = State { log, next: 0, sockets: HashMap::new(), seats: HashMap::new(), unsaved: false };
        let (saving, forwarding) = Default::default();
        Self { id, state: Mutex::new(state), waiting, saving, media, forwarding }
    }

    pub(super) fn live(&self) -> usize {
        lock(&self.state).log.live()
    }

    /// A socket more. Where there are too many already, whoever has been there longest without a seat goes; nobody comes if
    /// all have one.
    pub(super) fn join(&self) -> Option<Joined> {
        let mut state = lock(&self.state);
        let open = state.sockets.values().filter(|socket| socket.close.is_some()).count();
        if open >= MAX_SOCKETS {
            let standing = state.sockets.iter_mut().filter(|(_, s)| s.seat.is_none() && s.close.is_some());
            standing.min_by_key(|(number, _)| **number)?.1.close(close::SLOW_DOWN);
        }
        let (frames, waiting) = mpsc::channel(MAX_FRAMES);
        let (close, closed) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        let socket = Socket { seat: None, greeted: false, frames, bytes: Arc::default(), close: Some(close) };
        state.sockets.insert(number, socket);
        Some(Joined { number, frames: waiting, close: closed })
    }

    /// Listens to another link than before.
    pub(super) fn change_door(&self, door: Door) {
        lock(&self.state).log.change_door(door);
    }

    /// Whether a socket has said who it is, and was believed.
    pub(super) fn has_seat(&self, number: u64) -> bool {
        lock(&self.state).sockets.get(&number).is_some_and(|socket| socket.seat.is_some())
    }

    /// Takes a frame from a socket; the code to close it with, if it is to be closed.
    pub(super) fn receive(&self, number: u64, frame: &[u8], now: Duration) -> Result<(), u16> {
        let message = ClientMessage::decode(frame).map_err(|fault| match fault {
            Malformed::Version { .. } => close::VERSION,
            _ => close::MALFORMED,
        })?;
        let mut state = lock(&self.state);
        let from = match (&message, state.sockets.get(&number).and_then(|socket| socket.seat)) {
            (ClientMessage::Hello { seat, .. }, _) => *seat,
            (_, Some(seat)) => seat,
            (_, None) => return Err(close::MALFORMED),
        };
        let hello = matches!(message, ClientMessage::Hello { .. });
        let before = state.log.offset();
        let out = state.log.handle(from, message, now);
        state.unsaved |= state.log.offset() != before;
        if hello && refused(&out) {
            // To whoever asked, and not to whose seat it is.
            for delivery in out {
                self.send(&mut state, number, &delivery.message);
            }
            return Ok(());
        }
        if hello {
            state.sit(number, from, now);
            let socket = state.sockets.get_mut(&number);
            if socket.is_some_and(|socket| !std::mem::replace(&mut socket.greeted, true)) {
                self.push(&mut state, number, Message::Text(self.media.notice().into()));
            }
        }
        self.deliver(&mut state, out);
        Ok(())
    }

    /// Takes a text frame from a socket: something for the forwarder. The code to close the socket with, if it is to be
    /// closed.
    pub(super) async fn signal(&self, number: u64, text: &str) -> Result<(), u16> {
        let message = ToForwarder::decode(text).ok_or(close::MALFORMED)?;
        let seat = || lock(&self.state).sockets.get(&number).and_then(|socket| socket.seat);
        let seat = seat().ok_or(close::MALFORMED)?;
        match self.media.service() {
            Some(service) => {
                let mut forwarding = self.forwarding.lock().await;
                self.catch_up(&mut forwarding).await;
                // Where it has stopped, whoever hears it notices.
                if !forwarding.over {
                    let _ = service.signal(self.id, seat, message).await;
                }
            }
            None if matches!(message, ToForwarder::Offer { .. }) => {
                self.tell(seat, FromForwarder::Refused { why: signal::Refusal::Full }.encode());
            }
            None => {}
        }
        Ok(())
    }

    /// Says to the forwarder who sits where, if that is another than it knows.
    pub(super) async fn say_who_is_in(&self) {
        self.catch_up(&mut *self.forwarding.lock().await).await;
    }

    async fn catch_up(&self, known: &mut Forwarding) {
        let Some(service) = self.media.service().filter(|_| !known.over) else { return };
        let (epoch, leaves) = {
            let state = lock(&self.state);
            if known.seen.replace(state.log.offset()) == Some(state.log.offset()) {
                return;
            }
            (state.log.epoch(), state.log.leaves())
        };
        if (known.epoch, &known.leaves) != (epoch, &leaves) {
            (known.epoch, known.leaves) = (epoch, leaves.clone());
            let _ = service.members(self.id, epoch, leaves).await;
        }
    }

    /// The room goes on elsewhere or not at all: the forwarder forgets it, and hears no more of it from here.
    pub(super) async fn put_away(&self) {
        let mut forwarding = self.forwarding.lock().await;
        forwarding.over = true;
        if let Some(service) = self.media.service() {
            let _ = service.close(self.id).await;
        }
    }

    /// Says something to a seat, in a text frame.
    pub(super) fn tell(&self, seat: SeatId, text: String) {
        let mut state = lock(&self.state);
        if let Some(number) = state.seats.get(&seat).copied() {
            self.push(&mut state, number, Message::Text(text.into()));
        }
    }

    /// A socket is gone; whether because its page was closed.
    pub(super) fn leave(&self, number: u64, page_closed: bool, now: Duration) {
        let mut state = lock(&self.state);
        if let Some(seat) = state.stand_up(number) {
            if page_closed {
                state.log.page_closed(seat, now);
            } else {
                state.log.disconnect(seat, now);
            }
        }
        state.sockets.remove(&number);
    }

    /// Whether there is something to save.
    pub(super) fn tick(&self, now: Duration) -> bool {
        let mut state = lock(&self.state);
        if state.log.deadline().is_some_and(|at| at <= now) {
            let before = state.log.offset();
            let out = state.log.tick(now);
            // Also where nobody is left to hear it.
            state.unsaved |= state.log.offset() != before;
            self.deliver(&mut state, out);
        }
        state.unsaved
    }

    /// Nobody is here, and all there is to know of it is in the store.
    pub(super) fn is_deserted(&self) -> bool {
        let state = lock(&self.state);
        state.sockets.is_empty() && state.log.live() == 0 && !state.unsaved
    }

    pub(super) fn close_all(&self, code: u16) {
        lock(&self.state).sockets.values_mut().for_each(|socket| socket.close(code));
    }

    /// Writes what has to outlive a restart, if it changed.
    pub(super) async fn save(&self, app: &App) {
        let _one = self.saving.lock().await;
        let head = {
            let mut state = lock(&self.state);
            if !std::mem::take(&mut state.unsaved) {
                return;
            }
            serde_json::to_vec(&state.log.head()).expect("a head is plain data")
        };
        if let Err(error) = app.store.save_room_head(self.id, head).await {
            // A restart now would make its members begin anew. The next entry, or the next glance, tries again.
            tracing::error!(%error, "what a room needs after a restart could not be written");
            lock(&self.state).unsaved = true;
        }
    }

    pub(super) fn save_behind(room: &Arc<Self>, app: &App) {
        if lock(&room.state).unsaved && room.saving.try_lock().is_ok() {
            let (room, app) = (room.clone(), app.clone());
            tokio::spawn(async move { room.save(&app).await });
        }
    }

    fn deliver(&self, state: &mut State, out: Vec<Delivery>) {
        for Delivery { to, message } in out {
            if let Some(number) = state.seats.get(&to).copied() {
                self.send(state, number, &message);
            }
        }
    }

    fn send(&self, state: &mut State, number: u64, message: &ServerMessage) {
        self.push(state, number, Message::Binary(message.encode().into()));
    }

    /// Who does not take what is said is sent away: they come back and ask for it.
    fn push(&self, state: &mut State, number: u64, message: Message) {
        let Some(socket) = state.sockets.get_mut(&number) else { return };
        let size = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        let taken = socket.bytes.load(Ordering::Relaxed) + size <= MAX_BYTES && reserve(&self.waiting, size);
        if !taken {
            return socket.close(close::SLOW_DOWN);
        }
        socket.bytes.fetch_add(size, Ordering::Relaxed);
        let frame = Frame { message, size, counts: [self.waiting.clone(), socket.bytes.clone()] };
        if socket.frames.try_send(frame).is_err() {
            socket.close(close::SLOW_DOWN);
        }
    }
}

/// Whether a `Hello` was not believed. It is the only thing that is said to it then.
fn refused(out: &[Delivery]) -> bool {
    use Refusal::{Full, NoPass, NotYourSeat};
    matches!(out, [Delivery { message: ServerMessage::Refused { why: NoPass | NotYourSeat | Full }, .. }])
}

impl State {
    /// From now on this socket speaks for this seat, and for no other; and no other socket for it.
    fn sit(&mut self, number: u64, seat: SeatId, now: Duration) {
        if self.seats.get(&seat) == Some(&number) {
            return;
        }
        if let Some(seat) = self.stand_up(number) {
            self.log.page_closed(seat, now);
        }
        if let Some(before) = self.seats.insert(seat, number)
            && let Some(socket) = self.sockets.get_mut(&before)
        {
            socket.seat = None;
            socket.close(close::REPLACED);
        }
        if let Some(socket) = self.sockets.get_mut(&number) {
            socket.seat = Some(seat);
        }
    }

    /// The seat that this socket spoke for.
    fn stand_up(&mut self, number: u64) -> Option<SeatId> {
        let seat = self.sockets.get_mut(&number)?.seat.take()?;
        self.seats.remove(&seat);
        Some(seat)
    }
}

impl Socket {
    fn close(&mut self, code: u16) {
        if let Some(close) = self.close.take() {
            let _ = close.send(code);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use gloaming_ids::GroupId;
    use gloaming_room_log::{Pass, Policy, SeatToken};

    use super::*;

    const NOW: Duration = Duration::ZERO;

    const PASS: Pass = Pass([5; 32]);

    fn room() -> Room {
        let log = Log::new(Policy::new(Door::of(&PASS)));
        Room::new(RoomId::from_bytes([1; 16]), log, Arc::default(), Arc::new(Media::none()))
    }

    fn hello(n: u8) -> Vec<u8> {
        hello_with(n, PASS)
    }

    fn hello_with(n: u8, pass: Pass) -> Vec<u8> {
        let (seat, token) = (SeatId::from_bytes([n; 16]), SeatToken([n; 16]));
        ClientMessage::Hello { seat, token, pass, resume: None }.encode()
    }

    #[test]
    fn a_crowd_without_seats_makes_room_and_people_with_seats_do_not() {
        let room = room();
        let mut seated = room.join().unwrap();
        room.receive(seated.number, &hello(1), NOW).unwrap();
        let mut crowd: Vec<_> = (1..MAX_SOCKETS).map(|_| room.join().unwrap()).collect();
        for stranger in &crowd {
            room.receive(stranger.number, &hello_with(2, Pass([6; 32])), NOW).unwrap();
            assert!(!room.has_seat(stranger.number));
        }
        room.join().unwrap();
        assert_eq!(crowd[0].close.try_recv(), Ok(close::SLOW_DOWN));
        assert!(crowd[1].close.try_recv().is_err(), "one goes for each that comes");
        room.join().unwrap();
        assert_eq!(crowd[1].close.try_recv(), Ok(close::SLOW_DOWN));
        assert!(seated.close.try_recv().is_err() && room.has_seat(seated.number));
        lock(&room.state)
            .sockets
            .values_mut()
            .for_each(|socket| socket.seat = Some(SeatId::from_bytes([9; 16])));
        assert!(room.join().is_none());
    }

    #[test]
    fn who_takes_nothing_of_what_is_sent_is_closed_and_counts_no_longer() {
        let room = room();
        let mut slow = room.join().unwrap();
        room.receive(slow.number, &hello(1), NOW).unwrap();
        let ping = ClientMessage::Ping { offset: 0 }.encode();
        for _ in 0..MAX_FRAMES + 1 {
            room.receive(slow.number, &ping, NOW).unwrap();
        }
        assert_eq!(slow.close.try_recv(), Ok(close::SLOW_DOWN));
        assert!(room.waiting.load(Ordering::Relaxed) > 0);
        room.leave(slow.number, false, NOW);
        drop(slow);
        assert_eq!(room.waiting.load(Ordering::Relaxed), 0);
        assert!(lock(&room.state).sockets.is_empty());
    }

    #[test]
    fn when_all_sockets_wait_for_too_much_the_next_frame_closes_its_own() {
        let room = room();
        let (mut one, mut other) = (room.join().unwrap(), room.join().unwrap());
        room.receive(one.number, &hello(1), NOW).unwrap();
        room.waiting.fetch_add(super::super::MAX_WAITING, Ordering::Relaxed);
        room.receive(other.number, &hello(2), NOW).unwrap();
        assert_eq!(other.close.try_recv(), Ok(close::SLOW_DOWN));
        assert!(one.close.try_recv().is_err() && one.frames.try_recv().is_ok());
    }

    #[test]
    fn whose_page_was_closed_is_gone_before_whose_network_broke() {
        for (page_closed, grace) in
            [(true, gloaming_room_log::GRACE_OF_A_CLOSED_PAGE), (false, gloaming_room_log::GRACE)]
        {
            let room = room();
            let socket = room.join().unwrap();
            room.receive(socket.number, &hello(1), NOW).unwrap();
            let found = ClientMessage::Found { after: 0, group: GroupId::from_bytes([7; 16]) };
            room.receive(socket.number, &found.encode(), NOW).unwrap();
            room.leave(socket.number, page_closed, NOW);
            assert_eq!(lock(&room.state).log.deadline(), Some(NOW + grace));
        }
    }

    #[test]
    fn an_empty_room_goes_once_its_members_are_gone_and_it_is_saved() {
        let room = room();
        let socket = room.join().unwrap();
        room.receive(socket.number, &hello(1), NOW).unwrap();
        let found = ClientMessage::Found { after: 0, group: GroupId::from_bytes([7; 16]) };
        room.receive(socket.number, &found.encode(), NOW).unwrap();
        assert!(!room.is_deserted());
        assert!(std::mem::take(&mut lock(&room.state).unsaved), "somebody came");
        room.leave(socket.number, false, NOW);
        assert!(!room.is_deserted(), "its member may come back");
        assert!(room.tick(NOW + gloaming_room_log::GRACE), "what time brought is to be saved");
        assert!(!room.is_deserted());
        lock(&room.state).unsaved = false;
        assert!(room.is_deserted());
    }
}
