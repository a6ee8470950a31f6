//! One pass over a track's tables, for what the init segment and the probe have to know in advance. It goes the same
//! way as the planner will, so that whatever is wrong with a table is found before anything is made of the file.

use crate::{
    Extent, MediaError,
    boxes::damaged,
    sample::check_size,
    tables::{TableCursor, Tables},
    track::SourceTrack,
};

/// Sums the tables of one track up into its [`SourceTrack`].
#[derive(Debug)]
pub(crate) struct TableScan {
    cursor: TableCursor,
    source_len: u64,
}

impl TableScan {
    pub(crate) fn new(tables: &Tables, source_len: u64) -> TableScan {
        TableScan { cursor: TableCursor::new(tables), source_len }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.cursor.feed(bytes);
    }

    /// Goes on until bytes are missing; `None` when all is done.
    pub(crate) fn advance(&mut self, track: &mut SourceTrack) -> Result<Option<Extent>, MediaError> {
        loop {
            if let Some(extent) = self.cursor.fill()? {
                return Ok(Some(extent));
            }
            let Some(run) = self.cursor.run() else {
                track.table_duration = self.cursor.dts();
                return Ok(None);
            };
            check_size(run.size)?;
            let took = run.count.saturating_mul(u64::from(run.size));
            let end = run.position.saturating_add(took);
            if end > self.source_len {
                return Err(MediaError::Truncated { missing: end - self.source_len });
            }
            track.table_bytes = track.table_bytes.saturating_add(took);
            if track.table_bytes > self.source_len {
                return Err(damaged("a track is larger than its file", run.position));
            }
            track.table_syncs += if run.is_sync() { run.count } else { 0 };
            track.least_offset = track.least_offset.min(run.offset);
            track.shown_until = track.shown_until.max(run.shown_until());
            track.fragments.note_durations(run.duration, run.count);
            self.cursor.advance(run.count)?;
        }
    }
}
