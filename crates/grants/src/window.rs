/// Which counters of an epoch were seen: the newest, and the 127 before it (RFC 4303 §3.4.3). Requests overtake one
/// another, so that a counter may be late; older than the window, it counts as seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    newest: u64,
    /// Bit `n`: whether `newest - n` was seen.
    seen: u128,
}

impl Window {
    /// Whether this counter is fresh. From now on it is not.
    pub fn accept(&mut self, counter: u64) -> bool {
        if counter > self.newest || self.seen == 0 {
            let ahead = counter - self.newest.min(counter);
            self.seen =
                u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0) | 1;
            self.newest = counter;
            return true;
        }
        let behind = self.newest - counter;
        if behind >= 128 || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_is_good_once() {
        let mut window = Window::default();
        assert!(window.accept(0));
        assert!(!window.accept(0));
        assert!(window.accept(5));
        assert!(window.accept(1));
        assert!(!window.accept(1));
        assert!(window.accept(133));
        assert!(window.accept(6), "127 behind");
        assert!(!window.accept(4), "fresh, but too far behind to know");
        assert!(window.accept(u64::MAX));
        assert!(!window.accept(133));
    }

    proptest! {
        #[test]
        fn no_counter_is_accepted_twice_and_none_in_reach_is_refused(
            counters in proptest::collection::vec(0..400u64, 1..300)
        ) {
            let (mut window, mut seen, mut newest) = (Window::default(), HashSet::new(), 0);
            for counter in counters {
                let reach = seen.is_empty() || counter + 128 > newest;
                prop_assert_eq!(window.accept(counter), reach && seen.insert(counter));
                newest = newest.max(counter);
            }
        }
    }
}
