//! Taking a file into the library.
//!
//! ```text
//! fingerprint ─► draft ─► seal and store packs ─► index ─► commit ─► record
//!                 └────────── journal, saved as packs are stored ───────┘
//! ```
//!
//! The record comes after the commit, and only then is the upload acknowledged. So nothing half-written is ever shown: a
//! video without a record is in no list, and a record always has a committed video. Whatever dies in between heals when
//! the same file is published again: the journal finds the draft (packs that are stored are not sent again), or finds it
//! committed and writes the record. A committed video whose journal is lost with its device is found by
//! [`orphans`](crate::orphans).
//!
//! The journal is named by the file's [`fingerprint`] and holds no key: the video's secret is in it as the server keeps
//! it, sealed. A file whose size or time of writing changed since is another file, and starts anew.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    pin::{Pin, pin},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{Either, Fuse, FusedFuture, pending},
    select,
    stream::FuturesUnordered,
};
use gloaming_api::video::{
    Commit, DraftRequest, ObjectIds, ObjectsRequest, SignedUpload, SignedUploads, StoredObjects, VideoInfo,
    VideoState,
};
use gloaming_ids::{ObjectId, UnixMillis, VideoId};
use gloaming_keys::VideoSecret;
use gloaming_media::{Demuxer, Extent, Movie, TrackKind};
use gloaming_package::{Journal, PackClosed, PackRef, Place, SealError, SealOptions, SealStep, Sealer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    ClientError, Control, Phase, Platform, Progress, Session, TrackSummary, VideoRecord,
    account::save,
    platform::{Bulk, SealedFragment, Shelf, SourceFailure, SourceStamp, StoreFailure},
    progress::Meter,
    records::Digest,
};

/// Packs on their way at once.
const PACKS: usize = 4;
/// Bytes of closed packs in memory before sealing waits. One pack more than this may be there.
const PACK_BYTES: u64 = 64 << 20;
/// Fragments being sealed at once.
const SEALS: usize = 3;
/// How much of each end of a file goes into its fingerprint.
const END: u64 = 1 << 20;
/// How much later than a pack the journal that names it is saved. It names them all, so saving it with each would cost
/// ever more; a pack that is stored and not named is only sent again. Whoever stops an upload in an orderly way has it
/// saved at once.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Saving takes this part of the time at most: where it takes long, it is done more seldom.
const SAVE_SHARE: u32 = 50;
const FORMAT: u8 = 1;

/// What a file is, before anything is sent.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Its tracks, duration and warnings.
    pub movie: Movie,
    /// Its size and time of writing.
    pub stamp: SourceStamp,
    /// See [`fingerprint`].
    pub fingerprint: [u8; 32],
    /// The library has it: perhaps in the trash.
    pub already: Option<VideoId>,
    /// An earlier upload of it was interrupted, with so many bytes stored.
    pub resumes_at: Option<u64>,
}

/// How a file is to be taken in.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// What it was called on disk.
    pub file_name: String,
    /// What to call it; else the file name without its extension.
    pub title: Option<String>,
    /// Even if the library has it.
    pub again: bool,
}

/// A file is in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// As this.
    pub video: VideoId,
    /// And was before.
    pub already: bool,
}

/// An upload that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Knows the file again.
    pub fingerprint: [u8; 32],
    /// What it becomes.
    pub video: VideoId,
    /// What it was called on disk.
    pub file_name: String,
    /// What it is to be called.
    pub title: String,
    /// Bytes of the file.
    pub size: u64,
    /// When the file was last written.
    pub modified: Option<UnixMillis>,
    /// Bytes of it that are stored.
    pub stored_bytes: u64,
    /// Packs that are stored.
    pub stored_packs: u64,
}

#[derive(Serialize, Deserialize)]
struct UploadJournal {
    v: u8,
    video: VideoId,
    sealed_secret: serde_bytes::ByteBuf,
    size: u64,
    modified: Option<UnixMillis>,
    file_name: String,
    title: String,
    added_at: UnixMillis,
    seal: Option<Journal>,
    /// The index that was about to be committed.
    index: Option<IndexNote>,
}

