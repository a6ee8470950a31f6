//! Which segments' keys a viewer holds, and for how long.
//!
//! Keys come in batches, so that playing on waits for none: a few seconds' worth after a jump, and up to [`AHEAD`] once
//! playing goes on in order. A key goes when its segment was opened, [`HELD_FOR`] after it was last needed, or when the
//! server said it should, whichever is first.

use std::{collections::HashMap, time::Duration};

use gloaming_keys::SegmentKey;

/// How much of a track is asked for at once, by its time.
const AHEAD: Duration = Duration::from_secs(16);
/// Segments asked for at once at most.
const BATCH: u32 = 8;
/// Segments asked for at once after a jump: whoever scrubs pays for what they skip.
const FIRST: u32 = 2;
/// With fewer keys than this ahead, the next are asked for. No sooner: the server wants keys used within seconds.
const LOW: u32 = 1;
/// A key is kept for so long after it was used.
const HELD_FOR: Duration = Duration::from_secs(16);

/// Keys by track and number.
#[derive(Debug, Default)]
pub(super) struct Held {
    keys: HashMap<(u16, u32), Key>,
    tracks: HashMap<u16, Track>,
}

#[derive(Debug)]
struct Key {
    key: SegmentKey,
    until: Duration,
}

/// How a track is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Where the last batch ended.
    next: u32,
    /// How many were in it.
    size: u32,
}

impl Held {
    /// The key of a segment, if it is here.
    pub(super) fn get(&mut self, track: u16, segment: u32, now: Duration) -> Option<SegmentKey> {
        let held = self.keys.get_mut(&(track, segment))?;
        held.until = held.until.min(now + HELD_FOR);
        Some(SegmentKey::from_bytes(*held.key.expose()))
    }

    pub(super) fn put(&mut self, track: u16, segment: u32, key: SegmentKey, until: Duration) {
        self.keys.insert((track, segment), Key { key, until });
    }

    /// Its segment was opened.
    pub(super) fn remove(&mut self, track: u16, segment: u32) {
        self.keys.remove(&(track, segment));
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    /// Forgets what is held for too long.
    pub(super) fn tidy(&mut self, now: Duration) {
        self.keys.retain(|_, held| now < held.until);
    }

    /// How many segments to ask for from `segment` on, of a track of `count` that last `lasts` each.
    pub(super) fn batch(&mut self, track: u16, segment: u32, count: u32, lasts: Duration) -> u32 {
        let how = self.tracks.entry(track).or_default();
        let most = (AHEAD.as_millis() / lasts.as_millis().max(1)).clamp(1, u128::from(BATCH)) as u32;
        let goes_on = how.size > 0 && how.next == segment;
        let mut size = if goes_on { (how.size * 2).min(most) } else { FIRST.min(most) };
        size = size.min(count.saturating_sub(segment)).max(1);
        // Not again what is here.
        let fresh = (1..size).find(|n| self.keys.contains_key(&(track, segment + n)));
        let size = fresh.unwrap_or(size);
        *how = Track { next: segment + size, size };
        size
    }

    /// Fewer came than were asked for.
    pub(super) fn came(&mut self, track: u16, next: u32) {
        if let Some(how) = self.tracks.get_mut(&track) {
            how.next = next;
        }
    }

    /// From where on to ask ahead, now that `segment` is being played; nothing while there is enough.
    pub(super) fn wanting(&self, track: u16, segment: u32, count: u32, lasts: Duration) -> Option<u32> {
        // Of long segments the key would be too old when the turn of its segment comes.
        if lasts > AHEAD {
            return None;
        }
        let first = (segment + 1..count).find(|n| !self.keys.contains_key(&(track, *n)))?;
        (first - segment <= LOW).then_some(first)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Duration = Duration::from_secs(4);

    fn key() -> SegmentKey {
        SegmentKey::from_bytes([1; 32])
    }

    /// Plays from `from` to the end; the batches that were asked for.
    fn play(held: &mut Held, from: u32, count: u32, lasts: Duration) -> Vec<(u32, u32)> {
        let (mut asked, far) = (Vec::new(), Duration::from_secs(9999));
        for segment in from..count {
            let mut ask = |held: &mut Held, first: u32| {
                let size = held.batch(0, first, count, lasts);
                asked.push((first, size));
                (first..first + size).for_each(|n| held.put(0, n, key(), far));
            };
            if held.get(0, segment, FOUR).is_none() {
                ask(held, segment);
            }
            if let Some(first) = held.wanting(0, segment, count, lasts) {
                ask(held, first);
            }
            held.remove(0, segment);
        }
        asked
    }

    #[test]
    fn playing_in_order_asks_for_every_segment_once_and_ever_more_at_a_time() {
        let mut held = Held::default();
        assert_eq!(play(&mut held, 0, 15, FOUR), [(0, 2), (2, 4), (6, 4), (10, 4), (14, 1)]);
        assert_eq!(held.len(), 0);
        assert_eq!(play(&mut Held::default(), 0, 9, Duration::from_secs(1)), [(0, 2), (2, 4), (6, 3)]);
        assert_eq!(play(&mut Held::default(), 0, 1, FOUR), [(0, 1)]);
        assert_eq!(play(&mut Held::default(), 0, 3, Duration::from_secs(60)), [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn a_jump_asks_for_little_and_never_for_what_is_here() {
        let mut held = Held::default();
        play(&mut held, 0, 8, FOUR);
        assert_eq!(held.batch(0, 50, 100, FOUR), 2);
        held.put(0, 71, key(), FOUR);
        assert_eq!(held.batch(0, 70, 100, FOUR), 1);
    }

    #[test]
    fn a_key_goes_sixteen_seconds_after_its_use_and_when_the_server_said() {
        let mut held = Held::default();
        let at = Duration::from_secs;
        held.put(0, 1, key(), at(60));
        held.put(0, 2, key(), at(60));
        held.put(0, 3, key(), at(5));
        assert!(held.get(0, 1, at(1)).is_some());
        held.tidy(at(10));
        assert_eq!(held.len(), 2, "what the server wanted forgotten is");
        held.tidy(at(17));
        assert!(held.get(0, 1, at(17)).is_none());
        assert!(held.get(0, 2, at(17)).is_some(), "not used yet");
        held.tidy(at(60));
        assert_eq!(held.len(), 0);
    }
}
