//! A video back as one MP4 file, streamed, and able to go on after an interruption.

use std::{collections::VecDeque, pin::Pin};

use futures::{Stream, StreamExt, stream};
use gloaming_media::{MediaError, mp4_out::Mp4Writer};
use gloaming_package::VirtualPart;

use crate::{ClientError, OpenVideo, Platform, platform::Bulk, watch::Run};

/// Requests to the store at once.
const AT_ONCE: usize = 3;

/// The next bytes of the file.
#[derive(Clone, Debug)]
pub struct Piece<B> {
    /// They follow what came before.
    pub bytes: Vec<B>,
    /// What [`Download::replay`] wants to see again if the download is interrupted after these bytes: some hundred
    /// bytes of box headers.
    pub replay: Vec<u8>,
}

/// How far an earlier download came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Bytes of the file that are known to be right; what follows them is to be cut off.
    pub position: u64,
    /// Bytes of the replays that were whole; likewise.
    pub used: usize,
}

/// A download under way. The file's last bytes, its `moov`, come from [`finish`](Download::finish).
pub struct Download<P: Platform> {
    video: OpenVideo<P>,
    writer: Mp4Writer,
    /// Where it begins: as many fragments have been replayed.
    done: u64,
    begun: bool,
    order: Option<Order<P>>,
    waiting: VecDeque<(usize, P::Bytes)>,
    media_bytes: u64,
}

type Order<P> = Pin<Box<dyn Stream<Item = Result<(Run, Vec<<P as Platform>::Bytes>), ClientError>>>>;

impl<P: Platform> Download<P> {
    /// Begins: the file's first bytes are the first piece.
    pub async fn new(video: &OpenVideo<P>) -> Result<Self, ClientError> {
        let index = video.index();
        let inits = index.inits();
        let media_bytes =
            index.tracks().filter(|about| !about.init.is_empty()).map(|about| about.media_bytes).sum();
        let mut writer = Mp4Writer::new(&inits, media_bytes)?;
        if let Some(header) = video.source_header().await? {
            writer = writer.with_source_header(&header)?;
        }
        Ok(Self {
            video: video.clone(),
            writer,
            done: 0,
            begun: false,
            order: None,
            waiting: VecDeque::new(),
            media_bytes,
        })
    }

    /// About how long the file will be.
    pub fn expected_len(&self) -> u64 {
        self.media_bytes
    }

    /// How many bytes of the file there are so far.
    pub fn position(&self) -> u64 {
        if self.begun { self.writer.position() } else { 0 }
    }

    /// Goes on where an earlier download stopped: `replays` are its pieces' `replay`s, one after another.
    pub fn replay(&mut self, replays: &[u8]) -> Result<Replayed, ClientError> {
        self.begun = true;
        let mut left = replays;
        while let Some((head, rest)) = left.split_first_chunk::<6>() {
            let track = usize::from(u16::from_be_bytes([head[0], head[1]]));
            let len = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
            let Some((headers, rest)) = rest.split_at_checked(len) else { break };
            self.writer.segment_headers(track, headers)?;
            self.done += 1;
            left = rest;
        }
        Ok(Replayed { position: self.writer.position(), used: replays.len() - left.len() })
    }

    /// The next bytes, or none before the last ones.
    pub async fn next(&mut self) -> Result<Option<Piece<P::Bytes>>, ClientError> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(Piece { bytes: vec![P::Bytes::from_vec(self.writer.begin())], replay: vec![] }));
        }
        loop {
            if let Some((track, opened)) = self.waiting.pop_front() {
                return self.write(track, &opened).map(Some);
            }
            let order = self.order.get_or_insert_with(|| order(&self.video, self.done));
            match order.next().await {
                None => return Ok(None),
                Some(opened) => {
                    let (run, opened) = opened?;
                    self.waiting.extend(opened.into_iter().map(|bytes| (usize::from(run.track), bytes)));
                }
            }
        }
    }

    /// The file's last bytes.
    pub fn finish(self) -> Result<Vec<u8>, ClientError> {
        Ok(self.writer.finish()?)
    }

    fn write(&mut self, track: usize, opened: &P::Bytes) -> Result<Piece<P::Bytes>, ClientError> {
        let plain = opened.to_vec();
        let ranges = self.writer.segment(track, &plain)?;
        let media = ranges.first().map_or(plain.len(), |range| range.start);
        let number =
            u16::try_from(track).map_err(|_| MediaError::TooMuch { what: "tracks", limit: 65535 })?;
        let mut replay = number.to_be_bytes().to_vec();
        let len =
            u32::try_from(media).map_err(|_| MediaError::TooMuch { what: "headers", limit: 1 << 32 })?;
        replay.extend(len.to_be_bytes());
        replay.extend_from_slice(&plain[..media]);
        let bytes = ranges.iter().map(|range| opened.slice(range.start as u64..range.end as u64)).collect();
        Ok(Piece { bytes, replay })
    }
}

/// All fragments in the order of the file, without the first `done`: opened ahead of the one that asks, a few at a time.
fn order<P: Platform>(video: &OpenVideo<P>, done: u64) -> Order<P> {
    let (runs_of, video) = (video.clone(), video.clone());
    let parts: Vec<(u16, u32)> = runs_of
        .layout()
        .parts(0..runs_of.layout().len())
        .filter_map(|part| match part {
            VirtualPart::Segment { track, segment, .. } => Some((track, segment)),
            VirtualPart::Header(_) => None,
        })
        .collect();
    let mut skip = done;
    let runs = parts.into_iter().flat_map(move |(track, segment)| {
        let mut runs = runs_of.runs(track, segment).expect("the layout names segments that exist");
        for run in &mut runs {
            let skipped = skip.min(run.fragments.len() as u64);
            run.fragments.drain(..usize::try_from(skipped).expect("fragments are in memory"));
            skip -= skipped;
        }
        runs.retain(|run| !run.fragments.is_empty());
        runs
    });
    Box::pin(
        stream::iter(runs)
            .map(move |run| {
                let video = video.clone();
                async move {
                    let opened = video.open_run(&run).await?;
                    Ok((run, opened))
                }
            })
            .buffered(AT_ONCE),
    )
}
