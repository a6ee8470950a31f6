//! What goes over connections: to each of the others, or to the forwarder, or for a while both ways. Which way it is, and
//! when one is given up, is decided here as the page decides it (`#arrange` and `#see` of `meeting.svelte.ts`).

use std::{collections::BTreeMap, time::Instant};

use gloaming_ids::SeatId;
use gloaming_room::{App, ControlKind};
use gloaming_sfu::signal::{FromForwarder, ToForwarder};
use serde_bytes::ByteBuf;
use str0m::net::Transmit;

use super::{
    connection::Frame,
    forwarder::{Forwarder, Unsealed},
    link::Link,
    person::{Noted, Person},
    ports::{Packet, Ports, route},
    sealed::Sealed,
    signal::{CAMERA, MIC, Sending, Signal},
    topology::{Facts, Pair, Said, Topology, Way, wanted},
};

/// What came of connections.
#[derive(Debug)]
pub(super) enum Came {
    /// There is a way to somebody, or there is none any more.
    Reached(SeatId, bool),
    /// Which way media goes from now on.
    Goes(Way),
    Frame(Arrived),
}

/// A frame, and whose it is.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) seat: SeatId,
    pub(super) slot: usize,
    pub(super) way: Way,
    pub(super) frame: Frame,
}

pub(super) struct Media {
    ports: Ports,
    /// Members do not learn each other's addresses.
    hidden: bool,
    /// What the server said: it has a forwarder.
    network: bool,
    own: SeatId,
    /// Of the screen that is shared from here.
    lines: u32,
    people: BTreeMap<SeatId, Person>,
    forwarder: Option<Forwarder>,
    topology: Topology,
    told: Way,
    announced: Option<Said>,
    came: Vec<Came>,
    out: Vec<Transmit>,
    words: Vec<(Option<SeatId>, App)>,
    /// For a forwarder that is no longer spoken to.
    last_words: Vec<ToForwarder>,
}

impl Media {
    pub(super) fn new(ports: Ports, hidden: bool, lines: u32, own: SeatId) -> Self {
        Self {
            ports,
            hidden,
            network: false,
            own,
            lines,
            people: BTreeMap::new(),
            forwarder: None,
            topology: Topology::default(),
            told: Way::Mesh,
            announced: None,
            came: Vec::new(),
            out: Vec::new(),
            words: Vec::new(),
            last_words: Vec::new(),
        }
    }

    /// The next packet.
    pub(super) async fn next(&mut self) -> Packet {
        self.ports.next().await
    }

    /// The next packet, if it is here.
    pub(super) fn waiting(&mut self) -> Option<Packet> {
        self.ports.waiting()
    }

    // Who is there, and what they say.

    /// This seat is in, and whoever was there before is there no longer.
    pub(super) fn seated(&mut self, own: SeatId, now: Instant) {
        self.clear(now);
        self.own = own;
    }

    /// Those who are here now, and nobody else.
    pub(super) fn meet(&mut self, seats: &[SeatId], now: Instant) {
        let gone: Vec<_> = self.people.keys().copied().filter(|seat| !seats.contains(seat)).collect();
        for seat in gone {
            self.forget(seat, now);
        }
        for seat in seats.iter().filter(|seat| **seat != self.own) {
            self.people.entry(*seat).or_default();
        }
        self.arrange(now);
    }

    pub(super) fn joined(&mut self, seat: SeatId, now: Instant) {
        self.people.entry(seat).or_default();
        self.arrange(now);
        let said = self.said();
        self.say_topology(Some(seat), &said);
    }

    pub(super) fn left(&mut self, seat: SeatId, now: Instant) {
        self.forget(seat, now);
        self.arrange(now);
    }

    pub(super) fn clear(&mut self, now: Instant) {
        for seat in self.people.keys().copied().collect::<Vec<_>>() {
            self.forget(seat, now);
        }
        self.disconnect(now);
        self.announced = None;
    }

    fn forget(&mut self, seat: SeatId, now: Instant) {
        self.unlink(seat, now);
        self.people.remove(&seat);
    }

    pub(super) fn away(&mut self, seat: SeatId, away: bool) {
        if let Some(person) = self.people.get_mut(&seat) {
            person.away = away;
        }
    }

