use gloaming_grants::GrantShare;
use gloaming_ids::VideoId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{KeyError, VideoVerifier, ViewShare, wire_key::WireKey};

const FORMAT: u8 = 1;
/// Zeros follow, up to a multiple of so many bytes: the length of what is sealed would tell that of a title.
const STEP: usize = 512;

/// What whoever may watch is given, for one video or for a playlist's in their order.
#[derive(Debug)]
pub struct SharedKeys {
    /// What the playlist is called, or the only video.
    pub name: String,
    /// The holder's name, for the mark over the picture; empty for none.
    pub mark: String,
    /// The videos, in order.
    pub videos: Vec<SharedKey>,
}

/// One video's part.
#[derive(Debug)]
pub struct SharedKey {
    /// Which.
    pub video: VideoId,
    /// What its owner called it when they shared it.
    pub title: String,
    /// Its view share.
    pub view_share: ViewShare,
    /// Only where the video is given for good: its other half.
    pub grant_share: Option<GrantShare>,
    /// Who signs its index.
    pub verifier: VideoVerifier,
    /// The lowest version of its index that may be shown: an older one is a rollback.
    pub index_version: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    name: String,
    mark: String,
    videos: Vec<WireVideo>,
}

#[derive(Serialize, Deserialize)]
struct WireVideo {
    video: VideoId,
    title: String,
    view: WireKey,
    grant: Option<WireKey>,
    verifier: serde_bytes::ByteArray<32>,
    index_version: u64,
}

impl SharedKeys {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let videos = self.videos.iter().map(|shared| WireVideo {
            video: shared.video,
            title: shared.title.clone(),
            view: WireKey::new(shared.view_share.expose()),
            grant: shared.grant_share.as_ref().map(|share| WireKey::new(share.expose())),
            verifier: serde_bytes::ByteArray::new(shared.verifier.to_bytes()),
            index_version: shared.index_version,
        });
        let wire =
            Wire { v: FORMAT, name: self.name.clone(), mark: self.mark.clone(), videos: videos.collect() };
        // More than it takes, so that the buffer never moves and leaves a copy.
        let titles: usize = self.videos.iter().map(|shared| shared.title.len()).sum();
        let capacity = 64 + STEP + self.name.len() + self.mark.len() + titles + 256 * self.videos.len();
        let mut plain = Zeroizing::new(Vec::with_capacity(capacity));
        let capacity = plain.capacity();
        ciborium::into_writer(&wire, &mut *plain).expect("writing to memory does not fail");
        let padded = plain.len().next_multiple_of(STEP);
        plain.resize(padded, 0);
        debug_assert!(plain.capacity() == capacity, "the buffer moved");
        plain
    }

    pub(super) fn decode(plain: &[u8]) -> Result<Self, KeyError> {
        let mut rest = plain;
        let wire: Wire = ciborium::from_reader(&mut rest).map_err(|_| KeyError::Malformed)?;
        if rest.len() >= STEP || rest.iter().any(|&byte| byte != 0) {
            return Err(KeyError::Malformed);
        }
        if wire.v != FORMAT {
            return Err(KeyError::TooNew { found: wire.v });
        }
        let video = |shared: &WireVideo| {
            Ok(SharedKey {
                video: shared.video,
                title: shared.title.clone(),
                view_share: ViewShare::from_bytes(*shared.view.expose()),
                grant_share: shared.grant.as_ref().map(|key| GrantShare::from_bytes(*key.expose())),
                verifier: VideoVerifier::from_bytes(*shared.verifier)?,
                index_version: shared.index_version,
            })
        };
        let videos = wire.videos.iter().map(video).collect::<Result<_, KeyError>>()?;
        Ok(Self { name: wire.name, mark: wire.mark, videos })
    }
}
