//! A playback: the key exchange, its epochs by this device's own clock, and requests that prove whose they are.
//!
//! ```text
//! begin ──► ask, ask, … ──► refresh, before it expires ──► ask, …
//!             │ 409 epoch_mismatch: step forward    409 counter_used: the next counter    429: wait
//!             │ 401 session_gone, bad_proof: begin again, once, and nobody notices
//!             └ 403, 404: it is over, and everything that was opened is forgotten
//! ```
//!
//! A refresh changes the keys of the next epoch. While one is under way no request may be, else an answer could come that
//! is wrapped in keys that this side does not have yet: requests go in [`LANES`], and a refresh takes them all.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use futures::lock::{Mutex, MutexGuard};
use gloaming_api::{
    ErrorCode,
    playback::{
        Grants, MAX_GRANTS, MAX_PLAYBACK_OBJECTS, PlaybackRefresh, PlaybackRefreshed, PlaybackReport,
        PlaybackStart, PlaybackStarted,
    },
    video::{SignedDownload, SignedDownloads},
};
use gloaming_grants::{
    chain::Epochs,
    exchange::{Answer, Offer, Purpose},
    proof::{Asked, Proof},
};
use gloaming_ids::{ObjectId, ShareId, TrackId, UnixMillis, VideoId};
use gloaming_keys::{LinkToken, SegmentKey, ViewSalt};
use gloaming_package::{Index, Track};

use super::grants::Held;
use crate::{
    ClientError, Platform,
    platform::ApiRequest,
    server::{Server, encode, parse},
};

/// Requests of one playback at the same time.
const LANES: usize = 4;
/// A playback lasts this long at most, whatever the server says: how far an epoch can lie ahead.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Before it ends, a playback is refreshed.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// Steps forward, and fresh counters, in one request.
const STEPS: usize = 8;
/// How long a request waits in all for a server that says to slow down.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What a playback is begun with, and begun again.
pub(super) struct Door {
    pub(super) share: ShareId,
    pub(super) video: Option<VideoId>,
    pub(super) token: Option<LinkToken>,
    pub(super) embedded: bool,
}

/// A playback's keys, and where it is in time.
struct Live {
    purpose: Purpose,
    epochs: Epochs,
    counter: u64,
    epoch: Duration,
    /// When epoch 0 began, by this device's clock: as late as it can have been.
    zero: Duration,
    /// What the server's clock said when this device's said `.1`.
    clock: (UnixMillis, Duration),
    begun: Duration,
    ends: Duration,
}

/// A playback that has begun.
pub(super) struct Begun {
    pub(super) started: PlaybackStarted,
    live: Live,
}

/// Begins a playback. Not tried again: it may count.
pub(super) async fn begin<P: Platform>(server: &Server<P>, door: &Door) -> Result<Begun, ClientError> {
    let offer = Offer::new(&mut server.entropy());
    let start = PlaybackStart {
        share: door.share,
        video_id: door.video,
        token: door.token.as_ref().map(|token| token.expose().to_vec().into()),
        client_pubkey_b64: offer.public_key().to_vec().into(),
        embedded: door.embedded,
    };
    let started: PlaybackStarted = server.post("/v1/session", &start).await?;
    let now = server.platform.elapsed();
    if door.video.is_some_and(|video| video != started.video_id) {
        return Err(ClientError::nonsense("another video than asked for"));
    }
    if !(1..=3600).contains(&started.epoch_seconds) {
        return Err(ClientError::nonsense("epochs of no use"));
    }
    let purpose = Purpose { playback: started.session_id, video: started.video_id, share: door.share };
    let answer = answer(started.kem_ciphertext_b64.as_ref(), started.nonce_b64.as_ref())?;
    let epochs = offer.accept(&purpose, &answer).map_err(|_| no_exchange())?;
    let live = Live {
        purpose,
        epochs,
        counter: 0,
        epoch: Duration::from_secs(started.epoch_seconds.into()),
        zero: now,
        clock: (started.now, now),
        begun: now,
        ends: now + started.expires_at.since(started.now),
    };
    Ok(Begun { started, live })
}

