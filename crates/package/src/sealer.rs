use std::{collections::VecDeque, time::Duration};

use gloaming_ids::{Context, Entropy, ObjectId, TrackId, VideoId};
use gloaming_keys::{
    FRAGMENT_OVERHEAD, SegmentKey, SegmentKeys, VideoSecret, VideoSigner, ViewShare, fragment_aad, sha256,
};
use gloaming_media::{Extent, Fragment, MediaError, Movie, Piece, Plan, PlanOptions, Planner};
use serde::{Deserialize, Serialize};

use crate::{
    Index, Journal, JournalPack, PackRef, PackRow, SOURCE_HEADER, SealError, SealedIndex, Track,
    layout::{Full, Layout, padding},
    table::WireTable,
};

const OVERHEAD: u64 = FRAGMENT_OVERHEAD as u64;

/// How a movie is cut and packed. Written into the journal, so that a resume does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealOptions {
    /// A segment ends at the first sync sample this long after its start.
    pub target: Duration,
    /// The first segment is no longer than this, where key frames allow it.
    pub first: Duration,
    /// Bytes of a fragment's plaintext at most; only a single larger sample exceeds it.
    pub max_fragment: u64,
    /// A pack ends before this many bytes of sealed fragments…
    pub pack: u64,
    /// …or this many, for a track above [`large_above`](SealOptions::large_above).
    pub large_pack: u64,
    /// Bits per second.
    pub large_above: u64,
}

impl Default for SealOptions {
    fn default() -> Self {
        let plan = PlanOptions::default();
        SealOptions {
            target: plan.target,
            first: plan.first,
            max_fragment: plan.max_fragment,
            pack: 16 << 20,
            large_pack: 64 << 20,
            large_above: 30_000_000,
        }
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Position of its track.
    pub track: u16,
    /// Number of its segment in the track.
    pub segment: u32,
    /// Its number in the segment.
    pub number: u32,
    /// The pack it goes to.
    pub pack: PackRef,
    /// Where in the pack it begins. Fragments of one pack come in order and without gaps.
    pub offset: u64,
}

/// One fragment to be made: read the pieces, seal them, take the SHA-256 of the result, keep it for its pack, and tell
/// [`Sealer::sealed`].
#[derive(Debug)]
pub struct FragmentJob {
    /// Where it belongs.
    pub place: Place,
    /// AES-256-GCM key; the nonce is 12 fresh random bytes in front.
    pub key: SegmentKey,
    /// What it is bound to.
    pub aad: [u8; 6],
    /// Whether the segment ends here (part of `aad`).
    pub last: bool,
    /// Its plaintext, in order.
    pub pieces: Vec<Piece>,
    /// Bytes of plaintext.
    pub plaintext_len: u64,
    /// Bytes of nonce, ciphertext and tag.
    pub sealed_len: u64,
}

/// All fragments of a pack have been given out: store it (fragments, then padding) and tell [`Sealer::stored`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackClosed {
    /// Which one.
    pub pack: PackRef,
    /// Bytes of fragments.
    pub sealed_len: u64,
    /// Random bytes to follow, up to a multiple of 64 KiB.
    pub padding: u64,
    /// Playback begins with it.
    pub first_of_track: bool,
}

impl PackClosed {
    /// Bytes of the object.
    pub fn stored_len(&self) -> u64 {
        self.sealed_len + self.padding
    }
}

/// What the sealer has to say.
#[derive(Debug)]
pub enum SealStep {
    /// Read this range of the source and hand it to [`Sealer::feed`].
    Need(Extent),
    /// Make this fragment, now or later: every job stands for itself.
    Fragment(FragmentJob),
    /// This pack is complete.
    PackClosed(PackClosed),
    /// There is no more. Once everything is sealed and stored, [`Sealer::finish`].
    Done,
}

/// Seals a movie fragment by fragment.
///
/// Sans-IO: the caller reads, seals, digests and stores, in whatever order and on as many threads as it likes. Tracks
/// are interleaved, so that several packs are open at once, at most one for each track.
///
/// Memory: some seventy bytes for each fragment, and the recipe of one segment for each track.
#[derive(Debug)]
pub struct Sealer {
    planner: Planner,
    keys: SegmentKeys,
    view: ViewShare,
    signer: VideoSigner,
    journal: Journal,
    tracks: Vec<TrackState>,
    steps: VecDeque<SealStep>,
    ended: bool,
}

