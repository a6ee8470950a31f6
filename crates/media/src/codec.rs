//! What a sample entry says: RFC 6381 codec string, picture and sound parameters.

use crate::{
    ColorInfo, MediaError,
    boxes::{FourCc, Reader, damaged},
};

/// Nesting of boxes inside a sample entry that is looked into.
const MAX_DEPTH: u8 = 4;

/// A sample entry, as far as it is understood. The bytes themselves are always copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: FourCc,
    pub(crate) codec: String,
    /// From 1: which entry of `dref` the samples are in.
    pub(crate) data_reference: u16,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
    pub(crate) color: Option<ColorInfo>,
    pub(crate) dolby_vision: bool,
    pub(crate) encrypted: bool,
    /// The `esds` box of a QuickTime sound entry, which ISO players only find in an ISO entry.
    pub(crate) quicktime_esds: Option<Vec<u8>>,
}

/// What the track's handler says it is, as far as the sample entry's layout depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Visual,
    Audio,
    Other,
}

/// Reads the entries of an `stsd` body.
pub(crate) fn parse_stsd(mut stsd: Reader<'_>, layout: Layout) -> Result<Vec<Entry>, MediaError> {
    const MAX_ENTRIES: usize = 256;
    let (version, _) = stsd.full()?;
    let count = stsd.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let Some(child) = stsd.child()? else { break };
        if entries.len() == MAX_ENTRIES {
            return Err(MediaError::TooMuch { what: "sample descriptions", limit: MAX_ENTRIES as u64 });
        }
        entries.push(parse_entry(child.kind, child.body, layout, version)?);
    }
    if entries.is_empty() {
        return Err(damaged("a track does not say what its samples are", stsd.at()));
    }
    Ok(entries)
}

fn parse_entry(
    kind: FourCc,
    mut body: Reader<'_>,
    layout: Layout,
    stsd_version: u8,
) -> Result<Entry, MediaError> {
    let mut entry = Entry { kind, ..Entry::default() };
    body.skip(6)?;
    entry.data_reference = body.u16()?;
    let parsed = match layout {
        Layout::Visual => parse_visual(&mut entry, body),
        Layout::Audio => parse_audio(&mut entry, body, stsd_version),
        Layout::Other => Ok(()),
    };
    // The entry is copied whatever is in it: a codec box that makes no sense is no reason to refuse the file.
    let _ = parsed;
    if entry.codec.is_empty() {
        entry.codec = plain_name(kind);
    }
    Ok(entry)
}

/// The name for codecs whose string is their fourcc.
fn plain_name(kind: FourCc) -> String {
    match &kind {
        b".mp3" | b"mp3 " => "mp3".to_owned(),
        _ => kind.iter().map(|&c| if c.is_ascii_graphic() { char::from(c) } else { '_' }).collect::<String>(),
    }
    .trim_end_matches('_')
    .to_owned()
}

fn parse_visual(entry: &mut Entry, mut body: Reader<'_>) -> Result<(), MediaError> {
    body.skip(16)?;
    entry.width = u32::from(body.u16()?);
    entry.height = u32::from(body.u16()?);
    body.skip(50)?;
    parse_boxes(entry, body, entry.kind, 0)
}

fn parse_audio(entry: &mut Entry, mut body: Reader<'_>, stsd_version: u8) -> Result<(), MediaError> {
    let version = body.u16()?;
    body.skip(6)?;
    entry.channels = body.u16()?;
    body.skip(6)?;
    entry.sample_rate = body.u32()? >> 16;
    // QuickTime's versions 1 and 2 have more fields. ISO's version 1, marked by `stsd` version 1, has not.
    let quicktime = version > 0 && stsd_version == 0;
    match (quicktime, version) {
        (true, 1) => body.skip(16)?,
        (true, 2) => {
            body.skip(4)?;
            entry.sample_rate = f64::from_bits(body.u64()?) as u32;
            entry.channels = body.u32()?.min(u32::from(u16::MAX)) as u16;
            body.skip(20)?;
        }
        _ => {}
    }
    parse_boxes(entry, body, entry.kind, 0)?;
    if !quicktime {
        // Plain ISO entries keep theirs.
        let plain = body.find(b"wave")?.is_none();
        if plain {
            entry.quicktime_esds = None;
        }
    }
    Ok(())
}

