//! Letting others watch: shares of videos and playlists, as their owner makes, lists, changes and stops them.
//!
//! What opens a share goes three ways, and only together do they show a picture: the view shares are sealed under the
//! link's secret and rest on the server; the secret stays in the link, and in a sealed record of the owner's library, so
//! that the link can be shown again; the grant shares go to the server, which grants them segment by segment. For a person
//! the view shares are sealed to their keys instead, and so are the grant shares where the video is given for good.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use gloaming_api::share::{
    MAX_SEALED_SHARE, MAX_SHARED_TRACKS, MAX_SHARED_VIDEOS, PlayInfo, PlayList, Policy, ShareInfo, ShareKind,
    ShareList, ShareRequest, SharedTrack, SharedVideo,
};
use gloaming_ids::{RecordId, ShareId, VideoId};
use gloaming_keys::{
    GrantShare, LinkSecret, PersonShare, ShareMode, SharedKey, SharedKeys, ViewShare, seal_for,
};
use gloaming_package::{Index, Kind};

use crate::{
    ClientError, Library, Platform, ShareRecord,
    library::Edit,
    people::Contact,
    records::{Fragment, Kept, Record},
    watch::open_own,
};

/// A server takes no segment for longer than ten minutes.
const MAX_NOMINAL_MS: u128 = 600_000;
/// Indexes that are fetched at the same time.
const AT_ONCE: usize = 4;

/// What is to be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// One video.
    Video(VideoId),
    /// A playlist's videos, as they are now and in their order.
    Playlist(RecordId),
}

/// A share to be made: a link, for one holder or for many, or an open one.
#[derive(Debug)]
pub struct ShareWish<'a> {
    /// What.
    pub what: Shared,
    /// [`ShareKind::Link`], [`ShareKind::Audience`] or [`ShareKind::Open`].
    pub kind: ShareKind,
    /// Whom it is for, in the owner's words. Never told to the server.
    pub label: &'a str,
    /// Whether the label moves over the picture.
    pub mark: bool,
    /// Asked of who opens the link.
    pub password: Option<&'a str>,
    /// What it allows.
    pub policy: Policy,
}

/// A share for a person.
#[derive(Debug)]
pub struct PersonWish<'a> {
    /// What.
    pub what: Shared,
    /// With whom.
    pub to: &'a Contact,
    /// Lent, one granted segment at a time, until it is revoked; or else given for good.
    pub lend: bool,
    /// Whether their name moves over the picture.
    pub mark: bool,
    /// What a loan allows. A gift has no terms.
    pub policy: Policy,
}

/// A share, as its owner knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Which.
    pub share: ShareId,
    /// What the server knows of it; nothing, where it shows none: it was lost, or is withheld.
    pub info: Option<ShareInfo>,
    /// What only the owner knows of it.
    pub record: Option<ShareRecord>,
}

impl Share {
    /// The page of the link, with its secret: `/v/<share>#<secret>`. Nothing where the secret is not known.
    pub fn link(&self) -> Option<String> {
        let record = self.record.as_ref()?;
        match (record.kind, &record.fragment) {
            (ShareKind::Open, _) => Some(format!("/v/{}", self.share)),
            (_, Some(Fragment(secret))) => Some(format!("/v/{}#{secret}", self.share)),
            (_, None) => None,
        }
    }

    /// Whether a password goes with the link.
    pub fn has_password(&self) -> bool {
        let fragment = self.record.as_ref().and_then(|record| record.fragment.as_ref());
        fragment
            .and_then(|Fragment(secret)| LinkSecret::from_fragment(secret).ok())
            .is_some_and(|s| s.wants_password())
    }

    /// Whether nobody can watch by it any more.
    pub fn is_revoked(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.revoked_at.is_some())
            || self.record.as_ref().is_some_and(|record| record.revoked_at.is_some())
    }

    /// Whom it is for, in the owner's words.
    pub fn label(&self) -> &str {
        self.record.as_ref().map_or("", |record| record.label.as_str())
    }

    /// Its videos, in order.
    pub fn videos(&self) -> &[VideoId] {
        match (&self.info, &self.record) {
            (Some(info), _) => &info.videos,
            (None, Some(record)) => &record.videos,
            (None, None) => &[],
        }
    }

    /// When it was made: for sorting.
    fn made(&self) -> u64 {
        let info = self.info.as_ref().map(|info| info.created_at);
        info.or(self.record.as_ref().map(|record| record.created_at)).map_or(0, |at| at.0)
    }
}