    /// What somebody says that they send.
    pub(super) fn sends(&mut self, seat: SeatId, sending: Sending, now: Instant) {
        if let Some(person) = self.people.get_mut(&seat) {
            person.sending = sending;
            self.arrange(now);
        }
    }

    pub(super) fn heard_topology(&mut self, seat: SeatId, said: Said, now: Instant) {
        if let Some(person) = self.people.get_mut(&seat) {
            person.said = Some(said);
            self.arrange(now);
        }
    }

    pub(super) fn heard_signal(&mut self, seat: SeatId, signal: Signal, now: Instant) {
        let Some(person) = self.people.get_mut(&seat) else { return };
        // Who makes an offer needs the connection, and may have seen something that was not seen here yet.
        if person.link.is_none() && !self.hidden && matches!(signal, Signal::Offer { .. }) {
            person.link = Some(Link::new(self.own, seat, self.ports.addresses().collect(), now));
        }
        if let Some(link) = &mut person.link {
            link.hear(signal, now);
        }
    }

    /// What the server says of the network, after every beginning of the socket.
    pub(super) fn heard_network(&mut self, forwarder: bool, now: Instant) {
        self.network = forwarder;
        if let Some(forwarder) = &mut self.forwarder {
            forwarder.reconnected();
        }
        self.arrange(now);
    }

    pub(super) fn heard_forwarder(&mut self, message: FromForwarder, now: Instant) -> Result<(), Unsealed> {
        let Some(forwarder) = &mut self.forwarder else { return Ok(()) };
        let heard = forwarder.hear(message, route, now);
        self.arrange(now);
        heard
    }

    // Which way.

    fn facts(&self) -> Facts {
        let people = self.people.values();
        let screens =
            people.clone().filter(|person| person.sending.screen).map(|person| person.sending.lines);
        let no_path =
            |person: &Person| person.pathless || person.said.as_ref().is_some_and(|said| said.pathless);
        Facts {
            seats: self.people.len() + 1,
            lines: screens.max().unwrap_or(0).max(self.lines),
            hidden: self.hidden,
            pathless: people.clone().any(no_path),
            forwarder: self.network,
        }
    }

    fn arrange(&mut self, now: Instant) {
        let facts = self.facts();
        let failing = self.forwarder.as_ref().is_some_and(|forwarder| forwarder.failing);
        if failing {
            self.people.values_mut().for_each(|person| person.forget(Way::Forwarder));
        }
        let way = self.topology.decide(Facts { forwarder: facts.forwarder && !failing, ..facts }, now);
        // Alone nobody sends anything.
        if !self.people.is_empty() && way != std::mem::replace(&mut self.told, way) {
            self.came.push(Came::Goes(way));
        }
        let through = facts.forwarder
            && !self.people.is_empty()
            && (way == Way::Forwarder || wanted(facts) == Way::Forwarder);
        if through && self.forwarder.is_none() {
            self.forwarder = Some(Forwarder::new(self.ports.addresses().collect(), now));
        }
        let (own, hidden) = (self.own, self.hidden);
        let pair = |person: &Person| {
            let pair = Pair { way, hidden, seen: person.seen, own, said: person.said.as_ref() };
            (pair.wants_link(), pair.link_is_over(), pair.forwarder_is_over())
        };
        let mut over = Vec::new();
        for (seat, person) in &mut self.people {
            let (wants_link, link_is_over, _) = pair(person);
            if person.link.is_none() && wants_link {
                person.link = Some(Link::new(own, *seat, self.ports.addresses().collect(), now));
            } else if person.link.is_some() && link_is_over {
                over.push(*seat);
            } else if person.link.is_none() && self.forwarder.is_some() {
                // Nothing else is there to be seen.
                person.seen = Way::Forwarder;
            }
        }
        for seat in over {
            self.unlink(seat, now);
        }
        if !through && self.people.values().all(|person| pair(person).2) {
            self.disconnect(now);
        }
        self.want(now);
        let said = self.said();
        if !self.people.is_empty() && self.announced.as_ref() != Some(&said) {
            self.say_topology(None, &said);
            self.announced = Some(said);
        }
        self.notice();
    }

