//! A playback's keys over time. Every [`EPOCH`] a one-way step; what was before cannot be computed from what is now.
//!
//! ```text
//! chain_0     = HKDF(root, "playback-chain")
//! chain_{e+1} = HKDF(chain_e, "playback-ratchet")
//! kek_e       = HKDF(chain_e, "playback-kek")       wraps segment shares: AES-KW (RFC 3394)
//! proof_e     = HKDF(chain_e, "playback-proof")     keys the proof that a request is the viewer's
//! refresh in e:  chain_{e+1} := HKDF(salt = chain_{e+1}, ikm = root', "playback-refresh")
//! ```

use std::time::Duration;

use aes_kw::{KeyInit, KwAes256};
use gloaming_ids::{Context, UnixMillis};

use crate::{SegmentShare, derive::derive};

/// How long one set of keys is used.
pub const EPOCH: Duration = Duration::from_secs(20);
/// Bytes of a wrapped share.
pub const WRAPPED: usize = 40;

crate::secret! {
    /// From which all later keys of a playback follow, and no earlier one.
    ChainKey;
    /// Wraps the shares of one epoch.
    WrapKey;
    /// Keys the proofs of one epoch.
    ProofKey;
}

/// The epoch at `now` of a playback that began at `start`. The server's clock decides; where it jumps back, it is the
/// first.
pub fn epoch_at(start: UnixMillis, now: UnixMillis) -> u64 {
    now.since(start).as_secs() / EPOCH.as_secs()
}

/// A share that does not unwrap: not of this epoch, or not of this playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a grant that does not open with this playback's keys")]
pub struct BadWrap;

/// The keys of one epoch.
#[derive(Debug)]
pub struct EpochKeys {
    /// Which.
    pub epoch: u64,
    wrap: WrapKey,
    pub(crate) proof: ProofKey,
}

impl EpochKeys {
    /// A segment's share, for this playback's eyes only.
    pub fn wrap(&self, share: &SegmentShare) -> [u8; WRAPPED] {
        let mut out = [0; WRAPPED];
        KwAes256::new(self.wrap.expose().into())
            .wrap_key(share.expose(), &mut out)
            .expect("a share is four semiblocks, and there is room");
        out
    }

    /// The share that was wrapped.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<SegmentShare, BadWrap> {
        if wrapped.len() != WRAPPED {
            return Err(BadWrap);
        }
        let mut share = zeroize::Zeroizing::new([0; 32]);
        KwAes256::new(self.wrap.expose().into())
            .unwrap_key(wrapped, share.as_mut_slice())
            .map_err(|_| BadWrap)?;
        Ok(SegmentShare::from_bytes(*share))
    }
}

/// A playback's keys now, and where the next ones come from. Both sides hold the same.
#[derive(Debug)]
pub struct Epochs {
    /// One step ahead of `current`, so that nothing here leads back to it.
    next: ChainKey,
    current: EpochKeys,
    previous: Option<EpochKeys>,
}

impl Epochs {
    pub(crate) fn new(root: &ChainKey) -> Self {
        let chain = step(root, "playback-chain");
        Self { next: step(&chain, RATCHET), current: keys(&chain, 0), previous: None }
    }

    /// The epoch it is.
    pub fn epoch(&self) -> u64 {
        self.current.epoch
    }

    /// The keys of now.
    pub fn current(&self) -> &EpochKeys {
        &self.current
    }

    /// The keys of this epoch, or of the one before: what is on its way while the epoch changes.
    pub fn keys(&self, epoch: u64) -> Option<&EpochKeys> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|keys| keys.epoch == epoch)
    }

    /// Steps forward to `epoch`, and forgets all but the one before it. Never back.
    pub fn advance(&mut self, epoch: u64) {
        while self.current.epoch < epoch {
            let keys = keys(&self.next, self.current.epoch + 1);
            self.previous = Some(std::mem::replace(&mut self.current, keys));
            self.next = step(&self.next, RATCHET);
        }
    }

    /// A refresh: what an exchange made anew goes into the chain, from the next epoch on. Says which that is.
    pub(crate) fn mix(&mut self, root: &ChainKey) -> u64 {
        let mixed = derive(Some(self.next.expose()), root.expose(), &Context::new("playback-refresh"));
        self.next = ChainKey::from_bytes(mixed);
        self.current.epoch + 1
    }
}

const RATCHET: &str = "playback-ratchet";

fn step(key: &ChainKey, label: &'static str) -> ChainKey {
    ChainKey::from_bytes(derive(None, key.expose(), &Context::new(label)))
}

fn keys(chain: &ChainKey, epoch: u64) -> EpochKeys {
    let key = |label| derive(None, chain.expose(), &Context::new(label));
    EpochKeys {
        epoch,
        wrap: WrapKey::from_bytes(key("playback-kek")),
        proof: ProofKey::from_bytes(key("playback-proof")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "vectors are constants")]

    use super::*;

    /// RFC 3394 §4.6: 256 bits of key data under a 256-bit key.
    #[test]
    fn a_share_is_wrapped_as_rfc_3394_says() {
        let bytes = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
        let keys = EpochKeys {
            epoch: 0,
            wrap: WrapKey::from_bytes(bytes(
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            )),
            proof: ProofKey::from_bytes([0; 32]),
        };
        let share = bytes("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        let wrapped = keys.wrap(&SegmentShare::from_bytes(share));
        assert_eq!(
            hex::encode(wrapped),
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
        );
        assert_eq!(keys.unwrap(&wrapped).unwrap().expose(), &share);
    }

    /// Computed with Python's `hmac`, following RFC 5869 by hand.
    #[test]
    fn the_chain_is_what_the_specification_says() {
        let mut epochs = Epochs::new(&ChainKey::from_bytes([1; 32]));
        let all = |epochs: &Epochs| {
            let keys = epochs.current();
            [keys.wrap.expose(), keys.proof.expose()].map(hex::encode)
        };
        assert_eq!(all(&epochs), EPOCH_0);
        epochs.advance(2);
        assert_eq!(all(&epochs), EPOCH_2);
        assert_eq!(epochs.mix(&ChainKey::from_bytes([2; 32])), 3);
        assert_eq!(all(&epochs), EPOCH_2);
        epochs.advance(3);
        assert_eq!(all(&epochs), EPOCH_3_REFRESHED);
    }

    const EPOCH_0: [&str; 2] = [
        "81e5e4c7638bbaaeb49d2dd074f0e630896619111ce3ef51ed4e5de69c78db3c",
        "3b5bbb325e7fecb3e232024bab4e5dccce5d0c3f11c595c5b51f84abb58d4c61",
    ];
    const EPOCH_2: [&str; 2] = [
        "125474ed47f2985648661d2c5228ac6ba669b1e03ed29ed681e0c09d0e4cf53a",
        "6e78c4f38c3d79d536aee8a6d28417bc7d5d865f3dbd8af6122d9049bc9ad75f",
    ];
    const EPOCH_3_REFRESHED: [&str; 2] = [
        "5a281f717cf273371bb9037b28af35535f946d35991a3a03bdb4dfc241eb17b1",
        "b96edbc312461321ebc73ee78b620103e066fb80c64284de8df958cb35583f85",
    ];
}
