//! A member of a room, as one state machine: without a socket, without a clock.
//!
//! ```text
//! Opened ─ Hello ─┬─ nobody is live ─► Founding ─ Founded ─► Seated, alone: "you are the first here"
//!                 └─ somebody is ────► Knocking ─ Welcome ─► Seated ─ removed, lost, behind ─► comes in again, as a new seat
//! ```
//!
//! In a lobby only the host founds: whoever else finds nobody there is Waiting until the host is.
//!
//! The server is a mailbox with an order. Whatever it delivers is checked here, and what does not pass becomes an
//! [`Event::Doubt`] and changes nothing.

mod seated;
pub mod timing;

use std::{collections::VecDeque, time::Duration};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use gloaming_ids::{Entropy, GroupId, RoomId, SeatId};
use gloaming_room_log::{ClientMessage, Entry, Refusal, Resume, Resumed, SeatToken, ServerMessage};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroizing;

use crate::{
    App, Card, DeviceCode, DeviceKey, Doubt, FrameOpener, FrameSealer, HostKey, Invite,
    device::{HostOrder, SeatContext},
    group::{self, Group},
    suite::{Provider, SeatSigner},
};
use seated::Seated;

/// Who wants to be in which room.
#[derive(Debug)]
pub struct Config {
    /// The room.
    pub room: RoomId,
    /// Its link.
    pub invite: Invite,
    /// What vouches for this member's seats.
    pub device: DeviceKey,
    /// The host's key, on the host's own devices.
    pub host: Option<HostKey>,
    /// What others see as this member's name.
    pub name: String,
}

/// Something for the member to deal with.
#[derive(Debug)]
pub enum Input<'a> {
    /// The socket is open.
    Opened,
    /// The socket is gone.
    Closed,
    /// A frame came from the socket.
    Received(&'a [u8]),
    /// It is time: see [`Member::deadline`].
    Tick,
    /// Says something to everybody, or to one seat.
    Say {
        /// To whom, if not to everybody.
        to: Option<SeatId>,
        /// What. At most [`crate::MAX_APP`] bytes; longer ones are dropped, and so is what is said while 256 messages wait
        /// to be seen in the log.
        app: App,
    },
    /// The host lets somebody in.
    Admit(SeatId),
    /// Somebody at the door is not let in.
    Deny(SeatId),
    /// The host removes somebody: new epoch, new link, and the old link opens nothing.
    Expel(SeatId),
    /// New keys now, rather than at the next ten minutes.
    Rotate,
    /// The host ends the meeting.
    End,
    /// Goes.
    Leave,
}

/// What the member wants done, or known.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// A frame for the socket.
    Send(Vec<u8>),
    /// Something happened.
    Event(Event),
}

/// How somebody left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftHow {
    /// They said so.
    Left,
    /// The server said that their connection is lost.
    Lost,
    /// The host removed them.
    Expelled,
    /// A member removed them, and nothing said why.
    Unexplained,
}

/// What happened in the room.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Nobody was there: this member founded a new generation. A server can pretend that, so the page says "you are the
    /// first here" where others were expected.
    First,
    /// At the door.
    Knocking,
    /// Nobody is there, and in a lobby nobody begins without the host: this member knocks when they have come.
    HostAwaited,
    /// In the room.
    Seated,
    /// The group has new keys, and this many members.
    Epoch {
        /// The epoch.
        epoch: u64,
        /// How many seats, this one included.
        seats: usize,
    },
    /// From now on frames are sealed with this epoch's keys.
    Sealing {
        /// The epoch.
        epoch: u64,
    },
    /// Somebody was added.
    Joined(SeatId),
    /// Somebody is out of the group, and can open nothing that is said from now on.
    Left(SeatId, LeftHow),
    /// Somebody said who they are, and their device vouches for it. [`Member::peer`] has it.
    Introduced(SeatId),
    /// Somebody said something.
    Said {
        /// Who.
        seat: SeatId,
        /// What.
        app: App,
    },
    /// Somebody at the door waits for the host.
    AtTheDoor {
        /// Who.
        seat: SeatId,
        /// Who they say they are.
        card: Option<Card>,
    },
    /// The server says that somebody left or lost their connection.
    Away(SeatId),
    /// They are back.
    Back(SeatId),
    /// The host removed somebody. Links made from now on have [`Member::invite`]'s fragment, and the owner's page deposits
    /// its [`Invite::door`], without which the server does not open the room to them.
    LinkChanged,
    /// Not let in.
    Denied,
    /// The server does not open the room to this link: another room's, or one from before the host removed somebody.
    LinkRefused,
    /// No seat is free.
    Full,
    /// The host removed this member.
    Removed,
    /// The host ended the meeting.
    Ended,
    /// This member fell out and comes in again, as a new seat.
    Rejoining,
    /// Something was refused.
    Doubt(Doubt),
}

