//! A link: a secret that stays in the fragment, and what follows from it.
//!
//! ```text
//! fragment = base64url( version(1) ‖ flags(1): 1 = password ‖ L(32) ‖ check(2): the first of SHA-256 of what is before )
//! S        = L, or with a password Argon2id(password, salt = share, secret = L, m = 64 MiB, t = 3, p = 1)
//! token    = HKDF(S, "link-auth", share)      the server stores its SHA-256
//! sealed   = format version(1) ‖ AES-256-GCM message of CBOR
//!            key = HKDF(S, "link-wrap", share),  AAD = "link" ‖ format version ‖ share
//! ```
//!
//! The server sees the token, never L. So it cannot guess a password without L, and a holder of L must guess online.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_ids::{Context, Entropy, ShareId};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::SharedKeys;
use crate::{KeyError, aead, derive::derive, digest::sha256};

const VERSION: u8 = 1;
const FORMAT: u8 = 1;
const PASSWORD: u8 = 1;
const CHECK: usize = 2;
/// KiB. As for accounts, the least that RFC 9106 §4 recommends where memory is short.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// Why a link does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The part after `#` is missing, or was cut or changed on its way.
    #[error("the link is incomplete: the part after # is missing or was cut short")]
    Incomplete,
    /// Made by a later version of the program.
    #[error("this link was made by a newer version; update to open it")]
    TooNew,
    /// It wants a password.
    #[error("this link wants a password")]
    PasswordNeeded,
}

gloaming_grants::secret! {
    /// Shows the server that one holds the link. Opens nothing.
    LinkToken;
    /// What the link's secret (and password) come down to.
    LinkRoot;
}

/// What a link carries behind its `#`.
pub struct LinkSecret {
    secret: Zeroizing<[u8; 32]>,
    password: bool,
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}

impl LinkSecret {
    /// A new link's. `password`: whether one is asked for.
    pub fn generate(password: bool, entropy: &mut dyn Entropy) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice());
        Self { secret, password }
    }

    /// That of an open share, which has none: zeros, known to everybody. What it seals is only kept together.
    pub fn open() -> Self {
        Self { secret: Zeroizing::new([0; 32]), password: false }
    }

    /// Whether the holder is asked for a password.
    pub fn wants_password(&self) -> bool {
        self.password
    }

    /// What stands behind the `#`.
    pub fn to_fragment(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 34 + CHECK]);
        bytes[0] = VERSION;
        bytes[1] = if self.password { PASSWORD } else { 0 };
        bytes[2..34].copy_from_slice(self.secret.as_slice());
        let check = sha256(&bytes[..34]);
        bytes[34..].copy_from_slice(&check[..CHECK]);
        let mut text = Zeroizing::new(String::with_capacity(64));
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    /// Reads what stands behind the `#`.
    pub fn from_fragment(text: &str) -> Result<Self, LinkError> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| LinkError::Incomplete)?);
        match bytes.first() {
            Some(&VERSION) => {}
            Some(newer) if *newer > VERSION => return Err(LinkError::TooNew),
            _ => return Err(LinkError::Incomplete),
        }
        let (body, check) = bytes.split_at_checked(34).ok_or(LinkError::Incomplete)?;
        let ([_, flags @ (0 | PASSWORD)], secret) = body.split_first_chunk().ok_or(LinkError::Incomplete)?
        else {
            return Err(LinkError::Incomplete);
        };
        if check != &sha256(body)[..CHECK] {
            return Err(LinkError::Incomplete);
        }
        let mut out = Zeroizing::new([0; 32]);
        out.copy_from_slice(secret);
        Ok(Self { secret: out, password: *flags == PASSWORD })
    }

    /// The keys of this link. With a password it takes a second or so, and 64 MiB. A password that is not asked for is
    /// not looked at; it is compared as NFKC spells it.
    pub fn keys(&self, share: ShareId, password: Option<&str>) -> Result<LinkKeys, LinkError> {
        if !self.password {
            return Ok(LinkKeys { share, root: LinkRoot::from_bytes(*self.secret) });
        }
        let password = password.filter(|password| !password.is_empty()).ok_or(LinkError::PasswordNeeded)?;
        let password = Zeroizing::new(password.nfkc().collect::<String>());
        let params = Params::new(MEMORY, PASSES, 1, Some(32)).expect("constants within Argon2's limits");
        let argon2 =
            Argon2::new_with_secret(self.secret.as_slice(), Algorithm::Argon2id, Version::V0x13, params)
                .expect("32 bytes are within Argon2's limits");
        let mut root = Zeroizing::new([0; 32]);
        argon2
            .hash_password_into(password.as_bytes(), share.as_bytes(), root.as_mut_slice())
            .expect("16 bytes of salt are enough, and a password is shorter than 4 GiB");
        Ok(LinkKeys { share, root: LinkRoot::from_bytes(*root) })
    }
}

/// A link's keys, its password given.
#[derive(Debug)]
pub struct LinkKeys {
    share: ShareId,
    root: LinkRoot,
}

impl LinkKeys {
    /// What the server asks for.
    pub fn token(&self) -> LinkToken {
        LinkToken::from_bytes(derive(self.root.expose(), &Context::new("link-auth").field(self.share)))
    }

    /// Seals what the link's holder may have.
    pub fn seal(&self, keys: &SharedKeys, entropy: &mut dyn Entropy) -> Vec<u8> {
        let mut sealed = vec![FORMAT];
        aead::seal_into(&self.wrap(), entropy, self.aad().as_bytes(), &keys.encode(), &mut sealed);
        sealed
    }

    /// Opens what [`LinkKeys::seal`] made for this share.
    pub fn open(&self, sealed: &[u8]) -> Result<SharedKeys, KeyError> {
        match sealed {
            [FORMAT, message @ ..] => {
                let plain = Zeroizing::new(aead::open(&self.wrap(), self.aad().as_bytes(), message)?);
                SharedKeys::decode(&plain)
            }
            [found, ..] if *found > FORMAT => Err(KeyError::TooNew { found: *found }),
            _ => Err(KeyError::Malformed),
        }
    }

    fn wrap(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(self.root.expose(), &Context::new("link-wrap").field(self.share)))
    }

    fn aad(&self) -> Context {
        Context::new("link").number(FORMAT).field(self.share)
    }
}

impl LinkToken {
    /// What the server stores.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.expose())
    }
}
