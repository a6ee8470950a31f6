//! IVF, the plainest file of VP8 or VP9 frames.
//!
//! ```text
//! "DKIF" ‖ version 0(2) ‖ 32(2) ‖ fourcc(4) ‖ width(2) ‖ height(2) ‖ rate(4) ‖ scale(4) ‖ frames(4) ‖ 0(4)     little endian
//! then for each frame: length(4) ‖ time(8) ‖ frame
//! ```

use std::io::{self, Seek, SeekFrom, Write};

use gloaming_room::Codec;

/// Times are in these.
pub(super) const RATE: u32 = 90_000;
/// Where the number of frames stands.
const COUNT: u64 = 24;

#[derive(Debug)]
pub(super) struct Ivf<W> {
    out: W,
    frames: u32,
}

impl<W: Write + Seek> Ivf<W> {
    /// Begins a file with this key frame's size.
    pub(super) fn new(mut out: W, codec: Codec, key_frame: &[u8]) -> io::Result<Self> {
        let fourcc = if codec == Codec::Vp8 { b"VP80" } else { b"VP90" };
        let (width, height) = size(codec, key_frame).unwrap_or_default();
        let mut head = Vec::with_capacity(32);
        head.extend_from_slice(b"DKIF");
        head.extend([0, 0, 32, 0]);
        head.extend_from_slice(fourcc);
        head.extend(width.to_le_bytes());
        head.extend(height.to_le_bytes());
        head.extend(RATE.to_le_bytes());
        head.extend(1_u32.to_le_bytes());
        head.extend([0; 8]);
        out.write_all(&head)?;
        Ok(Self { out, frames: 0 })
    }

    pub(super) fn write(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&time.to_le_bytes())?;
        self.out.write_all(frame)?;
        self.frames = self.frames.saturating_add(1);
        Ok(())
    }

    /// Says how many frames there are.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(COUNT))?;
        self.out.write_all(&self.frames.to_le_bytes())?;
        self.out.flush()
    }
}

/// Width and height, out of a key frame.
fn size(codec: Codec, frame: &[u8]) -> Option<(u16, u16)> {
    if codec == Codec::Vp8 {
        // RFC 6386 §9.1: 14 bits each, behind the start code.
        let side = |at: usize| Some(u16::from_le_bytes([*frame.get(at)?, *frame.get(at + 1)?]) & 0x3fff);
        return Some((side(6)?, side(8)?));
    }
    // VP9 bitstream §6.2, profile 0: a byte of flags, three of sync code, colour space (3 bits) and, but for RGB, which
    // profile 0 has not, its range; then 16 bits each, less one.
    let bits = |from: usize| {
        let bit = |at: usize| Some(u32::from(*frame.get(at / 8)? >> (7 - at % 8) & 1));
        (from..from + 16).try_fold(0, |all, at| Some(all << 1 | bit(at)?))
    };
    let side = |from| u16::try_from(bits(from)? + 1).ok();
    Some((side(36)?, side(52)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_key_frame_says_how_large_it_is() {
        // Of 320 by 180 pixels, made by libvpx.
        let vp9 = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x00];
        assert_eq!(size(Codec::Vp9, &vp9), Some((320, 180)));
        let vp8 = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        assert_eq!(size(Codec::Vp8, &vp8), Some((320, 180)));
        assert_eq!(size(Codec::Vp9, &vp9[..6]), None);
    }
}
