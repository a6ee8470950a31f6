//! The one connection to the server's forwarder, as the page has it (`web/src/room/forwarder.svelte.ts`).
//!
//! ```text
//! four places to send ── offer ──► answer; tracks { what others send }
//! and one to receive each of those ── offer ──► answer; and so on, whenever there are others
//! ```
//!
//! By UDP alone: a network that lets nothing through but TCP is one for a browser.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use gloaming_ids::SeatId;
use gloaming_sfu::signal::{Ended, FromForwarder, Receives, Refusal, Sends, ToForwarder, Want};
use str0m::net::Transmit;

use super::{
    connection::{Connection, Frame, random},
    ports::Packet,
    sealed::Sealed,
    signal::{MIC, SLOTS},
};

/// Others come and go together.
const HANDFUL: Duration = Duration::from_millis(100);
/// An answer may be lost with a socket.
const ANSWER: Duration = Duration::from_secs(6);
/// A connection that was interrupted may come back by itself.
const PATIENCE: Duration = Duration::from_secs(4);
/// One that does not come to be is begun anew; the forwarder's patience is a little longer.
const ANEW: Duration = Duration::from_secs(12);
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_AT_MOST: Duration = Duration::from_secs(30);
/// Places are not used again. With so many the connection is begun anew.
const MAX_PLACES: usize = 240;

/// A track of somebody's, by its place.
pub(super) type Track = (SeatId, usize);

/// The forwarder says that what came from here was not sealed. Nothing else than sealed frames leaves, so one of the two is
/// wrong, and nothing is sent until somebody has looked.
#[derive(Debug)]
pub(super) struct Unsealed;

/// The connection. What it wants to say to the forwarder is in `said`, what it wants to send in `packets`.
pub(super) struct Forwarder {
    pub(super) said: Vec<ToForwarder>,
    pub(super) packets: Vec<Transmit>,
    /// It could not be reached, or refused: not to be counted on until it is connected.
    pub(super) failing: bool,
    addresses: Vec<SocketAddr>,
    connection: Option<Connection>,
    /// What comes in the places that the connection receives in.
    places: Vec<Track>,
    /// What there is a use for.
    wanted: BTreeSet<Track>,
    /// What others send, by what the forwarder says.
    listed: BTreeSet<Track>,
    /// Of that, what has been asked for since it was there.
    asked: BTreeSet<Track>,
    /// What has not been answered, and until when it has time.
    offer: Option<(ToForwarder, Instant)>,
    said_again: bool,
    offer_at: Option<Instant>,
    tries: u32,
    /// When the connection is given up, or begun anew where there is none.
    watch: Option<Instant>,
}

impl Forwarder {
    pub(super) fn new(addresses: Vec<SocketAddr>, now: Instant) -> Self {
        let mut forwarder = Self {
            said: Vec::new(),
            packets: Vec::new(),
            failing: false,
            addresses,
            connection: None,
            places: Vec::new(),
            wanted: BTreeSet::new(),
            listed: BTreeSet::new(),
            asked: BTreeSet::new(),
            offer: None,
            said_again: false,
            offer_at: None,
            tries: 0,
            watch: None,
        };
        forwarder.begin(now);
        forwarder
    }

