//! What others gave or lent to this account.
//!
//! The server lists it, and is believed in nothing: what is sealed opens only if the sender whom the server names is a
//! contact, if the server's keys of theirs have the fingerprint that was pinned, and if they signed it for this account, for
//! this share, as a gift or as a loan. What comes from anybody else waits, unopened, until their contact link is added.

use std::collections::{HashMap, HashSet};

use gloaming_api::{
    people::{GiftOpened, GiftWish, ReceivedList, ReceivedShare},
    share::{Policy, ShareKind},
};
use gloaming_ids::{AccountId, ShareId, UnixMillis, VideoId};
use gloaming_keys::{
    Fingerprint, KeyError, PersonError, PersonShare, PublicIdentity, SegmentKeys, ShareMode, SharedKey,
    SharedKeys, open_for,
};

use crate::{
    ClientError, Library, OpenVideo, Platform,
    people::Contact,
    store::sign_given,
    viewer::{SharedTitle, find, open_lent, remember_version, seen_version},
    watch::{Right, fetch_index, open_index},
};

/// Pages of the server's list at most: what a hostile server keeps adding is not followed for ever.
const MAX_PAGES: usize = 1000;

/// Something that somebody shared with this account.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Which.
    pub share: ShareId,
    /// Who shared it. Shown to be true only where [`contents`](Received::contents) is [`Contents::Open`].
    pub sender: AccountId,
    /// What they are called here, if their contact link was added.
    pub from: Option<String>,
    /// [`ShareKind::Given`] or [`ShareKind::Lent`].
    pub kind: ShareKind,
    /// What a loan allows, by the server's word.
    pub policy: Policy,
    /// When it was made, by the server's clock.
    pub created_at: UnixMillis,
    /// What it is, or why that is not known.
    pub contents: Contents,
}

/// What was shared, as far as it was opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// From a contact, signed by them for this account.
    Open {
        /// What the playlist is called, or the only video.
        name: String,
        /// Its videos, in order.
        videos: Vec<SharedTitle>,
    },
    /// From somebody whose contact link was not added: not opened. The fingerprint is that of the keys which the server says
    /// are theirs.
    Quarantined {
        /// None, where it has none.
        fingerprint: Option<Fingerprint>,
    },
    /// Not opened: the server has other keys of the contact ([`ClientError::ChangedKey`]), or what is sealed is not what they
    /// sealed to this account as this share, of this kind ([`ClientError::Tampered`]).
    Refused(ClientError),
}

/// A share that was opened.
struct Opened {
    row: ReceivedShare,
    keys: SharedKeys,
}

/// Senders whose keys were asked for.
type Senders = HashMap<AccountId, Result<PublicIdentity, ClientError>>;

impl<P: Platform> Library<P> {
    /// What others gave or lent to this account, the newest first.
    pub async fn received(&self) -> Result<Vec<Received>, ClientError> {
        let mut senders = Senders::new();
        let mut received = Vec::new();
        for row in self.received_rows().await? {
            let contact = self.contact(row.sender);
            let contents = match self.unseal(&row, contact.as_ref(), &mut senders).await {
                Ok(keys) => Contents::Open { name: keys.name.clone(), videos: titles(&keys) },
                Err(ClientError::UnknownSender { .. }) => {
                    let known = self.sender(row.sender, None, &mut senders).await;
                    Contents::Quarantined { fingerprint: known.ok().map(|keys| keys.fingerprint()) }
                }
                Err(error)
                    if error.is_passing()
                        || matches!(error, ClientError::SignedOut | ClientError::Locked) =>
                {
                    return Err(error);
                }
                Err(error) => Contents::Refused(error),
            };
            received.push(Received {
                share: row.share,
                sender: row.sender,
                from: contact.map(|contact| contact.name),
                kind: row.kind,
                policy: row.policy,
                created_at: row.created_at,
                contents,
            });
        }
        Ok(received)
    }

