use std::{collections::HashMap, time::Duration};

use gloaming_ids::{ShareId, UnixMillis};

/// Who asked for nothing in this long is not watching. A player asks every few seconds; one that pauses makes room.
pub(crate) const ACTIVE: Duration = Duration::from_secs(60);

/// Which browsers watch, for each share in the order in which they came.
#[derive(Default)]
pub(crate) struct Presence(HashMap<ShareId, Vec<Present>>);

struct Present {
    browser: [u8; 32],
    seen_at: UnixMillis,
}

impl Presence {
    /// Whether this browser may watch beside the others: there are fewer than `most` that came before it.
    pub(crate) fn enter(
        &mut self,
        share: ShareId,
        browser: [u8; 32],
        most: Option<u32>,
        now: UnixMillis,
    ) -> bool {
        let present = self.0.entry(share).or_default();
        // Who was away comes back as the last.
        present.retain(|one| now.since(one.seen_at) <= ACTIVE);
        let place = present.iter().position(|one| one.browser == browser);
        let before = place.unwrap_or(present.len());
        if most.is_some_and(|most| before >= most as usize) {
            return false;
        }
        match place {
            Some(place) => present[place].seen_at = now,
            None => present.push(Present { browser, seen_at: now }),
        }
        true
    }

    pub(crate) fn leave(&mut self, share: ShareId, browser: [u8; 32]) {
        if let Some(present) = self.0.get_mut(&share) {
            present.retain(|one| one.browser != browser);
        }
    }

    pub(crate) fn watching(&self, share: ShareId, now: UnixMillis) -> u32 {
        let present = self.0.get(&share).map_or(&[][..], Vec::as_slice);
        let active = present.iter().filter(|one| now.since(one.seen_at) <= ACTIVE).count();
        u32::try_from(active).unwrap_or(u32::MAX)
    }

    pub(crate) fn forget(&mut self, share: ShareId) {
        self.0.remove(&share);
    }

    pub(crate) fn forget_idle(&mut self, now: UnixMillis) {
        self.0.retain(|_, present| {
            present.retain(|one| now.since(one.seen_at) <= ACTIVE);
            !present.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: ShareId = ShareId::from_bytes([1; 16]);

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(seconds * 1000)
    }

    #[test]
    fn who_came_first_goes_on_and_the_next_waits_until_somebody_stops() {
        let mut presence = Presence::default();
        assert!(presence.enter(SHARE, [1; 32], Some(1), at(0)));
        assert!(!presence.enter(SHARE, [2; 32], Some(1), at(1)));
        assert!(presence.enter(SHARE, [1; 32], Some(1), at(50)));
        assert!(!presence.enter(SHARE, [2; 32], Some(1), at(110)));
        assert!(presence.enter(SHARE, [2; 32], Some(1), at(111)));
        assert!(!presence.enter(SHARE, [1; 32], Some(1), at(112)), "away for a minute, it lost its place");
        assert_eq!(presence.watching(SHARE, at(112)), 1);
    }

    #[test]
    fn fewer_places_stop_those_who_came_last() {
        let mut presence = Presence::default();
        for browser in 1..=3 {
            assert!(presence.enter(SHARE, [browser; 32], None, at(0)));
        }
        assert!(presence.enter(SHARE, [1; 32], Some(1), at(1)));
        assert!(!presence.enter(SHARE, [2; 32], Some(1), at(1)));
        assert!(!presence.enter(SHARE, [3; 32], Some(1), at(1)));
    }
}