fn parse_boxes(
    entry: &mut Entry,
    mut boxes: Reader<'_>,
    mut kind: FourCc,
    depth: u8,
) -> Result<(), MediaError> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    // An encrypted entry names what it was before: needed first, for the codec boxes beside it.
    if matches!(&kind, b"encv" | b"enca" | b"encs" | b"enct") {
        entry.encrypted = true;
        if let Some(sinf) = boxes.find(b"sinf")?
            && let Some(frma) = sinf.body.find(b"frma")?
        {
            kind = frma.body.clone().array()?;
            entry.codec = plain_name(kind);
        }
    }
    while let Some(child) = boxes.child()? {
        let mut body = child.body;
        match &child.kind {
            b"avcC" => {
                let [_, profile, compatible, level] = body.array()?;
                entry.codec = format!("{}.{profile:02X}{compatible:02X}{level:02X}", plain_name(kind));
            }
            b"hvcC" => entry.codec = hevc(kind, body)?,
            b"vpcC" => entry.codec = vp9(kind, body)?,
            b"av1C" => {
                let [_, profile_level, flags, _] = body.array()?;
                let depth = match (flags >> 6 & 1, flags >> 5 & 1) {
                    (0, _) => 8,
                    (_, 0) => 10,
                    _ => 12,
                };
                entry.codec = format!(
                    "{}.{}.{:02}{}.{depth:02}",
                    plain_name(kind),
                    profile_level >> 5,
                    profile_level & 31,
                    if flags & 0x80 != 0 { 'H' } else { 'M' }
                );
            }
            b"dvcC" | b"dvvC" => entry.dolby_vision = true,
            b"colr" => {
                let scheme: FourCc = body.array()?;
                if matches!(&scheme, b"nclx" | b"nclc") {
                    entry.color = Some(ColorInfo {
                        primaries: body.u16()?,
                        transfer: body.u16()?,
                        matrix: body.u16()?,
                        full_range: scheme == *b"nclx" && body.u8()? & 0x80 != 0,
                    });
                }
            }
            b"esds" => {
                if let Some((codec, channels)) = mpeg4(kind, body)? {
                    entry.codec = codec;
                    // The entry says 2 for mono in many files; the decoder's configuration knows.
                    entry.channels = channels.unwrap_or(entry.channels);
                    entry.quicktime_esds = Some(child.whole.to_vec());
                }
            }
            b"wave" => parse_boxes(entry, body, kind, depth + 1)?,
            _ => {}
        }
    }
    Ok(())
}

/// ISO/IEC 14496-15 annex E.3.
fn hevc(kind: FourCc, mut body: Reader<'_>) -> Result<String, MediaError> {
    body.skip(1)?;
    let profile = body.u8()?;
    let compatible = body.u32()?.reverse_bits();
    let constraints: [u8; 6] = body.array()?;
    let level = body.u8()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 != 0 { 'H' } else { 'L' };
    let mut codec = format!("{}.{space}{}.{compatible:X}.{tier}{level}", plain_name(kind), profile & 31);
    let used = constraints.iter().rposition(|&c| c != 0).map_or(0, |last| last + 1);
    for constraint in &constraints[..used] {
        codec.push_str(&format!(".{constraint:X}"));
    }
    Ok(codec)
}

/// "VP Codec ISO Media File Format Binding", codecs parameter string.
fn vp9(kind: FourCc, mut body: Reader<'_>) -> Result<String, MediaError> {
    body.full()?;
    let [profile, level, depth, primaries, transfer, matrix] = body.array()?;
    Ok(format!(
        "{}.{profile:02}.{:02}.{:02}.{:02}.{primaries:02}.{transfer:02}.{matrix:02}.{:02}",
        plain_name(kind),
        // Level 0 means "unknown" in files, and is no level in a codec string.
        if level == 0 { 10 } else { level },
        depth >> 4,
        depth >> 1 & 7,
        depth & 1
    ))
}

/// The codec of an `esds`: ISO/IEC 14496-1 descriptors, of which only the object type and the decoder's own
/// configuration count. The codec string, and the channels where they are known.
fn mpeg4(kind: FourCc, mut body: Reader<'_>) -> Result<Option<(String, Option<u16>)>, MediaError> {
    body.full()?;
    let Some((3, mut es)) = descriptor(&mut body)? else { return Ok(None) };
    es.skip(2)?;
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let len = es.u8()?;
        es.skip(usize::from(len))?;
    }
    if flags & 0x20 != 0 {
        es.skip(2)?;
    }
    let Some((4, mut config)) = descriptor(&mut es)? else { return Ok(None) };
    let object = config.u8()?;
    if object != 0x40 {
        return Ok(Some((format!("{}.{object:02X}", plain_name(kind)), None)));
    }
    config.skip(12)?;
    let audio = match descriptor(&mut config) {
        Ok(Some((5, specific))) => specific.rest(),
        _ => &[],
    };
    let object = aac_object_type(audio).unwrap_or(2);
    Ok(Some((format!("{}.40.{object}", plain_name(kind)), aac_channels(audio, object))))
}

