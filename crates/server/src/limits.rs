use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use gloaming_blobs::Clock;
use gloaming_ids::AccountId;
use governor::{Quota, RateLimiter, middleware::NoOpMiddleware, state::keyed::DashMapStateStore};

use crate::{Limits, Rate, error::ApiError};

/// How often somebody may try (GCRA). In memory: a restart forgives.
pub(crate) struct Limiters {
    sign_in: Limiter<(String, IpAddr)>,
    sign_in_name: Limiter<String>,
    sign_in_address: Limiter<IpAddr>,
    recovery: Limiter<String>,
    registration: Limiter<IpAddr>,
    account: Limiter<AccountId>,
    playback: Limiter<IpAddr>,
    room: Limiter<IpAddr>,
}

impl Limiters {
    pub(crate) fn new(limits: &Limits, clock: &Clock) -> Self {
        Self {
            sign_in: Limiter::new(limits.sign_in, clock),
            sign_in_name: Limiter::new(limits.sign_in_name, clock),
            sign_in_address: Limiter::new(limits.sign_in_address, clock),
            recovery: Limiter::new(limits.recovery, clock),
            registration: Limiter::new(limits.registration, clock),
            account: Limiter::new(limits.account, clock),
            playback: Limiter::new(limits.playback, clock),
            room: Limiter::new(limits.room, clock),
        }
    }

    pub(crate) fn sign_in(&self, name: &str, network: IpAddr) -> Result<(), ApiError> {
        self.sign_in_address.check(network)?;
        self.sign_in.check((name.to_owned(), network))?;
        self.sign_in_name.check(name.to_owned())
    }

    pub(crate) fn recovery(&self, name: &str, network: IpAddr) -> Result<(), ApiError> {
        self.sign_in_address.check(network)?;
        self.recovery.check(name.to_owned())
    }

    pub(crate) fn registration(&self, network: IpAddr) -> Result<(), ApiError> {
        self.registration.check(network)
    }

    pub(crate) fn account(&self, account: AccountId) -> Result<(), ApiError> {
        self.account.check(account)
    }

    pub(crate) fn playback(&self, network: IpAddr) -> Result<(), ApiError> {
        self.playback.check(network)
    }

    pub(crate) fn room(&self, network: IpAddr) -> Result<(), ApiError> {
        self.room.check(network)
    }

    /// Forgets whoever has not tried for long enough to have all tries again.
    pub(crate) fn forget_idle(&self) {
        self.sign_in.0.retain_recent();
        self.sign_in_name.0.retain_recent();
        self.sign_in_address.0.retain_recent();
        self.recovery.0.retain_recent();
        self.registration.0.retain_recent();
        self.account.0.retain_recent();
        self.playback.0.retain_recent();
        self.room.0.retain_recent();
    }
}

struct Limiter<K: Hash + Eq + Clone>(
    RateLimiter<K, DashMapStateStore<K>, SinceEpoch, NoOpMiddleware<Duration>>,
);

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Rate, clock: &Clock) -> Self {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(rate.every.max(Duration::from_nanos(1)))
            .expect("a period above zero")
            .allow_burst(burst);
        Self(RateLimiter::new(quota, DashMapStateStore::default(), SinceEpoch(clock.clone())))
    }

    fn check(&self, key: K) -> Result<(), ApiError> {
        use governor::clock::Clock as _;
        self.0.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.0.clock().now());
            ApiError::slow_down(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        })
    }
}

/// Our clock, as governor reads it.
#[derive(Clone)]
struct SinceEpoch(Clock);

impl governor::clock::Clock for SinceEpoch {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis((self.0)().0)
    }
}
