use gloaming_ids::{Entropy, VideoId};
use gloaming_keys::{ObjectRole, ViewShare, derive_object_key, open_object, seal_object};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::OpenError;

/// A card is padded to a multiple of this many bytes, because its length would tell that of the title.
const CARD_STEP: usize = 512;
/// A poster likewise: pictures of one scene or person have telling lengths.
const POSTER_STEP: usize = 8 << 10;
/// Bytes of either at most.
const MAX_OBJECT: usize = 4 << 20;

/// What a viewer sees before playing. The owner's own title and tags are a record of the library; this is what the
/// owner lets others see.
///
/// ```text
/// object = keys' object(role, video, version) of: length of CBOR(4, BE) ‖ CBOR ‖ zeros up to a multiple of the step
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// What it is called.
    pub title: String,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// Display size in pixels after rotation; none without pictures.
    pub size: Option<(u32, u32)>,
    /// A blurred picture in some thirty characters.
    pub blurhash: Option<String>,
}

/// The picture on the card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poster {
    /// `image/webp`, `image/jpeg`: from a list of the reader's, never passed on as it stands.
    pub media_type: String,
    /// The picture.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Poster({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

impl Card {
    /// Seals the card as `version` of this video's.
    pub fn seal(&self, view: &ViewShare, video: VideoId, version: u64, entropy: &mut dyn Entropy) -> Vec<u8> {
        seal(self, ObjectRole::Card, CARD_STEP, view, video, version, entropy)
    }

    /// Opens a card of this video and version.
    pub fn open(sealed: &[u8], view: &ViewShare, video: VideoId, version: u64) -> Result<Card, OpenError> {
        open(sealed, ObjectRole::Card, view, video, version)
    }
}

impl Poster {
    /// Seals the poster as `version` of this video's.
    pub fn seal(&self, view: &ViewShare, video: VideoId, version: u64, entropy: &mut dyn Entropy) -> Vec<u8> {
        seal(self, ObjectRole::Poster, POSTER_STEP, view, video, version, entropy)
    }

    /// Opens a poster of this video and version.
    pub fn open(sealed: &[u8], view: &ViewShare, video: VideoId, version: u64) -> Result<Poster, OpenError> {
        open(sealed, ObjectRole::Poster, view, video, version)
    }
}

fn seal<T: Serialize>(
    what: &T,
    role: ObjectRole,
    step: usize,
    view: &ViewShare,
    video: VideoId,
    version: u64,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut plain = vec![0; 4];
    ciborium::into_writer(what, &mut plain).expect("writing to memory does not fail");
    let len = (plain.len() - 4) as u32;
    plain[..4].copy_from_slice(&len.to_be_bytes());
    plain.resize(plain.len().next_multiple_of(step), 0);
    seal_object(&derive_object_key(view, role, video, version), role, video, version, &plain, entropy)
}

fn open<T: DeserializeOwned>(
    sealed: &[u8],
    role: ObjectRole,
    view: &ViewShare,
    video: VideoId,
    version: u64,
) -> Result<T, OpenError> {
    if sealed.len() > MAX_OBJECT {
        return Err(OpenError::Malformed { what: "too large" });
    }
    let plain = open_object(&derive_object_key(view, role, video, version), role, video, version, sealed)?;
    let bad = OpenError::Malformed { what: "not a card or a poster" };
    let (len, rest) = plain.split_first_chunk::<4>().ok_or(bad)?;
    let (mut cbor, padding) = rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(bad)?;
    let what = ciborium::from_reader(&mut cbor).map_err(|_| bad)?;
    if cbor.is_empty() && padding.iter().all(|&byte| byte == 0) { Ok(what) } else { Err(bad) }
}
