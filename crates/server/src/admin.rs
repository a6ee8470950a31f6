//! What `gloaming admin` does, on a data folder, while a server runs or not: SQLite lets both work at once.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use gloaming_api::{account::InviteRequest, username_key};
use gloaming_blobs::BlobError;
use gloaming_store::{AccountUsage, Store, StoreError};

use crate::{
    Config, ConfigError, RotationReport, StartError, app, data_dir, jobs, kms, routes::invite, setup,
};

/// The data folder, open for whoever runs the server.
pub struct Admin {
    config: Config,
    store: Store,
}

/// What a collection found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Abandoned drafts and objects that were given up.
    pub given_up: usize,
    /// Objects whose bytes were deleted.
    pub deleted: usize,
    /// A running server has the folder of objects; it deletes their bytes within a minute.
    pub left_to_server: bool,
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Objects in it.
    pub objects: u64,
    /// Bytes copied now; objects that an earlier backup left there are not copied again.
    pub copied_bytes: u64,
    /// Objects that the database names and the folder lacks: deleted while the backup ran, or lost.
    pub missing: u64,
    /// Ciphertext is in an S3 store, which has its own ways, and is not in this backup.
    pub without_objects: bool,
}

/// The keys under which the server's halves of shared keys are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeys {
    /// Id of the one that seals now.
    pub current: String,
    /// Envelopes under each.
    pub envelopes: Vec<(String, u64)>,
}

/// Files of the data folder, besides database and objects, that a restored server needs.
const FOLDERS: [&str; 2] = [data_dir::SECRETS, "tls"];
const DATABASE: &str = "gloaming.db";
const CONFIGURATION: &str = "gloaming.toml";

impl Admin {
    /// Opens an existing data folder.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let path = config.data.join(DATABASE);
        // Opening would make one, and then the command would work on nothing.
        fs::metadata(&path).map_err(|e| StartError::io(path.display().to_string(), e))?;
        let store = Store::open(&path)?;
        Ok(Self { config, store })
    }

    /// Makes an invite; its link.
    pub async fn invite(
        &self,
        label: &str,
        valid: Duration,
        quota_bytes: Option<u64>,
    ) -> Result<String, StartError> {
        let request = InviteRequest { label: label.into(), valid_seconds: valid.as_secs(), quota_bytes };
        let invite = invite::make(&self.store, request, (self.config.clock)()).await?;
        let token = invite.token.expect("a new invite has its token");
        Ok(format!("{}/join#{token}", setup::base_url(&self.config, self.config.listen)))
    }

    /// All accounts and what they take.
    pub async fn usage(&self) -> Result<Vec<AccountUsage>, StartError> {
        Ok(self.store.usage().await?)
    }

    /// Shuts an account out, or lets it in again; a running server knows at once.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), StartError> {
        let key = username_key(username).map_err(|_| StoreError::NotFound)?;
        Ok(self.store.set_disabled(key, disabled).await?)
    }

    /// Gives up abandoned drafts, and deletes the bytes of objects that nothing refers to.
    pub async fn gc(&self) -> Result<GcReport, StartError> {
        let now = (self.config.clock)();
        let mut report = GcReport::default();
        loop {
            match self.store.give_up_drafts(now).await? {
                0 => break,
                some => report.given_up += some,
            }
        }
        let blobs = match app::open_blobs(&self.config) {
            Err(StartError::Blobs(BlobError::InUse { .. })) => {
                report.left_to_server = true;
                return Ok(report);
            }
            blobs => blobs?,
        };
        loop {
            match jobs::delete_orphans(&self.store, &blobs, now).await? {
                0 => break,
                some => report.deleted += some,
            }
        }
        Ok(report)
    }

    /// Lets the page, at the server's public address, reach the S3 bucket: writes the bucket's CORS rules in place of
    /// whatever rules it had. Answers with the origin that may. Needs no data folder.
    pub async fn allow_page(config: &Config) -> Result<String, StartError> {
        if config.s3.is_none() {
            let reason = "there is none; without an S3 store the page asks this server alone".into();
            return Err(ConfigError::Bad { key: "s3_endpoint", reason }.into());
        }
        let origin = setup::base_url(config, config.listen);
        app::open_blobs(config)?.put_bucket_cors(&origin).await?;
        Ok(origin)
    }

    /// How many envelopes there are under each master key, and which one seals now.
    pub async fn master_keys(&self) -> Result<MasterKeys, StartError> {
        let kms = kms::open_kms(&self.config, &self.store).await?;
        Ok(MasterKeys { current: kms.current(), envelopes: self.store.envelopes_by_key().await? })
    }

    /// Puts a new master key in the place of the old one, and seals every envelope anew.
    pub async fn rotate_master_key(&self) -> Result<RotationReport, StartError> {
        kms::rotate(&self.config, &self.store).await
    }

    /// Copies everything that a restored server needs to `to`, which may hold an earlier backup. The database comes
    /// first: objects that appear later are not in it, and objects never change.
    pub async fn backup(&self, to: &Path) -> Result<BackupReport, StartError> {
        data_dir::make(to)?;
        let fresh = to.join("gloaming.db.new");
        let _ = fs::remove_file(&fresh);
        let _keys_stay = data_dir::lock_rotation(&self.config.data, false)?;
        self.store.backup(&fresh).await?;
        let named = Store::objects_in(&fresh)?;
        let (data, to) = (self.config.data.clone(), to.to_owned());
        let on_disk = self.config.s3.is_none();
        let copy = move || -> Result<BackupReport, StartError> {
            let mut report = BackupReport { without_objects: !on_disk, ..BackupReport::default() };
            for folder in FOLDERS {
                copy_folder(&data.join(folder), &to.join(folder), &mut |_| {})?;
            }
            if data.join(CONFIGURATION).exists() {
                copy_file(&data.join(CONFIGURATION), &to.join(CONFIGURATION))?;
            }
            if on_disk {
                let mut there = HashSet::new();
                let objects = Path::new("blobs").join("objects");
                copy_objects(&data.join(&objects), &to.join(&objects), &mut report, &mut there)?;
                report.missing = named.iter().filter(|id| !there.contains(&id.to_string())).count() as u64;
            }
            // Last: a backup with a database is a whole one.
            fs::rename(&fresh, to.join(DATABASE)).map_err(at(&fresh))?;
            Ok(report)
        };
        tokio::task::spawn_blocking(copy).await.expect("copying does not panic")
    }

    /// Fills an empty data folder from a backup, after checking that the backup is whole. No server may use the folder.
    pub fn restore(config: &Config, from: &Path) -> Result<BackupReport, StartError> {
        let backup = from.join(DATABASE);
        fs::metadata(&backup).map_err(at(&backup))?;
        Store::check_backup(&backup)?;
        let named = Store::objects_in(&backup)?;
        let _lock = data_dir::open(&config.data)?;
        let database = config.data.join(DATABASE);
        if database.exists() {
            let taken = io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a server's data here already: restore into another folder, or move it away first",
            );
            return Err(at(&database)(taken));
        }
        let mut report = BackupReport::default();
        for folder in FOLDERS {
            copy_folder(&from.join(folder), &config.data.join(folder), &mut |_| {})?;
        }
        if from.join(CONFIGURATION).exists() {
            copy_file(&from.join(CONFIGURATION), &config.data.join(CONFIGURATION))?;
        }
        let objects = Path::new("blobs").join("objects");
        let mut there = HashSet::new();
        if from.join(&objects).exists() {
            copy_objects(&from.join(&objects), &config.data.join(&objects), &mut report, &mut there)?;
            report.missing = named.iter().filter(|id| !there.contains(&id.to_string())).count() as u64;
        } else {
            report.without_objects = true;
        }
        copy_file(&backup, &database)?;
        Ok(report)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StartError + use<> {
    let what = path.display().to_string();
    move |source| StartError::io(what, source)
}