/// What is known of somebody in the room.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView<'a> {
    /// The leaf that their frames come from.
    pub leaf: u32,
    /// What they said of themselves, once they did.
    pub card: Option<&'a Card>,
}

/// One member of one room.
pub struct Member {
    config: Config,
    provider: Provider,
    me: Me,
    phase: Phase,
    out: Outputs,
    generation: u64,
    /// The last entry of the log that was seen.
    offset: u64,
    next_ping: Duration,
    /// Whether the server answered since the last ping. A socket whose `Hello` was not heard brings nothing, so an
    /// unanswered one says it again.
    answered: bool,
    next_catch_up: Duration,
    /// When it may come in again as another seat: not as often as a server can make it want to.
    next_seat: Duration,
}

/// What is to be done and shown. Where there is no socket nothing is sent.
#[derive(Default)]
struct Outputs {
    online: bool,
    queue: VecDeque<Output>,
}

impl Outputs {
    fn send(&mut self, message: &ClientMessage) {
        self.frame(message.encode());
    }

    /// A message as it was encoded before.
    fn frame(&mut self, frame: Vec<u8>) {
        if self.online {
            self.queue.push_back(Output::Send(frame));
        }
    }

    fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    fn doubt(&mut self, doubt: Doubt) {
        self.event(Event::Doubt(doubt));
    }
}

/// One seat: everything about it is new when the member comes in again.
struct Me {
    seat: SeatId,
    token: SeatToken,
    signer: SeatSigner,
}

enum Phase {
    /// The server's answer to `Hello` is awaited, or the socket is.
    Greeting {
        again: Duration,
    },
    /// Nobody is there, and only the host may found.
    Waiting {
        again: Duration,
    },
    Founding {
        group: GroupId,
        again: Duration,
    },
    Knocking {
        group: GroupId,
        frame: Vec<u8>,
        again: Duration,
    },
    Seated(Box<Seated>),
    Out,
}

impl Me {
    fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            seat: SeatId::generate(entropy),
            token: SeatToken(entropy.bytes_16()),
            signer: SeatSigner::generate(entropy),
        }
    }
}

impl Member {
    /// Somebody who is about to come in. Begins once the socket is open.
    pub fn new(config: Config, entropy: &mut dyn Entropy) -> Self {
        Self {
            config,
            provider: Provider::new(entropy),
            me: Me::generate(entropy),
            phase: Phase::Greeting { again: Duration::ZERO },
            out: Outputs::default(),
            generation: 0,
            offset: 0,
            next_ping: Duration::ZERO,
            answered: false,
            next_catch_up: Duration::ZERO,
            next_seat: Duration::ZERO,
        }
    }

