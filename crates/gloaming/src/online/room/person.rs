//! Somebody else in the room, and by which way what they send is taken.
//!
//! While a room goes from one way to the other, everything comes twice. What was taken by one way is taken by it until the
//! other one can go on without a gap: pictures with a key frame. Only then it is said that they are seen by the other way,
//! after which the first one is given up.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    connection::{Clock, Frame},
    link::Link,
    signal::{SLOTS, Sending},
    topology::{Said, Way},
};

/// Two who look for a way to each other for so many looks, a second apart, are taken to have none.
const PATHLESS: u32 = 10;

#[derive(Default)]
pub(super) struct Person {
    pub(super) link: Option<Link>,
    pub(super) sending: Sending,
    /// What they said of the topology.
    pub(super) said: Option<Said>,
    pub(super) away: bool,
    /// By which way they are seen: the other one may be given up.
    pub(super) seen: Way,
    /// No way was found to them, while there was one to others. Stays so.
    pub(super) pathless: bool,
    /// There is a way to them.
    pub(super) reached: bool,
    looked_in_vain: u32,
    /// What came by each way and could be decoded.
    shown: BTreeSet<(Way, usize)>,
    /// Of each way's pictures: by which clock they come, and whether what comes now can be decoded.
    whole: BTreeMap<(Way, usize), (Clock, bool)>,
    /// By which way what comes in a place is taken.
    taken: [Way; SLOTS.len()],
}

/// What is to be done with a frame that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// It is not the other way's turn.
    pub(super) taken: bool,
    /// Everything before it, back to a key frame, was there too.
    pub(super) whole: bool,
    /// Only a key frame helps.
    pub(super) key_frame_wanted: bool,
}

impl Person {
    pub(super) fn is_linked(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_connected)
    }

    /// What came by this way is no sign any more.
    pub(super) fn forget(&mut self, way: Way) {
        self.shown.retain(|(of, _)| *of != way);
        self.whole.retain(|(of, _), _| *of != way);
    }

    /// By which way their frames are to be taken: the one that was decided, if it stands.
    pub(super) fn preferred(&self, way: Way, forwarded: bool) -> Way {
        if forwarded && (way == Way::Forwarder || !self.is_linked()) { Way::Forwarder } else { Way::Mesh }
    }

    /// Takes note of a frame that was opened, or did not open.
    pub(super) fn note(
        &mut self,
        (way, slot): (Way, usize),
        frame: &Frame,
        opened: bool,
        key: bool,
        preferred: Way,
    ) -> Noted {
        let video = SLOTS[slot].video;
        let was = self.whole.get(&(way, slot)).is_some_and(|(clock, whole)| *whole && *clock == frame.clock);
        let whole = opened && (!video || key || (was && frame.contiguous));
        self.whole.insert((way, slot), (frame.clock, whole));
        if whole {
            self.shown.insert((way, slot));
        }
        let taken = &mut self.taken[slot];
        if way == preferred && opened && key {
            *taken = way;
        }
        let behind = way == preferred && *taken != way;
        Noted { taken: *taken == way, whole, key_frame_wanted: video && (!whole || behind) }
    }

    /// Looks by which way they are seen, and whether there is one at all.
    pub(super) fn look(&mut self, way: Way, forwarded: bool, online: bool) {
        let all =
            |by| self.sending.slots().all(|slot| self.taken[slot] == by && self.shown.contains(&(by, slot)));
        let by_link = self.is_linked() && all(Way::Mesh);
        let by_forwarder = forwarded && all(Way::Forwarder);
        if by_forwarder && (way == Way::Forwarder || !by_link) {
            self.seen = Way::Forwarder;
        } else if by_link && (way == Way::Mesh || !by_forwarder) {
            self.seen = Way::Mesh;
        }
        // Who is away looks for no way, and who is offline hears of none.
        if self.is_linked() {
            self.looked_in_vain = 0;
        } else if online && !self.away && self.link.as_ref().is_some_and(Link::is_looking) {
            self.looked_in_vain += 1;
        }
        self.pathless |= self.looked_in_vain > PATHLESS;
    }
}

#[cfg(test)]
mod tests {
    use gloaming_room::Codec;
    use str0m::media::{Frequency, MediaTime};

    use super::*;
    use crate::online::room::signal::{CAMERA, MIC};

    fn frame(connection: u64) -> Frame {
        Frame {
            place: 0,
            codec: Codec::Vp9,
            time: MediaTime::new(0, Frequency::NINETY_KHZ),
            clock: Clock { connection, place: 0 },
            contiguous: true,
            bytes: [].into(),
        }
    }

    #[test]
    fn pictures_change_their_way_at_a_key_frame_and_only_then_it_is_said() {
        let mut person =
            Person { sending: Sending { camera: true, ..Sending::default() }, ..Person::default() };
        let note = |person: &mut Person, way, key, preferred| {
            let Noted { taken, whole, key_frame_wanted } =
                person.note((way, CAMERA), &frame(way as u64), true, key, preferred);
            (taken, whole, key_frame_wanted)
        };
        // No decoder can begin with the first one.
        assert_eq!(note(&mut person, Way::Mesh, false, Way::Mesh), (true, false, true));
        assert_eq!(note(&mut person, Way::Mesh, true, Way::Mesh), (true, true, false));
        // Both ways: the old one's are taken until the new one's can be decoded.
        assert_eq!(note(&mut person, Way::Forwarder, false, Way::Forwarder), (false, false, true));
        assert_eq!(note(&mut person, Way::Mesh, false, Way::Forwarder), (true, true, false));
        person.look(Way::Forwarder, true, true);
        assert_eq!(person.seen, Way::Mesh);
        assert_eq!(note(&mut person, Way::Forwarder, true, Way::Forwarder), (true, true, false));
        assert_eq!(note(&mut person, Way::Mesh, false, Way::Forwarder), (false, true, false));
        person.look(Way::Forwarder, true, true);
        assert_eq!(person.seen, Way::Forwarder);
        // Back: what came before the connection was given up says nothing of one that is new.
        person.forget(Way::Mesh);
        assert_eq!(note(&mut person, Way::Mesh, false, Way::Mesh), (false, false, true));
        assert_eq!(note(&mut person, Way::Mesh, true, Way::Mesh), (true, true, false));
    }

    #[test]
    fn pictures_of_another_connection_begin_with_a_key_frame() {
        let mut person = Person::default();
        let whole = |person: &mut Person, connection, key| {
            person.note((Way::Mesh, CAMERA), &frame(connection), true, key, Way::Mesh).whole
        };
        assert!(whole(&mut person, 1, true) && whole(&mut person, 1, false));
        assert!(!whole(&mut person, 2, false));
        assert!(whole(&mut person, 2, true));
    }

    #[test]
    fn sound_needs_no_other_sound() {
        let mut person = Person::default();
        let noted = person.note((Way::Forwarder, MIC), &frame(1), true, true, Way::Forwarder);
        assert_eq!(noted, Noted { taken: true, whole: true, key_frame_wanted: false });
        let lost = person.note((Way::Forwarder, MIC), &frame(1), false, false, Way::Forwarder);
        assert_eq!(lost, Noted { taken: true, whole: false, key_frame_wanted: false });
    }
}
