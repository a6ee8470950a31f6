//! Any bytes as a file: probing and planning end in an answer or an error, in bounded steps.

use gloaming_media::{Demuxer, Extent, Piece, Plan, PlanOptions, Planner};

fn at(data: &[u8], extent: Extent) -> &[u8] {
    &data[extent.offset as usize..extent.end() as usize]
}

/// See the module.
pub fn check(data: &[u8]) {
    let mut demuxer = Demuxer::new(data.len() as u64);
    while let Some(extent) = demuxer.need() {
        if demuxer.feed(extent.offset, at(data, extent)).is_err() {
            return;
        }
    }
    let Ok(movie) = demuxer.finish() else { return };
    let Ok(mut planner) = Planner::new(movie, PlanOptions::default()) else { return };
    loop {
        match planner.next() {
            Ok(Plan::Need(extent)) => {
                planner.feed(extent.offset, at(data, extent)).expect("what was asked for was fed");
            }
            Ok(Plan::Fragment(fragment)) => {
                let len: u64 = fragment.pieces.iter().map(Piece::len).sum();
                assert_eq!(len, fragment.len);
                for piece in &fragment.pieces {
                    if let Piece::Source(extent) = piece {
                        assert!(extent.end() <= data.len() as u64);
                    }
                }
            }
            Ok(Plan::Done) | Err(_) => return,
        }
    }
}
