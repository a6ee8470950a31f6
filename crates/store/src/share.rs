use std::collections::HashMap;

use gloaming_api::share::{Policy, ShareInfo, ShareKind, SharedTrack};
use gloaming_ids::{AccountId, ObjectId, ShareId, TrackId, UnixMillis, VideoId};
use rusqlite::{Connection, OptionalExtension, Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Store, StoreError, account::unknown_word};

/// Shares of one account at most, revoked ones included.
const MAX_SHARES: u64 = 20_000;
/// Of these, for one person at most, without the revoked ones: they have to look through them.
const MAX_FOR_ONE: u64 = 1_000;

/// A share, about to be remembered.
#[derive(Clone, Debug)]
pub struct NewShare {
    /// Minted by the client.
    pub share: ShareId,
    /// Whom it is for.
    pub kind: ShareKind,
    /// The account it is given or lent to.
    pub recipient: Option<AccountId>,
    /// SHA-256 of a link's token.
    pub token_hash: Option<[u8; 32]>,
    /// The view shares, sealed to somebody else.
    pub sealed: Vec<u8>,
    /// What it allows.
    pub policy: Policy,
    /// Its videos, in order.
    pub videos: Vec<NewSharedVideo>,
    /// Id of the master key that sealed the halves of the keys.
    pub key_id: String,
    /// SHA-256 of the request: the same again is the same share.
    pub request: [u8; 32],
}

/// One video of a new share.
#[derive(Clone, Debug)]
pub struct NewSharedVideo {
    /// Which.
    pub video: VideoId,
    /// Its grant share, sealed under the master key; of a gift none.
    pub grant_share: Option<Vec<u8>>,
    /// Its view share, sealed under the master key; of an open share only.
    pub view_share: Option<Vec<u8>>,
    /// What may be granted of it.
    pub tracks: Vec<SharedTrack>,
}

/// A share, as the server needs it to let a viewer in.
#[derive(Clone, Debug)]
pub struct ShareTerms {
    /// Whose.
    pub account: AccountId,
    /// Whom it is for.
    pub kind: ShareKind,
    /// The account it is lent to.
    pub recipient: Option<AccountId>,
    /// SHA-256 of a link's token.
    pub token_hash: Option<[u8; 32]>,
    /// The view shares, sealed to somebody else.
    pub sealed: Vec<u8>,
    /// What it allows.
    pub policy: Policy,
    /// Its videos, in order.
    pub videos: Vec<VideoId>,
}

/// A secret of the server, sealed under a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Id of the master key.
    pub key_id: String,
    /// Sealed: the grant share.
    pub grant_share: Vec<u8>,
    /// Sealed: the view share, of an open share only.
    pub view_share: Option<Vec<u8>>,
}

/// What a playback of one video of a share is served from.
#[derive(Clone, Debug)]
pub struct SharedKeys {
    /// The halves of its keys.
    pub envelope: Envelope,
    /// What may be granted of it.
    pub tracks: HashMap<TrackId, SharedTrack>,
}

/// The committed index of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedIndex {
    /// Its version.
    pub version: u64,
    /// Where it is.
    pub object: ObjectId,
    /// Its length in bytes.
    pub length: u64,
}

