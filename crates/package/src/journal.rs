use std::collections::BTreeMap;

use gloaming_ids::{ObjectId, TrackId, VideoId};
use serde::{Deserialize, Serialize};

use crate::{PackRef, SealOptions};

/// What an interrupted seal needs to continue: no keys in it, and nothing of the movie but lengths and digests.
///
/// It grows by one [`JournalPack`] with every pack that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub(crate) video: VideoId,
    pub(crate) options: SealOptions,
    /// SHA-256 over what the movie's planning depends on and that is in memory anyway.
    #[serde(with = "serde_bytes")]
    pub(crate) movie: [u8; 32],
    pub(crate) tracks: Vec<TrackId>,
    pub(crate) packs: BTreeMap<PackRef, JournalPack>,
}

/// A pack that is stored for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPack {
    /// Under which name.
    pub object: ObjectId,
    /// Bytes of fragments in it.
    pub sealed_len: u64,
    /// SHA-256 of each, one after another.
    #[serde(with = "serde_bytes")]
    pub(crate) digests: Vec<u8>,
}

impl Journal {
    /// The video that is sealed.
    pub fn video(&self) -> VideoId {
        self.video
    }

    /// The packs that are stored.
    pub fn packs(&self) -> impl ExactSizeIterator<Item = (PackRef, &JournalPack)> {
        self.packs.iter().map(|(pack, entry)| (*pack, entry))
    }

    /// Bytes of fragments in them.
    pub fn sealed_bytes(&self) -> u64 {
        self.packs.values().map(|pack| pack.sealed_len).sum()
    }

    /// Takes a pack back: whoever stores it has lost it, so it will be sealed again.
    pub fn forget(&mut self, pack: PackRef) {
        self.packs.remove(&pack);
    }
}
