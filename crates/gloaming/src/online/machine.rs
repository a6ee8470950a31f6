//! This machine, as the client wants it: files, threads, the network, a private place to keep things.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use gloaming_api::{
    playback::PLAYBACK_COOKIE,
    video::{SignedDownload, SignedUpload},
};
use gloaming_client::platform::{
    ApiRequest, ApiResponse, Bulk, NotGenuine, Offline, OpenJob, Platform, SealJob, SealedFragment, Shelf,
    SourceFailure, SourceStamp, StoreFailure,
};
use gloaming_grants::proof::PROOF_HEADER;
use gloaming_ids::UnixMillis;
use gloaming_keys::{FRAGMENT_OVERHEAD, open_fragment_in_place, sha256};
use gloaming_media::Extent;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, RANGE, RETRY_AFTER, SET_COOKIE,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::native::seal_fragment;

/// The most an API answer may be.
const MAX_ANSWER: usize = 16 << 20;
/// What a body is cut into on its way, so that progress is seen.
const CHUNK: usize = 256 << 10;
/// Where the viewer's cookie is kept.
const VIEWER: &str = "viewer";

/// A buffer; parts of it share its memory.
#[derive(Clone, Debug)]
pub(crate) struct Chunk(pub(crate) Bytes);

impl Bulk for Chunk {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn slice(&self, range: Range<u64>) -> Self {
        Self(self.0.slice(at(range.start)..at(range.end)))
    }

    fn concat(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut whole = Vec::with_capacity(parts.iter().map(|part| part.0.len()).sum());
        for part in &parts {
            whole.extend_from_slice(&part.0);
        }
        Self(whole.into())
    }

    fn from_vec(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

fn at(position: u64) -> usize {
    usize::try_from(position).expect("a buffer is in memory")
}

/// A file to upload.
#[derive(Clone, Debug)]
pub(crate) struct LocalFile(Arc<File>);

impl LocalFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(File::open(path)?)))
    }

    fn read(&self, out: &mut [u8], offset: u64) -> Result<(), SourceFailure> {
        self.0.read_exact_at(out, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SourceFailure::Changed,
            _ => SourceFailure::Unreadable(error.to_string()),
        })
    }
}

/// This machine, with one profile's notes and one server.
pub(crate) struct Machine {
    /// For the server, and no other: its certificate may be pinned.
    http: reqwest::Client,
    /// For an object store elsewhere.
    other: reqwest::Client,
    server: Url,
    profile: PathBuf,
    token: RefCell<Option<String>>,
    viewer: RefCell<ViewerCookie>,
    began: Instant,
}

/// The cookie that names this machine to a server whose videos it watches under a share; for as long as the server says.
#[derive(Default, Serialize, Deserialize)]
struct ViewerCookie {
    value: String,
    until: u64,
}

impl Machine {
    /// `profile` is this profile's folder, made if it is not there. The token that it keeps is for the server that it
    /// remembers: `known` says whether this is that one.
    pub(crate) fn new(
        http: reqwest::Client,
        other: reqwest::Client,
        server: Url,
        profile: PathBuf,
        known: bool,
    ) -> io::Result<Self> {
        make_private(&profile)?;
        let token = match fs::read_to_string(profile.join("token")) {
            Ok(token) => known.then(|| token.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let viewer =
            fs::read(profile.join(VIEWER)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let viewer = RefCell::new(viewer.unwrap_or_default());
        Ok(Self { http, other, server, profile, token: RefCell::new(token), viewer, began: Instant::now() })
    }

    /// Keeps the viewer's cookie out of an answer, if there is one.
    fn keep_viewer(&self, headers: &HeaderMap) {
        let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let name = format!("{PLAYBACK_COOKIE}=");
        for cookie in cookies.filter_map(|cookie| cookie.strip_prefix(&name)) {
            let mut parts = cookie.split(';').map(str::trim);
            let value = parts.next().unwrap_or_default().to_owned();
            let age = parts
                .find_map(|part| part.split_once('=').filter(|(n, _)| n.eq_ignore_ascii_case("max-age")));
            let age: u64 = age.and_then(|(_, age)| age.parse().ok()).unwrap_or_default();
            let viewer = ViewerCookie { value, until: self.now().0.saturating_add(age.saturating_mul(1000)) };
            let bytes = serde_json::to_vec(&viewer).expect("a cookie serialises");
            // One that cannot be kept is good until this process ends.
            let _ = write_private(&self.profile.join(VIEWER), &bytes);
            self.viewer.replace(viewer);
        }
    }

    fn viewer(&self) -> Option<String> {
        let viewer = self.viewer.borrow();
        (viewer.until > self.now().0).then(|| format!("{PLAYBACK_COOKIE}={}", viewer.value))
    }

    /// The address of a page of the server.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.server.origin().ascii_serialization())
    }

    /// Where an object is: the server names its own store by a path, any other by its whole address.
    fn object(&self, url: &str) -> Result<(&reqwest::Client, Url), StoreFailure> {
        let url = self.server.join(url).map_err(|_| StoreFailure::Expired)?;
        let http = if url.origin() == self.server.origin() { &self.http } else { &self.other };
        Ok((http, url))
    }

    fn place(&self, shelf: Shelf, name: &str) -> PathBuf {
        debug_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'/'));
        let shelf = match shelf {
            Shelf::Notes => "notes",
            Shelf::Keys => "keys",
        };
        self.profile.join(shelf).join(name)
    }
}

