//! A real server on a real port, with a clock that a test can move, and clients that speak its wire.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

pub(crate) mod guests;
pub(crate) mod viewer;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ed25519_dalek::SigningKey;
use gloaming_api::{
    Bytes,
    account::{
        Invite, InviteRequest, LoginChallenge, LoginFinish, LoginStart, RegistrationChallenge,
        RegistrationFinish, RegistrationStart, SessionOpened, Stretching,
    },
    keyring::{SealedKeyring, UnlockMethod, Wrap},
    video::{Commit, DraftRequest, ObjectsRequest, SignedUpload, SignedUploads, VideoInfo},
};
use gloaming_ids::{ObjectId, UnixMillis, VideoId};
use gloaming_login::{KsfParams, LoginState, RegistrationState, ServerSetup};
use gloaming_server::{Config, ForwarderListen, Jobs, Server};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub(crate) const PASSWORD: &str = "a lamp in every window";

/// A server that runs.
pub(crate) struct Home {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// Where the forwarder is, if there is one.
    pub(crate) media: Vec<SocketAddr>,
    pub(crate) jobs: Jobs,
    pub(crate) setup_token: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) http: reqwest::Client,
    clock: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// In a folder of its own.
pub(crate) async fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    (dir, home)
}

pub(crate) async fn home_in(dir: &Path, change: impl FnOnce(&mut Config)) -> Home {
    let clock = Arc::new(AtomicU64::new(1_800_000_000_000));
    let mut config = Config::new(dir.join("data"));
    let reads = clock.clone();
    config.clock = Arc::new(move || UnixMillis(reads.load(Ordering::SeqCst)));
    config.metrics = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.forwarder.listen = ForwarderListen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::open(config).await.unwrap();
    let link = server.setup_link(address);
    let home = Home {
        address,
        metrics: server.metrics_address().unwrap(),
        media: server.media_addresses().to_vec(),
        jobs: server.jobs(),
        setup_token: link.map(|link| link.split_once('#').unwrap().1.to_owned()),
        fingerprint: server.fingerprint().map(str::to_owned),
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
        clock,
        stop: None,
        serving: None,
    };
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async {
        server.run(listener, async { drop(stopped.await) }).await.unwrap();
    });
    Home { stop: Some(stop), serving: Some(serving), ..home }
}

impl Home {
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.clock.load(Ordering::SeqCst))
    }

    /// Moves the server's clock.
    pub(crate) fn later(&self, by: Duration) {
        self.clock.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.address) }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap();
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// The owner, made through the set-up link.
    pub(crate) async fn owner(&self) -> Person<'_> {
        self.register("Ada", self.setup_token.as_deref().unwrap()).await
    }

    /// Makes an account, with a password that is not its own: see [`upload`].
    pub(crate) async fn register(&self, name: &str, token: &str) -> Person<'_> {
        let response = self.post("/v1/registrations/finish", &self.registration(name, token).await).await;
        let opened: SessionOpened = read(response).await;
        Person { home: self, name: name.to_owned(), token: opened.token.clone().unwrap(), opened }
    }

    /// The last message of a registration, after the first two.
    pub(crate) async fn registration(&self, name: &str, token: &str) -> RegistrationFinish {
        let (_, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
        let start = RegistrationStart { token: token.into(), username: name.into(), request: request.into() };
        let challenge: RegistrationChallenge = read(self.post("/v1/registrations", &start).await).await;
        RegistrationFinish {
            token: token.into(),
            username: name.into(),
            account: challenge.account,
            upload: Bytes(upload().to_vec()),
            stretching: stretching(),
            keyring: keyring(1),
            recovery_key: Bytes(recovery_key().verifying_key().to_bytes().to_vec()),
            device: "a test".into(),
            want_token: true,
        }
    }

    /// The first two messages of a sign-in, and the third to send. Right only for a real registration.
    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> LoginFinish {
        let (state, request) = LoginState::start(password, &mut entropy).unwrap();
        let start = LoginStart { username: name.into(), request: request.into() };
        let challenge: LoginChallenge = read(self.post("/v1/sessions", &start).await).await;
        let key = gloaming_api::username_key(name).unwrap();
        let Stretching { memory_kib, passes, lanes } = challenge.stretching;
        let params = KsfParams { memory_kib, passes, lanes };
        // A wrong password shows on the client; a liar sends something all the same.
        let finalization = state
            .finish(&challenge.response.0, &key, params, &mut entropy)
            .map_or_else(|_| vec![0; 64], |done| done.finalization);
        LoginFinish {
            attempt: challenge.attempt,
            finalization: finalization.into(),
            device: "a second device".into(),
            want_token: true,
        }
    }
}

/// Somebody signed in.
pub(crate) struct Person<'h> {
    pub(crate) home: &'h Home,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) opened: SessionOpened,
}