impl<P: Platform> Library<P> {
    /// Makes a share. The server is told first, then the library: what is lost in between is a share whose link nobody has.
    pub async fn share(&self, wish: &ShareWish<'_>) -> Result<Share, ClientError> {
        let wrong = |reason: &str| ClientError::WrongState { reason: reason.into() };
        if matches!(wish.kind, ShareKind::Lent | ShareKind::Given) {
            return Err(wrong("a loan or a gift goes to a person, and this is a link"));
        }
        if wish.kind == ShareKind::Open && wish.password.is_some() {
            return Err(wrong(
                "who knows the address of an open video can watch it, so a password is of no use",
            ));
        }
        if wish.password.is_some_and(str::is_empty) {
            return Err(wrong("the link's password is empty"));
        }
        let Parts { name, playlist, videos, parts } = self.parts(wish.what).await?;
        let (keys, granted): (Vec<_>, Vec<_>) = parts.into_iter().map(Part::granted).unzip();
        let label = wish.label.trim();
        let mark = if wish.mark { label } else { "" };
        if wish.mark && label.is_empty() {
            return Err(wrong("the mark over the picture is the label, and there is none"));
        }
        let keys = SharedKeys { name, mark: mark.into(), videos: keys };

        let server = &self.0.0.server;
        let mut entropy = server.entropy();
        let share = ShareId::generate(&mut entropy);
        let secret = match wish.kind {
            ShareKind::Open => LinkSecret::open(),
            _ => LinkSecret::generate(wish.password.is_some(), &mut entropy),
        };
        let link = secret.keys(share, wish.password)?;
        let sealed = link.seal(&keys, &mut entropy);
        if sealed.len() > MAX_SEALED_SHARE {
            return Err(wrong("these are too many videos with too long titles for one link"));
        }
        let is_open = wish.kind == ShareKind::Open;
        let deposit = |view: &ViewShare| view.expose().to_vec().into();
        let view_shares = keys.videos.iter().map(|key| is_open.then(|| deposit(&key.view_share)));
        let videos_of = granted.into_iter().zip(view_shares);
        let request = ShareRequest {
            share,
            kind: wish.kind,
            recipient: None,
            token_hash: (!is_open).then(|| link.token().hash().to_vec().into()),
            sealed: sealed.into(),
            policy: wish.policy.clone(),
            videos: videos_of.map(|(video, view_share)| SharedVideo { view_share, ..video }).collect(),
        };
        let record = ShareRecord {
            share,
            kind: wish.kind,
            label: label.into(),
            videos,
            playlist,
            recipient: None,
            fragment: (!is_open).then(|| Fragment(secret.to_fragment().to_string())),
            mark: wish.mark,
            created_at: server.platform.now(),
            revoked_at: None,
        };
        self.make_share(&request, record).await
    }

    /// Shares with a person. [`ClientError::ChangedKey`] if the server's keys of theirs are not the ones that were pinned.
    pub async fn share_with(&self, wish: &PersonWish<'_>) -> Result<Share, ClientError> {
        let wrong = |reason: &str| ClientError::WrongState { reason: reason.into() };
        if !wish.lend && wish.policy != Policy::default() {
            return Err(wrong("what is given for good has no limits; lend it instead"));
        }
        let to = self.verified_keys(wish.to).await?;
        // They will want to see whose it is.
        self.0.publish_identity().await?;
        let Parts { name, playlist, videos, parts } = self.parts(wish.what).await?;
        let split = if wish.lend { Part::granted } else { Part::given };
        let (keys, granted): (Vec<_>, Vec<_>) = parts.into_iter().map(split).unzip();
        let mark = if wish.mark { wish.to.name.clone() } else { String::new() };
        let keys = SharedKeys { name, mark, videos: keys };

        let server = &self.0.0.server;
        let mut entropy = server.entropy();
        let share = ShareId::generate(&mut entropy);
        let (kind, mode) = match wish.lend {
            true => (ShareKind::Lent, ShareMode::Lent),
            false => (ShareKind::Given, ShareMode::Given),
        };
        let own = self.0.keys()?;
        let sealed = seal_for(&to, own.identity(), &PersonShare { share, mode }, &keys, &mut entropy);
        let sealed = sealed.map_err(|_| ClientError::nonsense("keys that nothing can be sealed to"))?;
        if sealed.len() > MAX_SEALED_SHARE {
            return Err(wrong("these are too many videos with too long titles for one share"));
        }
        let request = ShareRequest {
            share,
            kind,
            recipient: Some(wish.to.account),
            token_hash: None,
            sealed: sealed.into(),
            policy: wish.policy.clone(),
            videos: granted,
        };
        let record = ShareRecord {
            share,
            kind,
            label: wish.to.name.clone(),
            videos,
            playlist,
            recipient: Some(wish.to.account),
            fragment: None,
            mark: wish.mark,
            created_at: server.platform.now(),
            revoked_at: None,
        };
        self.make_share(&request, record).await
    }

