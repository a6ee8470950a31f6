//! A room in simulated time: real members, the real log, and a network and a server that misbehave on request.
#![allow(clippy::unwrap_used, dead_code, reason = "a test may, and not every test uses all of it")]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use gloaming_ids::{Entropy, RoomId, SeatId};
use gloaming_room::{
    Codec, Config, DeviceKey, Doubt, Event, HostKey, Input, Invite, Member, Output,
    log::{ClientMessage, Entry, Log, Policy, ServerMessage},
};

pub(crate) const ROOM: RoomId = RoomId::from_bytes([42; 16]);
pub(crate) const HOST_SEED: [u8; 32] = [1; 32];

/// Randomness that a seed repeats: splitmix64. For tests only.
#[derive(Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// How the network and the server behave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Per cent of frames lost, either way.
    pub(crate) loss: u64,
    /// Per cent that come twice.
    pub(crate) twice: u64,
    /// The longest delay, in milliseconds. With `reorder`, every frame has one of its own.
    pub(crate) delay: u64,
    pub(crate) reorder: bool,
    /// Per cent of deliveries beside which the server sends something from the past.
    pub(crate) replay: u64,
    /// Per cent of deliveries that the server bends a bit of.
    pub(crate) bend: u64,
}

impl Weather {
    pub(crate) const CALM: Self = Self { loss: 0, twice: 0, delay: 40, reorder: false, replay: 0, bend: 0 };
}

pub(crate) struct Client {
    pub(crate) member: Member,
    pub(crate) name: String,
    host: bool,
    /// Whether the socket is open, and which one it is: frames of one before do not arrive.
    pub(crate) socket: Option<u64>,
    /// The seat of the socket's last `Hello`.
    seat: Option<SeatId>,
    /// When the last frame of this socket arrives, each way: a socket keeps its order.
    last: [Duration; 2],
    /// Which of the server's histories it is shown.
    pub(crate) side: usize,
    pub(crate) events: Vec<Event>,
    pub(crate) heard: Vec<Vec<u8>>,
    /// Everything the server ever sent it, to be sent again.
    past: Vec<Vec<u8>>,
    /// It wants to be in the room.
    pub(crate) wants: bool,
    ticks: u64,
}

impl Client {
    pub(crate) fn doubts(&self) -> BTreeSet<Doubt> {
        self.events.iter().filter_map(|e| if let Event::Doubt(d) = e { Some(*d) } else { None }).collect()
    }

    pub(crate) fn saw(&self, wanted: &Event) -> bool {
        self.events.contains(wanted)
    }
}

enum What {
    ToServer { client: usize, socket: u64, frame: Vec<u8> },
    ToClient { client: usize, socket: u64, frame: Vec<u8> },
    Tick { client: usize, number: u64 },
    LogTick,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) now: Duration,
    pub(crate) weather: Weather,
    /// Whether the server asks for the pass, or lets in whoever comes.
    pub(crate) asks: bool,
    /// The server's history, or its histories, when it shows people different ones.
    pub(crate) logs: Vec<Log>,
    pub(crate) clients: Vec<Client>,
    /// Every seat that ever said `Hello`.
    seats: BTreeSet<SeatId>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    waiting: BTreeMap<u64, What>,
    count: u64,
    pub(crate) frames: u64,
}

pub(crate) fn invite(lobby: bool) -> Invite {
    let mut entropy = Dice(7);
    Invite::generate(HostKey::from_seed(&HOST_SEED).public(), lobby, &mut entropy)
}

pub(crate) fn policy() -> Policy {
    Policy { max_seats: 40, ..Policy::new(invite(false).door(ROOM)) }
}

