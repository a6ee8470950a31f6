//! The master key: seals what the server must keep of other people's keys, so that a stolen database gives it nothing.
//!
//! ```text
//! envelope = nonce(12) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! AAD      = Context("key-envelope", role, account, video, share)
//! key id   = the first 8 bytes of SHA-256 of Context("master-key-id", key), in hexadecimal; it stands beside each envelope
//! ```
//!
//! [`Kms`] is what is asked of a keeper of master keys. [`KeyFile`] keeps one in the data folder, [`Environment`] is
//! given one at start; one that never shows its key (a cloud's, a vault's) would be a third.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Tag};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use gloaming_ids::{AccountId, Context, ShareId, VideoId};
use gloaming_store::{Envelope, EnvelopeRow, Store};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Config, StartError, data_dir};

const NONCE: usize = 12;
const TAG: usize = 16;
const ENVELOPE: usize = NONCE + 32 + TAG;
/// Envelopes sealed anew in one transaction.
const AT_ONCE: u32 = 200;

gloaming_grants::secret! {
    /// Seals envelopes.
    MasterKey;
}

/// Why an envelope was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KmsError {
    /// The key is not here: a backup without its secrets, or a key that was replaced.
    #[error("there is no master key {0} here")]
    UnknownKey(String),
    /// Wrong key, moved, or changed.
    #[error("an envelope does not open")]
    Rejected,
}

/// What an envelope is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// `grant` or `view`.
    pub(crate) role: &'static str,
    pub(crate) account: AccountId,
    pub(crate) video: VideoId,
    pub(crate) share: ShareId,
}

impl Bound {
    fn context(&self) -> Context {
        Context::new("key-envelope").field(self.role).field(self.account).field(self.video).field(self.share)
    }
}

/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Keeps master keys.
pub(crate) trait Kms: Send + Sync {
    /// Id of the key that seals now.
    fn current(&self) -> String;

    /// Looks again which keys there are: another process may have replaced one.
    fn reload(&self) -> Result<(), StartError>;

    /// Seals under this key.
    fn seal<'a>(
        &'a self,
        key_id: &'a str,
        secret: &'a [u8; 32],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>>;

    /// Opens what was sealed under this key.
    fn open<'a>(
        &'a self,
        key_id: &'a str,
        sealed: &'a [u8],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Secret, KmsError>>;
}

/// Opens an envelope, looking again for its key if it is not known.
pub(crate) async fn open(
    kms: &dyn Kms,
    key_id: &str,
    sealed: &[u8],
    bound: &Bound,
) -> Result<Secret, KmsError> {
    match kms.open(key_id, sealed, bound).await {
        Err(KmsError::UnknownKey(_)) if kms.reload().is_ok() => kms.open(key_id, sealed, bound).await,
        opened => opened,
    }
}

/// The keeper that the configuration names.
pub(crate) async fn open_kms(config: &Config, store: &Store) -> Result<Arc<dyn Kms>, StartError> {
    if let Some(key) = &config.master_key {
        return Ok(Arc::new(Environment(Ring::new(
            key.clone(),
            config.previous_master_key.iter().cloned().collect(),
        ))));
    }
    let secrets = config.data.join(data_dir::SECRETS);
    let none_sealed = store.envelopes_by_key().await?.is_empty();
    Ok(Arc::new(KeyFile::open(&secrets, none_sealed)?))
}

/// A key and its id.
pub(crate) struct Named {
    id: String,
    key: MasterKey,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl Named {
    fn new(key: MasterKey) -> Arc<Self> {
        let digest = Sha256::digest(Context::new("master-key-id").field(key.expose()).as_bytes());
        Arc::new(Self { id: hex::encode(&digest[..8]), key })
    }

    /// From a configuration: base64 of 32 bytes.
    pub(crate) fn from_base64(text: &str) -> Option<Arc<Self>> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        Self::from_slice(&bytes)
    }

    fn from_slice(bytes: &[u8]) -> Option<Arc<Self>> {
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(bytes).ok()?);
        Some(Self::new(MasterKey::from_bytes(*bytes)))
    }

    fn seal(&self, secret: &[u8; 32], bound: &Bound) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(ENVELOPE);
        let nonce = data_dir::random::<NONCE>();
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(secret);
        let tag: [u8; TAG] = Aes256Gcm::new(self.key.expose().into())
            .encrypt_inout_detached(
                &nonce.into(),
                bound.context().as_bytes(),
                (&mut envelope[NONCE..]).into(),
            )
            .expect("32 bytes are far shorter than GCM's 64 GiB")
            .into();
        envelope.extend_from_slice(&tag);
        envelope
    }

    fn open(&self, envelope: &[u8], bound: &Bound) -> Result<Secret, KmsError> {
        let envelope: &[u8; ENVELOPE] = envelope.try_into().map_err(|_| KmsError::Rejected)?;
        let nonce: [u8; NONCE] = *envelope.first_chunk().expect("an envelope's length");
        let tag: [u8; TAG] = *envelope.last_chunk().expect("an envelope's length");
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&envelope[NONCE..NONCE + 32]);
        Aes256Gcm::new(self.key.expose().into())
            .decrypt_inout_detached(
                &nonce.into(),
                bound.context().as_bytes(),
                secret.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| KmsError::Rejected)?;
        Ok(secret)
    }
}