    /// Deals with something that happened. `now` is from any one start and does not go back.
    pub fn handle(&mut self, input: Input<'_>, now: Duration, entropy: &mut dyn Entropy) {
        self.provider.stir(entropy);
        match input {
            Input::Opened => {
                (self.out.online, self.answered) = (true, false);
                self.next_ping = now + timing::PING;
                self.hello(now);
            }
            Input::Closed => self.out.online = false,
            Input::Received(frame) => match ServerMessage::decode(frame) {
                Ok(message) => self.receive(message, now, entropy),
                Err(_) => self.out.doubt(Doubt::MalformedFrame),
            },
            Input::Tick => {}
            Input::Say { to, app } => {
                if app.fits() {
                    self.seated(|seated, cx| seated.say(to, app, cx, now));
                }
            }
            Input::Admit(seat) => self.seated(|seated, cx| seated.admit(seat, cx, now)),
            Input::Deny(seat) => self.seated(|seated, cx| seated.deny(seat, cx)),
            Input::Expel(seat) => self.seated(|seated, cx| seated.expel(seat, cx)),
            Input::Rotate => self.seated(|seated, _| seated.rotate()),
            Input::End => self.seated(|seated, cx| seated.end(cx, now)),
            Input::Leave => {
                self.out.send(&ClientMessage::Leave {});
                self.phase = Phase::Out;
            }
        }
        self.run(now, entropy);
    }