#[derive(Clone, Serialize, Deserialize)]
struct IndexNote {
    object: ObjectId,
    version: u64,
    digest: Digest,
}

/// A name for a file by its content: SHA-256 over its length (8, BE), its first MiB and its last MiB. Two files that
/// differ only in between have the same; their times of writing then tell them apart.
pub async fn fingerprint<P: Platform>(platform: &P, source: &P::Source) -> Result<[u8; 32], ClientError> {
    let len = platform.stamp(source).await?.len;
    let mut hash = Sha256::new();
    hash.update(len.to_be_bytes());
    for offset in [0, len.saturating_sub(END)] {
        let part = END.min(len);
        if part > 0 {
            hash.update(platform.read(source, Extent { offset, len: part }).await?);
        }
    }
    Ok(hash.finalize().into())
}

/// Reads what a file is.
pub async fn probe<P: Platform>(platform: &P, source: &P::Source) -> Result<Movie, ClientError> {
    let len = platform.stamp(source).await?.len;
    let mut demuxer = Demuxer::new(len);
    while let Some(extent) = demuxer.need() {
        demuxer.feed(extent.offset, &platform.read(source, extent).await?)?;
    }
    Ok(demuxer.finish()?)
}

/// Reads what a file is, and whether it is here already.
pub async fn inspect<P: Platform>(
    session: &Session<P>,
    source: &P::Source,
) -> Result<Inspected, ClientError> {
    let platform = session.platform();
    let stamp = platform.stamp(source).await?;
    let movie = probe(platform, source).await?;
    let fingerprint = fingerprint(platform, source).await?;
    let already = session.library().find_fingerprint(&fingerprint).map(|row| row.video);
    let journal = load(session, &fingerprint).await.filter(|journal| journal.is_about(&stamp));
    let resumes_at = journal.and_then(|journal| Some(journal.seal?.sealed_bytes()));
    Ok(Inspected { movie, stamp, fingerprint, already, resumes_at })
}

/// The uploads that were interrupted on this device.
pub async fn unfinished<P: Platform>(session: &Session<P>) -> Vec<Unfinished> {
    let prefix = format!("upload/{}/", session.account());
    let mut found = Vec::new();
    for name in session.platform().names(Shelf::Notes, &prefix).await {
        let Some(fingerprint) = name.strip_prefix(&prefix).and_then(unhex) else { continue };
        let Some(journal) = load(session, &fingerprint).await else { continue };
        let seal = journal.seal.as_ref();
        found.push(Unfinished {
            fingerprint,
            video: journal.video,
            file_name: journal.file_name.clone(),
            title: journal.title.clone(),
            size: journal.size,
            modified: journal.modified,
            stored_bytes: seal.map_or(0, Journal::sealed_bytes),
            stored_packs: seal.map_or(0, |seal| seal.packs().len() as u64),
        });
    }
    found
}

