//! When to lock by itself: after so many minutes in which nobody touched any page of this origin.

use gloaming_client::{Platform, platform::Shelf};
use gloaming_ids::UnixMillis;
use serde::{Deserialize, Serialize};

const NOTE: &str = "idle";
/// Until somebody chooses otherwise.
pub(crate) const DEFAULT_MINUTES: u32 = 30;
/// Activity is written down at most so often.
const STEP_MS: u64 = 30_000;

/// What all pages of this origin know together. No secret: it says when, not who or what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// 0 is never.
    pub(crate) minutes: u32,
    pub(crate) active_at: UnixMillis,
}

impl Idle {
    pub(crate) fn is_over(self, now: UnixMillis) -> bool {
        // A clock that was set back counts as no time at all; `since` says zero.
        self.minutes > 0 && now.since(self.active_at).as_secs() >= u64::from(self.minutes) * 60
    }

    /// Nothing kept is nobody ever here: a fresh start.
    pub(crate) async fn load(platform: &impl Platform) -> Self {
        let note = platform.load(Shelf::Notes, NOTE).await;
        note.and_then(|note| serde_json::from_slice(&note).ok())
            .unwrap_or(Self { minutes: DEFAULT_MINUTES, active_at: platform.now() })
    }

    async fn save(self, platform: &impl Platform) {
        let note = serde_json::to_vec(&self).expect("two numbers serialise");
        // Where it cannot be kept, a reload asks for the password: the safe side.
        let _ = platform.save(Shelf::Notes, NOTE, &note).await;
    }

    /// Somebody is there.
    pub(crate) async fn touch(platform: &impl Platform, force: bool) {
        let now = platform.now();
        let idle = Self::load(platform).await;
        if force || now.0.abs_diff(idle.active_at.0) >= STEP_MS {
            Self { active_at: now, ..idle }.save(platform).await;
        }
    }

    pub(crate) async fn set_minutes(platform: &impl Platform, minutes: u32) {
        Self { minutes, active_at: platform.now() }.save(platform).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_after_the_minutes_and_not_before_and_never_for_zero() {
        let idle = Idle { minutes: 5, active_at: UnixMillis(1_000_000) };
        assert!(!idle.is_over(UnixMillis(1_299_999)));
        assert!(idle.is_over(UnixMillis(1_300_000)));
        assert!(!idle.is_over(UnixMillis(0)), "a clock set back");
        assert!(!Idle { minutes: 0, ..idle }.is_over(UnixMillis(u64::MAX)));
    }
}