/// The key that seals, and those that still open.
struct Ring {
    current: Arc<Named>,
    others: Vec<Arc<Named>>,
}

impl Ring {
    fn new(current: Arc<Named>, others: Vec<Arc<Named>>) -> Self {
        Self { current, others }
    }

    fn key(&self, id: &str) -> Result<Arc<Named>, KmsError> {
        let found = std::iter::once(&self.current).chain(&self.others).find(|key| key.id == id);
        found.cloned().ok_or_else(|| KmsError::UnknownKey(id.to_owned()))
    }
}

/// A key given at start.
pub(crate) struct Environment(Ring);

impl Kms for Environment {
    fn current(&self) -> String {
        self.0.current.id.clone()
    }

    fn reload(&self) -> Result<(), StartError> {
        Ok(())
    }

    fn seal<'a>(
        &'a self,
        key_id: &'a str,
        secret: &'a [u8; 32],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        Box::pin(async move { Ok(self.0.key(key_id)?.seal(secret, bound)) })
    }

    fn open<'a>(
        &'a self,
        key_id: &'a str,
        sealed: &'a [u8],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Secret, KmsError>> {
        Box::pin(async move { self.0.key(key_id)?.open(sealed, bound) })
    }
}

/// `secrets/master.key`, and beside it `secrets/master.old.key` while envelopes are being sealed anew.
pub(crate) struct KeyFile {
    secrets: PathBuf,
    ring: RwLock<Ring>,
}

impl KeyFile {
    /// Opens the file. It is made if it is missing, but only while nothing is sealed: another key would open nothing.
    fn open(secrets: &Path, none_sealed: bool) -> Result<Self, StartError> {
        let path = secrets.join(CURRENT);
        if !path.exists() {
            if !none_sealed {
                return Err(StartError::MasterKeyMissing { file: path.display().to_string() });
            }
            data_dir::write(&path, &*Zeroizing::new(data_dir::random::<32>()))?;
        }
        Ok(Self { ring: RwLock::new(Self::read(secrets)?), secrets: secrets.to_owned() })
    }

    fn read(secrets: &Path) -> Result<Ring, StartError> {
        let current = read_key(&secrets.join(CURRENT))?
            .ok_or_else(|| StartError::MasterKeyMissing { file: format!("secrets/{CURRENT}") })?;
        Ok(Ring::new(current, read_key(&secrets.join(OLD))?.into_iter().collect()))
    }

    fn ring(&self) -> std::sync::RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

const CURRENT: &str = "master.key";
const OLD: &str = "master.old.key";

fn read_key(path: &Path) -> Result<Option<Arc<Named>>, StartError> {
    let bytes = match std::fs::read(path).map(Zeroizing::new) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| StartError::io(path.display().to_string(), e))?,
    };
    match Named::from_slice(&bytes) {
        Some(key) => Ok(Some(key)),
        None => Err(StartError::Damaged { file: path.display().to_string() }),
    }
}

impl Kms for KeyFile {
    fn current(&self) -> String {
        self.ring().current.id.clone()
    }

    fn reload(&self) -> Result<(), StartError> {
        let ring = Self::read(&self.secrets)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    fn seal<'a>(
        &'a self,
        key_id: &'a str,
        secret: &'a [u8; 32],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        Box::pin(async move {
            let key = self.ring().key(key_id)?;
            Ok(key.seal(secret, bound))
        })
    }

    fn open<'a>(
        &'a self,
        key_id: &'a str,
        sealed: &'a [u8],
        bound: &'a Bound,
    ) -> BoxFuture<'a, Result<Secret, KmsError>> {
        Box::pin(async move {
            let key = self.ring().key(key_id)?;
            key.open(sealed, bound)
        })
    }
}

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationReport {
    /// Envelopes sealed anew.
    pub resealed: u64,
    /// Id of the key that seals now.
    pub key_id: String,
}

