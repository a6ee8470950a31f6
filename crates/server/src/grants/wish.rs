use std::future::Future;

use gloaming_api::{
    Bytes, ErrorCode,
    playback::{GRANT_ALG, Grants, MAX_GRANTS, MAX_PLAYBACK_OBJECTS, PlaybackRefreshed, WrappedGrant},
    share::{Policy, SharedTrack},
};
use gloaming_grants::{chain::EPOCH, chain::epoch_at, exchange::answer_refresh, segment_share};
use gloaming_ids::{ObjectId, TrackId, UnixMillis, VideoId};
use gloaming_store::{GrantRequest, PlayReport, Reservation, StoreError};

use super::{Asked, Claim, Pace, Session};
use crate::{app::App, data_dir::entropy, error::ApiError};

/// What a playback asks for, once it is known to be itself.
pub(crate) trait Wish: Send {
    /// What it is given.
    type Leave;

    /// The video that it is about, where the request names one.
    fn video(&self) -> Option<VideoId>;

    /// Gives it, or refuses. Every one of these asks the store whether the share still allows it.
    fn decide(
        self,
        app: &App,
        asked: &Asked,
        session: &Session,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Self::Leave, ApiError>> + Send;
}

/// Segments, one after another.
pub(crate) struct Segments {
    pub(crate) video: VideoId,
    pub(crate) track: TrackId,
    pub(crate) from: u32,
    pub(crate) count: u32,
}

impl Wish for Segments {
    type Leave = Grants;

    fn video(&self) -> Option<VideoId> {
        Some(self.video)
    }

    async fn decide(
        self,
        app: &App,
        asked: &Asked,
        session: &Session,
        now: UnixMillis,
    ) -> Result<Grants, ApiError> {
        let share = session.purpose.share;
        if !(1..=MAX_GRANTS).contains(&self.count) {
            return Err(ApiError::bad_request("One request asks for 1 to 64 segments."));
        }
        let Some(hot) = session.state().hot() else { return Err(StoreError::ShareRevoked.into()) };
        let track = hot.tracks.get(&self.track).ok_or_else(ApiError::not_found)?;
        let left = track.segments.checked_sub(self.from).filter(|left| *left > 0);
        let wanted = self.count.min(left.ok_or_else(ApiError::not_found)?);

        let policy = app.playbacks.policy(share);
        let pace = app.config.playback.pace(&policy);
        let wanted = if track.charged { until_the_end(wanted, track, &policy, pace, now) } else { wanted };
        let claim = Claim::new(session, asked, pace, track.nominal_ms.into());
        let (count, wait) = if track.charged { app.playbacks.take(&claim, wanted, now) } else { (wanted, 0) };
        if count == 0 {
            // The share may be over as well, which is the better answer.
            app.store.check_share(share, self.video, now).await?;
            return Err(too_fast(wait));
        }
        let request = GrantRequest {
            share,
            video: self.video,
            play: session.play,
            track: self.track,
            from: self.from,
            count,
            place: asked.place.clone(),
        };
        let clock = app.config.clock.clone();
        let granted = match app.store.grant(request, move || clock()).await {
            Ok(granted) => granted,
            Err(refused) => {
                if track.charged {
                    app.playbacks.give_back(&claim, count);
                }
                return Err(refused.into());
            }
        };
        app.playbacks.set_policy(share, &granted.policy);
        metrics::counter!("gloaming_grants_total").increment(u64::from(granted.count));

        // In the epoch of now: writing the log may have taken a while.
        let mut state = session.state();
        state.epochs.advance(epoch_at(session.started_at, app.now()));
        let keys = state.epochs.current();
        let wrap = |index| {
            let share = segment_share(&hot.grant, self.video, self.track, index);
            WrappedGrant { seg_idx: index, wdek_b64: Bytes(keys.wrap(&share).to_vec()) }
        };
        Ok(Grants {
            grants: (self.from..self.from + granted.count).map(wrap).collect(),
            alg: GRANT_ALG.into(),
            epoch: keys.epoch,
            ttl_seconds: u32::try_from(EPOCH.as_secs()).expect("twenty"),
            retry_after_ms: (count < wanted).then_some(wait),
        })
    }
}

/// No more than can be played, at the fastest, before the share ends; one at least.
fn until_the_end(wanted: u32, track: &SharedTrack, policy: &Policy, pace: Pace, now: UnixMillis) -> u32 {
    let Some(until) = policy.until else { return wanted };
    let left_ms = until.0.saturating_sub(now.0).saturating_mul(pace.speed_tenths) / 10;
    let fits = left_ms.div_ceil(u64::from(track.nominal_ms.max(1)));
    wanted.min(u32::try_from(fits).unwrap_or(u32::MAX)).max(1)
}

fn too_fast(wait_ms: u64) -> ApiError {
    let seconds = wait_ms.div_ceil(1000).max(1);
    let message =
        format!("This is faster than the video may be watched. Wait {seconds} seconds, then go on.");
    ApiError::new(ErrorCode::SlowDown, message).retry_after(seconds)
}

/// Objects of the video, to be signed.
pub(crate) struct Objects {
    pub(crate) video: VideoId,
    pub(crate) objects: Vec<ObjectId>,
}

impl Wish for Objects {
    type Leave = Vec<Reservation>;

