//! Reading back what is stored, all of it.

use std::collections::VecDeque;

use futures::{StreamExt, TryStreamExt, stream};
use gloaming_media::{Extent, Piece, Plan, PlanOptions, Planner, Samples, read_fragment};
use gloaming_package::SealOptions;

use crate::{
    ClientError, Control, OpenVideo, Phase, Platform, Progress, platform::Bulk, probe, progress::Meter,
    watch::Run,
};

/// Requests to the store at once.
const AT_ONCE: usize = 3;
/// Bytes of a source file read at once.
const READ: u64 = 8 << 20;

/// What was read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Fragments that are what was stored, and open.
    pub fragments: u64,
    /// Their sealed bytes.
    pub bytes: u64,
    /// Samples that are those of the file it was compared with.
    pub samples: Option<u64>,
}

/// Fetches every fragment, checks its digest and opens it.
pub async fn verify<P: Platform>(
    video: &OpenVideo<P>,
    control: &Control,
    listener: &dyn Fn(&Progress),
) -> Result<Verified, ClientError> {
    let index = video.index();
    let meter = Meter::new(video.server().platform.clone(), index.stored_bytes(), listener);
    meter.phase(Phase::Checking);
    let mut runs: Vec<(u16, u32)> = Vec::new();
    for track in 0..index.tracks().len() as u16 {
        runs.extend((0..index.segment_count(track)).map(|segment| (track, segment)));
    }
    let all = stream::iter(runs)
        .map(|(track, segment)| stream::iter(video.runs(track, segment).unwrap_or_default()))
        .flatten()
        .map(|run: Run| async move {
            control.going().await;
            let opened = video.open_run(&run).await?;
            Ok::<_, ClientError>((run, opened.len()))
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(Verified::default(), |mut sum, (run, _)| {
            let bytes = run.fragments.iter().map(|fragment| fragment.len).sum::<u64>();
            sum.fragments += run.fragments.len() as u64;
            sum.bytes += bytes;
            meter.count(bytes);
            async move { Ok(sum) }
        });
    let sum = control.guard(Box::pin(all)).await?;
    meter.phase(Phase::Done);
    Ok(sum)
}

/// Fetches every fragment and compares its samples, one by one, with what `source` gives when it is taken in again.
///
/// How samples were cut into segments when they were stored does not matter: another version of this program may cut
/// otherwise.
pub async fn verify_against<P: Platform>(
    video: &OpenVideo<P>,
    source: &P::Source,
    control: &Control,
    listener: &dyn Fn(&Progress),
) -> Result<Verified, ClientError> {
    let index = video.index();
    let platform = &*video.server().platform;
    let meter = Meter::new(video.server().platform.clone(), index.stored_bytes(), listener);
    meter.phase(Phase::Checking);
    let movie = probe(platform, source).await?;
    let stored: Vec<_> = index.tracks().filter(|about| !about.init.is_empty()).collect();
    if stored.len() != movie.tracks().len() {
        return Err(differs(format!(
            "{} tracks are stored and the file has {}",
            stored.len(),
            movie.tracks().len()
        )));
    }
    for (number, (stored, own)) in stored.iter().zip(movie.tracks()).enumerate() {
        if stored.init != own.init {
            return Err(differs(format!("track {number} is described otherwise")));
        }
    }
    if video.source_header().await?.unwrap_or_default() != movie.source_header() {
        return Err(differs("what surrounds the media".into()));
    }
    let mut tracks: Vec<ReadBack> = (0..stored.len() as u16).map(ReadBack::new).collect();
    let options = SealOptions::default();
    let plan =
        PlanOptions { target: options.target, first: options.first, max_fragment: options.max_fragment };
    let mut planner = Planner::new(movie, plan)?;
    let mut sum = Verified { samples: Some(0), ..Verified::default() };
    loop {
        control.going().await;
        match planner.next()? {
            Plan::Need(extent) => {
                let bytes = platform.read(source, extent).await?;
                planner.feed(extent.offset, &bytes)?;
            }
            Plan::Done => break,
            Plan::Fragment(fragment) => {
                let bytes = bytes_of::<P>(platform, source, &fragment.pieces).await?;
                tracks[fragment.track].compare(video, &bytes, &mut sum, &meter).await?;
                *sum.samples.get_or_insert_default() += u64::from(fragment.samples);
            }
        }
    }
    for track in &mut tracks {
        if track.fill(video, &mut sum, &meter).await? {
            return Err(differs("more is stored than the file has".into()));
        }
    }
    meter.phase(Phase::Done);
    Ok(sum)
}

fn differs(what: String) -> ClientError {
    ClientError::Differs { what }
}

/// A stored track, read from its beginning to its end.
struct ReadBack {
    track: u16,
    /// How many segments were begun.
    segments: u32,
    /// Requests of the current segment that were not made yet.
    runs: VecDeque<Run>,
    /// Fragments that were fetched together with the current one.
    opened: VecDeque<Vec<u8>>,
    /// The current fragment, from the samples on that were not compared yet.
    samples: VecDeque<Samples>,
    bytes: Vec<u8>,
    at: usize,
}

impl ReadBack {
    fn new(track: u16) -> ReadBack {
        ReadBack {
            track,
            segments: 0,
            runs: VecDeque::new(),
            opened: VecDeque::new(),
            samples: VecDeque::new(),
            bytes: Vec::new(),
            at: 0,
        }
    }

    fn place(&self) -> String {
        format!("segment {} of track {}", self.segments.saturating_sub(1), self.track)
    }

    /// Makes the next samples known, if there are any.
    async fn fill<P: Platform>(
        &mut self,
        video: &OpenVideo<P>,
        sum: &mut Verified,
        meter: &Meter<'_, P>,
    ) -> Result<bool, ClientError> {
        while self.samples.is_empty() {
            if let Some(bytes) = self.opened.pop_front() {
                let (samples, at) = read_fragment(&bytes).map_err(|_| differs(self.place()))?;
                (self.samples, self.bytes, self.at) = (samples.into(), bytes, at);
            } else if let Some(run) = self.runs.pop_front() {
                for (row, bytes) in run.fragments.iter().zip(video.open_run(&run).await?) {
                    sum.fragments += 1;
                    sum.bytes += row.len;
                    meter.count(row.len);
                    self.opened.push_back(bytes.to_vec());
                }
            } else if self.segments < video.index().segment_count(self.track) {
                self.runs = video.runs(self.track, self.segments)?.into();
                self.segments += 1;
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the next samples are those of this fragment of the file.
    async fn compare<P: Platform>(
        &mut self,
        video: &OpenVideo<P>,
        own: &[u8],
        sum: &mut Verified,
        meter: &Meter<'_, P>,
    ) -> Result<(), ClientError> {
        let (samples, mut at) = read_fragment(own)?;
        for mut expected in samples {
            while expected.count > 0 {
                if !self.fill(video, sum, meter).await? {
                    return Err(differs(format!("track {} ends before the file does", self.track)));
                }
                let stored = self.samples.front_mut().expect("it was filled");
                let count = stored.count.min(expected.count);
                let (found, expected) = (stored.take(count), expected.take(count));
                if stored.count == 0 {
                    self.samples.pop_front();
                }
                let len = usize::try_from(count * u64::from(found.size)).unwrap_or(usize::MAX);
                let payload = part(&self.bytes, self.at, len);
                if found != expected || payload.is_none() || payload != part(own, at, len) {
                    return Err(differs(self.place()));
                }
                at += len;
                self.at += len;
            }
        }
        Ok(())
    }
}

/// `len` bytes from `at` on, if there are as many.
fn part(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..)?.get(..len)
}

/// The bytes of a planned fragment, its boxes included.
async fn bytes_of<P: Platform>(
    platform: &P,
    source: &P::Source,
    pieces: &[Piece],
) -> Result<Vec<u8>, ClientError> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Source(extent) => {
                let (mut offset, end) = (extent.offset, extent.end());
                while offset < end {
                    let len = READ.min(end - offset);
                    out.extend_from_slice(&platform.read(source, Extent { offset, len }).await?);
                    offset += len;
                }
            }
        }
    }
    Ok(out)
}
