//! One visit to a room: the member, its socket, its connections to the others, and time.
//!
//! The member decides and this carries, as the page's worker and `meeting.svelte.ts` do in a browser.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use gloaming_api::room::{Notice, close};
use gloaming_ids::{RoomId, SeatId};
use gloaming_room::{
    App, Config, ControlKind, DeviceCode, DeviceKey, Doubt, Event, Input, LeftHow, Member, Output, log::KeyId,
};
use gloaming_sfu::signal::FromForwarder;
use serde_bytes::ByteBuf;
use tokio::{
    task::{JoinHandle, spawn_local},
    time::{sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::{
    RoomLink,
    connection::{Clock, Frame},
    forwarder::Unsealed,
    media::{Arrived, Came, Media},
    ports::Ports,
    publish::Program,
    sealed::{Sealed, is_key},
    signal::{SLOTS, Sending},
    socket::{NoSocket, Socket, connect},
    topology::{Said, Way},
};
use crate::{
    failure::{Exit, Failure},
    native::os_entropy,
};

/// The longest a broken socket waits to be opened again; the first wait is a sixteenth of it.
const AGAIN_AT_MOST: Duration = Duration::from_secs(4);
/// Members ping every 5 s: where nothing has come for so long, nothing will.
const SILENT: Duration = Duration::from_secs(16);
/// For the server to take a frame, or to answer.
const SLOW: Duration = Duration::from_secs(10);
/// For the last word to arrive.
const LAST_WORD: Duration = Duration::from_millis(500);
/// Packets that are taken in one go.
const HANDFUL: usize = 64;
/// How often whoever looks on is told that time passes.
const PULSE: Duration = Duration::from_secs(1);

pub(super) const LINK_REFUSED: &str = "this link does not open the room: it is another room's, or the host removed somebody \
    since; ask for the link as it is now";

/// Where the room is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) http: reqwest::Client,
    pub(super) server: Url,
    pub(super) room: RoomId,
    /// Whether members do not learn each other's addresses.
    pub(super) hidden: bool,
}

/// What happens in a room, for whoever looks on.
#[derive(Debug)]
pub(super) enum Happened<'a> {
    /// At the door of a lobby, or of a room whose members have not answered yet.
    Knocking,
    /// At a lobby whose host is not there.
    HostAwaited,
    /// In the room. Nobody else was there where `first`.
    Seated {
        code: DeviceCode,
        first: bool,
    },
    /// Somebody is there.
    Came(SeatId),
    /// They said who they are.
    Named(SeatId, &'a str),
    Left(SeatId, LeftHow),
    /// The way to somebody stands, or stands no longer.
    Linked(SeatId, bool),
    /// Which way sound and pictures go from now on; from each to each at first.
    Goes(Way),
    /// What somebody says that they send.
    Sends(SeatId, Sending),
    Chat(SeatId, &'a str),
    /// A frame was opened.
    Frame(Opened<'a>),
    /// A frame did not open, and was dropped.
    Dropped,
    /// A frame was sealed and sent.
    Sent {
        bytes: usize,
    },
    /// The socket is open, or was lost.
    Online(bool),
    /// Something was refused.
    Doubt(Doubt),
    LinkChanged,
    /// What was to be sent is sent.
    Finished,
    Pulse,
}

/// An opened frame.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) seat: SeatId,
    pub(super) slot: usize,
    pub(super) codec: gloaming_room::Codec,
    /// Ticks of the track's clock: 90 kHz for pictures, 48 kHz for sound.
    pub(super) time: u64,
    pub(super) clock: Clock,
    pub(super) key: bool,
    /// Whether all frames before it, back to a key frame, were there too.
    pub(super) whole: bool,
    pub(super) bytes: &'a [u8],
}

/// Whoever looks on.
pub(super) trait Onlooker {
    /// Takes note. A failure ends the visit, after it has left properly.
    fn happened(&mut self, what: Happened<'_>) -> Result<(), Failure>;
}

/// How a visit ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Left,
    /// The host ended the meeting.
    ByHost,
}

pub(super) struct Visit<'a> {
    place: Place,
    member: Member,
    began: Instant,
    socket: Option<Socket>,
    connecting: Option<JoinHandle<Result<Socket, NoSocket>>>,
    connect_at: Option<Instant>,
    tries: u32,
    heard: Instant,
    media: Media,
    program: Option<Program>,
    seated: bool,
    first: bool,
    over: Option<Result<Ended, Failure>>,
    next_pulse: Instant,
    onlooker: &'a mut dyn Onlooker,
}

/// Ends a visit; the reason for a person.
fn out(exit: Exit, code: &'static str, message: &str) -> Result<Ended, Failure> {
    Err(Failure::new(exit, code, message))
}

fn over() -> Failure {
    Failure::new(Exit::NotFound, "room_over", "there is no such room, or it is over")
}

impl NoSocket {
    fn failure(self) -> Failure {
        match self {
            NoSocket::Gone => over(),
            NoSocket::Busy => {
                Failure::new(Exit::Offline, "slow_down", "the server has too much to do; try again later")
            }
            NoSocket::Offline(why) => {
                Failure::new(Exit::Offline, "offline", format!("the server cannot be reached ({why})"))
            }
            NoSocket::Nonsense => Failure::new(
                Exit::Server,
                "server_nonsense",
                "the server has no rooms, or gave an answer that makes no sense",
            ),
        }
    }
}

impl<'a> Visit<'a> {
    /// Comes to the door.
    pub(super) async fn begin(
        place: Place,
        link: RoomLink,
        name: String,
        program: Option<Program>,
        onlooker: &'a mut dyn Onlooker,
    ) -> Result<Visit<'a>, Failure> {
        let connected = timeout(SLOW, connect(&place.http, &place.server, place.room)).await;
        let silent = |_| NoSocket::Offline("it does not answer".into());
        let (socket, at) = connected.map_err(silent).and_then(|done| done).map_err(NoSocket::failure)?;
        let ports = Ports::open(at).await.map_err(|error| {
            Failure::new(Exit::Offline, "no_network", format!("no network can be used ({error})"))
        })?;
        let entropy = &mut os_entropy();
        let device = DeviceKey::generate(entropy);
        let config = Config { room: place.room, invite: link.invite, device, host: None, name };
        let now = Instant::now();
        let lines = program.as_ref().map_or(0, |program| program.sending().lines);
        let member = Member::new(config, entropy);
        let media = Media::new(ports, place.hidden, lines, member.seat());
        let mut visit = Visit {
            place,
            member,
            began: now,
            socket: Some(socket),
            connecting: None,
            connect_at: None,
            tries: 0,
            heard: now,
            media,
            program,
            seated: false,
            first: false,
            over: None,
            next_pulse: now + PULSE,
            onlooker,
        };
        visit.handle(Input::Opened);
        Ok(visit)
    }

    /// Stays until `stop`, or until the room is over for this seat.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Ended, Failure> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let now = Instant::now();
            self.keep_socket(now);
            if let Err(failure) = self.settle(now).await {
                self.over.get_or_insert(Err(failure));
            }
            if let Some(ended) = self.over.take() {
                self.leave().await;
                return ended;
            }
            let wake = self.wake();
            let heard = async {
                match &mut self.socket {
                    Some(socket) => socket.next().await,
                    None => std::future::pending().await,
                }
            };
            let connected = async {
                match &mut self.connecting {
                    Some(connecting) => connecting.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => {
                    self.leave().await;
                    return Ok(Ended::Left);
                }
                heard = heard => self.hear(heard),
                connected = connected => self.connected(connected.unwrap_or(Err(NoSocket::Nonsense))),
                packet = self.media.next() => {
                    let now = Instant::now();
                    self.media.take(&packet, now);
                    for _ in 1..HANDFUL {
                        let Some(packet) = self.media.waiting() else { break };
                        self.media.take(&packet, now);
                    }
                    self.came(now);
                }
                () = sleep_until(wake.into()) => self.handle(Input::Tick),
            }
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.member.handle(input, self.began.elapsed(), &mut os_entropy());
    }

    fn say(&mut self, to: Option<SeatId>, app: App) {
        self.handle(Input::Say { to, app });
    }

    // The socket.

    fn keep_socket(&mut self, now: Instant) {
        if self.socket.is_some() && now > self.heard + SILENT {
            self.lost(now);
        }
        if self.connect_at.is_some_and(|at| now >= at) {
            self.connect_at = None;
            let Place { http, server, room, .. } = self.place.clone();
            self.connecting = Some(spawn_local(async move {
                let silent = |_| NoSocket::Offline(String::new());
                let connected = timeout(SLOW, connect(&http, &server, room)).await;
                connected.map_err(silent).and_then(|done| done).map(|(socket, _)| socket)
            }));
        }
    }

    fn connected(&mut self, connected: Result<Socket, NoSocket>) {
        self.connecting = None;
        match connected {
            Ok(socket) => {
                self.socket = Some(socket);
                self.heard = Instant::now();
                self.tries = 0;
                self.tell(Happened::Online(true));
                self.handle(Input::Opened);
            }
            Err(NoSocket::Gone) => self.over = Some(Err(over())),
            Err(_) => self.connect_later(Instant::now()),
        }
    }

    fn connect_later(&mut self, now: Instant) {
        let wait = (AGAIN_AT_MOST / 16 * 2_u32.pow(self.tries.min(4))).min(AGAIN_AT_MOST);
        self.tries += 1;
        let mut dice = [0];
        os_entropy()(&mut dice);
        // Between half and one and a half of it, so that not everybody comes at once.
        self.connect_at = Some(now + wait / 2 + wait * u32::from(dice[0]) / 255);
    }

    fn lost(&mut self, now: Instant) {
        self.socket = None;
        self.tell(Happened::Online(false));
        self.handle(Input::Closed);
        self.connect_later(now);
    }

    fn hear(&mut self, heard: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) {
        match heard {
            Some(Ok(Message::Binary(frame))) => {
                self.heard = Instant::now();
                self.handle(Input::Received(&frame));
            }
            Some(Ok(Message::Close(Some(frame)))) => match u16::from(frame.code) {
                close::GONE => self.over = Some(Err(over())),
                close::VERSION => {
                    let message = "the server speaks a newer version; update Gloaming";
                    self.over = Some(out(Exit::Server, "too_new", message));
                }
                _ => self.lost(Instant::now()),
            },
            Some(Ok(Message::Text(text))) => {
                self.heard = Instant::now();
                self.hear_text(&text);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.heard = Instant::now();
            }
            Some(Ok(Message::Close(None)) | Err(_)) | None => self.lost(Instant::now()),
        }
    }

    /// What the server and its forwarder say beside the log.
    fn hear_text(&mut self, text: &str) {
        let now = Instant::now();
        if let Ok(Notice::Network { forwarder, .. }) = serde_json::from_str(text) {
            if self.place.hidden && !forwarder {
                let message = "this room hides its members' network addresses from each other, and the server has no \
                    forwarder by which they could meet";
                self.over = Some(out(Exit::NotAllowed, "addresses_hidden", message));
            }
            self.media.heard_network(forwarder, now);
        } else if let Ok(message) = serde_json::from_str::<FromForwarder>(text)
            && let Err(Unsealed) = self.media.heard_forwarder(message, now)
        {
            let message = "the server's forwarder says that what came from here was not sealed; nothing else leaves this \
                program, so it or the server is at fault, and nothing more is sent";
            self.over = Some(out(Exit::Server, "unsealed", message));
        }
    }

    /// Sends a frame, where there is a socket.
    async fn send(&mut self, message: Message) {
        let Some(socket) = &mut self.socket else { return };
        if !matches!(timeout(SLOW, socket.send(message)).await, Ok(Ok(()))) {
            self.lost(Instant::now());
        }
    }

    /// Sends what the member wants to send, and takes note of what it says.
    async fn drain(&mut self) {
        let mut sent = false;
        while let Some(output) = self.member.poll() {
            match output {
                Output::Event(event) => self.event(event),
                Output::Send(frame) => {
                    let Some(socket) = &mut self.socket else { continue };
                    sent = true;
                    if !matches!(timeout(SLOW, socket.feed(Message::Binary(frame.into()))).await, Ok(Ok(())))
                    {
                        self.lost(Instant::now());
                    }
                }
            }
        }
        if let Some(socket) = self.socket.as_mut().filter(|_| sent)
            && !matches!(timeout(SLOW, socket.flush()).await, Ok(Ok(())))
        {
            self.lost(Instant::now());
        }
    }

    // What happens.

    fn tell(&mut self, what: Happened<'_>) {
        if let Err(failure) = self.onlooker.happened(what) {
            self.over.get_or_insert(Err(failure));
        }
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::First => self.first = true,
            Event::Knocking => self.tell(Happened::Knocking),
            Event::HostAwaited => self.tell(Happened::HostAwaited),
            Event::Seated => {
                self.seated = true;
                self.media.seated(self.member.seat(), now);
                let (code, first) = (self.member.code(), std::mem::take(&mut self.first));
                self.tell(Happened::Seated { code, first });
                self.media.meet(&self.member.seats(), now);
                self.announce(None);
            }
            Event::Epoch { .. } => self.media.meet(&self.member.seats(), now),
            Event::Joined(seat) => {
                self.tell(Happened::Came(seat));
                self.announce(Some(seat));
                self.media.joined(seat, now);
            }
            Event::Introduced(seat) => {
                let card = self.member.peer(seat).and_then(|peer| peer.card);
                if let Some(name) = card.map(|card| card.name.clone()) {
                    self.tell(Happened::Named(seat, &name));
                }
            }
            Event::Left(seat, how) => {
                self.media.left(seat, now);
                self.tell(Happened::Left(seat, how));
            }
            Event::Said { seat, app } => self.said(seat, app, now),
            Event::Rejoining => self.media.clear(now),
            Event::LinkChanged => self.tell(Happened::LinkChanged),
            Event::Doubt(doubt) => self.tell(Happened::Doubt(doubt)),
            Event::Away(seat) => self.media.away(seat, true),
            Event::Back(seat) => self.media.away(seat, false),
            Event::Sealing { .. } | Event::AtTheDoor { .. } => {}
            Event::Ended => self.over = Some(Ok(Ended::ByHost)),
            Event::Removed => {
                let message = "the host removed you from the room; the old link opens nothing any more";
                self.over = Some(out(Exit::NotAllowed, "room_removed", message));
            }
            Event::Denied => {
                self.over = Some(out(Exit::NotAllowed, "room_denied", "the host did not let you in"));
            }
            Event::Full => {
                self.over =
                    Some(out(Exit::Quota, "room_full", "no seat is free in this room; try again later"));
            }
            // One that was good a moment ago may be again: the host's page tells the server of a new one.
            Event::LinkRefused if !self.seated => {
                self.over = Some(out(Exit::NotAllowed, "room_link_refused", LINK_REFUSED));
            }
            Event::LinkRefused => {}
        }
    }

    fn said(&mut self, seat: SeatId, app: App, now: Instant) {
        match app {
            App::Signal(body) => {
                if let Ok(signal) = serde_json::from_slice(&body) {
                    self.media.heard_signal(seat, signal, now);
                }
            }
            App::Control { kind: ControlKind::TRACKS, body } => {
                if let Ok(sending) = serde_json::from_slice(&body) {
                    self.media.sends(seat, sending, now);
                    self.tell(Happened::Sends(seat, sending));
                }
            }
            App::Control { kind: ControlKind::TOPOLOGY, body } => {
                self.media.heard_topology(seat, Said::read(&body), now);
            }
            App::Chat { text } => self.tell(Happened::Chat(seat, &text)),
            _ => {}
        }
    }

    fn announce(&mut self, to: Option<SeatId>) {
        let sending = self.program.as_ref().map(Program::sending).unwrap_or_default();
        let body = serde_json::to_vec(&sending).expect("four flags serialise");
        self.say(to, App::Control { kind: ControlKind::TRACKS, body: ByteBuf::from(body) });
    }

    // Frames.

    fn came(&mut self, now: Instant) {
        for came in self.media.came() {
            match came {
                Came::Reached(seat, is) => {
                    if is && let Some(program) = &mut self.program {
                        program.begin(now);
                    }
                    self.tell(Happened::Linked(seat, is));
                }
                Came::Goes(way) => self.tell(Happened::Goes(way)),
                Came::Frame(arrived) => self.open(&arrived, now),
            }
        }
    }

    /// Opens a frame. One that does not open goes nowhere.
    fn open(&mut self, arrived: &Arrived, now: Instant) {
        let Arrived { seat, slot, ref frame, .. } = *arrived;
        let Frame { codec, time, clock, ref bytes, .. } = *frame;
        let leaf = self.member.peer(seat).map(|peer| peer.leaf);
        let opened = leaf.zip(self.member.opener()).and_then(|(leaf, opener)| {
            let job = opener.prepare(leaf, codec, bytes).ok()?;
            // The track that it was sealed for is the place in which it came.
            if KeyId::from_u64(job.kid).is_none_or(|id| usize::from(id.track) != slot) {
                return None;
            }
            opener.open(leaf, codec, bytes).ok()
        });
        let key = opened.as_deref().is_some_and(|bytes| is_key(codec, bytes));
        let taken = self.media.opened(arrived, opened.is_some(), key, now);
        let Some(bytes) = opened else { return self.tell(Happened::Dropped) };
        let Some(whole) = taken else { return };
        let rate = if SLOTS[slot].video { super::ivf::RATE } else { super::ogg::RATE };
        let time = u64::try_from(u128::from(time.numer()) * u128::from(rate) / u128::from(time.denom()))
            .unwrap_or(0);
        self.tell(Happened::Frame(Opened { seat, slot, codec, time, clock, key, whole, bytes: &bytes }));
    }

    /// Sends what is due of the programme to everybody.
    fn publish(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(program) = &mut self.program else { return Ok(()) };
        while let Some(clip) = program.take(now)? {
            if !self.media.reaches_somebody() {
                continue;
            }
            let track = u16::try_from(clip.slot).expect("four places");
            // Without a key there is no frame.
            let seal = || Sealed::seal(self.member.sealer()?, track, clip.codec, &clip.bytes).ok();
            if let Some(bytes) = self.media.write(clip.slot, clip.time, now, seal) {
                self.onlooker.happened(Happened::Sent { bytes })?;
            }
        }
        if program.is_over() {
            self.program = None;
            self.media.finished(now);
            self.announce(None);
            self.tell(Happened::Finished);
        }
        Ok(())
    }

    /// Does whatever is due, until there is nothing left.
    async fn settle(&mut self, now: Instant) -> Result<(), Failure> {
        if now >= self.next_pulse {
            self.next_pulse = now + PULSE;
            self.media.look(self.socket.is_some(), now);
            self.tell(Happened::Pulse);
        }
        self.drain().await;
        self.publish(now)?;
        self.media.drive(now);
        self.came(now);
        self.post().await;
        Ok(())
    }

    /// Sends what connections want sent: packets on the network, words through the room.
    async fn post(&mut self) {
        self.media.post().await;
        let (words, tell) = self.media.said_now();
        for (to, app) in words {
            self.say(to, app);
        }
        self.drain().await;
        for message in tell {
            let text = serde_json::to_string(&message).expect("plain data");
            self.send(Message::Text(text.into())).await;
        }
    }

    fn wake(&self) -> Instant {
        let member = self.member.deadline().map(|at| self.began + at);
        let program = self.program.as_ref().and_then(Program::due);
        let silent = self.socket.as_ref().map(|_| self.heard + SILENT);
        member
            .into_iter()
            .chain(self.media.due())
            .chain(program)
            .chain(silent)
            .chain(self.connect_at)
            .chain([self.next_pulse])
            .min()
            .expect("there is always a pulse")
    }

    /// Says goodbye to everybody.
    async fn leave(&mut self) {
        self.media.clear(Instant::now());
        self.post().await;
        self.handle(Input::Leave);
        self.drain().await;
        if let Some(socket) = &mut self.socket {
            // The server reads what was said before it sees the end.
            let _ = timeout(LAST_WORD, async {
                let _ = socket.close(None).await;
                while let Some(Ok(_)) = socket.next().await {}
            })
            .await;
        }
        if let Some(connecting) = &self.connecting {
            connecting.abort();
        }
    }
}