    /// A share's places come with the share, those of microphones and cameras before there is something in them.
    fn want(&mut self, now: Instant) {
        let Some(forwarder) = &mut self.forwarder else { return };
        let tracks = |(seat, person): (&SeatId, &Person)| {
            let seat = *seat;
            [MIC, CAMERA]
                .into_iter()
                .chain(person.sending.slots())
                .map(move |slot| (seat, slot))
                .collect::<Vec<_>>()
        };
        forwarder.want(self.people.iter().flat_map(tracks).collect(), now);
    }

    /// What others have to know before they give up a way.
    fn said(&self) -> Said {
        let people = self.people.iter();
        let forwarded = people.filter(|(_, person)| person.seen == Way::Forwarder || person.link.is_none());
        let forwarded =
            if self.forwarder.is_some() { forwarded.map(|(seat, _)| *seat).collect() } else { vec![] };
        Said {
            way: self.topology.way(),
            forwarded,
            pathless: self.people.values().any(|person| person.pathless),
        }
    }

    fn say_topology(&mut self, to: Option<SeatId>, said: &Said) {
        let body = ByteBuf::from(serde_json::to_vec(said).expect("it serialises"));
        self.words.push((to, App::Control { kind: ControlKind::TOPOLOGY, body }));
    }

    fn unlink(&mut self, seat: SeatId, now: Instant) {
        let Some(person) = self.people.get_mut(&seat) else { return };
        if let Some(link) = person.link.take() {
            self.out.extend(link.close(now));
            person.forget(Way::Mesh);
        }
        if self.forwarder.is_some() {
            person.seen = Way::Forwarder;
        }
    }

    fn disconnect(&mut self, now: Instant) {
        let Some(forwarder) = self.forwarder.take() else { return };
        let (words, packets) = forwarder.close(now);
        self.last_words.extend(words);
        self.out.extend(packets);
        self.people.values_mut().for_each(|person| person.forget(Way::Forwarder));
    }

    /// Notices to whom there is a way.
    fn notice(&mut self) {
        for (seat, person) in &mut self.people {
            let reached = person.is_linked() || reaches(self.forwarder.as_ref(), *seat);
            if reached != std::mem::replace(&mut person.reached, reached) {
                self.came.push(Came::Reached(*seat, reached));
            }
        }
    }

    /// Looks around, once a second: by which way somebody is seen, and whether there is one at all.
    pub(super) fn look(&mut self, online: bool, now: Instant) {
        let way = self.topology.way();
        for (seat, person) in &mut self.people {
            person.look(way, reaches(self.forwarder.as_ref(), *seat), online);
        }
        self.arrange(now);
    }

    // Packets and frames.

    /// Takes a packet, whosever it is.
    pub(super) fn take(&mut self, packet: &Packet, now: Instant) {
        let mut links =
            self.people.iter_mut().filter_map(|(seat, person)| Some((*seat, person.link.as_mut()?)));
        if let Some((seat, link)) = links.find(|(_, link)| link.accepts(packet, now)) {
            drive_link(seat, link, Some(packet), now, &mut self.came);
        } else if let Some(forwarder) = self.forwarder.as_mut().filter(|it| it.accepts(packet, now)) {
            drive_forwarder(forwarder, Some(packet), now, &mut self.came);
        }
        self.notice();
    }

    /// Does whatever is due.
    pub(super) fn drive(&mut self, now: Instant) {
        for (seat, person) in &mut self.people {
            if let Some(link) = person.link.as_mut().filter(|link| link.due().is_some_and(|due| due <= now)) {
                drive_link(*seat, link, None, now, &mut self.came);
            }
        }
        if let Some(forwarder) = self.forwarder.as_mut().filter(|it| it.due().is_some_and(|due| due <= now)) {
            let failing = forwarder.failing;
            drive_forwarder(forwarder, None, now, &mut self.came);
            if forwarder.failing != failing {
                self.arrange(now);
            }
        }
        self.notice();
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let links = self.people.values().filter_map(|person| person.link.as_ref()?.due());
        links.chain(self.forwarder.as_ref().and_then(Forwarder::due)).min()
    }

    /// What came since this was asked last.
    pub(super) fn came(&mut self) -> Vec<Came> {
        std::mem::take(&mut self.came)
    }