#[derive(Debug)]
struct TrackState {
    about: Track,
    layout: Layout,
    /// Fragments of a segment whose length is not known yet.
    waiting: Vec<Fragment>,
    /// Sealed bytes of those.
    waiting_len: u64,
    /// The segment outgrew a pack, so its fragments go out one by one.
    spilling: bool,
    rows: WireTable,
    /// Position of each segment's first fragment.
    firsts: Vec<u32>,
    /// End time of the last segment.
    end: u64,
    /// Start of the segment in the making.
    start: u64,
    digests: Vec<Option<[u8; 32]>>,
    packs: Vec<PackState>,
    media_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct PackState {
    /// Position of its first fragment.
    first: u32,
    fragments: u32,
    sealed_len: u64,
    object: Option<ObjectId>,
}

impl Sealer {
    /// Begins a video: mints its track ids.
    pub fn new(
        movie: Movie,
        secret: &VideoSecret,
        video: VideoId,
        options: SealOptions,
        entropy: &mut dyn Entropy,
    ) -> Result<Sealer, SealError> {
        let count = movie.tracks().len() + usize::from(!movie.source_header().is_empty());
        let tracks = (0..count).map(|_| TrackId::generate(entropy)).collect();
        let journal =
            Journal { video, options, movie: fingerprint(&movie), tracks, packs: Default::default() };
        Sealer::at(movie, secret, journal)
    }

    /// Continues where a journal ends: the same track ids and options; packs in the journal are not given out again.
    /// The caller has made sure that the source is the same file, byte for byte.
    pub fn resume(movie: Movie, secret: &VideoSecret, journal: &Journal) -> Result<Sealer, SealError> {
        let count = movie.tracks().len() + usize::from(!movie.source_header().is_empty());
        if journal.movie != fingerprint(&movie) || journal.tracks.len() != count {
            return Err(SealError::OtherSource);
        }
        Sealer::at(movie, secret, journal.clone())
    }

    fn at(movie: Movie, secret: &VideoSecret, journal: Journal) -> Result<Sealer, SealError> {
        let options = journal.options;
        let mut tracks: Vec<_> =
            movie.tracks().iter().zip(&journal.tracks).map(|(info, &id)| Track::of(info, id)).collect();
        if let (Some(&id), header @ [_, ..]) = (journal.tracks.get(tracks.len()), movie.source_header()) {
            tracks.push(Track::attachment(SOURCE_HEADER, header.len() as u64, id));
        }
        if u16::try_from(tracks.len()).is_err() {
            return Err(MediaError::TooMuch { what: "tracks", limit: u64::from(u16::MAX) }.into());
        }
        let plan =
            PlanOptions { target: options.target, first: options.first, max_fragment: options.max_fragment };
        Ok(Sealer {
            planner: Planner::new(movie, plan)?,
            keys: SegmentKeys::new(secret, journal.video),
            view: ViewShare::from_bytes(*secret.view_share.expose()),
            signer: secret.signer(),
            tracks: tracks.into_iter().map(|about| TrackState::new(about, &options)).collect(),
            journal,
            steps: VecDeque::new(),
            ended: false,
        })
    }

    /// What is being sealed.
    pub fn movie(&self) -> &Movie {
        self.planner.movie()
    }

    /// About how many bytes all fragments hold: for a progress bar.
    pub fn expected_bytes(&self) -> u64 {
        let movie = self.movie();
        movie.tracks().iter().map(|track| track.bytes).sum::<u64>() + movie.source_header().len() as u64
    }