/// Gives an interrupted upload up: its draft is deleted, and forgotten here.
pub async fn abandon<P: Platform>(session: &Session<P>, fingerprint: &[u8; 32]) -> Result<(), ClientError> {
    if let Some(journal) = load(session, fingerprint).await {
        match session.0.server.delete(&format!("/v1/videos/{}", journal.video)).await {
            Ok(()) | Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    session.platform().forget(Shelf::Notes, &journal_name(session, fingerprint)).await;
    Ok(())
}

/// Takes a file into the library, or goes on where an earlier try was interrupted. The library was synced before.
pub async fn publish<P: Platform>(
    session: &Session<P>,
    source: &P::Source,
    options: &PublishOptions,
    control: &Control,
    listener: &dyn Fn(&Progress),
) -> Result<Published, ClientError> {
    let begun = begin(session, source, options, control, listener);
    let (mut upload, movie) = match control.guard(Box::pin(begun)).await? {
        Begun::Already(video) => return Ok(Published { video, already: true }),
        Begun::Upload(upload, movie) => (*upload, *movie),
    };
    let summary = Summary::of(&movie);
    let info = control.guard(upload.draft()).await?;
    let note = match info.state {
        VideoState::Draft => upload.store(movie).await?,
        // It was committed, and only what follows is missing.
        VideoState::Kept => {
            let committed = upload.journal.index.clone();
            committed.filter(|note| info.index == Some(note.object)).ok_or_else(|| {
                ClientError::WrongState {
                    reason: "the server says this upload is finished, and it is not".into(),
                }
            })?
        }
        VideoState::Trashed => {
            return Err(ClientError::WrongState {
                reason: "the video is in the trash; restore it first".into(),
            });
        }
    };
    let video = control.guard(Box::pin(upload.list(summary, note))).await?;
    Ok(Published { video, already: false })
}

enum Begun<'a, P: Platform> {
    /// The library has it.
    Already(VideoId),
    Upload(Box<Upload<'a, P>>, Box<Movie>),
}

/// Everything that comes before the server is asked for anything.
async fn begin<'a, P: Platform>(
    session: &'a Session<P>,
    source: &'a P::Source,
    options: &PublishOptions,
    control: &'a Control,
    listener: &'a dyn Fn(&Progress),
) -> Result<Begun<'a, P>, ClientError> {
    let Inspected { movie, stamp, fingerprint, already, .. } = inspect(session, source).await?;
    if let Some(video) = already.filter(|_| !options.again) {
        return Ok(Begun::Already(video));
    }
    let upload = Upload {
        session,
        source,
        control,
        meter: Meter::new(session.0.server.platform.clone(), stamp.len, listener),
        stamp,
        fingerprint,
        journal: journal_of(session, &fingerprint, &stamp, options).await?,
    };
    upload.meter.phase(Phase::Probing);
    Ok(Begun::Upload(Box::new(upload), Box::new(movie)))
}

/// What the record says of a movie.
struct Summary {
    captured_at: Option<UnixMillis>,
    duration_ms: u64,
    tracks: Vec<TrackSummary>,
}

impl Summary {
    fn of(movie: &Movie) -> Self {
        let tracks = movie.tracks().iter().map(|track| TrackSummary {
            kind: match track.kind {
                TrackKind::Video => "video",
                TrackKind::Audio => "audio",
                TrackKind::Subtitle => "subtitle",
                TrackKind::Metadata => "metadata",
                TrackKind::Other => "other",
            }
            .into(),
            codec: track.codec.clone(),
            language: track.language.clone(),
            width: track.width,
            height: track.height,
            hdr: track.hdr,
        });
        Self {
            captured_at: movie.created(),
            duration_ms: u64::try_from(movie.duration().as_millis()).unwrap_or(u64::MAX),
            tracks: tracks.collect(),
        }
    }
}

/// The journal of this file, or a new one with a new video.
async fn journal_of<P: Platform>(
    session: &Session<P>,
    fingerprint: &[u8; 32],
    stamp: &SourceStamp,
    options: &PublishOptions,
) -> Result<UploadJournal, ClientError> {
    if let Some(mut journal) = load(session, fingerprint).await {
        if journal.is_about(stamp) {
            if let Some(title) = &options.title {
                journal.title.clone_from(title);
            }
            return Ok(journal);
        }
        // The file changed since: what is stored of it belongs to another.
        abandon(session, fingerprint).await?;
    }
    let mut entropy = session.0.server.entropy();
    let now = session.platform().now();
    let video = VideoId::generate_at(now, &mut entropy);
    let secret = VideoSecret::generate(&mut entropy);
    let sealed_secret = session.keys()?.seal_video_secret(&secret, session.account(), video, &mut entropy);
    let title = options.title.clone().unwrap_or_else(|| title_of(&options.file_name));
    let journal = UploadJournal {
        v: FORMAT,
        video,
        sealed_secret: sealed_secret.into(),
        size: stamp.len,
        modified: stamp.modified,
        file_name: options.file_name.clone(),
        title,
        added_at: now,
        seal: None,
        index: None,
    };
    journal.save(session, fingerprint).await?;
    Ok(journal)
}