fn answer(ciphertext: &[u8], nonce: &[u8]) -> Result<Answer, ClientError> {
    let nonce = nonce.try_into().map_err(|_| no_exchange())?;
    Ok(Answer { ciphertext: ciphertext.to_vec(), nonce })
}

fn no_exchange() -> ClientError {
    ClientError::nonsense("no half of a key exchange")
}

impl Live {
    /// Steps to the epoch that it is by this device's clock. Never too far: it was begun after the server's.
    fn keep_time(&mut self, now: Duration) {
        let epoch = now.saturating_sub(self.zero).as_millis() / self.epoch.as_millis();
        self.epochs.advance(u64::try_from(epoch).unwrap_or(u64::MAX).min(self.most()));
    }

    /// Steps to the epoch that the server says it is: this device slept, or its clock is slow. False where that makes no
    /// sense, and a new playback is the way on.
    fn catch_up(&mut self, epoch: u64, now: Duration) -> bool {
        if epoch < self.epochs.epoch() || epoch > self.most() {
            return false;
        }
        self.epochs.advance(epoch);
        let since = self.epoch.saturating_mul(u32::try_from(epoch).unwrap_or(u32::MAX));
        self.zero = self.zero.min(now.saturating_sub(since));
        true
    }

    fn most(&self) -> u64 {
        LONGEST.as_secs() / self.epoch.as_secs() + 2
    }

    fn prove(&mut self, method: &'static str, target: &str, body: Option<&[u8]>) -> String {
        self.counter += 1;
        let asked = Asked { method, target, body: body.unwrap_or_default() };
        Proof::new(self.epochs.current(), self.purpose.playback, self.counter, &asked).to_string()
    }

    /// Before that, it wants to be refreshed.
    fn wants_refresh(&self, now: Duration) -> bool {
        let margin = REFRESH.min(self.ends.saturating_sub(self.begun) / 3);
        now + margin >= self.ends
    }
}

/// How long a segment of this track plays, about.
fn lasts(index: &Index, track: u16) -> Duration {
    let segments = u64::from(index.segment_count(track).max(1));
    let millis = |about: &Track| about.duration.saturating_mul(1000) / u64::from(about.timescale.get());
    Duration::from_millis(index.track(track).map_or(0, millis) / segments)
}

/// A video that is watched under a share, as far as the server has a say in it.
pub(crate) struct Playback<P: Platform> {
    server: Server<P>,
    door: Door,
    video: VideoId,
    salt: ViewSalt,
    live: RefCell<Live>,
    /// Grows with every exchange.
    generation: Cell<u64>,
    lanes: [Mutex<()>; LANES],
    next_lane: Cell<usize>,
    held: RefCell<Held>,
    /// One batch of a track at a time.
    asking: RefCell<HashMap<u16, Rc<Mutex<()>>>>,
    over: RefCell<Option<ClientError>>,
}

impl<P: Platform> Playback<P> {
    pub(super) fn new(server: Server<P>, door: Door, salt: ViewSalt, video: VideoId, begun: Begun) -> Self {
        Self {
            server,
            door,
            video,
            salt,
            live: RefCell::new(begun.live),
            generation: Cell::new(0),
            lanes: Default::default(),
            next_lane: Cell::new(0),
            held: RefCell::default(),
            asking: RefCell::default(),
            over: RefCell::new(None),
        }
    }