/// A descriptor: its tag and its content.
fn descriptor<'a>(bytes: &mut Reader<'a>) -> Result<Option<(u8, Reader<'a>)>, MediaError> {
    if bytes.rest().is_empty() {
        return Ok(None);
    }
    let tag = bytes.u8()?;
    let mut len = 0_usize;
    for _ in 0..4 {
        let byte = bytes.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let at = bytes.at();
    // Some writers count a descriptor too long; what is there is what counts.
    Ok(Some((tag, Reader::new(bytes.take(len.min(bytes.rest().len()))?, at))))
}

/// Bits of an `AudioSpecificConfig`, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.next / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.next % 8) & 1);
            self.next += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            kind => Some(kind),
        }
    }

    fn frequency(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24),
            index => Some(index),
        }
    }
}

/// The audio object type a decoder has to know: HE-AAC (5) and its version 2 (29) as well where they are signalled
/// behind a plain AAC configuration, ISO/IEC 14496-3 §1.6.6.1.
fn aac_object_type(config: &[u8]) -> Option<u32> {
    let mut bits = Bits { bytes: config, next: 0 };
    let object = bits.object_type()?;
    Some(backward_compatible_extension(&mut bits, object).unwrap_or(object))
}

/// Channels of a plain configuration (ISO/IEC 14496-3 table 1.19). Parametric stereo makes two of one.
fn aac_channels(config: &[u8], object: u32) -> Option<u16> {
    let mut bits = Bits { bytes: config, next: 0 };
    bits.object_type()?;
    bits.frequency()?;
    match bits.take(4)? {
        1 if object == 29 => Some(2),
        channels @ 1..=6 => Some(channels as u16),
        7 => Some(8),
        _ => None,
    }
}

fn backward_compatible_extension(bits: &mut Bits<'_>, object: u32) -> Option<u32> {
    bits.frequency()?;
    let channels = bits.take(4)?;
    if object != 2 || channels == 0 {
        return None;
    }
    bits.take(1)?;
    if bits.take(1)? == 1 {
        bits.take(14)?;
    }
    bits.take(1)?;
    if bits.take(11)? != 0x2b7 || bits.object_type()? != 5 || bits.take(1)? != 1 {
        return None;
    }
    let parametric_stereo =
        bits.frequency().is_some() && bits.take(11) == Some(0x548) && bits.take(1) == Some(1);
    Some(if parametric_stereo { 29 } else { 5 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;
    use crate::boxes::{Put, boxed};

    #[test]
    fn an_avc_entry_is_named_by_profile_and_level() {
        let mut out = Vec::new();
        out.put_u32(0);
        out.put_u32(1);
        boxed(&mut out, b"avc1", |out| {
            out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
            out.extend_from_slice(&[0; 16]);
            out.put_u16(160);
            out.put_u16(120);
            out.extend_from_slice(&[0; 50]);
            boxed(out, b"avcC", |out| out.extend_from_slice(&[1, 0x64, 0, 0x1f, 0xff]));
        });
        let entries = parse_stsd(Reader::new(&out, 0), Layout::Visual).unwrap();
        assert_eq!(entries[0].codec, "avc1.64001F");
        assert_eq!((entries[0].width, entries[0].height), (160, 120));
    }

    #[test]
    fn an_hevc_name_reverses_the_flags_and_drops_empty_constraints() {
        let body = [1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(*b"hvc1", Reader::new(&body, 0)).unwrap(), "hvc1.1.6.L93.B0");
        let body = [1, 0x22, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 153];
        assert_eq!(hevc(*b"hev1", Reader::new(&body, 0)).unwrap(), "hev1.2.4.H153.90");
    }

    #[test]
    fn aac_is_named_by_what_a_decoder_needs() {
        assert_eq!(aac_object_type(&[0x11, 0x90]), Some(2));
        assert_eq!(aac_object_type(&[0x11, 0x90, 0x56, 0xe5, 0x00]), Some(2));
        assert_eq!(aac_object_type(&[0x13, 0x90, 0x56, 0xe5, 0x98]), Some(5));
        assert_eq!(aac_object_type(&[0xeb, 0x09, 0x88, 0x00]), Some(29));
        assert_eq!(aac_object_type(&[0xf9, 0x46, 0x40]), Some(42));
        assert_eq!(aac_object_type(&[]), None);
    }

    #[test]
    fn a_codec_box_that_makes_no_sense_leaves_the_fourcc() {
        let mut out = Vec::new();
        out.put_u32(0);
        out.put_u32(1);
        boxed(&mut out, b"Xyz ", |out| out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 9]));
        let entries = parse_stsd(Reader::new(&out, 0), Layout::Audio).unwrap();
        assert_eq!(entries[0].codec, "Xyz");
    }
}