/// A file's name without its extension.
fn title_of(file_name: &str) -> String {
    match file_name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 5 => stem.into(),
        _ => file_name.into(),
    }
}

impl UploadJournal {
    fn is_about(&self, stamp: &SourceStamp) -> bool {
        (self.size, self.modified) == (stamp.len, stamp.modified)
    }

    async fn save<P: Platform>(
        &self,
        session: &Session<P>,
        fingerprint: &[u8; 32],
    ) -> Result<(), ClientError> {
        let mut note = Vec::new();
        ciborium::into_writer(self, &mut note).expect("writing to memory does not fail");
        save(session.platform(), Shelf::Notes, &journal_name(session, fingerprint), &note).await
    }
}

async fn load<P: Platform>(session: &Session<P>, fingerprint: &[u8; 32]) -> Option<UploadJournal> {
    let note = session.platform().load(Shelf::Notes, &journal_name(session, fingerprint)).await?;
    let journal: UploadJournal = ciborium::from_reader(note.as_slice()).ok()?;
    (journal.v == FORMAT).then_some(journal)
}

fn journal_name<P: Platform>(session: &Session<P>, fingerprint: &[u8; 32]) -> String {
    let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("upload/{}/{hex}", session.account())
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        text.as_bytes().chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok()).collect();
    digits?.try_into().ok()
}

struct Upload<'a, P: Platform> {
    session: &'a Session<P>,
    source: &'a P::Source,
    control: &'a Control,
    meter: Meter<'a, P>,
    stamp: SourceStamp,
    fingerprint: [u8; 32],
    journal: UploadJournal,
}

/// A pack in the making.
struct OpenPack<B> {
    parts: Vec<Option<B>>,
    missing: usize,
    closed: Option<PackClosed>,
}

impl<B> Default for OpenPack<B> {
    fn default() -> Self {
        Self { parts: Vec::new(), missing: 0, closed: None }
    }
}

type Sealing<'a, B> =
    Pin<Box<dyn Future<Output = (Place, usize, Result<SealedFragment<B>, SourceFailure>)> + 'a>>;
type Storing<'a> = Pin<Box<dyn Future<Output = (PackClosed, Result<ObjectId, ClientError>)> + 'a>>;

