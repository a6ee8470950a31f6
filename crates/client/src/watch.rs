//! Playing a video: the index, then ranges of packs. Who owns it, or was given it, asks for no key; who watches under a share is granted
//! them one by one ([`crate::viewer`]).
//!
//! What the store serves is believed only after a check: the index against the digest in the library's record, its own
//! signature and its version; each fragment against the digest in the index, then by opening it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    ops::Range,
    rc::Rc,
    time::Duration,
};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{LocalBoxFuture, Shared, WeakShared, join, join_all, try_join, try_join_all},
};
use gloaming_api::video::{MAX_OBJECTS, SignedDownload, VideoOpened, VideoState};
use gloaming_ids::{ObjectId, ShareId, VideoId};
use gloaming_keys::{SegmentKey, SegmentKeys, VideoSecret, VideoVerifier, ViewShare, fragment_aad, sha256};
use gloaming_package::{FragmentRow, Index, Kind, OpenError, Part, VirtualMp4, VirtualPart, dash, hls};

use crate::{
    ClientError, Platform, Session,
    platform::{Bulk, NotGenuine, OpenJob},
    records::Digest,
    server::Server,
    store::{Addresses, fetch, sign_given, sign_own},
    viewer::Playback,
};

/// Packs of a track whose addresses are asked for together.
const AHEAD: usize = 8;
/// Bytes of opened segments that are kept: a player asks for neighbouring ranges of the same one.
const KEPT: u64 = 24 << 20;
/// Bytes of one request to the store, unless one fragment is longer.
const RUN: u64 = 16 << 20;
/// An index longer than this is none.
pub(crate) const MAX_INDEX: u64 = 64 << 20;
/// Opened segments of somebody else's video are kept for so long. However often they are asked for: whoever plays the same
/// minute over and over must notice that it was stopped.
const KEPT_FOR: Duration = Duration::from_secs(16);

/// A video whose index was checked. Clones share addresses and opened segments.
pub struct OpenVideo<P: Platform>(Rc<Inner<P>>);

/// By what right a video is watched.
pub(crate) enum Right<P: Platform> {
    /// By both halves of its keys.
    Owner(SegmentKeys),
    /// By both halves too, which the owner gave.
    Given(ShareId, SegmentKeys),
    /// One granted segment at a time.
    Granted(Box<Playback<P>>),
}

/// A segment that was opened, and when.
struct Opened<B> {
    name: (u16, u32),
    bytes: B,
    at: Duration,
}

/// A segment on its way: whoever wants it meanwhile waits for the same one. It is given up when nobody waits any more.
type OnItsWay<B> = LocalBoxFuture<'static, Result<B, ClientError>>;
/// Those that are, by track and number.
type Coming<B> = HashMap<(u16, u32), WeakShared<OnItsWay<B>>>;

struct Inner<P: Platform> {
    server: Server<P>,
    right: Right<P>,
    video: VideoId,
    version: u64,
    index: Index,
    layout: VirtualMp4,
    addresses: Addresses,
    /// The oldest first.
    kept: RefCell<VecDeque<Opened<P::Bytes>>>,
    coming: RefCell<Coming<P::Bytes>>,
}

impl<P: Platform> Clone for OpenVideo<P> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// Neighbouring fragments in one object.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) track: u16,
    pub(crate) segment: u32,
    pub(crate) fragments: Vec<FragmentRow>,
}

impl Run {
    fn range(&self) -> Range<u64> {
        let (first, last) = (&self.fragments[0], &self.fragments[self.fragments.len() - 1]);
        first.offset..last.offset + last.len
    }
}

/// Opens a video of the library.
pub async fn open_video<P: Platform>(
    session: &Session<P>,
    video: VideoId,
) -> Result<OpenVideo<P>, ClientError> {
    Ok(open_own(session, video).await?.0)
}

