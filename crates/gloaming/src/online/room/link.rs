//! One connection to one other seat, as the page has them (`web/src/room/link.svelte.ts`), on str0m.
//!
//! Of two seats the one with the greater id offers. A connection has eight places: four in which the offerer sends, in the
//! order of [`SLOTS`], and the same four the other way round. Nothing is negotiated again but an ICE restart, and what does not
//! come to be, or not back, is begun anew.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use gloaming_ids::SeatId;
use gloaming_room::Codec;
use str0m::{
    Candidate as Address, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcError,
    change::{SdpAnswer, SdpOffer, SdpPendingOffer},
    format,
    media::{Direction, KeyframeRequestKind, MediaKind, MediaTime, Mid, Pt},
    net::{Protocol, Receive, Transmit},
    rtp::{RtpWrite, SeqNo},
};

use super::{
    packets::Packetizer,
    ports::Packet,
    sealed::Sealed,
    signal::{Candidate, SLOTS, Signal},
};

/// A connection that does not come to be is begun anew, as by the page.
const ANEW: Duration = Duration::from_secs(12);
/// One that was interrupted may come back by itself.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often the other side is asked for a key frame.
const KEY_FRAME_AGAIN: Duration = Duration::from_millis(700);
/// Turns of str0m's timers in one go.
const MAX_TURNS: usize = 256;

/// What came of driving a connection.
#[derive(Debug)]
pub(super) enum Came {
    /// A frame, as it was sealed.
    Frame(Frame),
    /// The connection stands, or stands no longer.
    Connected(bool),
}

/// A frame that came in a place.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) slot: usize,
    pub(super) codec: Codec,
    /// When it is shown, on its track's own clock.
    pub(super) time: MediaTime,
    /// Whether nothing is missing between the one before and this.
    pub(super) contiguous: bool,
    pub(super) bytes: std::sync::Arc<[u8]>,
}

/// One connection. What it wants to say to the other seat is in `said`, what it wants to send in `packets`.
pub(super) struct Link {
    pub(super) seat: SeatId,
    pub(super) said: Vec<Signal>,
    pub(super) packets: Vec<Transmit>,
    offers: bool,
    addresses: Vec<SocketAddr>,
    session: String,
    connection: Option<Connection>,
    /// When it is begun anew.
    anew: Option<Instant>,
}

struct Connection {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    /// By place.
    sends: [Sends; SLOTS.len()],
    receives: Vec<Mid>,
    connected: bool,
    due: Instant,
    asked: [Option<Instant>; SLOTS.len()],
}

/// What is sent in one place.
struct Sends {
    mid: Option<Mid>,
    sequence: u64,
    packetizer: Packetizer,
    /// A key frame went out, so others may follow.
    flows: bool,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("this operating system has random bytes");
    bytes
}

/// Not str0m's own, which are drawn from a generator that is not meant for secrets.
fn credentials() -> IceCreds {
    IceCreds { ufrag: hex::encode(random::<8>()), pass: hex::encode(random::<16>()) }
}

fn codec_of(codec: format::Codec) -> Option<Codec> {
    match codec {
        format::Codec::Opus => Some(Codec::Opus),
        format::Codec::Vp8 => Some(Codec::Vp8),
        format::Codec::Vp9 => Some(Codec::Vp9),
        _ => None,
    }
}

impl Link {
    pub(super) fn new(own: SeatId, seat: SeatId, addresses: Vec<SocketAddr>, now: Instant) -> Self {
        let mut link = Self {
            seat,
            said: Vec::new(),
            packets: Vec::new(),
            offers: own > seat,
            addresses,
            session: String::new(),
            connection: None,
            anew: Some(now + ANEW),
        };
        if link.offers {
            link.offer(now);
        }
        link
    }

