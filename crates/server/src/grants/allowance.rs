//! How fast segments may be had: buckets of playing time, for whomever a kind of share counts.

use std::{collections::HashMap, net::IpAddr};

use gloaming_api::share::ShareKind;
use gloaming_ids::{ShareId, UnixMillis, VideoId};

use super::{Asked, Bucket, Pace, Session};

/// Times what one browser may have, for all of an audience behind one address: a class of sixty that watches together.
const ROOM: u64 = 16;

/// Whose playing time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// The account's that a loan is for, wherever it watches.
    Account,
    /// Everybody's at an address (IPv6: /64), where a link has one holder.
    Household(IpAddr),
    /// One browser's of an audience. It can call itself another, so [`Whose::Room`] holds too.
    Browser([u8; 32]),
    /// Everybody's at an address, where a link is for many.
    Room(IpAddr),
}

impl Whose {
    fn pace(self, one: Pace) -> Pace {
        match self {
            Self::Account | Self::Household(_) | Self::Browser(_) => one,
            Self::Room(_) => Pace {
                burst_ms: one.burst_ms.saturating_mul(ROOM),
                speed_tenths: one.speed_tenths.saturating_mul(ROOM),
            },
        }
    }
}

/// What a request counts against.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    of: (ShareId, VideoId),
    whose: [Option<Whose>; 2],
    /// What one viewer may have.
    pace: Pace,
    /// What one segment costs, in milliseconds of playing.
    cost_ms: u64,
}

impl Claim {
    pub(crate) fn new(session: &Session, asked: &Asked, pace: Pace, cost_ms: u64) -> Self {
        let network = asked.client.network();
        let whose = match session.kind {
            ShareKind::Given | ShareKind::Lent => [Some(Whose::Account), None],
            ShareKind::Link => [Some(Whose::Household(network)), None],
            ShareKind::Audience | ShareKind::Open => {
                [Some(Whose::Browser(session.browser)), Some(Whose::Room(network))]
            }
        };
        Self { of: (session.purpose.share, session.purpose.video), whose, pace, cost_ms }
    }
}

/// The buckets of everybody who watched lately.
#[derive(Default)]
pub(crate) struct Allowances(HashMap<(ShareId, VideoId, Whose), Bucket>);

impl Allowances {
    /// Takes `count` segments: how many there is time for, and in how many milliseconds there is for more.
    pub(crate) fn take(&mut self, claim: &Claim, count: u32, now: UnixMillis) -> (u32, u64) {
        let (mut left, mut wait) = (count, 0);
        for (nth, whose) in claim.whose.into_iter().flatten().enumerate() {
            let pace = whose.pace(claim.pace);
            let key = (claim.of.0, claim.of.1, whose);
            let bucket = self.0.entry(key).or_insert_with(|| Bucket::full(pace, now));
            let (taken, more) = bucket.take(pace, claim.cost_ms, left, now);
            wait = wait.max(more);
            self.put_back(claim, left - taken, nth);
            left = taken;
        }
        (left, wait)
    }

    /// Puts back what was taken and not granted.
    pub(crate) fn give_back(&mut self, claim: &Claim, count: u32) {
        self.put_back(claim, count, claim.whose.len());
    }

    /// Into the first so many of them.
    fn put_back(&mut self, claim: &Claim, count: u32, into: usize) {
        for whose in claim.whose.into_iter().flatten().take(into) {
            if let Some(bucket) = self.0.get_mut(&(claim.of.0, claim.of.1, whose)) {
                bucket.give_back(whose.pace(claim.pace), claim.cost_ms, count);
            }
        }
    }

    /// Forgets those that are as good as new even at this pace.
    pub(crate) fn forget_full(&mut self, slowest: Pace, now: UnixMillis) {
        self.0.retain(|(_, _, whose), bucket| !bucket.is_full(whose.pace(slowest), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { burst_ms: 120_000, speed_tenths: 40 };
    const NOW: UnixMillis = UnixMillis(0);

    fn claim(browser: u8) -> Claim {
        let address = IpAddr::from([192, 0, 2, 1]);
        Claim {
            of: (ShareId::from_bytes([1; 16]), VideoId::from_bytes([2; 16])),
            whose: [Some(Whose::Browser([browser; 32])), Some(Whose::Room(address))],
            pace: PACE,
            cost_ms: 4_000,
        }
    }

    #[test]
    fn a_class_behind_one_address_watches_and_a_crowd_of_browsers_takes_no_more_than_a_class() {
        let mut all = Allowances::default();
        for student in 0..60 {
            assert_eq!(all.take(&claim(student), 4, NOW).0, 4, "sixteen seconds ahead");
        }
        // One second of the clock later: one segment for each, four for whoever hurries.
        let later = UnixMillis(1_000);
        assert_eq!(all.take(&claim(0), 64, later).0, 27);
        let mut crowd = 0;
        for browser in 100..250 {
            crowd += all.take(&claim(browser), 64, later).0;
        }
        assert_eq!(crowd, 16 * 30 + 16 - 60 * 4 - 27, "what the room has left");
    }

    #[test]
    fn what_the_room_has_not_got_the_browser_keeps() {
        let mut all = Allowances::default();
        for browser in 1..=16 {
            assert_eq!(all.take(&claim(browser), 30, NOW).0, 30);
        }
        let (taken, wait) = all.take(&claim(17), 30, NOW);
        assert_eq!(taken, 0);
        assert!(wait > 0);
        let later = UnixMillis(600_000);
        assert_eq!(all.take(&claim(17), 30, later).0, 30);
        all.give_back(&claim(17), 30);
        assert_eq!(all.take(&claim(17), 30, later).0, 30);
    }
}
