//! Media frames in SFrame (RFC 9605), suite AES_128_GCM_SHA256_128: full 16-byte tags.
//!
//! ```text
//! frame  = clear prefix ‖ header ‖ ciphertext ‖ tag(16)              AAD = header ‖ codec(1) ‖ clear prefix
//! prefix = VP8: 10 bytes of a key frame, 3 of another; VP9, Opus: none
//! base   = MLS exporter(epoch, "SFrame 1.0 Base Key", "", 16)        §5.2
//! key id = (track, leaf, epoch mod 256)                              so that each has a key and a counter of its own
//! ```
//!
//! * The counter belongs to a key id and starts at 0 with every epoch; all simulcast layers of a track share it. Key ids of
//!   a reload differ by leaf or epoch, since no group state outlives the page.
//! * A frame is taken once: a window of 1,024 counters per key id.
//! * Any member *can* seal frames in another's name, as all hold the base key. The forwarder binds leaves to connections;
//!   in a mesh every connection has one known sender, whom the opener is told.
//! * Bulk goes through WebCrypto in a browser: [`FrameSealer::prepare`] and [`FrameOpener::prepare`] give nonce, AAD and
//!   key id for it, so that ids and counters are decided here in either case.

use std::collections::{BTreeMap, VecDeque};

use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit, Tag};
use gloaming_room_log::{KeyId, SFrameHeader};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the tag that ends a frame.
const TAG: usize = 16;
/// AES_128_GCM_SHA256_128, RFC 9605 §4.5.
const CIPHER_SUITE: u16 = 0x0004;
/// How many counters behind the highest one a frame may come.
const WINDOW: u64 = 1024;
/// Counters end below this.
const MAX_COUNTER: u64 = 1 << 48;
/// How many tracks of one leaf are opened in one epoch: what somebody hostile could make us keep.
const MAX_TRACKS: usize = 64;

/// How a frame is coded, which decides what of it stays readable for the browser's own packetiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The frame tag, and of a key frame its start code and size, stay clear.
    Vp8,
    /// Nothing stays clear.
    Vp9,
    /// Nothing stays clear. Without RED.
    Opus,
}

impl Codec {
    /// How many bytes in front of this frame stay clear; its first byte is among them, so both sides find the same number.
    fn clear(self, first: Option<&u8>) -> usize {
        match (self, first) {
            (Codec::Vp8, Some(first)) if first & 1 == 0 => 10,
            (Codec::Vp8, _) => 3,
            (Codec::Vp9 | Codec::Opus, _) => 0,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Codec::Vp8 => 1,
            Codec::Vp9 => 2,
            Codec::Opus => 3,
        }
    }
}

/// Why a frame was dropped. A dropped frame is never passed on, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// There is no key yet, or the member is not in the group any longer.
    #[error("there is no key to seal with")]
    NoKey,
    /// Shorter than what its codec leaves clear.
    #[error("the frame is too short for its codec")]
    TooShort,
    /// It does not begin as a sealed frame does: a frame that nobody sealed, perhaps.
    #[error("the frame is not sealed")]
    NotSealed,
    /// Of an epoch whose key is not here: too old, or not there yet.
    #[error("the frame is of another epoch")]
    OtherEpoch,
    /// Of a leaf on which nobody sits, or another than the connection's.
    #[error("the frame is from another seat")]
    OtherSeat,
    /// It came before.
    #[error("the frame was replayed")]
    Replayed,
    /// Altered, or sealed with another key.
    #[error("the frame did not pass its integrity check")]
    Rejected,
}

/// The key of one track, leaf and epoch, and the salt of its nonces. Neither prints, nor clones.
pub struct FrameKey {
    key: Zeroizing<[u8; 16]>,
    salt: Zeroizing<[u8; 12]>,
}

impl std::fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