/// Opens a video of the library, and its secret.
pub(crate) async fn open_own<P: Platform>(
    session: &Session<P>,
    video: VideoId,
) -> Result<(OpenVideo<P>, VideoSecret), ClientError> {
    let library = session.library();
    let no_such = || ClientError::NotFound { what: "such video in the library".into() };
    if library.video_record(video).is_none() {
        // Just unlocked, or added elsewhere: the library may not have come yet.
        library.sync().await?;
    }
    let record = library.video_record(video).ok_or_else(no_such)?;
    let VideoOpened { info, index } = session.0.server.get(&format!("/v1/videos/{video}")).await?;
    if info.video != video {
        return Err(ClientError::nonsense("another video than asked for"));
    }
    match info.state {
        VideoState::Kept => {}
        VideoState::Trashed => {
            return Err(ClientError::WrongState {
                reason: "the video is in the trash; restore it first".into(),
            });
        }
        VideoState::Draft => return Err(ClientError::Rollback { what: "state of this video" }),
    }
    if info.index_version < record.index_version {
        return Err(ClientError::Rollback { what: "index of this video" });
    }
    let secret = session
        .keys()?
        .open_video_secret(info.sealed_secret.as_ref(), session.account(), video)
        .map_err(|error| ClientError::sealed(error, "the key of this video"))?;
    let download = index.filter(|download| Some(download.object) == info.index);
    let download = download.ok_or_else(|| ClientError::nonsense("a video without an index"))?;
    let server = &session.0.server;
    let bytes =
        fetch_index(&*server.platform, async |objects| sign_own(server, objects).await, download).await?;
    let digest = sha256(&bytes);
    if info.index_version == record.index_version && digest != *record.index_digest {
        return Err(ClientError::tampered("the index of this video"));
    }
    let version = info.index_version;
    let index = open_index(&bytes, &secret.view_share, video, version, &secret.signer().verifier())?;
    if version > record.index_version {
        // Signed by this account, so it is ours: a device died between replacing the index and saying so.
        library
            .edit_video(video, |record| {
                if record.index_version < version {
                    (record.index_version, record.index_digest) = (version, Digest::new(digest));
                }
            })
            .await?;
    }
    let right = Right::Owner(SegmentKeys::new(&secret, video));
    Ok((OpenVideo::new(server.clone(), right, version, index)?, secret))
}

/// The bytes of an index, as the store has them.
pub(crate) async fn fetch_index<P: Platform>(
    platform: &P,
    sign: impl AsyncFn(Vec<ObjectId>) -> Result<Vec<SignedDownload>, ClientError>,
    download: SignedDownload,
) -> Result<Vec<u8>, ClientError> {
    if download.length > MAX_INDEX {
        return Err(ClientError::tampered("the index of this video"));
    }
    let (object, range) = (download.object, 0..download.length);
    let addresses = RefCell::new(HashMap::from([(object, download)]));
    Ok(fetch(platform, sign, &addresses, |_| vec![], object, range).await?.to_vec())
}

/// An index that its video's owner signed, as this version.
pub(crate) fn open_index(
    bytes: &[u8],
    view: &ViewShare,
    video: VideoId,
    version: u64,
    verifier: &VideoVerifier,
) -> Result<Index, ClientError> {
    Index::open(bytes, view, video, version, verifier).map_err(|error| match error {
        OpenError::TooNew { .. } => ClientError::TooNew { what: "this video".into() },
        _ => ClientError::tampered("the index of this video"),
    })
}

impl<P: Platform> OpenVideo<P> {
    pub(crate) fn new(
        server: Server<P>,
        right: Right<P>,
        version: u64,
        index: Index,
    ) -> Result<Self, ClientError> {
        let layout = VirtualMp4::new(&index)?;
        let (addresses, kept, coming) = Default::default();
        let video = index.video();
        Ok(Self(Rc::new(Inner { server, right, video, version, index, layout, addresses, kept, coming })))
    }

    /// Which.
    pub fn video(&self) -> VideoId {
        self.0.video
    }

    /// Which version of its index this is.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// Tracks and segments.
    pub fn index(&self) -> &Index {
        &self.0.index
    }

    /// The whole video as one file, of which any range can be read.
    pub fn layout(&self) -> &VirtualMp4 {
        &self.0.layout
    }

    pub(crate) fn server(&self) -> &Server<P> {
        &self.0.server
    }

    /// The playback, where it is watched under a share.
    pub(crate) fn playback(&self) -> Option<&Playback<P>> {
        match &self.0.right {
            Right::Owner(_) | Right::Given(..) => None,
            Right::Granted(playback) => Some(playback),
        }
    }

    /// Forgets what a viewer has no more need of: opened segments and grants that are older than a quarter of a minute, and all of
    /// them where the owner no longer lets them watch. To be called every few seconds while nothing else is.
    pub fn tidy(&self) {
        let Some(playback) = self.playback() else { return };
        playback.tidy();
        let mut kept = self.0.kept.borrow_mut();
        if playback.is_over() {
            kept.clear();
            self.0.addresses.borrow_mut().clear();
        }
        let now = self.0.server.platform.elapsed();
        kept.retain(|opened| now.saturating_sub(opened.at) < KEPT_FOR);
    }

