//! Where ciphertext rests: a disk or an S3 bucket, behind signed URLs.
//!
//! An object is written once, whole, with exactly the length that was signed, and never changes afterwards. Clients
//! treat every URL as opaque: they send the method and the headers they were told, and nothing of their own.
//!
//! | module | what |
//! |---|---|
//! | `disk` | files: temporary name, fsync, rename, fsync of the folder; never over an existing file |
//! | `routes` | the disk's `PUT`, `GET`, `HEAD /blobs/{object}` |
//! | `sign` | the disk's own URLs: HMAC-SHA-256 over method, object, length and expiry |
//! | `range` | the one `Range` header we answer |
//! | `s3` | presigned URLs of an S3 store, and the few requests the server makes itself |

mod disk;
mod range;
mod routes;
mod s3;
mod sign;

use std::{path::PathBuf, sync::Arc, time::Duration};

use gloaming_api::video::{SignedDownload, SignedUpload};
use gloaming_ids::{ObjectId, UnixMillis};
use url::Url;

pub use sign::UrlKey;

/// How long a signed URL is good for, at least.
pub const URL_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Signed URLs are the same for so long, so that a cache in front of the store can know them again.
/// A URL is good for [`URL_LIFETIME`] and up to this much longer.
pub const URL_QUANTUM: Duration = Duration::from_secs(10 * 60);

/// How long a viewer's signed URL is good for, at most.
pub const VIEWER_URL_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Which time it is. The system's clock, unless a test says otherwise.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Where ciphertext rests.
#[derive(Clone, Debug)]
pub enum BlobConfig {
    /// Files in a folder, served by [`Blobs::disk_routes`].
    Disk {
        /// The folder; made if it is not there. One process at a time.
        dir: PathBuf,
        /// What comes before `/blobs/…` in a URL. None: URLs are paths, and a client resolves them against the address
        /// by which it reached the server, so that one server can be reached under several names.
        base_url: Option<Url>,
        /// Signs the URLs.
        secret: UrlKey,
    },
    /// An S3 bucket.
    S3(S3Config),
}

/// An S3 bucket and how to reach it.
#[derive(Clone)]
pub struct S3Config {
    /// `https://s3.eu-central-1.amazonaws.com`, say: where the server reaches it.
    pub endpoint: Url,
    /// Where clients reach it, if elsewhere: signed URLs name this host, and the store must see it as they do.
    pub public_endpoint: Option<Url>,
    /// `eu-central-1`, say. Stores with a single region take anything, usually `us-east-1`.
    pub region: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// Goes in front of every object's name. Empty, or ending in `/`.
    pub prefix: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// `endpoint/bucket/object` rather than `bucket.endpoint/object`: what most stores that are not Amazon's want.
    pub path_style: bool,
}

impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint.as_str())
            .field("public_endpoint", &self.public_endpoint.as_ref().map(Url::as_str))
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("path_style", &self.path_style)
            .finish_non_exhaustive()
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The operating system refused. The path says where to look.
    #[error("{path}: {source}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder is in use by another process: a server, most likely.
    #[error("{path}: another server uses this folder")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The store did not answer, or answered that it cannot now: try again.
    #[error("the object store does not answer: {reason}")]
    Unavailable {
        /// What happened, without URLs: they are signed.
        reason: String,
    },
    /// The store answered with a refusal: its keys, its bucket or its configuration are wrong.
    #[error("the object store refuses ({status}): check access key, bucket and region")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// The store refuses, and its clock says another time than this machine's: what is signed by one of them is long over,
    /// or not yet good, for the other.
    #[error(
        "the object store refuses: its clock and this server's are {minutes} minutes apart; set the one that is wrong"
    )]
    Clock {
        /// How far.
        minutes: u64,
    },
    /// The configuration cannot be right.
    #[error("object store configuration: {reason}")]
    Config {
        /// What is wrong.
        reason: String,
    },
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    place: Place,
    clock: Clock,
}

#[derive(Clone)]
enum Place {
    Disk(Arc<disk::Disk>),
    S3(Arc<s3::S3>),
}

impl Blobs {
    /// Opens the store: on a disk, makes its folders and removes what half-finished uploads left behind.
    /// No request is made to an S3 store; see [`Blobs::check`].
    pub fn open(config: BlobConfig) -> Result<Self, BlobError> {
        let place = match config {
            BlobConfig::Disk { dir, base_url, secret } => {
                Place::Disk(Arc::new(disk::Disk::open(dir, base_url, secret)?))
            }
            BlobConfig::S3(config) => Place::S3(Arc::new(s3::S3::open(&config)?)),
        };
        Ok(Self { place, clock: Arc::new(system_clock) })
    }