impl Store {
    /// Remembers a share of an account's own kept videos. The same request again finds the same share.
    /// [`StoreError::KeyRetired`] if the master key was replaced meanwhile: seal again.
    pub async fn create_share(
        &self,
        account: AccountId,
        new: NewShare,
        now: UnixMillis,
    ) -> Result<ShareInfo, StoreError> {
        self.write(move |db| {
            let there: Option<([u8; 16], [u8; 32])> = db
                .prepare_cached("SELECT account, request FROM shares WHERE id = ?1")?
                .query_row([new.share.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match there {
                Some((owner, request)) if owner == *account.as_bytes() && request == new.request => {
                    return info_of(db, account, new.share);
                }
                Some(_) => return Err(StoreError::WrongState("There is another share of this id.")),
                None => {}
            }
            if db.prepare_cached("SELECT 1 FROM retired_keys WHERE id = ?1")?.exists([&new.key_id])? {
                return Err(StoreError::KeyRetired);
            }
            let shares: u64 = db
                .prepare_cached("SELECT count(*) FROM shares WHERE account = ?1")?
                .query_row([account.as_bytes()], |row| row.get(0))?;
            if shares >= MAX_SHARES {
                return Err(StoreError::WrongState("The account has as many shares as an account may have."));
            }
            if let Some(recipient) = &new.recipient {
                let mut known = db.prepare_cached("SELECT 1 FROM accounts WHERE id = ?1 AND disabled = 0")?;
                if !known.exists([recipient.as_bytes()])? {
                    return Err(StoreError::NotFound);
                }
                let for_them: u64 = db
                    .prepare_cached(
                        "SELECT count(*) FROM shares WHERE recipient = ?1 AND account = ?2 AND revoked_at IS NULL",
                    )?
                    .query_row((recipient.as_bytes(), account.as_bytes()), |row| row.get(0))?;
                if for_them >= MAX_FOR_ONE {
                    let message = "This person has as many shares of this account as one may have.";
                    return Err(StoreError::WrongState(message));
                }
            }
            db.prepare_cached(
                "INSERT INTO shares (id, account, kind, recipient, token_hash, sealed, policy, request, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                new.share.as_bytes(),
                account.as_bytes(),
                kind_text(new.kind),
                new.recipient.as_ref().map(AccountId::as_bytes),
                new.token_hash,
                &new.sealed,
                json_text(&new.policy),
                new.request,
                now.0,
            ))?;
            let number = db.last_insert_rowid();
            for (position, shared) in (0u32..).zip(&new.videos) {
                match video_state(db, account, shared.video)?.as_deref() {
                    Some("kept") => {}
                    Some(_) => {
                        let message = "Only a video that is uploaded whole and not in the trash can be shared.";
                        return Err(StoreError::WrongState(message));
                    }
                    None => return Err(StoreError::NotFound),
                }
                db.prepare_cached(
                    "INSERT INTO share_videos (share, position, video, key_id, grant_share, view_share)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    number,
                    position,
                    shared.video.as_bytes(),
                    shared.grant_share.as_ref().map(|_| &new.key_id),
                    &shared.grant_share,
                    &shared.view_share,
                ))?;
                let mut insert = db.prepare_cached(
                    "INSERT INTO shared_tracks (share, video, track, charged, segments, nominal_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for track in &shared.tracks {
                    insert.execute((
                        number,
                        shared.video.as_bytes(),
                        track.track.as_bytes(),
                        track.charged,
                        track.segments,
                        track.nominal_ms,
                    ))?;
                }
            }
            info_of(db, account, new.share)
        })
        .await
    }

