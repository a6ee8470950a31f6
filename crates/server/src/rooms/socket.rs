use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::SinkExt;
use gloaming_api::room::close;
use gloaming_ids::RoomId;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{Place, Rooms, room::Room};
use crate::app::App;

/// Bytes of a socket's buffer for reading, which it has from its beginning. Larger frames are read all the same.
pub(crate) const READ_BUFFER: usize = 512;

/// A member pings more often than this.
const SILENCE: Duration = Duration::from_secs(60);
/// For a socket to say whose it is. Somebody with a new link whose door the owner has not deposited yet asks a few times.
const AT_THE_DOOR: Duration = Duration::from_secs(60);
/// For the other side to take a frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the other side to take what was said before it is sent away. Who does not is not told why.
const PARTING: Duration = Duration::from_secs(3);
/// For the other side to read why it is sent away.
const GOODBYE: Duration = Duration::from_secs(1);
/// Frames of one socket at once, and in each second after that. Whoever comes into a full room has something to say to
/// each of its members.
const FRAMES: (f64, f64) = (500.0, 50.0);
/// Bytes of them.
const BYTES: (f64, f64) = (4.0 * 1024.0 * 1024.0, 256.0 * 1024.0);

/// Carries frames between a socket and its room, until either ends.
pub(crate) async fn serve(mut socket: WebSocket, app: App, room: RoomId, place: Place) {
    // What is done once or seldom is boxed: a socket that waits would carry the room that it takes, and thousands wait.
    let (room, mut joined) = match Box::pin(Rooms::enter(&app, room)).await {
        Ok(entered) => entered,
        Err(code) => return Box::pin(end(&mut socket, code)).await,
    };
    let mut closing = app.rooms.closing.subscribe();
    let (mut frames, mut bytes) = (Bucket::full(FRAMES), Bucket::full(BYTES));
    let begun = Instant::now();
    let (mut silent, mut seated, mut page_closed) = (begun + SILENCE, false, false);
    let code = loop {
        let patience = if seated { silent } else { silent.min(begun + AT_THE_DOOR) };
        let heard = tokio::select! {
            code = &mut joined.close => break Some(code.unwrap_or(close::AGAIN)),
            () = asked_to_close(&mut closing) => break Some(close::AGAIN),
            Some(frame) = joined.frames.recv() => {
                if !send(&mut socket, frame.message()).await {
                    break None;
                }
                continue;
            }
            heard = timeout_at(patience, socket.recv()) => heard,
        };
        let Ok(heard) = heard else { break Some(close::SILENT) };
        let Some(Ok(message)) = heard else { break None };
        let length = match &message {
            Message::Close(why) => {
                page_closed = why.as_ref().is_some_and(|why| why.code == close_code::AWAY);
                break None;
            }
            Message::Text(text) => text.len(),
            // The library answers pings.
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        };
        if !(frames.take(1) && bytes.take(length)) {
            break Some(close::SLOW_DOWN);
        }
        let taken = match message {
            Message::Binary(frame) => {
                let taken = room.receive(joined.number, &frame, app.rooms.now());
                // Before anything else is heard: who was removed is to be cut off at once.
                Box::pin(room.say_who_is_in()).await;
                taken
            }
            Message::Text(text) => Box::pin(room.signal(joined.number, &text)).await,
            _ => continue,
        };
        if let Err(code) = taken {
            break Some(code);
        }
        silent = Instant::now() + SILENCE;
        seated = seated || room.has_seat(joined.number);
        Room::save_behind(&room, &app);
    };
    room.leave(joined.number, page_closed, app.rooms.now());
    if let Some(code) = code {
        // What was said before it is heard before it.
        let parting = async {
            while let Ok(frame) = joined.frames.try_recv() {
                if socket.feed(frame.message()).await.is_err() {
                    return;
                }
            }
            end(&mut socket, code).await;
        };
        let _ = timeout(PARTING, Box::pin(parting)).await;
    }
    drop(place);
}

async fn end(socket: &mut WebSocket, code: u16) {
    let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
    if let Ok(Ok(())) = timeout(PARTING, socket.send(close)).await {
        // A connection that is dropped with something unread on it takes along what was not read at the other end: our reason.
        let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}

async fn asked_to_close(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(())))
}

/// So many at once, and so many in each second after that.
struct Bucket {
    most: f64,
    each_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full((most, each_second): (f64, f64)) -> Self {
        Self { most, each_second, left: most, at: Instant::now() }
    }

    #[expect(clippy::cast_precision_loss, reason = "frames are smaller than that")]
    fn take(&mut self, count: usize) -> bool {
        let now = Instant::now();
        self.left = (self.left + (now - self.at).as_secs_f64() * self.each_second).min(self.most);
        self.at = now;
        self.left -= count as f64;
        self.left >= 0.0
    }
}