pub(crate) fn copy(invite: &Invite) -> Invite {
    Invite::from_fragment(&invite.to_fragment()).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            now: Duration::from_millis(1),
            weather: Weather::CALM,
            asks: true,
            logs: vec![Log::new(policy())],
            clients: Vec::new(),
            seats: BTreeSet::new(),
            queue: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            count: 0,
            frames: 0,
        }
    }

    /// Somebody arrives with this link, and connects.
    pub(crate) fn arrive(&mut self, invite: &Invite, host: bool) -> usize {
        self.arrive_with(invite, host.then(|| HostKey::from_seed(&HOST_SEED)))
    }

    /// Somebody with a host's key, which may be another host's.
    pub(crate) fn arrive_with(&mut self, invite: &Invite, host_key: Option<HostKey>) -> usize {
        let host = host_key.is_some();
        let number = self.clients.len();
        let name = format!("guest {number}");
        let config = Config {
            room: ROOM,
            invite: copy(invite),
            device: DeviceKey::generate(&mut self.dice),
            host: host_key,
            name: name.clone(),
        };
        self.clients.push(Client {
            member: Member::new(config, &mut self.dice),
            name,
            host,
            socket: None,
            seat: None,
            last: [Duration::ZERO; 2],
            side: 0,
            events: Vec::new(),
            heard: Vec::new(),
            past: Vec::new(),
            wants: true,
            ticks: 0,
        });
        self.connect(number);
        number
    }

    pub(crate) fn connect(&mut self, client: usize) {
        if self.clients[client].socket.is_none() {
            self.count += 1;
            self.clients[client].socket = Some(self.count);
            self.clients[client].last = [self.now; 2];
            self.give(client, Input::Opened);
        }
    }

    pub(crate) fn disconnect(&mut self, client: usize) {
        let c = &mut self.clients[client];
        if c.socket.take().is_some() {
            if let (Some(seat), Some(log)) = (c.seat.take(), self.logs.get_mut(c.side)) {
                log.disconnect(seat, self.now);
            }
            self.give(client, Input::Closed);
            self.log_tick();
        }
    }

    /// Hands something to a member, and carries what comes out.
    pub(crate) fn give(&mut self, client: usize, input: Input<'_>) {
        let Self { clients, dice, now, .. } = self;
        let c = &mut clients[client];
        c.member.handle(input, *now, dice);
        let mut frames = Vec::new();
        let mut door = None;
        while let Some(output) = c.member.poll() {
            match output {
                Output::Send(frame) => frames.push(frame),
                Output::Event(event) => {
                    if event == Event::LinkChanged && c.host {
                        door = Some((c.side, c.member.invite().door(ROOM)));
                    }
                    c.events.push(event);
                }
            }
        }
        c.ticks += 1;
        let (number, deadline) = (c.ticks, c.member.deadline());
        if let Some(socket) = c.socket {
            for frame in frames {
                self.carry(client, 0, |frame| What::ToServer { client, socket, frame }, frame);
            }
        }
        // The host's page deposits it with the owner's account, not through the room's socket.
        if let Some((side, door)) = door
            && let Some(log) = self.logs.get_mut(side)
        {
            log.change_door(door);
        }
        if let Some(deadline) = deadline {
            let at = deadline.max(self.now + Duration::from_millis(1));
            self.later(at, What::Tick { client, number });
        }
    }

    /// A meeting of this length has some ten thousand.
    const STORM: u64 = 100_000;

    fn carry(&mut self, client: usize, way: usize, what: impl Fn(Vec<u8>) -> What, frame: Vec<u8>) {
        self.frames += 1;
        assert!(self.frames < Self::STORM, "the members and the log answer each other without an end");
        let weather = self.weather;
        let copies =
            if self.dice.chance(weather.loss) { 0 } else { 1 + u64::from(self.dice.chance(weather.twice)) };
        for _ in 0..copies {
            let mut at = self.now + Duration::from_millis(1 + self.dice.below(weather.delay.max(1)));
            if !weather.reorder {
                at = at.max(self.clients[client].last[way]);
                self.clients[client].last[way] = at;
            }
            self.later(at, what(frame.clone()));
        }
    }

    fn later(&mut self, at: Duration, what: What) {
        self.count += 1;
        self.waiting.insert(self.count, what);
        self.queue.push(Reverse((at, self.count)));
    }

    /// The server receives a frame.
    fn serve(&mut self, client: usize, frame: &[u8]) {
        let mut message = ClientMessage::decode(frame).expect("our own frame");
        if let ClientMessage::Hello { pass, .. } = &mut message
            && !self.asks
        {
            *pass = self.clients[0].member.invite().pass(ROOM);
        }
        let (side, now) = (self.clients[client].side, self.now);
        if side >= self.logs.len() {
            return; // nobody listens
        }
        if let ClientMessage::Hello { seat, .. } = message
            && self.clients[client].seat != Some(seat)
            && let Some(before) = self.clients[client].seat.replace(seat)
        {
            self.logs[side].page_closed(before, now);
        }
        let Some(seat) = self.clients[client].seat else { return };
        self.seats.insert(seat);
        let out = self.logs[side].handle(seat, message, now);
        self.deliver(side, out);
        self.log_tick();
    }

    pub(crate) fn deliver(&mut self, side: usize, out: Vec<gloaming_room::log::Delivery>) {
        for delivery in out {
            let to = |c: &Client| c.side == side && c.seat == Some(delivery.to);
            if let Some(client) = self.clients.iter().position(to) {
                self.push(client, delivery.message.encode());
            }
        }
    }

    /// The server sends a frame, and what else comes to its mind.
    pub(crate) fn push(&mut self, client: usize, mut frame: Vec<u8>) {
        let Some(socket) = self.clients[client].socket else { return };
        let weather = self.weather;
        self.clients[client].past.push(frame.clone());
        if self.dice.chance(weather.bend) {
            let bit = self.dice.below(frame.len() as u64 * 8) as usize;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        let what = |frame| What::ToClient { client, socket, frame };
        self.carry(client, 1, what, frame);
        if self.dice.chance(weather.replay) {
            let victim = self.dice.below(self.clients.len() as u64) as usize;
            if !self.clients[victim].past.is_empty() {
                let n = self.dice.below(self.clients[victim].past.len() as u64) as usize;
                let mut old = self.clients[victim].past[n].clone();
                // As if it were new: at the next place of the log.
                if let Ok(ServerMessage::Entry { entry, .. }) = ServerMessage::decode(&old) {
                    let prev = self.logs[0].head().offset;
                    old = ServerMessage::Entry { offset: prev + 1, prev, entry }.encode();
                }
                self.carry(client, 1, what, old);
            }
        }
    }

    /// The server has one history again. Sockets of the others are gone, and with them whoever sat there; and a seat of
    /// this one whose member went to another history and came back as somebody else has no socket either.
    pub(crate) fn unfork(&mut self) {
        if self.logs.len() == 1 {
            return;
        }
        self.logs.truncate(1);
        for n in 0..self.clients.len() {
            if self.clients[n].side != 0 {
                self.disconnect(n);
                self.clients[n].side = 0;
                self.connect(n);
            }
        }
        for seat in &self.seats {
            if !self.clients.iter().any(|c| c.seat == Some(*seat)) {
                self.logs[0].disconnect(*seat, self.now);
            }
        }
        self.log_tick();
    }

    fn log_tick(&mut self) {
        if let Some(at) = self.logs.iter().filter_map(Log::deadline).min() {
            self.later(at.max(self.now), What::LogTick);
        }
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(Reverse((at, id))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.waiting.remove(&id).unwrap() {
                What::ToServer { client, socket, frame } => {
                    if self.clients[client].socket == Some(socket) {
                        self.serve(client, &frame);
                    }
                }
                What::ToClient { client, socket, frame } => {
                    if self.clients[client].socket == Some(socket) {
                        self.give(client, Input::Received(&frame));
                    }
                }
                What::Tick { client, number } => {
                    if self.clients[client].ticks == number {
                        self.give(client, Input::Tick);
                    }
                }
                What::LogTick => {
                    for side in 0..self.logs.len() {
                        let out = self.logs[side].tick(self.now);
                        self.deliver(side, out);
                    }
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    pub(crate) fn seat(&self, client: usize) -> SeatId {
        self.clients[client].member.seat()
    }

    /// Everything that the log lets a client see, with its offsets.
    pub(crate) fn history(&mut self, client: usize) -> Vec<(u64, Entry)> {
        let (seat, now) = (self.seat(client), self.now);
        let out = self.logs[0].handle(seat, ClientMessage::Ping { offset: 0 }, now);
        let entry = |message| match message {
            ServerMessage::Entry { offset, entry, .. } => Some((offset, entry)),
            _ => None,
        };
        out.into_iter().filter_map(|delivery| entry(delivery.message)).collect()
    }

    /// Shows a client something as the next entry of its log, whatever it really is.
    pub(crate) fn show(&mut self, client: usize, prev: u64, entry: Entry) -> u64 {
        let frame = ServerMessage::Entry { offset: prev + 1, prev, entry }.encode();
        self.give(client, Input::Received(&frame));
        prev + 1
    }

    /// Members who want to be in the room, are, and agree on everything. Says what is wrong, if something is.
    pub(crate) fn agreement(&self) -> Result<(), String> {
        let here: Vec<_> = (0..self.clients.len()).filter(|n| self.clients[*n].wants).collect();
        let Some(first) = here.first() else { return Ok(()) };
        let (epoch, authenticator) =
            (self.clients[*first].member.epoch(), self.clients[*first].member.authenticator());
        let mut expected: Vec<_> = here.iter().map(|n| self.seat(*n)).collect();
        expected.sort();
        for n in &here {
            let member = &self.clients[*n].member;
            let mut seats = member.seats();
            seats.sort();
            if member.epoch().is_none() || member.epoch() != epoch || member.authenticator() != authenticator
            {
                return Err(format!("{member:?} is not with {:?}", self.clients[*first].member));
            }
            if seats != expected {
                return Err(format!("{member:?} sees {} seats of {}", seats.len(), expected.len()));
            }
        }
        Ok(())
    }

    /// Everybody who is in hears everybody else who is in; nobody who is out hears anything.
    pub(crate) fn check_frames(&mut self) {
        let here: Vec<_> = (0..self.clients.len()).filter(|n| self.clients[*n].wants).collect();
        for from in &here {
            let seat = self.seat(*from);
            let leaf = self.clients[*from].member.peer(seat).unwrap().leaf;
            let frame = self.clients[*from]
                .member
                .sealer()
                .unwrap()
                .seal(0, Codec::Opus, b"can you hear me")
                .unwrap();
            for to in 0..self.clients.len() {
                if to == *from {
                    continue;
                }
                let member = &mut self.clients[to].member;
                let opened = member.opener().map(|opener| opener.open(leaf, Codec::Opus, &frame));
                if here.contains(&to) {
                    assert_eq!(opened, Some(Ok(b"can you hear me".to_vec())), "{from} to {to}");
                } else {
                    assert!(!matches!(opened, Some(Ok(_))), "{to} is not in the room and hears {from}");
                }
            }
        }
    }

    /// Until everybody agrees, or time is up.
    pub(crate) fn settle(&mut self, seconds: u64) {
        let mut problem = Ok(());
        for _ in 0..seconds {
            self.seconds(1);
            problem = self.agreement();
            if problem.is_ok() {
                // The last switch of frame keys.
                self.seconds(2);
                problem = self.agreement();
                if problem.is_ok() {
                    return;
                }
            }
        }
        panic!("no agreement: {}", problem.unwrap_err());
    }
}
