//! Watching what somebody shared: a link (or an open address) becomes an [`OpenVideo`], without an account.
//!
//! * [`ViewerLink`]: what a link says. Its secret never leaves this device; the server sees a token that follows from it.
//! * [`Viewing`]: what the link opened: its videos, their keys but for the half that is granted segment by segment.
//! * [`playback`]: the exchange, its epochs, the proofs. [`grants`]: which segments' keys are here, and for how long.
//!
//! The server is believed in nothing that matters: keys and the signers of indexes come out of the sealed share, an index
//! must be signed and no older than was seen before, and a grant that is not the right one opens nothing.

mod grants;
mod playback;

use std::rc::Rc;

use gloaming_api::{
    playback::PlaybackReport,
    share::{Policy, ShareKind},
};
use gloaming_ids::{ShareId, VideoId};
use gloaming_keys::{KeyError, LinkError, LinkKeys, LinkSecret, SharedKey, SharedKeys, ViewSalt};

pub(crate) use playback::Playback;
use playback::{Begun, Door, begin};

use crate::{
    Client, ClientError, OpenVideo, Platform,
    account::save,
    platform::Shelf,
    server::Server,
    watch::{Right, fetch_index, open_index},
};

/// What a link says: which share, and the secret that opens it.
#[derive(Debug)]
pub struct ViewerLink {
    /// Which.
    pub share: ShareId,
    secret: Option<LinkSecret>,
}

impl ViewerLink {
    /// From what stands in the address (`/v/<share>`), and behind its `#`: nothing, for an open share.
    pub fn new(share: &str, fragment: &str) -> Result<Self, ClientError> {
        let share = share.parse().map_err(|_| LinkError::Incomplete)?;
        let fragment = fragment.trim();
        let secret = (!fragment.is_empty()).then(|| LinkSecret::from_fragment(fragment)).transpose()?;
        Ok(Self { share, secret })
    }

    /// From a whole link: `https://host/v/<share>#<secret>`, or `/embed/` in place of `/v/`.
    pub fn parse(link: &str) -> Result<Self, ClientError> {
        let (address, fragment) = link.trim().split_once('#').unwrap_or((link.trim(), ""));
        let path = address.split('?').next().unwrap_or_default().trim_end_matches('/');
        let (before, share) = path.rsplit_once('/').ok_or(LinkError::Incomplete)?;
        if !before.ends_with("/v") && !before.ends_with("/embed") {
            return Err(LinkError::Incomplete.into());
        }
        Self::new(share, fragment)
    }

    /// Whether a password is to be asked for.
    pub fn wants_password(&self) -> bool {
        self.secret.as_ref().is_some_and(LinkSecret::wants_password)
    }
}

/// One video of a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTitle {
    /// Which.
    pub video: VideoId,
    /// What its owner called it.
    pub title: String,
}

/// A share that was opened, and the video of it that was asked for.
pub struct Viewing<P: Platform> {
    server: Server<P>,
    link: LinkKeys,
    keys: Rc<SharedKeys>,
    share: ShareId,
    with_token: bool,
    embedded: bool,
    kind: ShareKind,
    policy: Policy,
    video: OpenVideo<P>,
}

impl<P: Platform> Viewing<P> {
    /// Opens a share, and `video` of it, or else its first. With a password it takes a second or two. `embedded`: in a frame
    /// on another site.
    pub async fn begin(
        client: &Client<P>,
        link: &ViewerLink,
        password: Option<&str>,
        video: Option<VideoId>,
        embedded: bool,
    ) -> Result<Self, ClientError> {
        let server = client.server().clone();
        let share = link.share;
        let with_token = link.secret.is_some();
        let open = LinkSecret::open();
        let link = link.secret.as_ref().unwrap_or(&open).keys(share, password)?;
        let door = |video| Door { share, video, token: with_token.then(|| link.token()), embedded };

        let begun = match begin(&server, &door(video)).await {
            // Without a secret only an open share lets anybody in: to a person, the link was cut short.
            Err(ClientError::NotAdmitted { code }) if code == LINK_REFUSED && !with_token => {
                return Err(LinkError::Incomplete.into());
            }
            begun => begun?,
        };
        if with_token == (begun.started.kind == ShareKind::Open) {
            return Err(ClientError::nonsense("another kind of share than the link's"));
        }
        let keys = link.open(begun.started.sealed.as_ref()).map_err(|error| match error {
            KeyError::TooNew { .. } => LinkError::TooNew.into(),
            _ => ClientError::tampered("what this link opens"),
        })?;
        let first = keys.videos.first().ok_or_else(|| ClientError::nonsense("a share of no video"))?.video;
        let wanted = video.unwrap_or(first);
        let (kind, policy) = (begun.started.kind, begun.started.policy.clone());
        let keys = Rc::new(keys);
        let video = open_shared(&server, &keys, wanted, door(Some(wanted)), begun, seen_name(wanted)).await?;
        Ok(Self { server, link, keys, share, with_token, embedded, kind, policy, video })
    }

    /// The video that was asked for.
    pub fn video(&self) -> &OpenVideo<P> {
        &self.video
    }

    /// Which share.
    pub fn share(&self) -> ShareId {
        self.share
    }

    /// Whom it is for.
    pub fn kind(&self) -> ShareKind {
        self.kind
    }

    /// What it allows, by the server's word.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the playlist is called, or the only video.
    pub fn name(&self) -> &str {
        &self.keys.name
    }

    /// What moves over the picture; empty for nothing.
    pub fn mark(&self) -> &str {
        &self.keys.mark
    }

