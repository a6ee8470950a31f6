//! Reading back what is stored, all of it.

use futures::{StreamExt, TryStreamExt, stream};
use gloaming_media::{Extent, Piece, Plan, PlanOptions, Planner};
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
    let meter = Meter::new(video.session().0.server.platform.clone(), index.stored_bytes(), listener);
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

/// Fetches every fragment and compares it, packet by packet, with what `source` gives when it is taken in again.
pub async fn verify_against<P: Platform>(
    video: &OpenVideo<P>,
    source: &P::Source,
    control: &Control,
    listener: &dyn Fn(&Progress),
) -> Result<Verified, ClientError> {
    let index = video.index();
    let platform = video.session().platform();
    let meter = Meter::new(video.session().0.server.platform.clone(), index.stored_bytes(), listener);
    meter.phase(Phase::Checking);
    let differs = |what: String| ClientError::Differs { what };
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
    let options = SealOptions::default();
    let plan =
        PlanOptions { target: options.target, first: options.first, max_fragment: options.max_fragment };
    let mut planner = Planner::new(movie, plan)?;
    let mut sum = Verified { samples: Some(0), ..Verified::default() };
    // Fragments of one run are fetched together and asked for one by one.
    let mut opened: std::collections::HashMap<(u16, u32, u32), P::Bytes> = std::collections::HashMap::new();
    loop {
        control.going().await;
        match planner.next()? {
            Plan::Need(extent) => {
                let bytes = platform.read(source, extent).await?;
                planner.feed(extent.offset, &bytes)?;
            }
            Plan::Done => break,
            Plan::Fragment(fragment) => {
                let track = u16::try_from(fragment.track).unwrap_or(u16::MAX);
                let name = (track, fragment.segment, fragment.number);
                let place = || format!("segment {} of track {track}", fragment.segment);
                if !opened.contains_key(&name) {
                    let runs = video.runs(track, fragment.segment).map_err(|_| differs(place()))?;
                    let has = |run: &&Run| run.fragments.iter().any(|row| row.number == fragment.number);
                    let run = runs.iter().find(has).ok_or_else(|| differs(place()))?;
                    for (row, bytes) in run.fragments.iter().zip(video.open_run(run).await?) {
                        sum.fragments += 1;
                        sum.bytes += row.len;
                        meter.count(row.len);
                        opened.insert((track, fragment.segment, row.number), bytes);
                    }
                }
                let stored = opened.remove(&name).ok_or_else(|| differs(place()))?.to_vec();
                if !same::<P>(platform, source, &fragment.pieces, &stored).await? {
                    return Err(differs(place()));
                }
                *sum.samples.get_or_insert_default() += u64::from(fragment.samples);
            }
        }
    }
    let expected: u64 = stored_fragments(video);
    if !opened.is_empty() || sum.fragments != expected {
        return Err(differs("more is stored than the file has".into()));
    }
    meter.phase(Phase::Done);
    Ok(sum)
}

fn stored_fragments<P: Platform>(video: &OpenVideo<P>) -> u64 {
    let index = video.index();
    let tracks = 0..index.inits().len() as u16;
    tracks.flat_map(|track| index.packs(track)).map(|pack| u64::from(pack.fragments)).sum()
}

/// Whether these pieces of the source are those bytes.
async fn same<P: Platform>(
    platform: &P,
    source: &P::Source,
    pieces: &[Piece],
    mut stored: &[u8],
) -> Result<bool, ClientError> {
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => match stored.strip_prefix(bytes.as_slice()) {
                Some(rest) => stored = rest,
                None => return Ok(false),
            },
            Piece::Source(extent) => {
                let (mut offset, end) = (extent.offset, extent.end());
                while offset < end {
                    let len = READ.min(end - offset);
                    let bytes = platform.read(source, Extent { offset, len }).await?;
                    match stored.strip_prefix(bytes.as_slice()) {
                        Some(rest) => stored = rest,
                        None => return Ok(false),
                    }
                    offset += len;
                }
            }
        }
    }
    Ok(stored.is_empty())
}