impl<P: Platform> Upload<'_, P> {
    /// Makes the draft, or finds it.
    async fn draft(&self) -> Result<VideoInfo, ClientError> {
        let path = format!("/v1/videos/{}", self.journal.video);
        let request = DraftRequest { sealed_secret: self.journal.sealed_secret.to_vec().into() };
        let info: VideoInfo = self.meter.patiently(|| self.session.0.server.put(&path, &request)).await?;
        if info.video != self.journal.video || info.sealed_secret != request.sealed_secret {
            return Err(ClientError::tampered("the draft of this upload"));
        }
        Ok(info)
    }

    /// Seals and stores everything, and commits.
    async fn store(&mut self, movie: Movie) -> Result<IndexNote, ClientError> {
        let control = self.control;
        let mut sealer = control.guard(Box::pin(self.sealer(movie))).await?;
        let stored = control.guard(Box::pin(self.store_packs(&mut sealer))).await;
        // Whatever ended it, what is stored is not sent again.
        let kept = self.keep(&sealer).await;
        stored?;
        kept?;
        control.guard(Box::pin(self.commit(sealer))).await
    }

    /// What seals the movie, from where the journal ends.
    async fn sealer(&mut self, movie: Movie) -> Result<Sealer, ClientError> {
        let video = self.journal.video;
        let secret = self
            .session
            .keys()?
            .open_video_secret(&self.journal.sealed_secret, self.session.account(), video)
            .map_err(|error| ClientError::sealed(error, "the journal of this upload"))?;
        if let Some(seal) = &mut self.journal.seal {
            forget_lost(self.session, video, seal, &self.meter).await?;
        }
        let resumed = self.journal.seal.as_ref().map(|seal| Sealer::resume(movie.clone(), &secret, seal));
        let sealer = match resumed {
            Some(Err(SealError::OtherSource)) => return Err(ClientError::FileChanged),
            Some(sealer) => sealer?,
            None => {
                let mut entropy = self.session.0.server.entropy();
                Sealer::new(movie, &secret, video, SealOptions::default(), &mut entropy)?
            }
        };
        let stored = sealer.journal();
        self.meter.skip(stored.sealed_bytes(), stored.packs().len() as u64);
        self.meter.phase(Phase::Sealing);
        Ok(sealer)
    }

    async fn keep(&mut self, sealer: &Sealer) -> Result<(), ClientError> {
        self.journal.seal = Some(sealer.journal().clone());
        self.journal.save(self.session, &self.fingerprint).await
    }

    /// Stores the index, and asks the server to keep the video.
    async fn commit(&mut self, sealer: Sealer) -> Result<IndexNote, ClientError> {
        let video = self.journal.video;
        self.meter.phase(Phase::Committing);
        if self.session.platform().stamp(self.source).await? != self.stamp {
            return Err(ClientError::FileChanged);
        }
        let mut entropy = self.session.0.server.entropy();
        let mut objects: Vec<ObjectId> = sealer.journal().packs().map(|(_, pack)| pack.object).collect();
        let index = sealer.finish(1, &mut entropy)?;
        let digest = Digest::new(index.sha256);
        let length = index.bytes.len() as u64;
        let parts = [P::Bytes::from_vec(index.bytes)];
        let object =
            store_object(self.session, video, &parts, 0, Counts { bytes: length, packs: 0 }, &self.meter)
                .await?;
        objects.push(object);
        let note = IndexNote { object, version: index.version, digest };
        self.journal.index = Some(note.clone());
        self.journal.save(self.session, &self.fingerprint).await?;
        let commit = Commit {
            expected_version: 0,
            index_version: note.version,
            index: object,
            card: None,
            poster: None,
            objects,
        };
        let path = format!("/v1/videos/{video}/commit");
        let info: VideoInfo = self.meter.patiently(|| self.session.0.server.post(&path, &commit)).await?;
        if info.state != VideoState::Kept || info.index != Some(object) || info.index_version != note.version
        {
            return Err(ClientError::nonsense("it committed something else"));
        }
        Ok(note)
    }

    async fn store_packs(&mut self, sealer: &mut Sealer) -> Result<(), ClientError> {
        let platform = self.session.platform();
        let (session, source, video) = (self.session, self.source, self.journal.video);
        let mut packs: HashMap<PackRef, OpenPack<P::Bytes>> = HashMap::new();
        let mut seals: FuturesUnordered<Sealing<'_, P::Bytes>> = FuturesUnordered::new();
        let mut puts: FuturesUnordered<Storing<'_>> = FuturesUnordered::new();
        let mut save_due = pin!(Fuse::terminated());
        let mut save_every = SAVE_EVERY;
        let moving = Cell::new((0usize, 0u64));
        let mut ended = false;
        let journal = &mut self.journal;
        let (meter, control) = (&self.meter, self.control);
        loop {
            let (count, bytes) = moving.get();
            let room = !ended && seals.len() < SEALS && count < PACKS && bytes < PACK_BYTES;
            if room && !control.is_paused() {
                match sealer.next()? {
                    SealStep::Need(extent) => {
                        let bytes = platform.read(source, extent).await?;
                        sealer.feed(extent.offset, &bytes)?;
                    }
                    SealStep::Fragment(job) => {
                        let pack = packs.entry(job.place.pack).or_default();
                        let (place, slot) = (job.place, pack.parts.len());
                        pack.parts.push(None);
                        pack.missing += 1;
                        seals.push(Box::pin(async move {
                            (place, slot, platform.seal(source, job.into()).await)
                        }));
                    }
                    SealStep::PackClosed(closed) => {
                        packs.entry(closed.pack).or_default().closed = Some(closed);
                        moving.set((count + 1, bytes + closed.stored_len()));
                        if let Some(parts) = complete(&mut packs, closed.pack) {
                            puts.push(Box::pin(store_pack(session, video, parts, closed, meter)));
                        }
                    }
                    SealStep::Done => ended = true,
                }
                // What finished meanwhile is taken in below, without waiting for it.
                if !ended {
                    while let Some(Some((place, slot, sealed))) = seals.next().now_or_never() {
                        if let Some((parts, closed)) = take_in(sealer, &mut packs, place, slot, sealed?)? {
                            puts.push(Box::pin(store_pack(session, video, parts, closed, meter)));
                        }
                    }
                    continue;
                }
            }
            if ended && seals.is_empty() && puts.is_empty() {
                return Ok(());
            }
            let resumed = if room { Either::Left(control.going()) } else { Either::Right(pending()) };
            let mut resumed = pin!(resumed.fuse());
            select! {
                done = seals.select_next_some() => {
                    let (place, slot, sealed) = done;
                    if let Some((parts, closed)) = take_in(sealer, &mut packs, place, slot, sealed?)? {
                        puts.push(Box::pin(store_pack(session, video, parts, closed, meter)));
                    }
                }
                done = puts.select_next_some() => {
                    let (closed, object) = done;
                    sealer.stored(closed.pack, object?)?;
                    let (count, bytes) = moving.get();
                    moving.set((count - 1, bytes - closed.stored_len()));
                    if save_due.is_terminated() {
                        save_due.set(platform.sleep(save_every).fuse());
                    }
                }
                () = save_due => {
                    let begun = platform.now();
                    journal.seal = Some(sealer.journal().clone());
                    journal.save(session, &self.fingerprint).await?;
                    save_every = SAVE_EVERY.max(platform.now().since(begun) * SAVE_SHARE);
                }
                () = resumed => {}
            }
        }
    }

    /// Writes the record, with which the upload is done.
    async fn list(&self, summary: Summary, note: IndexNote) -> Result<VideoId, ClientError> {
        let journal = &self.journal;
        let record = VideoRecord {
            video: journal.video,
            title: journal.title.clone(),
            file_name: journal.file_name.clone(),
            captured_at: summary.captured_at,
            duration_ms: summary.duration_ms,
            size: self.stamp.len,
            index_version: note.version,
            index_digest: note.digest,
            fingerprint: Digest::new(self.fingerprint),
            modified_at: self.stamp.modified,
            added_at: journal.added_at,
            trashed_at: None,
            tracks: summary.tracks,
            poster: None,
        };
        let library = self.session.library();
        self.meter.patiently(|| library.put_video(record.clone())).await?;
        self.session.platform().forget(Shelf::Notes, &journal_name(self.session, &self.fingerprint)).await;
        self.meter.phase(Phase::Done);
        Ok(journal.video)
    }
}

