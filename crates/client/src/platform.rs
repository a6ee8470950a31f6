//! What the client asks of the machine it runs on: native (the command line) or a browser's worker.
//!
//! Everything with a rule in it is in this crate; a platform moves bytes. Bulk bytes ([`Platform::Bytes`]) are opaque,
//! so that in a browser they stay outside of WASM's memory from the file to the network and back.

use std::{ops::Range, time::Duration};

use gloaming_api::video::{SignedDownload, SignedUpload};
use gloaming_ids::UnixMillis;
use gloaming_keys::SegmentKey;
use gloaming_media::{Extent, Piece};
use gloaming_package::FragmentJob;

/// A buffer of media. Cheap to pass on; copied only where it says so.
pub trait Bulk: Sized {
    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of it. A view where the platform has them, else a copy. The range lies inside.
    fn slice(&self, range: Range<u64>) -> Self;

    /// Several, one after another.
    fn concat(parts: Vec<Self>) -> Self;

    /// From bytes made in this crate: manifests, init segments, indexes.
    fn from_vec(bytes: Vec<u8>) -> Self;

    /// Brought into this crate's memory: for what is small, or must be parsed.
    fn to_vec(&self) -> Vec<u8>;
}

/// One call of the JSON API. The platform knows the server's address, and adds the credentials.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// With the leading `/v1/`, and the query.
    pub path: String,
    /// JSON.
    pub body: Option<Vec<u8>>,
    /// Of a playback: goes into the header `x-gloaming-proof`, and the cookie of viewers goes along.
    pub proof: Option<String>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON, or nothing. At most 16 MiB; a platform cuts longer ones off with [`Offline`].
    pub body: Vec<u8>,
    /// Seconds out of `Retry-After`, if the server said so.
    pub retry_after: Option<u64>,
}

/// No answer came: no network, no server, a connection cut, a certificate refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// In a few words, for people: "the server does not answer".
    pub reason: String,
}

/// A source file, as it is now. Two that differ are two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceStamp {
    /// Bytes.
    pub len: u64,
    /// When it was last written, if the platform knows.
    pub modified: Option<UnixMillis>,
}

/// Why the source could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceFailure {
    /// Fewer bytes than asked for, or another time of writing.
    Changed,
    /// The system says no, in its words.
    Unreadable(String),
}

/// One fragment to read and seal: `nonce(12, random) ‖ AES-256-GCM(key, nonce, aad, pieces) ‖ tag(16)`.
#[derive(Debug)]
pub struct SealJob {
    /// The plaintext: ranges of the source and literal bytes, in order.
    pub pieces: Vec<Piece>,
    /// The segment's key.
    pub key: SegmentKey,
    /// Number of the fragment in its segment.
    pub number: u32,
    /// Whether the segment ends with it.
    pub last: bool,
    /// What the fragment is bound to: [`gloaming_keys::fragment_aad`] of those two.
    pub aad: [u8; 6],
    /// What the pieces add up to.
    pub plaintext_len: u64,
}

impl From<FragmentJob> for SealJob {
    fn from(job: FragmentJob) -> Self {
        Self {
            pieces: job.pieces,
            key: job.key,
            number: job.place.number,
            last: job.last,
            aad: job.aad,
            plaintext_len: job.plaintext_len,
        }
    }
}

/// One fragment to check and open.
#[derive(Debug)]
pub struct OpenJob {
    /// The segment's key.
    pub key: SegmentKey,
    /// Number of the fragment in its segment.
    pub number: u32,
    /// Whether the segment ends with it.
    pub last: bool,
    /// What the fragment is bound to: [`gloaming_keys::fragment_aad`] of those two.
    pub aad: [u8; 6],
    /// SHA-256 of the sealed fragment, to be checked before it is opened.
    pub sha256: [u8; 32],
}

/// A sealed fragment.
#[derive(Clone, Debug)]
pub struct SealedFragment<B> {
    /// nonce ‖ ciphertext ‖ tag.
    pub bytes: B,
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
}

