//! Sample tables of a progressive file, read through small windows and handed out as runs of equal samples.

use crate::{
    Extent, MediaError,
    boxes::{Reader, damaged},
    sample::{MAX_TIME, NOT_SYNC, Run, SYNC},
};

/// Bytes of a table that are held at a time.
const WINDOW: u64 = 64 << 10;

/// Entries of one table in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Where entry 0 is.
    pub(crate) at: u64,
    pub(crate) count: u64,
    /// Bytes per entry.
    pub(crate) width: u8,
}

impl Table {
    /// A table of `count` entries at the reader's position, in a box that ends `room` bytes later.
    pub(crate) fn new(at: u64, count: u64, width: u8, room: u64) -> Result<Table, MediaError> {
        if count.checked_mul(u64::from(width)).is_none_or(|bytes| bytes > room) {
            return Err(damaged("a sample table is shorter than it says", at));
        }
        Ok(Table { at, count, width })
    }
}

/// How sizes are stored (`stsz`, `stz2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// All alike.
    Same { size: u32, count: u64 },
    /// One entry each, of the table's width.
    Each(Table),
    /// Two entries to a byte (`stz2` with 4-bit fields).
    Nibbles { table: Table, count: u64 },
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes::Same { size: 0, count: 0 }
    }
}

impl Sizes {
    pub(crate) fn count(&self) -> u64 {
        match self {
            Sizes::Same { count, .. } | Sizes::Nibbles { count, .. } => *count,
            Sizes::Each(table) => table.count,
        }
    }

    pub(crate) fn table(&self) -> Table {
        match self {
            Sizes::Same { .. } => Table::default(),
            Sizes::Each(table) | Sizes::Nibbles { table, .. } => *table,
        }
    }
}

/// Where the sample tables of one track are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// `stts`: (count, duration).
    pub(crate) durations: Table,
    /// `ctts`: (count, offset).
    pub(crate) offsets: Option<Table>,
    /// `stsc`: (first chunk, samples per chunk, sample description).
    pub(crate) chunk_runs: Table,
    pub(crate) sizes: Sizes,
    /// `stco` or `co64`.
    pub(crate) chunks: Table,
    /// `stss`; absent when every sample is a sync sample.
    pub(crate) syncs: Option<Table>,
}

/// Goes through a table's entries in order, a window at a time.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    table: Table,
    /// Index of the entry that [`peek`](Entries::peek) shows.
    next: u64,
    window: Vec<u8>,
    /// Index of the window's first entry.
    first: u64,
}

impl Entries {
    pub(crate) fn new(table: Table) -> Entries {
        Entries { table, next: 0, window: Vec::new(), first: 0 }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.next >= self.table.count
    }

    /// The bytes to read before [`peek`](Entries::peek) can answer.
    pub(crate) fn need(&self) -> Option<Extent> {
        let width = u64::from(self.table.width);
        let loaded = self.first + self.window.len() as u64 / width.max(1);
        if self.at_end() || (self.first..loaded).contains(&self.next) {
            return None;
        }
        let count = (self.table.count - self.next).min(WINDOW / width);
        Some(Extent { offset: self.table.at + self.next * width, len: count * width })
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.window.clear();
        self.window.extend_from_slice(bytes);
        self.first = self.next;
    }

    /// The current entry; `None` at the end. Only when nothing is needed.
    pub(crate) fn peek(&self) -> Option<Reader<'_>> {
        if self.at_end() {
            return None;
        }
        let width = usize::from(self.table.width);
        let start = (self.next - self.first) as usize * width;
        let bytes = self.window.get(start..start + width)?;
        Some(Reader::new(bytes, self.table.at + self.next * width as u64))
    }

    pub(crate) fn step(&mut self) {
        self.next += 1;
    }
}

/// Whose turn it is to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Durations,
    Offsets,
    ChunkRuns,
    Sizes,
    Chunks,
    Syncs,
}

/// Walks the samples that a track's tables describe.
#[derive(Clone, Debug)]
pub(crate) struct TableCursor {
    durations: Entries,
    offsets: Option<Entries>,
    chunk_runs: Entries,
    sizes: Entries,
    size_kind: Sizes,
    chunks: Entries,
    syncs: Option<Entries>,
    waiting: Option<Which>,

