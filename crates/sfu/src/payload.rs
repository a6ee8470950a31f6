//! Where in a packet a frame begins, whether it is a key frame, and where its sealed part is.
//!
//! Only what stands in front of the sealed frame is read: the payload descriptor, which the sender's browser adds after
//! sealing, and VP8's clear first byte.
//!
//! ```text
//! VP8   descriptor (RFC 7741) ‖ 10 bytes of key frames, 3 of others ‖ SFrame header …
//! VP9   descriptor (RFC 9628) ‖ SFrame header …
//! Opus  SFrame header …
//! ```

/// What the forwarder carries. H.264 and AV1 do not survive sealing in today's browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Opus,
    Vp8,
    Vp9,
}

impl Codec {
    pub(crate) fn is_video(self) -> bool {
        self != Self::Opus
    }
}

/// What is to be known of a packet without opening its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Where the SFrame header is, if a frame begins here.
    pub(crate) sealed_at: Option<usize>,
    /// A frame begins here that needs no other.
    pub(crate) key: bool,
    pub(crate) picture: Option<PictureId>,
    pub(crate) tl0: Option<Tl0>,
}

/// The picture's number: 7 or 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureId {
    at: usize,
    wide: bool,
    pub(crate) value: u16,
}

/// The number of the last picture of the lowest temporal layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tl0 {
    at: usize,
    pub(crate) value: u8,
}

impl Shape {
    /// Reads a packet's payload; `None` where its descriptor is cut short.
    pub(crate) fn read(codec: Codec, payload: &[u8]) -> Option<Self> {
        match codec {
            Codec::Opus => Some(Self { sealed_at: Some(0), key: true, ..Self::default() }),
            Codec::Vp8 => read_vp8(payload),
            Codec::Vp9 => read_vp9(payload),
        }
    }

