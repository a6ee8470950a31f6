//! One connection to one other seat, as the page has them (`web/src/room/link.svelte.ts`).
//!
//! Of two seats the one with the greater id offers. A connection has eight places: four in which the offerer sends, in the
//! order of [`SLOTS`], and the same four the other way round. Nothing is negotiated again but an ICE restart, and what does not
//! come to be, or not back, is begun anew.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use gloaming_ids::SeatId;
use str0m::net::Transmit;

use super::{
    connection::{Connection, Frame, random},
    ports::Packet,
    sealed::Sealed,
    signal::{SLOTS, Signal},
};

/// A connection that does not come to be is begun anew, as by the page.
const ANEW: Duration = Duration::from_secs(12);
/// One that was interrupted may come back by itself.
const PATIENCE: Duration = Duration::from_secs(4);

/// One connection. What it wants to say to the other seat is in `said`, what it wants to send in `packets`.
pub(super) struct Link {
    pub(super) said: Vec<Signal>,
    pub(super) packets: Vec<Transmit>,
    offers: bool,
    addresses: Vec<SocketAddr>,
    session: String,
    connection: Option<Connection>,
    /// Both sides have said what there is to say.
    spoken: bool,
    /// When it is begun anew.
    anew: Option<Instant>,
}

impl Link {
    pub(super) fn new(own: SeatId, seat: SeatId, addresses: Vec<SocketAddr>, now: Instant) -> Self {
        let mut link = Self {
            said: Vec::new(),
            packets: Vec::new(),
            offers: own > seat,
            addresses,
            session: String::new(),
            connection: None,
            spoken: false,
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

    /// Whether a way is looked for, which was not found yet, or was lost.
    pub(super) fn is_looking(&self) -> bool {
        self.spoken && !self.is_connected()
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
                if let Some(connection) = &mut self.connection {
                    connection.answered(&sdp, now);
                    self.spoken = true;
                }
            }
            Signal::Candidates { session, candidates } if session == self.session => {
                if let Some(connection) = &mut self.connection {
                    candidates.iter().for_each(|address| connection.reach(&address.candidate, now));
                }
            }
            // An ICE restart would do where `anew` is false; beginning anew does too.
            Signal::Again { .. } if self.offers => self.offer(now),
            _ => {}
        }
    }

    fn offer(&mut self, now: Instant) {
        self.session = uuid(random());
        self.spoken = false;
        self.anew = Some(now + ANEW);
        let mut connection = self.connection(now);
        let sdp = connection.offer(0..SLOTS.len());
        self.said.push(Signal::Offer { session: self.session.clone(), sdp });
        self.connection = Some(connection);
    }

    fn answer(&mut self, session: String, sdp: &str, now: Instant) {
        if session != self.session || self.connection.is_none() {
            let mut connection = self.connection(now);
            if connection.take_places(sdp).is_none() {
                return;
            }
            self.session = session;
            self.anew = Some(now + ANEW);
            self.connection = Some(connection);
        }
        let Some(connection) = &mut self.connection else { return };
        let Some(sdp) = connection.accept(sdp, now) else {
            self.connection = None;
            self.anew.get_or_insert(now + PATIENCE);
            return;
        };
        self.spoken = true;
        self.said.push(Signal::Answer { session: self.session.clone(), sdp });
    }

    fn connection(&self, now: Instant) -> Connection {
        let mut connection = Connection::new(now);
        connection.listen(self.addresses.iter().copied());
        connection
    }

    /// Whether a packet is this connection's.
    pub(super) fn accepts(&self, packet: &Packet, now: Instant) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.accepts(packet, now))
    }

    /// Takes a packet, if there is one, and does whatever is due.
    pub(super) fn drive(&mut self, packet: Option<&Packet>, now: Instant, came: &mut Vec<Frame>) {
        if self.anew.is_some_and(|anew| now >= anew) {
            self.begin_anew(now);
        }
        let Some(connection) = &mut self.connection else { return };
        let was = connection.connected;
        let alive = connection.drive(packet, now, &mut self.packets, came);
        match (alive, connection.connected) {
            (true, true) => self.anew = None,
            (true, false) if !was => {}
            (true, false) => self.anew = Some(now + PATIENCE),
            (false, _) => {
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

    /// Sends a sealed frame in a place. It leaves with the next [`Link::drive`].
    pub(super) fn write(&mut self, slot: usize, frame: &Sealed, time: u32, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.write(slot, frame, time, now);
        }
    }

    /// Asks for a key frame, but not at every frame that cannot be used.
    pub(super) fn ask_for_key_frame(&mut self, slot: usize, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.ask_for_key_frame(slot, now);
        }
    }

    /// Says goodbye.
    pub(super) fn close(mut self, now: Instant) -> Vec<Transmit> {
        if let Some(connection) = self.connection.take() {
            connection.close(now, &mut self.packets);
        }
        self.packets
    }
}

fn uuid(random: [u8; 16]) -> String {
    // What sessions look like in a browser; all that counts is that no two are the same.
    SeatId::from_bytes(random).to_string()
}
