//! A member in the group: commits, messages, frame keys.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use gloaming_ids::SeatId;
use gloaming_room_log::{ClientMessage, MAX_MESSAGE, PrivateEnvelope};
use serde_bytes::{ByteArray, ByteBuf};

use super::{Context, Event, LeftHow, Me, PeerView, Standing, open_visitor, timing};
use crate::{
    App, Card, Doubt, FrameOpener, FrameSealer,
    app::Said,
    device::{HostOrder, SeatContext},
    group::{Candidate, Change, Group, JoinProof, Plan, check_proof, read_key_package},
};

/// How many are added by one commit: the Welcome has to fit into a frame.
const ADD_AT_MOST: usize = 16;
/// How many unconfirmed messages are kept. What is said beyond that is dropped: the log takes a seat's messages without a gap,
/// so an older one cannot be.
const OUTBOX: usize = 256;

pub(super) struct Seated {
    pub(super) group: Group,
    pub(super) sealer: FrameSealer,
    pub(super) opener: FrameOpener,
    /// The epoch in which this member came in: what was sealed before is not for it.
    joined_epoch: u64,
    peers: BTreeMap<u32, Peer>,
    /// Whom the server proposes to remove; whether they said so themselves.
    gone: BTreeMap<SeatId, bool>,
    knocks: BTreeMap<SeatId, Knock>,
    /// Since when there is something to commit, and when it last grew.
    work: Option<(Duration, Duration)>,
    pending: Option<Pending>,
    /// Whom the host removes, each with a commit of their own.
    expel: BTreeSet<SeatId>,
    rotate: bool,
    renewed: Duration,
    outbox: VecDeque<Unconfirmed>,
    outbox_again: Duration,
    said: u64,
    broadcasts: u64,
    /// When to seal with this epoch's keys, if not everybody has reached it before.
    switch_at: Option<Duration>,
    /// When epochs before which one are forgotten.
    forget: VecDeque<(Duration, u64)>,
    behind: Option<Duration>,
}

struct Peer {
    seat: SeatId,
    card: Option<Card>,
    /// The number of their last message that was seen, and of their last one to everybody.
    seq: u64,
    broadcast: Option<u64>,
}

struct Knock {
    candidate: Candidate,
    card: Option<Card>,
}

/// A commit of ours that is on its way.
struct Pending {
    message: Vec<u8>,
    frame: Vec<u8>,
    expelled: Option<SeatId>,
    again: Duration,
    patience: Duration,
}

struct Unconfirmed {
    seq: u64,
    to: Option<SeatId>,
    plain: Vec<u8>,
    epoch: u64,
    frame: Vec<u8>,
}

impl Seated {
    pub(super) fn new(group: Group, now: Duration) -> Self {
        let peer = |seat| Peer { seat, card: None, seq: 0, broadcast: None };
        Self {
            joined_epoch: group.epoch(),
            peers: group.seats().into_iter().map(|(leaf, seat)| (leaf, peer(seat))).collect(),
            group,
            sealer: FrameSealer::default(),
            opener: FrameOpener::default(),
            gone: BTreeMap::new(),
            knocks: BTreeMap::new(),
            work: None,
            pending: None,
            expel: BTreeSet::new(),
            rotate: false,
            renewed: now,
            outbox: VecDeque::new(),
            outbox_again: now,
            said: 0,
            broadcasts: 0,
            switch_at: None,
            forget: VecDeque::new(),
            behind: None,
        }
    }