    /// The payload with other numbers, where there are any to change.
    pub(crate) fn renumbered(&self, payload: &[u8], picture: u16, tl0: u8) -> Vec<u8> {
        let mut out = payload.to_vec();
        if let Some(id) = self.picture {
            let [high, low] = picture.to_be_bytes();
            if id.wide {
                out[id.at] = 0x80 | high & 0x7f;
                out[id.at + 1] = low;
            } else {
                out[id.at] = low & 0x7f;
            }
        }
        if let Some(field) = self.tl0 {
            out[field.at] = tl0;
        }
        out
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn picture_id(&mut self) -> Option<PictureId> {
        let at = self.at;
        let first = self.byte()?;
        let wide = first & 0x80 != 0;
        let first = first & 0x7f;
        let value = if wide { u16::from_be_bytes([first, self.byte()?]) } else { first.into() };
        Some(PictureId { at, wide, value })
    }

    fn tl0(&mut self) -> Option<Tl0> {
        let at = self.at;
        Some(Tl0 { at, value: self.byte()? })
    }
}

fn read_vp8(payload: &[u8]) -> Option<Shape> {
    let mut reader = Reader { bytes: payload, at: 0 };
    let mut shape = Shape::default();
    let first = reader.byte()?;
    if first & 0x80 != 0 {
        let has = reader.byte()?;
        if has & 0x80 != 0 {
            shape.picture = Some(reader.picture_id()?);
        }
        if has & 0x40 != 0 {
            shape.tl0 = Some(reader.tl0()?);
        }
        if has & 0x30 != 0 {
            reader.skip(1)?;
        }
    }
    // The start of the first partition: the frame's own first byte follows, which is not sealed.
    if first & 0x10 != 0 && first & 0x07 == 0 {
        shape.key = payload.get(reader.at)? & 1 == 0;
        shape.sealed_at = Some(reader.at + if shape.key { 10 } else { 3 });
    }
    Some(shape)
}

fn read_vp9(payload: &[u8]) -> Option<Shape> {
    let mut reader = Reader { bytes: payload, at: 0 };
    let mut shape = Shape::default();
    let first = reader.byte()?;
    let bit = |mask: u8| first & mask != 0;
    let (predicted, flexible, begins) = (bit(0x40), bit(0x10), bit(0x08));
    if bit(0x80) {
        shape.picture = Some(reader.picture_id()?);
    }
    let mut spatial = 0;
    if bit(0x20) {
        spatial = reader.byte()? >> 1 & 7;
        if !flexible {
            shape.tl0 = Some(reader.tl0()?);
        }
    }
    if flexible && predicted {
        // Up to three references; the last bit of each says whether another follows.
        for _ in 0..3 {
            if reader.byte()? & 1 == 0 {
                break;
            }
        }
    }
    if bit(0x02) {
        skip_scalability(&mut reader)?;
    }
    if begins {
        shape.sealed_at = Some(reader.at);
        shape.key = !predicted && spatial == 0;
    }
    Some(shape)
}

fn skip_scalability(reader: &mut Reader<'_>) -> Option<()> {
    let head = reader.byte()?;
    if head & 0x10 != 0 {
        reader.skip(4 * (usize::from(head >> 5) + 1))?;
    }
    if head & 0x08 != 0 {
        for _ in 0..reader.byte()? {
            let references = usize::from(reader.byte()? >> 2 & 3);
            reader.skip(references)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vp8_key_frame_is_sealed_behind_ten_bytes_and_another_behind_three() {
        // X, S; then I, L, T: a wide picture id, TL0PICIDX, TID.
        let descriptor = [0x90, 0xe0, 0x81, 0x02, 0x07, 0x20];
        let key = Shape::read(Codec::Vp8, &[&descriptor[..], &[0x10; 30]].concat()).unwrap();
        assert_eq!((key.key, key.sealed_at), (true, Some(16)));
        assert_eq!(key.picture.unwrap().value, 0x0102);
        assert_eq!(key.tl0.unwrap().value, 7);
        let other = Shape::read(Codec::Vp8, &[&descriptor[..], &[0x11; 30]].concat()).unwrap();
        assert_eq!((other.key, other.sealed_at), (false, Some(9)));
        let middle = Shape::read(Codec::Vp8, &[0x00, 0x10, 0x10]).unwrap();
        assert_eq!((middle.key, middle.sealed_at), (false, None));
    }

    #[test]
    fn a_vp9_frame_is_sealed_behind_whatever_its_descriptor_holds() {
        // I, B, E and V: picture id, then one spatial layer with its size, and one picture in the group with one reference.
        let key = [0x8a, 0x85, 0x06, 0x18, 1, 2, 3, 4, 1, 0x04, 1, 0xaa];
        let shape = Shape::read(Codec::Vp9, &key).unwrap();
        assert_eq!((shape.key, shape.sealed_at), (true, Some(11)));
        assert_eq!(shape.picture.unwrap().value, 0x0506);
        // Predicted, flexible, two references.
        let delta = [0xd8, 0x07, 0x03, 0x02, 0xaa];
        let shape = Shape::read(Codec::Vp9, &delta).unwrap();
        assert_eq!((shape.key, shape.sealed_at), (false, Some(4)));
        // A second spatial layer is no place to begin.
        assert!(!Shape::read(Codec::Vp9, &[0x28, 0x02, 0x00, 0xaa]).unwrap().key);
    }

    #[test]
    fn renumbering_changes_the_numbers_and_nothing_else() {
        let payload = [0x90, 0xe0, 0x81, 0x02, 0x07, 0x20, 0x10, 0xaa];
        let shape = Shape::read(Codec::Vp8, &payload).unwrap();
        let out = shape.renumbered(&payload, 0x7fff, 9);
        assert_eq!(out, [0x90, 0xe0, 0xff, 0xff, 0x09, 0x20, 0x10, 0xaa]);
        let narrow = [0x90, 0x80, 0x05, 0x10];
        let shape = Shape::read(Codec::Vp8, &narrow).unwrap();
        assert_eq!(shape.renumbered(&narrow, 0x0181, 0), [0x90, 0x80, 0x01, 0x10]);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(payload in proptest::collection::vec(any::<u8>(), 0..40), picture: u16, tl0: u8) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9] {
                if let Some(shape) = Shape::read(codec, &payload) {
                    prop_assert_eq!(shape.renumbered(&payload, picture, tl0).len(), payload.len());
                }
            }
        }
    }
}
