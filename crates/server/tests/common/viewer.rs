//! A viewer without an account, from the first exchange to opened grants, and shares for one to watch.

use std::collections::HashMap;

use gloaming_api::{
    Bytes,
    playback::{Grants, PlaybackStart, PlaybackStarted},
    share::{GrantLog, Policy, ShareInfo, ShareKind, ShareRequest, SharedTrack, SharedVideo},
};
use gloaming_grants::{
    GrantShare,
    chain::{Epochs, epoch_at},
    exchange::{Answer, Offer, Purpose},
    log::{log_next, log_start, verify_log_head},
    proof::{Asked, PROOF_HEADER, Proof},
    segment_share,
};
use gloaming_ids::{AccountId, PlaybackId, ShareId, TrackId, VideoId};
use reqwest::{Method, Response};
use sha2::{Digest, Sha256};

use super::{Home, Person, entropy, read};

pub(crate) const TOKEN: [u8; 32] = [9; 32];
/// The grant share of every video of these tests, so that what is opened can be compared.
pub(crate) const GRANT: [u8; 32] = [0x6a; 32];
/// The view share of open ones.
pub(crate) const VIEW: [u8; 32] = [0x7b; 32];

pub(crate) fn share(n: u8) -> ShareId {
    ShareId::from_bytes([n; 16])
}

pub(crate) fn picture() -> TrackId {
    TrackId::from_bytes([0xa1; 16])
}

pub(crate) fn sound() -> TrackId {
    TrackId::from_bytes([0xa2; 16])
}

/// A share of one video of 100 segments of 4 seconds, with sound.
pub(crate) fn request(kind: ShareKind, id: ShareId, video: VideoId, policy: Policy) -> ShareRequest {
    let link = matches!(kind, ShareKind::Link | ShareKind::Audience);
    let track = |track, charged| SharedTrack { track, charged, segments: 100, nominal_ms: 4_000 };
    ShareRequest {
        share: id,
        kind,
        recipient: None,
        token_hash: link.then(|| Bytes(Sha256::digest(TOKEN).to_vec())),
        sealed: Bytes(vec![5; 200]),
        policy,
        videos: vec![SharedVideo {
            video,
            grant_share: Some(Bytes(GRANT.to_vec())),
            view_share: (kind == ShareKind::Open).then(|| Bytes(VIEW.to_vec())),
            tracks: vec![track(picture(), true), track(sound(), false)],
        }],
    }
}

impl Person<'_> {
    pub(crate) async fn share(&self, request: &ShareRequest) -> ShareInfo {
        read(self.post("/v1/shares", request).await).await
    }

    pub(crate) async fn set_policy(&self, id: ShareId, policy: &Policy) -> ShareInfo {
        read(self.post(&format!("/v1/shares/{id}/policy"), policy).await).await
    }

    pub(crate) async fn revoke(&self, id: ShareId) -> ShareInfo {
        read(self.post(&format!("/v1/shares/{id}/revoke"), &()).await).await
    }

    /// The whole log of a video, after checking its chain and signature.
    pub(crate) async fn verified_log(&self, video: VideoId) -> GrantLog {
        let mut whole: Option<GrantLog> = None;
        loop {
            let after = whole.as_ref().and_then(|log| log.rows.last()).map_or(0, |row| row.number);
            let part: GrantLog =
                read(self.get(&format!("/v1/videos/{video}/grants?after={after}")).await).await;
            let more = part.more;
            match &mut whole {
                Some(whole) => whole.rows.extend(part.rows),
                None => whole = Some(part),
            }
            if !more {
                break;
            }
        }
        let log = whole.unwrap();
        verify(&log, self.opened.account, video);
        log
    }
}

pub(crate) fn verify(log: &GrantLog, account: AccountId, video: VideoId) {
    let mut head: [u8; 32] = log.cleared_head.0.clone().try_into().unwrap();
    if log.cleared == 0 {
        assert_eq!(head, log_start(account, video));
    }
    for (number, row) in (log.cleared + 1..).zip(&log.rows) {
        assert_eq!(row.number, number);
        head = log_next(&head, &row.logged());
    }
    assert_eq!(log.cleared + log.rows.len() as u64, log.count);
    assert_eq!(head, log.head.0[..]);
    let key: [u8; 32] = log.log_key.0.clone().try_into().unwrap();
    let signature: [u8; 64] = log.signature.0.clone().try_into().unwrap();
    verify_log_head(&key, account, video, (log.count, &head), &signature).unwrap();
}

/// Where a viewer begins.
#[derive(Clone)]
pub(crate) struct Begin<'a> {
    pub(crate) share: ShareId,
    pub(crate) video: Option<VideoId>,
    pub(crate) token: Option<&'a [u8]>,
    pub(crate) cookie: Option<&'a str>,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) embedded: bool,
}

/// By a link.
pub(crate) fn by_link<'a>(share: ShareId) -> Begin<'a> {
    Begin { share, video: None, token: Some(&TOKEN), cookie: None, bearer: None, embedded: false }
}

