//! Which pack a fragment goes to.
//!
//! ```text
//! pack = sealed fragment* ‖ random bytes up to a multiple of 64 KiB
//! ```
//!
//! A function of lengths alone, so that an interrupted upload finds every fragment in the pack it was in before.
//! A track's first pack ends with its first segment, so that a player's first request is short; a segment that fits a
//! pack is never split over two.

use serde::{Deserialize, Serialize};

/// Packs are padded to a multiple of this, so that a stored object's size says little.
pub const PADDED_TO: u64 = 64 << 10;

/// Bytes of a pack at most, its padding included: one fragment of the largest sample there may be, or a large pack.
pub const MAX_PACK: u64 = 66 << 20;

/// Names a pack while a movie is sealed; its stored object gets another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackRef {
    /// Position of the track.
    pub track: u16,
    /// Number of the pack in its track, from 0.
    pub pack: u32,
}

/// How many random bytes follow `sealed_len` bytes of fragments.
pub fn padding(sealed_len: u64) -> u64 {
    sealed_len.next_multiple_of(PADDED_TO) - sealed_len
}

/// A pack is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) pack: u32,
    /// Bytes of fragments in it.
    pub(crate) len: u64,
}

/// Lays one track's fragments into packs.
#[derive(Debug)]
pub(crate) struct Layout {
    target: u64,
    pack: u32,
    filled: u64,
    opening: bool,
}

impl Layout {
    /// `target`: where a pack ends. Only a single fragment longer than this makes a longer pack.
    pub(crate) fn new(target: u64) -> Layout {
        Layout { target, pack: 0, filled: 0, opening: true }
    }

    /// Whether a segment of this many sealed bytes fits one pack.
    pub(crate) fn fits(&self, len: u64) -> bool {
        len <= self.target
    }

    /// Makes room for a whole segment, where one pack can hold it.
    pub(crate) fn begin_segment(&mut self, len: u64) -> Option<Full> {
        if self.fits(len) { self.make_room(len) } else { None }
    }

    /// Puts the next fragment: which pack was filled by that, and where it lies.
    pub(crate) fn fragment(&mut self, len: u64) -> (Option<Full>, u32, u64) {
        let full = self.make_room(len);
        let offset = self.filled;
        self.filled += len;
        (full, self.pack, offset)
    }

    /// The segment is over.
    pub(crate) fn end_segment(&mut self) -> Option<Full> {
        if std::mem::take(&mut self.opening) { self.close() } else { None }
    }

    /// The track is over.
    pub(crate) fn finish(&mut self) -> Option<Full> {
        self.close()
    }

    fn make_room(&mut self, len: u64) -> Option<Full> {
        if self.filled + len > self.target { self.close() } else { None }
    }

    fn close(&mut self) -> Option<Full> {
        if self.filled == 0 {
            return None;
        }
        let full = Full { pack: self.pack, len: self.filled };
        self.pack += 1;
        self.filled = 0;
        Some(full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: u64 = 1000;

    /// Lays segments as the sealer does; answers where every fragment went, and the packs' lengths.
    fn lay(segments: &[Vec<u64>]) -> (Vec<(u32, u64, u64)>, Vec<u64>) {
        let (mut layout, mut places, mut packs) = (Layout::new(TARGET), Vec::new(), Vec::new());
        let mut full = |step: Option<Full>| {
            if let Some(Full { pack, len }) = step {
                assert_eq!(pack as usize, packs.len(), "packs are closed in order");
                packs.push(len);
            }
        };
        for segment in segments {
            full(layout.begin_segment(segment.iter().sum()));
            for &len in segment {
                let (closed, pack, offset) = layout.fragment(len);
                full(closed);
                places.push((pack, offset, len));
            }
            full(layout.end_segment());
        }
        full(layout.finish());
        (places, packs)
    }

    fn segments() -> impl Strategy<Value = Vec<Vec<u64>>> {
        prop::collection::vec(prop::collection::vec(29..700u64, 1..5), 1..40)
    }

    proptest! {
        #[test]
        fn packs_hold_every_fragment_once_in_order_and_without_gaps(segments in segments()) {
            let (places, packs) = lay(&segments);
            prop_assert_eq!(places.len(), segments.iter().map(Vec::len).sum::<usize>());
            let mut ends = vec![0; packs.len()];
            for window in places.windows(2) {
                prop_assert!(window[0].0 <= window[1].0);
            }
            for (pack, offset, len) in places {
                prop_assert_eq!(offset, ends[pack as usize]);
                ends[pack as usize] += len;
            }
            prop_assert_eq!(ends, packs);
        }

        #[test]
        fn no_pack_exceeds_its_target_and_no_segment_that_fits_is_split(segments in segments()) {
            let (places, packs) = lay(&segments);
            prop_assert!(packs.iter().all(|&len| len > 0 && len <= TARGET));
            let mut places = places.into_iter();
            for segment in &segments {
                let of_it: Vec<_> = places.by_ref().take(segment.len()).collect();
                if segment.iter().sum::<u64>() <= TARGET {
                    prop_assert!(of_it.iter().all(|place| place.0 == of_it[0].0));
                }
            }
        }

        #[test]
        fn the_first_pack_ends_with_the_first_segment(segments in segments()) {
            let (places, _) = lay(&segments);
            let first = segments[0].len();
            if let Some(next) = places.get(first) {
                prop_assert_eq!(next.1, 0);
                prop_assert!(next.0 > places[first - 1].0);
            }
        }
    }

    #[test]
    fn a_fragment_longer_than_a_pack_is_a_pack_of_its_own() {
        let (places, packs) = lay(&[vec![10], vec![20], vec![3000], vec![20]]);
        assert_eq!(packs, [10, 20, 3000, 20]);
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn padding_ends_on_a_multiple_of_64_kib() {
        assert_eq!(padding(0), 0);
        assert_eq!(padding(1), (64 << 10) - 1);
        assert_eq!(padding(64 << 10), 0);
        assert_eq!(padding((64 << 10) + 1), (64 << 10) - 1);
    }
}