fn copy_objects(
    from: &Path,
    to: &Path,
    report: &mut BackupReport,
    there: &mut HashSet<String>,
) -> Result<(), StartError> {
    if !from.exists() {
        return Ok(());
    }
    copy_folder(from, to, &mut |file| {
        report.objects += 1;
        report.copied_bytes += file.copied;
        there.insert(file.name);
    })
}

struct Copied {
    name: String,
    /// Bytes; none if the same file was there already.
    copied: u64,
}

/// Copies a folder and what is in it. A file of the same length is taken for the same: objects never change, and
/// secrets are of one length, so those are always written anew.
fn copy_folder(from: &Path, to: &Path, done: &mut dyn FnMut(Copied)) -> Result<(), StartError> {
    let entries = match fs::read_dir(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at(from))?,
    };
    data_dir::make(to)?;
    for entry in entries {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target, done)?;
        } else if kind.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match copy_file(&source, &target) {
                // Deleted since the folder was read.
                Err(StartError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                copied => done(Copied { name, copied: copied? }),
            }
        }
    }
    Ok(())
}

/// Copies one file, whole or not at all, readable by its owner only.
fn copy_file(from: &Path, to: &Path) -> Result<u64, StartError> {
    let length = fs::metadata(from).map_err(at(from))?.len();
    let is_object = to.ancestors().any(|folder| folder.file_name().is_some_and(|name| name == "objects"));
    if is_object && fs::metadata(to).is_ok_and(|there| there.len() == length) {
        return Ok(0);
    }
    let mut aside: PathBuf = to.to_owned();
    aside.set_extension("copying");
    let copy = || -> io::Result<u64> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut source = fs::File::open(from)?;
        let _ = fs::remove_file(&aside);
        let mut target = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let copied = io::copy(&mut source, &mut target)?;
        target.flush()?;
        target.sync_all()?;
        fs::rename(&aside, to)?;
        Ok(copied)
    };
    copy().map_err(at(from))
}
