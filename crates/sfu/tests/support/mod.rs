//! Browsers' places taken by str0m, over loopback UDP, and a running forwarder between them.
#![allow(dead_code, reason = "each test and the bench use a part of it")]
#![allow(clippy::unwrap_used, reason = "a test's client may stumble where the test should fail")]

use std::{
    collections::HashMap,
    io::{IoSliceMut, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use gloaming_ids::{RoomId, SeatId};
use gloaming_room_log::{KeyId, SFrameHeader};
use gloaming_sfu::{
    Counts, Event as Told, Service, Settings,
    signal::{Ended, FromForwarder, Prefers, Receives, Refusal, Sends, ToForwarder, Track, Want},
};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::{SdpAnswer, SdpApi, SdpPendingOffer},
    format::Codec,
    media::{Direction, KeyframeRequestKind, MediaKind, Mid, Pt, Rid, Simulcast, SimulcastLayer},
    net::{DatagramRecv, Protocol, Receive, TcpType},
    rtp::{RtpPacket, RtpWrite},
};

const SLOT: usize = 65_536;

pub(crate) fn seat(number: u8) -> SeatId {
    SeatId::from_bytes([number; 16])
}

pub(crate) fn room(number: u8) -> RoomId {
    RoomId::from_bytes([number; 16])
}

/// A forwarder, and whoever is connected to it.
pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    pub(crate) service: Service,
    told: tokio::sync::mpsc::Receiver<Told>,
    pub(crate) room: RoomId,
    pub(crate) epoch: u64,
    pub(crate) clients: Vec<Client>,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new("127.0.0.1:0".parse().unwrap());
        change(&mut settings);
        let (service, told) = Service::start(&settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { runtime, service, told, room: room(1), epoch: 7, clients: Vec::new() }
    }

    /// As many members, on leaves 0, 1, …, not connected yet.
    pub(crate) fn with_members(count: u8, change: impl FnOnce(&mut Settings)) -> Self {
        let mut world = Self::new(change);
        world.clients = (0..count).map(|at| Client::new(seat(at + 1), at.into())).collect();
        world.say_who_is_in(count);
        world
    }

    pub(crate) fn say_who_is_in(&mut self, count: u8) {
        let leaves: Vec<_> = (0..count).map(|at| (seat(at + 1), at.into())).collect();
        self.say_who_is_in_exactly(&leaves);
    }

    pub(crate) fn say_who_is_in_exactly(&mut self, leaves: &[(SeatId, u32)]) {
        self.runtime.block_on(self.service.members(self.room, self.epoch, leaves.to_vec())).unwrap();
    }

    pub(crate) fn close_room(&mut self) {
        self.runtime.block_on(self.service.close(self.room)).unwrap();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.runtime.block_on(self.service.counts()).unwrap()[0]
    }

    pub(crate) fn signal(&mut self, at: usize, message: ToForwarder) {
        let (room, seat) = (self.room, self.clients[at].seat);
        // As it would travel.
        let message = ToForwarder::decode(&serde_json::to_string(&message).unwrap()).unwrap();
        self.runtime.block_on(self.service.signal(room, seat, message)).unwrap();
    }

    /// Adds sections to what a client has, and offers.
    pub(crate) fn offer<R>(&mut self, at: usize, add: impl FnOnce(&mut Adding<'_>) -> R) -> R {
        let (message, added) = self.clients[at].offer(add);
        self.signal(at, message);
        added
    }

    /// The same, and waits until it is connected.
    pub(crate) fn connect<R>(&mut self, at: usize, add: impl FnOnce(&mut Adding<'_>) -> R) -> R {
        let added = self.offer(at, add);
        self.until("connected", |world| world.clients[at].connected && world.clients[at].pending.is_none());
        added
    }

    pub(crate) fn prefer(&mut self, at: usize, mid: Mid, want: Want) {
        self.signal(at, ToForwarder::Prefer { wants: vec![Prefers { mid: mid.to_string(), want }] });
    }

    /// Lets everybody go on for a while.
    pub(crate) fn run(&mut self, lasting: Duration) {
        let end = Instant::now() + lasting;
        while Instant::now() < end {
            self.step();
        }
    }

    /// Lets everybody go on until nothing has come to anybody for a while.
    pub(crate) fn settle(&mut self) {
        let arrived = |world: &Self| -> usize {
            world.clients.iter().flat_map(|client| client.got.values()).map(Vec::len).sum()
        };
        let (mut before, mut since) = (arrived(self), Instant::now());
        while since.elapsed() < Duration::from_millis(600) {
            self.step();
            let now = arrived(self);
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
    }

    /// Lets everybody go on until something is so.
    pub(crate) fn until(&mut self, what: &str, so: impl FnMut(&mut Self) -> bool) {
        self.until_in(Duration::from_secs(20), what, so);
    }

    pub(crate) fn until_in(&mut self, most: Duration, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + most;
        while !so(self) {
            assert!(Instant::now() < end, "still not {what}; {:?}", self.counts());
            self.step();
        }
    }

    pub(crate) fn step(&mut self) {
        let mut busy = false;
        while let Ok(Told { room, seat, message }) = self.told.try_recv() {
            assert_eq!(room, self.room);
            if let Some(client) = self.clients.iter_mut().find(|client| client.seat == seat) {
                client.hear(message);
            }
            busy = true;
        }
        for client in &mut self.clients {
            busy |= client.step();
        }
        if !busy {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// What is put behind the clear part of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seal {
    As { track: u16, leaf: u32, epoch: u64 },
    Not,
}

/// A packet as it came out at a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) seq: u64,
    pub(crate) time: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

impl Got {
    /// What [`Client::send_frame`] wrote at the end of its packets: layer, frame, packet.
    pub(crate) fn origin(&self) -> (u8, u32, u8) {
        let tail = &self.payload[self.payload.len() - 6..];
        (tail[0], u32::from_be_bytes(tail[1..5].try_into().unwrap()), tail[5])
    }

    pub(crate) fn picture(&self) -> u16 {
        u16::from_be_bytes([self.payload[2] & 0x7f, self.payload[3]])
    }
}

/// A stream that a client sends.
#[derive(Clone, Copy, Debug)]
struct Sending {
    seq: u64,
    frame: u32,
    picture: u16,
}

/// Sections on their way into an offer.
pub(crate) struct Adding<'a> {
    api: SdpApi<'a>,
    sends: &'a mut Vec<Sends>,
    receives: &'a mut Vec<Receives>,
}

impl Adding<'_> {
    /// A section in which the client sends; announced, unless the track is `None`.
    pub(crate) fn send(&mut self, track: Option<u16>, kind: MediaKind, layers: &[&str]) -> Mid {
        let layer = |rid: &&str| SimulcastLayer::new(rid);
        let simulcast = (!layers.is_empty())
            .then(|| Simulcast { send: layers.iter().map(layer).collect(), recv: vec![] });
        let mid = self.api.add_media(kind, Direction::SendOnly, None, None, simulcast);
        if let Some(track) = track {
            let layers = layers.iter().map(|&rid| rid.to_owned()).collect();
            self.sends.push(Sends { mid: mid.to_string(), track, layers });
        }
        mid
    }

    /// A section in which it receives somebody's track.
    pub(crate) fn receive(&mut self, from: SeatId, track: u16, kind: MediaKind) -> Mid {
        let mid = self.api.add_media(kind, Direction::RecvOnly, None, None, None);
        self.receives.push(Receives { mid: mid.to_string(), seat: from, track, want: Want::default() });
        mid
    }
}

/// What a browser puts in front of each packet of a frame, with the picture's number in 15 bits.
fn descriptor(codec: Codec, first: bool, last: bool, key: bool, picture: u16) -> Vec<u8> {
    let [high, low] = picture.to_be_bytes();
    match codec {
        Codec::Vp8 => vec![if first { 0x90 } else { 0x80 }, 0x80, 0x80 | high, low],
        Codec::Vp9 => {
            let flags = [(0x40, !key), (0x08, first), (0x04, last)];
            let flags = flags.iter().filter(|(_, set)| *set).fold(0x80, |all, (bit, _)| all | bit);
            vec![flags, 0x80 | high, low]
        }
        _ => Vec::new(),
    }
}

/// Whole frames out of the packets that came, with their times: what [`Client::send_media`] made packets of.
pub(crate) fn frames(codec: Codec, got: &[Got]) -> Vec<(u32, Vec<u8>)> {
    let mut got: Vec<_> = got.iter().collect();
    got.sort_by_key(|packet| packet.seq);
    let skip = descriptor(codec, true, true, true, 0).len();
    let mut frames: Vec<(u32, Vec<u8>)> = Vec::new();
    for packet in got {
        match frames.last_mut() {
            Some((time, frame)) if *time == packet.time => frame.extend_from_slice(&packet.payload[skip..]),
            _ => frames.push((packet.time, packet.payload[skip..].to_vec())),
        }
    }
    frames
}

pub(crate) struct Client {
    pub(crate) seat: SeatId,
    pub(crate) leaf: u32,
    pub(crate) rtc: Rtc,
    socket: UdpSocket,
    state: UdpSocketState,
    stream: Option<TcpStream>,
    /// What came over it, up to the end of which datagram is not there yet.
    half: Vec<u8>,
    buffer: Vec<u8>,
    address: SocketAddr,
    pub(crate) pending: Option<SdpPendingOffer>,
    sends: Vec<Sends>,
    receives: Vec<Receives>,
    sending: HashMap<(Mid, Option<Rid>), Sending>,
    due: Instant,
    start: Instant,
    pub(crate) connected: bool,
    pub(crate) got: HashMap<Mid, Vec<Got>>,
    pub(crate) got_count: u64,
    pub(crate) keep: bool,
    pub(crate) key_frames_wanted: HashMap<(Mid, Option<Rid>), Vec<Instant>>,
    pub(crate) layers: HashMap<String, Vec<Option<u8>>>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) unsealed: Vec<u16>,
    pub(crate) refused: Option<Refusal>,
    pub(crate) closed: Option<Ended>,
    /// Of the media datagrams that come in or go out, loses each with this number among so many.
    pub(crate) lose_incoming: Option<u64>,
    pub(crate) lose_outgoing: Option<u64>,
    incoming: u64,
    outgoing: u64,
}

fn is_media(datagram: &[u8]) -> bool {
    datagram.len() > 200 && (128..192).contains(&datagram[0]) && !(64..96).contains(&(datagram[1] & 0x7f))
}

impl Client {
    pub(crate) fn new(seat: SeatId, leaf: u32) -> Self {
        Self::made(seat, leaf, None)
    }

    /// One whose network lets no UDP through.
    pub(crate) fn by_tcp(seat: SeatId, leaf: u32, forwarder: SocketAddr) -> Self {
        let stream = TcpStream::connect(forwarder).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self::made(seat, leaf, Some(stream))
    }

    fn made(seat: SeatId, leaf: u32, stream: Option<TcpStream>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).unwrap();
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), 4 << 20);
        let address = match &stream {
            Some(stream) => stream.local_addr().unwrap(),
            None => socket.local_addr().unwrap(),
        };
        let now = Instant::now();
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_vp9(true)
            .build(now);
        rtc.add_local_candidate(match &stream {
            Some(_) => Candidate::builder().tcp().host(address).tcptype(TcpType::Active).build().unwrap(),
            None => Candidate::host(address, "udp").unwrap(),
        });
        Self {
            seat,
            leaf,
            rtc,
            socket,
            state,
            stream,
            half: Vec::new(),
            buffer: vec![0; SLOT * BATCH_SIZE],
            address,
            pending: None,
            sends: Vec::new(),
            receives: Vec::new(),
            sending: HashMap::new(),
            due: now,
            start: now,
            connected: false,
            got: HashMap::new(),
            got_count: 0,
            keep: true,
            key_frames_wanted: HashMap::new(),
            layers: HashMap::new(),
            tracks: Vec::new(),
            unsealed: Vec::new(),
            refused: None,
            closed: None,
            lose_incoming: None,
            lose_outgoing: None,
            incoming: 0,
            outgoing: 0,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds sections, and makes the offer.
    pub(crate) fn offer<R>(&mut self, add: impl FnOnce(&mut Adding<'_>) -> R) -> (ToForwarder, R) {
        let Self { rtc, sends, receives, .. } = self;
        let mut adding = Adding { api: rtc.sdp_api(), sends, receives };
        let added = add(&mut adding);
        let (offer, pending) = adding.api.apply().expect("something was added");
        self.pending = Some(pending);
        let sdp = offer.to_sdp_string();
        (ToForwarder::Offer { sdp, send: self.sends.clone(), receive: self.receives.clone() }, added)
    }

    pub(crate) fn hear(&mut self, message: FromForwarder) {
        match message {
            FromForwarder::Answer { sdp } => {
                let answer = SdpAnswer::from_sdp_string(&sdp).unwrap();
                let pending = self.pending.take().expect("an answer to an offer");
                self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
                self.drain(Instant::now());
            }
            FromForwarder::Refused { why } => self.refused = Some(why),
            FromForwarder::Tracks { tracks } => self.tracks = tracks,
            FromForwarder::Unsealed { track } => self.unsealed.push(track),
            FromForwarder::Layer { mid, layer } => self.layers.entry(mid).or_default().push(layer),
            FromForwarder::Closed { why } => self.closed = Some(why),
        }
    }

    fn pt(&self, codec: Codec) -> Pt {
        self.rtc.codec_config().find(|params| params.spec().codec == codec).unwrap().pt()
    }

    /// A frame of VP8 in so many packets of a size, or one of Opus.
    pub(crate) fn send_frame(
        &mut self,
        mid: Mid,
        rid: Option<&str>,
        key: bool,
        packets: u8,
        size: usize,
        seal: Seal,
    ) {
        let now = Instant::now();
        let rid = rid.map(Rid::from);
        // Every layer has numbers of its own.
        let layer = rid.map_or(0, |rid| rid.as_bytes()[0]);
        let start = u64::from(layer) * 100;
        let picture = u16::from(layer) * 200;
        let state =
            *self.sending.entry((mid, rid)).or_insert(Sending { seq: 1_000 + start, frame: 0, picture });
        let video = self.rtc.media(mid).unwrap().kind().is_video();
        let codec = if video { Codec::Vp8 } else { Codec::Opus };
        let millis = u32::try_from(now.duration_since(self.start).as_millis()).unwrap();
        let time = millis * if video { 90 } else { 48 } + u32::from(layer) * 1_000_000;
        let mut header = Vec::new();
        match seal {
            Seal::As { track, leaf, epoch } => {
                let kid = KeyId::new(track, leaf, epoch).unwrap().to_u64();
                SFrameHeader { kid, counter: state.frame.into() }.encode_into(&mut header);
            }
            Seal::Not => header.extend_from_slice(&[0x55; 8]),
        }
        let payload = |packet: u8| {
            let mut payload = Vec::with_capacity(size);
            if video {
                payload.extend_from_slice(&descriptor(Codec::Vp8, packet == 0, false, key, state.picture));
                if packet == 0 {
                    payload.push(if key { 0x10 } else { 0x11 });
                    payload.extend_from_slice(&[0x9d; 9][..if key { 9 } else { 2 }]);
                }
            }
            if packet == 0 {
                payload.extend_from_slice(&header);
            }
            payload.resize(size - 6, 0xa5);
            payload.push(layer);
            payload.extend_from_slice(&state.frame.to_be_bytes());
            payload.push(packet);
            payload
        };
        self.send_packets((mid, rid), codec, time, state, (0..packets).map(payload).collect());
    }

    /// A frame as it comes out of a transform, packetised as a browser does it.
    pub(crate) fn send_media(&mut self, mid: Mid, codec: Codec, key: bool, time: u32, frame: &[u8]) {
        let state = *self.sending.entry((mid, None)).or_insert(Sending { seq: 1_000, frame: 0, picture: 0 });
        let size = if codec == Codec::Opus { usize::MAX } else { 1_100 };
        let count = frame.chunks(size).count();
        let packet = |(at, chunk): (usize, &[u8])| {
            [&descriptor(codec, at == 0, at + 1 == count, key, state.picture)[..], chunk].concat()
        };
        let packets = frame.chunks(size).enumerate().map(packet).collect();
        self.send_packets((mid, None), codec, time, state, packets);
    }

    fn send_packets(
        &mut self,
        (mid, rid): (Mid, Option<Rid>),
        codec: Codec,
        time: u32,
        state: Sending,
        payloads: Vec<Vec<u8>>,
    ) {
        let now = Instant::now();
        let pt = self.pt(codec);
        let count = payloads.len() as u64;
        for (at, payload) in (0..).zip(payloads) {
            let write = RtpWrite::new(pt, (state.seq + at).into(), time, now, payload)
                .marker(at + 1 == count)
                .nackable(codec != Codec::Opus);
            self.rtc
                .direct_api()
                .stream_tx_by_mid(mid, rid)
                .expect("a section that was negotiated")
                .write_rtp(write);
        }
        let next = Sending {
            seq: state.seq + count,
            frame: state.frame + 1,
            picture: state.picture.wrapping_add(1) & 0x7fff,
        };
        self.sending.insert((mid, rid), next);
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain(now);
    }

    pub(crate) fn ask_for_key_frame(&mut self, mid: Mid) {
        let mut direct = self.rtc.direct_api();
        direct.stream_rx_by_mid(mid, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
        let now = Instant::now();
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain(now);
    }

    /// Takes what came, and does what is due. Whether there was anything.
    pub(crate) fn step(&mut self) -> bool {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut busy = false;
        loop {
            let mut slots = buffer.chunks_exact_mut(SLOT);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap()));
            let Ok(count) = self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas) else {
                break;
            };
            busy = true;
            for (slice, meta) in slices.iter().zip(&metas).take(count) {
                for datagram in slice[..meta.len].chunks(meta.stride) {
                    self.take(meta.addr, datagram);
                }
            }
        }
        busy |= self.step_tcp(&mut buffer);
        self.buffer = buffer;
        let now = Instant::now();
        if self.due <= now {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
            self.drain(now);
        }
        busy
    }

    fn step_tcp(&mut self, buffer: &mut [u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let source = stream.peer_addr().unwrap();
        let Ok(count) = stream.read(buffer) else { return false };
        self.half.extend_from_slice(&buffer[..count]);
        let mut half = std::mem::take(&mut self.half);
        while let Some((head, rest)) = half.split_at_checked(2) {
            let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
            let Some(datagram) = rest.get(..length) else { break };
            self.take(source, datagram);
            half.drain(..2 + length);
        }
        self.half = half;
        count > 0
    }

    fn take(&mut self, source: SocketAddr, datagram: &[u8]) {
        if is_media(datagram) {
            self.incoming += 1;
            if self.lose_incoming.is_some_and(|each| self.incoming.is_multiple_of(each)) {
                return;
            }
        }
        let now = Instant::now();
        let Ok(contents) = DatagramRecv::try_from(datagram) else { return };
        let proto = if self.stream.is_some() { Protocol::Tcp } else { Protocol::Udp };
        let receive = Receive { proto, source, destination: self.address, contents };
        self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) if at <= now => self.rtc.handle_input(Input::Timeout(now)).unwrap(),
                Output::Timeout(at) => {
                    self.due = at;
                    return;
                }
                Output::Transmit(out) => {
                    if is_media(&out.contents) {
                        self.outgoing += 1;
                        if self.lose_outgoing.is_some_and(|each| self.outgoing.is_multiple_of(each)) {
                            continue;
                        }
                    }
                    match &mut self.stream {
                        Some(stream) => {
                            let length = u16::try_from(out.contents.len()).unwrap();
                            stream.write_all(&[&length.to_be_bytes(), &out.contents[..]].concat()).unwrap();
                        }
                        None => drop(self.socket.send_to(&out.contents, out.destination)),
                    }
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::RtpPacket(packet) => self.keep(packet),
            Event::KeyframeRequest(request) => {
                self.key_frames_wanted.entry((request.mid, request.rid)).or_default().push(Instant::now());
            }
            _ => {}
        }
    }

    fn keep(&mut self, packet: RtpPacket) {
        self.got_count += 1;
        if !self.keep {
            return;
        }
        let ssrc = packet.header.ssrc;
        let mid = self.rtc.direct_api().stream_rx(&ssrc).unwrap().mid();
        self.got.entry(mid).or_default().push(Got {
            seq: *packet.seq_no,
            time: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payload.to_vec(),
        });
    }
}