    /// The next step. After [`SealStep::Need`], it stays the same until the range is fed.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator: it may ask for bytes, and may fail")]
    pub fn next(&mut self) -> Result<SealStep, SealError> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(step);
            }
            if self.ended {
                return Ok(SealStep::Done);
            }
            match self.planner.next()? {
                Plan::Need(extent) => return Ok(SealStep::Need(extent)),
                Plan::Fragment(fragment) => self.take(fragment)?,
                Plan::Done => self.end()?,
            }
        }
    }

    /// Takes exactly the range that was asked for.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SealError> {
        Ok(self.planner.feed(offset, bytes)?)
    }

    /// A fragment was sealed: the SHA-256 of nonce, ciphertext and tag. In any order.
    pub fn sealed(&mut self, place: Place, sha256: [u8; 32]) -> Result<(), SealError> {
        let track = self.tracks.get_mut(usize::from(place.track)).ok_or(SealError::Unfinished)?;
        let first = track.firsts.get(place.segment as usize).ok_or(SealError::Unfinished)?;
        let digest = track.digests.get_mut(*first as usize + place.number as usize);
        *digest.ok_or(SealError::Unfinished)? = Some(sha256);
        Ok(())
    }

    /// A pack was stored, for good, under this name. All its fragments were told to [`sealed`](Sealer::sealed) before.
    /// From now on the journal has it.
    pub fn stored(&mut self, pack: PackRef, object: ObjectId) -> Result<(), SealError> {
        let track = self.tracks.get_mut(usize::from(pack.track)).ok_or(SealError::Unfinished)?;
        let state = track.packs.get_mut(pack.pack as usize).ok_or(SealError::Unfinished)?;
        let digests = &track.digests[state.first as usize..(state.first + state.fragments) as usize];
        let digests =
            digests.iter().copied().collect::<Option<Vec<_>>>().ok_or(SealError::Unfinished)?.concat();
        state.object = Some(object);
        self.journal.packs.insert(pack, JournalPack { object, sealed_len: state.sealed_len, digests });
        Ok(())
    }

    /// What a resume would need, as of now.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Makes the index, as `version` of this video's, once all is sealed and stored.
    pub fn finish(self, version: u64, entropy: &mut dyn Entropy) -> Result<SealedIndex, SealError> {
        if !self.ended || !self.steps.is_empty() {
            return Err(SealError::Unfinished);
        }
        let duration = self.movie().duration();
        let tracks = self.tracks.into_iter().map(TrackState::finish).collect::<Result<_, _>>()?;
        let index = Index::new(self.journal.video, duration, tracks).map_err(|_| SealError::Unfinished)?;
        Ok(index.seal(&self.view, &self.signer, version, entropy))
    }

    /// Takes the planner's next fragment: it waits until its segment is whole, or too long to be whole in one pack.
    fn take(&mut self, fragment: Fragment) -> Result<(), SealError> {
        let number = fragment.track;
        let track = &mut self.tracks[number];
        let last = fragment.last_in_segment;
        if fragment.number == 0 {
            track.begin(&fragment);
        }
        let end = fragment.start + fragment.duration;
        track.waiting_len += fragment.len + OVERHEAD;
        track.waiting.push(fragment);
        if last {
            track.set_end(end);
        }
        let fits = track.layout.fits(track.waiting_len);
        if last && fits && !track.spilling {
            let full = track.layout.begin_segment(track.waiting_len);
            self.close(number, full)?;
        }
        let track = &mut self.tracks[number];
        track.spilling |= !fits;
        if last || track.spilling {
            track.waiting_len = 0;
            track.spilling &= !last;
            for fragment in std::mem::take(&mut track.waiting) {
                self.give_out(fragment)?;
            }
        }
        if last {
            let full = self.tracks[number].layout.end_segment();
            self.close(number, full)?;
        }
        Ok(())
    }

    fn give_out(&mut self, fragment: Fragment) -> Result<(), SealError> {
        let number = fragment.track;
        let track = &mut self.tracks[number];
        let sealed_len = fragment.len + OVERHEAD;
        let (full, pack, offset) = track.layout.fragment(sealed_len);
        self.close(number, full)?;
        let track = &mut self.tracks[number];
        let pack = PackRef { track: number as u16, pack };
        track.push(&fragment, pack.pack, sealed_len)?;
        if self.journal.packs.contains_key(&pack) {
            return Ok(());
        }
        let (segment, last) = (fragment.segment, fragment.last_in_segment);
        self.steps.push_back(SealStep::Fragment(FragmentJob {
            place: Place { track: pack.track, segment, number: fragment.number, pack, offset },
            key: self.keys.derive_segment_key(track.about.id, segment),
            aad: fragment_aad(fragment.number, last),
            last,
            pieces: fragment.pieces,
            plaintext_len: fragment.len,
            sealed_len,
        }));
        Ok(())
    }

    /// A pack is full: it is for the caller to store, or was stored before.
    fn close(&mut self, track: usize, full: Option<Full>) -> Result<(), SealError> {
        let Some(Full { pack, len }) = full else { return Ok(()) };
        let state = &mut self.tracks[track];
        state.packs[pack as usize].sealed_len = len;
        let pack = PackRef { track: track as u16, pack };
        if let Some(entry) = self.journal.packs.get(&pack) {
            return state.recall(pack.pack, entry);
        }
        self.steps.push_back(SealStep::PackClosed(PackClosed {
            pack,
            sealed_len: len,
            padding: padding(len),
            first_of_track: pack.pack == 0,
        }));
        Ok(())
    }

    /// The media is over: what surrounded it follows, and the last packs are closed.
    fn end(&mut self) -> Result<(), SealError> {
        self.ended = true;
        let attachment = self.movie().tracks().len();
        if attachment < self.tracks.len() {
            let header = self.movie().source_header().to_vec();
            for (segment, chunk) in header.chunks(self.journal.options.max_fragment as usize).enumerate() {
                self.take(Fragment {
                    track: attachment,
                    segment: segment as u32,
                    number: 0,
                    last_in_segment: true,
                    start: 0,
                    duration: 0,
                    independent: true,
                    pieces: vec![Piece::Literal(chunk.to_vec())],
                    len: chunk.len() as u64,
                    media_bytes: chunk.len() as u64,
                    samples: 0,
                })?;
            }
        }
        for track in 0..self.tracks.len() {
            let full = self.tracks[track].layout.finish();
            self.close(track, full)?;
        }
        Ok(())
    }
}

