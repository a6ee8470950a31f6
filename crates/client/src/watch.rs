//! Playing a video of one's own library: the index, then ranges of packs; no key is ever asked for.
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

use futures::future::try_join_all;
use gloaming_api::video::{MAX_OBJECTS, ObjectIds, SignedDownload, SignedDownloads, VideoOpened, VideoState};
use gloaming_ids::{ObjectId, VideoId};
use gloaming_keys::{SegmentKeys, VideoSecret, fragment_aad, sha256};
use gloaming_package::{FragmentRow, Index, OpenError, Part, VirtualMp4, VirtualPart, dash, hls};

use crate::{
    ClientError, Platform, Session,
    platform::{Bulk, NotGenuine, OpenJob, StoreFailure},
    records::Digest,
};

/// Packs of a track whose addresses are asked for together.
const AHEAD: usize = 8;
/// Bytes of opened segments that are kept: a player asks for neighbouring ranges of the same one.
const KEPT: u64 = 24 << 20;
/// Bytes of one request to the store, unless one fragment is longer.
const RUN: u64 = 16 << 20;
/// An index longer than this is none.
const MAX_INDEX: u64 = 64 << 20;

/// A video whose index was checked. Clones share addresses and opened segments.
pub struct OpenVideo<P: Platform>(Rc<Inner<P>>);

/// Opened segments by track and number, the oldest first.
type Kept<B> = VecDeque<((u16, u32), B)>;

struct Inner<P: Platform> {
    session: Session<P>,
    video: VideoId,
    version: u64,
    index: Index,
    secret: VideoSecret,
    keys: SegmentKeys,
    layout: VirtualMp4,
    urls: RefCell<HashMap<ObjectId, SignedDownload>>,
    kept: RefCell<Kept<P::Bytes>>,
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
    if download.length > MAX_INDEX {
        return Err(ClientError::tampered("the index of this video"));
    }
    let bytes = fetch(
        session,
        &RefCell::new(HashMap::from([(download.object, download.clone())])),
        |_| vec![],
        download.object,
        0..download.length,
    )
    .await?
    .to_vec();
    let digest = sha256(&bytes);
    if info.index_version == record.index_version && digest != *record.index_digest {
        return Err(ClientError::tampered("the index of this video"));
    }
    let version = info.index_version;
    let verifier = secret.signer().verifier();
    let index =
        Index::open(&bytes, &secret.view_share, video, version, &verifier).map_err(|error| match error {
            OpenError::TooNew { .. } => ClientError::TooNew { what: "this video".into() },
            _ => ClientError::tampered("the index of this video"),
        })?;
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
    let layout = VirtualMp4::new(&index)?;
    let keys = SegmentKeys::new(&secret, video);
    Ok(OpenVideo(Rc::new(Inner {
        session: session.clone(),
        video,
        version,
        index,
        secret,
        keys,
        layout,
        urls: RefCell::default(),
        kept: RefCell::default(),
    })))
}

impl<P: Platform> OpenVideo<P> {
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

    pub(crate) fn session(&self) -> &Session<P> {
        &self.0.session
    }

    pub(crate) fn secret(&self) -> &VideoSecret {
        &self.0.secret
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

    /// One segment, opened.
    pub async fn segment(&self, track: u16, segment: u32) -> Result<P::Bytes, ClientError> {
        let name = (track, segment);
        if let Some((_, bytes)) = self.0.kept.borrow().iter().find(|(kept, _)| *kept == name) {
            return Ok(bytes.clone());
        }
        let runs = self.runs(track, segment)?;
        let opened = try_join_all(runs.iter().map(|run| self.open_run(run))).await?;
        let bytes = P::Bytes::concat(opened.into_iter().flatten().collect());
        let mut kept = self.0.kept.borrow_mut();
        kept.retain(|(kept, _)| *kept != name);
        kept.push_back((name, bytes.clone()));
        while kept.len() > 1 && kept.iter().map(|(_, bytes)| bytes.len()).sum::<u64>() > KEPT {
            kept.pop_front();
        }
        Ok(bytes)
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
        let range = run.range();
        let object = run.fragments[0].object;
        let ahead = |object| self.ahead(run.track, object);
        let sealed = fetch(&self.0.session, &self.0.urls, ahead, object, range.clone()).await?;
        let key = || {
            self.0
                .keys
                .derive_segment_key(self.0.index.track(run.track).expect("it has runs").id, run.segment)
        };
        let opening = run.fragments.iter().map(|fragment| {
            let start = fragment.offset - range.start;
            let job = OpenJob {
                key: key(),
                number: fragment.number,
                last: fragment.last,
                aad: fragment_aad(fragment.number, fragment.last),
                sha256: fragment.sha256,
            };
            self.0.session.platform().open(sealed.slice(start..start + fragment.len), job)
        });
        let opened = try_join_all(opening).await;
        opened.map_err(|NotGenuine| {
            ClientError::tampered(format!("segment {} of track {} of this video", run.segment, run.track))
        })
    }

    /// The objects whose addresses are asked for together with that of `object`.
    fn ahead(&self, track: u16, object: ObjectId) -> Vec<ObjectId> {
        let index = &self.0.index;
        let urls = self.0.urls.borrow();
        let packs = |track, from: usize| {
            index.packs(track).iter().skip(from).take(AHEAD).map(|pack| pack.object).collect::<Vec<_>>()
        };
        let at = index.packs(track).iter().position(|pack| pack.object == object).unwrap_or(0);
        let mut objects = packs(track, at);
        if urls.is_empty() {
            // The first time: the beginnings of the other tracks too.
            let others = (0..index.inits().len() as u16).filter(|other| *other != track);
            objects.extend(others.flat_map(|other| packs(other, 0)).take(MAX_OBJECTS / 2));
        }
        objects
    }
}

/// Gets a range of an object: asks for addresses where there are none, again where they expired, and once or twice more
/// where the network hiccups.
pub(crate) async fn fetch<P: Platform>(
    session: &Session<P>,
    urls: &RefCell<HashMap<ObjectId, SignedDownload>>,
    ahead: impl Fn(ObjectId) -> Vec<ObjectId>,
    object: ObjectId,
    range: Range<u64>,
) -> Result<P::Bytes, ClientError> {
    let (mut pause, mut tries) = (Duration::from_millis(200), 0);
    loop {
        let known = urls.borrow().get(&object).cloned();
        let download = match known {
            Some(download) => download,
            None => {
                let mut objects = ahead(object);
                if !objects.contains(&object) {
                    objects.insert(0, object);
                }
                let signed: SignedDownloads =
                    session.0.server.post_again("/v1/urls", &ObjectIds { objects }).await?;
                let mut urls = urls.borrow_mut();
                urls.extend(signed.downloads.into_iter().map(|download| (download.object, download)));
                urls.get(&object).cloned().ok_or_else(|| ClientError::nonsense("no address for an object"))?
            }
        };
        if range.end > download.length {
            return Err(ClientError::tampered("an object of this video (it is too short)"));
        }
        tries += 1;
        match session.platform().get(&download, range.clone()).await {
            Ok(bytes) if bytes.len() == range.end - range.start => return Ok(bytes),
            Ok(_) | Err(StoreFailure::WrongLength) => {
                return Err(ClientError::tampered("an object of this video (it is too short)"));
            }
            Err(StoreFailure::Expired) if tries < 4 => {
                urls.borrow_mut().remove(&object);
            }
            Err(StoreFailure::Offline(_) | StoreFailure::Busy | StoreFailure::Status(500..)) if tries < 4 => {
                session.platform().sleep(pause).await;
                pause *= 3;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}
