//! Who may watch, one segment at a time.
//!
//! ```text
//! POST /v1/session ─ terms, token or account ─ store: a playback begins or goes on ─ exchange ─► session, in memory
//! every other route ─► authorise(): cookie, session, epoch, proof, counter, browsers at once, limits ─► store ─► answer
//! ```
//!
//! * [`authorise`] is the one place that decides. What it hands out, the store has checked in the same transaction that
//!   wrote it down, or on the newest snapshot where nothing is written.
//! * Sessions live in memory only. A restart forgets them, and viewers exchange anew; the store knows the playback
//!   again by the browser's cookie.
//! * Keys of past epochs are forgotten each epoch, in idle sessions too ([`Playbacks::sweep`]).

mod allowance;
mod browser;
mod log_key;
mod pace;
mod presence;
mod request;
mod session;
mod wish;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use gloaming_api::{
    ErrorCode,
    share::{Policy, SharedTrack},
};
use gloaming_grants::{GrantShare, chain::epoch_at};
use gloaming_ids::{PlaybackId, ShareId, TrackId, UnixMillis, VideoId};
use serde_json::json;

pub(crate) use allowance::{Allowances, Claim};
pub(crate) use browser::{Browser, cookie as playback_cookie, place};
pub(crate) use log_key::LogKey;
pub(crate) use pace::{Bucket, Pace};
pub(crate) use request::Asked;
pub(crate) use session::{NewSession, Session};
pub(crate) use wish::{GoOn, Objects, Report, Segments, Wish};

use self::presence::Presence;
use crate::{app::App, error::ApiError, kms};

/// Sessions in memory at most.
const MOST_SESSIONS: usize = 100_000;
/// Wrong tokens from one network to one share at once, and then one in [`WRONG_EVERY_MS`].
const WRONG_TOKENS: u64 = 10;
const WRONG_EVERY_MS: u64 = 15_000;

/// What a playback of one video under one share is served from.
pub(crate) struct Hot {
    pub(crate) grant: GrantShare,
    pub(crate) tracks: HashMap<TrackId, SharedTrack>,
}

