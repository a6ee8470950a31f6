//! The account key, and how each way of unlocking wraps it.
//!
//! ```text
//! wrap = format version(1) ‖ AES-256-GCM message of the account key(32)
//!        key = HKDF(export key | phrase | PRF output, "kek-<method>")
//!        AAD = "account-key" ‖ format version ‖ method ‖ account ‖ wrap version
//! ```
//!
//! * A server cannot pass one method's wrap off as another's, another account's as this one's, or (where the device
//!   remembers) an earlier one as the current one.

use gloaming_ids::{AccountId, Context, Entropy};
use zeroize::Zeroizing;

use crate::{KeyError, RecoveryPhrase, aead, derive::derive};

const FORMAT: u8 = 1;

gloaming_grants::secret! {
    /// The key of an account. Seals its keyring, and nothing else.
    AccountKey;
    /// What one unlock method yields. Wraps the account key, and nothing else.
    KeyEncryptionKey;
}

/// A way of unlocking an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A password, by way of OPAQUE.
    Password,
    /// The twenty-four words.
    Recovery,
    /// A passkey's PRF extension.
    Passkey,
}

impl Method {
    /// The method's name, as bound into its wrap.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Recovery => "recovery",
            Self::Passkey => "passkey",
        }
    }
}

impl KeyEncryptionKey {
    /// From the export key that OPAQUE yields at registration and at each login.
    pub fn from_export_key(export_key: &[u8; 64]) -> Self {
        Self::from_bytes(derive(export_key, &Context::new("kek-password")))
    }

    /// From the twenty-four words.
    pub fn from_phrase(phrase: &RecoveryPhrase) -> Self {
        Self::from_bytes(derive(phrase.entropy(), &Context::new("kek-recovery")))
    }

    /// From what a passkey's PRF extension answers.
    pub fn from_passkey(prf_output: &[u8; 32]) -> Self {
        Self::from_bytes(derive(prf_output, &Context::new("kek-passkey")))
    }
}

/// Wraps the account key for one unlock method. `version` counts the wraps of this method, from one.
pub fn wrap_account_key(
    kek: &KeyEncryptionKey,
    method: Method,
    account: AccountId,
    version: u64,
    key: &AccountKey,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut wrap = vec![FORMAT];
    aead::seal_into(kek.expose(), entropy, aad(method, account, version).as_bytes(), key.expose(), &mut wrap);
    wrap
}

/// Opens a wrap that [`wrap_account_key`] made for the same method, account and version.
pub fn unwrap_account_key(
    kek: &KeyEncryptionKey,
    method: Method,
    account: AccountId,
    version: u64,
    wrap: &[u8],
) -> Result<AccountKey, KeyError> {
    let message = match wrap {
        [FORMAT, message @ ..] => message,
        [found, ..] if *found > FORMAT => return Err(KeyError::TooNew { found: *found }),
        _ => return Err(KeyError::Malformed),
    };
    let key = Zeroizing::new(aead::open(kek.expose(), aad(method, account, version).as_bytes(), message)?);
    let key = key.as_slice().try_into().map_err(|_| KeyError::Malformed)?;
    Ok(AccountKey::from_bytes(key))
}

fn aad(method: Method, account: AccountId, version: u64) -> Context {
    Context::new("account-key").number(FORMAT).field(method.name()).field(account).number(version)
}
