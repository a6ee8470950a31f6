use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use gloaming_ids::{GroupId, SeatId};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    AddedLeaf, ClientMessage, Door, Entry, GONE_AGAIN, GRACE, GRACE_OF_A_CLOSED_PAGE, KNOCK_AGAIN,
    MAX_KNOCKS, MAX_LOG_BYTES, MAX_LOG_ENTRIES, MAX_RESENT, MAX_SEATS, PAST_EPOCHS, Pass, PrivateEnvelope,
    PublicCommit, RESENT_EACH_SECOND, Refusal, Resume, Resumed, SeatToken, ServerMessage,
};

/// What the owner of a room decided about it, as far as the server has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many may be in the room at a time, at most [`MAX_SEATS`].
    pub max_seats: usize,
    /// Whom the log listens to.
    pub door: Door,
}

impl Policy {
    /// A room of the usual size.
    pub fn new(door: Door) -> Self {
        Self { max_seats: 25, door }
    }
}

/// A message for one seat's socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Whose socket.
    pub to: SeatId,
    /// What to send.
    pub message: ServerMessage,
}

/// What has to outlive a restart of the server, so that members can go on in the same group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Which generation the room is in.
    pub generation: u64,
    /// Its group.
    pub group: Option<GroupId>,
    /// Its epoch.
    pub epoch: u64,
    /// The offset of the last entry.
    pub offset: u64,
    /// Who is in it.
    pub members: Vec<HeadMember>,
}

/// A member, in a [`Head`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMember {
    /// The seat.
    pub seat: SeatId,
    /// What it shows when it comes back.
    pub token: SeatToken,
    /// Its leaf in the group's tree.
    pub leaf: u32,
    /// The number of its last message.
    pub sent: u64,
    /// Where nobody is there any more, and nobody was left to remove it: whether it said so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<bool>,
}

/// The ordered log of one room, and who is in it.
///
/// Whoever has the sockets feeds it what they bring ([`Log::handle`], [`Log::disconnect`]) and the time
/// ([`Log::tick`]), and sends what comes out. Times are from any one start.
#[derive(Clone, Debug)]
pub struct Log {
    policy: Policy,
    generation: u64,
    group: Option<GroupId>,
    epoch: u64,
    /// Of the last entry.
    offset: u64,
    /// How many bytes `entries` holds.
    bytes: usize,
    entries: VecDeque<Kept>,
    seats: BTreeMap<SeatId, Seat>,
}

#[derive(Clone, Debug)]
struct Kept {
    offset: u64,
    entry: Entry,
    /// Who sees it, if not every member: those added by a commit, the one a message was for.
    only: Only,
}

#[derive(Clone, Debug)]
enum Only {
    Everybody,
    Members,
    /// Members see it; these are added by it and see another side of it.
    Adding(Vec<SeatId>),
    One(SeatId),
}

#[derive(Clone, Debug)]
struct Seat {
    token: SeatToken,
    /// Its place in the group, for a member, and the offset at which it got it.
    member: Option<Member>,
    /// Where it has no socket: when it counts as gone.
    away: Option<Duration>,
    /// The last offset that was sent to it.
    cursor: u64,
    /// The number of its last message.
    sent: u64,
    knocking: Option<Knocked>,
    reached: u64,
    /// For a member whose removal is proposed.
    gone: Option<Gone>,
    resent: Resent,
}

/// How much was sent again to a seat: bytes, of which some are forgiven with time.
#[derive(Clone, Copy, Debug, Default)]
struct Resent {
    bytes: u64,
    at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    left: bool,
    /// When the log last said so.
    told: Duration,
}

/// What is known of somebody's last knock.
#[derive(Clone, Copy, Debug)]
struct Knocked {
    proof: [u8; 32],
    epoch: u64,
    at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    leaf: u32,
    since: u64,
    /// Of the knock that was answered by adding it. None for a founder, and after a restart.
    proof: Option<[u8; 32]>,
}

