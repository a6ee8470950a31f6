//! Sealed frames as payloads of RTP packets.
//!
//! ```text
//! VP8   RFC 7741: X, S on the first; I with 15 bits of picture id
//! VP9   RFC 9628: I, L; P where the frame needs another; B and E where it begins and ends; V with one layer on key frames
//! Opus  RFC 7587: the frame is the payload
//! ```
//!
//! str0m's own packetizers look into frames for what stands in the descriptor; of a sealed frame they would read noise.

use gloaming_room::Codec;

use super::sealed::Sealed;

/// Bytes of a frame in one packet. With headers, tags and extensions it stays below 1,200, which every network takes.
const PAYLOAD: usize = 1_050;

/// Counts what the descriptors of one stream count.
#[derive(Debug, Default)]
pub(super) struct Packetizer {
    picture: u16,
    tl0: u8,
}

impl Packetizer {
    /// The payloads of a frame, in order. The last one ends it.
    pub(super) fn payloads(&mut self, frame: &Sealed) -> Vec<Vec<u8>> {
        let bytes = frame.bytes();
        if frame.codec == Codec::Opus {
            return vec![bytes.to_vec()];
        }
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
        let count = bytes.len().div_ceil(PAYLOAD);
        let payload = |(number, chunk): (usize, &[u8])| {
            let (first, last) = (number == 0, number + 1 == count);
            let mut out = Vec::with_capacity(chunk.len() + 6);
            self.descriptor(frame, first, last, &mut out);
            out.extend_from_slice(chunk);
            out
        };
        bytes.chunks(PAYLOAD).enumerate().map(payload).collect()
    }

    fn descriptor(&self, frame: &Sealed, first: bool, last: bool, out: &mut Vec<u8>) {
        let [high, low] = self.picture.to_be_bytes();
        match frame.codec {
            Codec::Vp8 => out.extend([0x80 | if first { 0x10 } else { 0 }, 0x80, 0x80 | high, low]),
            Codec::Vp9 => {
                let structure = frame.key && first;
                let flags = [(0x40, !frame.key), (0x08, first), (0x04, last), (0x02, structure)];
                let flags = flags.iter().filter(|(_, set)| *set).fold(0xa0, |all, (bit, _)| all | bit);
                // The only layer, which others may switch up from.
                out.extend([flags, 0x80 | high, low, 0x10, self.tl0]);
                if structure {
                    out.push(0);
                }
            }
            Codec::Opus => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;
    use crate::online::room::sealed::tests_only;

    #[test]
    fn a_frame_is_cut_and_each_packet_says_where_in_it_it_is() {
        let frame = tests_only(Codec::Vp9, true, vec![0xaa; 2 * PAYLOAD + 1]);
        let mut packetizer = Packetizer::default();
        let [first, middle, last] = packetizer.payloads(&frame).try_into().unwrap();
        assert_eq!((first[0], first.len()), (0xaa, PAYLOAD + 6));
        assert_eq!((middle[0], middle.len()), (0xa0, PAYLOAD + 5));
        assert_eq!((last[0], last.len()), (0xa4, 6));
        assert_eq!(first[1..5], middle[1..5], "the same picture");
        let next = packetizer.payloads(&tests_only(Codec::Vp9, false, vec![1]));
        assert_eq!(next, [[0xec, 0x80, 2, 0x10, 2, 1]]);
    }

    #[test]
    fn a_vp8_frame_begins_where_its_first_packet_says() {
        let frame = tests_only(Codec::Vp8, true, vec![0xaa; PAYLOAD + 1]);
        let [first, last] = Packetizer::default().payloads(&frame).try_into().unwrap();
        assert_eq!((&first[..5], first.len()), (&[0x90, 0x80, 0x80, 1, 0xaa][..], PAYLOAD + 4));
        assert_eq!(last, [0x80, 0x80, 0x80, 1, 0xaa]);
    }
}
