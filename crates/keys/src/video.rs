//! A video's secret: the two shares from which all its keys come, and the seed that signs its index.
//!
//! ```text
//! sealed secret = format version(1) ‖ generation(4, BE) ‖ AES-256-GCM message of view(32) ‖ grant(32) ‖ seed(32)
//!                 key = HKDF(content key, "video", generation, video)
//!                 AAD = "video-secret" ‖ format version ‖ account ‖ video ‖ generation
//! key file      = "gloaming-video-key-1:" base64url(video(16) ‖ view(32) ‖ grant(32) ‖ seed(32) ‖ check(4))
//!                 check = the first bytes of SHA-256 over what is before it, against a slip of the hand
//! ```

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_grants::GrantShare;
use gloaming_ids::{AccountId, Context, Entropy, VideoId};
use zeroize::Zeroizing;

use crate::{KeyError, VideoSigner, aead, derive::derive, digest::sha256};

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const SECRET: usize = 96;
const KEY_FILE: &str = "gloaming-video-key-";
const CHECK: usize = 4;

gloaming_grants::secret! {
    /// The content key: its generations seal the secrets of videos.
    ContentKey;
    /// One video's other half of every segment key, and the key of its index, card and poster. Held by whoever may
    /// watch; used only through HKDF.
    ViewShare;
    /// The seed of a video's Ed25519 key, which signs its index.
    SignSeed;
}

/// Whoever holds this can watch the video, change it, and let others watch.
#[derive(Debug)]
pub struct VideoSecret {
    /// Held by whoever may watch.
    pub view_share: ViewShare,
    /// Held by the owner and, while the video is published, by the server.
    pub grant_share: GrantShare,
    /// Held by the owner.
    pub sign_seed: SignSeed,
}

impl VideoSecret {
    /// A new video's secret.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            view_share: ViewShare::generate(entropy),
            grant_share: GrantShare::generate(entropy),
            sign_seed: SignSeed::generate(entropy),
        }
    }

    /// Who signs this video's index.
    pub fn signer(&self) -> VideoSigner {
        VideoSigner::new(&self.sign_seed)
    }

    /// Seals the secret with the content key of this `generation`.
    pub fn seal(
        &self,
        key: &ContentKey,
        generation: u32,
        account: AccountId,
        video: VideoId,
        entropy: &mut dyn Entropy,
    ) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEADER + aead::NONCE + SECRET + aead::TAG);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&generation.to_be_bytes());
        let mut plain = Zeroizing::new([0; SECRET]);
        self.write(&mut plain);
        let (key, aad) = (seal_key(key, generation, video), aad(account, video, generation));
        aead::seal_into(&key, entropy, aad.as_bytes(), plain.as_slice(), &mut sealed);
        sealed
    }

    /// Opens what [`VideoSecret::seal`] made for this account and video. [`crate::Keyring::open_video_secret`] finds the
    /// key.
    pub fn open(
        sealed: &[u8],
        key: &ContentKey,
        account: AccountId,
        video: VideoId,
    ) -> Result<Self, KeyError> {
        let generation = secret_generation(sealed)?;
        let (key, aad) = (seal_key(key, generation, video), aad(account, video, generation));
        let plain = Zeroizing::new(aead::open(&key, aad.as_bytes(), &sealed[HEADER..])?);
        let plain = plain.as_slice().try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self::read(plain))
    }

    /// One line of text that opens this video anywhere, without an account.
    pub fn to_key_file(&self, video: VideoId) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 16 + SECRET + CHECK]);
        bytes[..16].copy_from_slice(video.as_bytes());
        let secret = bytes[16..16 + SECRET].first_chunk_mut().expect("the secret has room");
        self.write(secret);
        let check = sha256(&bytes[..16 + SECRET]);
        bytes[16 + SECRET..].copy_from_slice(&check[..CHECK]);
        // Room for all of it, so that the text never moves and leaves a copy.
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str(KEY_FILE);
        text.push_str("1:");
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    /// Reads a key file's text. White space around it does not matter.
    pub fn from_key_file(text: &str) -> Result<(VideoId, Self), KeyError> {
        let rest = text.trim().strip_prefix(KEY_FILE).ok_or(KeyError::Malformed)?;
        let (format, body) = rest.split_once(':').ok_or(KeyError::Malformed)?;
        match format.parse() {
            Ok(1) => {}
            Ok(found @ 2..) => return Err(KeyError::TooNew { found }),
            Ok(0) | Err(_) => return Err(KeyError::Malformed),
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| KeyError::Malformed)?);
        let (body, check) = bytes.split_at_checked(16 + SECRET).ok_or(KeyError::Malformed)?;
        if check != &sha256(body)[..CHECK] {
            return Err(KeyError::Malformed);
        }
        let (video, secret) = body.split_first_chunk().expect("112 bytes begin with sixteen");
        Ok((VideoId::from_bytes(*video), Self::read(secret.try_into().expect("and end with 96"))))
    }

    fn write(&self, out: &mut [u8; SECRET]) {
        out[..32].copy_from_slice(self.view_share.expose());
        out[32..64].copy_from_slice(self.grant_share.expose());
        out[64..].copy_from_slice(self.sign_seed.expose());
    }

    fn read(bytes: &[u8; SECRET]) -> Self {
        let part = |i: usize| *bytes[32 * i..].first_chunk().expect("there are three of 32");
        Self {
            view_share: ViewShare::from_bytes(part(0)),
            grant_share: GrantShare::from_bytes(part(1)),
            sign_seed: SignSeed::from_bytes(part(2)),
        }
    }
}

/// Which generation of the content key sealed this.
pub(crate) fn secret_generation(sealed: &[u8]) -> Result<u32, KeyError> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [found, ..] if *found > FORMAT => Err(KeyError::TooNew { found: *found }),
        _ => Err(KeyError::Malformed),
    }
}

fn seal_key(key: &ContentKey, generation: u32, video: VideoId) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(derive(key.expose(), &Context::new("video").number(generation).field(video)))
}

fn aad(account: AccountId, video: VideoId, generation: u32) -> Context {
    Context::new("video-secret").number(FORMAT).field(account).field(video).number(generation)
}
