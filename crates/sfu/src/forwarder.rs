use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use gloaming_ids::{RoomId, SeatId};
use str0m::{
    Input,
    config::DtlsCert,
    media::{Mid, Rid},
    net::{DatagramRecv, Protocol, Receive},
    rtp::RtpPacket,
};

use crate::{
    allocate::{Wish, allocate},
    gate::{Expected, Verdict},
    limits::{Bucket, Limits},
    outbox::{Outbox, Via},
    payload::Shape,
    peer::{Came, Making, Peer, PeerKey},
    rewrite::Numbers,
    route::Passed,
    signal::{Ended, FromForwarder, Prefers, Receives, Refusal, Sends, ToForwarder, Track, Want},
    source::{Layer, Source, SourceKey},
    stun::{self, Stun},
};

/// Between two looks at who gets what, and who is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Between two looks at who wants to be driven: timers of str0m that fall into one such time are served together.
const TICK: Duration = Duration::from_millis(2);

/// So long after its last check an address belongs to who made it. Browsers check every few seconds.
const FRESH: Duration = Duration::from_secs(6);

/// How a forwarder is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where browsers reach it: what the answers say. One for each family that it listens for.
    pub addresses: Vec<SocketAddr>,
    /// Whether they can be reached there by TCP too.
    pub tcp: bool,
    /// How much of everything there may be.
    pub limits: Limits,
    /// With how many bits a second a viewer's network is believed to manage at first. `None` sends everything at once and
    /// estimates nothing: for measuring.
    pub estimate: Option<u64>,
}

impl Config {
    /// As it should be, at these addresses.
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, tcp: false, limits: Limits::default(), estimate: Some(4_000_000) }
    }
}

/// Something to tell a seat, through the room's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// In which room.
    pub room: RoomId,
    /// To whom.
    pub seat: SeatId,
    /// What.
    pub message: FromForwarder,
}

/// What a forwarder counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections now.
    pub peers: usize,
    /// Rooms now.
    pub rooms: usize,
    /// Bits a second that the networks of all viewers together are believed to take now.
    pub estimate: u64,
    /// Datagrams that came.
    pub datagrams: u64,
    /// Of those, ones that belong to no connection, or do not show that they do.
    pub foreign: u64,
    /// Of those, ones beyond what a seat may send.
    pub excess: u64,
    /// Media packets that came.
    pub packets: u64,
    /// Of those, ones of tracks that nobody announced.
    pub unannounced: u64,
    /// Of those, ones whose frame was not sealed, or that could not be read.
    pub unsealed: u64,
    /// Media packets that went to viewers.
    pub forwarded: u64,
    /// Key frames that were asked for.
    pub key_frames_asked: u64,
    /// How often a viewer's network did not take what was sent.
    pub backlogs: u64,
    /// Events that nobody fetched in time.
    pub events_lost: u64,
}

#[derive(Default)]
struct Room {
    epoch: u64,
    leaves: HashMap<SeatId, u32>,
    peers: HashMap<SeatId, PeerKey>,
}

/// Rooms, who is connected, and what goes where.
///
/// It opens no socket and reads no clock: whoever drives it hands over datagrams, messages and the time, and empties the
/// [`Outbox`] and [`Forwarder::poll_event`]. After a batch of datagrams, [`Forwarder::settle`] sends what they led to.
pub struct Forwarder {
    config: Config,
    certificate: DtlsCert,
    rooms: HashMap<RoomId, Room>,
    peers: HashMap<PeerKey, Peer>,
    sources: HashMap<SourceKey, Source>,
    by_ufrag: HashMap<String, PeerKey>,
    by_address: HashMap<(Via, SocketAddr), PeerKey>,
    /// Those to whom something was written.
    dirty: Vec<PeerKey>,
    /// Tracks of which a layer came (back) just now.
    appeared: Vec<SourceKey>,
    events: VecDeque<Event>,
    next_key: u64,
    whoami: Bucket,
    tick_at: Instant,
    look_at: Instant,
    counts: Counts,
    came: Vec<Came>,
}

