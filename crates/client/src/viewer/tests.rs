//! A playback over hours, in no time: both sides' real keys, a clock that a test moves, and a server that keeps the rules.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    mem,
    ops::Range,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::join;
use gloaming_api::{
    ErrorBody, ErrorCode,
    playback::{PlaybackRefresh, PlaybackRefreshed, PlaybackStart, PlaybackStarted},
    share::{Policy, ShareKind},
    video::{SignedDownload, SignedDownloads, SignedUpload},
};
use gloaming_grants::{
    Window,
    chain::{EPOCH, Epochs, epoch_at},
    exchange::{Purpose, answer, answer_refresh},
    proof::{Asked, Proof},
};
use gloaming_ids::{ObjectId, PlaybackId, ShareId, UnixMillis, VideoId};
use gloaming_keys::ViewSalt;
use gloaming_media::Extent;

use super::{
    Playback,
    playback::{Door, begin},
};
use crate::{
    ClientError, Platform,
    platform::{
        ApiRequest, ApiResponse, Bulk, NotGenuine, Offline, OpenJob, SealJob, SealedFragment, Shelf,
        SourceFailure, SourceStamp, StoreFailure,
    },
    server::Server,
};

const VIDEO: VideoId = VideoId::from_bytes([2; 16]);
const SHARE: ShareId = ShareId::from_bytes([3; 16]);
const IDLE: Duration = Duration::from_secs(30 * 60);
const WHOLE: Duration = Duration::from_secs(12 * 3600);

/// What a server keeps of one playback.
struct Kept {
    purpose: Purpose,
    epochs: Epochs,
    began: UnixMillis,
    ends: UnixMillis,
    windows: Vec<(u64, Window)>,
}

/// This device and the server, on one clock each.
#[derive(Default)]
struct Stage {
    elapsed: Cell<Duration>,
    /// How far the server's clock is ahead of where this device's would put it.
    ahead: Cell<Duration>,
    kept: RefCell<Option<Kept>>,
    exchanges: Cell<u8>,
    refreshes: Cell<u32>,
    seed: Cell<u64>,
    /// The next answers to proved requests, in place of true ones; with the server's epoch.
    refusals: RefCell<Vec<(ErrorCode, Option<u64>)>>,
    /// The next proved request is sent twice, as browsers do.
    doubled: Cell<bool>,
}

impl Stage {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000) + self.elapsed.get() + self.ahead.get()
    }

    fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }

    fn entropy(&self) -> impl FnMut(&mut [u8]) + '_ {
        move |out: &mut [u8]| {
            for byte in out {
                self.seed.set(self.seed.get().wrapping_mul(6364136223846793005).wrapping_add(1));
                *byte = (self.seed.get() >> 56) as u8;
            }
        }
    }

    fn answer(&self, request: &ApiRequest) -> Result<Vec<u8>, (ErrorCode, Option<serde_json::Value>)> {
        if request.proof.is_some()
            && let Some((code, epoch)) = self.refusals.borrow_mut().pop()
        {
            return Err((code, epoch.map(|epoch| serde_json::json!({ "epoch": epoch }))));
        }
        let body = request.body.as_deref().unwrap_or_default();
        if request.path == "/v1/session" {
            return Ok(self.begin(&serde_json::from_slice(body).unwrap()));
        }
        let mut kept = self.kept.borrow_mut();
        let kept =
            kept.as_mut().filter(|kept| self.now() < kept.ends).ok_or((ErrorCode::SessionGone, None))?;
        let proof: Proof = request.proof.as_ref().unwrap().parse().unwrap();
        let epoch = epoch_at(kept.began, self.now());
        if proof.playback != kept.purpose.playback {
            return Err((ErrorCode::SessionGone, None));
        }
        kept.epochs.advance(epoch);
        let keys = kept.epochs.keys(proof.epoch);
        let mismatch = serde_json::json!({ "epoch": epoch });
        let keys = keys.ok_or((ErrorCode::EpochMismatch, Some(mismatch)))?;
        let asked = Asked { method: request.method, target: &request.path, body };
        proof.verify(keys, &asked).map_err(|_| (ErrorCode::BadProof, None))?;
        kept.windows.retain(|(of, _)| of + 1 >= epoch);
        if !kept.windows.iter().any(|(of, _)| *of == proof.epoch) {
            kept.windows.push((proof.epoch, Window::default()));
        }
        let (_, window) = kept.windows.iter_mut().find(|(of, _)| *of == proof.epoch).unwrap();
        let fresh = window.accept(proof.counter);
        if !fresh || self.doubled.take() {
            return Err((ErrorCode::CounterUsed, None));
        }
        if request.path != "/v1/session/refresh" {
            return Ok(serde_json::to_vec(&SignedDownloads { downloads: vec![] }).unwrap());
        }
        let ask: PlaybackRefresh = serde_json::from_slice(body).unwrap();
        let public = ask.client_pubkey_b64.as_ref();
        let (answer, from) =
            answer_refresh(&mut kept.epochs, &kept.purpose, public, &mut self.entropy()).unwrap();
        if self.now().since(kept.began) >= WHOLE {
            return Err((ErrorCode::SessionGone, None));
        }
        kept.ends = self.now() + IDLE;
        self.refreshes.set(self.refreshes.get() + 1);
        let refreshed = PlaybackRefreshed {
            kem_ciphertext_b64: answer.ciphertext.into(),
            nonce_b64: answer.nonce.to_vec().into(),
            epoch: from,
            expires_at: kept.ends,
        };
        Ok(serde_json::to_vec(&refreshed).unwrap())
    }

    fn begin(&self, start: &PlaybackStart) -> Vec<u8> {
        self.exchanges.set(self.exchanges.get() + 1);
        let playback = PlaybackId::from_bytes([self.exchanges.get(); 16]);
        let purpose = Purpose { playback, video: VIDEO, share: SHARE };
        let (answer, epochs) =
            answer(&purpose, start.client_pubkey_b64.as_ref(), &mut self.entropy()).unwrap();
        let (began, ends) = (self.now(), self.now() + IDLE);
        self.kept.replace(Some(Kept { purpose, epochs, began, ends, windows: vec![] }));
        let index = SignedDownload {
            object: ObjectId::from_bytes([4; 16]),
            length: 1,
            url: "/".into(),
            expires_at: ends,
        };
        let started = PlaybackStarted {
            session_id: playback,
            video_id: VIDEO,
            kem_ciphertext_b64: answer.ciphertext.into(),
            nonce_b64: answer.nonce.to_vec().into(),
            epoch_seconds: EPOCH.as_secs() as u32,
            expires_at: ends,
            now: began,
            kind: ShareKind::Link,
            policy: Policy::default(),
            videos: vec![VIDEO],
            sealed: vec![].into(),
            view_share: None,
            index_version: 1,
            index,
        };
        serde_json::to_vec(&started).unwrap()
    }
}