/// The digest differs, or the fragment does not authenticate. Nothing of it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotGenuine;

/// Why the object store did not take or give an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    /// No answer, or the connection broke on the way.
    Offline(String),
    /// 412: an object is there already.
    AlreadyThere,
    /// 401 or 403: the URL is no longer good.
    Expired,
    /// 404 or 410.
    Missing,
    /// 507: the store is full.
    Full,
    /// 429, or 502 to 504: later.
    Busy,
    /// The answer is not the range that was asked for.
    WrongLength,
    /// Any other status.
    Status(u16),
}

/// Where something small is kept on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// Nothing secret: upload journals, the last heads seen, sealed caches. Survives locking.
    Notes,
    /// The unlocked account key. For nobody else's eyes (0600, or only in memory), and gone after locking.
    Keys,
}

/// The machine. Futures need not be `Send`: a client lives on one thread.
///
/// Every method may be called while others are under way.
#[allow(async_fn_in_trait, reason = "the client is generic over it and never asks for Send")]
pub trait Platform: 'static {
    /// A buffer of media.
    type Bytes: Bulk + Clone + 'static;
    /// A file to upload.
    type Source;

    /// The clock. Only for people and for pauses; nothing depends on its being right.
    fn now(&self) -> UnixMillis;

    /// How much time has passed since some moment: a clock that nobody sets, and that never runs back.
    fn elapsed(&self) -> Duration;

    /// Fills `out` from the system's random generator.
    fn fill_random(&self, out: &mut [u8]);

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// Calls the server: `Authorization: Bearer` with the token last given to [`keep_token`](Platform::keep_token), or
    /// a browser's cookie. The cookie that names a viewer is kept and sent as a browser does. Never retries.
    async fn call(&self, request: ApiRequest) -> Result<ApiResponse, Offline>;

    /// Whether sign-in shall ask for a token; a browser gets a cookie instead.
    fn wants_token(&self) -> bool;

    /// Uses this token from now on, and after a restart; none forgets it.
    async fn keep_token(&self, token: Option<&str>);

    /// What the source is now.
    async fn stamp(&self, source: &Self::Source) -> Result<SourceStamp, SourceFailure>;

    /// Reads exactly this range of the source: headers and sample tables, at most 8 MiB.
    async fn read(&self, source: &Self::Source, extent: Extent) -> Result<Vec<u8>, SourceFailure>;

    /// Reads, seals and digests one fragment, off the thread that waits.
    async fn seal(
        &self,
        source: &Self::Source,
        job: SealJob,
    ) -> Result<SealedFragment<Self::Bytes>, SourceFailure>;

    /// Checks the digest, then opens. Off the thread that waits.
    async fn open(&self, sealed: Self::Bytes, job: OpenJob) -> Result<Self::Bytes, NotGenuine>;

    /// Puts `parts`, then `padding` random bytes, as one object; together they are `upload.length`. Sends the headers it
    /// was told, and no credentials. `sent` hears how many bytes of it are on their way so far.
    async fn put(
        &self,
        upload: &SignedUpload,
        parts: &[Self::Bytes],
        padding: u64,
        sent: &dyn Fn(u64),
    ) -> Result<(), StoreFailure>;

    /// Gets exactly this range of an object (by `Range`, 206), without credentials.
    async fn get(&self, download: &SignedDownload, range: Range<u64>) -> Result<Self::Bytes, StoreFailure>;

    /// What [`save`](Platform::save) kept under this name. `name` is ASCII letters, digits, `-` and `/`.
    async fn load(&self, shelf: Shelf, name: &str) -> Option<Vec<u8>>;

    /// Keeps it, whole or not at all. What cannot be kept is said in words (a full disk).
    async fn save(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> Result<(), String>;

    /// Forgets it.
    async fn forget(&self, shelf: Shelf, name: &str);

    /// Everything kept whose name begins so.
    async fn names(&self, shelf: Shelf, prefix: &str) -> Vec<String>;
}
