//! One seat's connection: str0m, and what is sent and received over it.
//!
//! Nothing outside of this module touches str0m's state machine, which has one rule: whatever changes it is followed by
//! draining it, [`Peer::drive`]. Packets written to it ([`Peer::write`]) wait for that, so that the packets of one frame
//! leave together.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use gloaming_ids::{RoomId, SeatId};
use str0m::{
    Candidate, Event, IceCreds, Input, Output, Rtc,
    bwe::{Bitrate, BweKind},
    change::SdpOffer,
    config::DtlsCert,
    format,
    media::{KeyframeRequestKind, Mid, Pt, Rid},
    net::{Protocol, TcpType},
    rtp::{Extension, ExtensionMap, RtpPacket, RtpWrite, Ssrc},
};

use crate::{
    clock::SenderClock,
    limits::{Bucket, Limits},
    outbox::{Outbox, Via},
    payload::Codec,
    route::Route,
    signal::{Ended, Refusal},
    source::{Source, SourceKey},
};

/// Packets of picture kept for retransmission, of each route: two seconds of a share at 4 Mbit/s.
const RESEND: usize = 1_024;

/// Turns of str0m's timers in one go. A paced packet takes one; what is left waits for a millisecond.
const MAX_TURNS: usize = 512;
/// What is due so soon is done now. str0m's pacer wants to be asked again a microsecond after each packet of a burst; whoever
/// waits for that with a timer of milliseconds sends one packet each time, and believes the network is as slow as that.
const AT_ONCE: Duration = Duration::from_micros(200);

/// A viewer whose packets wait this long has too little of a network for what it asked for.
const BACKLOG: Duration = Duration::from_millis(700);

/// What every viewer is taken to want at least, in bits a second. Probing goes no further than twice what is wanted, and
/// how much there is to want is not known before it comes.
const LEAST_DESIRE: u64 = 2_000_000;

/// Which connection. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey(pub(crate) u64);

/// What came of driving a connection.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are packets")]
pub(crate) enum Came {
    Packet(RtpPacket),
    /// A viewer cannot go on without a key frame.
    KeyFrameWanted(Mid),
}

/// An incoming stream whose place is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    ssrc: Ssrc,
    pt: Pt,
    pub(crate) codec: Codec,
    /// Ticks of RTP time in a second.
    pub(crate) rate: u32,
    pub(crate) source: SourceKey,
    pub(crate) layer: usize,
}

pub(crate) struct Peer {
    pub(crate) room: RoomId,
    pub(crate) seat: SeatId,
    pub(crate) leaf: u32,
    /// Of the browser's session: another one is another connection.
    pub(crate) session: String,
    pub(crate) ufrag: String,
    pub(crate) addresses: VecDeque<(Via, SocketAddr)>,
    pub(crate) sources: Vec<SourceKey>,
    pub(crate) routes: Vec<Route>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) clock: SenderClock,
    pub(crate) ingress: Bucket,
    /// Bits a second that the network to this viewer takes, if that is known.
    pub(crate) estimate: Option<u64>,
    pub(crate) connected: bool,
    pub(crate) born: Instant,
    pub(crate) heard: Instant,
    /// When it wants to be driven again.
    pub(crate) due: Instant,
    /// Something was written since it was driven last.
    pub(crate) dirty: bool,
    desired: u64,
    rtc: Rtc,
}

/// What a connection is made of.
pub(crate) struct Making<'a> {
    pub(crate) room: RoomId,
    pub(crate) seat: SeatId,
    pub(crate) leaf: u32,
    pub(crate) session: String,
    pub(crate) certificate: &'a DtlsCert,
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) tcp: bool,
    pub(crate) estimate: Option<u64>,
    pub(crate) limits: &'a Limits,
}

/// A fault in str0m costs one connection, and not everybody's.
fn guarded<T>(step: impl FnOnce() -> T) -> Result<T, Ended> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| Ended::Fault)
}

/// Not str0m's own, which are drawn from a generator that is not meant for secrets.
fn credentials() -> IceCreds {
    let mut random = [0; 36];
    getrandom::fill(&mut random).expect("the system gives random bytes");
    IceCreds { ufrag: hex::encode(&random[..12]), pass: hex::encode(&random[12..]) }
}

/// What the forwarder needs to see of a packet, and which way up a phone is held. No levels of sound: who speaks is
/// nobody's business here.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(2, Extension::AbsoluteSendTime);
    map.set(3, Extension::TransportSequenceNumber);
    map.set(4, Extension::RtpMid);
    map.set(10, Extension::RtpStreamId);
    map.set(11, Extension::RepairedRtpStreamId);
    map.set(13, Extension::VideoOrientation);
    map
}