    /// Whether it has ended for good.
    pub(crate) fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }

    /// Why it has ended.
    pub(crate) fn over(&self) -> Option<ClientError> {
        self.over.borrow().clone()
    }

    /// Forgets grants that are held for too long.
    pub(crate) fn tidy(&self) {
        self.held.borrow_mut().tidy(self.server.platform.elapsed());
    }

    /// A segment was opened: its key is of no more use.
    pub(crate) fn done_with(&self, track: u16, segment: u32) {
        self.held.borrow_mut().remove(track, segment);
    }

    /// The key of a segment: held already, or granted now with those after it.
    pub(crate) async fn segment_key(
        &self,
        index: &Index,
        track: u16,
        segment: u32,
    ) -> Result<SegmentKey, ClientError> {
        let held = || self.held.borrow_mut().get(track, segment, self.server.platform.elapsed());
        if let Some(key) = held() {
            return Ok(key);
        }
        let asking = self.asking(track);
        let _one_at_a_time = asking.lock().await;
        let mut waited = Duration::ZERO;
        loop {
            if let Some(key) = held() {
                return Ok(key);
            }
            let Some(wait) = self.ask_for(index, track, segment, PATIENCE).await? else { continue };
            if held().is_none() {
                waited += wait;
                if waited > PATIENCE {
                    return Err(ClientError::SlowDown { seconds: wait.as_secs() });
                }
                self.server.platform.sleep(wait).await;
            }
        }
    }

    /// Asks for the grants after `segment`, if few are left. What goes wrong comes again with the segment that needs them.
    pub(crate) async fn ask_ahead(&self, index: &Index, track: u16, segment: u32) {
        let count = index.segment_count(track);
        let asking = self.asking(track);
        let Some(_alone) = asking.try_lock() else { return };
        let wanting = self.held.borrow().wanting(track, segment, count, lasts(index, track));
        if let Some(first) = wanting {
            let _ = self.ask_for(index, track, first, Duration::ZERO).await;
        }
    }

    fn asking(&self, track: u16) -> Rc<Mutex<()>> {
        Rc::clone(self.asking.borrow_mut().entry(track).or_default())
    }

    /// Asks for a batch. Answers how long to wait, where the limit was reached.
    async fn ask_for(
        &self,
        index: &Index,
        track: u16,
        first: u32,
        patience: Duration,
    ) -> Result<Option<Duration>, ClientError> {
        let about = index.track(track).expect("its segments are asked for");
        let all = index.segment_count(track);
        let count = self.held.borrow_mut().batch(track, first, all, lasts(index, track)).min(MAX_GRANTS);
        let (video, id) = (self.video, about.id);
        let target = format!("/v1/key?video_id={video}&rend={id}&from={first}&count={count}");
        let (keys, grants) = self
            .ask("GET", target, None, patience, |live, body| {
                let grants: Grants = parse(body)?;
                let keys = self.unwrap(live, &grants, id, first, count)?;
                Ok((keys, grants))
            })
            .await?;
        let now = self.server.platform.elapsed();
        let until = now + Duration::from_secs(grants.ttl_seconds.clamp(1, 120).into());
        let mut held = self.held.borrow_mut();
        held.came(track, first + keys.len() as u32);
        let none = keys.is_empty();
        for (segment, key) in keys {
            held.put(track, segment, key, until);
        }
        match grants.retry_after_ms {
            Some(wait) => Ok(Some(Duration::from_millis(wait.clamp(100, 60_000)))),
            None if none => Err(ClientError::nonsense("no grant, and no reason")),
            None => Ok(None),
        }
    }

    /// The keys of the segments that were granted: from `first` on, in order, and no others. A share that is not the right
    /// one makes a key that opens nothing.
    fn unwrap(
        &self,
        live: &mut Live,
        grants: &Grants,
        track: TrackId,
        first: u32,
        count: u32,
    ) -> Result<Vec<(u32, SegmentKey)>, ClientError> {
        if grants.grants.len() > count as usize
            || grants.grants.iter().zip(first..).any(|(grant, expected)| grant.seg_idx != expected)
        {
            return Err(ClientError::nonsense("other grants than were asked for"));
        }
        if grants.alg != gloaming_api::playback::GRANT_ALG {
            return Err(ClientError::TooNew { what: "what the server grants".into() });
        }
        if grants.epoch > live.epochs.epoch() && !live.catch_up(grants.epoch, self.server.platform.elapsed())
        {
            return Err(ClientError::nonsense("an epoch of another time"));
        }
        let not_ours = || ClientError::tampered("what the server granted");
        let keys = live.epochs.keys(grants.epoch).ok_or_else(not_ours)?;
        let key = |grant: &gloaming_api::playback::WrappedGrant| {
            let share = keys.unwrap(grant.wdek_b64.as_ref()).map_err(|_| not_ours())?;
            let key = self.salt.derive_segment_key(&share, self.video, track, grant.seg_idx);
            Ok((grant.seg_idx, key))
        };
        grants.grants.iter().map(key).collect()
    }

    /// Addresses of objects.
    pub(crate) async fn sign(&self, objects: &[ObjectId]) -> Result<Vec<SignedDownload>, ClientError> {
        let objects = &objects[..objects.len().min(MAX_PLAYBACK_OBJECTS)];
        let list: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let target = format!("/v1/urls?video_id={}&objects={}", self.video, list.join(","));
        let signed: SignedDownloads = self.ask("GET", target, None, PATIENCE, |_, body| parse(body)).await?;
        Ok(signed.downloads)
    }

    /// Tells the owner how it goes.
    pub(crate) async fn report(&self, report: &PlaybackReport) -> Result<(), ClientError> {
        let body = Some(encode(report));
        self.ask("POST", "/v1/session/report".into(), body, Duration::ZERO, |_, _| Ok(())).await
    }

    /// A proved request, and what `read` makes of its answer.
    async fn ask<T>(
        &self,
        method: &'static str,
        path: String,
        body: Option<Vec<u8>>,
        patience: Duration,
        read: impl Fn(&mut Live, &[u8]) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let platform = &*self.server.platform;
        let (mut steps, mut renewed, mut offline, mut waited) = (0, false, 0, Duration::ZERO);
        loop {
            if let Some(error) = self.over() {
                return Err(error);
            }
            self.keep_alive().await?;
            let lane = self.lane().await;
            let generation = self.generation.get();
            let proof = {
                let mut live = self.live.borrow_mut();
                live.keep_time(platform.elapsed());
                Some(live.prove(method, &path, body.as_deref()))
            };
            let request = ApiRequest { method, path: path.clone(), body: body.clone(), proof };
            let answer = self.server.send(request).await;
            let failure = match answer {
                // Still in its lane: the keys are those that it was asked with.
                Ok(body) => return read(&mut self.live.borrow_mut(), &body),
                Err(failure) => failure,
            };
            drop(lane);
            match failure {
                ClientError::Playback { code: ErrorCode::CounterUsed, .. } if steps < STEPS => steps += 1,
                ClientError::Playback { code: ErrorCode::EpochMismatch, epoch } if steps < STEPS => {
                    steps += 1;
                    let caught_up = self.generation.get() != generation
                        || self.live.borrow_mut().catch_up(epoch, platform.elapsed());
                    if !caught_up {
                        self.begin_again(generation).await?;
                    }
                }
                ClientError::Playback { .. } if !renewed => {
                    renewed = true;
                    self.begin_again(generation).await?;
                }
                ClientError::SlowDown { seconds } if waited < patience => {
                    let wait = Duration::from_secs(seconds.clamp(1, 60));
                    waited += wait;
                    platform.sleep(wait).await;
                }
                ClientError::Offline { .. } if offline < 3 && !patience.is_zero() => {
                    offline += 1;
                    platform.sleep(Duration::from_millis(200 * 3_u64.pow(offline))).await;
                }
                failure => return Err(self.end_by(failure)),
            }
        }
    }

    /// Ends it where the owner, or whoever runs the server, says so. What was opened is forgotten.
    fn end_by(&self, failure: ClientError) -> ClientError {
        let ended = matches!(
            failure,
            ClientError::NotAdmitted { .. } | ClientError::Forbidden | ClientError::NotFound { .. }
        );
        if !ended {
            return failure;
        }
        let failure = match failure {
            ClientError::NotFound { .. } => {
                ClientError::NotFound { what: "such video any more: its owner took it away".into() }
            }
            failure => failure,
        };
        self.held.borrow_mut().clear();
        self.over.replace(Some(failure.clone()));
        failure
    }

    async fn lane(&self) -> MutexGuard<'_, ()> {
        let lane = self.next_lane.get();
        self.next_lane.set((lane + 1) % LANES);
        self.lanes[lane].lock().await
    }

    /// One after the other: two who each took what is free would wait for one another for ever.
    async fn all_lanes(&self) -> Vec<MutexGuard<'_, ()>> {
        let mut all = Vec::with_capacity(LANES);
        for lane in &self.lanes {
            all.push(lane.lock().await);
        }
        all
    }

    /// Refreshes the playback when its end is near. Where it has ended already, the server will say so.
    async fn keep_alive(&self) -> Result<(), ClientError> {
        let platform = &*self.server.platform;
        let due = || self.live.borrow().wants_refresh(platform.elapsed());
        if !due() {
            return Ok(());
        }
        let generation = self.generation.get();
        {
            let _all = self.all_lanes().await;
            if self.generation.get() != generation || !due() {
                return Ok(());
            }
            match self.refresh().await {
                Err(ClientError::Playback { .. }) => {}
                Err(ClientError::Offline { .. } | ClientError::SlowDown { .. }) => {
                    // It goes on with what there is; the next request tries again.
                    return Ok(());
                }
                refreshed => return refreshed.map_err(|failure| self.end_by(failure)),
            }
        }
        self.begin_again(generation).await
    }

    /// Mixes a fresh exchange into the keys. Holds all lanes.
    async fn refresh(&self) -> Result<(), ClientError> {
        let platform = &*self.server.platform;
        let offer = Offer::new(&mut self.server.entropy());
        let body = encode(&PlaybackRefresh { client_pubkey_b64: offer.public_key().to_vec().into() });
        let path = "/v1/session/refresh";
        let proof = {
            let mut live = self.live.borrow_mut();
            live.keep_time(platform.elapsed());
            Some(live.prove("POST", path, Some(&body)))
        };
        let request = ApiRequest { method: "POST", path: path.into(), body: Some(body), proof };
        let refreshed: PlaybackRefreshed = parse(&self.server.send(request).await?)?;
        let answer = answer(refreshed.kem_ciphertext_b64.as_ref(), refreshed.nonce_b64.as_ref())?;
        let now = platform.elapsed();
        let mut live = self.live.borrow_mut();
        let live = &mut *live;
        // The server mixed it into the epoch after its own. This device has not stepped past that since it asked.
        let before = refreshed.epoch.checked_sub(1).filter(|epoch| live.catch_up(*epoch, now));
        let gone = ClientError::Playback { code: ErrorCode::SessionGone, epoch: 0 };
        before.ok_or(gone)?;
        offer.accept_refresh(&mut live.epochs, &live.purpose, &answer).map_err(|_| no_exchange())?;
        let server_now = live.clock.0 + now.saturating_sub(live.clock.1);
        (live.begun, live.ends) = (now, now + refreshed.expires_at.since(server_now));
        Ok(())
    }

    /// Another playback in place of the one of this generation, unless somebody else has seen to it.
    async fn begin_again(&self, generation: u64) -> Result<(), ClientError> {
        let _all = self.all_lanes().await;
        if self.generation.get() != generation {
            return Ok(());
        }
        let begun = begin(&self.server, &self.door).await.map_err(|failure| self.end_by(failure))?;
        if begun.started.video_id != self.video {
            return Err(ClientError::nonsense("another video than asked for"));
        }
        self.live.replace(begun.live);
        self.generation.set(generation + 1);
        Ok(())
    }
}