    fn video(&self) -> Option<VideoId> {
        Some(self.video)
    }

    async fn decide(
        self,
        app: &App,
        _: &Asked,
        session: &Session,
        now: UnixMillis,
    ) -> Result<Vec<Reservation>, ApiError> {
        if !(1..=MAX_PLAYBACK_OBJECTS).contains(&self.objects.len()) {
            return Err(ApiError::bad_request("One request names 1 to 64 objects."));
        }
        Ok(app.store.shared_objects(session.purpose.share, self.video, self.objects, now).await?)
    }
}

/// Another half hour, with fresh keys mixed in.
pub(crate) struct GoOn {
    pub(crate) public_key: Bytes,
}

/// A session that goes on.
pub(crate) struct WentOn {
    pub(crate) refreshed: PlaybackRefreshed,
    pub(crate) browser: [u8; 32],
    pub(crate) embedded: bool,
}

impl Wish for GoOn {
    type Leave = WentOn;

    fn video(&self) -> Option<VideoId> {
        None
    }

    async fn decide(
        self,
        app: &App,
        _: &Asked,
        session: &Session,
        now: UnixMillis,
    ) -> Result<WentOn, ApiError> {
        let purpose = &session.purpose;
        app.store.touch_play(purpose.share, purpose.video, session.play, now).await?;
        let now = app.now();
        let mut state = session.state();
        state.epochs.advance(epoch_at(session.started_at, now));
        let (answer, epoch) =
            answer_refresh(&mut state.epochs, purpose, self.public_key.as_ref(), &mut entropy)
                .map_err(|_| ApiError::bad_request("This is not a public key of this exchange."))?;
        let playback = &app.config.playback;
        state.expires_at = (now + playback.session_ttl).min(session.started_at + playback.session_longest);
        let refreshed = PlaybackRefreshed {
            kem_ciphertext_b64: answer.ciphertext.into(),
            nonce_b64: Bytes(answer.nonce.to_vec()),
            epoch,
            expires_at: state.expires_at,
        };
        Ok(WentOn { refreshed, browser: session.browser, embedded: session.embedded })
    }
}

/// How it went, for the owner.
pub(crate) struct Report(pub(crate) PlayReport);

impl Wish for Report {
    type Leave = ();

    fn video(&self) -> Option<VideoId> {
        None
    }

    async fn decide(self, app: &App, _: &Asked, session: &Session, now: UnixMillis) -> Result<(), ApiError> {
        let purpose = &session.purpose;
        Ok(app.store.report_play(purpose.share, purpose.video, session.play, self.0, now).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_where_the_share_does() {
        let track = SharedTrack {
            track: TrackId::from_bytes([1; 16]),
            charged: true,
            segments: 100,
            nominal_ms: 4_000,
        };
        let pace = Pace { burst_ms: 120_000, speed_tenths: 40 };
        let policy = Policy { until: Some(UnixMillis(10_000)), ..Policy::default() };
        let fits = |now| until_the_end(64, &track, &policy, pace, UnixMillis(now));
        assert_eq!((fits(0), fits(9_000), fits(9_999), fits(10_000)), (10, 1, 1, 1));
        assert_eq!(until_the_end(64, &track, &Policy::default(), pace, UnixMillis(0)), 64);
    }
}