impl Person<'_> {
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<serde_json::Value>) -> Response {
        let request = self.home.request(method, path).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Response {
        self.send(Method::POST, path, Some(serde_json::to_value(body).unwrap())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &impl Serialize) -> Response {
        self.send(Method::PUT, path, Some(serde_json::to_value(body).unwrap())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.send(Method::DELETE, path, None).await
    }

    /// A token of an invite.
    pub(crate) async fn invite(&self, quota_bytes: Option<u64>) -> String {
        let request = InviteRequest { label: "a friend".into(), valid_seconds: 3600, quota_bytes };
        read::<Invite>(self.post("/v1/invites", &request).await).await.token.unwrap()
    }

    pub(crate) async fn reserve(&self, video: VideoId, lengths: &[u64]) -> Vec<SignedUpload> {
        let request = ObjectsRequest { lengths: lengths.to_vec() };
        read::<SignedUploads>(self.post(&format!("/v1/videos/{video}/objects"), &request).await).await.uploads
    }

    /// A committed video with objects of these bytes, the first its index.
    pub(crate) async fn publish(&self, video: VideoId, objects: &[&[u8]]) -> (VideoInfo, Vec<ObjectId>) {
        let draft = self.put(&format!("/v1/videos/{video}"), &draft()).await;
        assert_eq!(draft.status(), StatusCode::OK);
        let lengths: Vec<u64> = objects.iter().map(|object| object.len() as u64).collect();
        let uploads = self.reserve(video, &lengths).await;
        for (upload, bytes) in uploads.iter().zip(objects) {
            let stored = self.home.upload(upload, bytes.to_vec()).await;
            assert!(stored.status().is_success(), "{stored:?}");
        }
        let ids: Vec<ObjectId> = uploads.iter().map(|upload| upload.object).collect();
        let committed = self.post(&format!("/v1/videos/{video}/commit"), &commit(1, &ids)).await;
        (read(committed).await, ids)
    }
}

impl Home {
    pub(crate) async fn upload(&self, upload: &SignedUpload, bytes: Vec<u8>) -> Response {
        let mut request = self.request(Method::PUT, &upload.url);
        for header in &upload.headers {
            request = request.header(&header.name, &header.value);
        }
        request.body(bytes).send().await.unwrap()
    }
}

pub(crate) fn draft() -> DraftRequest {
    DraftRequest { sealed_secret: Bytes(vec![7; 120]) }
}

pub(crate) fn commit(version: u64, objects: &[ObjectId]) -> Commit {
    Commit {
        expected_version: version - 1,
        index_version: version,
        index: objects[0],
        card: None,
        poster: None,
        objects: objects.to_vec(),
    }
}

pub(crate) fn video(n: u8) -> VideoId {
    VideoId::generate_at(UnixMillis(u64::from(n)), &mut |out: &mut [u8]| out.fill(n))
}

pub(crate) fn keyring(version: u64) -> SealedKeyring {
    let wrap = |method, fill| Wrap { method, sealed: wrap(version, fill) };
    SealedKeyring {
        version,
        sealed: Bytes(vec![version as u8; 300]),
        wraps: vec![wrap(UnlockMethod::Password, 1), wrap(UnlockMethod::Recovery, 2)],
    }
}

pub(crate) fn wrap(version: u64, fill: u8) -> Bytes {
    Bytes([version.to_be_bytes().as_slice(), &[fill; 52]].concat())
}

pub(crate) fn recovery_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

/// The floor's: Argon2id at its cheapest that is allowed.
pub(crate) fn stretching() -> Stretching {
    let KsfParams { memory_kib, passes, lanes } = KsfParams::FLOOR;
    Stretching { memory_kib, passes, lanes }
}

/// A registration's last OPAQUE message, made once with another server: as good as any where nobody signs in with it.
pub(crate) fn upload() -> &'static [u8] {
    static UPLOAD: OnceLock<Vec<u8>> = OnceLock::new();
    UPLOAD.get_or_init(|| {
        let server = ServerSetup::generate(&mut entropy);
        let (state, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
        let response = server.registration_start("nobody", &request).unwrap();
        state.finish(&response, "nobody", KsfParams::FLOOR, &mut entropy).unwrap().upload
    })
}

/// The same with this server, so that signing in works.
pub(crate) fn real_upload(response: &[u8], name: &str, state: RegistrationState) -> Vec<u8> {
    let key = gloaming_api::username_key(name).unwrap();
    state.finish(response, &key, KsfParams::FLOOR, &mut entropy).unwrap().upload
}

pub(crate) fn entropy(out: &mut [u8]) {
    getrandom::fill(out).unwrap();
}

/// A success, read.
pub(crate) async fn read<T: DeserializeOwned>(response: Response) -> T {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Status and body, as a snapshot shows them.
pub(crate) async fn show(response: Response) -> String {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => format!("{status} {json}"),
        Err(_) => format!("{status} {text}"),
    }
}

/// Status and error code.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: gloaming_api::ErrorBody = response.json().await.unwrap();
    assert_eq!(status, body.code.status(), "{body:?}");
    assert!(body.message.ends_with(['.', '\'']), "a sentence: {}", body.message);
    (status, body.code.as_str().to_owned())
}