impl Log {
    /// The log of a room where nobody has been yet.
    pub fn new(policy: Policy) -> Self {
        Self::restore(policy, Head::default(), Duration::ZERO)
    }

    /// The log of a room after the server was restarted: its members have until [`GRACE`] to come back, but for those who
    /// were gone before.
    pub fn restore(policy: Policy, head: Head, now: Duration) -> Self {
        let seat = |m: HeadMember| {
            let seat = Seat {
                member: Some(Member { leaf: m.leaf, since: head.offset, proof: None }),
                away: Some(if m.left.is_some() { now } else { now + GRACE }),
                gone: m.left.map(|left| Gone { left, told: now }),
                cursor: head.offset,
                sent: m.sent,
                reached: head.epoch,
                ..Seat::new(m.token)
            };
            (m.seat, seat)
        };
        Self {
            policy: Policy { max_seats: policy.max_seats.min(MAX_SEATS), ..policy },
            generation: head.generation,
            group: head.group,
            epoch: head.epoch,
            offset: head.offset,
            bytes: 0,
            entries: VecDeque::new(),
            seats: head.members.into_iter().map(seat).collect(),
        }
    }

    /// What has to outlive a restart.
    pub fn head(&self) -> Head {
        let members = self.seats.iter().filter_map(|(seat, s)| {
            let leaf = s.member?.leaf;
            let left = s.gone.map(|gone| gone.left);
            Some(HeadMember { seat: *seat, token: s.token, leaf, sent: s.sent, left })
        });
        Head {
            generation: self.generation,
            group: self.group,
            epoch: self.epoch,
            offset: self.offset,
            members: members.collect(),
        }
    }

    /// Which generation the room is in, from 1; 0 before anybody came.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The offset of the last entry: what is in a [`Head`] changes with it and not without it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The group's epoch. A forwarder knows this one and [`PAST_EPOCHS`] before it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The leaf on which a seat sits: frames from its connection carry it in their key id.
    pub fn leaf(&self, seat: SeatId) -> Option<u32> {
        Some(self.seats.get(&seat)?.member?.leaf)
    }

    /// Who sits on which leaf and has not said that they leave: whose frames a forwarder is to pass on. It changes with the
    /// offset and not without it.
    pub fn leaves(&self) -> Vec<(SeatId, u32)> {
        let left = |seat: &Seat| seat.gone.is_some_and(|gone| gone.left);
        let here = self.seats.iter().filter(|(_, seat)| !left(seat));
        here.filter_map(|(id, seat)| Some((*id, seat.member?.leaf))).collect()
    }

    /// How many members have a socket, or lost it less than [`GRACE`] ago.
    pub fn live(&self) -> usize {
        self.seats.values().filter(|s| s.member.is_some() && s.gone.is_none()).count()
    }

    /// Takes a message from a seat's socket. The seat of a socket is the one of its `Hello`, which is its first message.
    pub fn handle(&mut self, from: SeatId, message: ClientMessage, now: Duration) -> Vec<Delivery> {
        let mut out = Vec::new();
        if let Err(why) = self.take(from, message, now, &mut out) {
            out.push(Delivery { to: from, message: ServerMessage::Refused { why } });
        }
        out
    }

    /// The owner deposited another door, because the host removed somebody and the link is another. Members stay; whoever
    /// waits outside has shown the old pass, and has to show the new one.
    pub fn change_door(&mut self, door: Door) {
        if self.policy.door != door {
            self.policy.door = door;
            self.seats.retain(|_, seat| seat.member.is_some());
        }
    }

    /// A seat's socket is gone.
    pub fn disconnect(&mut self, seat: SeatId, now: Duration) {
        self.away(seat, now + GRACE);
    }

    /// A seat's socket is gone, and nobody is likely to come back to it: its page was closed, or says `Hello` as somebody else.
    pub fn page_closed(&mut self, seat: SeatId, now: Duration) {
        self.away(seat, now + GRACE_OF_A_CLOSED_PAGE);
    }