    /// One virtual file of the video, and its media type. `base` is what a DASH manifest's URIs begin with.
    pub async fn part(&self, uri: &str, base: &str) -> Result<(P::Bytes, &'static str), ClientError> {
        let missing = || ClientError::NotFound { what: format!("part {uri:?} in this video") };
        let part = Part::resolve(uri).ok_or_else(missing)?;
        let index = &self.0.index;
        let text = |text: String| P::Bytes::from_vec(text.into_bytes());
        let bytes = match part {
            Part::Manifest => text(dash::mpd(index, base)),
            Part::Master => text(hls::master(index)),
            Part::Playlist(track) => text(hls::media(index, track).ok_or_else(missing)?),
            Part::Init(track) => {
                let init =
                    &index.track(track).filter(|about| !about.init.is_empty()).ok_or_else(missing)?.init;
                P::Bytes::from_vec(init.clone())
            }
            Part::Segment(track, segment) => {
                if segment >= index.segment_count(track) {
                    return Err(missing());
                }
                self.segment(track, segment).await?
            }
        };
        Ok((bytes, part.media_type()))
    }

    /// Opens what any player asks for first, so that it is here when the player asks: the beginnings of the only picture
    /// and the only sound. Where there is a choice, nothing: a segment under a share is granted and counted. What goes wrong
    /// comes again with the player's own request.
    pub async fn open_beginning(&self) {
        let only = |kind| {
            let tracks = self.0.index.tracks();
            let mut tracks = (0_u16..).zip(tracks).filter(|(_, about)| about.kind == kind);
            tracks.next().filter(|_| tracks.next().is_none())
        };
        let tracks = [Kind::Video, Kind::Audio].into_iter().filter_map(only);
        let _ = join_all(tracks.map(|(track, _)| self.segment(track, 0))).await;
    }

    /// One segment, opened.
    pub async fn segment(&self, track: u16, segment: u32) -> Result<P::Bytes, ClientError> {
        self.tidy();
        let name = (track, segment);
        if let Some(opened) = self.0.kept.borrow().iter().find(|opened| opened.name == name) {
            return Ok(opened.bytes.clone());
        }
        let coming = self.0.coming.borrow().get(&name).and_then(WeakShared::upgrade);
        coming.unwrap_or_else(|| self.send_for(track, segment)).await
    }

    fn send_for(&self, track: u16, segment: u32) -> Shared<OnItsWay<P::Bytes>> {
        let video = self.clone();
        let coming = async move { video.open_segment(track, segment).await }.boxed_local().shared();
        let mut all = self.0.coming.borrow_mut();
        all.retain(|_, coming| coming.upgrade().is_some());
        all.extend(coming.downgrade().map(|weak| ((track, segment), weak)));
        coming
    }

    async fn open_segment(&self, track: u16, segment: u32) -> Result<P::Bytes, ClientError> {
        let name = (track, segment);
        let runs = self.runs(track, segment)?;
        let (granted, next) = oneshot::channel();
        // The bytes do not wait for their key.
        let opening = async {
            let key = async {
                let key = self.key(track, segment).await?;
                let _ = granted.send(());
                Ok(key)
            };
            let (key, sealed) = try_join(key, try_join_all(runs.iter().map(|run| self.fetch(run)))).await?;
            try_join_all(runs.iter().zip(sealed).map(|(run, sealed)| self.open_with(run, sealed, &key))).await
        };
        // The next grants come while these bytes do, so that playing on waits for none.
        let ahead = async {
            if next.await.is_ok() {
                self.ask_ahead(track, segment).await;
            }
        };
        let opened = join(opening, ahead).await.0;
        if let Some(playback) = self.playback() {
            if opened.is_ok() {
                playback.done_with(track, segment);
            }
            self.tidy();
        }
        let bytes = P::Bytes::concat(opened?.into_iter().flatten().collect());
        let mut kept = self.0.kept.borrow_mut();
        kept.retain(|opened| opened.name != name);
        kept.push_back(Opened { name, bytes: bytes.clone(), at: self.0.server.platform.elapsed() });
        while kept.len() > 1 && kept.iter().map(|opened| opened.bytes.len()).sum::<u64>() > KEPT {
            kept.pop_front();
        }
        Ok(bytes)
    }

    /// The key of a segment that is there.
    async fn key(&self, track: u16, segment: u32) -> Result<SegmentKey, ClientError> {
        let about = self.0.index.track(track).expect("its segment was looked up");
        match &self.0.right {
            Right::Owner(keys) | Right::Given(_, keys) => Ok(keys.derive_segment_key(about.id, segment)),
            Right::Granted(playback) => playback.segment_key(&self.0.index, track, segment).await,
        }
    }

    async fn ask_ahead(&self, track: u16, segment: u32) {
        if let Some(playback) = self.playback() {
            playback.ask_ahead(&self.0.index, track, segment).await;
        }
    }