/// One that watches.
pub(crate) struct Viewer<'h> {
    home: &'h Home,
    pub(crate) started: PlaybackStarted,
    pub(crate) cookie: String,
    pub(crate) set_cookie: String,
    pub(crate) epochs: Epochs,
    pub(crate) purpose: Purpose,
    pub(crate) counter: u64,
}

impl Home {
    /// The first request, whatever becomes of it.
    pub(crate) async fn try_begin(&self, begin: Begin<'_>) -> (Offer, Response) {
        let offer = Offer::new(&mut entropy);
        let body = PlaybackStart {
            share: begin.share,
            video_id: begin.video,
            token: begin.token.map(|token| Bytes(token.to_vec())),
            client_pubkey_b64: Bytes(offer.public_key().to_vec()),
            embedded: begin.embedded,
        };
        let mut request =
            self.request(Method::POST, "/v1/session").header("user-agent", "A Browser/1").json(&body);
        if let Some(cookie) = begin.cookie {
            request = request.header("cookie", format!("vp_session={cookie}"));
        }
        if let Some(bearer) = begin.bearer {
            request = request.bearer_auth(bearer);
        }
        (offer, request.send().await.unwrap())
    }

    pub(crate) async fn begin(&self, begin: Begin<'_>) -> Viewer<'_> {
        let share = begin.share;
        let (offer, response) = self.try_begin(begin).await;
        let set_cookie = response.headers().get("set-cookie").map(|text| text.to_str().unwrap().to_owned());
        let started: PlaybackStarted = read(response).await;
        let set_cookie = set_cookie.expect("a cookie");
        let cookie = set_cookie.strip_prefix("vp_session=").unwrap().split(';').next().unwrap().to_owned();
        let purpose = Purpose { playback: started.session_id, video: started.video_id, share };
        let answer = Answer {
            ciphertext: started.kem_ciphertext_b64.0.clone(),
            nonce: started.nonce_b64.0.clone().try_into().unwrap(),
        };
        let epochs = offer.accept(&purpose, &answer).unwrap();
        Viewer { home: self, started, cookie, set_cookie, epochs, purpose, counter: 0 }
    }
}

/// The address of grants.
pub(crate) fn key_target(video: VideoId, track: TrackId, from: u32, count: u32) -> String {
    format!("/v1/key?video_id={video}&rend={track}&from={from}&count={count}")
}

impl Viewer<'_> {
    /// Steps to the epoch of the server's clock, as a client does that knows it.
    pub(crate) fn keep_time(&mut self) {
        self.epochs.advance(epoch_at(self.started.now, self.home.now()));
    }

    pub(crate) fn prove(&mut self, method: &Method, target: &str, body: &[u8]) -> Proof {
        self.counter += 1;
        let asked = Asked { method: method.as_str(), target, body };
        Proof::new(self.epochs.current(), self.purpose.playback, self.counter, &asked)
    }

    /// Sends what was proved before.
    pub(crate) async fn send(&self, method: Method, target: &str, body: Vec<u8>, proof: &str) -> Response {
        let request = self.home.request(method, target).header("user-agent", "A Browser/1");
        let request = request.header("cookie", format!("vp_session={}", self.cookie));
        let request = request.header(PROOF_HEADER, proof).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn ask(&mut self, method: Method, target: &str, body: Vec<u8>) -> Response {
        self.keep_time();
        let proof = self.prove(&method, target, &body).to_string();
        self.send(method, target, body, &proof).await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.ask(Method::GET, target, Vec::new()).await
    }

    pub(crate) async fn post(&mut self, target: &str, body: &impl serde::Serialize) -> Response {
        self.ask(Method::POST, target, serde_json::to_vec(body).unwrap()).await
    }

    pub(crate) async fn key(&mut self, track: TrackId, from: u32, count: u32) -> Response {
        let target = key_target(self.purpose.video, track, from, count);
        self.get(&target).await
    }

    /// Segments, granted and opened: each is the share that it should be.
    pub(crate) async fn watch(&mut self, track: TrackId, from: u32, count: u32) -> Grants {
        let grants: Grants = read(self.key(track, from, count).await).await;
        self.epochs.advance(grants.epoch);
        let keys = self.epochs.keys(grants.epoch).unwrap();
        for (index, grant) in (from..).zip(&grants.grants) {
            assert_eq!(grant.seg_idx, index);
            let opened = keys.unwrap(&grant.wdek_b64.0).unwrap();
            let wanted = segment_share(&GrantShare::from_bytes(GRANT), self.purpose.video, track, index);
            assert_eq!(opened.expose(), wanted.expose());
        }
        grants
    }
}

/// How many rows of a log are of each playback.
pub(crate) fn by_playback(log: &GrantLog) -> HashMap<PlaybackId, usize> {
    let mut all = HashMap::new();
    for row in &log.rows {
        *all.entry(row.playback).or_default() += 1;
    }
    all
}