    /// Number of the next sample, from 0, and how many there are.
    sample: u64,
    count: u64,
    dts: u64,
    duration: u32,
    duration_left: u64,
    offset: i32,
    offset_left: u64,
    size: Option<u32>,
    /// Chunks entered so far: the number, from 1, of the one we are in.
    chunk: u64,
    left_in_chunk: u32,
    per_chunk: u32,
    description: u32,
    position: u64,
    /// First chunk of the run in `chunk_runs` that is not entered yet; `None`: not read yet.
    next_run: Option<u64>,
    /// Number, from 0, of the next sync sample at or after `sample`; `None`: not read yet.
    next_sync: Option<u64>,
}

impl TableCursor {
    pub(crate) fn new(tables: &Tables) -> TableCursor {
        TableCursor {
            durations: Entries::new(tables.durations),
            offsets: tables.offsets.map(Entries::new),
            chunk_runs: Entries::new(tables.chunk_runs),
            sizes: Entries::new(tables.sizes.table()),
            size_kind: tables.sizes,
            chunks: Entries::new(tables.chunks),
            syncs: tables.syncs.map(Entries::new),
            waiting: None,
            sample: 0,
            count: tables.sizes.count(),
            dts: 0,
            duration: 0,
            duration_left: 0,
            offset: 0,
            offset_left: 0,
            size: match tables.sizes {
                Sizes::Same { size, .. } => Some(size),
                _ => None,
            },
            chunk: 0,
            left_in_chunk: 0,
            per_chunk: 0,
            description: 1,
            position: 0,
            next_run: None,
            next_sync: None,
        }
    }

    /// Decode time of the next sample, or of the end.
    pub(crate) fn dts(&self) -> u64 {
        self.dts
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self.waiting.take() {
            Some(Which::Durations) => self.durations.feed(bytes),
            Some(Which::Offsets) => {
                if let Some(offsets) = &mut self.offsets {
                    offsets.feed(bytes);
                }
            }
            Some(Which::ChunkRuns) => self.chunk_runs.feed(bytes),
            Some(Which::Sizes) => self.sizes.feed(bytes),
            Some(Which::Chunks) => self.chunks.feed(bytes),
            Some(Which::Syncs) => {
                if let Some(syncs) = &mut self.syncs {
                    syncs.feed(bytes);
                }
            }
            None => {}
        }
    }

    fn wait(&mut self, which: Which, extent: Extent) -> Result<Option<Extent>, MediaError> {
        self.waiting = Some(which);
        Ok(Some(extent))
    }

    /// Loads what is known about the next sample; answers with the bytes that are missing for it.
    pub(crate) fn fill(&mut self) -> Result<Option<Extent>, MediaError> {
        if self.sample >= self.count {
            return Ok(None);
        }
        while self.duration_left == 0 {
            if let Some(extent) = self.durations.need() {
                return self.wait(Which::Durations, extent);
            }
            // A table that ends early: its last duration goes on, as in every other reader.
            let Some(entry) = self.durations.peek() else {
                self.duration_left = u64::MAX;
                break;
            };
            (self.duration_left, self.duration) = duration_entry(entry)?;
            self.durations.step();
        }
        if let Some(offsets) = &mut self.offsets {
            while self.offset_left == 0 {
                if let Some(extent) = offsets.need() {
                    return self.wait(Which::Offsets, extent);
                }
                let Some(entry) = offsets.peek() else {
                    self.offset_left = u64::MAX;
                    self.offset = 0;
                    break;
                };
                (self.offset_left, self.offset) = offset_entry(entry)?;
                offsets.step();
            }
        }
        if self.size.is_none() {
            if let Some(extent) = self.sizes.need() {
                return self.wait(Which::Sizes, extent);
            }
            let entry = self.sizes.peek().ok_or(damaged("sample sizes are missing", 0))?;
            self.size = Some(size_entry(entry, &self.size_kind, self.sample % 2 == 1)?);
        }
        if let Some(syncs) = &mut self.syncs {
            while self.next_sync.is_none_or(|next| next < self.sample) {
                if let Some(extent) = syncs.need() {
                    return self.wait(Which::Syncs, extent);
                }
                let Some(mut entry) = syncs.peek() else {
                    self.next_sync = Some(u64::MAX);
                    break;
                };
                // Samples are counted from 1 there.
                self.next_sync = Some(u64::from(entry.u32()?).saturating_sub(1));
                syncs.step();
            }
        }
        if self.left_in_chunk == 0 { self.enter_chunk() } else { Ok(None) }
    }

