//! One connection of str0m: sealed frames out, sealed frames in. Who is at its other end is the business of
//! [`super::link`] and [`super::forwarder`].
//!
//! Where str0m packs and unpacks whole frames it looks into them; so they leave as packets that [`super::packets`] made,
//! and come as str0m puts them together again, for which the descriptors in front of them are enough.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use gloaming_room::Codec;
use str0m::{
    Candidate as Address, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcError,
    change::{SdpAnswer, SdpOffer, SdpPendingOffer},
    format,
    media::{Direction, KeyframeRequestKind, MediaKind, MediaTime, Mid, Pt},
    net::{Protocol, Receive, Transmit},
    rtp::{RtpWrite, SeqNo},
};

use super::{packets::Packetizer, ports::Packet, sealed::Sealed, signal::SLOTS};

/// How often the other side is asked for a key frame.
const KEY_FRAME_AGAIN: Duration = Duration::from_millis(700);
/// Turns of str0m's timers in one go.
const MAX_TURNS: usize = 256;

/// A frame that came, as it was sealed.
#[derive(Debug)]
pub(super) struct Frame {
    /// In which of the places that the connection receives in, in their order.
    pub(super) place: usize,
    pub(super) codec: Codec,
    /// When it is shown, on the clock of its place.
    pub(super) time: MediaTime,
    pub(super) clock: Clock,
    /// Whether nothing is missing between the one before and this.
    pub(super) contiguous: bool,
    pub(super) bytes: std::sync::Arc<[u8]>,
}

/// Whose times: those of two places, or of two connections, have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) connection: u64,
    pub(super) place: usize,
}

pub(super) struct Connection {
    rtc: Rtc,
    number: u64,
    pending: Option<SdpPendingOffer>,
    /// By place; none where this side does not send.
    sends: Vec<Sends>,
    receives: Vec<Receives>,
    pub(super) connected: bool,
    pub(super) due: Instant,
}

/// What is sent in one place.
struct Sends {
    mid: Mid,
    sequence: u64,
    packetizer: Packetizer,
    /// A key frame went out, so others may follow.
    flows: bool,
}

struct Receives {
    mid: Mid,
    asked: Option<Instant>,
}

pub(super) fn random<const N: usize>() -> [u8; N] {
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

fn input(packet: &Packet, now: Instant) -> Option<Input<'_>> {
    let receive = Receive::new(Protocol::Udp, packet.from, packet.here, &packet.bytes).ok()?;
    Some(Input::Receive(now, receive))
}

impl Sends {
    fn new(mid: Mid) -> Self {
        // Below half of what sixteen bits hold, so that both sides agree on how often it went round: never.
        let sequence = u64::from(u16::from_be_bytes(random()) >> 2);
        Self { mid, sequence, packetizer: Packetizer::default(), flows: false }
    }
}

impl Connection {
    /// One with nothing to send or receive yet, that can be reached nowhere.
    pub(super) fn new(now: Instant) -> Self {
        let rtc = Rtc::builder()
            .set_local_ice_credentials(credentials())
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp9(true)
            .enable_vp8(true)
            .set_stats_interval(None)
            .build(now);
        Self {
            rtc,
            number: u64::from_be_bytes(random()),
            pending: None,
            sends: Vec::new(),
            receives: Vec::new(),
            connected: false,
            due: now,
        }
    }

    /// It can be reached at these addresses.
    pub(super) fn listen(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) {
        for address in addresses {
            // Neither unspecified nor broadcast: the system gave them.
            if let Ok(candidate) = Address::host(address, "udp") {
                self.rtc.add_local_candidate(candidate);
            }
        }
    }