    fn away(&mut self, seat: SeatId, until: Duration) {
        match self.seats.get_mut(&seat) {
            Some(Seat { member: None, knocking: None, .. }) => drop(self.seats.remove(&seat)),
            Some(s) => s.away = s.away.or(Some(until)),
            None => {}
        }
    }

    /// Proposes the removal of members who have been without a socket for too long; and again of those whom nobody
    /// removed, since whoever came in after the proposal has not seen it, and whoever saw it may have left.
    pub fn tick(&mut self, now: Duration) -> Vec<Delivery> {
        let heard = self.live() > 0;
        let due = |s: &Seat| s.gone_at(heard).is_some_and(|at| now >= at);
        let gone: Vec<_> = self.seats.iter().filter(|(_, s)| due(s)).map(|(id, _)| *id).collect();
        let mut out = Vec::new();
        for seat in gone {
            match self.seats.get_mut(&seat) {
                Some(Seat { gone: Some(Gone { left, told }), .. }) => {
                    *told = now;
                    let left = *left;
                    self.append(Entry::Gone { seat, left }, Only::Members, &mut out);
                }
                _ => self.gone(seat, false, now, &mut out),
            }
        }
        out
    }

    /// When [`Log::tick`] will have something to do.
    pub fn deadline(&self) -> Option<Duration> {
        let heard = self.live() > 0;
        self.seats.values().filter_map(|s| s.gone_at(heard)).min()
    }

    fn take(
        &mut self,
        from: SeatId,
        message: ClientMessage,
        now: Duration,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        if let ClientMessage::Hello { seat, token, pass, resume } = message {
            return if seat == from {
                self.hello(from, token, &pass, resume, now, out)
            } else {
                Err(Refusal::NotYourSeat)
            };
        }
        match self.seats.get(&from) {
            Some(Seat { away: None, .. }) => {}
            _ => return Err(Refusal::NotYourSeat),
        }
        match message {
            ClientMessage::Hello { .. } => unreachable!("answered above"),
            ClientMessage::Found { after, group } => self.found(from, after, group, out),
            ClientMessage::Knock { group, key_package, proof, card } => {
                self.of_group(group)?;
                self.knock(from, (key_package, proof, card), now, out)
            }
            ClientMessage::Commit { group, message, welcome } => {
                self.of_group(group)?;
                self.commit(from, message, welcome, out)
            }
            ClientMessage::Send { group, seq, to, message } => {
                self.of_group(group)?;
                self.send(from, seq, to, message, out)
            }
            ClientMessage::Reached { epoch } => {
                self.member(from)?;
                self.reached(from, epoch, out);
                Ok(())
            }
            ClientMessage::Deny { seat } => {
                self.member(from)?;
                if let Some(s) =
                    self.seats.get_mut(&seat).filter(|s| s.member.is_none() && s.knocking.is_some())
                {
                    s.knocking = None;
                    out.push(Delivery { to: seat, message: ServerMessage::Denied {} });
                }
                Ok(())
            }
            ClientMessage::Leave {} => {
                if self.member(from).is_ok() {
                    self.gone(from, true, now, out);
                    if let Some(seat) = self.seats.get_mut(&from) {
                        seat.away = Some(now);
                    }
                } else {
                    self.seats.remove(&from);
                }
                Ok(())
            }
            ClientMessage::Ping { offset } => {
                if offset > self.offset || self.forgotten(offset) || !self.may_resend(from, offset, now) {
                    self.seats.get_mut(&from).expect("it has a socket").cursor = self.offset;
                    let resumed = match self.member(from) {
                        Err(_) => Resumed::Fresh,
                        // What it takes for seen never was: it was told something else than the log.
                        Ok(_) if offset > self.offset => Resumed::Gone,
                        // Its epoch is in there: a member knows whether what it lost was a commit.
                        Ok(_) => Resumed::Lossy,
                    };
                    out.push(Delivery { to: from, message: self.greeting(self.offset, resumed) });
                    return Ok(());
                }
                self.replay(from, offset, out);
                let (offset, live) = (self.seats[&from].cursor, self.live() as u64);
                let pong = ServerMessage::Pong { offset, epoch: self.epoch, live };
                out.push(Delivery { to: from, message: pong });
                Ok(())
            }
        }
    }

