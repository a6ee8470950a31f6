//! One pass over a track's tables, for what the init segment and the probe have to know in advance.

use crate::{
    Extent, MediaError,
    boxes::damaged,
    sample::MAX_TIME,
    tables::{Entries, Sizes, Tables, duration_entry, offset_entry, size_entry},
    track::SourceTrack,
};

/// Sums the tables of one track up into its [`SourceTrack`].
#[derive(Debug)]
pub(crate) struct TableScan {
    durations: Entries,
    offsets: Option<Entries>,
    sizes: Entries,
    kind: Sizes,
    stage: Stage,
    /// Samples not covered by `stts` and `ctts` entries yet.
    undated: u64,
    unmoved: u64,
    last_duration: u32,
    sample: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Durations,
    Offsets,
    Sizes,
}

impl TableScan {
    pub(crate) fn new(tables: &Tables) -> TableScan {
        let count = tables.sizes.count();
        TableScan {
            durations: Entries::new(tables.durations),
            offsets: tables.offsets.map(Entries::new),
            sizes: Entries::new(tables.sizes.table()),
            kind: tables.sizes,
            stage: Stage::Durations,
            undated: count,
            unmoved: count,
            last_duration: 0,
            sample: 0,
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self.stage {
            Stage::Durations => self.durations.feed(bytes),
            Stage::Offsets => {
                if let Some(offsets) = &mut self.offsets {
                    offsets.feed(bytes);
                }
            }
            Stage::Sizes => self.sizes.feed(bytes),
        }
    }

    /// Goes on until bytes are missing; `None` when all is done.
    pub(crate) fn advance(&mut self, track: &mut SourceTrack) -> Result<Option<Extent>, MediaError> {
        loop {
            match self.stage {
                Stage::Durations => {
                    if let Some(extent) = self.durations.need().filter(|_| self.undated > 0) {
                        return Ok(Some(extent));
                    }
                    match self.durations.peek().filter(|_| self.undated > 0) {
                        Some(entry) => {
                            let (count, duration) = duration_entry(entry)?;
                            let count = count.min(self.undated);
                            self.durations.step();
                            self.add_durations(track, count, duration)?;
                        }
                        None => {
                            // The cursor lets the last duration go on, too.
                            self.add_durations(track, self.undated, self.last_duration)?;
                            self.stage = Stage::Offsets;
                        }
                    }
                }
                Stage::Offsets => {
                    let Some(offsets) = self.offsets.as_mut().filter(|_| self.unmoved > 0) else {
                        self.stage = Stage::Sizes;
                        continue;
                    };
                    if let Some(extent) = offsets.need() {
                        return Ok(Some(extent));
                    }
                    let Some(entry) = offsets.peek() else {
                        self.unmoved = 0;
                        continue;
                    };
                    let (count, offset) = offset_entry(entry)?;
                    offsets.step();
                    if count > 0 {
                        track.least_offset = track.least_offset.min(offset);
                        self.unmoved = self.unmoved.saturating_sub(count);
                    }
                }
                Stage::Sizes => {
                    if let Sizes::Same { size, count } = self.kind {
                        track.table_bytes = u64::from(size).saturating_mul(count);
                        return Ok(None);
                    }
                    if self.sample >= self.kind.count() {
                        return Ok(None);
                    }
                    if let Some(extent) = self.sizes.need() {
                        return Ok(Some(extent));
                    }
                    let entry = self.sizes.peek().ok_or(damaged("sample sizes are missing", 0))?;
                    let odd = self.sample % 2 == 1;
                    track.table_bytes += u64::from(size_entry(entry, &self.kind, odd)?);
                    if !matches!(self.kind, Sizes::Nibbles { .. }) || odd {
                        self.sizes.step();
                    }
                    self.sample += 1;
                }
            }
        }
    }

    fn add_durations(
        &mut self,
        track: &mut SourceTrack,
        count: u64,
        duration: u32,
    ) -> Result<(), MediaError> {
        if count == 0 {
            return Ok(());
        }
        self.undated -= count;
        self.last_duration = duration;
        track.table_duration = count
            .checked_mul(u64::from(duration))
            .and_then(|lasted| track.table_duration.checked_add(lasted))
            .filter(|&duration| duration <= MAX_TIME)
            .ok_or(damaged("times in the file overflow", 0))?;
        track.fragments.note_durations(duration, count);
        Ok(())
    }
}
