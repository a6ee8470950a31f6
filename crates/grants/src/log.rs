//! The log of a video's grants: a chain, so that what was shown once can be shown to be there still.
//!
//! ```text
//! head_0     = SHA-256("grant-log-start", account, video)
//! head_n     = SHA-256("grant-log", head_{n-1}, n, time, share, playback, track, segment, network, agent)
//! signature  = Ed25519(server's log key, "grant-log-head", account, video, n, head_n)
//! ```
//!
//! It shows that nothing was changed or removed. That a dishonest server wrote everything down it cannot show.

use ed25519_dalek::{Signature, VerifyingKey};
use gloaming_ids::{AccountId, Context, PlaybackId, ShareId, TrackId, UnixMillis, VideoId};

use crate::derive::sha256;

/// One grant: this segment was opened to this playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRow<'a> {
    /// The video's n-th grant, from 1.
    pub number: u64,
    /// When, by the server's clock.
    pub at: UnixMillis,
    /// Under which share.
    pub share: ShareId,
    /// To which playback.
    pub playback: PlaybackId,
    /// Of which track…
    pub track: TrackId,
    /// …which segment.
    pub segment: u32,
    /// Whence: an IPv4 /24 or an IPv6 /48.
    pub network: &'a str,
    /// What the viewer's program called itself, cut short.
    pub agent: &'a str,
}

/// The head of a video's log that is still empty.
pub fn log_start(account: AccountId, video: VideoId) -> [u8; 32] {
    sha256(&[Context::new("grant-log-start").field(account).field(video).as_bytes()])
}

/// The head after one more row.
pub fn log_next(head: &[u8; 32], row: &LogRow<'_>) -> [u8; 32] {
    let context = Context::new("grant-log")
        .field(head)
        .number(row.number)
        .number(row.at.0)
        .field(row.share)
        .field(row.playback)
        .field(row.track)
        .number(row.segment)
        .field(row.network)
        .field(row.agent);
    sha256(&[context.as_bytes()])
}

/// What the server signs when it shows a log's head.
pub fn log_head_message(account: AccountId, video: VideoId, count: u64, head: &[u8; 32]) -> Context {
    Context::new("grant-log-head").field(account).field(video).number(count).field(head)
}

/// The server's log key did not sign this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the head of this log is not signed by the key that was seen before")]
pub struct BadLogHead;

/// Whether this log key signed this head.
pub fn verify_log_head(
    log_key: &[u8; 32],
    account: AccountId,
    video: VideoId,
    (count, head): (u64, &[u8; 32]),
    signature: &[u8; 64],
) -> Result<(), BadLogHead> {
    let message = log_head_message(account, video, count, head);
    VerifyingKey::from_bytes(log_key)
        .and_then(|key| key.verify_strict(message.as_bytes(), &Signature::from_bytes(signature)))
        .map_err(|_| BadLogHead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LogRow<'static> {
        LogRow {
            number: 1,
            at: UnixMillis(1_700_000_000_000),
            share: ShareId::from_bytes([3; 16]),
            playback: PlaybackId::from_bytes([4; 16]),
            track: TrackId::from_bytes([5; 16]),
            segment: 6,
            network: "192.0.2.0/24",
            agent: "Firefox",
        }
    }

    /// Computed with Python's `hashlib`.
    #[test]
    fn the_chain_is_what_the_specification_says() {
        let start = log_start(AccountId::from_bytes([1; 16]), VideoId::from_bytes([2; 16]));
        assert_eq!(hex::encode(start), "f92ea953601eec364079d49074762b40d3a22f210c1fcc25a99410a6171dd386");
        assert_eq!(
            hex::encode(log_next(&start, &row())),
            "8c241ae80b2eb899112e0cf36ecaacbed3eca24b0265506a34fd1c08f59d8841"
        );
    }

    #[test]
    fn every_field_of_a_row_changes_the_head() {
        let head = [7; 32];
        let others = [
            LogRow { number: 2, ..row() },
            LogRow { at: UnixMillis(1), ..row() },
            LogRow { share: ShareId::from_bytes([9; 16]), ..row() },
            LogRow { playback: PlaybackId::from_bytes([9; 16]), ..row() },
            LogRow { track: TrackId::from_bytes([9; 16]), ..row() },
            LogRow { segment: 7, ..row() },
            LogRow { network: "192.0.3.0/24", ..row() },
            LogRow { network: "192.0.2.0/24Fire", agent: "fox", ..row() },
        ];
        for other in others {
            assert_ne!(log_next(&head, &other), log_next(&head, &row()), "{other:?}");
        }
        assert_ne!(log_next(&[8; 32], &row()), log_next(&head, &row()));
    }
}
