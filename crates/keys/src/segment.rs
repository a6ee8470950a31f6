//! A segment's key: half from the view share, half from the grant share.
//!
//! ```text
//! view_salt = HKDF(view_share, "segment-salt", video)
//! share     = HKDF(grant_share, "segment-share", video, track, index)      (gloaming-grants)
//! key       = HKDF(salt = view_salt, ikm = share, "segment-key", video, track, index)
//! ```

use gloaming_grants::{GrantShare, SegmentShare, segment_share};
use gloaming_ids::{Context, TrackId, VideoId};

use crate::{
    VideoSecret, ViewShare,
    derive::{derive, derive_salted},
};

gloaming_grants::secret! {
    /// Seals the fragments of one segment, and nothing else.
    SegmentKey;
    /// What the view share adds to one video's segment keys. For a viewer, whose shares come from the server.
    ViewSalt;
}

impl ViewSalt {
    /// The salt of `video`.
    pub fn derive(view: &ViewShare, video: VideoId) -> Self {
        Self::from_bytes(derive(view.expose(), &Context::new("segment-salt").field(video)))
    }

    /// The key of segment `index` of `track`, from its share.
    pub fn derive_segment_key(
        &self,
        share: &SegmentShare,
        video: VideoId,
        track: TrackId,
        index: u32,
    ) -> SegmentKey {
        let info = Context::new("segment-key").field(video).field(track).number(index);
        SegmentKey::from_bytes(derive_salted(self.expose(), share.expose(), &info))
    }
}

/// All segment keys of one video, for who holds both shares.
#[derive(Debug)]
pub struct SegmentKeys {
    video: VideoId,
    salt: ViewSalt,
    grant: GrantShare,
}

impl SegmentKeys {
    /// The segment keys of `video`.
    pub fn new(secret: &VideoSecret, video: VideoId) -> Self {
        Self::from_halves(&secret.view_share, &secret.grant_share, video)
    }

    /// The same, of a video that somebody gave.
    pub fn from_halves(view: &ViewShare, grant: &GrantShare, video: VideoId) -> Self {
        let grant = GrantShare::from_bytes(*grant.expose());
        Self { video, salt: ViewSalt::derive(view, video), grant }
    }

    /// The key of segment `index` of `track`.
    pub fn derive_segment_key(&self, track: TrackId, index: u32) -> SegmentKey {
        let share = segment_share(&self.grant, self.video, track, index);
        self.salt.derive_segment_key(&share, self.video, track, index)
    }
}