    /// Whether it stands.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.connected)
    }

    /// Whether somebody's sound, if there is some, comes by it.
    pub(super) fn reaches(&self, seat: SeatId) -> bool {
        self.is_connected() && self.asked.contains(&(seat, MIC))
    }

    /// Whose track comes in a place.
    pub(super) fn track(&self, place: usize) -> Option<Track> {
        self.places.get(place).copied()
    }

    /// When it wants to be driven.
    pub(super) fn due(&self) -> Option<Instant> {
        let connection = self.connection.as_ref().map(|connection| connection.due);
        let answer = self.offer.as_ref().map(|(_, until)| *until);
        connection.into_iter().chain(answer).chain(self.offer_at).chain(self.watch).min()
    }

    /// What there is a use for, from now on.
    pub(super) fn want(&mut self, wanted: BTreeSet<Track>, now: Instant) {
        self.wanted = wanted;
        self.look(now);
    }

    /// Does what the forwarder said. `route` knows this machine's address on the way to another one.
    pub(super) fn hear(
        &mut self,
        message: FromForwarder,
        route: impl Fn(SocketAddr) -> Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Unsealed> {
        match message {
            FromForwarder::Answer { sdp } => {
                // The answer to an offer that was said twice comes twice.
                if let (Some(_), Some(connection)) = (self.offer.take(), &mut self.connection) {
                    // A forwarder that listens everywhere answers from the address that its own machine would choose. From
                    // any but the usual one of ours, that may be another than it was asked at.
                    let ways: Vec<_> = addresses(&sdp).filter_map(route).collect();
                    let usual = |here: &&SocketAddr| ways.contains(&here.ip());
                    let usual: Vec<_> = self.addresses.iter().filter(usual).copied().collect();
                    connection.listen(if usual.is_empty() { self.addresses.clone() } else { usual });
                    connection.answered(&sdp, now);
                    self.look(now);
                }
            }
            // Who came in a moment ago may be believed a moment later.
            FromForwarder::Refused { why: Refusal::NotAMember } => self.lost(AGAIN, now),
            FromForwarder::Refused { .. } => self.lost(AGAIN_AT_MOST, now),
            FromForwarder::Tracks { tracks } => {
                self.listed = tracks.iter().map(|track| (track.seat, usize::from(track.track))).collect();
                // Who went and came again has to be asked for again.
                self.asked.retain(|track| self.listed.contains(track));
                self.look(now);
            }
            FromForwarder::Unsealed { .. } => return Err(Unsealed),
            // An old connection's end, or one that was begun anew meanwhile.
            FromForwarder::Closed { why } if why != Ended::Bye && self.offer.is_none() => {
                self.lost(AGAIN, now);
            }
            FromForwarder::Closed { .. } | FromForwarder::Layer { .. } => {}
        }
        Ok(())
    }

    /// The socket is there again: what was asked may not have been heard.
    pub(super) fn reconnected(&mut self) {
        self.said.extend(self.offer.as_ref().map(|(offer, _)| offer.clone()));
    }

    fn missing(&self) -> impl Iterator<Item = Track> {
        self.listed
            .intersection(&self.wanted)
            .filter(|track| track.1 < SLOTS.len() && !self.asked.contains(track))
            .copied()
    }

    /// Whoever is waited for already is not waited for longer.
    fn look(&mut self, now: Instant) {
        if self.offer_at.is_none()
            && self.offer.is_none()
            && self.connection.is_some()
            && self.missing().next().is_some()
        {
            self.offer_at = Some(now + HANDFUL);
        }
    }

    fn begin(&mut self, now: Instant) {
        self.drop_connection();
        self.connection = Some(Connection::new(now));
        self.watch = Some(now + ANEW);
        self.offer(now);
    }

    fn offer(&mut self, now: Instant) {
        self.offer_at = None;
        let missing: Vec<_> = self.missing().collect();
        if self.places.len() + missing.len() > MAX_PLACES {
            return self.begin(now);
        }
        let Some(connection) = &mut self.connection else { return };
        let sdp = without_addresses(&connection.offer(missing.iter().map(|(_, slot)| *slot)));
        self.places.extend(&missing);
        self.asked.extend(missing);
        let sends = connection.sends_in().zip(0..);
        let send = sends.map(|(mid, track)| Sends { mid, track, layers: Vec::new() }).collect();
        let mut known = BTreeSet::new();
        // Of two places for one track the later one counts.
        let receive = connection.receives_in().zip(&self.places).collect::<Vec<_>>().into_iter().rev();
        let receive = receive.filter(|(_, track)| self.listed.contains(track) && known.insert(**track));
        let receive = receive.map(|(mid, (seat, slot))| Receives {
            mid,
            seat: *seat,
            track: u16::try_from(*slot).expect("four places"),
            want: Want::default(),
        });
        let offer = ToForwarder::Offer { sdp, send, receive: receive.collect() };
        self.said.push(offer.clone());
        self.said_again = false;
        self.offer = Some((offer, now + ANSWER));
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.offer = None;
        self.offer_at = None;
        self.places.clear();
        self.listed.clear();
        self.asked.clear();
    }

    /// Not now. Begins anew after a while, which becomes longer.
    fn lost(&mut self, again: Duration, now: Instant) {
        self.drop_connection();
        self.failing = true;
        let wait = (again * 2_u32.pow(self.tries.min(8))).min(AGAIN_AT_MOST);
        self.tries += 1;
        // Between three quarters and five quarters of it, so that not everybody comes at once.
        let [dice] = random();
        self.watch = Some(now + wait * 3 / 4 + wait / 2 * u32::from(dice) / 255);
    }

    /// Whether a packet is this connection's.
    pub(super) fn accepts(&self, packet: &Packet, now: Instant) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.accepts(packet, now))
    }

    /// Takes a packet, if there is one, and does whatever is due.
    pub(super) fn drive(&mut self, packet: Option<&Packet>, now: Instant, came: &mut Vec<Frame>) {
        if self.watch.is_some_and(|watch| now >= watch) {
            match self.connection {
                Some(_) => self.lost(AGAIN, now),
                None => self.begin(now),
            }
        }
        if let Some((offer, until)) = self.offer.as_mut().filter(|(_, until)| now >= *until) {
            if self.said_again {
                self.lost(AGAIN, now);
            } else {
                self.said_again = true;
                *until = now + ANSWER;
                self.said.push(offer.clone());
            }
        }
        if self.offer_at.is_some_and(|at| now >= at) {
            self.offer(now);
        }
        let Some(connection) = &mut self.connection else { return };
        let was = connection.connected;
        let alive = connection.drive(packet, now, &mut self.packets, came);
        match (alive, connection.connected) {
            (true, true) => {
                self.watch = None;
                self.failing = false;
                self.tries = 0;
            }
            (true, false) if !was => {}
            (true, false) => self.watch = Some(now + PATIENCE),
            (false, _) => self.lost(AGAIN, now),
        }
    }

    /// Sends a sealed frame in a place. It leaves with the next [`Forwarder::drive`].
    pub(super) fn write(&mut self, slot: usize, frame: &Sealed, time: u32, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.write(slot, frame, time, now);
        }
    }

    /// Asks for a key frame, but not at every frame that cannot be used.
    pub(super) fn ask_for_key_frame(&mut self, track: Track, now: Instant) {
        let place = self.places.iter().rposition(|place| *place == track);
        if let (Some(connection), Some(place)) = (&mut self.connection, place) {
            connection.ask_for_key_frame(place, now);
        }
    }

    /// Says goodbye.
    pub(super) fn close(mut self, now: Instant) -> (Vec<ToForwarder>, Vec<Transmit>) {
        if let Some(connection) = self.connection.take() {
            connection.close(now, &mut self.packets);
        }
        self.said.push(ToForwarder::Bye {});
        (self.said, self.packets)
    }
}