    fn hello(
        &mut self,
        from: SeatId,
        token: SeatToken,
        pass: &Pass,
        resume: Option<Resume>,
        now: Duration,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        // A member may have been away when the host removed somebody, and not know the new link yet. Its token will do.
        let member = self.seats.get(&from).is_some_and(|s| s.member.is_some() && s.token == token);
        if !member && !self.policy.door.opens_to(pass) {
            return Err(Refusal::NoPass);
        }
        // Whoever only stands at the door takes memory too.
        let strangers = self.seats.values().filter(|s| s.member.is_none()).count();
        if !self.seats.contains_key(&from) && strangers >= 2 * MAX_KNOCKS {
            return Err(Refusal::Full);
        }
        let offset = self.offset;
        let own = self.seats.get(&from).is_none_or(|seat| seat.token == token);
        let forgotten = resume
            .is_some_and(|r| self.forgotten(r.offset) || (own && !self.may_resend(from, r.offset, now)));
        let seat = self.seats.entry(from).or_insert_with(|| Seat { cursor: offset, ..Seat::new(token) });
        if seat.token != token {
            return Err(Refusal::NotYourSeat);
        }
        seat.away = None;
        let resumed = match resume {
            None => Resumed::Fresh,
            Some(_) if seat.member.is_none() => Resumed::Fresh,
            Some(r) if r.generation != self.generation || r.offset > offset => Resumed::Gone,
            Some(_) if !forgotten => Resumed::All,
            Some(r) if r.epoch == self.epoch => Resumed::Lossy,
            Some(_) => Resumed::Gone,
        };
        seat.cursor = match (resumed, resume) {
            (Resumed::All, Some(r)) => r.offset,
            _ => offset,
        };
        let (was_gone, cursor) = (seat.gone.is_some(), seat.cursor);
        if was_gone && matches!(resumed, Resumed::All | Resumed::Lossy) {
            seat.gone = None;
            self.append(Entry::Back { seat: from }, Only::Members, out);
            // It is sent below, with whatever else was missed.
            out.retain(|delivery| delivery.to != from);
            self.seats.get_mut(&from).expect("it was just here").cursor = cursor;
        }
        out.push(Delivery { to: from, message: self.greeting(cursor, resumed) });
        self.replay(from, cursor, out);
        Ok(())
    }

    fn found(
        &mut self,
        from: SeatId,
        after: u64,
        group: GroupId,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        if after != self.generation {
            self.conflict(from, out);
            return Ok(());
        }
        if self.live() > 0 {
            return Err(Refusal::Occupied);
        }
        // Whoever was in the last generation comes in again, if they come, as somebody new.
        // The founder may be one of them, whom the log gave up and whose socket is still there.
        self.seats.retain(|id, seat| seat.member.is_none() || *id == from);
        self.generation += 1;
        self.group = Some(group);
        self.epoch = 0;
        self.entries.clear();
        self.bytes = 0;
        for seat in self.seats.values_mut() {
            (seat.knocking, seat.reached) = (None, 0);
        }
        let generation = self.generation;
        self.append(Entry::Founded { generation, group, seat: from }, Only::Everybody, out);
        let since = self.offset;
        let founder = self.seats.get_mut(&from).expect("it has a socket");
        founder.member = Some(Member { leaf: 0, since, proof: None });
        (founder.sent, founder.gone) = (0, None);
        Ok(())
    }