/// Folders that nobody else may look into.
fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file whole or not at all, readable by its owner alone.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("a file is in a folder");
    make_private(folder)?;
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

impl Platform for Machine {
    type Bytes = Chunk;
    type Source = LocalFile;

    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn fill_random(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system has random bytes");
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn call(&self, request: ApiRequest) -> Result<ApiResponse, Offline> {
        let url = self.server.join(&request.path).map_err(|error| Offline { reason: error.to_string() })?;
        let method = request.method.parse().expect("the client names HTTP's own methods");
        let mut ask = self.http.request(method, url).timeout(Duration::from_secs(60));
        if let Some(token) = &*self.token.borrow() {
            ask = ask.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let as_viewer = request.proof.is_some() || request.path == "/v1/session";
        if let Some(cookie) = self.viewer().filter(|_| as_viewer) {
            ask = ask.header(COOKIE, cookie);
        }
        if let Some(proof) = request.proof {
            ask = ask.header(PROOF_HEADER, proof);
        }
        if let Some(body) = request.body {
            ask = ask.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut answer = ask.send().await.map_err(offline)?;
        let status = answer.status().as_u16();
        self.keep_viewer(answer.headers());
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(offline)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Offline { reason: "its answer is too long".into() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(ApiResponse { status, body, retry_after })
    }

    fn wants_token(&self) -> bool {
        true
    }

    async fn keep_token(&self, token: Option<&str>) {
        let place = self.profile.join("token");
        match token {
            // A token that cannot be kept is good until this process ends; the next one asks to sign in.
            Some(token) => drop(write_private(&place, token.as_bytes())),
            None => drop(fs::remove_file(&place)),
        }
        *self.token.borrow_mut() = token.map(Into::into);
    }

    async fn stamp(&self, source: &LocalFile) -> Result<SourceStamp, SourceFailure> {
        let seen = source.0.metadata().map_err(|error| SourceFailure::Unreadable(error.to_string()))?;
        let modified = seen.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.and_then(|since| u64::try_from(since.as_millis()).ok()).map(UnixMillis);
        Ok(SourceStamp { len: seen.len(), modified })
    }

    async fn read(&self, source: &LocalFile, extent: Extent) -> Result<Vec<u8>, SourceFailure> {
        let source = source.clone();
        blocking(move || {
            let mut out = vec![0; at(extent.len)];
            source.read(&mut out, extent.offset)?;
            Ok(out)
        })
        .await
    }

    async fn seal(&self, source: &LocalFile, job: SealJob) -> Result<SealedFragment<Chunk>, SourceFailure> {
        let source = source.clone();
        blocking(move || {
            // Zeroed pages come from the system for nothing.
            let mut buf = vec![0; at(job.plaintext_len) + FRAGMENT_OVERHEAD];
            let (_, sha256) = seal_fragment(&job, |out, offset| source.read(out, offset), &mut buf)?;
            Ok(SealedFragment { bytes: Chunk(buf.into()), sha256 })
        })
        .await
    }

    async fn open(&self, sealed: Chunk, job: OpenJob) -> Result<Chunk, NotGenuine> {
        blocking(move || {
            if sha256(&sealed.0) != job.sha256 {
                return Err(NotGenuine);
            }
            let mut buf = Vec::from(sealed.0);
            open_fragment_in_place(&job.key, job.number, job.last, &mut buf).map_err(|_| NotGenuine)?;
            Ok(Chunk(buf.into()))
        })
        .await
    }

    async fn put(
        &self,
        upload: &SignedUpload,
        parts: &[Chunk],
        padding: u64,
        sent: &dyn Fn(u64),
    ) -> Result<(), StoreFailure> {
        let mut random = vec![0; at(padding)];
        self.fill_random(&mut random);
        let pieces: Vec<Bytes> =
            parts.iter().map(|part| part.0.clone()).chain([Bytes::from(random)]).flat_map(cut).collect();
        let gone = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&gone);
        let body = futures::stream::iter(pieces.into_iter().map(move |piece| {
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok::<_, io::Error>(piece)
        }));
        let (http, url) = self.object(&upload.url)?;
        let mut ask = http.put(url).header(CONTENT_LENGTH, upload.length);
        for header in upload.headers.iter().filter(|h| !h.name.eq_ignore_ascii_case("content-length")) {
            ask = ask.header(&header.name, &header.value);
        }
        let mut answer = std::pin::pin!(ask.body(reqwest::Body::wrap_stream(body)).send());
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                answer = &mut answer => {
                    let status = answer.map_err(store_offline)?.status().as_u16();
                    return if (200..300).contains(&status) { Ok(()) } else { Err(refusal(status)) };
                }
                _ = ticks.tick() => sent(gone.load(Ordering::Relaxed)),
            }
        }
    }

    async fn get(&self, download: &SignedDownload, range: Range<u64>) -> Result<Chunk, StoreFailure> {
        let len = at(range.end - range.start);
        let wanted = format!("bytes={}-{}", range.start, range.end - 1);
        let (http, url) = self.object(&download.url)?;
        let mut answer = http.get(url).header(RANGE, wanted).send().await.map_err(store_offline)?;
        let whole = range.start == 0 && range.end == download.length;
        match answer.status().as_u16() {
            206 => {}
            200 if whole => {}
            200 => return Err(StoreFailure::WrongLength),
            status => return Err(refusal(status)),
        }
        let mut body = Vec::with_capacity(len);
        while let Some(chunk) = answer.chunk().await.map_err(store_offline)? {
            if body.len() + chunk.len() > len {
                return Err(StoreFailure::WrongLength);
            }
            body.extend_from_slice(&chunk);
        }
        if body.len() == len { Ok(Chunk(body.into())) } else { Err(StoreFailure::WrongLength) }
    }

    async fn load(&self, shelf: Shelf, name: &str) -> Option<Vec<u8>> {
        fs::read(self.place(shelf, name)).ok()
    }

    async fn save(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> Result<(), String> {
        let place = self.place(shelf, name);
        write_private(&place, bytes).map_err(|error| format!("{}: {error}", place.display()))
    }

    async fn forget(&self, shelf: Shelf, name: &str) {
        let _ = fs::remove_file(self.place(shelf, name));
    }

    async fn names(&self, shelf: Shelf, prefix: &str) -> Vec<String> {
        // Prefixes end with a slash: a folder.
        let Ok(entries) = fs::read_dir(self.place(shelf, prefix)) else { return vec![] };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).map(|name| format!("{prefix}{name}")).collect()
    }
}

/// Does something that keeps a thread busy, beside the one that waits.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("sealing and reading do not panic")
}

fn cut(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        (!bytes.is_empty()).then(|| {
            let next = bytes.len().min(CHUNK);
            bytes.split_to(next)
        })
    })
}

/// In a few words, and without the address: a signed URL is a secret while it lasts.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".into();
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if deepest.is::<reqwest::Error>() { "the connection failed".into() } else { deepest.to_string() }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn offline(error: reqwest::Error) -> Offline {
    Offline { reason: reason(&error) }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn store_offline(error: reqwest::Error) -> StoreFailure {
    StoreFailure::Offline(reason(&error))
}

fn refusal(status: u16) -> StoreFailure {
    match status {
        401 | 403 => StoreFailure::Expired,
        404 | 410 => StoreFailure::Missing,
        412 => StoreFailure::AlreadyThere,
        416 => StoreFailure::WrongLength,
        429 | 502..=504 => StoreFailure::Busy,
        507 => StoreFailure::Full,
        status => StoreFailure::Status(status),
    }
}