fn codec_of(codec: format::Codec) -> Option<Codec> {
    match codec {
        format::Codec::Opus => Some(Codec::Opus),
        format::Codec::Vp8 => Some(Codec::Vp8),
        format::Codec::Vp9 => Some(Codec::Vp9),
        _ => None,
    }
}

impl Peer {
    pub(crate) fn new(making: Making<'_>, now: Instant) -> Self {
        let Making { room, seat, leaf, session, certificate, addresses, tcp, estimate, limits } = making;
        let credentials = credentials();
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(true)
            .set_dtls_cert(certificate.clone())
            .set_local_ice_credentials(credentials.clone())
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_vp9(true)
            .set_extension_map(extensions())
            .set_stats_interval(None)
            .set_send_buffer_video(RESEND);
        if let Some(estimate) = estimate {
            config = config.enable_bwe(Some(Bitrate::bps(estimate)));
        }
        let mut rtc = config.build(now);
        for address in addresses {
            let candidate = Candidate::host(*address, "udp").expect("addresses were checked");
            rtc.add_local_candidate(candidate);
            if tcp {
                let candidate = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build();
                rtc.add_local_candidate(candidate.expect("addresses were checked"));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let ingress = Bucket::new(limits.ingress as f64 / 8.0, now);
        Self {
            room,
            seat,
            leaf,
            session,
            ufrag: credentials.ufrag,
            addresses: VecDeque::new(),
            sources: Vec::new(),
            routes: Vec::new(),
            streams: Vec::new(),
            clock: SenderClock::default(),
            ingress,
            estimate: None,
            connected: false,
            born: now,
            heard: now,
            due: now,
            dirty: false,
            desired: 0,
            rtc,
        }
    }

    /// Takes an offer; the answer. The connection is of no more use where it fails.
    pub(crate) fn negotiate(&mut self, sdp: &str) -> Result<String, Refusal> {
        let answered = guarded(|| {
            let offer = SdpOffer::from_sdp_string(sdp).ok()?;
            let answer = self.rtc.sdp_api().accept_offer(offer).ok()?;
            let mut text = answer.to_sdp_string();
            let mut direct = self.rtc.direct_api();
            let theirs = direct.local_ice_credentials();
            if theirs.ufrag != self.ufrag {
                // The browser restarted ICE, and str0m drew new credentials.
                let ours = credentials();
                text = text.replace(&theirs.ufrag, &ours.ufrag).replace(&theirs.pass, &ours.pass);
                self.ufrag.clone_from(&ours.ufrag);
                direct.set_local_ice_credentials(ours);
            }
            Some(text)
        });
        answered.ok().flatten().ok_or(Refusal::BadOffer)
    }

    /// Whether a section is one in which the browser sends, and whether it is picture.
    pub(crate) fn sends_video(&self, mid: Mid) -> Option<bool> {
        let media = self.rtc.media(mid)?;
        (media.direction().is_receiving() && !media.disabled()).then(|| media.kind().is_video())
    }

    /// A new route for a section in which the browser receives.
    pub(crate) fn route_for(&mut self, mid: Mid) -> Option<Route> {
        let media = self.rtc.media(mid)?;
        if !media.direction().is_sending() || media.disabled() {
            return None;
        }
        let types = self.rtc.codec_config().params().iter();
        let types = types
            .filter(|params| media.remote_pts().contains(&params.pt()))
            .filter_map(|params| Some((codec_of(params.spec().codec)?, params.pt())))
            .collect();
        let ssrc = self.rtc.direct_api().stream_tx_by_mid(mid, None)?.ssrc();
        Some(Route::new(mid, ssrc, types))
    }

    /// Which layer of which track a packet belongs to; `None` if that is none that was announced.
    pub(crate) fn stream(
        &mut self,
        packet: &RtpPacket,
        sources: &HashMap<SourceKey, Source>,
    ) -> Option<Stream> {
        let (ssrc, pt) = (packet.header.ssrc, packet.header.payload_type);
        if let Some(known) = self.streams.iter().find(|stream| stream.ssrc == ssrc && stream.pt == pt) {
            return Some(*known);
        }
        let params = self.rtc.codec_config().find(|params| params.pt() == pt)?;
        let codec = codec_of(params.spec().codec)?;
        let rate = if codec.is_video() { 90_000 } else { 48_000 };
        let mut direct = self.rtc.direct_api();
        let (mid, rid) = direct.stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
        let (source, layer) = self.sources.iter().find_map(|key| {
            let source = sources.get(key).filter(|source| source.mid == mid)?;
            Some((*key, source.layers.iter().position(|layer| layer.rid == rid)?))
        })?;
        // One for each layer and codec: what a sender used before is not needed again.
        self.streams.retain(|stream| (stream.source, stream.layer, stream.pt) != (source, layer, pt));
        let stream = Stream { ssrc, pt, codec, rate, source, layer };
        self.streams.push(stream);
        Some(stream)
    }

    /// Whether str0m takes this for its own: for STUN, whether it was made with the connection's password.
    pub(crate) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    /// Queues a packet. It leaves with the next [`Peer::drive`].
    pub(crate) fn write(&mut self, ssrc: Ssrc, write: RtpWrite) {
        if let Some(stream) = self.rtc.direct_api().stream_tx(&ssrc) {
            stream.write_rtp(write);
        }
    }

    /// Asks the browser for a key frame. It leaves with the next [`Peer::drive`].
    pub(crate) fn ask_for_key_frame(&mut self, mid: Mid, rid: Option<Rid>) {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// How much this viewer would take if the network did, in bits a second.
    pub(crate) fn desire(&mut self, bits_per_second: u64) {
        let bits_per_second = bits_per_second.max(LEAST_DESIRE);
        if self.desired.abs_diff(bits_per_second) > self.desired / 10 {
            self.desired = bits_per_second;
            self.rtc.bwe().set_bitrate(Bitrate::ZERO, Bitrate::bps(bits_per_second));
        }
    }

    /// Notices routes of which packets wait for too long. They get nothing more until those are gone.
    pub(crate) fn notice_backlogs(&mut self, now: Instant) -> usize {
        let mut noticed = 0;
        for route in self.routes.iter_mut().filter(|route| route.source.is_some()) {
            let mut direct = self.rtc.direct_api();
            let Some(queue) = direct.stream_tx(&route.ssrc).and_then(|stream| stream.queue_info()) else {
                continue;
            };
            let waits =
                queue.first_unsent().is_some_and(|since| now.saturating_duration_since(since) > BACKLOG);
            let was = route.backlogged;
            route.backlogged = waits || (was && queue.packet_count() > 0);
            if route.backlogged && !was {
                route.stalled = true;
                noticed += 1;
            }
        }
        noticed
    }

    /// Feeds str0m and drains it.
    pub(crate) fn drive(
        &mut self,
        input: Option<Input<'_>>,
        now: Instant,
        outbox: &mut Outbox,
        came: &mut Vec<Came>,
    ) -> Result<(), Ended> {
        self.dirty = false;
        guarded(|| self.drive_unguarded(input, now, outbox, came))?
    }

    fn drive_unguarded(
        &mut self,
        input: Option<Input<'_>>,
        now: Instant,
        outbox: &mut Outbox,
        came: &mut Vec<Came>,
    ) -> Result<(), Ended> {
        let lost = |_| Ended::Lost;
        self.rtc.handle_input(input.unwrap_or(Input::Timeout(now))).map_err(lost)?;
        let mut turns = 0;
        loop {
            match self.rtc.poll_output().map_err(lost)? {
                Output::Timeout(at) if at <= now + AT_ONCE && turns < MAX_TURNS => {
                    turns += 1;
                    self.rtc.handle_input(Input::Timeout(at.max(now))).map_err(lost)?;
                }
                Output::Timeout(at) => {
                    self.due = at.max(now + Duration::from_millis(1));
                    break;
                }
                Output::Transmit(out) => {
                    let via = if out.proto == Protocol::Udp { Via::Udp } else { Via::Tcp };
                    outbox.push(via, out.destination, &out.contents);
                }
                Output::Event(event) => self.event(event, came),
            }
        }
        if self.rtc.is_alive() { Ok(()) } else { Err(Ended::Lost) }
    }

    fn event(&mut self, event: Event, came: &mut Vec<Came>) {
        match event {
            Event::Connected => self.connected = true,
            Event::RtpPacket(packet) => came.push(Came::Packet(packet)),
            Event::KeyframeRequest(request) => came.push(Came::KeyFrameWanted(request.mid)),
            Event::SenderFeedback(report) => {
                self.clock.report(report.sender_info.ntp_time, report.received_at)
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, can_probe }) => {
                self.estimate = can_probe.then(|| estimate.as_u64());
            }
            _ => {}
        }
    }

    /// Says goodbye to the browser.
    pub(crate) fn close(&mut self, now: Instant, outbox: &mut Outbox) {
        // It is gone either way, and whoever does not hear this notices the silence.
        let _ = guarded(|| {
            let _ = self.rtc.close();
            let _ = self.drive_unguarded(None, now, outbox, &mut Vec::new());
        });
    }
}
