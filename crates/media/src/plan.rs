//! Cutting a movie into segments and fragments.

use std::time::Duration;

use crate::{
    Extent, MediaError, Movie, Piece, TrackKind,
    boxes::damaged,
    cursor::Cursor,
    fragment::Building,
    sample::{MAX_SAMPLE, MAX_TIME, check_size},
    timeline::Timeline,
};

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
///
/// **Cuts.** The main video track (the enabled one with the most samples; without video, the audio track) is cut at
/// its first sync sample at or after `target`; the first segment at the first one after half of `first`, which makes
/// it as short as `first` wherever key frames are that close. All other tracks are cut at the same presentation time,
/// at their own first sync sample from there on. Where no sync sample comes for 30 seconds, the segment ends anyway and
/// the next one, not independent, lasts to the first sync sample.
///
/// **Fragments.** At most `max_fragment` bytes, one sample description, no gap in decode times; the leading key frame
/// of a video segment is alone in its fragment. A larger sample is a fragment of its own, up to
/// [`MAX_SAMPLE`](Planner::MAX_SAMPLE); beyond that the plan fails, because a fragment is sealed as one message and
/// held in memory whole.
///
/// Memory: a 64 KiB window per sample table of each track, or one `moof` per track, and the fragment being filled.
#[derive(Debug)]
pub struct Planner {
    movie: Movie,
    tracks: Vec<TrackPlan>,
    /// Tracks in the order in which an interval emits them: the main one first.
    order: Vec<usize>,
    /// Position in `order`.
    turn: usize,
    options: PlanOptions,
    /// The current interval is the first one.
    opening: bool,
    /// Presentation time at which this interval ends, once the main track has come to it.
    cut: Option<Instant>,
    waiting: Option<(usize, Extent)>,
}

/// A point on the presentation timeline. Wide, because it is carried over to finer clocks: what is late on a clock of seconds
/// has to be later than itself on none.
#[derive(Clone, Copy, Debug)]
struct Instant {
    time: i128,
    timescale: u32,
}

impl Instant {
    fn new(time: i64, timescale: u32) -> Self {
        Self { time: time.into(), timescale }
    }

    /// The first tick of another clock that is not before this.
    fn on(self, timescale: u32) -> i128 {
        let (time, from) = (self.time * i128::from(timescale), i128::from(self.timescale));
        time.div_euclid(from) + i128::from(time.rem_euclid(from) != 0)
    }

    /// The same on a track's clock.
    fn on_track(self, timescale: u32) -> i64 {
        let time = self.on(timescale);
        i64::try_from(time).unwrap_or(if time > 0 { i64::MAX } else { i64::MIN })
    }
}

/// One track, as far as it is cut.
#[derive(Debug)]
struct TrackPlan {
    id: u32,
    kind: TrackKind,
    timescale: u32,
    timeline: Timeline,
    cursor: Cursor,
    building: Building,
    /// The segment that is open.
    open: Option<OpenSegment>,
    segments: u32,
    fragments: u32,
    /// Decode time at which what has been taken so far ends.
    end: u64,
    /// A segment was closed and the next one not begun.
    between: bool,
    /// Presentation time of the sample it stopped at.
    next: Option<i64>,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenSegment {
    start: u64,
    independent: bool,
    /// Fragments so far.
    fragments: u32,
}

/// When a segment of a track ends.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// The main track: at a sync sample, this long after the segment's start.
    After(u64),
    /// The others: at a sync sample, from this presentation time on.
    At(i64),
}

/// What a track has come to.
enum Step {
    Need(Extent),
    Fragment(Fragment),
    /// It has no more in this interval. The next sample's presentation time, if there is one.
    Ended(Option<i64>),
}

/// After this long without a sync sample a segment ends all the same.
const LONGEST: Duration = Duration::from_secs(30);
/// How much longer than the main track the others may be within its last segment.
const TAIL: Duration = Duration::from_secs(2);

impl Planner {
    /// The largest sample there may be, in bytes.
    pub const MAX_SAMPLE: u64 = MAX_SAMPLE;