    /// In the group now.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>, now: Duration) {
        self.add_frame_keys(cx);
        self.switch(None, cx);
        self.reached(cx);
        if self.peers.len() > 1 {
            self.introduce(None, cx, now);
        }
    }

    pub(super) fn peer(&self, seat: SeatId) -> Option<PeerView<'_>> {
        let (leaf, peer) = self.peers.iter().find(|(_, peer)| peer.seat == seat)?;
        Some(PeerView { leaf: *leaf, card: peer.card.as_ref() })
    }

    pub(super) fn deadline(&self, online: bool, me: &Me) -> Option<Duration> {
        let frames = [self.switch_at, self.forget.front().map(|(at, _)| *at)];
        let socket = [
            match &self.pending {
                Some(pending) => Some(pending.again),
                None => self.commit_due(me),
            },
            (!self.outbox.is_empty()).then_some(self.outbox_again),
            self.behind.map(|since| since + timing::BEHIND),
        ];
        let socket = socket.into_iter().filter(|_| online);
        frames.into_iter().chain(socket).flatten().min()
    }

    /// Does what is due. Whether the group went on without us, for too long.
    pub(super) fn run(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        if self.switch_at.is_some_and(|at| now >= at) {
            self.switch(None, cx);
        }
        while let Some((_, epoch)) = self.forget.pop_front_if(|(at, _)| now >= *at) {
            self.opener.forget_before(epoch);
        }
        if !cx.out.online {
            return false;
        }
        if !self.outbox.is_empty() && now >= self.outbox_again {
            self.resend(cx, now);
        }
        if let Some(pending) = &mut self.pending {
            if now >= pending.again {
                pending.patience = (pending.patience * 2).min(8 * timing::COMMIT_AGAIN);
                pending.again = now + pending.patience;
                cx.out.frame(pending.frame.clone());
            }
        } else if self.commit_due(cx.me).is_some_and(|due| now >= due) {
            self.commit(cx, now);
        }
        self.behind.is_some_and(|since| now >= since + timing::BEHIND)
    }

    /// The socket is back: what was not seen in the log is sent again.
    pub(super) fn reconnected(&mut self, cx: &mut Context<'_>, now: Duration) {
        self.reached(cx);
        self.resend(cx, now);
        if let Some(pending) = &mut self.pending {
            pending.again = now;
        }
    }

    /// Messages were lost, and that is known.
    pub(super) fn lossy(&mut self) {
        for peer in self.peers.values_mut() {
            peer.broadcast = None;
        }
    }

    /// The log says which epoch it is at, and whether there is anything to come. One that is ahead has something on its way, or
    /// showed it to us as something else; one that is behind its members is another than they were shown.
    pub(super) fn log_is_at(&mut self, epoch: u64, nothing_to_come: bool, now: Duration) {
        let ours = self.group.epoch();
        if epoch > ours || (epoch < ours && nothing_to_come) {
            self.is_behind(now);
        }
    }

    /// The log is elsewhere: what is missing has to come soon.
    pub(super) fn is_behind(&mut self, now: Duration) {
        self.behind = self.behind.or(Some(now));
    }

    // Commits.

    /// When this member should commit, if it stays as it is.
    fn commit_due(&self, me: &Me) -> Option<Duration> {
        let mine = if !self.expel.is_empty() || self.rotate {
            Duration::ZERO
        } else {
            self.renewed + timing::HEAL + timing::HEAL_APART * self.group.leaf()
        };
        // Lower leaves that are there come first, one after another.
        let before =
            self.peers.range(..self.group.leaf()).filter(|(_, p)| !self.gone.contains_key(&p.seat)).count();
        let before = u32::try_from(before).expect("a room has few seats");
        let shared = self.work.filter(|_| self.has_work(me)).map(|(first, last)| {
            (last + timing::COALESCE).min(first + timing::COALESCE_AT_MOST) + timing::TAKE_OVER * before
        });
        [Some(mine), shared].into_iter().flatten().min()
    }

    fn has_work(&self, me: &Me) -> bool {
        self.to_add().next().is_some() || self.to_remove(me).next().is_some()
    }

    fn to_add(&self) -> impl Iterator<Item = &Candidate> {
        self.knocks.values().filter(|knock| knock.candidate.admitted).map(|knock| &knock.candidate)
    }

    fn to_remove(&self, me: &Me) -> impl Iterator<Item = u32> {
        self.peers
            .iter()
            .filter(|(_, peer)| peer.seat != me.seat && self.gone.contains_key(&peer.seat))
            .map(|(leaf, _)| *leaf)
    }

    fn more_work(&mut self, now: Duration) {
        let first = self.work.map_or(now, |(first, _)| first);
        self.work = Some((first, now));
    }

    fn commit(&mut self, cx: &mut Context<'_>, now: Duration) {
        let expel = self.expel.first().copied().and_then(|seat| {
            let leaf = self.peers.iter().find(|(_, peer)| peer.seat == seat).map(|(leaf, _)| *leaf)?;
            let order = HostOrder::Expel { group: self.group.id(), epoch: self.group.epoch(), seat };
            Some((leaf, seat, cx.config.host.as_ref()?.sign(&order)))
        });
        let plan = match expel {
            // Alone: whoever is added by the same commit would learn the next room secret with the old link.
            Some((leaf, seat, signature)) => {
                Plan { add: Vec::new(), remove: vec![leaf], expel: Some((seat, signature)) }
            }
            None => Plan {
                add: self
                    .knocks
                    .values()
                    .map(|knock| &knock.candidate)
                    .filter(|candidate| candidate.admitted)
                    .take(ADD_AT_MOST)
                    .collect(),
                remove: self.to_remove(cx.me).collect(),
                expel: None,
            },
        };
        let made = self.group.commit(cx.provider, &cx.me.signer, &cx.config.invite, &plan);
        let expelled = plan.expel.map(|(seat, _)| seat);
        drop(plan);
        let Some(made) = made else { return self.give_up_on_work(now) };
        let frame = ClientMessage::Commit {
            group: self.group.id(),
            message: ByteBuf::from(made.message.clone()),
            welcome: made.welcome.map(ByteBuf::from),
        }
        .encode();
        if frame.len() > MAX_MESSAGE {
            self.group.abandon(cx.provider);
            return self.give_up_on_work(now);
        }
        let (again, patience) = (now + timing::COMMIT_AGAIN, timing::COMMIT_AGAIN);
        cx.out.frame(frame.clone());
        self.pending = Some(Pending { message: made.message, frame, expelled, again, patience });
    }

    /// Something of what there was to commit cannot be committed. Whoever still wants in knocks again.
    fn give_up_on_work(&mut self, now: Duration) {
        self.knocks.clear();
        self.expel.clear();
        (self.work, self.rotate) = (None, false);
        self.renewed = now;
        if !self.gone.is_empty() {
            self.more_work(now);
        }
    }

    /// The log did not take our commit, for whom it adds or removes.
    pub(super) fn commit_refused(&mut self, cx: &mut Context<'_>, now: Duration) {
        if self.pending.take().is_some() {
            self.group.abandon(cx.provider);
            self.knocks.clear();
            self.more_work(now);
        }
    }

    /// A commit was first.
    pub(super) fn committed(
        &mut self,
        from: SeatId,
        message: &[u8],
        cx: &mut Context<'_>,
        now: Duration,
    ) -> Standing {
        let change = if from == cx.me.seat {
            match self.pending.take_if(|pending| pending.message == message) {
                Some(pending) => {
                    (self.renewed, self.rotate) = (now, false);
                    self.group.merge_own(cx.provider, &mut cx.config.invite, pending.expelled)
                }
                // A commit that we had given up: nobody can undo that it counts, and we no longer have its keys.
                None if self.group.is_current_commit(message) => return Standing::Lost,
                None => {
                    cx.out.doubt(Doubt::OldEpoch);
                    return Standing::In;
                }
            }
        } else {
            match self.group.check(cx.provider, &cx.config.invite, message) {
                Ok(commit) => {
                    if self.peers.get(&commit.by).is_none_or(|peer| peer.seat != from) {
                        cx.out.doubt(Doubt::Misdelivered);
                    }
                    if self.pending.take().is_some() {
                        self.group.abandon(cx.provider);
                    }
                    self.group.merge(cx.provider, &mut cx.config.invite, commit)
                }
                Err(doubt) => {
                    // If the log took it, then it has gone on without us.
                    if doubt != Doubt::OldEpoch {
                        self.is_behind(now);
                    }
                    cx.out.doubt(doubt);
                    return Standing::In;
                }
            }
        };
        self.went_on(change, cx, now)
    }

    fn went_on(&mut self, change: Change, cx: &mut Context<'_>, now: Duration) -> Standing {
        if change.out {
            let expelled = change.expelled == Some(cx.me.seat);
            return if expelled { Standing::Expelled } else { Standing::Lost };
        }
        for (leaf, seat) in &change.removed {
            self.peers.remove(leaf);
            let how = match (change.expelled, self.gone.remove(seat)) {
                (Some(expelled), _) if expelled == *seat => LeftHow::Expelled,
                (_, Some(true)) => LeftHow::Left,
                (_, Some(false)) => LeftHow::Lost,
                (_, None) => LeftHow::Unexplained,
            };
            cx.out.event(Event::Left(*seat, how));
        }
        for (leaf, seat) in &change.joined {
            let card = self.knocks.remove(seat).and_then(|knock| knock.card);
            let introduced = card.is_some();
            self.peers.insert(*leaf, Peer { seat: *seat, card, seq: 0, broadcast: None });
            cx.out.event(Event::Joined(*seat));
            if introduced {
                cx.out.event(Event::Introduced(*seat));
            }
        }
        self.expel.retain(|seat| self.peers.values().any(|peer| peer.seat == *seat));
        let removed: Vec<_> = change.removed.iter().map(|(leaf, _)| *leaf).collect();
        self.opener.forget_leaves(&removed);
        self.add_frame_keys(cx);
        let keep = if change.expelled.is_some() { timing::KEEP_OLD_AFTER_EXPEL } else { timing::KEEP_OLD };
        self.forget.push_back((now + keep, self.group.epoch()));
        self.forget.make_contiguous().sort();
        self.switch_at = Some(now + timing::SWITCH);
        self.behind = None;
        cx.out.event(Event::Epoch { epoch: self.group.epoch(), seats: self.peers.len() });
        if change.expelled.is_some() {
            // They proved to have a link that is no longer one.
            self.knocks.clear();
            cx.out.event(Event::LinkChanged);
        }
        self.work = self.has_work(cx.me).then_some((now, now));
        self.reached(cx);
        for (_, seat) in &change.joined {
            self.introduce(Some(*seat), cx, now);
        }
        Standing::In
    }

    // The door.

    pub(super) fn knocked(
        &mut self,
        seat: SeatId,
        key_package: &[u8],
        proof: [u8; 32],
        card: &[u8],
        cx: &mut Context<'_>,
        now: Duration,
    ) {
        if self.peer(seat).is_some() {
            return;
        }
        let Some((key_package, hash, key)) = read_key_package(cx.provider, seat, key_package) else {
            return cx.out.doubt(Doubt::BadJoinProof);
        };
        let invite = &cx.config.invite;
        let context = SeatContext { room: cx.config.room, group: self.group.id(), seat, key };
        let visitor = open_visitor(&invite.card_key(self.group.id()), seat, card)
            .filter(|visitor| visitor.card.verify(&context));
        let (own, card) = visitor.map(|visitor| (visitor.admission(), visitor.card)).unzip();
        let known = self.knocks.get(&seat).filter(|knock| knock.candidate.hash == hash);
        let admission = own.flatten().or(known.and_then(|knock| knock.candidate.proof.admission));
        let first = known.is_none();
        let proof = JoinProof { proof, admission };
        let admitted = match check_proof(invite, self.group.id(), &hash, &proof) {
            Ok(()) => true,
            Err(Doubt::NotAdmitted) => false,
            Err(doubt) => return cx.out.doubt(doubt),
        };
        if card.is_none() {
            cx.out.doubt(Doubt::BadCard);
        }
        if !admitted && first {
            cx.out.event(Event::AtTheDoor { seat, card: card.clone() });
        }
        let candidate = Candidate { key_package, hash, proof, admitted };
        self.knocks.insert(seat, Knock { candidate, card });
        if admitted && (first || self.work.is_none()) {
            self.more_work(now);
        }
    }

    pub(super) fn admit(&mut self, seat: SeatId, cx: &mut Context<'_>, now: Duration) {
        let (Some(host), Some(knock)) = (&cx.config.host, self.knocks.get(&seat)) else { return };
        let key_package_hash = knock.candidate.hash;
        let order = HostOrder::Admit { group: self.group.id(), key_package_hash: &key_package_hash };
        let signature = host.sign(&order);
        self.admitted(seat, key_package_hash, signature, cx, now);
        // Whoever commits has to know it.
        self.say(None, App::Admit { seat, key_package_hash, signature }, cx, now);
    }

    fn admitted(
        &mut self,
        seat: SeatId,
        hash: [u8; 32],
        signature: [u8; 64],
        cx: &mut Context<'_>,
        now: Duration,
    ) {
        let order = HostOrder::Admit { group: self.group.id(), key_package_hash: &hash };
        if !order.verify(&cx.config.invite.host, &signature) {
            return cx.out.doubt(Doubt::NotAdmitted);
        }
        if let Some(knock) = self.knocks.get_mut(&seat).filter(|knock| knock.candidate.hash == hash) {
            knock.candidate.proof.admission = Some(ByteArray::new(signature));
            knock.candidate.admitted = true;
            self.more_work(now);
        }
    }

    pub(super) fn deny(&mut self, seat: SeatId, cx: &mut Context<'_>) {
        if self.knocks.remove(&seat).is_some() {
            cx.out.send(&ClientMessage::Deny { seat });
        }
    }

    pub(super) fn expel(&mut self, seat: SeatId, cx: &mut Context<'_>) {
        if cx.config.host.is_some() && seat != cx.me.seat && self.peer(seat).is_some() {
            self.expel.insert(seat);
        }
    }

    pub(super) fn rotate(&mut self) {
        self.rotate = true;
    }

    pub(super) fn gone(&mut self, seat: SeatId, left: bool, cx: &mut Context<'_>, now: Duration) {
        if seat == cx.me.seat {
            return;
        }
        if self.peer(seat).is_none() {
            // The log counts somebody in who is not in the group: it is another group's, whose epochs have the same numbers.
            return self.is_behind(now);
        }
        let first = self.gone.insert(seat, left).is_none();
        if first {
            cx.out.event(Event::Away(seat));
        }
        // The log says it again while nobody removes it.
        if first || self.work.is_none() {
            self.more_work(now);
        }
    }

    pub(super) fn back(&mut self, seat: SeatId, cx: &mut Context<'_>) {
        if self.gone.remove(&seat).is_some() {
            cx.out.event(Event::Back(seat));
        }
    }

    // Messages.

    pub(super) fn say(&mut self, to: Option<SeatId>, app: App, cx: &mut Context<'_>, now: Duration) {
        if self.outbox.len() >= OUTBOX {
            return;
        }
        self.said += 1;
        self.broadcasts += u64::from(to.is_none());
        let plain = Said { seq: self.said, to, broadcast: self.broadcasts, app }.encode();
        let unconfirmed = Unconfirmed { seq: self.said, to, plain, epoch: 0, frame: Vec::new() };
        let unconfirmed = self.sealed(unconfirmed, cx);
        cx.out.frame(unconfirmed.frame.clone());
        if self.outbox.is_empty() {
            self.outbox_again = now + timing::RETRY;
        }
        self.outbox.push_back(unconfirmed);
    }

    fn sealed(&mut self, message: Unconfirmed, cx: &mut Context<'_>) -> Unconfirmed {
        let Unconfirmed { seq, to, plain, .. } = message;
        let (epoch, group) = (self.group.epoch(), self.group.id());
        let sealed = ByteBuf::from(self.group.seal(cx.provider, &cx.me.signer, &plain));
        let frame = ClientMessage::Send { group, seq, to, message: sealed }.encode();
        Unconfirmed { seq, to, plain, epoch, frame }
    }

    /// Whether something that was not seen in the log is under other keys than those of now.
    pub(super) fn has_old_messages(&self) -> bool {
        self.outbox.iter().any(|message| message.epoch != self.group.epoch())
    }

    /// Sends again what was not seen in the log, under the keys of now.
    pub(super) fn resend(&mut self, cx: &mut Context<'_>, now: Duration) {
        self.outbox_again = now + timing::RETRY;
        for mut message in std::mem::take(&mut self.outbox) {
            if message.epoch != self.group.epoch() {
                message = self.sealed(message, cx);
            }
            cx.out.frame(message.frame.clone());
            self.outbox.push_back(message);
        }
    }

    /// Somebody said something. Whether it was the host, ending the meeting.
    pub(super) fn said(
        &mut self,
        from: SeatId,
        seq: u64,
        message: &[u8],
        cx: &mut Context<'_>,
        now: Duration,
    ) -> bool {
        if from == cx.me.seat {
            self.outbox.retain(|unconfirmed| unconfirmed.seq > seq);
            self.outbox_again = now + timing::RETRY;
            return false;
        }
        match self.heard(from, seq, message, cx) {
            Ok(None) => {}
            Ok(Some(said)) => return self.take_in(from, said, cx, now),
            Err(doubt) => cx.out.doubt(doubt),
        }
        false
    }

    /// Opens a message and checks that it is what the log says. `None` for what was not for us.
    fn heard(
        &mut self,
        from: SeatId,
        seq: u64,
        message: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Option<App>, Doubt> {
        let envelope = PrivateEnvelope::parse(message).map_err(|_| Doubt::Unreadable)?;
        if envelope.group != self.group.id() {
            return Err(Doubt::Unreadable);
        }
        // Said before we came, and ordered after: not for us.
        if envelope.epoch < self.joined_epoch {
            return Ok(None);
        }
        if envelope.epoch > self.group.epoch() {
            return Err(Doubt::MissingEpoch);
        }
        if self.peers.values().any(|peer| peer.seat == from && seq <= peer.seq) {
            return Err(Doubt::Replayed);
        }
        let (leaf, plain) = self.group.open(cx.provider, message)?;
        let said = Said::decode(&plain)?;
        let peer = self.peers.get_mut(&leaf).filter(|peer| peer.seat == from).ok_or(Doubt::Misdelivered)?;
        if said.seq != seq || said.seq <= peer.seq {
            return Err(Doubt::Replayed);
        }
        if said.to.is_some_and(|to| to != cx.me.seat) {
            return Err(Doubt::Misdelivered);
        }
        peer.seq = said.seq;
        let expected = peer.broadcast.map(|last| last + u64::from(said.to.is_none()));
        peer.broadcast = Some(said.broadcast);
        if expected.is_some_and(|expected| expected != said.broadcast) {
            cx.out.doubt(Doubt::Withheld);
        }
        Ok(Some(said.app))
    }

    fn take_in(&mut self, from: SeatId, app: App, cx: &mut Context<'_>, now: Duration) -> bool {
        match app {
            App::Introduce(card) => {
                let leaf = self.peer(from).map(|peer| peer.leaf);
                let context = leaf.and_then(|leaf| self.group.seat_context(cx.config.room, leaf));
                if !context.is_some_and(|context| card.verify(&context)) {
                    cx.out.doubt(Doubt::BadCard);
                } else if let Some(peer) = leaf.and_then(|leaf| self.peers.get_mut(&leaf)) {
                    peer.card = Some(card);
                    cx.out.event(Event::Introduced(from));
                }
            }
            App::Admit { seat, key_package_hash, signature } => {
                self.admitted(seat, key_package_hash, signature, cx, now);
            }
            App::End { signature } => {
                let order = HostOrder::End { group: self.group.id() };
                if order.verify(&cx.config.invite.host, &signature) {
                    return true;
                }
                cx.out.doubt(Doubt::NotTheHost);
            }
            app => cx.out.event(Event::Said { seat: from, app }),
        }
        false
    }

    pub(super) fn end(&mut self, cx: &mut Context<'_>, now: Duration) {
        if let Some(host) = &cx.config.host {
            let signature = host.sign(&HostOrder::End { group: self.group.id() });
            self.say(None, App::End { signature }, cx, now);
        }
    }

    fn introduce(&mut self, to: Option<SeatId>, cx: &mut Context<'_>, now: Duration) {
        let leaf = self.group.leaf();
        let context = self.group.seat_context(cx.config.room, leaf).expect("it is our own leaf");
        let card = cx.config.device.card(&cx.config.name, &context);
        self.say(to, App::Introduce(card), cx, now);
    }

    // Frame keys.

    fn add_frame_keys(&mut self, cx: &Context<'_>) {
        let leaves = self.peers.keys().copied().collect();
        self.opener.add(self.group.epoch(), self.group.frame_base(cx.provider), leaves);
    }

    /// From now on frames are sealed with this epoch's keys; for [`Reached`](gloaming_room_log::ServerMessage::Reached),
    /// only if it is this epoch that everybody has reached.
    pub(super) fn switch(&mut self, reached: Option<u64>, cx: &mut Context<'_>) {
        let epoch = self.group.epoch();
        if reached.is_some_and(|reached| reached != epoch) || self.sealer.epoch() == Some(epoch) {
            return;
        }
        self.switch_at = None;
        self.sealer.switch(Some((epoch, self.group.frame_base(cx.provider), self.group.leaf())));
        cx.out.event(Event::Sealing { epoch });
    }

    fn reached(&self, cx: &mut Context<'_>) {
        cx.out.send(&ClientMessage::Reached { epoch: self.group.epoch() });
    }
}