    /// The shares of an account, the newest first. Who is watching now the store does not know: it says 0.
    pub async fn shares(&self, account: AccountId) -> Result<Vec<ShareInfo>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {INFO_COLUMNS} FROM shares s WHERE account = ?1 ORDER BY number DESC"
            ))?;
            let rows = statement.query_map([account.as_bytes()], info)?;
            rows.map(|row| with_videos(db, row?)).collect()
        })
        .await
    }

    /// One share of an account.
    pub async fn share(&self, account: AccountId, share: ShareId) -> Result<ShareInfo, StoreError> {
        self.read(move |db| info_of(db, account, share)).await
    }

    /// Changes what a share allows, from the next grant on.
    pub async fn set_share_policy(
        &self,
        account: AccountId,
        share: ShareId,
        policy: Policy,
    ) -> Result<ShareInfo, StoreError> {
        self.write(move |db| {
            if info_of(db, account, share)?.kind == ShareKind::Given {
                return Err(StoreError::WrongState("What was given has no terms that could change."));
            }
            db.prepare_cached("UPDATE shares SET policy = ?3 WHERE account = ?1 AND id = ?2")?.execute((
                account.as_bytes(),
                share.as_bytes(),
                json_text(&policy),
            ))?;
            info_of(db, account, share)
        })
        .await
    }

    /// Ends a share: once this has answered, no segment is granted under it, and the server's halves of its keys are
    /// gone. Ended already, it stays so.
    pub async fn revoke_share(
        &self,
        account: AccountId,
        share: ShareId,
        now: UnixMillis,
    ) -> Result<ShareInfo, StoreError> {
        self.write(move |db| {
            let number: i64 = db
                .prepare_cached("SELECT number FROM shares WHERE account = ?1 AND id = ?2")?
                .query_row((account.as_bytes(), share.as_bytes()), |row| row.get(0))?;
            db.execute(
                "UPDATE shares SET revoked_at = coalesce(revoked_at, ?2) WHERE number = ?1",
                (number, now.0),
            )?;
            db.execute(
                "UPDATE share_videos SET key_id = NULL, grant_share = NULL, view_share = NULL WHERE share = ?1",
                [number],
            )?;
            info_of(db, account, share)
        })
        .await
    }

    /// The terms of a share, revoked or not; none if there is no such share.
    pub async fn share_terms(&self, share: ShareId) -> Result<Option<ShareTerms>, StoreError> {
        self.read(move |db| {
            let found = db
                .prepare_cached(
                    "SELECT number, account, kind, recipient, token_hash, sealed, policy FROM shares WHERE id = ?1",
                )?
                .query_row([share.as_bytes()], |row| {
                    let terms = ShareTerms {
                        account: AccountId::from_bytes(row.get(1)?),
                        kind: kind(row, 2)?,
                        recipient: row.get::<_, Option<[u8; 16]>>(3)?.map(AccountId::from_bytes),
                        token_hash: row.get(4)?,
                        sealed: row.get(5)?,
                        policy: json(row, 6)?,
                        videos: Vec::new(),
                    };
                    Ok((row.get::<_, i64>(0)?, terms))
                })
                .optional()?;
            let Some((number, mut terms)) = found else { return Ok(None) };
            terms.videos = videos_of(db, number)?;
            Ok(Some(terms))
        })
        .await
    }

    /// The origins that may embed a share; none unless it is live.
    pub async fn embed_origins(&self, share: ShareId, now: UnixMillis) -> Result<Vec<String>, StoreError> {
        self.read(move |db| {
            let found = db
                .prepare_cached(
                    "SELECT s.policy FROM shares s JOIN accounts a ON a.id = s.account
                     WHERE s.id = ?1 AND s.revoked_at IS NULL AND a.disabled = 0",
                )?
                .query_row([share.as_bytes()], |row| json(row, 0))
                .optional()?;
            Ok(found
                .filter(|policy| in_time(policy, now).is_ok())
                .map_or_else(Vec::new, |policy| policy.embed_origins))
        })
        .await
    }

    /// The halves of the keys of one shared video, and its tracks. [`StoreError::ShareRevoked`] once they are gone.
    pub async fn shared_keys(&self, share: ShareId, video: VideoId) -> Result<SharedKeys, StoreError> {
        self.read(move |db| {
            let (number, key_id, grant_share, view_share) = db
                .prepare_cached(
                    "SELECT s.number, v.key_id, v.grant_share, v.view_share
                     FROM shares s JOIN share_videos v ON v.share = s.number WHERE s.id = ?1 AND v.video = ?2",
                )?
                .query_row((share.as_bytes(), video.as_bytes()), |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, Option<String>>(1)?,
                        row.get::<_, Option<Vec<u8>>>(2)?,
                        row.get(3)?,
                    ))
                })?;
            let (Some(key_id), Some(grant_share)) = (key_id, grant_share) else {
                return Err(StoreError::ShareRevoked);
            };
            let mut statement = db.prepare_cached(
                "SELECT track, charged, segments, nominal_ms FROM shared_tracks WHERE share = ?1 AND video = ?2",
            )?;
            let rows = statement.query_map((number, video.as_bytes()), |row| {
                let track = TrackId::from_bytes(row.get(0)?);
                let shared = SharedTrack {
                    track,
                    charged: row.get(1)?,
                    segments: row.get(2)?,
                    nominal_ms: row.get(3)?,
                };
                Ok((track, shared))
            })?;
            Ok(SharedKeys {
                envelope: Envelope { key_id, grant_share, view_share },
                tracks: rows.collect::<Result<_, _>>()?,
            })
        })
        .await
    }
}

/// Where a share and one of its videos stand, in the transaction that asks.
pub(crate) struct Standing {
    /// The share's number.
    pub(crate) share: i64,
    pub(crate) account: AccountId,
    pub(crate) kind: ShareKind,
    pub(crate) recipient: Option<AccountId>,
    pub(crate) policy: Policy,
    pub(crate) viewers: u32,
    pub(crate) plays: u32,
    revoked: bool,
    /// The owner, and whoever it is for, may use the server; the video is kept.
    there: bool,
}

impl Standing {
    pub(crate) fn of(db: &Connection, share: ShareId, video: VideoId) -> Result<Self, StoreError> {
        Ok(db
            .prepare_cached(
                "SELECT s.number, s.account, s.policy, s.revoked_at IS NOT NULL, s.viewers, s.plays,
                        a.disabled = 0 AND coalesce(r.disabled, 0) = 0 AND coalesce(v.state = 'kept', 0)
                        AND (s.revoked_at IS NOT NULL OR sv.grant_share IS NOT NULL OR s.kind = 'given'),
                        s.kind, s.recipient
                 FROM shares s
                 JOIN share_videos sv ON sv.share = s.number AND sv.video = ?2
                 JOIN accounts a ON a.id = s.account
                 LEFT JOIN accounts r ON r.id = s.recipient
                 LEFT JOIN videos v ON v.account = s.account AND v.id = ?2
                 WHERE s.id = ?1",
            )?
            .query_row((share.as_bytes(), video.as_bytes()), |row| {
                Ok(Self {
                    share: row.get(0)?,
                    account: AccountId::from_bytes(row.get(1)?),
                    policy: json(row, 2)?,
                    revoked: row.get(3)?,
                    viewers: row.get(4)?,
                    plays: row.get(5)?,
                    there: row.get(6)?,
                    kind: kind(row, 7)?,
                    recipient: row.get::<_, Option<[u8; 16]>>(8)?.map(AccountId::from_bytes),
                })
            })?)
    }