    async fn make_share(&self, request: &ShareRequest, record: ShareRecord) -> Result<Share, ClientError> {
        let info: ShareInfo = self.0.0.server.post_again("/v1/shares", request).await?;
        if info.share != request.share {
            return Err(ClientError::nonsense("another share than was made"));
        }
        self.put_share(&record).await?;
        Ok(Share { share: record.share, info: Some(info), record: Some(record) })
    }

    /// What a share is made of.
    async fn parts(&self, what: Shared) -> Result<Parts, ClientError> {
        let (name, playlist, videos) = self.to_share(what)?;
        let parts = stream::iter(videos.iter().map(|video| self.part(*video)));
        let parts = parts.buffered(AT_ONCE).try_collect().await?;
        Ok(Parts { name, playlist, videos, parts })
    }

    /// All shares, revoked ones too, the newest first: what the server knows joined with what only the owner does.
    pub async fn shares(&self) -> Result<Vec<Share>, ClientError> {
        let list: ShareList = self.0.0.server.get("/v1/shares").await?;
        let mut infos: HashMap<ShareId, ShareInfo> =
            list.shares.into_iter().map(|info| (info.share, info)).collect();
        let library = self.0.0.library.borrow();
        let known = library.shares().map(|record| {
            let info = infos.remove(&record.share);
            Share { share: record.share, info, record: Some(record.clone()) }
        });
        let mut shares: Vec<Share> = known.collect();
        shares.extend(infos.into_values().map(|info| Share {
            share: info.share,
            info: Some(info),
            record: None,
        }));
        shares.sort_by_key(|share| (std::cmp::Reverse(share.made()), share.share));
        Ok(shares)
    }

    /// What the owner wrote down of a share.
    pub fn share_record(&self, share: ShareId) -> Option<ShareRecord> {
        self.0.0.library.borrow().share_kept(share).map(|record| record.known.clone())
    }

    /// Changes what a share allows. It holds from the next grant on.
    pub async fn set_policy(&self, share: ShareId, policy: &Policy) -> Result<Share, ClientError> {
        let info = self.0.0.server.post_again(&format!("/v1/shares/{share}/policy"), policy).await?;
        self.joined(share, info)
    }

    /// Stops a share: no segment is granted from now on. What was watched already may have been copied.
    pub async fn revoke(&self, share: ShareId) -> Result<Share, ClientError> {
        let path = format!("/v1/shares/{share}/revoke");
        let info: ShareInfo = self.0.0.server.post_again(&path, &serde_json::json!({})).await?;
        if info.share == share && info.revoked_at.is_none() {
            return Err(ClientError::nonsense("a share that is revoked and is not"));
        }
        let joined = self.joined(share, info)?;
        let now = self.0.platform().now();
        if let Some(record) = self.share_record(share).filter(|record| record.revoked_at.is_none()) {
            self.put_share(&ShareRecord { revoked_at: Some(now), ..record }).await?;
        }
        Ok(Share { record: self.share_record(share), ..joined })
    }

    /// Who watched a video under a share, the newest first, by the server's account.
    pub async fn plays(&self, video: VideoId) -> Result<Vec<PlayInfo>, ClientError> {
        let list: PlayList = self.0.0.server.get(&format!("/v1/videos/{video}/plays")).await?;
        Ok(list.plays)
    }

    /// The share that somebody means: an id, the unique beginning or end group of one, or an exact label.
    pub async fn find_share(&self, name: &str) -> Result<Share, ClientError> {
        let mut shares = self.shares().await?;
        if let Some(at) = shares.iter().position(|share| share.share.to_string() == name) {
            return Ok(shares.swap_remove(at));
        }
        let short = |share: &Share| crate::library::abbreviates(name, &share.share.to_string());
        let labelled = |share: &Share| !name.is_empty() && share.label() == name;
        shares.retain(|share| labelled(share) || short(share));
        if shares.len() > 1 && shares.iter().any(|share| !share.is_revoked()) {
            shares.retain(|share| !share.is_revoked());
        }
        match shares.len() {
            0 => Err(ClientError::NotFound { what: format!("share {name:?}; `gloaming shares` lists them") }),
            1 => Ok(shares.swap_remove(0)),
            _ => Err(ClientError::Ambiguous { name: name.into() }),
        }
    }

    fn joined(&self, share: ShareId, info: ShareInfo) -> Result<Share, ClientError> {
        if info.share != share {
            return Err(ClientError::nonsense("another share than asked for"));
        }
        Ok(Share { share, info: Some(info), record: self.share_record(share) })
    }