    /// A planner at the movie's beginning.
    pub fn new(mut movie: Movie, options: PlanOptions) -> Result<Planner, MediaError> {
        let sources = std::mem::take(&mut movie.sources);
        let rank = |kind| match kind {
            TrackKind::Video => 2,
            TrackKind::Audio => 1,
            _ => 0,
        };
        let main = sources
            .iter()
            .enumerate()
            .max_by_key(|(number, source)| {
                let samples = if source.kind == TrackKind::Video { source.samples } else { 0 };
                (rank(source.kind), source.enabled, samples, std::cmp::Reverse(*number))
            })
            .map(|(number, _)| number);
        let order = main.into_iter().chain((0..sources.len()).filter(|&n| Some(n) != main)).collect();
        let tracks = sources
            .into_iter()
            .enumerate()
            .map(|(number, source)| TrackPlan {
                id: number as u32 + 1,
                kind: source.kind,
                timescale: source.timescale.get(),
                timeline: source.timeline,
                cursor: source.cursor,
                building: Building::default(),
                open: None,
                segments: 0,
                fragments: 0,
                end: 0,
                between: false,
                next: None,
                ended: false,
            })
            .collect();
        Ok(Planner { movie, tracks, order, turn: 0, options, opening: true, cut: None, waiting: None })
    }

    /// What is being cut.
    pub fn movie(&self) -> &Movie {
        &self.movie
    }

    /// The next step. After [`Plan::Need`], it stays the same until the range is fed.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator: it may ask for bytes, and may fail")]
    pub fn next(&mut self) -> Result<Plan, MediaError> {
        if let Some((_, extent)) = self.waiting {
            return Ok(Plan::Need(extent));
        }
        loop {
            let Some(&number) = self.order.get(self.turn) else {
                if !self.next_interval() {
                    return Ok(Plan::Done);
                }
                continue;
            };
            let is_main = self.turn == 0;
            let track = &mut self.tracks[number];
            let limit = match self.cut {
                Some(cut) => Limit::At(cut.on_track(track.timescale)),
                None if self.opening => Limit::After(ticks(self.options.first / 2, track.timescale)),
                None => Limit::After(ticks(self.options.target, track.timescale)),
            };
            match track.step(number, limit, self.options.max_fragment)? {
                Step::Need(extent) => {
                    self.waiting = Some((number, extent));
                    return Ok(Plan::Need(extent));
                }
                Step::Fragment(fragment) => return Ok(Plan::Fragment(fragment)),
                Step::Ended(next) => {
                    track.next = next;
                    self.turn += 1;
                    if is_main && self.cut.is_none() {
                        let timescale = track.timescale;
                        self.cut = Some(match next {
                            Some(time) => Instant::new(time, timescale),
                            None => {
                                let tail = ticks(TAIL, timescale) as i64;
                                Instant::new(track.presented_end().saturating_add(tail), timescale)
                            }
                        });
                    }
                }
            }
        }
    }

    /// On to the next interval; `false` when every track is at its end.
    fn next_interval(&mut self) -> bool {
        if self.tracks.iter().all(|track| track.ended) {
            return false;
        }
        let main = self.order.first().map(|&number| &self.tracks[number]);
        // Once the main track has ended, time alone cuts the others.
        self.cut = match (self.cut, main) {
            (Some(cut), Some(main)) if main.ended => {
                // Not step by step through hours in which nothing happens.
                let waiting =
                    self.tracks.iter().filter(|track| !track.ended).filter_map(|track| {
                        Some(Instant::new(track.next?, track.timescale).on(cut.timescale))
                    });
                let from = waiting.min().map_or(cut.time, |next| next.max(cut.time));
                let step = ticks(self.options.target, cut.timescale).max(1);
                Some(Instant { time: from + i128::from(step), ..cut })
            }
            _ => None,
        };
        self.opening = false;
        self.turn = 0;
        true
    }

    /// Takes exactly the range that was asked for.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        match self.waiting.take() {
            Some((number, extent)) if extent == (Extent { offset, len: bytes.len() as u64 }) => {
                self.tracks[number].cursor.feed(offset, bytes);
                Ok(())
            }
            waiting => {
                self.waiting = waiting;
                Err(MediaError::WrongRange)
            }
        }
    }
}

/// A duration on a clock, rounded down.
fn ticks(duration: Duration, timescale: u32) -> u64 {
    u64::try_from(duration.as_micros() * u128::from(timescale) / 1_000_000).unwrap_or(u64::MAX)
}

impl TrackPlan {
    fn presented_end(&self) -> i64 {
        self.end as i64 - self.timeline.media_time as i64
    }