    /// What to do or to show next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.queue.pop_front()
    }

    /// When to hand in [`Input::Tick`], if nothing happens before.
    pub fn deadline(&self) -> Option<Duration> {
        let ping = self.out.online.then_some(self.next_ping);
        let phase = match &self.phase {
            Phase::Greeting { again }
            | Phase::Waiting { again }
            | Phase::Founding { again, .. }
            | Phase::Knocking { again, .. } => self.out.online.then_some(*again),
            Phase::Seated(seated) => seated.deadline(self.out.online, &self.me),
            Phase::Out => return None,
        };
        [ping, phase].into_iter().flatten().min()
    }

    /// This member's seat, for as long as it keeps it.
    pub fn seat(&self) -> SeatId {
        self.me.seat
    }

    /// The link as it is now: it changes when the host removes somebody.
    pub fn invite(&self) -> &Invite {
        &self.config.invite
    }

    /// The code of this member's device, to read out to others.
    pub fn code(&self) -> DeviceCode {
        self.config.device.code()
    }

    /// The epoch, once seated.
    pub fn epoch(&self) -> Option<u64> {
        self.group().map(Group::epoch)
    }

    /// Bytes that are the same for all who are in this epoch of this group, and for nobody else. Not secret, not a key.
    pub fn authenticator(&self) -> Option<Vec<u8>> {
        self.group().map(Group::authenticator)
    }

    /// Who is in the room, this member included.
    pub fn seats(&self) -> Vec<SeatId> {
        self.group().map(|group| group.seats().into_values().collect()).unwrap_or_default()
    }

    /// What is known of somebody.
    pub fn peer(&self, seat: SeatId) -> Option<PeerView<'_>> {
        let Phase::Seated(seated) = &self.phase else { return None };
        seated.peer(seat)
    }

    /// Seals what this member sends, once seated.
    pub fn sealer(&mut self) -> Option<&mut FrameSealer> {
        let Phase::Seated(seated) = &mut self.phase else { return None };
        Some(&mut seated.sealer)
    }

    /// Opens what others send, once seated.
    pub fn opener(&mut self) -> Option<&mut FrameOpener> {
        let Phase::Seated(seated) = &mut self.phase else { return None };
        Some(&mut seated.opener)
    }

    fn group(&self) -> Option<&Group> {
        let Phase::Seated(seated) = &self.phase else { return None };
        Some(&seated.group)
    }

    fn seated<T>(&mut self, act: impl FnOnce(&mut Seated, &mut Context<'_>) -> T) -> T
    where
        T: Default,
    {
        let mut cx =
            Context { config: &mut self.config, provider: &self.provider, me: &self.me, out: &mut self.out };
        match &mut self.phase {
            Phase::Seated(seated) => act(seated, &mut cx),
            _ => T::default(),
        }
    }

    fn hello(&mut self, now: Duration) {
        let epoch = match &mut self.phase {
            Phase::Greeting { again } | Phase::Waiting { again } | Phase::Founding { again, .. } => {
                *again = now + timing::RETRY;
                None
            }
            Phase::Knocking { .. } => Some(0),
            Phase::Seated(seated) => Some(seated.group.epoch()),
            Phase::Out => return,
        };
        let resume = epoch.map(|epoch| Resume { generation: self.generation, epoch, offset: self.offset });
        let pass = self.config.invite.pass(self.config.room);
        self.out.send(&ClientMessage::Hello { seat: self.me.seat, token: self.me.token, pass, resume });
    }

    /// Comes in again, as somebody new: nothing of the old seat is kept.
    fn rejoin(&mut self, now: Duration, entropy: &mut dyn Entropy) {
        self.provider = Provider::new(entropy);
        self.me = Me::generate(entropy);
        let at = self.next_seat.max(now);
        self.next_seat = at + timing::RETRY;
        self.phase = Phase::Greeting { again: at };
        self.out.event(Event::Rejoining);
        if at == now {
            self.hello(now);
        }
    }

    fn receive(&mut self, message: ServerMessage, now: Duration, entropy: &mut dyn Entropy) {
        match message {
            ServerMessage::Hello { generation, group, offset, live, resumed, epoch } => {
                self.answered = true;
                self.greeted(Greeting { generation, group, offset, live, resumed, epoch }, now, entropy);
            }
            ServerMessage::Entry { offset, prev, entry } => {
                // For a seat that this is no longer.
                if matches!(self.phase, Phase::Greeting { .. } | Phase::Out) {
                    return;
                }
                // A Welcome proves itself: who waits for one takes it, whatever else was shown to stand in its place.
                let welcome = matches!(entry, Entry::Commit { welcome: Some(_), .. });
                if !(welcome && matches!(self.phase, Phase::Knocking { .. })) {
                    if offset <= self.offset {
                        return; // seen
                    }
                    if prev != self.offset {
                        return self.catch_up(now);
                    }
                }
                self.offset = offset;
                self.entry(entry, now, entropy);
            }
            ServerMessage::Conflict { epoch, .. } => match &mut self.phase {
                Phase::Founding { .. } => {
                    self.phase = Phase::Greeting { again: now };
                    self.hello(now);
                }
                // Ours may have been the one that was first, when it was sent twice: the log tells.
                Phase::Seated(seated) => {
                    if epoch > seated.group.epoch() {
                        seated.is_behind(now);
                    }
                    self.catch_up(now);
                }
                _ => {}
            },
            ServerMessage::Reached { epoch } => self.seated(|seated, cx| seated.switch(Some(epoch), cx)),
            ServerMessage::Denied {} => {
                if matches!(self.phase, Phase::Knocking { .. }) {
                    self.phase = Phase::Out;
                    self.out.event(Event::Denied);
                }
            }
            ServerMessage::Pong { offset, live, epoch } => {
                self.answered = true;
                match &mut self.phase {
                    Phase::Knocking { .. } if live == 0 => self.found(now, entropy),
                    Phase::Seated(seated) => {
                        seated.log_is_at(epoch, offset == self.offset, now);
                        if epoch > seated.group.epoch() {
                            self.catch_up(now);
                        }
                    }
                    _ => {}
                }
            }
            ServerMessage::Refused { why } => self.refused(why, now, entropy),
        }
    }

    fn greeted(&mut self, greeting: Greeting, now: Duration, entropy: &mut dyn Entropy) {
        let Greeting { generation, group, offset, live, resumed, epoch } = greeting;
        match &mut self.phase {
            Phase::Seated(seated) => match resumed {
                Resumed::All => {
                    seated.log_is_at(epoch, offset == self.offset, now);
                    self.seated(|seated, cx| seated.reconnected(cx, now));
                }
                Resumed::Lossy if generation == self.generation && epoch == seated.group.epoch() => {
                    self.offset = offset;
                    seated.lossy();
                    self.seated(|seated, cx| seated.reconnected(cx, now));
                }
                _ => self.rejoin(now, entropy),
            },
            // The founding was heard, and the answer lost.
            Phase::Founding { group: mine, .. } if group == Some(*mine) => {
                let mine = *mine;
                (self.generation, self.offset) = (generation, offset);
                self.founded(mine, now);
            }
            Phase::Knocking { group: mine, frame, again }
                if group == Some(*mine) && live > 0 && matches!(resumed, Resumed::All | Resumed::Fresh) =>
            {
                if resumed != Resumed::All {
                    (self.generation, self.offset) = (generation, offset);
                }
                *again = now + timing::RETRY;
                self.out.frame(frame.clone());
            }
            // The Welcome was lost.
            Phase::Knocking { .. } if matches!(resumed, Resumed::Lossy | Resumed::Gone) => {
                self.rejoin(now, entropy);
            }
            Phase::Out => {}
            _ => {
                (self.generation, self.offset) = (generation, offset);
                match group {
                    Some(group) if live > 0 => self.knock(group, now, entropy),
                    _ => self.found(now, entropy),
                }
            }
        }
    }

    fn entry(&mut self, entry: Entry, now: Duration, entropy: &mut dyn Entropy) {
        match entry {
            Entry::Founded { generation, group, seat } => {
                self.generation = generation;
                match &self.phase {
                    Phase::Founding { group: mine, .. } if *mine == group && seat == self.me.seat => {
                        self.founded(group, now);
                    }
                    Phase::Waiting { .. } | Phase::Founding { .. } | Phase::Knocking { .. } => {
                        self.knock(group, now, entropy);
                    }
                    // The server gave our group up.
                    Phase::Seated(_) => self.rejoin(now, entropy),
                    Phase::Greeting { .. } | Phase::Out => {}
                }
            }
            Entry::Commit { seat, message, welcome } => match (&self.phase, welcome) {
                (Phase::Knocking { group, .. }, Some(welcome)) => {
                    let group = *group;
                    self.welcomed(group, &welcome, now, entropy);
                }
                (Phase::Seated(_), None) => {
                    match self.seated(|seated, cx| seated.committed(seat, &message, cx, now)) {
                        Standing::In => {}
                        Standing::Lost => self.rejoin(now, entropy),
                        Standing::Expelled => {
                            self.phase = Phase::Out;
                            self.out.event(Event::Removed);
                        }
                    }
                }
                _ => self.out.doubt(Doubt::FalseWelcome),
            },
            Entry::Knock { seat, key_package, proof, card } => {
                self.seated(|seated, cx| seated.knocked(seat, &key_package, proof, &card, cx, now));
            }
            Entry::Send { seat, seq, message } => {
                let ended = self.seated(|seated, cx| seated.said(seat, seq, &message, cx, now));
                if ended {
                    self.phase = Phase::Out;
                    self.out.event(Event::Ended);
                }
            }
            Entry::Gone { seat, left } => self.seated(|seated, cx| seated.gone(seat, left, cx, now)),
            Entry::Back { seat } => self.seated(|seated, cx| seated.back(seat, cx)),
        }
    }

    fn refused(&mut self, why: Refusal, now: Duration, entropy: &mut dyn Entropy) {
        match (&mut self.phase, why) {
            (Phase::Knocking { .. }, Refusal::Full) => self.out.event(Event::Full),
            // Added already, and the Welcome is on its way; or it is a mistake, and a new seat settles it.
            (Phase::Knocking { .. }, Refusal::NotYourSeat | Refusal::Malformed) => self.rejoin(now, entropy),
            (Phase::Knocking { .. } | Phase::Founding { .. }, Refusal::OtherGroup | Refusal::Occupied) => {
                self.phase = Phase::Greeting { again: now };
                self.hello(now);
            }
            (Phase::Seated(_), Refusal::NotYourSeat | Refusal::OtherGroup | Refusal::NoPass) => {
                self.rejoin(now, entropy)
            }
            // Asked again all the same: the owner may not have deposited the new link's door yet.
            (
                Phase::Greeting { .. }
                | Phase::Waiting { .. }
                | Phase::Founding { .. }
                | Phase::Knocking { .. },
                Refusal::NoPass,
            ) => {
                self.phase = Phase::Greeting { again: now + timing::RETRY };
                self.out.event(Event::LinkRefused);
            }
            // One refusal for each of many messages: they are sent again once, and not all of them for each. What is of this
            // epoch already would be refused again; the log knows of another, and tells.
            (Phase::Seated(seated), Refusal::OtherEpoch) => {
                if seated.has_old_messages() {
                    self.seated(|seated, cx| seated.resend(cx, now));
                } else {
                    self.catch_up(now);
                }
            }
            // The log takes the group for another than ours, and would refuse every commit of this seat. So it is after a
            // fork whose halves had come equally far.
            (Phase::Seated(_), Refusal::Malformed) => self.rejoin(now, entropy),
            (Phase::Seated(_), Refusal::Full | Refusal::NotAMember) => {
                self.seated(|seated, cx| seated.commit_refused(cx, now));
            }
            _ => {}
        }
    }

    fn found(&mut self, now: Duration, entropy: &mut dyn Entropy) {
        if self.config.invite.lobby && self.config.host.is_none() {
            if !matches!(self.phase, Phase::Waiting { .. }) {
                self.out.event(Event::HostAwaited);
            }
            self.phase = Phase::Waiting { again: now + timing::RETRY };
            return;
        }
        let group = GroupId::generate(entropy);
        self.phase = Phase::Founding { group, again: now + timing::RETRY };
        self.out.send(&ClientMessage::Found { after: self.generation, group });
    }

    fn founded(&mut self, id: GroupId, now: Duration) {
        let group = Group::found(&self.provider, id, self.me.seat, &self.me.signer, &self.config.invite);
        self.out.event(Event::First);
        self.sit(group, now);
    }

    fn knock(&mut self, group: GroupId, now: Duration, entropy: &mut dyn Entropy) {
        // A key package is for one knock at one group: what was made for another is forgotten.
        self.provider = Provider::new(entropy);
        let (key_package, hash) = group::key_package(&self.provider, self.me.seat, &self.me.signer);
        let seat = SeatContext {
            room: self.config.room,
            group,
            seat: self.me.seat,
            key: self.me.signer.public().to_vec(),
        };
        let card = self.config.device.card(&self.config.name, &seat);
        // The host asks nobody for leave: in a lobby nobody else could give it.
        let order = HostOrder::Admit { group, key_package_hash: &hash };
        let host = self.config.host.as_ref().filter(|_| self.config.invite.lobby);
        let admission = host.map_or(NOBODYS, |host| host.sign(&order));
        let visitor = Visitor { card, admission };
        let card = seal_visitor(&self.config.invite.card_key(group), self.me.seat, &visitor, entropy);
        let frame = ClientMessage::Knock {
            group,
            key_package: ByteBuf::from(key_package),
            proof: self.config.invite.join_proof(group, &hash),
            card: ByteBuf::from(card),
        }
        .encode();
        self.out.frame(frame.clone());
        if !matches!(self.phase, Phase::Knocking { .. }) {
            self.out.event(Event::Knocking);
        }
        self.phase = Phase::Knocking { group, frame, again: now + timing::RETRY };
    }

    fn welcomed(&mut self, id: GroupId, welcome: &[u8], now: Duration, entropy: &mut dyn Entropy) {
        match Group::join(&self.provider, id, self.me.seat, &self.config.invite, welcome) {
            Ok(group) => self.sit(group, now),
            Err(doubt) => {
                self.out.doubt(doubt);
                // The key package is used up either way.
                self.rejoin(now, entropy);
            }
        }
    }

    fn sit(&mut self, group: Group, now: Duration) {
        self.phase = Phase::Seated(Box::new(Seated::new(group, now)));
        self.out.event(Event::Seated);
        self.seated(|seated, cx| seated.enter(cx, now));
    }

    /// Asks for what is missing, but not at every message that shows it.
    fn catch_up(&mut self, now: Duration) {
        if now >= self.next_catch_up {
            self.next_catch_up = now + timing::CATCH_UP;
            self.next_ping = now + timing::PING;
            self.out.send(&ClientMessage::Ping { offset: self.offset });
        }
    }

    /// Does whatever has become due.
    fn run(&mut self, now: Duration, entropy: &mut dyn Entropy) {
        if self.out.online && now >= self.next_ping && !matches!(self.phase, Phase::Out) {
            self.next_ping = now + timing::PING;
            if std::mem::take(&mut self.answered) {
                self.out.send(&ClientMessage::Ping { offset: self.offset });
            } else {
                self.hello(now);
            }
        }
        match &mut self.phase {
            Phase::Greeting { again } | Phase::Waiting { again } | Phase::Founding { again, .. }
                if self.out.online && now >= *again =>
            {
                self.hello(now);
            }
            Phase::Knocking { frame, again, .. } if self.out.online && now >= *again => {
                *again = now + timing::RETRY;
                self.out.frame(frame.clone());
                // Those who could open may have gone meanwhile.
                self.out.send(&ClientMessage::Ping { offset: self.offset });
            }
            _ => {}
        }
        if self.seated(|seated, cx| seated.run(cx, now)) {
            self.out.doubt(Doubt::MissingEpoch);
            self.rejoin(now, entropy);
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match &self.phase {
            Phase::Greeting { .. } => "Greeting",
            Phase::Waiting { .. } => "Waiting",
            Phase::Founding { .. } => "Founding",
            Phase::Knocking { .. } => "Knocking",
            Phase::Seated(_) => "Seated",
            Phase::Out => "Out",
        };
        write!(f, "Member({phase}, {}, epoch {:?})", self.me.seat, self.epoch())
    }
}

struct Greeting {
    generation: u64,
    group: Option<GroupId>,
    offset: u64,
    live: u64,
    resumed: Resumed,
    epoch: u64,
}

/// What is left of a seat after a commit.
#[derive(Default)]
enum Standing {
    #[default]
    In,
    /// Removed, but not by the host: comes in again.
    Lost,
    Expelled,
}

/// What a seated member works with beside its own state.
struct Context<'a> {
    config: &'a mut Config,
    provider: &'a Provider,
    me: &'a Me,
    out: &'a mut Outputs,
}

const CARD_NONCE: usize = 12;

/// What a knock says of who knocks, sealed for whoever has the link.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Visitor {
    card: Card,
    /// Where the host knocks at a lobby, their own. Else nobody's: a knock is as long, so that its length does not tell the
    /// server whose it is.
    #[serde(with = "serde_bytes")]
    admission: [u8; 64],
}