impl TrackState {
    fn new(about: Track, options: &SealOptions) -> TrackState {
        let target = if about.bitrate > options.large_above { options.large_pack } else { options.pack };
        TrackState {
            about,
            layout: Layout::new(target),
            waiting: Vec::new(),
            waiting_len: 0,
            spilling: false,
            rows: WireTable::default(),
            firsts: Vec::new(),
            end: 0,
            start: 0,
            digests: Vec::new(),
            packs: Vec::new(),
            media_bytes: 0,
        }
    }

    /// A segment begins.
    fn begin(&mut self, fragment: &Fragment) {
        self.rows.gaps.push(fragment.start.wrapping_sub(self.end) as i64);
        self.rows.durations.push(0);
        self.rows.fragments.push(0);
        if !fragment.independent {
            self.rows.dependent.push(fragment.segment);
        }
        self.firsts.push(self.digests.len() as u32);
        self.start = fragment.start;
    }

    /// The segment that began last ends here.
    fn set_end(&mut self, end: u64) {
        self.end = end;
        *self.rows.durations.last_mut().expect("a segment has begun") = end - self.start;
    }

    /// A fragment has its place.
    fn push(&mut self, fragment: &Fragment, pack: u32, sealed_len: u64) -> Result<(), SealError> {
        let too_large = MediaError::SampleTooLarge { bytes: fragment.len, limit: u64::from(u32::MAX) };
        self.rows.lengths.push(u32::try_from(sealed_len).map_err(|_| too_large)?);
        self.rows.fragments[fragment.segment as usize] += 1;
        if self.packs.len() == pack as usize {
            self.packs.push(PackState { first: self.digests.len() as u32, ..PackState::default() });
        }
        self.packs[pack as usize].fragments += 1;
        self.digests.push(None);
        self.media_bytes += fragment.media_bytes;
        Ok(())
    }

    /// What the journal knows of a pack, if it is the same pack.
    fn recall(&mut self, pack: u32, entry: &JournalPack) -> Result<(), SealError> {
        let state = &mut self.packs[pack as usize];
        let (digests, rest) = entry.digests.as_chunks::<32>();
        let same = entry.sealed_len == state.sealed_len && digests.len() == state.fragments as usize;
        if !same || !rest.is_empty() {
            return Err(SealError::OtherSource);
        }
        state.object = Some(entry.object);
        for (slot, digest) in self.digests[state.first as usize..].iter_mut().zip(digests) {
            *slot = Some(*digest);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Track, WireTable), SealError> {
        for pack in &self.packs {
            let object = pack.object.ok_or(SealError::Unfinished)?;
            let stored_len = pack.sealed_len + padding(pack.sealed_len);
            self.rows.packs.push(PackRow { object, fragments: pack.fragments, stored_len });
        }
        let digests = self.digests.into_iter().collect::<Option<Vec<_>>>().ok_or(SealError::Unfinished)?;
        self.rows.digests = digests.concat();
        self.about.media_bytes = self.media_bytes;
        Ok((self.about, self.rows))
    }
}

/// What a movie's plan depends on, as far as it is in memory: everything but the sample tables.
fn fingerprint(movie: &Movie) -> [u8; 32] {
    let mut context = Context::new("movie").field(movie.source_header());
    for track in movie.tracks() {
        context = context.field(&track.init).number(track.samples).number(track.bytes).number(track.duration);
    }
    sha256(context.as_bytes())
}