#[derive(Clone)]
struct Nothing;

impl Bulk for Nothing {
    fn len(&self) -> u64 {
        0
    }
    fn slice(&self, _: Range<u64>) -> Self {
        Self
    }
    fn concat(_: Vec<Self>) -> Self {
        Self
    }
    fn from_vec(_: Vec<u8>) -> Self {
        Self
    }
    fn to_vec(&self) -> Vec<u8> {
        vec![]
    }
}

/// Time, randomness and the server; there are no files and no store here.
impl Platform for Stage {
    type Bytes = Nothing;
    type Source = ();

    fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }
    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }
    fn fill_random(&self, out: &mut [u8]) {
        self.entropy()(out);
    }
    async fn sleep(&self, duration: Duration) {
        self.pass(duration);
    }
    async fn call(&self, request: ApiRequest) -> Result<ApiResponse, Offline> {
        self.pass(Duration::from_millis(20));
        // Whoever asks meanwhile is on the way too.
        let mut on_the_way = true;
        poll_fn(|_| if mem::take(&mut on_the_way) { Poll::Pending } else { Poll::Ready(()) }).await;
        let (status, body, retry_after) = match self.answer(&request) {
            Ok(body) => (200, body, None),
            Err((code, detail)) => {
                let body = ErrorBody { code, message: String::new(), detail };
                (code.status(), serde_json::to_vec(&body).unwrap(), Some(7))
            }
        };
        self.pass(Duration::from_millis(20));
        Ok(ApiResponse { status, body, retry_after })
    }
    fn wants_token(&self) -> bool {
        false
    }
    async fn keep_token(&self, _: Option<&str>) {}
    async fn stamp(&self, _: &()) -> Result<SourceStamp, SourceFailure> {
        Err(SourceFailure::Changed)
    }
    async fn read(&self, _: &(), _: Extent) -> Result<Vec<u8>, SourceFailure> {
        Err(SourceFailure::Changed)
    }
    async fn seal(&self, _: &(), _: SealJob) -> Result<SealedFragment<Nothing>, SourceFailure> {
        Err(SourceFailure::Changed)
    }
    async fn open(&self, _: Nothing, _: OpenJob) -> Result<Nothing, NotGenuine> {
        Err(NotGenuine)
    }
    async fn put(
        &self,
        _: &SignedUpload,
        _: &[Nothing],
        _: u64,
        _: &dyn Fn(u64),
    ) -> Result<(), StoreFailure> {
        Err(StoreFailure::Missing)
    }
    async fn get(&self, _: &SignedDownload, _: Range<u64>) -> Result<Nothing, StoreFailure> {
        Err(StoreFailure::Missing)
    }
    async fn load(&self, _: Shelf, _: &str) -> Option<Vec<u8>> {
        None
    }
    async fn save(&self, _: Shelf, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    async fn forget(&self, _: Shelf, _: &str) {}
    async fn names(&self, _: Shelf, _: &str) -> Vec<String> {
        vec![]
    }
}