    fn enter_chunk(&mut self) -> Result<Option<Extent>, MediaError> {
        let number = self.chunk + 1;
        loop {
            let first = match self.next_run {
                Some(first) => first,
                None => {
                    if let Some(extent) = self.chunk_runs.need() {
                        return self.wait(Which::ChunkRuns, extent);
                    }
                    let first = match self.chunk_runs.peek() {
                        Some(mut entry) => u64::from(entry.u32()?),
                        None => u64::MAX,
                    };
                    *self.next_run.insert(first)
                }
            };
            if first > number {
                break;
            }
            let Some(mut entry) = self.chunk_runs.peek() else { break };
            if first < number {
                return Err(damaged("chunks are out of order", entry.at()));
            }
            entry.skip(4)?;
            self.per_chunk = entry.u32()?;
            self.description = entry.u32()?;
            self.chunk_runs.step();
            self.next_run = None;
        }
        if let Some(extent) = self.chunks.need() {
            return self.wait(Which::Chunks, extent);
        }
        let Some(mut entry) = self.chunks.peek() else {
            return Err(damaged("there are more samples than chunks hold", self.chunks.table.at));
        };
        if self.per_chunk == 0 {
            return Err(damaged("a chunk holds no sample", entry.at()));
        }
        self.position = if self.chunks.table.width == 8 { entry.u64()? } else { u64::from(entry.u32()?) };
        self.chunks.step();
        self.chunk = number;
        self.left_in_chunk = self.per_chunk;
        Ok(None)
    }

    /// The next samples that are alike, contiguous, and known; `None` at the end. Only after
    /// [`fill`](TableCursor::fill) has nothing to ask.
    pub(crate) fn run(&self) -> Option<Run> {
        if self.sample >= self.count {
            return None;
        }
        let size = self.size?;
        let (sync, alike) = match self.next_sync {
            _ if self.syncs.is_none() => (true, u64::MAX),
            Some(next) if next == self.sample => (true, 1),
            Some(next) => (false, next - self.sample),
            None => return None,
        };
        let count = match self.size_kind {
            Sizes::Same { .. } => (self.count - self.sample)
                .min(self.duration_left)
                .min(if self.offsets.is_some() { self.offset_left } else { u64::MAX })
                .min(u64::from(self.left_in_chunk))
                .min(alike),
            _ => 1,
        };
        Some(Run {
            count,
            size,
            duration: self.duration,
            offset: self.offset,
            flags: if sync { SYNC } else { NOT_SYNC },
            description: self.description,
            position: self.position,
            dts: self.dts,
        })
    }

    /// Goes past `count` samples of the current run.
    pub(crate) fn advance(&mut self, count: u64) -> Result<(), MediaError> {
        let too_long = || damaged("times or places in the file overflow", self.durations.table.at);
        let lasted = count.checked_mul(u64::from(self.duration)).ok_or_else(too_long)?;
        let took = count.checked_mul(u64::from(self.size.unwrap_or(0))).ok_or_else(too_long)?;
        self.dts = self.dts.checked_add(lasted).filter(|&t| t <= MAX_TIME).ok_or_else(too_long)?;
        self.position = self.position.checked_add(took).ok_or_else(too_long)?;
        self.duration_left = self.duration_left.saturating_sub(count);
        self.offset_left = self.offset_left.saturating_sub(count);
        self.left_in_chunk = self.left_in_chunk.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        match self.size_kind {
            Sizes::Same { .. } => {}
            Sizes::Each(_) => {
                self.sizes.step();
                self.size = None;
            }
            Sizes::Nibbles { .. } => {
                if self.sample % 2 == 1 {
                    self.sizes.step();
                }
                self.size = None;
            }
        }
        self.sample += count;
        Ok(())
    }
}

/// (samples, duration of each) of an `stts` entry.
pub(crate) fn duration_entry(mut entry: Reader<'_>) -> Result<(u64, u32), MediaError> {
    let at = entry.at();
    let count = u64::from(entry.u32()?);
    let duration = entry.u32()?;
    if duration > i32::MAX as u32 {
        return Err(damaged("a sample's duration is negative", at));
    }
    Ok((count, duration))
}