/// Everybody who watches now.
#[derive(Default)]
pub(crate) struct Playbacks {
    sessions: Mutex<HashMap<PlaybackId, Arc<Session>>>,
    /// Unsealed while somebody watches, and wiped with the last one.
    hot: Mutex<HashMap<(ShareId, VideoId), Weak<Hot>>>,
    /// What the shares that are being watched allow, as it was read last. The store decides; this is for limits.
    policies: Mutex<HashMap<ShareId, Policy>>,
    presence: Mutex<Presence>,
    allowances: Mutex<Allowances>,
    wrong_tokens: Mutex<HashMap<(ShareId, IpAddr), Bucket>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Playbacks {
    /// Lets a session in.
    pub(crate) fn admit(&self, session: Session, policy: Policy) -> Result<(), ApiError> {
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= MOST_SESSIONS {
            return Err(ApiError::unavailable());
        }
        lock(&self.policies).insert(session.purpose.share, policy);
        sessions.insert(session.purpose.playback, Arc::new(session));
        metrics::gauge!("gloaming_playbacks").set(sessions.len() as f64);
        Ok(())
    }

    fn find(&self, playback: PlaybackId) -> Option<Arc<Session>> {
        lock(&self.sessions).get(&playback).cloned()
    }

    pub(crate) fn end(&self, playback: PlaybackId) {
        lock(&self.sessions).remove(&playback);
    }

    /// Keys and tracks of a shared video, unsealed if nobody else watches it.
    pub(crate) async fn hot(
        &self,
        app: &App,
        account: gloaming_ids::AccountId,
        share: ShareId,
        video: VideoId,
    ) -> Result<Arc<Hot>, ApiError> {
        if let Some(hot) = lock(&self.hot).get(&(share, video)).and_then(Weak::upgrade) {
            return Ok(hot);
        }
        let keys = app.store.shared_keys(share, video).await?;
        let bound = kms::Bound { role: "grant", account, video, share };
        let envelope = &keys.envelope;
        let secret = kms::open(app.kms.as_ref(), &envelope.key_id, &envelope.grant_share, &bound)
            .await
            .map_err(ApiError::internal)?;
        let hot = Arc::new(Hot { grant: GrantShare::from_bytes(*secret), tracks: keys.tracks });
        lock(&self.hot).insert((share, video), Arc::downgrade(&hot));
        Ok(hot)
    }

    pub(crate) fn policy(&self, share: ShareId) -> Policy {
        lock(&self.policies).get(&share).cloned().unwrap_or_default()
    }

    /// A share allows this now.
    pub(crate) fn set_policy(&self, share: ShareId, policy: &Policy) {
        if let Some(known) = lock(&self.policies).get_mut(&share)
            && known != policy
        {
            known.clone_from(policy);
        }
    }

    /// A share was revoked: forgets its keys. Its sessions stay until they end, so that they can be told why.
    pub(crate) fn forget_share(&self, share: ShareId) {
        let sessions: Vec<_> =
            lock(&self.sessions).values().filter(|s| s.purpose.share == share).cloned().collect();
        for session in sessions {
            session.forget_keys();
        }
        lock(&self.hot).retain(|&(of, _), _| of != share);
        lock(&self.presence).forget(share);
    }

    /// Whether another browser may watch, or this one go on.
    pub(crate) fn enter(
        &self,
        share: ShareId,
        browser: [u8; 32],
        policy: &Policy,
        now: UnixMillis,
    ) -> Result<(), ApiError> {
        if lock(&self.presence).enter(share, browser, policy.max_at_once, now) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::TooManyAtOnce,
            "As many as may are watching this now. Stop it on another device, or try again in a minute.",
        ))
    }

    /// A browser does not watch after all.
    pub(crate) fn leave(&self, share: ShareId, browser: [u8; 32]) {
        lock(&self.presence).leave(share, browser);
    }

    /// Browsers that watch a share now.
    pub(crate) fn watching(&self, share: ShareId, now: UnixMillis) -> u32 {
        lock(&self.presence).watching(share, now)
    }

    /// Playbacks of a video under way now, as the store names them.
    pub(crate) fn live_plays(&self, video: VideoId, now: UnixMillis) -> HashSet<PlaybackId> {
        let sessions = lock(&self.sessions);
        let live = sessions.values().filter(|s| s.purpose.video == video && s.is_active(now));
        live.map(|session| session.play).collect()
    }

    /// Takes segments out of what a viewer may have: how many, and in how many milliseconds there are more.
    fn take(&self, claim: &Claim, count: u32, now: UnixMillis) -> (u32, u64) {
        lock(&self.allowances).take(claim, count, now)
    }

    fn give_back(&self, claim: &Claim, count: u32) {
        lock(&self.allowances).give_back(claim, count);
    }

    /// Whether this network may try a token on this share.
    pub(crate) fn may_try(&self, share: ShareId, network: IpAddr, now: UnixMillis) -> Result<(), ApiError> {
        let mut wrong = lock(&self.wrong_tokens);
        match wrong.get_mut(&(share, network)).map_or(0, |bucket| bucket.wait_for(TRIES, TRY, now)) {
            0 => Ok(()),
            wait => Err(ApiError::slow_down(wait.div_ceil(1000))),
        }
    }

    /// A token was wrong.
    pub(crate) fn tried_in_vain(&self, share: ShareId, network: IpAddr, now: UnixMillis) {
        let mut wrong = lock(&self.wrong_tokens);
        if wrong.len() < MOST_SESSIONS {
            wrong
                .entry((share, network))
                .or_insert_with(|| Bucket::full(TRIES, now))
                .take(TRIES, TRY, 1, now);
        }
    }

    /// Steps every session to its epoch, so that none keeps old keys, and ends those whose time is over.
    pub(crate) fn sweep(&self, app: &App, now: UnixMillis) {
        let mut sessions = lock(&self.sessions);
        sessions.retain(|_, session| session.step(now));
        metrics::gauge!("gloaming_playbacks").set(sessions.len() as f64);
        let watched: HashSet<ShareId> = sessions.values().map(|session| session.purpose.share).collect();
        // While nobody new is let in, whose policy would go as well.
        lock(&self.policies).retain(|share, _| watched.contains(share));
        drop(sessions);
        lock(&self.hot).retain(|_, hot| hot.strong_count() > 0);
        lock(&self.presence).forget_idle(now);
        let slowest = Pace { burst_ms: app.config.playback.burst_ms(), speed_tenths: SLOWEST_TENTHS };
        lock(&self.allowances).forget_full(slowest, now);
        lock(&self.wrong_tokens).retain(|_, bucket| !bucket.is_full(TRIES, now));
    }
}