/// No signature of anything.
const NOBODYS: [u8; 64] = [0; 64];

impl Visitor {
    fn admission(&self) -> Option<ByteArray<64>> {
        (self.admission != NOBODYS).then(|| ByteArray::new(self.admission))
    }
}

fn seal_visitor(
    key: &Zeroizing<[u8; 32]>,
    seat: SeatId,
    visitor: &Visitor,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut plain = Vec::new();
    ciborium::into_writer(visitor, &mut plain).expect("writing to memory does not fail");
    let mut nonce = [0; CARD_NONCE];
    entropy.fill(&mut nonce);
    let payload = Payload { msg: &plain, aad: seat.as_bytes() };
    let sealed = Aes256Gcm::new((&**key).into()).encrypt(&nonce.into(), payload).expect("a card is short");
    [&nonce[..], &sealed].concat()
}

fn open_visitor(key: &Zeroizing<[u8; 32]>, seat: SeatId, sealed: &[u8]) -> Option<Visitor> {
    let (nonce, sealed) = sealed.split_first_chunk::<CARD_NONCE>()?;
    let payload = Payload { msg: sealed, aad: seat.as_bytes() };
    let plain = Aes256Gcm::new((&**key).into()).decrypt(&(*nonce).into(), payload).ok()?;
    ciborium::from_reader(plain.as_slice()).ok()
}
