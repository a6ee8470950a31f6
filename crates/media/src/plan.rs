//! Cutting a movie into segments and fragments.

use std::time::Duration;

use crate::{Extent, MediaError, Movie, Piece};

/// How a movie is cut.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// A segment ends at the first sync sample this long after its start.
    pub target: Duration,
    /// The first segment ends no later than this where key frames allow it, so that playback starts quickly.
    pub first: Duration,
    /// The most a fragment may hold, headers included; only a single sample larger than this exceeds it.
    pub max_fragment: u64,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions { target: Duration::from_secs(4), first: Duration::from_secs(2), max_fragment: 8 << 20 }
    }
}

/// What the planner has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Read this range of the source and hand it to [`Planner::feed`].
    Need(Extent),
    /// The next fragment.
    Fragment(Fragment),
    /// There are no more.
    Done,
}

/// One sealed message's worth of a segment: `styp`? `moof` `mdat`.
///
/// Fragments of one track arrive in order; a segment's fragments arrive one after another, and concatenated they are
/// the segment. Segments are numbered 0, 1, 2… without gaps in each track: a track with no sample in an interval has
/// no segment there, and its next one takes the next number, so time comes from `start`, never from `segment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Position of the track in [`Movie::tracks`].
    pub track: usize,
    /// Number of the segment in its track.
    pub segment: u32,
    /// Number of the fragment in its segment.
    pub number: u32,
    /// Whether the segment ends here.
    pub last_in_segment: bool,
    /// Decode time of the first sample in the track's timescale (the `tfdt`). The segment starts where its fragment
    /// number 0 does.
    pub start: u64,
    /// Sum of its samples' durations, in the track's timescale.
    pub duration: u64,
    /// Whether the *segment* begins with a sync sample.
    pub independent: bool,
    /// What it is made of, in order.
    pub pieces: Vec<Piece>,
    /// Bytes in all.
    pub len: u64,
    /// Bytes of samples among them.
    pub media_bytes: u64,
    /// How many samples.
    pub samples: u32,
}

/// Cuts a movie into segments and fragments, in time order, interleaving the tracks.
///
/// The same movie and options give the same plan, always: an interrupted upload continues by planning again.
///
/// ```no_run
/// # use gloaming_media::*;
/// # fn read(_: Extent) -> Vec<u8> { Vec::new() }
/// # fn run(movie: Movie) -> Result<(), MediaError> {
/// let mut planner = Planner::new(movie, PlanOptions::default())?;
/// loop {
///     match planner.next()? {
///         Plan::Need(extent) => planner.feed(extent.offset, &read(extent))?,
///         Plan::Fragment(fragment) => println!("{} bytes", fragment.len),
///         Plan::Done => return Ok(()),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Planner {
    movie: Movie,
}

impl Planner {
    /// A planner at the movie's beginning.
    pub fn new(movie: Movie, options: PlanOptions) -> Result<Planner, MediaError> {
        let _ = options;
        Ok(Planner { movie })
    }

    /// What is being cut.
    pub fn movie(&self) -> &Movie {
        &self.movie
    }

    /// The next step. After [`Plan::Need`], it stays the same until the range is fed.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator: it may ask for bytes, and may fail")]
    pub fn next(&mut self) -> Result<Plan, MediaError> {
        Err(MediaError::NotMedia)
    }

    /// Takes exactly the range that was asked for.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let _ = (offset, bytes);
        Err(MediaError::WrongRange)
    }
}