    /// Whether anything may be given out at `now`.
    pub(crate) fn must_be_live(&self, now: UnixMillis) -> Result<(), StoreError> {
        if self.revoked {
            return Err(StoreError::ShareRevoked);
        }
        if !self.there {
            return Err(StoreError::NotFound);
        }
        in_time(&self.policy, now)
    }
}

fn in_time(policy: &Policy, now: UnixMillis) -> Result<(), StoreError> {
    match (policy.from, policy.until) {
        (_, Some(until)) if now >= until => Err(StoreError::ShareExpired),
        (Some(from), _) if now < from => Err(StoreError::ShareNotYet { from }),
        _ => Ok(()),
    }
}

/// Forgets the halves of a video's keys in all shares of its account: it is being deleted.
pub(crate) fn forget_keys(db: &Connection, account: AccountId, video: VideoId) -> Result<(), StoreError> {
    db.execute(
        "UPDATE share_videos SET key_id = NULL, grant_share = NULL, view_share = NULL
         WHERE video = ?2 AND share IN (SELECT number FROM shares WHERE account = ?1)",
        (account.as_bytes(), video.as_bytes()),
    )?;
    Ok(())
}

const INFO_COLUMNS: &str = "s.number, s.id, s.kind, s.recipient, s.policy, s.created_at, s.revoked_at, s.viewers, \
                            s.plays, (SELECT max(granted_at) FROM plays WHERE share = s.number)";

fn info_of(db: &Connection, account: AccountId, share: ShareId) -> Result<ShareInfo, StoreError> {
    let found = db
        .prepare_cached(&format!("SELECT {INFO_COLUMNS} FROM shares s WHERE s.account = ?1 AND s.id = ?2"))?
        .query_row((account.as_bytes(), share.as_bytes()), info)?;
    with_videos(db, found)
}

fn with_videos(db: &Connection, (number, info): (i64, ShareInfo)) -> Result<ShareInfo, StoreError> {
    Ok(ShareInfo { videos: videos_of(db, number)?, ..info })
}

fn videos_of(db: &Connection, number: i64) -> Result<Vec<VideoId>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT video FROM share_videos WHERE share = ?1 ORDER BY position")?;
    let rows = statement.query_map([number], |row| Ok(VideoId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn info(row: &Row<'_>) -> rusqlite::Result<(i64, ShareInfo)> {
    let info = ShareInfo {
        share: ShareId::from_bytes(row.get(1)?),
        kind: kind(row, 2)?,
        recipient: row.get::<_, Option<[u8; 16]>>(3)?.map(AccountId::from_bytes),
        videos: Vec::new(),
        policy: json(row, 4)?,
        created_at: UnixMillis(row.get(5)?),
        revoked_at: row.get::<_, Option<u64>>(6)?.map(UnixMillis),
        viewers: row.get(7)?,
        plays: row.get(8)?,
        watching: 0,
        watched_at: row.get::<_, Option<u64>>(9)?.map(UnixMillis),
    };
    Ok((row.get(0)?, info))
}

fn video_state(db: &Connection, account: AccountId, video: VideoId) -> Result<Option<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT state FROM videos WHERE account = ?1 AND id = ?2")?
        .query_row((account.as_bytes(), video.as_bytes()), |row| row.get(0))
        .optional()?)
}

/// Policies are kept as text: what the server keeps of them, it never looks up by.
pub(crate) fn json_text(policy: &impl Serialize) -> String {
    serde_json::to_string(policy).expect("a policy is plain data")
}

pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|fault| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, fault.into()))
}

pub(crate) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<ShareKind> {
    match row.get_ref(column)?.as_str()? {
        "given" => Ok(ShareKind::Given),
        "lent" => Ok(ShareKind::Lent),
        "link" => Ok(ShareKind::Link),
        "audience" => Ok(ShareKind::Audience),
        "open" => Ok(ShareKind::Open),
        other => Err(unknown_word(column, other)),
    }
}

fn kind_text(kind: ShareKind) -> &'static str {
    match kind {
        ShareKind::Given => "given",
        ShareKind::Lent => "lent",
        ShareKind::Link => "link",
        ShareKind::Audience => "audience",
        ShareKind::Open => "open",
    }
}