    /// Adds the places of [`SLOTS`] to send in, where there are none yet, and one to receive each of `slots` in; the offer.
    /// At least one place has to be new.
    pub(super) fn offer(&mut self, slots: impl IntoIterator<Item = usize>) -> String {
        let mut changes = self.rtc.sdp_api();
        let mut add = |slot: usize, direction| {
            let kind = if SLOTS[slot].video { MediaKind::Video } else { MediaKind::Audio };
            changes.add_media(kind, direction, None, None, None)
        };
        if self.sends.is_empty() {
            self.sends.extend((0..SLOTS.len()).map(|slot| Sends::new(add(slot, Direction::SendOnly))));
        }
        let receives = slots.into_iter().map(|slot| add(slot, Direction::RecvOnly));
        self.receives.extend(receives.map(|mid| Receives { mid, asked: None }));
        let (offer, pending) = changes.apply().expect("a place was added");
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    /// Takes the answer to the offer.
    pub(super) fn answered(&mut self, sdp: &str, now: Instant) {
        let Some(pending) = self.pending.take() else { return };
        if let Ok(answer) = SdpAnswer::from_sdp_string(sdp) {
            let _ = self.rtc.sdp_api().accept_answer(pending, answer);
            self.due = now;
        }
    }

    /// The places of an offer, in its order: those that the other side sends in, and those that it receives in.
    pub(super) fn take_places(&mut self, sdp: &str) -> Option<()> {
        let mids = sdp.lines().filter_map(|line| line.trim_end().strip_prefix("a=mid:")).map(Mid::from);
        let mids: Vec<_> = mids.collect();
        let (theirs, ours) =
            mids.split_at_checked(SLOTS.len()).filter(|(_, ours)| ours.len() == SLOTS.len())?;
        self.receives = theirs.iter().map(|mid| Receives { mid: *mid, asked: None }).collect();
        self.sends = ours.iter().copied().map(Sends::new).collect();
        Some(())
    }

    /// Takes an offer; the answer.
    pub(super) fn accept(&mut self, sdp: &str, now: Instant) -> Option<String> {
        let before = self.rtc.direct_api().local_ice_credentials();
        let answer = self.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(sdp).ok()?).ok()?;
        let mut text = answer.to_sdp_string();
        for ((slot, sends), receives) in self.sends.iter().enumerate().zip(&self.receives) {
            for mid in [sends.mid, receives.mid] {
                // A place of another kind would have its frames opened as what they are not.
                if self.rtc.media(mid)?.kind().is_video() != SLOTS[slot].video {
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
        self.due = now;
        Some(text)
    }

    /// Where the other side can be reached too.
    pub(super) fn reach(&mut self, candidate: &str, now: Instant) {
        // Names that a browser made up to hide its address (mDNS) do not read. Its packets show where it is.
        if let Ok(address) = Address::from_sdp_string(candidate) {
            self.rtc.add_remote_candidate(address);
            self.due = now;
        }
    }

    /// The names of the places that this side sends in.
    pub(super) fn sends_in(&self) -> impl Iterator<Item = String> {
        self.sends.iter().map(|sends| sends.mid.to_string())
    }

    /// The names of the places that this side receives in.
    pub(super) fn receives_in(&self) -> impl Iterator<Item = String> {
        self.receives.iter().map(|receives| receives.mid.to_string())
    }

    /// Whether a packet is this connection's.
    pub(super) fn accepts(&self, packet: &Packet, now: Instant) -> bool {
        input(packet, now).is_some_and(|input| self.rtc.accepts(&input))
    }

    /// Takes a packet, if there is one, and does whatever is due. Whether the connection lives.
    pub(super) fn drive(
        &mut self,
        packet: Option<&Packet>,
        now: Instant,
        packets: &mut Vec<Transmit>,
        came: &mut Vec<Frame>,
    ) -> bool {
        let input = packet.and_then(|packet| input(packet, now)).unwrap_or(Input::Timeout(now));
        self.turn(input, now, packets, came).is_ok() && self.rtc.is_alive()
    }

    fn turn(
        &mut self,
        input: Input<'_>,
        now: Instant,
        packets: &mut Vec<Transmit>,
        came: &mut Vec<Frame>,
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

    fn event(&mut self, event: Event, came: &mut Vec<Frame>) {
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
                let place = self.receives.iter().position(|receives| receives.mid == data.mid);
                if let (Some(place), Some(codec)) = (place, codec_of(data.params.spec().codec)) {
                    came.push(Frame {
                        place,
                        codec,
                        time: data.time,
                        clock: Clock { connection: self.number, place },
                        contiguous: data.contiguous,
                        bytes: data.data,
                    });
                }
            }
            _ => {}
        }
    }

    /// Sends a sealed frame in a place, where the other side takes its codec. It leaves with the next [`Connection::drive`].
    pub(super) fn write(&mut self, slot: usize, frame: &Sealed, time: u32, now: Instant) {
        if !self.connected {
            return;
        }
        let Some(pt) = self.payload_type(slot, frame.codec) else { return };
        let sends = &mut self.sends[slot];
        sends.flows |= frame.key;
        if !sends.flows {
            return;
        }
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(sends.mid, None) else { return };
        let payloads = sends.packetizer.payloads(frame);
        let count = payloads.len();
        for (number, payload) in payloads.into_iter().enumerate() {
            sends.sequence += 1;
            let write = RtpWrite::new(pt, SeqNo::from(sends.sequence), time, now, payload)
                .marker(SLOTS[slot].video && number + 1 == count)
                .nackable(SLOTS[slot].video);
            stream.write_rtp(write);
        }
        self.due = now;
    }

    fn payload_type(&self, slot: usize, codec: Codec) -> Option<Pt> {
        let media = self.rtc.media(self.sends.get(slot)?.mid)?;
        let types = self.rtc.codec_config().params();
        let taken = types.iter().find(|params| {
            codec_of(params.spec().codec) == Some(codec) && media.remote_pts().contains(&params.pt())
        });
        taken.map(|params| params.pt())
    }

    /// Asks for a key frame, but not at every frame that cannot be used.
    pub(super) fn ask_for_key_frame(&mut self, place: usize, now: Instant) {
        let Some(receives) = self.receives.get_mut(place) else { return };
        if receives.asked.is_some_and(|asked| now < asked + KEY_FRAME_AGAIN) {
            return;
        }
        receives.asked = Some(now);
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(receives.mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.due = now;
        }
    }

    /// Says goodbye.
    pub(super) fn close(mut self, now: Instant, packets: &mut Vec<Transmit>) {
        let _ = self.rtc.close();
        self.drive(None, now, packets, &mut Vec::new());
    }
}