/// A fragment was sealed; its pack, if that was the last thing it waited for.
#[allow(clippy::type_complexity, reason = "a pack is its parts and what the sealer says of it")]
fn take_in<B>(
    sealer: &mut Sealer,
    packs: &mut HashMap<PackRef, OpenPack<B>>,
    place: Place,
    slot: usize,
    sealed: SealedFragment<B>,
) -> Result<Option<(Vec<B>, PackClosed)>, ClientError> {
    sealer.sealed(place, sealed.sha256)?;
    let pack = packs.get_mut(&place.pack).expect("a fragment belongs to an open pack");
    pack.parts[slot] = Some(sealed.bytes);
    pack.missing -= 1;
    let Some(closed) = pack.closed else { return Ok(None) };
    Ok(complete(packs, place.pack).map(|parts| (parts, closed)))
}

/// The parts of a pack that is closed and sealed.
fn complete<B>(packs: &mut HashMap<PackRef, OpenPack<B>>, pack: PackRef) -> Option<Vec<B>> {
    let open = packs.get(&pack).filter(|open| open.closed.is_some() && open.missing == 0)?;
    debug_assert!(open.parts.iter().all(Option::is_some));
    packs.remove(&pack)?.parts.into_iter().collect()
}

async fn store_pack<P: Platform>(
    session: &Session<P>,
    video: VideoId,
    parts: Vec<P::Bytes>,
    closed: PackClosed,
    meter: &Meter<'_, P>,
) -> (PackClosed, Result<ObjectId, ClientError>) {
    let counts = Counts { bytes: closed.sealed_len, packs: 1 };
    let stored = store_object(session, video, &parts, closed.padding, counts, meter).await;
    (closed, stored)
}

