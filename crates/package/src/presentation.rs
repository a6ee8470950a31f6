//! What the manifests say about a track: which ones play, when each segment does, how many bits a second it takes.

use crate::{Index, Kind, Track, table::Table};

/// A track as a manifest sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playable<'a> {
    pub(crate) number: u16,
    pub(crate) about: &'a Track,
    table: &'a Table,
}

/// When a segment plays, in units of the track's timescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) start: u64,
    pub(crate) duration: u64,
}

/// The tracks that a manifest names: pictures, sound, and text in a form that players know. The others are kept, for
/// downloads.
pub(crate) fn playable(index: &Index) -> Vec<Playable<'_>> {
    let numbers = 0..=u16::MAX;
    let tracks = index.tracks().zip(numbers).filter_map(|(about, number)| {
        let table = index.table(number)?;
        let plays = match about.kind {
            Kind::Video | Kind::Audio => true,
            Kind::Subtitle => about.codec == "wvtt" || about.codec.split('.').next() == Some("stpp"),
            Kind::Metadata | Kind::Other | Kind::Attachment => false,
        };
        (plays && !about.encrypted && table.segment_count() > 0).then_some(Playable { number, about, table })
    });
    tracks.collect()
}

/// The default track of a kind: the first enabled one, else the first.
pub(crate) fn default_of<'a>(tracks: &[Playable<'a>], kind: Kind) -> Option<Playable<'a>> {
    let mut of_kind = tracks.iter().filter(|track| track.about.kind == kind);
    of_kind.clone().find(|track| track.about.enabled).or_else(|| of_kind.next()).copied()
}

impl Playable<'_> {
    /// When its segments play. Each lasts until the next one begins, so that a manifest has no gaps; where a track
    /// itself has one, a player shows what came before.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        let count = self.table.segment_count();
        (0..count).map(move |number| {
            let (start, end) =
                (self.start(number), if number + 1 < count { self.start(number + 1) } else { self.end() });
            Slot { start, duration: end.saturating_sub(start).max(1) }
        })
    }

    /// Presentation time of a segment's first sample. `start` is a decode time; a video's first sample is shown
    /// `media_time` (its reorder delay) later and moved back as much by the edit list, while sound has no such delay,
    /// so that the edit list moves it by its priming.
    fn start(&self, segment: u32) -> u64 {
        let (start, ..) = self.table.time(segment).unwrap_or_default();
        start.saturating_sub(self.shift())
    }

    fn end(&self) -> u64 {
        let last = self.table.segment_count().saturating_sub(1);
        let (start, duration, _) = self.table.time(last).unwrap_or_default();
        (start + duration).saturating_sub(self.shift())
    }

    fn shift(&self) -> u64 {
        if self.about.kind == Kind::Audio { self.about.media_time } else { 0 }
    }

    /// Whether playback can begin at every segment.
    pub(crate) fn independent(&self) -> bool {
        (0..self.table.segment_count()).all(|number| self.begins_at(number))
    }

    /// Whether playback can begin at this segment.
    pub(crate) fn begins_at(&self, segment: u32) -> bool {
        self.table.time(segment).is_some_and(|(.., independent)| independent)
    }

    /// Bits per second of the segment that needs most of them; at least 1, because a manifest must say something.
    pub(crate) fn peak_bandwidth(&self) -> u64 {
        let rates = self
            .slots()
            .zip(0..)
            .map(|(slot, number)| self.rate(self.table.plaintext_len(number), slot.duration));
        rates.max().unwrap_or(1)
    }

    /// Bits per second over all.
    pub(crate) fn average_bandwidth(&self) -> u64 {
        self.rate(self.table.total_plaintext(), self.end().saturating_sub(self.start(0)).max(1))
    }

    fn rate(&self, bytes: u64, duration: u64) -> u64 {
        let bits = u128::from(bytes) * 8 * u128::from(self.about.timescale.get());
        u64::try_from(bits.div_ceil(u128::from(duration))).unwrap_or(u64::MAX).max(1)
    }

    /// What to call it in a list: its name, else its language, else its number.
    pub(crate) fn label(&self) -> String {
        match (&self.about.name, self.about.language.as_str()) {
            (Some(name), _) if !name.trim().is_empty() => name.clone(),
            (_, "und" | "") => format!("Track {}", self.number + 1),
            (_, language) => language.to_owned(),
        }
    }

    /// Its language, if known.
    pub(crate) fn language(&self) -> Option<&str> {
        Some(self.about.language.as_str()).filter(|language| !matches!(*language, "und" | ""))
    }
}