    /// Its videos, in order.
    pub fn titles(&self) -> Vec<SharedTitle> {
        let title = |shared: &SharedKey| SharedTitle { video: shared.video, title: shared.title.clone() };
        self.keys.videos.iter().map(title).collect()
    }

    /// Opens another video of it: a playback of its own.
    pub async fn open(&self, video: VideoId) -> Result<OpenVideo<P>, ClientError> {
        find(&self.keys, video)?;
        let (share, embedded) = (self.share, self.embedded);
        let token = self.with_token.then(|| self.link.token());
        let door = Door { share, video: Some(video), token, embedded };
        let begun = begin(&self.server, &door).await?;
        open_shared(&self.server, &self.keys, video, door, begun, seen_name(video)).await
    }

    /// [`ClientError::NotForDownload`] where the owner does not want copies to be kept.
    pub fn may_download(&self) -> Result<(), ClientError> {
        if self.policy.download { Ok(()) } else { Err(ClientError::NotForDownload) }
    }
}

const LINK_REFUSED: gloaming_api::ErrorCode = gloaming_api::ErrorCode::LinkRefused;

impl<P: Platform> OpenVideo<P> {
    /// Tells the owner how it goes. For a video that is watched under a share; else nothing happens.
    pub async fn report(&self, report: &PlaybackReport) -> Result<(), ClientError> {
        match self.playback() {
            Some(playback) => playback.report(report).await,
            None => Ok(()),
        }
    }

    /// Why it can no longer be watched, once that is so.
    pub fn over(&self) -> Option<ClientError> {
        self.playback()?.over()
    }
}

/// Opens a video that was lent to this account; `keys` were sealed to it. Says too whether a copy may be kept.
pub(crate) async fn open_lent<P: Platform>(
    server: &Server<P>,
    share: ShareId,
    keys: &SharedKeys,
    video: VideoId,
    seen_as: String,
) -> Result<(OpenVideo<P>, bool), ClientError> {
    let door = Door { share, video: Some(video), token: None, embedded: false };
    let begun = begin(server, &door).await?;
    if begun.started.kind != ShareKind::Lent {
        return Err(ClientError::nonsense("another kind of share than was received"));
    }
    let may_keep = begun.started.policy.download;
    Ok((open_shared(server, keys, video, door, begun, seen_as).await?, may_keep))
}

pub(crate) fn find(keys: &SharedKeys, video: VideoId) -> Result<&SharedKey, ClientError> {
    let found = keys.videos.iter().find(|shared| shared.video == video);
    found.ok_or_else(|| ClientError::NotFound { what: "such video in this share".into() })
}

/// A video whose playback has begun: its index, fetched and checked.
async fn open_shared<P: Platform>(
    server: &Server<P>,
    keys: &SharedKeys,
    video: VideoId,
    door: Door,
    begun: Begun,
    seen_as: String,
) -> Result<OpenVideo<P>, ClientError> {
    let shared = find(keys, video)?;
    let (version, index) = (begun.started.index_version, begun.started.index.clone());
    if begun.started.video_id != video {
        return Err(ClientError::nonsense("another video than asked for"));
    }
    let seen = seen_version(server, &seen_as).await;
    if version < shared.index_version.max(seen) {
        return Err(ClientError::Rollback { what: "index of this video" });
    }
    let salt = ViewSalt::derive(&shared.view_share, video);
    let playback = Playback::new(server.clone(), door, salt, video, begun);
    let bytes = fetch_index(&*server.platform, async |objects| playback.sign(&objects).await, index).await?;
    let index = open_index(&bytes, &shared.view_share, video, version, &shared.verifier)?;
    remember_version(server, &seen_as, seen, version).await?;
    OpenVideo::new(server.clone(), Right::Granted(Box::new(playback)), version, index)
}

/// The newest version of a video's index that was shown on this device.
pub(crate) async fn seen_version<P: Platform>(server: &Server<P>, seen_as: &str) -> u64 {
    let note = server.platform.load(Shelf::Notes, seen_as).await;
    note.and_then(|note| note.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Remembers a newer version than was seen.
pub(crate) async fn remember_version<P: Platform>(
    server: &Server<P>,
    seen_as: &str,
    seen: u64,
    version: u64,
) -> Result<(), ClientError> {
    if version <= seen {
        return Ok(());
    }
    save(&*server.platform, Shelf::Notes, seen_as, &version.to_be_bytes()).await
}

fn seen_name(video: VideoId) -> String {
    format!("viewed/{video}")
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod links {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_link_is_read_as_it_is_written_and_a_cut_one_is_said_to_be_cut() {
        let share = ShareId::from_bytes([0x5a; 16]);
        let secret = LinkSecret::generate(true, &mut |out: &mut [u8]| out.fill(7)).to_fragment();
        let secret = secret.as_str();
        for link in [
            format!("https://films.example/v/{share}#{secret}"),
            format!(" http://127.0.0.1:8080/embed/{share}/?from=here#{secret}\n"),
            format!("/v/{share}#{secret}"),
        ] {
            let link = ViewerLink::parse(&link).unwrap();
            assert_eq!((link.share, link.wants_password()), (share, true));
        }
        assert!(!ViewerLink::parse(&format!("https://h/v/{share}")).unwrap().wants_password());
        for cut in [
            format!("https://h/v/{share}#{}", &secret[..secret.len() - 2]),
            format!("https://h/v/{}#{secret}", &share.to_string()[..30]),
            format!("https://h/x/{share}#{secret}"),
            "https://h/".into(),
            String::new(),
        ] {
            let error = ViewerLink::parse(&cut).unwrap_err();
            assert_eq!(error, ClientError::Link(LinkError::Incomplete), "{cut}");
        }
    }
}