/// Where an answer says that the forwarder is, by UDP (RFC 8839, section 5.1).
fn addresses(sdp: &str) -> impl Iterator<Item = SocketAddr> {
    sdp.lines().filter_map(|line| {
        let fields: Vec<_> = line.strip_prefix("a=candidate:")?.split_whitespace().collect();
        match fields[..] {
            [_, _, "udp", _, ip, port, ..] => Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)),
            _ => None,
        }
    })
}

/// The forwarder finds a visitor by its checks; nobody is told where else it may be.
fn without_addresses(sdp: &str) -> String {
    let told = |line: &&str| {
        !["a=candidate:", "a=end-of-candidates"].iter().any(|address| line.starts_with(address))
    };
    sdp.split_inclusive('\n').filter(told).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    fn nowhere(_: SocketAddr) -> Option<IpAddr> {
        None
    }

    #[test]
    fn an_answer_says_where_the_forwarder_is() {
        let sdp = "m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=candidate:1 1 udp 2130706175 192.0.2.2 37578 typ host\r\n\
            a=candidate:2 1 tcp 1526725887 192.0.2.2 37578 typ host tcptype passive\r\na=candidate:3 1 udp\r\n\
            a=candidate:4 1 udp 1 2001:db8::1 5000 typ host\r\n";
        let found: Vec<_> = addresses(sdp).map(|address| address.to_string()).collect();
        assert_eq!(found, ["192.0.2.2:37578", "[2001:db8::1]:5000"]);
    }

    fn tracks(seat: SeatId) -> FromForwarder {
        let track = |track| gloaming_sfu::signal::Track { seat, track, video: track == 1, layers: 1 };
        FromForwarder::Tracks { tracks: vec![track(0), track(1), track(9)] }
    }

    fn offered(forwarder: &mut Forwarder) -> Vec<(String, Vec<Sends>, Vec<Receives>)> {
        let said = std::mem::take(&mut forwarder.said).into_iter();
        said.map(|said| match said {
            ToForwarder::Offer { sdp, send, receive } => (sdp, send, receive),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn an_offer_holds_what_is_sent_and_what_is_wanted_and_no_address() {
        let (now, seat) = (Instant::now(), SeatId::from_bytes([3; 16]));
        let mut forwarder = Forwarder::new(vec!["192.0.2.7:5000".parse().unwrap()], now);
        let [(sdp, send, receive)] = offered(&mut forwarder).try_into().unwrap();
        assert!(!sdp.contains("192.0.2.7") && !sdp.contains("candidate"), "{sdp}");
        assert_eq!(send.iter().map(|sends| sends.track).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(receive.is_empty());
        // Said again where nobody answers, and again when the socket is there again.
        forwarder.drive(None, now + ANSWER, &mut Vec::new());
        forwarder.reconnected();
        assert_eq!(offered(&mut forwarder).len(), 2);

        forwarder.want(BTreeSet::from([(seat, 0), (seat, 2)]), now);
        forwarder.hear(tracks(seat), nowhere, now).unwrap();
        forwarder.hear(FromForwarder::Answer { sdp: String::new() }, nowhere, now).unwrap();
        forwarder.drive(None, now + ANSWER + HANDFUL, &mut Vec::new());
        let [(_, send, receive)] = offered(&mut forwarder).try_into().unwrap();
        assert_eq!((send.len(), receive.len(), receive[0].seat, receive[0].track), (4, 1, seat, 0));
        assert!(forwarder.hear(FromForwarder::Unsealed { track: 0 }, nowhere, now).is_err());
    }

    #[test]
    fn a_forwarder_that_refuses_is_asked_again_later_and_later() {
        let mut now = Instant::now();
        let mut forwarder = Forwarder::new(Vec::new(), now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            forwarder.hear(FromForwarder::Refused { why: Refusal::NotAMember }, nowhere, now).unwrap();
            assert!(forwarder.failing && forwarder.connection.is_none());
            let due = forwarder.due().unwrap();
            waits.push(due - now);
            now = due;
            forwarder.said.clear();
            forwarder.drive(None, now, &mut Vec::new());
            assert_eq!(offered(&mut forwarder).len(), 1);
        }
        assert!(waits[0] <= AGAIN * 5 / 4 && waits[7] >= AGAIN_AT_MOST * 3 / 4, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= AGAIN_AT_MOST * 5 / 4), "{waits:?}");
    }
}