    async fn sign(&self, objects: Vec<ObjectId>) -> Result<Vec<SignedDownload>, ClientError> {
        match &self.0.right {
            Right::Owner(_) => sign_own(&self.0.server, objects).await,
            Right::Given(share, _) => sign_given(&self.0.server, *share, self.0.video, objects).await,
            Right::Granted(playback) => playback.sign(&objects).await,
        }
    }

    /// A range of the virtual file.
    pub async fn read(&self, range: Range<u64>) -> Result<P::Bytes, ClientError> {
        let parts: Vec<VirtualPart> = self.0.layout.parts(range).collect();
        let mut bytes = Vec::with_capacity(parts.len());
        for part in parts {
            bytes.push(match part {
                VirtualPart::Header(range) => P::Bytes::from_vec(self.0.layout.header()[range].to_vec()),
                VirtualPart::Segment { track, segment, range } => {
                    self.segment(track, segment).await?.slice(range)
                }
            });
        }
        Ok(P::Bytes::concat(bytes))
    }

    /// What the source file had around its media, if it was kept.
    pub async fn source_header(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let Some(track) = self.0.index.source_header() else { return Ok(None) };
        let mut header = Vec::new();
        for segment in 0..self.0.index.segment_count(track) {
            header.extend(self.segment(track, segment).await?.to_vec());
        }
        Ok(Some(header))
    }

    /// The requests that a segment takes: its fragments, joined where they lie side by side.
    pub(crate) fn runs(&self, track: u16, segment: u32) -> Result<Vec<Run>, ClientError> {
        let row = self.0.index.segment(track, segment);
        let row = row.ok_or_else(|| ClientError::NotFound { what: "such segment in this video".into() })?;
        let mut runs: Vec<Run> = Vec::new();
        for fragment in row.fragments {
            match runs.last_mut() {
                Some(run)
                    if run.fragments[0].object == fragment.object
                        && run.range().end == fragment.offset
                        && fragment.offset + fragment.len - run.range().start <= RUN =>
                {
                    run.fragments.push(fragment);
                }
                _ => runs.push(Run { track, segment, fragments: vec![fragment] }),
            }
        }
        Ok(runs)
    }

    /// Fetches, checks and opens neighbouring fragments.
    pub(crate) async fn open_run(&self, run: &Run) -> Result<Vec<P::Bytes>, ClientError> {
        let (key, sealed) = try_join(self.key(run.track, run.segment), self.fetch(run)).await?;
        self.open_with(run, sealed, &key).await
    }

    async fn fetch(&self, run: &Run) -> Result<P::Bytes, ClientError> {
        let object = run.fragments[0].object;
        let ahead = |object| self.ahead(run.track, object);
        let platform = &*self.0.server.platform;
        let sign = async |objects| self.sign(objects).await;
        fetch(platform, sign, &self.0.addresses, ahead, object, run.range()).await
    }

    async fn open_with(
        &self,
        run: &Run,
        sealed: P::Bytes,
        key: &SegmentKey,
    ) -> Result<Vec<P::Bytes>, ClientError> {
        let platform = &*self.0.server.platform;
        let first = run.range().start;
        let opening = run.fragments.iter().map(|fragment| {
            let start = fragment.offset - first;
            let job = OpenJob {
                key: SegmentKey::from_bytes(*key.expose()),
                number: fragment.number,
                last: fragment.last,
                aad: fragment_aad(fragment.number, fragment.last),
                sha256: fragment.sha256,
            };
            platform.open(sealed.slice(start..start + fragment.len), job)
        });
        let opened = try_join_all(opening).await;
        opened.map_err(|NotGenuine| {
            ClientError::tampered(format!("segment {} of track {} of this video", run.segment, run.track))
        })
    }

    /// The objects whose addresses are asked for together with that of `object`.
    fn ahead(&self, track: u16, object: ObjectId) -> Vec<ObjectId> {
        let index = &self.0.index;
        let addresses = self.0.addresses.borrow();
        let packs = |track, from: usize| {
            index.packs(track).iter().skip(from).take(AHEAD).map(|pack| pack.object).collect::<Vec<_>>()
        };
        let at = index.packs(track).iter().position(|pack| pack.object == object).unwrap_or(0);
        let mut objects = packs(track, at);
        if addresses.is_empty() {
            // The first time: the beginnings of the other tracks too.
            let others = (0..index.inits().len() as u16).filter(|other| *other != track);
            objects.extend(others.flat_map(|other| packs(other, 0)).take(MAX_OBJECTS / 2));
        }
        objects
    }
}