    fn knock(
        &mut self,
        from: SeatId,
        (key_package, proof, card): (ByteBuf, [u8; 32], ByteBuf),
        now: Duration,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        let seat = AddedLeaf::parse(&key_package).map_err(|_| Refusal::Malformed)?.seat;
        if seat != from {
            return Err(Refusal::NotYourSeat);
        }
        let Seat { member, knocking, .. } = self.seats[&from];
        if let Some(member) = member {
            // A member who knocks by another proof than the one that let it in has lost the group: nobody could let it in
            // again on a seat that is taken, and while it counted as there nobody could begin anew.
            if member.proof != Some(proof) {
                self.gone(from, true, now, out);
                return Err(Refusal::NotYourSeat);
            }
            // Its Welcome is in the log, and it has not seen it.
            let before = member.since - 1;
            if self.forgotten(before) || !self.may_resend(from, before, now) {
                out.push(Delivery { to: from, message: self.greeting(self.offset, Resumed::Lossy) });
            } else {
                self.replay(from, before, out);
            }
            return Ok(());
        }
        // Who knocks again is heard again once there is somebody new to hear it, or after a while: the log is not to fill
        // with the same words.
        let heard =
            |k: Knocked| k.proof == proof && k.epoch == self.epoch && now.saturating_sub(k.at) < KNOCK_AGAIN;
        if knocking.is_some_and(heard) {
            return Ok(());
        }
        let members = self.seats.values().filter(|s| s.member.is_some()).count();
        let others = self.seats.values().filter(|s| s.knocking.is_some()).count();
        if members >= self.policy.max_seats || (others >= MAX_KNOCKS && knocking.is_none()) {
            return Err(Refusal::Full);
        }
        let knocked = Knocked { proof, epoch: self.epoch, at: now };
        self.seats.get_mut(&from).expect("it has a socket").knocking = Some(knocked);
        self.append(Entry::Knock { seat, key_package, proof, card }, Only::Members, out);
        Ok(())
    }

    fn commit(
        &mut self,
        from: SeatId,
        message: ByteBuf,
        welcome: Option<ByteBuf>,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        let leaf = self.member(from)?.leaf;
        let commit = PublicCommit::parse(&message).map_err(|_| Refusal::Malformed)?;
        if Some(commit.group) != self.group || commit.leaf != leaf || commit.pre_shared_keys != 1 {
            return Err(Refusal::Malformed);
        }
        if commit.epoch != self.epoch {
            self.conflict(from, out);
            return Ok(());
        }
        let mut seated: BTreeMap<u32, SeatId> =
            self.seats.iter().filter_map(|(id, seat)| Some((seat.member?.leaf, *id))).collect();
        let mut removed = Vec::new();
        for leaf in &commit.removed {
            removed.push(seated.remove(leaf).ok_or(Refusal::Malformed)?);
        }
        let mut added = Vec::new();
        for AddedLeaf { seat } in &commit.added {
            if !self.seats.get(seat).is_some_and(|s| s.knocking.is_some() && s.member.is_none()) {
                // Somebody who gave up meanwhile, or never asked. The committer hears it and leaves them out.
                return Err(Refusal::NotAMember);
            }
            if seated.len() >= self.policy.max_seats {
                return Err(Refusal::Full);
            }
            let free =
                (0..).find(|leaf| !seated.contains_key(leaf)).expect("there are fewer seats than numbers");
            seated.insert(free, *seat);
            added.push((*seat, free));
        }
        if welcome.is_some() == added.is_empty() {
            return Err(Refusal::Malformed);
        }
        self.epoch += 1;
        let newcomers = added.iter().map(|(seat, _)| *seat).collect();
        self.append(Entry::Commit { seat: from, message, welcome }, Only::Adding(newcomers), out);
        for seat in removed {
            self.seats.remove(&seat);
        }
        let since = self.offset;
        for (seat, leaf) in added {
            let seat = self.seats.get_mut(&seat).expect("it was waiting");
            let proof = seat.knocking.take().map(|knocked| knocked.proof);
            seat.member = Some(Member { leaf, since, proof });
        }
        Ok(())
    }

