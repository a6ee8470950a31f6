use std::sync::{Arc, Mutex, MutexGuard};

use gloaming_api::share::ShareKind;
use gloaming_grants::{
    Window,
    chain::{Epochs, epoch_at},
    exchange::Purpose,
};
use gloaming_ids::{PlaybackId, UnixMillis};

use super::{Bucket, Hot, lock, presence::ACTIVE};

/// One viewer's playback of one video, while it lasts.
pub(crate) struct Session {
    pub(crate) purpose: Purpose,
    pub(crate) kind: ShareKind,
    /// SHA-256 of the browser's cookie.
    pub(crate) browser: [u8; 32],
    /// Whether it is in a frame on another site.
    pub(crate) embedded: bool,
    /// The playback that the store counts: an earlier session of the same browser may have begun it.
    pub(crate) play: PlaybackId,
    pub(crate) started_at: UnixMillis,
    state: Mutex<State>,
}

/// What changes while it lasts.
pub(crate) struct State {
    pub(crate) epochs: Epochs,
    /// Counters seen, of the newest epoch that asked and the one before.
    newest: (u64, Window),
    before: Option<(u64, Window)>,
    pub(crate) expires_at: UnixMillis,
    pub(crate) seen_at: UnixMillis,
    pub(crate) requests: Bucket,
    /// Gone once the share is revoked.
    hot: Option<Arc<Hot>>,
}

/// What a session begins with.
pub(crate) struct NewSession {
    pub(crate) purpose: Purpose,
    pub(crate) kind: ShareKind,
    pub(crate) browser: [u8; 32],
    pub(crate) embedded: bool,
    pub(crate) play: PlaybackId,
    pub(crate) epochs: Epochs,
    pub(crate) hot: Arc<Hot>,
    pub(crate) requests: Bucket,
    pub(crate) started_at: UnixMillis,
    pub(crate) expires_at: UnixMillis,
}

impl State {
    /// Whether this counter was not seen in this epoch. From now on it was.
    pub(crate) fn accept(&mut self, epoch: u64, counter: u64) -> bool {
        if epoch > self.newest.0 {
            self.before = Some(std::mem::replace(&mut self.newest, (epoch, Window::default())));
        }
        if epoch == self.newest.0 {
            return self.newest.1.accept(counter);
        }
        // Only two epochs' proofs are looked at: one that is neither is the one before, seen for the first time.
        match &mut self.before {
            Some((of, window)) if *of == epoch => window.accept(counter),
            Some((of, _)) if *of > epoch => false,
            before => before.insert((epoch, Window::default())).1.accept(counter),
        }
    }

    pub(crate) fn hot(&self) -> Option<Arc<Hot>> {
        self.hot.clone()
    }
}

impl Session {
    pub(crate) fn new(new: NewSession) -> Self {
        let state = State {
            epochs: new.epochs,
            newest: (0, Window::default()),
            before: None,
            expires_at: new.expires_at,
            seen_at: new.started_at,
            requests: new.requests,
            hot: Some(new.hot),
        };
        Self {
            purpose: new.purpose,
            kind: new.kind,
            browser: new.browser,
            embedded: new.embedded,
            play: new.play,
            started_at: new.started_at,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Steps to the epoch of `now`; whether the session goes on.
    pub(crate) fn step(&self, now: UnixMillis) -> bool {
        let mut state = self.state();
        state.epochs.advance(epoch_at(self.started_at, now));
        now < state.expires_at
    }

    pub(crate) fn is_active(&self, now: UnixMillis) -> bool {
        let state = self.state();
        now < state.expires_at && now.since(state.seen_at) <= ACTIVE
    }

    pub(crate) fn forget_keys(&self) {
        self.state().hot = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use gloaming_grants::exchange::{Offer, answer};
    use gloaming_ids::{ShareId, VideoId};

    use super::*;
    use crate::{data_dir::entropy, grants::Pace};

    fn session() -> Session {
        let purpose = Purpose {
            playback: PlaybackId::from_bytes([1; 16]),
            video: VideoId::from_bytes([2; 16]),
            share: ShareId::from_bytes([3; 16]),
        };
        let offer = Offer::new(&mut entropy);
        let (_, epochs) = answer(&purpose, offer.public_key(), &mut entropy).unwrap();
        let start = UnixMillis(0);
        let grant = gloaming_grants::GrantShare::from_bytes([4; 32]);
        Session::new(NewSession {
            purpose,
            kind: ShareKind::Link,
            browser: [5; 32],
            embedded: false,
            play: purpose.playback,
            epochs,
            hot: Arc::new(Hot { grant, tracks: Default::default() }),
            requests: Bucket::full(Pace { burst_ms: 1, speed_tenths: 10 }, start),
            started_at: start,
            expires_at: UnixMillis(60_000),
        })
    }

    #[test]
    fn a_counter_is_good_once_in_each_of_two_epochs() {
        let session = session();
        let mut state = session.state();
        assert!(state.accept(0, 7) && !state.accept(0, 7));
        assert!(state.accept(1, 7) && !state.accept(1, 7));
        assert!(!state.accept(0, 7), "the epoch before is remembered");
        assert!(state.accept(3, 7) && !state.accept(3, 7));
        assert!(state.accept(2, 7) && !state.accept(2, 7), "late, and for the first time");
        assert!(!state.accept(1, 8));
    }

    #[test]
    fn an_idle_session_forgets_old_keys_and_then_ends() {
        let session = session();
        assert!(session.step(UnixMillis(40_000)));
        let state = session.state();
        assert_eq!(state.epochs.epoch(), 2);
        assert!(state.epochs.keys(0).is_none());
        drop(state);
        assert!(!session.step(UnixMillis(60_000)));
    }

    #[test]
    fn a_session_takes_little_memory() {
        assert!(size_of::<Session>() < 1500, "{}", size_of::<Session>());
    }
}
