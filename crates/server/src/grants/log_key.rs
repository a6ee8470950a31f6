use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use gloaming_grants::log::log_head_message;
use gloaming_ids::{AccountId, VideoId};
use zeroize::Zeroizing;

use crate::{StartError, data_dir};

/// Signs the heads of grant logs, so that whoever was shown one can hold the server to it.
pub(crate) struct LogKey(SigningKey);

impl LogKey {
    /// `secrets/log.key`, made if it is missing.
    pub(crate) fn open(secrets: &Path) -> Result<Self, StartError> {
        let path = secrets.join("log.key");
        let seed = Zeroizing::new(data_dir::read_or_create(&path, || data_dir::random::<32>().into())?);
        let seed: &[u8; 32] = seed
            .as_slice()
            .try_into()
            .map_err(|_| StartError::Damaged { file: path.display().to_string() })?;
        Ok(Self(SigningKey::from_bytes(seed)))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, account: AccountId, video: VideoId, count: u64, head: &[u8; 32]) -> [u8; 64] {
        self.0.sign(log_head_message(account, video, count, head).as_bytes()).to_bytes()
    }
}