    fn send(
        &mut self,
        from: SeatId,
        seq: u64,
        to: Option<SeatId>,
        message: ByteBuf,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Refusal> {
        self.member(from)?;
        let envelope = PrivateEnvelope::parse(&message).map_err(|_| Refusal::Malformed)?;
        if Some(envelope.group) != self.group {
            return Err(Refusal::Malformed);
        }
        if envelope.epoch > self.epoch || envelope.epoch + PAST_EPOCHS < self.epoch {
            return Err(Refusal::OtherEpoch);
        }
        let seat = self.seats.get_mut(&from).expect("a member");
        // Sent again, or ahead of one that has not arrived: the sender repeats what it did not see in the log.
        if seq == seat.sent + 1 {
            seat.sent = seq;
            let only = to.map_or(Only::Members, Only::One);
            self.append(Entry::Send { seat: from, seq, message }, only, out);
        }
        Ok(())
    }

    fn reached(&mut self, from: SeatId, epoch: u64, out: &mut Vec<Delivery>) {
        let seat = self.seats.get_mut(&from).expect("a member");
        seat.reached = seat.reached.max(epoch.min(self.epoch));
        let members = || self.seats.iter().filter(|(_, s)| s.member.is_some() && s.gone.is_none());
        if epoch == self.epoch && members().all(|(_, s)| s.reached == epoch) {
            let message = ServerMessage::Reached { epoch };
            out.extend(members().map(|(id, _)| Delivery { to: *id, message: message.clone() }));
        }
    }

    fn gone(&mut self, seat: SeatId, left: bool, now: Duration, out: &mut Vec<Delivery>) {
        match self.seats.get_mut(&seat) {
            Some(Seat { member: Some(_), gone: gone @ None, .. }) => {
                *gone = Some(Gone { left, told: now });
                self.append(Entry::Gone { seat, left }, Only::Members, out);
            }
            Some(Seat { member: None, .. }) => drop(self.seats.remove(&seat)),
            _ => {}
        }
        if self.live() == 0 {
            // Whoever is at the door need not wait until they ask again: the room is theirs.
            let pong = ServerMessage::Pong { offset: self.offset, epoch: self.epoch, live: 0 };
            let waiting = self.seats.iter().filter(|(_, s)| s.member.is_none() && s.away.is_none());
            out.extend(waiting.map(|(id, _)| Delivery { to: *id, message: pong.clone() }));
        }
    }

    fn greeting(&self, offset: u64, resumed: Resumed) -> ServerMessage {
        let live = self.live() as u64;
        ServerMessage::Hello {
            generation: self.generation,
            group: self.group,
            epoch: self.epoch,
            offset,
            live,
            resumed,
        }
    }

    /// Whether something that came after `offset` is no longer kept.
    fn forgotten(&self, offset: u64) -> bool {
        offset < self.entries.front().map_or(self.offset, |kept| kept.offset - 1)
    }

    /// Whether a seat may be sent again what came after `offset`, which counts as done then. For who asks too often it is as
    /// if the log had forgotten it.
    fn may_resend(&mut self, id: SeatId, offset: u64, now: Duration) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else { return true };
        let newer = self.entries.iter().rev().take_while(|kept| kept.offset > offset);
        let bytes: usize = newer.filter(|kept| kept.is_seen_by(id, seat)).map(|kept| kept.entry.size()).sum();
        let passed = now.saturating_sub(seat.resent.at);
        let forgiven =
            u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).saturating_mul(RESENT_EACH_SECOND) / 1000;
        let resent = seat.resent.bytes.saturating_sub(forgiven) + bytes as u64;
        let may = resent <= MAX_RESENT;
        if may {
            seat.resent = Resent { bytes: resent, at: now };
        }
        may
    }

    fn conflict(&self, to: SeatId, out: &mut Vec<Delivery>) {
        let message = ServerMessage::Conflict { generation: self.generation, epoch: self.epoch };
        out.push(Delivery { to, message });
    }

    fn of_group(&self, group: GroupId) -> Result<(), Refusal> {
        if self.group == Some(group) { Ok(()) } else { Err(Refusal::OtherGroup) }
    }

    fn member(&self, seat: SeatId) -> Result<Member, Refusal> {
        self.seats.get(&seat).and_then(|s| s.member).ok_or(Refusal::NotAMember)
    }

    fn append(&mut self, entry: Entry, only: Only, out: &mut Vec<Delivery>) {
        self.offset += 1;
        let kept = Kept { offset: self.offset, entry, only };
        let connected: BTreeSet<_> =
            self.seats.iter().filter(|(_, s)| s.away.is_none()).map(|(id, _)| *id).collect();
        for id in connected {
            let seat = self.seats.get_mut(&id).expect("it was just listed");
            if let Some(entry) = kept.seen_by(id, seat) {
                let prev = std::mem::replace(&mut seat.cursor, kept.offset);
                out.push(Delivery {
                    to: id,
                    message: ServerMessage::Entry { offset: kept.offset, prev, entry },
                });
            }
        }
        self.bytes += kept.entry.size();
        self.entries.push_back(kept);
        while self.entries.len() > MAX_LOG_ENTRIES || self.bytes > MAX_LOG_BYTES {
            self.bytes -= self.entries.pop_front().expect("not empty").entry.size();
        }
    }

    /// Sends a seat what it gets to see after `offset`.
    fn replay(&mut self, id: SeatId, offset: u64, out: &mut Vec<Delivery>) {
        let seat = self.seats.get_mut(&id).expect("it has a socket");
        let mut cursor = offset.min(self.offset);
        for kept in self.entries.iter().filter(|kept| kept.offset > offset) {
            if let Some(entry) = kept.seen_by(id, seat) {
                let prev = std::mem::replace(&mut cursor, kept.offset);
                out.push(Delivery {
                    to: id,
                    message: ServerMessage::Entry { offset: kept.offset, prev, entry },
                });
            }
        }
        seat.cursor = cursor;
    }
}