    /// With another clock, for tests. The clock decides when the disk's URLs have expired.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// A place to `PUT` one object of exactly `length` bytes. The URL writes once: it cannot replace an object.
    pub fn sign_put(&self, object: ObjectId, length: u64, now: UnixMillis) -> SignedUpload {
        match &self.place {
            Place::Disk(disk) => disk.sign_put(object, length, now),
            Place::S3(s3) => s3.sign_put(object, length, now),
        }
    }

    /// A place to `GET` one object, whole or by `Range`.
    pub fn sign_get(&self, object: ObjectId, length: u64, now: UnixMillis) -> SignedDownload {
        match &self.place {
            Place::Disk(disk) => disk.sign_get(object, length, quantised(now)),
            Place::S3(s3) => s3.sign_get(object, length, quantised(now)),
        }
    }

    /// The same for somebody whose leave may end any moment: good for [`VIEWER_URL_LIFETIME`] at most.
    pub fn sign_get_briefly(&self, object: ObjectId, length: u64, now: UnixMillis) -> SignedDownload {
        match &self.place {
            Place::Disk(disk) => disk.sign_get(object, length, brief(now)),
            Place::S3(s3) => s3.sign_get(object, length, brief(now)),
        }
    }

    /// How long the stored object is; none if it is not there, or not all of it.
    pub async fn stored_length(&self, object: ObjectId) -> Result<Option<u64>, BlobError> {
        match &self.place {
            Place::Disk(disk) => disk.stored_length(object).await,
            Place::S3(s3) => s3.stored_length(object, (self.clock)()).await,
        }
    }

    /// Deletes an object; one that is not there is deleted already. An upload whose URL is still good can bring it
    /// back: whoever deletes an object whose URL was handed out deletes it again after
    /// [`URL_LIFETIME`] + [`URL_QUANTUM`].
    pub async fn delete(&self, object: ObjectId) -> Result<(), BlobError> {
        match &self.place {
            Place::Disk(disk) => disk.delete(object).await,
            Place::S3(s3) => s3.delete(object, (self.clock)()).await,
        }
    }

    /// Asks the store whether it would take an object: the folder can be written, the bucket answers.
    pub async fn check(&self) -> Result<(), BlobError> {
        match &self.place {
            Place::Disk(disk) => disk.check().await,
            Place::S3(s3) => s3.check((self.clock)()).await,
        }
    }

    /// `PUT`, `GET` and `HEAD /blobs/{object}` of a disk; no routes for S3. They need no session: the URL is the leave.
    pub fn disk_routes(&self) -> axum::Router {
        match &self.place {
            Place::Disk(disk) => routes::routes(disk.clone(), self.clock.clone()),
            Place::S3(_) => axum::Router::new(),
        }
    }

    /// Origins, other than the page's own, that the page must be allowed to reach (`connect-src`).
    pub fn store_origins(&self) -> Vec<String> {
        match &self.place {
            Place::Disk(disk) => disk.origin().into_iter().collect(),
            Place::S3(s3) => vec![s3.origin()],
        }
    }

    /// Lets pages of this origin reach an S3 bucket, by writing the bucket's CORS rules; whatever rules it had are
    /// replaced. Nothing to do for a disk.
    pub async fn put_bucket_cors(&self, origin: &str) -> Result<(), BlobError> {
        match &self.place {
            Place::Disk(_) => Ok(()),
            Place::S3(s3) => s3.put_bucket_cors(origin, (self.clock)()).await,
        }
    }
}

/// When URLs signed now were signed, rounded down to the quantum, and how long after that they are good.
fn quantised(now: UnixMillis) -> (UnixMillis, Duration) {
    let quantum = URL_QUANTUM.as_millis() as u64;
    (UnixMillis(now.0 / quantum * quantum), URL_LIFETIME + URL_QUANTUM)
}

/// The same for a viewer's URLs: 4 to 5 minutes.
fn brief(now: UnixMillis) -> (UnixMillis, Duration) {
    (UnixMillis(now.0 / 60_000 * 60_000), VIEWER_URL_LIFETIME)
}

fn system_clock() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let config = S3Config {
            endpoint: "https://s3.example".parse().unwrap(),
            public_endpoint: None,
            region: "r".into(),
            bucket: "b".into(),
            prefix: "p/".into(),
            access_key: "the access key".into(),
            secret_key: "the secret key".into(),
            path_style: false,
        };
        let printed = format!("{config:?}");
        assert!(!printed.contains("secret key") && !printed.contains("access key"), "{printed}");
    }
}