    /// A frame came and was opened, or could not be. `None` where it is not to be taken, since what is in it comes by the other
    /// way too; else whether a decoder can go on with it.
    pub(super) fn opened(
        &mut self,
        arrived: &Arrived,
        opened: bool,
        key: bool,
        now: Instant,
    ) -> Option<bool> {
        let Arrived { seat, slot, way, ref frame } = *arrived;
        let person = self.people.get_mut(&seat)?;
        let preferred = person.preferred(self.topology.way(), reaches(self.forwarder.as_ref(), seat));
        let Noted { taken, whole, key_frame_wanted } =
            person.note((way, slot), frame, opened, key, preferred);
        match way {
            _ if !key_frame_wanted => {}
            Way::Mesh => person.link.iter_mut().for_each(|link| link.ask_for_key_frame(slot, now)),
            Way::Forwarder => {
                self.forwarder
                    .iter_mut()
                    .for_each(|forwarder| forwarder.ask_for_key_frame((seat, slot), now));
            }
        }
        taken.then_some(whole)
    }

    /// Nothing more is sent from here.
    pub(super) fn finished(&mut self, now: Instant) {
        self.lines = 0;
        self.arrange(now);
    }

    /// Whether there is a way to anybody.
    pub(super) fn reaches_somebody(&self) -> bool {
        self.people.values().any(|person| person.reached)
    }

    /// Sends a frame by every way that stands. A copy for each way is sealed for itself, so that each of them opens.
    pub(super) fn write(
        &mut self,
        slot: usize,
        time: u32,
        now: Instant,
        mut seal: impl FnMut() -> Option<Sealed>,
    ) -> Option<usize> {
        let mut sent = None;
        if self.people.values().any(Person::is_linked) {
            let sealed = seal()?;
            for link in self.people.values_mut().filter_map(|person| person.link.as_mut()) {
                link.write(slot, &sealed, time, now);
            }
            sent = Some(sealed.bytes().len());
        }
        if let Some(forwarder) = self.forwarder.as_mut().filter(|forwarder| forwarder.is_connected()) {
            let sealed = seal()?;
            forwarder.write(slot, &sealed, time, now);
            sent = Some(sealed.bytes().len());
        }
        sent
    }

    /// Sends what connections want sent on the network.
    pub(super) async fn post(&mut self) {
        let links = self.people.values_mut().filter_map(|person| person.link.as_mut());
        self.out.extend(links.flat_map(|link| link.packets.drain(..)));
        self.out.extend(self.forwarder.iter_mut().flat_map(|forwarder| forwarder.packets.drain(..)));
        for packet in self.out.drain(..) {
            self.ports.send(packet.source, packet.destination, &packet.contents).await;
        }
    }

    /// What is to be said through the room: to members, and to the forwarder.
    pub(super) fn said_now(&mut self) -> (Vec<(Option<SeatId>, App)>, Vec<ToForwarder>) {
        let mut words = std::mem::take(&mut self.words);
        for (seat, person) in &mut self.people {
            for signal in person.link.iter_mut().flat_map(|link| link.said.drain(..)) {
                let body = serde_json::to_vec(&signal).expect("a signal serialises");
                words.push((Some(*seat), App::Signal(ByteBuf::from(body))));
            }
        }
        let mut tell = std::mem::take(&mut self.last_words);
        tell.extend(self.forwarder.iter_mut().flat_map(|forwarder| forwarder.said.drain(..)));
        (words, tell)
    }
}

fn reaches(forwarder: Option<&Forwarder>, seat: SeatId) -> bool {
    forwarder.is_some_and(|forwarder| forwarder.reaches(seat))
}

fn drive_link(seat: SeatId, link: &mut Link, packet: Option<&Packet>, now: Instant, came: &mut Vec<Came>) {
    let mut frames = Vec::new();
    link.drive(packet, now, &mut frames);
    came.extend(
        frames
            .into_iter()
            .map(|frame| Came::Frame(Arrived { seat, slot: frame.place, way: Way::Mesh, frame })),
    );
}

fn drive_forwarder(forwarder: &mut Forwarder, packet: Option<&Packet>, now: Instant, came: &mut Vec<Came>) {
    let mut frames = Vec::new();
    forwarder.drive(packet, now, &mut frames);
    came.extend(frames.into_iter().filter_map(|frame| {
        let (seat, slot) = forwarder.track(frame.place)?;
        Some(Came::Frame(Arrived { seat, slot, way: Way::Forwarder, frame }))
    }));
}