    /// Whether it stands.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.connected)
    }

    /// When it wants to be driven.
    pub(super) fn due(&self) -> Option<Instant> {
        let connection = self.connection.as_ref().map(|connection| connection.due);
        connection.into_iter().chain(self.anew).min()
    }

    /// Does what the other seat said. What makes no sense is dropped: the watch begins anew.
    pub(super) fn hear(&mut self, signal: Signal, now: Instant) {
        match signal {
            Signal::Offer { session, sdp } if !self.offers => self.answer(session, &sdp, now),
            Signal::Answer { session, sdp } if session == self.session => {
                let Some(connection) = &mut self.connection else { return };
                let Some(pending) = connection.pending.take() else { return };
                if let Ok(answer) = SdpAnswer::from_sdp_string(&sdp) {
                    let _ = connection.rtc.sdp_api().accept_answer(pending, answer);
                    connection.due = now;
                }
            }
            Signal::Candidates { session, candidates } if session == self.session => {
                let Some(connection) = &mut self.connection else { return };
                // Names that a browser made up to hide its address (mDNS) do not read. Its packets show where it is.
                let read = |Candidate { candidate }: &Candidate| Address::from_sdp_string(candidate).ok();
                for address in candidates.iter().filter_map(read) {
                    connection.rtc.add_remote_candidate(address);
                }
                connection.due = now;
            }
            // An ICE restart would do where `anew` is false; beginning anew does too.
            Signal::Again { .. } if self.offers => self.offer(now),
            _ => {}
        }
    }

    fn offer(&mut self, now: Instant) {
        self.session = uuid(random());
        self.anew = Some(now + ANEW);
        let mut rtc = self.rtc(now);
        let mut changes = rtc.sdp_api();
        let mut add = |direction| -> Vec<Mid> {
            let kind = |video| if video { MediaKind::Video } else { MediaKind::Audio };
            SLOTS
                .iter()
                .map(|slot| changes.add_media(kind(slot.video), direction, None, None, None))
                .collect()
        };
        let (sends, receives) = (add(Direction::SendOnly), add(Direction::RecvOnly));
        let (offer, pending) = changes.apply().expect("eight places were added");
        self.said.push(Signal::Offer { session: self.session.clone(), sdp: offer.to_sdp_string() });
        self.connection = Some(Connection::new(rtc, Some(pending), &sends, receives, now));
    }

    fn answer(&mut self, session: String, sdp: &str, now: Instant) {
        let Ok(offer) = SdpOffer::from_sdp_string(sdp) else { return };
        if session != self.session || self.connection.is_none() {
            self.session = session;
            self.anew = Some(now + ANEW);
            let mids: Vec<Mid> = sdp
                .lines()
                .filter_map(|line| line.trim_end().strip_prefix("a=mid:"))
                .map(Mid::from)
                .collect();
            // The other side's order: its own sending places first.
            let (Some(receives), Some(sends)) = (mids.get(..SLOTS.len()), mids.get(SLOTS.len()..)) else {
                return;
            };
            if sends.len() != SLOTS.len() {
                return;
            }
            self.connection = Some(Connection::new(self.rtc(now), None, sends, receives.to_vec(), now));
        }
        let Some(connection) = &mut self.connection else { return };
        let Some(sdp) = connection.accept(offer) else {
            self.connection = None;
            return;
        };
        connection.due = now;
        self.said.push(Signal::Answer { session: self.session.clone(), sdp });
    }

    fn rtc(&self, now: Instant) -> Rtc {
        let mut rtc = Rtc::builder()
            .set_local_ice_credentials(credentials())
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp9(true)
            .enable_vp8(true)
            .set_stats_interval(None)
            .build(now);
        for address in &self.addresses {
            // Neither unspecified nor broadcast: the system gave them.
            if let Ok(candidate) = Address::host(*address, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        rtc
    }

    /// Whether a packet is this connection's.
    pub(super) fn accepts(&self, packet: &Packet, now: Instant) -> bool {
        let Some(input) = input(packet, now) else { return false };
        self.connection.as_ref().is_some_and(|connection| connection.rtc.accepts(&input))
    }

    /// Takes a packet, if there is one, and does whatever is due.
    pub(super) fn drive(&mut self, packet: Option<&Packet>, now: Instant, came: &mut Vec<Came>) {
        if self.anew.is_some_and(|anew| now >= anew) {
            self.begin_anew(now);
        }
        let Some(connection) = &mut self.connection else { return };
        let was = connection.connected;
        let input = packet.and_then(|packet| input(packet, now)).unwrap_or(Input::Timeout(now));
        let driven = connection.drive(input, now, &mut self.packets, came);
        let is = driven.is_ok() && connection.rtc.is_alive() && connection.connected;
        if was != is {
            came.push(Came::Connected(is));
        }
        match (driven, is) {
            (Ok(()), true) => self.anew = None,
            (Ok(()), false) if connection.rtc.is_alive() => {
                if was {
                    self.anew = Some(now + PATIENCE);
                }
            }
            _ => {
                self.connection = None;
                self.anew = Some(now + PATIENCE);
            }
        }
    }

    fn begin_anew(&mut self, now: Instant) {
        if self.offers {
            self.offer(now);
        } else {
            self.said.push(Signal::Again { session: self.session.clone(), anew: true });
            self.anew = Some(now + ANEW);
        }
    }

    /// Sends a sealed frame in a place, where the other side takes its codec. It leaves with the next [`Link::drive`].
    pub(super) fn write(&mut self, slot: usize, frame: &Sealed, time: u32, now: Instant) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.connected) else {
            return;
        };
        let Some(pt) = connection.payload_type(slot, frame.codec) else { return };
        let sends = &mut connection.sends[slot];
        sends.flows |= frame.key;
        let Some(mid) = sends.mid.filter(|_| sends.flows) else { return };
        let mut direct = connection.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        let payloads = sends.packetizer.payloads(frame);
        let count = payloads.len();
        for (number, payload) in payloads.into_iter().enumerate() {
            sends.sequence += 1;
            let write = RtpWrite::new(pt, SeqNo::from(sends.sequence), time, now, payload)
                .marker(SLOTS[slot].video && number + 1 == count)
                .nackable(SLOTS[slot].video);
            stream.write_rtp(write);
        }
        connection.due = now;
    }

    /// Asks for a key frame, but not at every frame that cannot be used.
    pub(super) fn ask_for_key_frame(&mut self, slot: usize, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        if connection.asked[slot].is_some_and(|asked| now < asked + KEY_FRAME_AGAIN) {
            return;
        }
        connection.asked[slot] = Some(now);
        let mut direct = connection.rtc.direct_api();
        if let Some(stream) = direct.stream_rx_by_mid(connection.receives[slot], None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            connection.due = now;
        }
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(mut connection) = self.connection.take() {
            let _ = connection.rtc.close();
            let _ = connection.drive(Input::Timeout(now), now, &mut self.packets, &mut Vec::new());
        }
        self.anew = None;
    }
}

