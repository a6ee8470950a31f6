//! The one way for a frame to get out: what is handed to a connection is a [`Sealed`], and nothing else makes one.

use gloaming_room::{Codec, FrameFault, FrameSealer};

/// A frame that the room's members open, and nobody else.
#[derive(Debug)]
pub(super) struct Sealed {
    bytes: Vec<u8>,
    pub(super) codec: Codec,
    /// Whether it needs no other frame. Read before it was sealed: a receiver has to be told.
    pub(super) key: bool,
}

impl Sealed {
    /// Seals a frame of `track`. Where there is no key, nothing comes out.
    pub(super) fn seal(
        sealer: &mut FrameSealer,
        track: u16,
        codec: Codec,
        frame: &[u8],
    ) -> Result<Self, FrameFault> {
        Ok(Self { key: is_key(codec, frame), bytes: sealer.seal(track, codec, frame)?, codec })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether a decoder can begin with this frame.
pub(super) fn is_key(codec: Codec, frame: &[u8]) -> bool {
    let Some(&first) = frame.first() else { return false };
    match codec {
        Codec::Opus => true,
        // RFC 6386 §9.1.
        Codec::Vp8 => first & 1 == 0,
        // VP9 bitstream §6.2, profiles 0 to 2: marker, profile, show_existing_frame, frame_type.
        Codec::Vp9 => first & 0b1100_1100 == 0b1000_0000,
    }
}

/// A frame that nobody sealed, for tests of what happens to sealed ones.
#[cfg(test)]
pub(super) fn tests_only(codec: Codec, key: bool, bytes: Vec<u8>) -> Sealed {
    Sealed { bytes, codec, key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_needs_no_other_is_known_by_its_first_byte() {
        assert!(is_key(Codec::Vp8, &[0x10]) && !is_key(Codec::Vp8, &[0x11]));
        assert!(is_key(Codec::Vp9, &[0x82]) && !is_key(Codec::Vp9, &[0x86]) && !is_key(Codec::Vp9, &[0x8a]));
        assert!(is_key(Codec::Opus, &[0xfc]) && !is_key(Codec::Opus, &[]));
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_so_nothing_can_be_sent() {
        let mut sealer = FrameSealer::default();
        assert_eq!(Sealed::seal(&mut sealer, 0, Codec::Opus, &[1, 2, 3]).err(), Some(FrameFault::NoKey));
    }
}
