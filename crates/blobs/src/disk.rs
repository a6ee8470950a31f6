//! Ciphertext as files.
//!
//! ```text
//! DIR/lock                       held while a server runs
//! DIR/incoming/{object}.{random} an upload that is not all there
//! DIR/objects/{xx}/{object}      an object; xx is the last byte of its id, in hexadecimal
//! ```
//!
//! * An object appears under its name only when every byte of it is on the disk: written under another name, synced,
//!   renamed, and the folder synced, before anybody is told that it is stored.
//! * A file is never replaced: an object's bytes are what its first upload said, whoever replays its URL.
//! * Names are made from parsed ids, so no path from outside ever reaches the file system.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use gloaming_api::video::{SignedDownload, SignedUpload};
use gloaming_ids::{ObjectId, UnixMillis};
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::{
    BlobError, UrlKey, quantised,
    sign::{Claims, Method},
};

/// Gathered before each write, so that small network reads do not become small writes.
const WRITE_BUFFER: usize = 1024 * 1024;

pub(crate) struct Disk {
    objects: PathBuf,
    incoming: PathBuf,
    base_url: Option<Url>,
    pub(crate) key: UrlKey,
    /// Between "is there a file of that name" and the rename nobody else may come: a rename replaces without asking,
    /// and a hard link, which would not, is missing from some file systems. Only this process renames into `objects`.
    naming: Mutex<()>,
    _lock: File,
}

impl Disk {
    pub(crate) fn open(dir: PathBuf, base_url: Option<Url>, key: UrlKey) -> Result<Self, BlobError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| BlobError::Disk { path, source }
        };
        create_dir(&dir).map_err(at(&dir))?;
        let lock_path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BlobError::InUse { path: dir }),
            Err(TryLockError::Error(source)) => return Err(at(&lock_path)(source)),
        }

        let objects = dir.join("objects");
        create_dir(&objects).map_err(at(&objects))?;
        for shard in 0..=255u8 {
            let shard = objects.join(hex::encode([shard]));
            create_dir(&shard).map_err(at(&shard))?;
        }
        sync_dir(&objects).map_err(at(&objects))?;

        let incoming = dir.join("incoming");
        create_dir(&incoming).map_err(at(&incoming))?;
        let left_behind = remove_files(&incoming).map_err(at(&incoming))?;
        if left_behind > 0 {
            tracing::info!(left_behind, "removed uploads that were never finished");
        }
        sync_dir(&dir).map_err(at(&dir))?;

        Ok(Self { objects, incoming, base_url, key, naming: Mutex::new(()), _lock: lock })
    }

    pub(crate) fn sign_put(&self, object: ObjectId, length: u64, now: UnixMillis) -> SignedUpload {
        let (url, expires_at) = self.sign(Method::Put, object, length, quantised(now));
        SignedUpload { object, length, url, headers: Vec::new(), expires_at }
    }

    pub(crate) fn sign_get(
        &self,
        object: ObjectId,
        length: u64,
        good: (UnixMillis, Duration),
    ) -> SignedDownload {
        let (url, expires_at) = self.sign(Method::Get, object, length, good);
        SignedDownload { object, length, url, expires_at }
    }

    fn sign(
        &self,
        method: Method,
        object: ObjectId,
        length: u64,
        (from, lifetime): (UnixMillis, Duration),
    ) -> (String, UnixMillis) {
        let expires_at = from + lifetime;
        let path = self.key.sign(method, object, &Claims { length, expires: expires_at.as_secs() });
        let base = self.base_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
        (format!("{base}{path}"), expires_at)
    }

    pub(crate) fn origin(&self) -> Option<String> {
        self.base_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    fn path(&self, object: ObjectId) -> PathBuf {
        let shard = object.as_bytes()[15];
        self.objects.join(hex::encode([shard])).join(object.to_string())
    }

    /// The stored object's file and length.
    pub(crate) async fn read(&self, object: ObjectId) -> io::Result<Option<(tokio::fs::File, u64)>> {
        match tokio::fs::File::open(self.path(object)).await {
            Ok(file) => {
                let length = file.metadata().await?.len();
                Ok(Some((file, length)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn stored_length(&self, object: ObjectId) -> Result<Option<u64>, BlobError> {
        let path = self.path(object);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(BlobError::Disk { path, source }),
        }
    }

    pub(crate) async fn delete(&self, object: ObjectId) -> Result<(), BlobError> {
        let path = self.path(object);
        let at = path.clone();
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => sync_dir(path.parent().expect("an object's file lies in a folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
        .map_err(|source| BlobError::Disk { path: at, source })
    }

    pub(crate) async fn check(&self) -> Result<(), BlobError> {
        let path = self.incoming.join(format!("check.{}", random_suffix()));
        let probe = path.clone();
        blocking(move || {
            let written = fs::write(&probe, b"gloaming");
            let removed = fs::remove_file(&probe);
            written.and(removed)
        })
        .await
        .map_err(|source| BlobError::Disk { path, source })
    }

    /// Begins to receive an object.
    pub(crate) async fn receive(self: &Arc<Self>, object: ObjectId) -> io::Result<Incoming> {
        let path = self.incoming.join(format!("{object}.{}", random_suffix()));
        let file = tokio::fs::File::options().write(true).create_new(true).open(&path).await?;
        Ok(Incoming {
            disk: self.clone(),
            object,
            file: tokio::io::BufWriter::with_capacity(WRITE_BUFFER, file),
            remains: Remains(path),
        })
    }
}

/// An upload on its way in. Dropped before [`Incoming::keep`], it leaves nothing behind.
pub(crate) struct Incoming {
    disk: Arc<Disk>,
    object: ObjectId,
    file: tokio::io::BufWriter<tokio::fs::File>,
    remains: Remains,
}

/// What came of an upload that was all there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is stored, and will be after a power cut.
    Stored,
    /// Another upload of the same object was first; this one changed nothing.
    WasThere,
}

impl Incoming {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Gives the object its name, once its bytes are on the disk.
    pub(crate) async fn keep(mut self) -> io::Result<Kept> {
        self.file.flush().await?;
        let file = self.file.into_inner().into_std().await;
        let Remains(temporary) = &self.remains;
        let temporary = temporary.clone();
        let place = self.disk.path(self.object);
        let disk = self.disk;
        let kept = blocking(move || {
            file.sync_all()?;
            {
                let _alone = disk.naming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if fs::exists(&place)? {
                    return Ok(Kept::WasThere);
                }
                fs::rename(&temporary, &place)?;
            }
            sync_dir(place.parent().expect("an object's file lies in a folder"))?;
            Ok(Kept::Stored)
        })
        .await;
        drop(self.remains); // After a rename there is nothing left under the temporary name.
        kept
    }
}

/// Removes a temporary file when its upload ends, however it ends.
struct Remains(PathBuf);

impl Drop for Remains {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "an unfinished upload stays behind")
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn remove_files(dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        fs::remove_file(entry?.path())?;
        removed += 1;
    }
    Ok(removed)
}

fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes names in a folder survive a power cut. Only Unix lets a folder be opened for that.
fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn random_suffix() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    hex::encode(bytes)
}