impl Seat {
    fn new(token: SeatToken) -> Self {
        Self {
            token,
            member: None,
            away: None,
            cursor: 0,
            sent: 0,
            knocking: None,
            reached: 0,
            gone: None,
            resent: Resent::default(),
        }
    }

    /// When its removal is to be proposed, for the first time or, as long as anybody is there to hear it, again.
    fn gone_at(&self, heard: bool) -> Option<Duration> {
        match self.gone {
            None => self.away,
            Some(Gone { told, .. }) => heard.then_some(told + GONE_AGAIN),
        }
    }
}

impl Kept {
    /// Whether this seat gets to see the entry.
    fn is_seen_by(&self, id: SeatId, seat: &Seat) -> bool {
        let was_member = seat.member.is_some_and(|member| member.since < self.offset);
        match &self.only {
            Only::Everybody => true,
            Only::Members => was_member,
            Only::Adding(added) => was_member || added.contains(&id),
            // The sender sees it too: that is how it knows that the log has it.
            Only::One(to) => {
                was_member
                    && (*to == id || matches!(&self.entry, Entry::Send { seat: from, .. } if *from == id))
            }
        }
    }

    /// The entry as this seat gets to see it, if it does.
    fn seen_by(&self, id: SeatId, seat: &Seat) -> Option<Entry> {
        let added = matches!(&self.only, Only::Adding(added) if added.contains(&id));
        self.is_seen_by(id, seat).then(|| match &self.entry {
            Entry::Commit { seat, welcome, .. } if added => {
                Entry::Commit { seat: *seat, message: ByteBuf::new(), welcome: welcome.clone() }
            }
            Entry::Commit { seat, message, .. } => {
                Entry::Commit { seat: *seat, message: message.clone(), welcome: None }
            }
            entry => entry.clone(),
        })
    }
}

impl Entry {
    fn size(&self) -> usize {
        64 + match self {
            Entry::Knock { key_package, card, .. } => key_package.len() + card.len(),
            Entry::Commit { message, welcome, .. } => message.len() + welcome.as_ref().map_or(0, |w| w.len()),
            Entry::Send { message, .. } => message.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
