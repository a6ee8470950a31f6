use gloaming_ids::UnixMillis;

/// How fast a bucket fills, and how much it holds, in milliseconds of playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When full.
    pub(crate) burst_ms: u64,
    /// Milliseconds of playing for each of the clock, in tenths.
    pub(crate) speed_tenths: u64,
}

impl Pace {
    fn capacity(self) -> u64 {
        self.burst_ms.saturating_mul(10)
    }

    /// What one thing takes. More than the bucket ever holds could never be had: it takes all.
    fn cost(self, cost_ms: u64) -> u64 {
        cost_ms.saturating_mul(10).clamp(1, self.capacity().max(1))
    }
}

/// A token bucket of playing time, in tenths of milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    level: u64,
    at: UnixMillis,
}

impl Bucket {
    pub(crate) fn full(pace: Pace, now: UnixMillis) -> Self {
        Self { level: pace.capacity(), at: now }
    }

    fn refill(&mut self, pace: Pace, now: UnixMillis) {
        let elapsed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = elapsed.saturating_mul(pace.speed_tenths);
        self.level = self.level.saturating_add(more).min(pace.capacity());
        // A clock that jumped back gives nothing twice, and stops nobody for longer than the jump's correction.
        self.at = now;
    }

    /// Takes up to `count` times `cost_ms`: how many it had for, and in how many milliseconds it has one more.
    pub(crate) fn take(&mut self, pace: Pace, cost_ms: u64, count: u32, now: UnixMillis) -> (u32, u64) {
        self.refill(pace, now);
        let cost = pace.cost(cost_ms);
        let taken = u32::try_from(self.level / cost).unwrap_or(u32::MAX).min(count);
        self.level -= u64::from(taken) * cost;
        (taken, self.wait(pace, cost))
    }

    /// In how many milliseconds it has `cost_ms`; 0 if now.
    pub(crate) fn wait_for(&mut self, pace: Pace, cost_ms: u64, now: UnixMillis) -> u64 {
        self.refill(pace, now);
        self.wait(pace, pace.cost(cost_ms))
    }

    fn wait(&self, pace: Pace, cost: u64) -> u64 {
        cost.saturating_sub(self.level).div_ceil(pace.speed_tenths.max(1))
    }

    /// Puts back what was taken and not used.
    pub(crate) fn give_back(&mut self, pace: Pace, cost_ms: u64, count: u32) {
        let back = pace.cost(cost_ms).saturating_mul(u64::from(count));
        self.level = self.level.saturating_add(back).min(pace.capacity());
    }

    /// Whether it is as good as a new one.
    pub(crate) fn is_full(mut self, pace: Pace, now: UnixMillis) -> bool {
        self.refill(pace, now);
        self.level >= pace.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace = Pace { burst_ms: 120_000, speed_tenths: 40 };

    #[test]
    fn a_full_bucket_has_its_burst_and_then_four_times_real_time() {
        let start = UnixMillis(1_000);
        let mut bucket = Bucket::full(PACE, start);
        assert_eq!(bucket.take(PACE, 4_000, 64, start), (30, 1_000));
        assert_eq!(bucket.take(PACE, 4_000, 64, UnixMillis(1_999)), (0, 1));
        assert_eq!(bucket.take(PACE, 4_000, 64, UnixMillis(2_000)), (1, 1_000));
        bucket.give_back(PACE, 4_000, 1);
        assert_eq!(bucket.take(PACE, 4_000, 64, UnixMillis(2_000)), (1, 1_000));
        assert!(!bucket.is_full(PACE, UnixMillis(31_999)));
        assert!(bucket.is_full(PACE, UnixMillis(32_000)));
    }

    #[test]
    fn one_that_costs_more_than_the_bucket_holds_takes_all_of_it() {
        let mut bucket = Bucket::full(PACE, UnixMillis(0));
        assert_eq!(bucket.take(PACE, 1_000_000, 2, UnixMillis(0)), (1, 30_000));
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_is_taken_than_the_burst_and_what_flowed_in(
            steps in proptest::collection::vec((0..20_000u64, 1..10_000u64, 0..64u32), 1..100)
        ) {
            let (mut now, mut taken_ms) = (UnixMillis(0), 0);
            let mut bucket = Bucket::full(PACE, now);
            for (wait, cost, count) in steps {
                now.0 += wait;
                let (taken, _) = bucket.take(PACE, cost, count, now);
                taken_ms += u64::from(taken) * cost;
                prop_assert!(taken_ms <= PACE.burst_ms + now.0 * 4);
            }
        }
    }
}
