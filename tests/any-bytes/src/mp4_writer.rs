//! An init segment and a segment of any bytes: writing them back ends in an answer or an error.
//!
//! Input: length of the init segment (u16, big-endian), the init segment, the segment.

use gloaming_media::{
    mp4_out::{Mp4Writer, merge_inits},
    read_fragment,
};

/// See the module.
pub fn check(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((init, segment)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))) else { return };
    let _ = merge_inits(&[init]);
    if let Ok((_, payload)) = read_fragment(segment) {
        assert!(payload <= segment.len());
    }
    let Ok(writer) = Mp4Writer::new(&[init], segment.len() as u64) else { return };
    let Ok(mut writer) =
        writer.with_source_header(segment).or_else(|_| Mp4Writer::new(&[init], segment.len() as u64))
    else {
        return;
    };
    if let Ok(ranges) = writer.segment(0, segment) {
        assert!(ranges.iter().all(|range| range.end <= segment.len()));
    }
    let _ = writer.segment_headers(0, segment);
    let _ = writer.finish();
}
