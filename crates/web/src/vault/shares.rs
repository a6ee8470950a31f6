//! Letting others watch: shares, what they allow, and who watched.

use std::collections::HashMap;

use gloaming_api::share::{self as api, PlayInfo};
use gloaming_client::{
    ClientError, Library, Watched, open_video,
    share::{Share, ShareWish, Shared},
};
use gloaming_ids::{PlaybackId, ShareId, UnixMillis, VideoId};
use wasm_bindgen::prelude::*;

use super::{WebVault, access::origin};
use crate::{
    convert::{Answer, from_js, id, thrown, to_js},
    platform::Browser,
    wire::{self, Policy, ShareAsk, ShareKind},
};

#[wasm_bindgen]
impl WebVault {
    /// Makes a share of a video or a playlist: `{ what, kind, label, mark, password, policy }` → the share, with its link.
    pub async fn share(&self, ask: JsValue) -> Answer {
        let ShareAsk { what, kind, label, mark, password, policy } = from_js(&ask)?;
        let password = password.map(zeroize::Zeroizing::new);
        let wish = ShareWish {
            what: match what {
                wire::Shared::Video { id: video } => Shared::Video(id(&video)?),
                wire::Shared::Playlist { id: list } => Shared::Playlist(id(&list)?),
            },
            kind: kind.into(),
            label: &label,
            mark,
            password: password.as_deref().map(String::as_str),
            policy: policy.into(),
        };
        let made = self.change(async |library| library.share(&wish).await).await?;
        Ok(to_js(&shown(&made)))
    }

    /// All shares, or those of one video, revoked ones too; the newest first.
    pub async fn shares(&self, video: Option<String>) -> Answer {
        let video: Option<VideoId> = video.as_deref().map(id).transpose()?;
        let mut shares = self.change(async |library| library.shares().await).await?;
        shares.retain(|share| video.is_none_or(|video| share.videos().contains(&video)));
        Ok(to_js(&shares.iter().map(shown).collect::<Vec<_>>()))
    }

    /// Changes what a share allows.
    #[wasm_bindgen(js_name = setPolicy)]
    pub async fn set_policy(&self, share: String, policy: JsValue) -> Answer {
        let (share, policy): (ShareId, Policy) = (id(&share)?, from_js(&policy)?);
        let changed = self.change(async |library| library.set_policy(share, &policy.into()).await).await?;
        Ok(to_js(&shown(&changed)))
    }

    /// Stops a share.
    pub async fn revoke(&self, share: String) -> Answer {
        let share: ShareId = id(&share)?;
        let revoked = self.change(async |library| library.revoke(share).await).await?;
        Ok(to_js(&shown(&revoked)))
    }

    /// Who watched a video, by its log of grants: read from its beginning, and checked.
    #[wasm_bindgen(js_name = grantLog)]
    pub async fn grant_log(&self, video: String) -> Answer {
        let video: VideoId = id(&video)?;
        let open = self.ask(async |session| open_video(&session, video).await).await?;
        let library = self.library()?;
        let log = watched(&library, &open, video).await;
        self.say_library(&library);
        // What is wrong with a log is said where it stands; it says nothing of the library.
        let wrong = |error: ClientError| if error.is_alarm() { thrown(error) } else { self.complain(error) };
        Ok(to_js(&log.map_err(wrong)?))
    }
}

async fn watched(
    library: &Library<Browser>,
    open: &gloaming_client::OpenVideo<Browser>,
    video: VideoId,
) -> Result<wire::GrantLog, ClientError> {
    let mut log = library.grant_log(video);
    let mut all = HashMap::new();
    while let Some(rows) = log.next().await? {
        rows.iter().for_each(|row| Watched::count(&mut all, open.index(), row));
    }
    let plays: HashMap<PlaybackId, PlayInfo> =
        library.plays(video).await?.into_iter().map(|play| (play.playback, play)).collect();
    let mut all: Vec<Watched> = all.into_values().collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.first_at), one.playback));
    let playback = |one: Watched| {
        let play = plays.get(&one.playback);
        wire::Watched {
            playback: one.playback.to_string(),
            share: one.share.to_string(),
            label: library.share_record(one.share).map(|record| record.label).unwrap_or_default(),
            first_at: one.first_at.0,
            last_at: one.last_at.0,
            grants: one.grants,
            furthest_ms: one.furthest_ms,
            network: one.network,
            agent: one.agent,
            watching: play.is_some_and(|play| play.watching),
            startup_ms: play.and_then(|play| play.startup_ms),
            stalls: play.map_or(0, |play| play.stalls),
        }
    };
    let playbacks = all.into_iter().map(playback).collect();
    Ok(wire::GrantLog { grants: log.count(), cleared: log.cleared(), playbacks })
}

pub(super) fn shown(share: &Share) -> wire::Share {
    let (info, record) = (share.info.as_ref(), share.record.as_ref());
    let kind = record.map(|record| record.kind).or(info.map(|info| info.kind));
    let made = info.map(|info| info.created_at).or(record.map(|record| record.created_at));
    let revoked = info.and_then(|info| info.revoked_at).or(record.and_then(|record| record.revoked_at));
    wire::Share {
        share: share.share.to_string(),
        kind: kind.expect("a share is known from somewhere").into(),
        label: share.label().into(),
        mark: record.is_some_and(|record| record.mark),
        password: share.has_password(),
        link: share.link().map(|path| format!("{}{path}", origin())),
        playlist: record.and_then(|record| record.playlist).map(|list| list.to_string()),
        videos: share.videos().iter().map(ToString::to_string).collect(),
        policy: info.map(|info| info.policy.clone().into()),
        created_at: made.map_or(0, |at| at.0),
        revoked_at: revoked.map(|at| at.0),
        viewers: info.map_or(0, |info| info.viewers),
        plays: info.map_or(0, |info| info.plays),
        watching: info.map_or(0, |info| info.watching),
        watched_at: info.and_then(|info| info.watched_at).map(|at| at.0),
    }
}

impl From<api::Policy> for Policy {
    fn from(policy: api::Policy) -> Self {
        Self {
            from: policy.from.map(|at| at.0),
            until: policy.until.map(|at| at.0),
            max_viewers: policy.max_viewers,
            max_plays: policy.max_plays,
            max_at_once: policy.max_at_once,
            embed_origins: policy.embed_origins,
            download: policy.download,
        }
    }
}

impl From<Policy> for api::Policy {
    fn from(policy: Policy) -> Self {
        Self {
            from: policy.from.map(UnixMillis),
            until: policy.until.map(UnixMillis),
            max_viewers: policy.max_viewers,
            max_plays: policy.max_plays,
            max_at_once: policy.max_at_once,
            embed_origins: policy.embed_origins,
            download: policy.download,
            speed_tenths: None,
        }
    }
}

impl From<api::ShareKind> for ShareKind {
    fn from(kind: api::ShareKind) -> Self {
        match kind {
            api::ShareKind::Given => Self::Given,
            api::ShareKind::Lent => Self::Lent,
            api::ShareKind::Link => Self::Link,
            api::ShareKind::Audience => Self::Audience,
            api::ShareKind::Open => Self::Open,
        }
    }
}

impl From<ShareKind> for api::ShareKind {
    fn from(kind: ShareKind) -> Self {
        match kind {
            ShareKind::Given => Self::Given,
            ShareKind::Lent => Self::Lent,
            ShareKind::Link => Self::Link,
            ShareKind::Audience => Self::Audience,
            ShareKind::Open => Self::Open,
        }
    }
}
