//! ISO/IEC 14496-12 boxes, read and written.

use crate::MediaError;

/// A box's type.
pub(crate) type FourCc = [u8; 4];

pub(crate) fn damaged(what: &'static str, at: u64) -> MediaError {
    MediaError::Damaged { what, at }
}

/// A box header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: FourCc,
    /// Bytes of the header itself: 8, or 16 with a 64-bit size.
    pub(crate) len: u64,
    /// Bytes in all, header included. May exceed the room it was read for: the caller decides what that means.
    pub(crate) size: u64,
}

impl Head {
    /// Reads a header out of up to 16 bytes that lie at the start of `room` bytes. `None`: no header.
    pub(crate) fn read(bytes: &[u8], room: u64) -> Option<Head> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (len, size) = match u32::from_be_bytes(*size) {
            0 => (8, room),
            1 => (16, u64::from_be_bytes(*rest.first_chunk::<8>()?)),
            size => (8, u64::from(size)),
        };
        let plausible = kind.iter().all(|&c| (0x20..0x7f).contains(&c) || c == 0xa9);
        (plausible && size >= len).then_some(Head { kind: *kind, len, size })
    }
}

/// Reads big-endian fields out of a box; every read is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// Where `bytes` lie in the source, for error messages.
    at: u64,
}

/// A child box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'a> {
    pub(crate) kind: FourCc,
    /// Header and body.
    pub(crate) whole: &'a [u8],
    pub(crate) body: Reader<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: u64) -> Reader<'a> {
        Reader { bytes, at }
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], MediaError> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or(damaged("a box ends too early", self.at))?;
        self.bytes = tail;
        self.at += n as u64;
        Ok(head)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Result<(), MediaError> {
        self.take(n).map(|_| ())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        Ok(*self.take(N)?.first_chunk().expect("N bytes were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A 32-bit field, or a 64-bit one in version 1.
    pub(crate) fn u32_or_u64(&mut self, version: u8) -> Result<u64, MediaError> {
        if version == 1 { self.u64() } else { Ok(u64::from(self.u32()?)) }
    }

    /// Version and flags of a full box.
    pub(crate) fn full(&mut self) -> Result<(u8, u32), MediaError> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0xff_ffff))
    }

    /// The next child, `None` at the end. Fewer than eight bytes are the end as well: QuickTime ends lists with a zero.
    pub(crate) fn child(&mut self) -> Result<Option<Child<'a>>, MediaError> {
        let room = self.bytes.len() as u64;
        if room < 8 {
            return Ok(None);
        }
        let head = Head::read(self.bytes, room).filter(|head| head.size <= room);
        let Some(head) = head else {
            return if self.bytes.iter().all(|&b| b == 0) {
                Ok(None)
            } else {
                Err(damaged("a box does not fit its parent", self.at))
            };
        };
        let at = self.at;
        let whole = self.take(head.size as usize)?;
        let body = Reader::new(&whole[head.len as usize..], at + head.len);
        Ok(Some(Child { kind: head.kind, whole, body }))
    }

    /// The first child of that kind.
    pub(crate) fn find(mut self, kind: &FourCc) -> Result<Option<Child<'a>>, MediaError> {
        while let Some(child) = self.child()? {
            if child.kind == *kind {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }
}

/// Appends a box whose body `write` appends.
pub(crate) fn boxed(out: &mut Vec<u8>, kind: &FourCc, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    write(out);
    let size = u32::try_from(out.len() - start).expect("boxes made here stay far below 4 GiB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a full box.
pub(crate) fn full_box(
    out: &mut Vec<u8>,
    kind: &FourCc,
    version: u8,
    flags: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags);
        write(out);
    });
}

/// Big-endian appends.
pub(crate) trait Put {
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
}

impl Put for Vec<u8> {
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }
}
