//! Viewers of one link, as many and as quick as a test wants: each exchanges keys, proves its requests and unwraps what it
//! is granted, as the client does.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Instant,
};

use gloaming_api::{
    Bytes,
    playback::{Grants, PLAYBACK_COOKIE, PlaybackStart, PlaybackStarted},
};
use gloaming_grants::{
    chain::{EPOCH, Epochs},
    exchange::{Answer, Offer, Purpose},
    proof::{Asked, PROOF_HEADER, Proof},
};
use gloaming_ids::{PlaybackId, ShareId, TrackId};
use gloaming_keys::{LinkKeys, LinkSecret};
use gloaming_package::Index;
use reqwest::{Client, StatusCode, header};

/// What stands in a link, read.
pub struct Link {
    share: ShareId,
    keys: LinkKeys,
    /// The server itself: nothing stands between.
    server: SocketAddr,
}

/// A track of the shared video.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    /// Which.
    pub id: TrackId,
    /// How many segments it has.
    pub segments: u32,
}

/// One that watches.
pub struct Viewer {
    http: Client,
    server: SocketAddr,
    /// Whence it comes, as the proxy says that the server trusts.
    address: Ipv4Addr,
    cookie: String,
    epochs: Epochs,
    purpose: Purpose,
    counter: u64,
    began: Instant,
}

impl Link {
    /// From what `share` or `publish` printed, for the server at this address.
    pub fn read(link: &str, server: SocketAddr) -> Self {
        let (page, fragment) = link.split_once('#').expect("a link with a secret");
        let share: ShareId = page.rsplit('/').next().unwrap().parse().unwrap();
        let keys = LinkSecret::from_fragment(fragment).unwrap().keys(share, None).unwrap();
        Self { share, keys, server }
    }

    /// Begins a playback, as the viewer number `number`: each comes from an address of its own. Nothing if the server is
    /// not there.
    pub async fn begin(&self, http: &Client, number: u32) -> Option<(Viewer, PlaybackStarted)> {
        let offer = Offer::new(&mut entropy);
        let address = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + number * 256);
        let body = PlaybackStart {
            share: self.share,
            video_id: None,
            token: Some(Bytes(self.keys.token().expose().to_vec())),
            client_pubkey_b64: Bytes(offer.public_key().to_vec()),
            embedded: false,
        };
        let url = format!("http://{}/v1/session", self.server);
        let request = http.post(url).header("x-forwarded-for", address.to_string()).json(&body);
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), StatusCode::OK, "a session begins");
        let began = Instant::now();
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with(PLAYBACK_COOKIE));
        let started: PlaybackStarted = response.json().await.ok()?;
        let purpose = Purpose { playback: started.session_id, video: started.video_id, share: self.share };
        let answer = Answer {
            ciphertext: started.kem_ciphertext_b64.0.clone(),
            nonce: started.nonce_b64.0.clone().try_into().unwrap(),
        };
        let epochs = offer.accept(&purpose, &answer).unwrap();
        let (http, server) = (http.clone(), self.server);
        Some((Viewer { http, server, address, cookie, epochs, purpose, counter: 0, began }, started))
    }

    /// The longest track of the video: from the index, which the link opens.
    pub async fn longest_track(&self, http: &Client, started: &PlaybackStarted) -> Track {
        let keys = self.keys.open(&started.sealed.0).unwrap();
        let key = &keys.videos[0];
        let url = format!("http://{}{}", self.server, path(&started.index.url));
        let sealed = http.get(url).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        let index =
            Index::open(&sealed, &key.view_share, key.video, started.index_version, &key.verifier).unwrap();
        let tracks = index.tracks().enumerate().map(|(number, about)| {
            let segments = index.segment_count(u16::try_from(number).unwrap());
            Track { id: about.id, segments }
        });
        tracks.max_by_key(|track| track.segments).expect("a video has tracks")
    }
}

impl Viewer {
    /// The playback as the server calls it.
    pub fn playback(&self) -> PlaybackId {
        self.purpose.playback
    }

    /// Asks for segments; how many were granted, each unwrapped. Nothing if the server went away before it answered.
    pub async fn ask(&mut self, track: Track, from: u32, count: u32) -> Option<Result<Grants, StatusCode>> {
        let response = self.send(track, from, count).await?;
        if response.status() != StatusCode::OK {
            return Some(Err(response.status()));
        }
        let grants: Grants = response.json().await.ok()?;
        self.epochs.advance(grants.epoch);
        let keys = self.epochs.keys(grants.epoch).expect("the epoch of now");
        for grant in &grants.grants {
            keys.unwrap(&grant.wdek_b64.0).expect("wrapped for this playback");
        }
        Some(Ok(grants))
    }

    /// Asks for segments and reads the answer's bytes without opening them, for a load that costs the asker little.
    pub async fn take(&mut self, track: Track, from: u32, count: u32) -> Option<StatusCode> {
        let response = self.send(track, from, count).await?;
        let status = response.status();
        response.bytes().await.ok()?;
        Some(status)
    }

    async fn send(&mut self, track: Track, from: u32, count: u32) -> Option<reqwest::Response> {
        self.epochs.advance(self.began.elapsed().as_secs() / EPOCH.as_secs());
        self.counter += 1;
        let video = self.purpose.video;
        let target = format!("/v1/key?video_id={video}&rend={}&from={from}&count={count}", track.id);
        let asked = Asked { method: "GET", target: &target, body: b"" };
        let proof = Proof::new(self.epochs.current(), self.purpose.playback, self.counter, &asked);
        let request = self.http.get(format!("http://{}{target}", self.server));
        let request = request.header("x-forwarded-for", self.address.to_string());
        let request = request.header(header::COOKIE, &self.cookie).header(PROOF_HEADER, proof.to_string());
        request.send().await.ok()
    }
}

/// Path and query of an address.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    &rest[rest.find('/').unwrap()..]
}

/// The system's randomness.
fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the system has randomness");
}