/// What an object adds to the progress once it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) bytes: u64,
    pub(crate) packs: u64,
}

/// Puts one object: asks for a place, sends, renews the place when it expired, waits while the network is gone.
pub(crate) async fn store_object<P: Platform>(
    session: &Session<P>,
    video: VideoId,
    parts: &[P::Bytes],
    padding: u64,
    counts: Counts,
    meter: &Meter<'_, P>,
) -> Result<ObjectId, ClientError> {
    let length = parts.iter().map(Bulk::len).sum::<u64>() + padding;
    let server = &session.0.server;
    let path = format!("/v1/videos/{video}/objects");
    let request = ObjectsRequest { lengths: vec![length] };
    let asked = || async { one(server.post(&path, &request).await?) };
    let upload = meter.patiently(asked).await?;
    if upload.length != length {
        return Err(ClientError::nonsense("a place of another length"));
    }
    let place = std::cell::RefCell::new(upload);
    let (request, renewals) = (meter.begin(), Cell::new(0));
    meter
        .patiently(|| async {
            let upload = place.borrow().clone();
            match session
                .platform()
                .put(&upload, parts, padding, &|sent| meter.sent(request, sent.min(counts.bytes)))
                .await
            {
                // Nobody but this loop was told this object's name: what is there already arrived by an earlier turn
                // whose answer was lost.
                Ok(()) | Err(StoreFailure::AlreadyThere) => Ok(()),
                Err(StoreFailure::Expired) if renewals.get() < 5 => {
                    renewals.set(renewals.get() + 1);
                    let path = format!("/v1/videos/{video}/objects/renew");
                    let ids = ObjectIds { objects: vec![upload.object] };
                    let renewed: SignedUploads = server.post_again(&path, &ids).await?;
                    match renewed.uploads.into_iter().next() {
                        Some(renewed) if renewed.object == upload.object && renewed.length == length => {
                            place.replace(renewed);
                            Err(ClientError::Offline { reason: "the place to put it had expired".into() })
                        }
                        Some(_) => Err(ClientError::nonsense("a place for another object")),
                        // It needs no place because it is there.
                        None => Ok(()),
                    }
                }
                Err(failure) => {
                    meter.sent(request, 0);
                    Err(failure.into())
                }
            }
        })
        .await?;
    meter.done(request, counts.bytes, counts.packs);
    Ok(place.into_inner().object)
}

fn one(uploads: SignedUploads) -> Result<SignedUpload, ClientError> {
    let [upload] = <[SignedUpload; 1]>::try_from(uploads.uploads)
        .map_err(|_| ClientError::nonsense("it gave another number of places than asked"))?;
    Ok(upload)
}

/// Takes packs out of the journal that the store no longer has, so that they are sealed again.
async fn forget_lost<P: Platform>(
    session: &Session<P>,
    video: VideoId,
    journal: &mut Journal,
    meter: &Meter<'_, P>,
) -> Result<(), ClientError> {
    let path = format!("/v1/videos/{video}/objects");
    let list: StoredObjects = meter.patiently(|| session.0.server.get(&path)).await?;
    let stored: HashSet<_> = list.objects.iter().filter(|o| o.stored).map(|o| o.object).collect();
    let lost: Vec<_> =
        journal.packs().filter(|(_, pack)| !stored.contains(&pack.object)).map(|(pack, _)| pack).collect();
    for pack in lost {
        journal.forget(pack);
    }
    Ok(())
}

impl From<SealError> for ClientError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Media(error) => error.into(),
            SealError::OtherSource => ClientError::FileChanged,
            SealError::Unfinished => ClientError::Device { reason: error.to_string() },
        }
    }
}
