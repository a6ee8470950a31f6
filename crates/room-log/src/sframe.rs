//! The header of a sealed frame (RFC 9605 §4.3), and what its key id says.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+---------------+---------------+
//! |X|  K  |Y|  C  |  KID, if X=1  |  CTR, if Y=1  |      big-endian, K+1 and C+1 bytes, no leading zeros
//! +-+-+-+-+-+-+-+-+---------------+---------------+
//!
//! KID = track(16) ‖ leaf(12) ‖ epoch mod 256 (8)            §5.2: context, sender index, epoch
//! ```

/// The largest number of a track that a seat sends.
pub const MAX_TRACK: u16 = u16::MAX;
/// The largest leaf that frames can come from.
pub const MAX_LEAF: u32 = (1 << LEAF_BITS) - 1;

const EPOCH_BITS: u32 = 8;
const LEAF_BITS: u32 = 12;

/// Which key a frame is sealed with: one for every sending track, leaf and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// The number that the sender gave the track.
    pub track: u16,
    /// The sender's leaf in the group's tree, at most [`MAX_LEAF`].
    pub leaf: u32,
    /// The last eight bits of the epoch. Members keep keys of far fewer than 256 epochs.
    pub epoch: u8,
}

impl KeyId {
    /// The id for a track of a leaf in an epoch of the group; `None` where the leaf is beyond [`MAX_LEAF`].
    pub fn new(track: u16, leaf: u32, epoch: u64) -> Option<Self> {
        (leaf <= MAX_LEAF).then_some(Self { track, leaf, epoch: epoch.to_le_bytes()[0] })
    }

    /// As it stands in a header.
    pub fn to_u64(self) -> u64 {
        u64::from(self.track) << (LEAF_BITS + EPOCH_BITS)
            | u64::from(self.leaf) << EPOCH_BITS
            | u64::from(self.epoch)
    }

    /// From a header; `None` where it is no id of ours.
    pub fn from_u64(kid: u64) -> Option<Self> {
        Some(Self {
            track: u16::try_from(kid >> (LEAF_BITS + EPOCH_BITS)).ok()?,
            leaf: u32::try_from(kid >> EPOCH_BITS & u64::from(MAX_LEAF)).expect("twelve bits"),
            epoch: kid.to_le_bytes()[0],
        })
    }
}

/// A frame that does not begin with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the header of a sealed frame")]
pub struct BadHeader;

/// The header in front of a sealed frame's ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SFrameHeader {
    /// The key id.
    pub kid: u64,
    /// The frame's number under that key, which makes its nonce.
    pub counter: u64,
}

impl SFrameHeader {
    /// The longest header, in bytes.
    pub const MAX_LEN: usize = 17;

    /// Appends the header's bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.push(0);
        let x_k = encode_number(self.kid, out);
        let y_c = encode_number(self.counter, out);
        out[at] = x_k << 4 | y_c;
    }

    /// Reads the header that a sealed frame (behind its clear prefix) begins with, and says how long it is.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), BadHeader> {
        let (&config, rest) = bytes.split_first().ok_or(BadHeader)?;
        let (kid, rest) = parse_number(config >> 4, rest)?;
        let (counter, rest) = parse_number(config & 15, rest)?;
        Ok((Self { kid, counter }, bytes.len() - rest.len()))
    }

    /// The key id, read as ours.
    pub fn key_id(&self) -> Option<KeyId> {
        KeyId::from_u64(self.kid)
    }
}

/// A flag and three bits: the number itself below 8, else how many bytes it takes, less one.
fn encode_number(number: u64, out: &mut Vec<u8>) -> u8 {
    if let Ok(small @ 0..8) = u8::try_from(number) {
        return small;
    }
    let bytes = number.to_be_bytes();
    let skip = bytes.iter().take_while(|&&b| b == 0).count();
    out.extend_from_slice(&bytes[skip..]);
    8 | u8::try_from(bytes.len() - skip - 1).expect("a number has one to eight bytes")
}

fn parse_number(bits: u8, rest: &[u8]) -> Result<(u64, &[u8]), BadHeader> {
    let low = bits & 7;
    if bits & 8 == 0 {
        return Ok((low.into(), rest));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(low) + 1).ok_or(BadHeader)?;
    let number = bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b));
    // One spelling only: what a forwarder reads must be what a member reads.
    if bytes[0] == 0 || (bytes.len() == 1 && number < 8) { Err(BadHeader) } else { Ok((number, rest)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(kid: u64, counter: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        SFrameHeader { kid, counter }.encode_into(&mut bytes);
        bytes
    }

    /// From RFC 9605, appendix C.1: the corners of its table.
    #[test]
    fn headers_are_those_of_the_rfc() {
        assert_eq!(encode(0, 0), [0x00]);
        assert_eq!(encode(0, 7), [0x07]);
        assert_eq!(encode(0, 8), [0x08, 0x08]);
        assert_eq!(encode(0, 256), [0x09, 0x01, 0x00]);
        assert_eq!(encode(8, 0), [0x80, 0x08]);
        assert_eq!(encode(256, 65535), [0x99, 0x01, 0x00, 0xff, 0xff]);
        let longest = encode(u64::MAX, u64::MAX);
        assert_eq!(longest[0], 0xff);
        assert_eq!(longest.len(), SFrameHeader::MAX_LEN);
    }

    #[test]
    fn a_number_with_a_leading_zero_or_that_would_have_fitted_in_front_is_refused() {
        for bytes in
            [&[0x80, 0x07][..], &[0x81, 0x00, 0xff], &[0x08, 0x00], &[0x09, 0x00, 0x10], &[0x81, 0x01], &[]]
        {
            assert_eq!(SFrameHeader::parse(bytes), Err(BadHeader), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_reads_back(kid: u64, counter: u64, shift in 0..64u32, shift2 in 0..64u32) {
            let header = SFrameHeader { kid: kid >> shift, counter: counter >> shift2 };
            let mut bytes = encode(header.kid, header.counter);
            let length = bytes.len();
            bytes.extend_from_slice(b"ciphertext");
            prop_assert_eq!(SFrameHeader::parse(&bytes), Ok((header, length)));
        }

        #[test]
        fn what_parses_is_spelled_in_that_one_way(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok((header, length)) = SFrameHeader::parse(&bytes) {
                prop_assert_eq!(encode(header.kid, header.counter), &bytes[..length]);
            }
        }

        #[test]
        fn a_key_id_reads_back(track: u16, leaf in 0..=MAX_LEAF, epoch: u64) {
            let id = KeyId::new(track, leaf, epoch).expect("the leaf is small enough");
            prop_assert_eq!(KeyId::from_u64(id.to_u64()), Some(id));
        }
    }

    #[test]
    fn the_first_track_of_a_small_room_costs_two_bytes() {
        let kid = KeyId::new(0, 5, 9).expect("a small leaf").to_u64();
        assert_eq!(encode(kid, 0).len(), 3);
        assert_eq!(KeyId::new(0, MAX_LEAF + 1, 0), None);
        assert_eq!(KeyId::from_u64(1 << 36), None);
    }
}