    async fn put_share(&self, known: &ShareRecord) -> Result<(), ClientError> {
        let id = self.0.keys()?.derive_record_id("share", known.share.as_bytes());
        self.write(|library| {
            let there = library.share_kept(known.share);
            if there.is_some_and(|there| there.known == *known) {
                return Ok(vec![]);
            }
            Ok(vec![Edit::Write(id, Record::Share(Kept::over(there, known.clone())))])
        })
        .await
    }

    /// Its name, the playlist it is, and its videos in order.
    fn to_share(&self, what: Shared) -> Result<(String, Option<RecordId>, Vec<VideoId>), ClientError> {
        let wrong = |reason: &str| Err(ClientError::WrongState { reason: reason.into() });
        match what {
            Shared::Video(video) => {
                let no_such = || ClientError::NotFound { what: "such video in the library".into() };
                let row = self.video(video).ok_or_else(no_such)?;
                Ok((row.title, None, vec![video]))
            }
            Shared::Playlist(list) => {
                let no_such = || ClientError::NotFound { what: "such playlist".into() };
                let list = self.playlists().into_iter().find(|known| known.id == list).ok_or_else(no_such)?;
                let kept = |video: &VideoId| self.video(*video).is_some_and(|row| row.trashed_at.is_none());
                let videos: Vec<VideoId> = list.items.into_iter().filter(kept).collect();
                if videos.is_empty() {
                    return wrong("the playlist is empty; put videos into it first");
                }
                if videos.len() > MAX_SHARED_VIDEOS {
                    return wrong("a link holds at most 500 videos; share a shorter playlist");
                }
                Ok((list.name, Some(list.id), videos))
            }
        }
    }

    async fn part(&self, video: VideoId) -> Result<Part, ClientError> {
        let (open, secret) = open_own(&self.0, video).await?;
        let title = self.video(video).map(|row| row.title).unwrap_or_default();
        let tracks = tracks(open.index())?;
        let verifier = secret.signer().verifier();
        let index_version = open.version();
        let view_share = secret.view_share;
        let key = SharedKey { video, title, view_share, grant_share: None, verifier, index_version };
        Ok(Part { key, grant_share: secret.grant_share, tracks })
    }
}

/// A share in the making.
struct Parts {
    name: String,
    playlist: Option<RecordId>,
    videos: Vec<VideoId>,
    parts: Vec<Part>,
}

/// One video of it.
struct Part {
    /// Without the grant share.
    key: SharedKey,
    grant_share: GrantShare,
    tracks: Vec<SharedTrack>,
}

impl Part {
    /// What its viewers get, and what the server gets, to grant segment by segment.
    fn granted(self) -> (SharedKey, SharedVideo) {
        let grant_share = Some(self.grant_share.expose().to_vec().into());
        let video = self.key.video;
        (self.key, SharedVideo { video, grant_share, view_share: None, tracks: self.tracks })
    }

    /// What whom it is given to gets: all. The server gets nothing.
    fn given(self) -> (SharedKey, SharedVideo) {
        let video = self.key.video;
        let key = SharedKey { grant_share: Some(self.grant_share), ..self.key };
        (key, SharedVideo { video, grant_share: None, view_share: None, tracks: Vec::new() })
    }
}

/// What the server counts: the pictures; or the sound, where there are none; or all there is. The rest is free.
fn tracks(index: &Index) -> Result<Vec<SharedTrack>, ClientError> {
    let has = |kind| index.tracks().any(|about| about.kind == kind);
    let charged = [Kind::Video, Kind::Audio].into_iter().find(|kind| has(*kind));
    let tracks = index.tracks().enumerate().filter_map(|(number, about)| {
        let number = u16::try_from(number).expect("an index numbers its tracks by u16");
        let segments = index.segment_count(number);
        if segments == 0 {
            return None;
        }
        let millis = u128::from(about.duration) * 1000 / u128::from(about.timescale.get());
        let nominal = (millis / u128::from(segments)).clamp(1, MAX_NOMINAL_MS);
        Some(SharedTrack {
            track: about.id,
            charged: charged.is_none_or(|kind| about.kind == kind),
            segments,
            nominal_ms: u32::try_from(nominal).expect("it was clamped"),
        })
    });
    let tracks: Vec<_> = tracks.collect();
    let wrong = |reason: &str| Err(ClientError::WrongState { reason: reason.into() });
    match tracks.len() {
        0 => wrong("there is nothing in this video to watch"),
        1..=MAX_SHARED_TRACKS => Ok(tracks),
        _ => wrong("this video has too many tracks to be shared"),
    }
}
