//! Opus in Ogg (RFC 3533, RFC 7845): a packet to a page, so that what is written plays up to the moment of a crash.

use std::io::{self, Write};

/// Samples a second, of granule positions and of RTP's times.
pub(super) const RATE: u32 = 48_000;
/// Samples that a decoder throws away at the beginning. What is received began long before.
const PRE_SKIP: u16 = 0;
/// A page ends with its file.
const LAST: u8 = 4;
const FIRST: u8 = 2;

#[derive(Debug)]
pub(super) struct Ogg<W> {
    out: W,
    serial: u32,
    pages: u32,
    granule: u64,
    /// The page that is written when the next one comes, or as the last.
    held: Option<Vec<u8>>,
}

impl<W: Write> Ogg<W> {
    /// Begins a file. `serial` is any number that no other stream of the file has; there is no other.
    pub(super) fn new(out: W, serial: u32, channels: u8) -> io::Result<Self> {
        let mut ogg = Self { out, serial, pages: 0, granule: 0, held: None };
        let mut head = b"OpusHead\x01".to_vec();
        head.push(channels);
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(RATE.to_le_bytes());
        // No gain, one stream, in the order that everybody uses.
        head.extend([0, 0, 0]);
        ogg.page(FIRST, &head)?;
        let vendor = b"Gloaming";
        let mut tags = b"OpusTags".to_vec();
        tags.extend(u32::try_from(vendor.len()).expect("eight").to_le_bytes());
        tags.extend_from_slice(vendor);
        tags.extend([0; 4]);
        ogg.page(0, &tags)?;
        Ok(ogg)
    }

    /// Writes a packet; how many samples it holds.
    pub(super) fn write(&mut self, packet: &[u8]) -> io::Result<u64> {
        let samples = samples(packet).ok_or(io::ErrorKind::InvalidData)?;
        if let Some(held) = self.held.take() {
            self.page(0, &held)?;
        }
        self.granule += samples;
        self.held = Some(packet.to_vec());
        Ok(samples)
    }

    /// Stands for sound that did not come: packets without a frame, which a decoder bridges (RFC 7845 §4.1). They are like
    /// `packet`, which came after them.
    pub(super) fn bridge(&mut self, missing: u64, packet: &[u8]) -> io::Result<()> {
        let Some(&toc) = packet.first() else { return Ok(()) };
        // One frame of the same kind, and nothing in it.
        let nothing = [toc & 0b1111_1100];
        let each = samples(&nothing).ok_or(io::ErrorKind::InvalidData)?;
        for _ in 0..missing / each {
            self.write(&nothing)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(held) = self.held.take() {
            self.page(LAST, &held)?;
        }
        self.out.flush()
    }

    fn page(&mut self, flags: u8, packet: &[u8]) -> io::Result<()> {
        let (full, rest) = (packet.len() / 255, packet.len() % 255);
        // Opus packets of one frame are at most 1,275 bytes, and of the longest 120 ms six times that.
        let segments = u8::try_from(full + 1).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut page = Vec::with_capacity(27 + full + 1 + packet.len());
        page.extend_from_slice(b"OggS\0");
        page.push(flags);
        page.extend(self.granule.to_le_bytes());
        page.extend(self.serial.to_le_bytes());
        page.extend(self.pages.to_le_bytes());
        page.extend([0; 4]);
        page.push(segments);
        page.extend(std::iter::repeat_n(255, full));
        page.push(u8::try_from(rest).expect("less than 255"));
        page.extend_from_slice(packet);
        let crc = crc(&page);
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        self.pages += 1;
        self.out.write_all(&page)
    }
}

/// Samples of a packet, at 48 kHz (RFC 6716 §3.1).
pub(super) fn samples(packet: &[u8]) -> Option<u64> {
    let toc = *packet.first()?;
    let (config, code) = (toc >> 3, toc & 3);
    let each: u64 = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match code {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(each * frames).filter(|&samples| samples > 0 && samples <= 5760)
}

/// Whether a packet is stereo.
pub(super) fn channels(packet: &[u8]) -> u8 {
    if packet.first().is_some_and(|toc| toc & 4 != 0) { 2 } else { 1 }
}

/// Ogg's checksum: CRC-32 with polynomial 04c11db7, neither reflected nor inverted.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04c1_1db7 }
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_packet_says_how_long_it_is() {
        assert_eq!(samples(&[0xfc]), Some(960), "CELT, 20 ms");
        assert_eq!(samples(&[0x78 | 3, 3]), Some(3 * 960), "hybrid, three of 20 ms");
        assert_eq!(samples(&[0x01]), Some(2 * 480), "SILK, two of 10 ms");
        assert_eq!(samples(&[]), None);
        assert_eq!(samples(&[0xff, 0]), None, "no frame at all");
    }

    #[test]
    fn what_is_missing_is_as_long_as_it_was() {
        let mut bytes = Vec::new();
        let mut ogg = Ogg::new(&mut bytes, 7, 1).unwrap();
        ogg.write(&[0xf8, 1]).unwrap();
        ogg.bridge(3 * 960, &[0xf8, 2]).unwrap();
        ogg.write(&[0xf8, 2]).unwrap();
        ogg.finish().unwrap();
        let pages: Vec<_> = bytes.windows(4).enumerate().filter(|(_, four)| four == b"OggS").collect();
        assert_eq!(pages.len(), 2 + 5);
        let last = &bytes[pages[6].0..];
        assert_eq!((last[5], u64::from_le_bytes(last[6..14].try_into().unwrap())), (LAST, 5 * 960));
    }

    #[test]
    fn the_checksum_is_oggs() {
        // Made with a few lines of Python.
        assert_eq!(crc(b"123456789"), 0x89a1_897f);
    }
}
