use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use gloaming_ids::{AccountId, InviteId, UnixMillis};
use gloaming_store::Store;

use crate::{
    Config, StartError, Tls,
    data_dir::{self, entropy},
    extract,
};

/// The set-up token, while there is no owner. The store has its hash; the token itself rests in a file of mode 0600,
/// so that the same link can be printed at each start until it is used.
pub(crate) struct Setup {
    path: PathBuf,
    token: Mutex<Option<String>>,
}

impl Setup {
    pub(crate) async fn open(secrets: &Path, store: &Store, now: UnixMillis) -> Result<Self, StartError> {
        let setup = Self { path: secrets.join("setup-token"), token: Mutex::new(None) };
        if store.has_owner().await? {
            setup.used();
            return Ok(setup);
        }
        let token = data_dir::read_or_create(&setup.path, || extract::new_token().into_bytes())?;
        let token = String::from_utf8(token)
            .map_err(|_| StartError::Damaged { file: setup.path.display().to_string() })?;
        let (invite, owner) = (InviteId::generate_at(now, &mut entropy), AccountId::generate(&mut entropy));
        store.offer_setup(extract::token_hash(&token), invite, owner, now).await?;
        *setup.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(setup)
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is no owner yet.
    pub(crate) fn is_open(&self) -> bool {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// There is an owner now.
    pub(crate) fn used(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the used set-up token's file could not be removed");
        }
    }
}

/// Where people reach a server that listens on `address`, without a slash at the end.
pub(crate) fn base_url(config: &Config, address: SocketAddr) -> String {
    if let Some(url) = &config.public_url {
        return url.origin().ascii_serialization();
    }
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}