impl FrameKey {
    /// RFC 9605 §4.4.2.
    fn derive(base: &[u8], kid: u64) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b""), base);
        let mut out = Self { key: Zeroizing::default(), salt: Zeroizing::default() };
        let label = |text: &[u8]| [text, &kid.to_be_bytes(), &CIPHER_SUITE.to_be_bytes()].concat();
        hkdf.expand(&label(b"SFrame 1.0 Secret key "), &mut *out.key).expect("16 bytes are few");
        hkdf.expand(&label(b"SFrame 1.0 Secret salt "), &mut *out.salt).expect("12 bytes are few");
        out
    }

    /// The raw AES-128 key, to be imported into WebCrypto as not extractable.
    pub fn expose(&self) -> &[u8; 16] {
        &self.key
    }

    /// §4.4.3: the salt, with the counter in its last eight bytes.
    fn nonce(&self, counter: u64) -> [u8; 12] {
        let mut nonce = *self.salt;
        nonce[4..].iter_mut().zip(counter.to_be_bytes()).for_each(|(n, c)| *n ^= c);
        nonce
    }

    fn cipher(&self) -> Aes128Gcm {
        Aes128Gcm::new((&*self.key).into())
    }
}

fn aad(header: &[u8], codec: Codec, prefix: &[u8]) -> Vec<u8> {
    [header, &[codec.byte()], prefix].concat()
}

/// One epoch's keys, as members hold them.
struct EpochKeys {
    epoch: u64,
    base: Zeroizing<Vec<u8>>,
}

/// How to seal one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct SealJob {
    /// Which key: [`FrameSealer::key`] gives it.
    pub kid: u64,
    /// The nonce, used for this frame and no other.
    pub nonce: [u8; 12],
    /// What is authenticated beside the ciphertext.
    pub aad: Vec<u8>,
    /// How many bytes of the frame stay clear. What is behind them is the plaintext.
    pub clear: usize,
    /// What goes between the clear bytes and the ciphertext.
    pub header: Vec<u8>,
}

/// Seals what this member sends.
#[derive(Default)]
pub struct FrameSealer {
    epoch: Option<(EpochKeys, u32)>,
    tracks: BTreeMap<u16, Sending>,
}

struct Sending {
    kid: u64,
    key: FrameKey,
    next: u64,
}

impl FrameSealer {
    /// From now on with this epoch's keys, from this leaf; without any, frames are dropped.
    pub(crate) fn switch(&mut self, keys: Option<(u64, Zeroizing<Vec<u8>>, u32)>) {
        self.tracks.clear();
        self.epoch = keys.map(|(epoch, base, leaf)| (EpochKeys { epoch, base }, leaf));
    }

    /// The epoch that frames are sealed in.
    pub fn epoch(&self) -> Option<u64> {
        Some(self.epoch.as_ref()?.0.epoch)
    }

    /// Decides how to seal a frame of `track`, for whoever does it. The counter is spent, whether or not they do.
    pub fn prepare(&mut self, track: u16, codec: Codec, frame: &[u8]) -> Result<SealJob, FrameFault> {
        let (keys, leaf) = self.epoch.as_ref().ok_or(FrameFault::NoKey)?;
        let clear = codec.clear(frame.first());
        let prefix = frame.get(..clear).ok_or(FrameFault::TooShort)?;
        let kid = KeyId::new(track, *leaf, keys.epoch).ok_or(FrameFault::NoKey)?.to_u64();
        let sending = self.tracks.entry(track).or_insert_with(|| Sending {
            kid,
            key: FrameKey::derive(&keys.base, kid),
            next: 0,
        });
        let counter = sending.next;
        if counter >= MAX_COUNTER {
            return Err(FrameFault::NoKey);
        }
        sending.next = counter + 1;
        let mut header = Vec::with_capacity(SFrameHeader::MAX_LEN);
        SFrameHeader { kid, counter }.encode_into(&mut header);
        let (nonce, aad) = (sending.key.nonce(counter), aad(&header, codec, prefix));
        Ok(SealJob { kid, nonce, aad, clear, header })
    }

    /// The key of a job that was just prepared.
    pub fn key(&self, kid: u64) -> Option<&FrameKey> {
        self.tracks.values().find(|sending| sending.kid == kid).map(|sending| &sending.key)
    }