impl Connection {
    fn new(
        rtc: Rtc,
        pending: Option<SdpPendingOffer>,
        sends: &[Mid],
        receives: Vec<Mid>,
        now: Instant,
    ) -> Self {
        let sends = std::array::from_fn(|slot| Sends {
            mid: sends.get(slot).copied(),
            // Below half of what sixteen bits hold, so that both sides agree on how often it went round: never.
            sequence: u64::from(u16::from_be_bytes(random()) >> 2),
            packetizer: Packetizer::default(),
            flows: false,
        });
        Self { rtc, pending, sends, receives, connected: false, due: now, asked: [None; SLOTS.len()] }
    }

    /// Takes an offer; the answer.
    fn accept(&mut self, offer: SdpOffer) -> Option<String> {
        let before = self.rtc.direct_api().local_ice_credentials();
        let answer = self.rtc.sdp_api().accept_offer(offer).ok()?;
        let mut text = answer.to_sdp_string();
        for (slot, Sends { mid, .. }) in self.sends.iter().enumerate() {
            for mid in mid.iter().chain(self.receives.get(slot)) {
                // A place of another kind would have its frames opened as what they are not.
                if self.rtc.media(*mid)?.kind().is_video() != SLOTS[slot].video {
                    return None;
                }
            }
        }
        let drawn = self.rtc.direct_api().local_ice_credentials();
        if drawn.ufrag != before.ufrag {
            // The other side restarted ICE, and str0m drew new ones.
            let ours = credentials();
            text = text.replace(&drawn.ufrag, &ours.ufrag).replace(&drawn.pass, &ours.pass);
            self.rtc.direct_api().set_local_ice_credentials(ours);
        }
        Some(text)
    }

    fn payload_type(&self, slot: usize, codec: Codec) -> Option<Pt> {
        let media = self.rtc.media(self.sends[slot].mid?)?;
        let types = self.rtc.codec_config().params();
        let taken = types.iter().find(|params| {
            codec_of(params.spec().codec) == Some(codec) && media.remote_pts().contains(&params.pt())
        });
        taken.map(|params| params.pt())
    }

    fn drive(
        &mut self,
        input: Input<'_>,
        now: Instant,
        packets: &mut Vec<Transmit>,
        came: &mut Vec<Came>,
    ) -> Result<(), RtcError> {
        self.rtc.handle_input(input)?;
        let mut turns = 0;
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) if at <= now && turns < MAX_TURNS => {
                    turns += 1;
                    self.rtc.handle_input(Input::Timeout(now))?;
                }
                Output::Timeout(at) => {
                    self.due = at.max(now + Duration::from_millis(1));
                    return Ok(());
                }
                Output::Transmit(packet) => packets.push(packet),
                Output::Event(event) => self.event(event, came),
            }
        }
    }

    fn event(&mut self, event: Event, came: &mut Vec<Came>) {
        match event {
            Event::Connected => self.connected = true,
            Event::IceConnectionStateChange(state) => match state {
                IceConnectionState::Disconnected => self.connected = false,
                // Came back after it was interrupted. The first time, DTLS has yet to follow.
                IceConnectionState::Connected | IceConnectionState::Completed => {
                    self.connected = self.rtc.is_connected();
                }
                _ => {}
            },
            Event::MediaData(data) => {
                let slot = self.receives.iter().position(|mid| *mid == data.mid);
                if let (Some(slot), Some(codec)) = (slot, codec_of(data.params.spec().codec)) {
                    came.push(Came::Frame(Frame {
                        slot,
                        codec,
                        time: data.time,
                        contiguous: data.contiguous,
                        bytes: data.data,
                    }));
                }
            }
            _ => {}
        }
    }
}

fn input(packet: &Packet, now: Instant) -> Option<Input<'_>> {
    let receive = Receive::new(Protocol::Udp, packet.from, packet.here, &packet.bytes).ok()?;
    Some(Input::Receive(now, receive))
}

fn uuid(random: [u8; 16]) -> String {
    // What sessions look like in a browser; all that counts is that no two are the same.
    gloaming_ids::SeatId::from_bytes(random).to_string()
}