/// Real time: no policy is slower.
pub(crate) const SLOWEST_TENTHS: u64 = 10;
/// A wrong token costs what refills in [`WRONG_EVERY_MS`].
const TRY: u64 = WRONG_EVERY_MS;
const TRIES: Pace = Pace { burst_ms: WRONG_TOKENS * WRONG_EVERY_MS, speed_tenths: 10 };

/// Decides: who asks, whether they may, and whether the share still gives what they wish for. Nothing about a playback
/// is given out past this.
pub(crate) async fn authorise<W: Wish>(app: &App, asked: &Asked, wish: W) -> Result<W::Leave, ApiError> {
    let now = app.now();
    let session = prove(app, asked, now).inspect_err(|refused| {
        metrics::counter!("gloaming_playback_refusals_total", "code" => refused.code().as_str()).increment(1);
    })?;
    let share = session.purpose.share;
    if wish.video().is_some_and(|video| video != session.purpose.video) {
        return Err(ApiError::not_found());
    }
    let decided = match app.playbacks.enter(share, session.browser, &app.playbacks.policy(share), now) {
        // What the store says of the share comes first: "revoked" says more than "too many".
        Err(full) => {
            Err(app.store.check_share(share, session.purpose.video, now).await.err().map_or(full, Into::into))
        }
        Ok(()) => wish.decide(app, asked, &session, now).await,
    };
    decided.inspect_err(|refused| {
        metrics::counter!("gloaming_playback_refusals_total", "code" => refused.code().as_str()).increment(1);
    })
}

/// The session that asks, once its proof is seen to be its own, of now, and new.
fn prove(app: &App, asked: &Asked, now: UnixMillis) -> Result<Arc<Session>, ApiError> {
    let proof = asked.proof.as_ref().ok_or_else(bad_proof)?;
    let session = app.playbacks.find(proof.playback).ok_or_else(session_gone)?;
    if !asked.browsers.iter().any(|browser| browser.is(&session.browser)) {
        return Err(session_gone());
    }
    let mut state = session.state();
    if now >= state.expires_at {
        drop(state);
        app.playbacks.end(proof.playback);
        return Err(session_gone());
    }
    state.epochs.advance(epoch_at(session.started_at, now));
    let epoch = state.epochs.epoch();
    let Some(keys) = state.epochs.keys(proof.epoch) else {
        let message = "The clocks are apart. Ask again with the keys of this epoch.";
        return Err(ApiError::new(ErrorCode::EpochMismatch, message).with(json!({ "epoch": epoch })));
    };
    if proof.verify(keys, &asked.as_proved()).is_err() {
        // Somebody has the cookie and not the keys, or changed the request on its way.
        tracing::warn!("a playback's request was not proved");
        return Err(bad_proof());
    }
    if !state.accept(proof.epoch, proof.counter) {
        return Err(ApiError::new(
            ErrorCode::CounterUsed,
            "This request was answered before. Ask again with the next counter.",
        ));
    }
    if let Some(pace) = app.config.playback.request_pace() {
        let (taken, wait) = state.requests.take(pace, app.config.playback.request_cost_ms(), 1, now);
        if taken == 0 {
            return Err(ApiError::slow_down(wait.div_ceil(1000)));
        }
    }
    state.seen_at = now;
    drop(state);
    Ok(session)
}

fn session_gone() -> ApiError {
    ApiError::new(
        ErrorCode::SessionGone,
        "This playback is over, or the server was restarted. Begin it again.",
    )
}

fn bad_proof() -> ApiError {
    ApiError::new(ErrorCode::BadProof, "The request's proof is missing or wrong. Begin the playback again.")
}