    /// The received video that somebody means: an id of a share or of a video, the unique beginning or end of one, or an exact
    /// title. What was given comes before what was lent. Why a share cannot be opened is told where it was named by its id.
    pub async fn find_received(&self, name: &str) -> Result<(ShareId, VideoId), ClientError> {
        let is = |id: &str| id == name || crate::library::abbreviates(name, id);
        let mut found: Vec<(ShareKind, ShareId, VideoId)> = Vec::new();
        for received in self.received().await? {
            let by_share = is(&received.share.to_string());
            match received.contents {
                Contents::Open { name: whole, videos } => {
                    let first = videos.first().filter(|_| by_share || whole == name).map(|one| one.video);
                    let titled = |one: &&SharedTitle| one.title == name || is(&one.video.to_string());
                    let video = videos.iter().find(titled).map(|one| one.video).or(first);
                    found.extend(video.map(|video| (received.kind, received.share, video)));
                }
                Contents::Quarantined { .. } if by_share => {
                    return Err(ClientError::UnknownSender { account: received.sender });
                }
                Contents::Refused(error) if by_share => return Err(error),
                Contents::Quarantined { .. } | Contents::Refused(_) => {}
            }
        }
        let videos: HashSet<VideoId> = found.iter().map(|(.., video)| *video).collect();
        match videos.len() {
            0 => Err(ClientError::NotFound {
                what: format!(
                    "video {name:?} here, your own or received; see `gloaming ls`, `gloaming received`"
                ),
            }),
            1 => {
                let given = found.iter().find(|(kind, ..)| *kind == ShareKind::Given);
                let (_, share, video) = given.unwrap_or(&found[0]);
                Ok((*share, *video))
            }
            _ => Err(ClientError::Ambiguous { name: name.into() }),
        }
    }

    /// Opens a video that somebody gave or lent to this account, and says whether a copy may be kept.
    pub async fn open_received(
        &self,
        share: ShareId,
        video: VideoId,
    ) -> Result<ReceivedVideo<P>, ClientError> {
        let Opened { row, keys } = self.opened(share).await?;
        let shared = find(&keys, video)?;
        let seen = format!("received/{}/{video}", row.sender);
        let (open, may_keep) = match row.kind {
            ShareKind::Given => (self.open_given(share, shared, &seen).await?, true),
            _ => open_lent(&self.0.0.server, share, &keys, video, seen).await?,
        };
        let from = self.contact(row.sender).map(|contact| contact.name).unwrap_or_default();
        Ok(ReceivedVideo {
            open,
            from,
            kind: row.kind,
            name: keys.name.clone(),
            mark: keys.mark.clone(),
            titles: titles(&keys),
            may_keep,
        })
    }

    async fn opened(&self, share: ShareId) -> Result<Opened, ClientError> {
        let rows = self.received_rows().await?;
        let row = rows.into_iter().find(|row| row.share == share);
        let row = row.ok_or_else(|| ClientError::NotFound { what: "such share any more".into() })?;
        let contact = self.contact(row.sender);
        let keys = self.unseal(&row, contact.as_ref(), &mut Senders::new()).await?;
        Ok(Opened { row, keys })
    }

    async fn received_rows(&self) -> Result<Vec<ReceivedShare>, ClientError> {
        let mut rows: Vec<ReceivedShare> = Vec::new();
        let mut seen: HashSet<ShareId> = HashSet::new();
        for _ in 0..MAX_PAGES {
            let before = rows.last().map_or(String::new(), |last| format!("?before={}", last.share));
            let page: ReceivedList = self.0.0.server.get(&format!("/v1/received{before}")).await?;
            if page.received.is_empty() && page.more {
                return Err(ClientError::nonsense("more, and nothing"));
            }
            for row in page.received {
                if !matches!(row.kind, ShareKind::Given | ShareKind::Lent) || !seen.insert(row.share) {
                    return Err(ClientError::nonsense("received what nobody sends, or twice"));
                }
                rows.push(row);
            }
            if !page.more {
                return Ok(rows);
            }
        }
        Err(ClientError::nonsense("a list without end"))
    }