    fn step(&mut self, number: usize, limit: Limit, max_fragment: u64) -> Result<Step, MediaError> {
        loop {
            if let Some(extent) = self.cursor.fill()? {
                return Ok(Step::Need(extent));
            }
            let Some(run) = self.cursor.run()? else {
                self.ended = true;
                return Ok(match self.close(number, true) {
                    Some(fragment) => Step::Fragment(fragment),
                    None => Step::Ended(None),
                });
            };
            let shifted = i128::from(run.dts) + i128::from(self.timeline.shift);
            let dts = u64::try_from(shifted)
                .ok()
                .filter(|&dts| dts <= 2 * MAX_TIME)
                .ok_or(damaged("a sample has an impossible time", run.position))?;
            // At least 0: the bias is what the least offset lacks.
            let offset = u32::try_from(i64::from(run.offset) + i64::from(self.timeline.bias))
                .map_err(|_| damaged("a sample has an impossible time", run.position))?;
            let presented = (dts as i64).saturating_add(i64::from(offset)) - self.timeline.media_time as i64;
            let longest = ticks(LONGEST, self.timescale);

            let Some(open) = self.open else {
                let over = match limit {
                    Limit::After(_) => self.between,
                    Limit::At(cut) => presented >= cut,
                };
                self.between = false;
                if over {
                    return Ok(Step::Ended(Some(presented)));
                }
                self.open = Some(OpenSegment { start: dts, independent: run.is_sync(), fragments: 0 });
                continue;
            };
            let elapsed = dts.saturating_sub(open.start);
            let begun = open.fragments > 0 || !self.building.is_empty();
            let forced = begun && elapsed >= longest;
            let at_limit = match limit {
                Limit::After(least) => elapsed >= least || !open.independent,
                Limit::At(cut) => presented >= cut,
            };
            if (forced || (begun && run.is_sync() && at_limit))
                && let Some(fragment) = self.close(number, true)
            {
                return Ok(Step::Fragment(fragment));
            }

            let leading = self.kind == TrackKind::Video && open.independent && open.fragments == 0;
            let splits = !self.building.is_empty()
                && (leading
                    || run.description != self.building.description
                    || dts != self.building.start.saturating_add(self.building.duration));
            let fits = self.building.room_for(&run, offset, max_fragment);
            // With nothing in it, it is not closed either.
            if (splits || fits == 0)
                && let Some(fragment) = self.close(number, false)
            {
                return Ok(Step::Fragment(fragment));
            }
            check_size(run.size)?;
            if self.building.is_empty() {
                self.building.start = dts;
                self.building.description = run.description;
            }
            let until =
                |time: u64, now: u64| time.saturating_sub(now).div_ceil(u64::from(run.duration).max(1));
            let mut count = run.count.min(fits.max(1));
            if leading {
                count = 1;
            }
            if run.duration > 0 {
                let end = match limit {
                    Limit::After(least) => least.min(longest).saturating_sub(elapsed),
                    Limit::At(cut) => cut.saturating_sub(presented).max(0) as u64,
                };
                count = count.min(until(end, 0).max(1)).min(until(longest, elapsed).max(1));
            }
            self.building.push(&run, offset, count);
            self.end = dts.saturating_add(count.saturating_mul(u64::from(run.duration)));
            self.cursor.advance(&run, count)?;
        }
    }

    /// Ends the fragment that is being filled, if there is one.
    ///
    /// A fragment that is not its segment's last is only closed when the next sample is known to belong to the same
    /// segment, so no segment can end without a last fragment.
    fn close(&mut self, number: usize, last: bool) -> Option<Fragment> {
        let open = self.open.as_mut().filter(|_| !self.building.is_empty())?;
        self.fragments = self.fragments.saturating_add(1);
        let (start, duration) = (self.building.start, self.building.duration);
        let (samples, media_bytes) = (self.building.count as u32, self.building.media_bytes);
        let (pieces, len) = self.building.take(self.id, self.fragments, open.fragments == 0);
        let fragment = Fragment {
            track: number,
            segment: self.segments,
            number: open.fragments,
            last_in_segment: last,
            start,
            duration,
            independent: open.independent,
            pieces,
            len,
            media_bytes,
            samples,
        };
        open.fragments += 1;
        if last {
            self.open = None;
            self.between = true;
            self.segments += 1;
        }
        Some(fragment)
    }
}