    /// Seals a frame of `track`.
    pub fn seal(&mut self, track: u16, codec: Codec, frame: &[u8]) -> Result<Vec<u8>, FrameFault> {
        let job = self.prepare(track, codec, frame)?;
        let key = &self.tracks[&track].key;
        let mut out = Vec::with_capacity(frame.len() + job.header.len() + TAG);
        out.extend_from_slice(&frame[..job.clear]);
        out.extend_from_slice(&job.header);
        let start = out.len();
        out.extend_from_slice(&frame[job.clear..]);
        let tag = key
            .cipher()
            .encrypt_inout_detached(&job.nonce.into(), &job.aad, out[start..].as_mut().into())
            .expect("a frame is far shorter than GCM's 64 GiB");
        out.extend_from_slice(&tag);
        Ok(out)
    }
}

impl std::fmt::Debug for FrameSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameSealer(epoch {:?})", self.epoch())
    }
}

/// How to open one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenJob {
    /// Which key: [`FrameOpener::key`] gives it.
    pub kid: u64,
    /// The frame's counter, for [`FrameOpener::opened`].
    pub counter: u64,
    /// The epoch that the key is of.
    pub epoch: u64,
    /// The nonce.
    pub nonce: [u8; 12],
    /// What is authenticated beside the ciphertext.
    pub aad: Vec<u8>,
    /// How many bytes of the frame are clear, and stay in front of the plaintext.
    pub clear: usize,
    /// Where the ciphertext begins. It goes on to the end, its tag included.
    pub ciphertext: usize,
}

/// Opens what others send.
#[derive(Default)]
pub struct FrameOpener {
    /// The newest first.
    epochs: VecDeque<Receiving>,
}

struct Receiving {
    keys: EpochKeys,
    /// Who sits where, so that a leaf of the past is not somebody else's of today.
    leaves: Vec<u32>,
    keyed: BTreeMap<u64, (FrameKey, Window)>,
}

impl FrameOpener {
    /// From now on this epoch's frames open, beside those of epochs before it that were not dropped yet.
    pub(crate) fn add(&mut self, epoch: u64, base: Zeroizing<Vec<u8>>, leaves: Vec<u32>) {
        let keys = EpochKeys { epoch, base };
        self.epochs.push_front(Receiving { keys, leaves, keyed: BTreeMap::new() });
        // Far fewer than would make two of them look the same in a key id.
        self.epochs.truncate(16);
    }

    /// Frames of these leaves open no longer, whatever the epoch.
    pub(crate) fn forget_leaves(&mut self, removed: &[u32]) {
        for epoch in &mut self.epochs {
            epoch.leaves.retain(|leaf| !removed.contains(leaf));
        }
    }

    /// Frames of epochs before this one open no longer.
    pub(crate) fn forget_before(&mut self, epoch: u64) {
        self.epochs.retain(|receiving| receiving.keys.epoch >= epoch);
    }

    /// The epochs whose frames open, the newest first.
    pub fn epochs(&self) -> impl Iterator<Item = u64> {
        self.epochs.iter().map(|receiving| receiving.keys.epoch)
    }

    /// Decides how to open a frame that came from `leaf`, for whoever does it; they then tell [`FrameOpener::opened`].
    pub fn prepare(&mut self, leaf: u32, codec: Codec, frame: &[u8]) -> Result<OpenJob, FrameFault> {
        let clear = codec.clear(frame.first());
        let (prefix, sealed) = frame.split_at_checked(clear).ok_or(FrameFault::NotSealed)?;
        let (header, length) = SFrameHeader::parse(sealed).map_err(|_| FrameFault::NotSealed)?;
        let id = header.key_id().ok_or(FrameFault::NotSealed)?;
        // Our own sealers would need thousands of years; sums below cannot overflow.
        if sealed.len() < length + TAG || header.counter >= MAX_COUNTER {
            return Err(FrameFault::NotSealed);
        }
        let same = |epoch: &&mut Receiving| epoch.keys.epoch.to_le_bytes()[0] == id.epoch;
        let receiving = self.epochs.iter_mut().find(same).ok_or(FrameFault::OtherEpoch)?;
        if id.leaf != leaf || !receiving.leaves.contains(&id.leaf) {
            return Err(FrameFault::OtherSeat);
        }
        let of_leaf =
            receiving.keyed.keys().filter(|kid| KeyId::from_u64(**kid).is_some_and(|id| id.leaf == leaf));
        if !receiving.keyed.contains_key(&header.kid) && of_leaf.count() >= MAX_TRACKS {
            return Err(FrameFault::OtherSeat);
        }
        let base = &receiving.keys.base;
        let (key, window) = receiving
            .keyed
            .entry(header.kid)
            .or_insert_with(|| (FrameKey::derive(base, header.kid), Window::default()));
        if !window.is_new(header.counter) {
            return Err(FrameFault::Replayed);
        }
        Ok(OpenJob {
            kid: header.kid,
            counter: header.counter,
            epoch: receiving.keys.epoch,
            nonce: key.nonce(header.counter),
            aad: aad(&sealed[..length], codec, prefix),
            clear,
            ciphertext: clear + length,
        })
    }