    /// Opens what a sender sealed to this account.
    async fn unseal(
        &self,
        row: &ReceivedShare,
        contact: Option<&Contact>,
        senders: &mut Senders,
    ) -> Result<SharedKeys, ClientError> {
        let contact = contact.ok_or(ClientError::UnknownSender { account: row.sender })?;
        let sender = self.sender(row.sender, Some(contact), senders).await?;
        let mode = if row.kind == ShareKind::Given { ShareMode::Given } else { ShareMode::Lent };
        let about = PersonShare { share: row.share, mode };
        let keys = self.0.keys()?;
        let shared = open_for(keys.identity(), &sender, &about, row.sealed.as_ref());
        let shared = shared.map_err(|error| match error {
            PersonError::Sealed(KeyError::TooNew { .. }) => {
                ClientError::TooNew { what: format!("what {} shared", contact.name) }
            }
            _ => ClientError::tampered(format!("what {} is said to have shared", contact.name)),
        })?;
        let whole = |key: &SharedKey| key.grant_share.is_some();
        if shared.videos.is_empty() || (mode == ShareMode::Given && !shared.videos.iter().all(whole)) {
            return Err(ClientError::nonsense("a share that lacks what it is of"));
        }
        Ok(shared)
    }

    /// The keys of a sender: a contact's are checked.
    async fn sender(
        &self,
        account: AccountId,
        contact: Option<&Contact>,
        senders: &mut Senders,
    ) -> Result<PublicIdentity, ClientError> {
        if let Some(known) = senders.get(&account) {
            return known.clone();
        }
        let keys = match contact {
            Some(contact) => self.verified_keys(contact).await,
            None => self.0.keys_of(account).await.and_then(|keys| {
                keys.ok_or_else(|| ClientError::NotFound { what: "such account any more".into() })
            }),
        };
        senders.insert(account, keys.clone());
        keys
    }

    async fn open_given(
        &self,
        share: ShareId,
        shared: &SharedKey,
        seen_as: &str,
    ) -> Result<OpenVideo<P>, ClientError> {
        let server = &self.0.0.server;
        let video = shared.video;
        let path = format!("/v1/received/{share}/open");
        let opened: GiftOpened = server.post_again(&path, &GiftWish { video_id: video }).await?;
        if opened.video_id != video {
            return Err(ClientError::nonsense("another video than asked for"));
        }
        let version = opened.index_version;
        let seen = seen_version(server, seen_as).await;
        if version < shared.index_version.max(seen) {
            return Err(ClientError::Rollback { what: "index of this video" });
        }
        let grant = shared.grant_share.as_ref().expect("a gift was checked to be whole");
        let keys = SegmentKeys::from_halves(&shared.view_share, grant, video);
        let platform = &*server.platform;
        let sign = async |objects| sign_given(server, share, video, objects).await;
        let bytes = fetch_index(platform, sign, opened.index).await?;
        let index = open_index(&bytes, &shared.view_share, video, version, &shared.verifier)?;
        remember_version(server, seen_as, seen, version).await?;
        OpenVideo::new(server.clone(), Right::Given(share, keys), version, index)
    }
}

fn titles(keys: &SharedKeys) -> Vec<SharedTitle> {
    let title = |shared: &SharedKey| SharedTitle { video: shared.video, title: shared.title.clone() };
    keys.videos.iter().map(title).collect()
}

/// A video that somebody gave or lent, opened.
pub struct ReceivedVideo<P: Platform> {
    open: OpenVideo<P>,
    from: String,
    kind: ShareKind,
    name: String,
    mark: String,
    titles: Vec<SharedTitle>,
    may_keep: bool,
}

impl<P: Platform> ReceivedVideo<P> {
    /// The video.
    pub fn video(&self) -> &OpenVideo<P> {
        &self.open
    }

    /// What whoever shared it is called here.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// [`ShareKind::Given`] or [`ShareKind::Lent`].
    pub fn kind(&self) -> ShareKind {
        self.kind
    }

    /// What the playlist is called, or the only video.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What moves over the picture; empty for nothing.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        let here = self.titles.iter().find(|one| one.video == self.open.video());
        here.map_or("", |one| one.title.as_str())
    }

    /// The videos that came with it, in order.
    pub fn titles(&self) -> &[SharedTitle] {
        &self.titles
    }

    /// [`ClientError::NotForDownload`] where it was lent, and its owner does not want copies to be kept.
    pub fn may_download(&self) -> Result<(), ClientError> {
        if self.may_keep { Ok(()) } else { Err(ClientError::NotForDownload) }
    }
}
