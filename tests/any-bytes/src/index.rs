//! An index that is signed and sealed as it should be, and hostile inside: either refused, or good for everything that
//! is asked of it.

use std::time::Duration;

use gloaming_package::{Index, VirtualMp4, dash, hls};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// See the module.
pub fn check(cbor: &[u8]) {
    let video = gloaming_ids::VideoId::from_bytes([0; 16]);
    let _ = Index::decode(video, cbor);
    let mut body = vec![1];
    body.extend(compress_to_vec(cbor, CompressionLevel::Fastest));
    let Ok(index) = Index::decode(video, &body) else { return };
    dash::mpd(&index, "");
    hls::master(&index);
    index.stored_bytes();
    index.media_bytes();
    for track in 0..index.tracks().len() as u16 {
        hls::media(&index, track);
        index.segment_at(track, Duration::from_secs(1));
        for segment in 0..index.segment_count(track) {
            let row = index.segment(track, segment).expect("it is one of its segments");
            assert!(!row.is_empty());
        }
    }
    if let Ok(file) = VirtualMp4::new(&index) {
        file.parts(0..u64::MAX).count();
        file.parts(file.len() / 2..file.len()).count();
    }
}