    /// The key of a job that was just prepared.
    pub fn key(&self, job: &OpenJob) -> Option<&FrameKey> {
        let receiving = self.epochs.iter().find(|receiving| receiving.keys.epoch == job.epoch)?;
        receiving.keyed.get(&job.kid).map(|(key, _)| key)
    }

    /// The frame of this job opened: its counter is used up. [`FrameFault::Replayed`] where another was quicker.
    pub fn opened(&mut self, job: &OpenJob) -> Result<(), FrameFault> {
        let receiving = self.epochs.iter_mut().find(|receiving| receiving.keys.epoch == job.epoch);
        let keyed = receiving.and_then(|receiving| receiving.keyed.get_mut(&job.kid));
        let (_, window) = keyed.ok_or(FrameFault::OtherEpoch)?;
        if window.take(job.counter) { Ok(()) } else { Err(FrameFault::Replayed) }
    }

    /// Opens a frame that came from `leaf`.
    pub fn open(&mut self, leaf: u32, codec: Codec, frame: &[u8]) -> Result<Vec<u8>, FrameFault> {
        let job = self.prepare(leaf, codec, frame)?;
        let key = self.key(&job).expect("it was just prepared");
        let (text, tag) = frame[job.ciphertext..].split_last_chunk::<TAG>().ok_or(FrameFault::NotSealed)?;
        let mut out = Vec::with_capacity(job.clear + text.len());
        out.extend_from_slice(&frame[..job.clear]);
        out.extend_from_slice(text);
        let opened = key.cipher().decrypt_inout_detached(
            &job.nonce.into(),
            &job.aad,
            out[job.clear..].as_mut().into(),
            &Tag::from(*tag),
        );
        if opened.is_err() {
            out.zeroize();
            return Err(FrameFault::Rejected);
        }
        self.opened(&job)?;
        Ok(out)
    }
}

impl std::fmt::Debug for FrameOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameOpener(epochs {:?})", self.epochs().collect::<Vec<_>>())
    }
}

/// Which counters of one key were seen.
#[derive(Default)]
struct Window {
    /// One more than the highest.
    next: u64,
    /// A bit for each of the last [`WINDOW`] counters, at the counter modulo [`WINDOW`].
    seen: [u64; (WINDOW / 64) as usize],
}

impl Window {
    fn is_new(&self, counter: u64) -> bool {
        counter >= self.next || (counter + WINDOW >= self.next && !self.bit(counter))
    }

    fn take(&mut self, counter: u64) -> bool {
        if !self.is_new(counter) {
            return false;
        }
        if counter >= self.next {
            // What is skipped was not seen.
            for skipped in self.next.max((counter + 1).saturating_sub(WINDOW))..counter {
                self.seen[Self::word(skipped)] &= !(1 << (skipped % 64));
            }
            self.next = counter + 1;
        }
        self.seen[Self::word(counter)] |= 1 << (counter % 64);
        true
    }

    fn bit(&self, counter: u64) -> bool {
        self.seen[Self::word(counter)] >> (counter % 64) & 1 == 1
    }

    fn word(counter: u64) -> usize {
        usize::try_from(counter % WINDOW / 64).expect("the window has few words")
    }
}

#[cfg(test)]
mod tests;