/// Puts a new master key in the place of the old one and seals every envelope anew; where the key comes from the
/// configuration, only the sealing. Begun again after it was interrupted, it goes on: the old key's file stays until no
/// envelope needs it. A running server may go on working: it learns of the new key when it meets it.
pub(crate) async fn rotate(config: &Config, store: &Store) -> Result<RotationReport, StartError> {
    let _lock = data_dir::lock_rotation(&config.data, true)?;
    let secrets = config.data.join(data_dir::SECRETS);
    let from_file = config.master_key.is_none();
    let kms = open_kms(config, store).await?;
    let mut old = config.previous_master_key.as_ref().map(|key| key.id.clone());
    if from_file {
        let (path, aside) = (secrets.join(CURRENT), secrets.join(OLD));
        let current = read_key(&path)?.expect("opened before");
        let kept = read_key(&aside)?;
        // Begun before, and the new key is in place: go on with it. If it is not, the copy is of the current key.
        if kept.as_ref().is_none_or(|kept| kept.id == current.id) {
            data_dir::write(&aside, current.key.expose())?;
            data_dir::write(&path, &*Zeroizing::new(data_dir::random::<32>()))?;
            old = Some(current.id.clone());
        } else {
            old = kept.map(|kept| kept.id.clone());
        }
        kms.reload()?;
    }
    let current = kms.current();
    // From here on nobody seals under another key: a server that still would is told to look again.
    store.retire_keys(current.clone(), old, (config.clock)()).await?;
    let mut report = RotationReport { resealed: 0, key_id: current.clone() };
    loop {
        let rows = store.envelopes_not_under(current.clone(), AT_ONCE).await?;
        if rows.is_empty() {
            break;
        }
        report.resealed += rows.len() as u64;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let resealed = reseal(kms.as_ref(), &current, &row).await.map_err(|fault| match fault {
                KmsError::UnknownKey(id) => StartError::MasterKeyMissing { file: format!("master key {id}") },
                KmsError::Rejected => StartError::Damaged { file: "an envelope of a share".into() },
            })?;
            changes.push((row, resealed));
        }
        store.replace_envelopes(changes).await?;
    }
    if from_file {
        let aside = secrets.join(OLD);
        std::fs::remove_file(&aside).map_err(|e| StartError::io(aside.display().to_string(), e))?;
    }
    Ok(report)
}

async fn reseal(kms: &dyn Kms, current: &str, row: &EnvelopeRow) -> Result<Envelope, KmsError> {
    let view_share = match &row.envelope.view_share {
        Some(sealed) => Some(reseal_half(kms, current, row, "view", sealed).await?),
        None => None,
    };
    let grant_share = reseal_half(kms, current, row, "grant", &row.envelope.grant_share).await?;
    Ok(Envelope { key_id: current.to_owned(), grant_share, view_share })
}

async fn reseal_half(
    kms: &dyn Kms,
    current: &str,
    row: &EnvelopeRow,
    role: &'static str,
    sealed: &[u8],
) -> Result<Vec<u8>, KmsError> {
    let bound = Bound { role, account: row.account, video: row.video, share: row.share };
    let secret = kms.open(&row.envelope.key_id, sealed, &bound).await?;
    kms.seal(current, &secret, &bound).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn bound() -> Bound {
        Bound {
            role: "grant",
            account: AccountId::from_bytes([1; 16]),
            video: VideoId::from_bytes([2; 16]),
            share: ShareId::from_bytes([3; 16]),
        }
    }

    fn key(fill: u8) -> Arc<Named> {
        Named::new(MasterKey::from_bytes([fill; 32]))
    }

    #[test]
    fn an_envelope_opens_where_it_was_sealed_and_nowhere_else() {
        let envelope = key(1).seal(&[7; 32], &bound());
        assert_eq!(*key(1).open(&envelope, &bound()).unwrap(), [7; 32]);
        assert!(key(2).open(&envelope, &bound()).is_err());
        for other in [
            Bound { role: "view", ..bound() },
            Bound { account: AccountId::from_bytes([9; 16]), ..bound() },
            Bound { video: VideoId::from_bytes([9; 16]), ..bound() },
            Bound { share: ShareId::from_bytes([9; 16]), ..bound() },
        ] {
            assert!(key(1).open(&envelope, &other).is_err(), "{other:?}");
        }
        for bit in 0..envelope.len() * 8 {
            let mut bent = envelope.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(key(1).open(&bent, &bound()).is_err(), "bit {bit}");
        }
        assert!(key(1).open(&envelope[1..], &bound()).is_err());
    }

    #[test]
    fn a_key_prints_its_id_only() {
        let printed = format!("{:?}", key(7));
        assert_eq!(printed, format!("MasterKey({})", key(7).id));
        assert!(!printed.contains("7, 7") && !printed.contains("0707"));
    }

    #[test]
    fn a_key_file_is_made_once_private_and_never_while_something_is_sealed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let missing = KeyFile::open(dir.path(), false);
        assert!(matches!(missing, Err(StartError::MasterKeyMissing { .. })));
        let first = KeyFile::open(dir.path(), true).unwrap().current();
        assert_eq!(KeyFile::open(dir.path(), true).unwrap().current(), first);
        let path = dir.path().join(CURRENT);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(KeyFile::open(dir.path(), true), Err(StartError::Damaged { .. })));
    }
}