impl Forwarder {
    /// One without rooms. Its DTLS certificate is new; browsers learn its fingerprint from the answers.
    ///
    /// # Panics
    /// If the cryptography that str0m was built with cannot make a certificate.
    pub fn new(config: Config, now: Instant) -> Self {
        let provider = str0m::crypto::from_feature_flags();
        let certificate = provider.dtls_provider.generate_certificate().expect("aws-lc makes certificates");
        let whoami = Bucket::new(config.limits.whoami.into(), now);
        Self {
            config,
            certificate,
            rooms: HashMap::new(),
            peers: HashMap::new(),
            sources: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            dirty: Vec::new(),
            appeared: Vec::new(),
            events: VecDeque::new(),
            next_key: 0,
            whoami,
            tick_at: now,
            look_at: now,
            counts: Counts::default(),
            came: Vec::new(),
        }
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let estimate = self.peers.values().filter_map(|peer| peer.estimate).sum();
        Counts { peers: self.peers.len(), rooms: self.rooms.len(), estimate, ..self.counts }
    }

    /// The next thing to tell a seat.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Who sits on which leaf of the room's group, from which epoch on: what the room's log knows after each commit.
    /// Whoever is no longer among them is disconnected. `false` if there are too many rooms.
    pub fn members(
        &mut self,
        room: RoomId,
        epoch: u64,
        leaves: &[(SeatId, u32)],
        now: Instant,
        outbox: &mut Outbox,
    ) -> bool {
        if !self.rooms.contains_key(&room) && self.rooms.len() >= self.config.limits.rooms {
            return false;
        }
        let entry = self.rooms.entry(room).or_default();
        entry.epoch = epoch;
        entry.leaves = leaves.iter().copied().collect();
        let connected: Vec<_> =
            entry.peers.iter().map(|(seat, key)| (*key, entry.leaves.get(seat).copied())).collect();
        for (key, leaf) in connected {
            match leaf {
                Some(leaf) => self.peers.get_mut(&key).into_iter().for_each(|peer| peer.leaf = leaf),
                None => self.remove(key, Some(Ended::Removed), now, outbox),
            }
        }
        true
    }

    /// The room is over, or needs no forwarder any more.
    pub fn close(&mut self, room: RoomId, now: Instant, outbox: &mut Outbox) {
        let peers: Vec<_> =
            self.rooms.get(&room).into_iter().flat_map(|room| room.peers.values().copied()).collect();
        for key in peers {
            self.remove(key, Some(Ended::RoomOver), now, outbox);
        }
        self.rooms.remove(&room);
    }

    /// A seat's message.
    pub fn signal(
        &mut self,
        room: RoomId,
        seat: SeatId,
        message: ToForwarder,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        match message {
            ToForwarder::Offer { sdp, send, receive } => {
                if let Err(why) = self.offer(room, seat, &sdp, &send, &receive, now, outbox) {
                    if let Some(key) = self.peer_of(room, seat) {
                        self.remove(key, None, now, outbox);
                    }
                    self.tell(room, seat, FromForwarder::Refused { why });
                }
            }
            ToForwarder::Prefer { wants } => {
                if let Some(key) = self.peer_of(room, seat) {
                    self.prefer(key, &wants, now);
                }
            }
            ToForwarder::Bye {} => {
                if let Some(key) = self.peer_of(room, seat) {
                    self.remove(key, Some(Ended::Bye), now, outbox);
                }
            }
        }
        self.settle(now, outbox);
    }