/// (samples, composition offset of each) of a `ctts` entry. Version 0 is unsigned on paper, and holds negative
/// numbers in many QuickTime files.
pub(crate) fn offset_entry(mut entry: Reader<'_>) -> Result<(u64, i32), MediaError> {
    Ok((u64::from(entry.u32()?), entry.u32()? as i32))
}

/// One sample's size; `odd`: the second of the two in a byte.
pub(crate) fn size_entry(mut entry: Reader<'_>, kind: &Sizes, odd: bool) -> Result<u32, MediaError> {
    Ok(match kind {
        Sizes::Nibbles { .. } => {
            let byte = entry.u8()?;
            u32::from(if odd { byte & 15 } else { byte >> 4 })
        }
        _ => match entry.rest().len() {
            1 => u32::from(entry.u8()?),
            2 => u32::from(entry.u16()?),
            _ => entry.u32()?,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    /// One sample, as a table without runs would have it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Sample {
        size: u32,
        duration: u32,
        offset: i32,
        sync: bool,
        description: u32,
        position: u64,
        dts: u64,
    }

    /// How tables are written: the bits of a size (32: `stsz`, 0: one for all), 64-bit chunk offsets, and which of the
    /// optional tables there are.
    #[derive(Clone, Copy, Debug)]
    struct Form {
        size_bits: u8,
        wide: bool,
        offsets: bool,
        syncs: bool,
    }

    fn any_form() -> impl Strategy<Value = Form> {
        (prop::sample::select(vec![0, 4, 8, 16, 32]), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(size_bits, wide, offsets, syncs)| Form { size_bits, wide, offsets, syncs })
    }

    /// (description, gap before it, samples) of a chunk, and of each sample (size, duration, offset, sync).
    type Chunk = (u32, u64, Vec<(u32, u32, i32, bool)>);

    /// Of a few values, so that there are runs.
    fn any_chunks() -> impl Strategy<Value = Vec<Chunk>> {
        let sample = (0_u32..16, 0_u32..3, -1_i32..2, prop::bool::weighted(0.2));
        let samples = prop::collection::vec(sample, 1..6);
        prop::collection::vec((1_u32..3, 0_u64..2, samples), 1..40)
    }

    fn expand(form: Form, chunks: &[Chunk]) -> Vec<Sample> {
        let mut out = Vec::new();
        let (mut position, mut dts) = (if form.wide { 1 << 40 } else { 1000 }, 0);
        for (description, gap, samples) in chunks {
            position += gap * 3;
            for &(size, duration, offset, sync) in samples {
                let size = if form.size_bits == 0 { 7 } else { size };
                out.push(Sample {
                    size,
                    duration,
                    offset: if form.offsets { offset } else { 0 },
                    sync: sync || !form.syncs,
                    description: *description,
                    position,
                    dts,
                });
                position += u64::from(size);
                dts += u64::from(duration);
            }
        }
        out
    }

    /// Values and how often each comes in a row.
    fn compact<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Vec<(u32, T)> {
        let mut out: Vec<(u32, T)> = Vec::new();
        for value in values {
            match out.last_mut() {
                Some((count, same)) if *same == value => *count += 1,
                _ => out.push((1, value)),
            }
        }
        out
    }

    /// Writes the tables one after another into `file`.
    fn write(form: Form, chunks: &[u32], samples: &[Sample], file: &mut Vec<u8>) -> Tables {
        let mut put = |words: Vec<u32>, width: u8, bytes: Option<Vec<u8>>| {
            let at = file.len() as u64;
            let bytes = bytes.unwrap_or_else(|| words.iter().flat_map(|word| word.to_be_bytes()).collect());
            file.extend_from_slice(&bytes);
            Table { at, count: bytes.len() as u64 / u64::from(width), width }
        };
        let pairs = |runs: Vec<(u32, u32)>| runs.iter().flat_map(|&(count, value)| [count, value]).collect();
        let durations = put(pairs(compact(samples.iter().map(|s| s.duration))), 8, None);
        let offsets =
            form.offsets.then(|| put(pairs(compact(samples.iter().map(|s| s.offset as u32))), 8, None));
        let syncs = (1..).zip(samples).filter(|(_, s)| s.sync).map(|(number, _)| number).collect();
        let syncs = form.syncs.then(|| put(syncs, 4, None));
        let (mut first, mut starts, mut shapes) = (0, Vec::new(), Vec::new());
        for &count in chunks {
            starts.push(samples[first].position);
            shapes.push((count, samples[first].description));
            first += count as usize;
        }
        let mut number = 1;
        let mut runs = Vec::new();
        for (count, (per_chunk, description)) in compact(shapes.into_iter()) {
            runs.extend([number, per_chunk, description]);
            number += count;
        }
        let chunk_runs = put(runs, 12, None);
        let chunks = if form.wide {
            put(starts.iter().flat_map(|&start| [(start >> 32) as u32, start as u32]).collect(), 8, None)
        } else {
            put(starts.iter().map(|&start| start as u32).collect(), 4, None)
        };
        let sizes: Vec<u32> = samples.iter().map(|s| s.size).collect();
        let count = sizes.len() as u64;
        let sizes = match form.size_bits {
            0 => Sizes::Same { size: 7, count },
            4 => {
                let bytes = sizes.chunks(2).map(|two| (two[0] << 4 | two.get(1).unwrap_or(&0)) as u8);
                Sizes::Nibbles { table: put(Vec::new(), 1, Some(bytes.collect())), count }
            }
            8 => Sizes::Each(put(Vec::new(), 1, Some(sizes.iter().map(|&size| size as u8).collect()))),
            16 => {
                let bytes = sizes.iter().flat_map(|&size| (size as u16).to_be_bytes());
                Sizes::Each(put(Vec::new(), 2, Some(bytes.collect())))
            }
            _ => Sizes::Each(put(sizes, 4, None)),
        };
        Tables { durations, offsets, chunk_runs, sizes, chunks, syncs }
    }

    proptest! {
        /// What a table says in runs is what it would say sample by sample, whichever parts of a run are taken.
        #[test]
        fn runs_are_the_samples_one_by_one(form in any_form(), chunks in any_chunks(), steps in prop::collection::vec(1_u64..9, 1..20)) {
            let samples = expand(form, &chunks);
            let counts: Vec<u32> = chunks.iter().map(|(.., samples)| samples.len() as u32).collect();
            let mut file = vec![0; 16];
            let tables = write(form, &counts, &samples, &mut file);
            let mut cursor = TableCursor::new(&tables);
            let mut found = Vec::new();
            for step in steps.iter().cycle() {
                while let Some(extent) = cursor.fill().unwrap() {
                    cursor.feed(&file[extent.offset as usize..extent.end() as usize]);
                }
                let Some(run) = cursor.run() else { break };
                let count = run.count.min(*step);
                found.extend((0..count).map(|n| Sample {
                    size: run.size,
                    duration: run.duration,
                    offset: run.offset,
                    sync: run.is_sync(),
                    description: run.description,
                    position: run.position + n * u64::from(run.size),
                    dts: run.dts + n * u64::from(run.duration),
                }));
                cursor.advance(count).unwrap();
            }
            prop_assert_eq!(found, samples);
        }
    }

    #[test]
    fn equal_samples_are_one_run_however_many_there_are() {
        let mut file = vec![0; 8];
        let mut put = |words: &[u32], width: u8| {
            let at = file.len() as u64;
            file.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            Table { at, count: words.len() as u64 * 4 / u64::from(width), width }
        };
        // Two hours of sound, as cameras write it: a sample for every tick of the clock, a chunk for every second.
        let seconds = 7200;
        let tables = Tables {
            durations: put(&[48_000 * seconds, 1], 8),
            offsets: None,
            chunk_runs: put(&[1, 48_000, 1], 12),
            sizes: Sizes::Same { size: 4, count: 48_000 * u64::from(seconds) },
            chunks: put(&(0..seconds).map(|n| n * 192_000).collect::<Vec<_>>(), 4),
            syncs: None,
        };
        let mut cursor = TableCursor::new(&tables);
        let mut runs = 0;
        loop {
            while let Some(extent) = cursor.fill().unwrap() {
                cursor.feed(&file[extent.offset as usize..extent.end() as usize]);
            }
            let Some(run) = cursor.run() else { break };
            cursor.advance(run.count).unwrap();
            runs += 1;
        }
        assert_eq!((runs, cursor.dts()), (seconds, 48_000 * u64::from(seconds)));
    }
}