fn playing() -> (Rc<Stage>, Playback<Stage>) {
    let stage = Rc::new(Stage::default());
    let server = Server::new(Rc::clone(&stage));
    let door = Door { share: SHARE, video: Some(VIDEO), token: None, embedded: false };
    let begun = in_turns(begin(&server, &door)).unwrap();
    (stage, Playback::new(server, door, ViewSalt::from_bytes([1; 32]), VIDEO, begun))
}

fn ask(playback: &Playback<Stage>) -> Result<(), ClientError> {
    in_turns(playback.sign(&[])).map(drop)
}

/// Nothing here wakes anybody, so each is asked again and again; but not for ever.
fn in_turns<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let ready = (0..10_000).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    });
    ready.expect("somebody gets on")
}

#[test]
fn playing_for_eleven_hours_is_one_playback_refreshed_in_time() {
    let (stage, playback) = playing();
    for _ in 0..11 * 360 {
        stage.pass(Duration::from_secs(10));
        ask(&playback).unwrap();
    }
    assert_eq!(stage.exchanges.get(), 1);
    assert!((20..=30).contains(&stage.refreshes.get()), "{}", stage.refreshes.get());
    for _ in 0..2 * 360 {
        stage.pass(Duration::from_secs(10));
        ask(&playback).unwrap();
    }
    assert_eq!(stage.exchanges.get(), 2, "after twelve hours it is another");
}

#[test]
fn a_pause_of_an_hour_is_one_silent_exchange() {
    let (stage, playback) = playing();
    ask(&playback).unwrap();
    stage.pass(Duration::from_secs(3600));
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 2);
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 2);
}

#[test]
fn a_device_that_slept_steps_forward_by_the_servers_word() {
    let (stage, playback) = playing();
    for _ in 0..3 {
        // This device's clock stood still for seven minutes.
        stage.ahead.set(stage.ahead.get() + Duration::from_secs(7 * 60));
        ask(&playback).unwrap();
        stage.pass(Duration::from_secs(25));
        ask(&playback).unwrap();
    }
    assert_eq!(stage.exchanges.get(), 1);
    // A refresh goes on from there.
    stage.pass(Duration::from_secs(6 * 60));
    ask(&playback).unwrap();
    stage.pass(Duration::from_secs(60));
    ask(&playback).unwrap();
    assert_eq!((stage.exchanges.get(), stage.refreshes.get()), (1, 0), "it did not know that it was late");
    stage.pass(Duration::from_secs(16 * 60));
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 2);
}

#[test]
fn a_server_that_began_anew_costs_one_exchange() {
    let (stage, playback) = playing();
    ask(&playback).unwrap();
    stage.kept.replace(None);
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 2);
}

#[test]
fn a_request_that_was_sent_twice_is_asked_again() {
    let (stage, playback) = playing();
    stage.doubled.set(true);
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 1);
}

#[test]
fn a_server_that_always_refuses_is_not_asked_for_ever() {
    let (stage, playback) = playing();
    stage.refusals.replace(vec![(ErrorCode::BadProof, None); 100]);
    assert_eq!(ask(&playback).unwrap_err().code(), "bad_proof");
    stage.refusals.replace(vec![(ErrorCode::CounterUsed, None); 100]);
    assert_eq!(ask(&playback).unwrap_err().code(), "counter_used");
    stage.refusals.take();
    ask(&playback).unwrap();
}

#[test]
fn two_who_are_refused_at_once_begin_anew_together() {
    let (stage, playback) = playing();
    stage.refusals.replace(vec![(ErrorCode::BadProof, None); 2]);
    let (one, other) = in_turns(join(playback.sign(&[]), playback.sign(&[])));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(stage.exchanges.get(), 2);
}

#[test]
fn who_is_asked_to_wait_waits() {
    let (stage, playback) = playing();
    stage.refusals.replace(vec![(ErrorCode::SlowDown, None); 3]);
    let before = stage.elapsed.get();
    ask(&playback).unwrap();
    assert!(stage.elapsed.get() - before >= Duration::from_secs(21));
}

#[test]
fn what_the_owner_stopped_stays_stopped() {
    let (stage, playback) = playing();
    stage.refusals.replace(vec![(ErrorCode::ShareRevoked, None)]);
    let stopped = ClientError::NotAdmitted { code: ErrorCode::ShareRevoked };
    assert_eq!(ask(&playback), Err(stopped.clone()));
    assert!(playback.is_over());
    // The server would answer again; nobody asks it.
    assert_eq!(ask(&playback), Err(stopped));
}

#[test]
fn epochs_beyond_all_time_are_nonsense() {
    let (stage, playback) = playing();
    // Who believed it would step for ever.
    stage.refusals.replace(vec![(ErrorCode::EpochMismatch, Some(u64::MAX))]);
    ask(&playback).unwrap();
    assert_eq!(stage.exchanges.get(), 2);
}
