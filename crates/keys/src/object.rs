//! What opens with the view share alone: a video's index, card and poster.
//!
//! ```text
//! object = format version(1) ‖ AES-256-GCM message
//!          key = HKDF(view_share, "<role>-key", video, version)
//!          AAD = "<role>" ‖ format version ‖ video ‖ version
//! ```

use gloaming_ids::{Context, Entropy, VideoId};

use crate::{KeyError, ViewShare, aead, derive::derive};

const FORMAT: u8 = 1;

gloaming_grants::secret! {
    /// Seals one version of one object beside a video.
    ObjectKey;
}

/// What an object beside a video is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectRole {
    /// The table of tracks and segments.
    Index,
    /// What a viewer sees before playing.
    Card,
    /// The picture on the card.
    Poster,
}

impl ObjectRole {
    const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Card => "card",
            Self::Poster => "poster",
        }
    }

    const fn key_name(self) -> &'static str {
        match self {
            Self::Index => "index-key",
            Self::Card => "card-key",
            Self::Poster => "poster-key",
        }
    }
}

/// The key of `video`'s object of this role and version.
pub fn derive_object_key(view: &ViewShare, role: ObjectRole, video: VideoId, version: u64) -> ObjectKey {
    let info = Context::new(role.key_name()).field(video).number(version);
    ObjectKey::from_bytes(derive(view.expose(), &info))
}

/// Seals an object under `key`, which is [`derive_object_key`]'s for the same role, video and version.
pub fn seal_object(
    key: &ObjectKey,
    role: ObjectRole,
    video: VideoId,
    version: u64,
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut sealed = vec![FORMAT];
    aead::seal_into(key.expose(), entropy, aad(role, video, version).as_bytes(), plaintext, &mut sealed);
    sealed
}

/// Opens what [`seal_object`] made.
pub fn open_object(
    key: &ObjectKey,
    role: ObjectRole,
    video: VideoId,
    version: u64,
    sealed: &[u8],
) -> Result<Vec<u8>, KeyError> {
    match sealed {
        [FORMAT, message @ ..] => {
            Ok(aead::open(key.expose(), aad(role, video, version).as_bytes(), message)?)
        }
        [found, ..] if *found > FORMAT => Err(KeyError::TooNew { found: *found }),
        _ => Err(KeyError::Malformed),
    }
}

fn aad(role: ObjectRole, video: VideoId, version: u64) -> Context {
    Context::new(role.name()).number(FORMAT).field(video).number(version)
}
