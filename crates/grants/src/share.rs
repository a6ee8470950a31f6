use gloaming_ids::{Context, TrackId, VideoId};

use crate::derive::derive;

crate::secret! {
    /// One video's half of every segment key: held by the owner and, while the video is published, by the server.
    GrantShare;
    /// One segment's half of its key. Opens nothing without the view share.
    SegmentShare;
}

/// The share of segment `index` of `track`: `HKDF-SHA-256(ikm = grant_share, info = "segment-share", video, track,
/// index)`, without a salt (RFC 5869 §2.2: 32 zero bytes).
pub fn segment_share(grant: &GrantShare, video: VideoId, track: TrackId, index: u32) -> SegmentShare {
    let info = Context::new("segment-share").field(video).field(track).number(index);
    SegmentShare(derive(None, grant.expose(), &info))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn share(grant: u8, video: u8, track: u8, index: u32) -> [u8; 32] {
        let grant = GrantShare::from_bytes([grant; 32]);
        let (video, track) = (VideoId::from_bytes([video; 16]), TrackId::from_bytes([track; 16]));
        *segment_share(&grant, video, track, index).expose()
    }

    /// Computed with Python's `hmac`, following RFC 5869 by hand.
    #[test]
    fn a_segment_share_is_what_the_specification_says() {
        assert_eq!(
            hex::encode(share(1, 2, 3, 4)),
            "48e8832f974f75ec308d9d59912b14fb540d0b4cc662fd601b2d4e376b473641"
        );
    }

    #[test]
    fn every_argument_makes_another_share() {
        let all = [(1, 2, 3, 4), (9, 2, 3, 4), (1, 9, 3, 4), (1, 2, 9, 4), (1, 2, 3, 9), (1, 3, 2, 4)];
        let shares: HashSet<_> = all.iter().map(|&(g, v, t, i)| share(g, v, t, i)).collect();
        assert_eq!(shares.len(), all.len());
    }

    #[test]
    fn a_share_prints_its_name_only() {
        assert_eq!(format!("{:?}", GrantShare::from_bytes([7; 32])), "GrantShare(..)");
    }
}