    /// A datagram came.
    pub fn receive(
        &mut self,
        via: Via,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.counts.datagrams += 1;
        let is_stun = matches!(datagram.first(), Some(0 | 1));
        let key = if is_stun {
            match stun::read(datagram) {
                Stun::Check { ufrag } => self.by_ufrag.get(ufrag).copied(),
                Stun::WhoAmI { transaction } => {
                    if self.whoami.take(1.0, now) {
                        outbox.push(via, from, &stun::answer(transaction, from));
                    }
                    return;
                }
                Stun::Other => None,
            }
        } else {
            self.by_address.get(&(via, from)).copied()
        };
        let destination = self.local_address(from);
        let (Some(key), Some(destination)) = (key, destination) else {
            self.counts.foreign += 1;
            return;
        };
        let Ok(contents) = DatagramRecv::try_from(datagram) else {
            self.counts.foreign += 1;
            return;
        };
        let proto = match via {
            Via::Udp => Protocol::Udp,
            Via::Tcp => Protocol::Tcp,
        };
        let receive = Receive { proto, source: from, destination, contents };
        let input = Input::Receive(now, receive);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if is_stun && !peer.accepts(&input) {
            self.counts.foreign += 1;
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a datagram is small")]
        if !peer.ingress.take(datagram.len() as f64, now) {
            self.counts.excess += 1;
            return;
        }
        if is_stun {
            // Anything else could come from whoever writes this address on it.
            peer.heard = now;
            self.know_at(key, (via, from), now);
        }
        // str0m wants to be drained between two changes.
        if self.peers.get(&key).is_some_and(|peer| peer.dirty) {
            self.drive(key, None, now, outbox);
        }
        self.drive(key, Some(input), now, outbox);
    }

    /// Sends what was written since the last time.
    pub fn settle(&mut self, now: Instant, outbox: &mut Outbox) {
        for source in std::mem::take(&mut self.appeared) {
            let viewers =
                self.sources.get(&source).map_or_else(Vec::new, |source| source.subscribers.clone());
            viewers.into_iter().for_each(|(viewer, _)| self.aim(viewer, now));
        }
        while let Some(key) = self.dirty.pop() {
            if self.peers.get(&key).is_some_and(|peer| peer.dirty) {
                self.drive(key, None, now, outbox);
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        if now >= self.look_at {
            self.look_at = now + LOOK;
            self.look(now, outbox);
        }
        if now >= self.tick_at {
            self.tick_at = now + TICK;
            for (key, peer) in &mut self.peers {
                if peer.due <= now && !peer.dirty {
                    peer.dirty = true;
                    self.dirty.push(*key);
                }
            }
        }
        self.settle(now, outbox);
    }

    /// When [`Forwarder::handle_timeout`] has something to do again; `None` where nobody is connected.
    pub fn next_timeout(&self) -> Option<Instant> {
        let first = self.peers.values().map(|peer| peer.due).min()?;
        Some(first.max(self.tick_at).min(self.look_at))
    }

    fn peer_of(&self, room: RoomId, seat: SeatId) -> Option<PeerKey> {
        self.rooms.get(&room)?.peers.get(&seat).copied()
    }

    fn tell(&mut self, room: RoomId, seat: SeatId, message: FromForwarder) {
        if self.events.len() >= self.config.limits.events {
            self.events.pop_front();
            self.counts.events_lost += 1;
        }
        self.events.push_back(Event { room, seat, message });
    }

    /// Ours, of the family of theirs.
    fn local_address(&self, from: SocketAddr) -> Option<SocketAddr> {
        self.config.addresses.iter().find(|ours| ours.is_ipv4() == from.is_ipv4()).copied()
    }

    /// A check that was made with a connection's password came from here.
    fn know_at(&mut self, key: PeerKey, from: (Via, SocketAddr), now: Instant) {
        if let Some(other) = self.by_address.get(&from).and_then(|other| self.peers.get(other))
            && now.saturating_duration_since(other.heard) < FRESH
        {
            // Its own, or that of somebody who is there: nobody takes that over by writing it on a datagram.
            return;
        }
        self.by_address.insert(from, key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.addresses.push_back(from);
        if peer.addresses.len() > self.config.limits.addresses_per_peer
            && let Some(oldest) = peer.addresses.pop_front()
            && self.by_address.get(&oldest) == Some(&key)
        {
            self.by_address.remove(&oldest);
        }
    }

    fn drive(&mut self, key: PeerKey, input: Option<Input<'_>>, now: Instant, outbox: &mut Outbox) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let mut came = std::mem::take(&mut self.came);
        let driven = peer.drive(input, now, outbox, &mut came);
        for came in came.drain(..) {
            match came {
                Came::Packet(packet) => self.forward(key, packet, now),
                Came::KeyFrameWanted(mid) => self.want_key_frame(key, mid, now),
            }
        }
        self.came = came;
        if let Err(why) = driven {
            self.remove(key, Some(why), now, outbox);
        }
    }

    /// A packet came from this peer.
    fn forward(&mut self, key: PeerKey, packet: RtpPacket, now: Instant) {
        self.counts.packets += 1;
        let Self { peers, sources, rooms, counts, .. } = self;
        let Some(peer) = peers.get_mut(&key) else { return };
        let Some(stream) = peer.stream(&packet, sources) else {
            counts.unannounced += 1;
            return;
        };
        let Some(source) = sources.get_mut(&stream.source) else { return };
        if source.refused {
            counts.unsealed += 1;
            return;
        }
        let layer = &mut source.layers[stream.layer];
        if layer.rate.bits_per_second(now) == 0 {
            self.appeared.push(stream.source);
        }
        layer.rate.count(packet.payload.len(), now);

        let epoch = rooms.get(&peer.room).map_or(0, |room| room.epoch);
        let expected = Expected { track: source.track, leaf: peer.leaf, epoch };
        let shape = Shape::read(stream.codec, &packet.payload);
        let time = packet.header.timestamp;
        let verdict = shape.map_or(Verdict::Drop, |shape| {
            let sealed = shape.sealed_at.map(|at| packet.payload.get(at..).unwrap_or_default());
            layer.gate.judge(time, sealed, &expected)
        });
        let (Verdict::Pass, Some(shape)) = (verdict, shape) else {
            counts.unsealed += 1;
            // What comes next refers to what is not passed on.
            for (viewer, route) in &source.subscribers {
                if let Some(viewer) = peers.get_mut(viewer)
                    && viewer.routes[*route].current == Some(stream.layer)
                {
                    viewer.routes[*route].stalled = true;
                }
            }
            if verdict == Verdict::Refuse {
                self.refuse(stream.source);
            }
            return;
        };
        if shape.key {
            layer.keys.came();
        }
        let captured =
            peer.clock.captured(time, stream.rate, packet.last_sender_info.as_ref(), packet.timestamp);
        let passed = Passed {
            layer: stream.layer,
            codec: stream.codec,
            shape,
            numbers: Numbers { seq: *packet.seq_no, time, rate: stream.rate, captured },
            marker: packet.header.marker,
            orientation: packet.header.ext_vals.video_orientation,
            payload: packet.payload,
        };
        for (viewer, route) in &source.subscribers {
            let Some(peer) = peers.get_mut(viewer) else { continue };
            let Some(write) = peer.routes[*route].forward(&passed) else { continue };
            peer.write(peer.routes[*route].ssrc, write);
            counts.forwarded += 1;
            if !peer.dirty {
                peer.dirty = true;
                self.dirty.push(*viewer);
            }
        }
    }

    /// Nothing more is taken of a track.
    fn refuse(&mut self, key: SourceKey) {
        let Some(source) = self.sources.get_mut(&key) else { return };
        source.refused = true;
        let track = source.track;
        let Some(owner) = self.peers.get(&source.owner) else { return };
        let (room, seat) = (owner.room, owner.seat);
        tracing::warn!(%room, %seat, track, "a track whose frames are not sealed was stopped");
        self.tell(room, seat, FromForwarder::Unsealed { track });
        self.announce(room);
    }

    /// A viewer cannot go on with what it gets in this section.
    fn want_key_frame(&mut self, viewer: PeerKey, mid: Mid, now: Instant) {
        let Some(peer) = self.peers.get(&viewer) else { return };
        let Some(route) = peer.routes.iter().find(|route| route.mid == mid) else { return };
        let (Some(source), Some(layer)) = (route.source, route.current) else { return };
        self.ask(source, layer, now);
    }

    fn ask(&mut self, key: SourceKey, layer: usize, now: Instant) {
        let Some(source) = self.sources.get_mut(&key).filter(|source| source.video && !source.refused) else {
            return;
        };
        source.layers[layer].keys.want();
        self.ask_if_due(key, now);
    }

    fn ask_if_due(&mut self, key: SourceKey, now: Instant) {
        let Some(source) = self.sources.get_mut(&key) else { return };
        let Some(owner) = self.peers.get_mut(&source.owner) else { return };
        for layer in &mut source.layers {
            if layer.keys.due(now) {
                owner.ask_for_key_frame(source.mid, layer.rid);
                self.counts.key_frames_asked += 1;
                if !owner.dirty {
                    owner.dirty = true;
                    self.dirty.push(source.owner);
                }
            }
        }
    }

    /// Chooses what a viewer gets of everything that it receives.
    fn aim(&mut self, key: PeerKey, now: Instant) {
        let Self { peers, sources, .. } = self;
        let Some(peer) = peers.get_mut(&key) else { return };
        let mut aimed = Vec::new();
        let mut wishes = Vec::new();
        for (at, route) in peer.routes.iter_mut().enumerate() {
            let source =
                route.source.and_then(|source| sources.get(&source)).filter(|source| !source.refused);
            let Some(source) = source.filter(|_| !route.want.pause) else {
                route.aim(None);
                continue;
            };
            aimed.push(at);
            wishes.push(Wish {
                rates: source.layers.iter().map(|layer| layer.rate.bits_per_second(now)).collect(),
                priority: route.want.priority,
                highest: route.want.highest.into(),
                current: route.target,
            });
        }
        let best: u64 = wishes.iter().map(Wish::best).sum();
        peer.desire(best + best / 5);
        let mut waiting = Vec::new();
        let mut told = Vec::new();
        for (at, layer) in aimed.into_iter().zip(allocate(peer.estimate, &wishes)) {
            let route = &mut peer.routes[at];
            route.aim(layer);
            waiting.extend(route.source.zip(route.waits_for()));
            if route.told != Some(layer) {
                route.told = Some(layer);
                let layer = layer.map(|layer| u8::try_from(layer).unwrap_or(u8::MAX));
                told.push(FromForwarder::Layer { mid: route.mid.to_string(), layer });
            }
        }
        let (room, seat) = (peer.room, peer.seat);
        told.into_iter().for_each(|message| self.tell(room, seat, message));
        for (source, layer) in waiting {
            // A layer that is not sent has no key frames to ask for.
            if self
                .sources
                .get(&source)
                .is_some_and(|source| source.layers[layer].rate.bits_per_second(now) > 0)
            {
                self.ask(source, layer, now);
            }
        }
    }

    /// Who is still there, how much everybody sends, and who gets what of it.
    fn look(&mut self, now: Instant, outbox: &mut Outbox) {
        self.sources
            .values_mut()
            .flat_map(|source| &mut source.layers)
            .for_each(|layer| layer.rate.roll(now));
        let keys: Vec<_> = self.peers.keys().copied().collect();
        for key in keys {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let limits = &self.config.limits;
            let late = !peer.connected && now.saturating_duration_since(peer.born) > limits.patience;
            if late || now.saturating_duration_since(peer.heard) > limits.silence {
                self.remove(key, Some(Ended::Lost), now, outbox);
                continue;
            }
            self.counts.backlogs += peer.notice_backlogs(now) as u64;
            self.aim(key, now);
        }
        let sources: Vec<_> = self.sources.keys().copied().collect();
        sources.into_iter().for_each(|source| self.ask_if_due(source, now));
    }

    fn prefer(&mut self, key: PeerKey, wants: &[Prefers], now: Instant) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for Prefers { mid, want } in wants {
            if let Some(route) = peer.routes.iter_mut().find(|route| *route.mid == **mid) {
                route.want = *want;
            }
        }
        self.aim(key, now);
    }

    #[expect(clippy::too_many_arguments, reason = "an offer, from whom, and when")]
    fn offer(
        &mut self,
        room: RoomId,
        seat: SeatId,
        sdp: &str,
        send: &[Sends],
        receive: &[Receives],
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        let full = self.rooms.len() >= limits.rooms;
        let entry = self.rooms.get(&room).ok_or(if full { Refusal::Full } else { Refusal::NotAMember })?;
        let leaf = *entry.leaves.get(&seat).ok_or(Refusal::NotAMember)?;
        check(sdp, send, receive, limits)?;
        let session = session_of(sdp).ok_or(Refusal::BadOffer)?;

        let before = entry.peers.get(&seat).copied();
        let same = before.filter(|key| self.peers.get(key).is_some_and(|peer| peer.session == session));
        let key = match same {
            Some(key) => key,
            None => {
                if let Some(before) = before {
                    // The page made a new connection; the old one is nobody's.
                    self.remove(before, None, now, outbox);
                }
                let limits = &self.config.limits;
                let here = self.rooms.get(&room).map_or(0, |room| room.peers.len());
                if self.peers.len() >= limits.peers || here >= limits.peers_per_room {
                    return Err(Refusal::Full);
                }
                let Config { addresses, tcp, estimate, limits } = &self.config;
                let certificate = &self.certificate;
                let (tcp, estimate) = (*tcp, *estimate);
                let making =
                    Making { room, seat, leaf, session, certificate, addresses, tcp, estimate, limits };
                let peer = Peer::new(making, now);
                let key = PeerKey(self.fresh());
                self.peers.insert(key, peer);
                self.rooms.entry(room).or_default().peers.insert(seat, key);
                key
            }
        };

        let peer = self.peers.get_mut(&key).expect("it was there or was made just now");
        self.by_ufrag.remove(&peer.ufrag);
        let answer = peer.negotiate(sdp)?;
        self.by_ufrag.insert(peer.ufrag.clone(), key);
        // Drained before it is changed again.
        self.drive(key, None, now, outbox);
        let changed = self.publish(key, send)?;
        self.subscribe(key, receive)?;
        self.tell(room, seat, FromForwarder::Answer { sdp: answer });
        if changed {
            self.announce(room);
        } else if same.is_none() {
            self.announce_to(room, seat);
        }
        self.aim(key, now);
        Ok(())
    }

    fn fresh(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// From now on this peer sends these tracks. Whether that is a change.
    fn publish(&mut self, key: PeerKey, send: &[Sends]) -> Result<bool, Refusal> {
        let peer = self.peers.get(&key).ok_or(Refusal::BadOffer)?;
        let mut kept = Vec::new();
        let mut new = Vec::new();
        for sends in send {
            let mid = Mid::from(sends.mid.as_str());
            let video = peer.sends_video(mid).ok_or(Refusal::BadOffer)?;
            let rids: Vec<_> = if sends.layers.is_empty() {
                vec![None]
            } else {
                sends.layers.iter().map(|rid| Some(Rid::from(rid.as_str()))).collect()
            };
            let same = peer.sources.iter().copied().find(|key| {
                self.sources.get(key).is_some_and(|source| {
                    let layers = source.layers.iter().map(|layer| layer.rid);
                    source.mid == mid && source.track == sends.track && layers.eq(rids.iter().copied())
                })
            });
            match same {
                Some(source) => kept.push(source),
                None => new.push((mid, sends.track, video, rids)),
            }
        }
        let gone: Vec<_> = peer.sources.iter().copied().filter(|source| !kept.contains(source)).collect();
        let changed = !gone.is_empty() || !new.is_empty();
        gone.into_iter().for_each(|source| self.forget(source));
        for (mid, track, video, rids) in new {
            let source = SourceKey(self.fresh());
            let layers = rids.into_iter().map(Layer::new).collect();
            let subscribers = Vec::new();
            let made = Source { owner: key, mid, track, video, layers, subscribers, refused: false };
            self.sources.insert(source, made);
            kept.push(source);
        }
        let peer = self.peers.get_mut(&key).ok_or(Refusal::BadOffer)?;
        peer.streams.retain(|stream| kept.contains(&stream.source));
        peer.sources = kept;
        Ok(changed)
    }

    /// From now on this peer receives these tracks, as far as they are there.
    fn subscribe(&mut self, key: PeerKey, receive: &[Receives]) -> Result<(), Refusal> {
        let room = self.peers.get(&key).ok_or(Refusal::BadOffer)?.room;
        let mut wanted: HashMap<Mid, (Option<SourceKey>, Want)> = HashMap::new();
        for Receives { mid, seat, track, want } in receive {
            let source = self.find(room, *seat, *track).filter(|source| self.sources[source].owner != key);
            wanted.insert(Mid::from(mid.as_str()), (source, *want));
        }
        let Self { peers, sources, .. } = self;
        let peer = peers.get_mut(&key).ok_or(Refusal::BadOffer)?;
        for mid in wanted.keys() {
            if !peer.routes.iter().any(|route| route.mid == *mid) {
                let route = peer.route_for(*mid).ok_or(Refusal::BadOffer)?;
                peer.routes.push(route);
            }
        }
        for (at, route) in peer.routes.iter_mut().enumerate() {
            let (source, want) = wanted.get(&route.mid).copied().unwrap_or_default();
            route.want = want;
            if route.source != source {
                if let Some(before) = route.source.and_then(|before| sources.get_mut(&before)) {
                    before.subscribers.retain(|subscriber| *subscriber != (key, at));
                }
                if let Some(source) = source.and_then(|source| sources.get_mut(&source)) {
                    source.subscribers.push((key, at));
                }
                route.connect(source);
            }
        }
        Ok(())
    }

    fn find(&self, room: RoomId, seat: SeatId, track: u16) -> Option<SourceKey> {
        let peer = self.peers.get(&self.peer_of(room, seat)?)?;
        peer.sources
            .iter()
            .copied()
            .find(|key| self.sources.get(key).is_some_and(|source| source.track == track))
    }

    /// A track is no longer sent.
    fn forget(&mut self, key: SourceKey) {
        let Some(source) = self.sources.remove(&key) else { return };
        for (viewer, route) in source.subscribers {
            if let Some(viewer) = self.peers.get_mut(&viewer) {
                viewer.routes[route].connect(None);
            }
        }
    }

    /// A connection ends. Its seat is told why, if there is anything to tell.
    fn remove(&mut self, key: PeerKey, why: Option<Ended>, now: Instant, outbox: &mut Outbox) {
        let Some(mut peer) = self.peers.remove(&key) else { return };
        peer.close(now, outbox);
        for (at, route) in peer.routes.iter().enumerate() {
            if let Some(source) = route.source.and_then(|source| self.sources.get_mut(&source)) {
                source.subscribers.retain(|subscriber| *subscriber != (key, at));
            }
        }
        self.by_ufrag.remove(&peer.ufrag);
        for address in &peer.addresses {
            if self.by_address.get(address) == Some(&key) {
                self.by_address.remove(address);
            }
        }
        if let Some(room) = self.rooms.get_mut(&peer.room) {
            room.peers.remove(&peer.seat);
        }
        let sent = !peer.sources.is_empty();
        peer.sources.iter().for_each(|source| self.forget(*source));
        if let Some(why) = why {
            self.tell(peer.room, peer.seat, FromForwarder::Closed { why });
        }
        if sent {
            self.announce(peer.room);
        }
    }

    /// Tells everybody who is connected what there is.
    fn announce(&mut self, room: RoomId) {
        let seats: Vec<_> =
            self.rooms.get(&room).into_iter().flat_map(|room| room.peers.keys().copied()).collect();
        seats.into_iter().for_each(|seat| self.announce_to(room, seat));
    }

    fn announce_to(&mut self, room: RoomId, seat: SeatId) {
        let Some(entry) = self.rooms.get(&room) else { return };
        let others = entry.peers.iter().filter(|(other, _)| **other != seat);
        let mut tracks: Vec<_> = others
            .filter_map(|(seat, key)| Some((*seat, self.peers.get(key)?)))
            .flat_map(|(seat, peer)| peer.sources.iter().map(move |source| (seat, source)))
            .filter_map(|(seat, source)| {
                let source = self.sources.get(source).filter(|source| !source.refused)?;
                let layers = u8::try_from(source.layers.len()).unwrap_or(u8::MAX);
                Some(Track { seat, track: source.track, video: source.video, layers })
            })
            .collect();
        tracks.sort();
        self.tell(room, seat, FromForwarder::Tracks { tracks });
    }
}

/// Whether an offer asks for no more than a seat may have, and for nothing twice.
fn check(sdp: &str, send: &[Sends], receive: &[Receives], limits: &Limits) -> Result<(), Refusal> {
    let sections = sdp.matches("\nm=").count();
    let layers = send.iter().map(|sends| sends.layers.len()).max().unwrap_or(0);
    if send.len() > limits.tracks_per_peer
        || receive.len() > limits.routes_per_peer
        || sections > limits.tracks_per_peer + limits.routes_per_peer
        || layers > limits.layers
    {
        return Err(Refusal::TooMuch);
    }
    let mut mids = HashSet::new();
    let mut tracks = HashSet::new();
    let fits = |id: &str, most: usize| {
        (1..=most).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let sends = send.iter().all(|sends| {
        let layers: HashSet<_> = sends.layers.iter().collect();
        let distinct = layers.len() == sends.layers.len() && layers.iter().all(|rid| fits(rid, 8));
        fits(&sends.mid, 16) && mids.insert(&sends.mid) && tracks.insert(sends.track) && distinct
    });
    let receives = receive.iter().all(|receives| fits(&receives.mid, 16) && mids.insert(&receives.mid));
    if sends && receives { Ok(()) } else { Err(Refusal::BadOffer) }
}

/// The id in an offer's `o=` line: a browser's connection keeps it for as long as it lives.
fn session_of(sdp: &str) -> Option<String> {
    let origin = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    origin.split(' ').nth(1).map(str::to_owned)
}
