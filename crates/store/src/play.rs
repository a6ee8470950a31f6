use std::time::Duration;

use gloaming_api::share::{PlayInfo, Policy};
use gloaming_grants::log::{LogRow, log_next, log_start};
use gloaming_ids::{AccountId, ObjectId, PlaybackId, ShareId, TrackId, UnixMillis, VideoId};
use rusqlite::{Connection, OptionalExtension};

use crate::{CommittedIndex, Reservation, Store, StoreError, share::Standing};

/// Playbacks listed at most.
const MAX_PLAYS_LISTED: u32 = 1000;

/// Whence somebody watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// An IPv4 /24 or an IPv6 /48.
    pub network: String,
    /// What the viewer's program calls itself, cut short.
    pub agent: String,
}

/// A playback that would begin, or go on.
#[derive(Clone, Debug)]
pub struct PlayStart {
    /// Under which share.
    pub share: ShareId,
    /// Which of its videos.
    pub video: VideoId,
    /// Its id, if it is a new one.
    pub playback: PlaybackId,
    /// SHA-256 of the browser's cookie.
    pub browser: [u8; 32],
    /// What counts as one viewer: the browser, or the account of a loan, as SHA-256.
    pub viewer: [u8; 32],
    /// Whence.
    pub place: Place,
    /// Who was away no longer than this goes on with the same playback.
    pub idle: Duration,
}

/// A playback that is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayStarted {
    /// The one that begins, or goes on.
    pub play: PlaybackId,
    /// Where the video's index is.
    pub index: CommittedIndex,
    /// What the share allows.
    pub policy: Policy,
}

/// Segments that would be granted.
#[derive(Clone, Debug)]
pub struct GrantRequest {
    /// Under which share.
    pub share: ShareId,
    /// Of which video.
    pub video: VideoId,
    /// To which playback.
    pub play: PlaybackId,
    /// Of which track.
    pub track: TrackId,
    /// The first segment…
    pub from: u32,
    /// …and how many.
    pub count: u32,
    /// Whence it was asked for.
    pub place: Place,
}

/// Segments that are granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How many, from the first asked for on.
    pub count: u32,
    /// What the share allows, as it was read with them.
    pub policy: Policy,
}

/// What a viewer's program says of a playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayReport {
    /// From the press of play to the first picture, in milliseconds.
    pub startup_ms: Option<u32>,
    /// How often it had to wait so far.
    pub stalls: u32,
}

impl Store {
    /// Notes that a playback begins, or goes on after a while. A playback that goes on in the same browser counts once,
    /// whichever of the share's videos it turns to.
    pub async fn start_play(&self, start: PlayStart, now: UnixMillis) -> Result<PlayStarted, StoreError> {
        self.write(move |db| {
            let standing = Standing::of(db, start.share, start.video)?;
            standing.must_be_live(now)?;
            let index = committed_index(db, standing.account, start.video)?;
            let log = log_of(db, standing.account, start.video)?;
            let back_since = now.0.saturating_sub(millis(start.idle));
            // The newest of this browser under this share: of this video, and of any.
            let recent = |log: Option<i64>| {
                db.prepare_cached(
                    "SELECT number, id FROM plays
                     WHERE share = ?1 AND browser = ?2 AND seen_at >= ?3 AND (?4 IS NULL OR log = ?4)
                     ORDER BY number DESC LIMIT 1",
                )?
                .query_row((standing.share, start.browser, back_since, log), |row| {
                    Ok((row.get::<_, i64>(0)?, PlaybackId::from_bytes(row.get(1)?)))
                })
                .optional()
                .map_err(StoreError::from)
            };
            let counted = recent(None)?.is_some();

            let new_viewer = !db
                .prepare_cached("SELECT 1 FROM viewers WHERE share = ?1 AND viewer = ?2")?
                .exists((standing.share, start.viewer))?;
            let used_up = |most: Option<u32>, so_far: u32| most.is_some_and(|most| so_far >= most);
            if (new_viewer && used_up(standing.policy.max_viewers, standing.viewers))
                || (!counted && used_up(standing.policy.max_plays, standing.plays))
            {
                return Err(StoreError::ShareUsedUp);
            }
            if new_viewer {
                db.prepare_cached("INSERT INTO viewers (share, viewer, since) VALUES (?1, ?2, ?3)")?
                    .execute((standing.share, start.viewer, now.0))?;
            }
            if new_viewer || !counted {
                db.prepare_cached(
                    "UPDATE shares SET viewers = viewers + ?2, plays = plays + ?3 WHERE number = ?1",
                )?
                .execute((standing.share, new_viewer, !counted))?;
            }
            if let Some((number, play)) = recent(Some(log.number))? {
                db.prepare_cached("UPDATE plays SET seen_at = max(seen_at, ?2) WHERE number = ?1")?
                    .execute((number, now.0))?;
                return Ok(PlayStarted { play, index, policy: standing.policy });
            }
            let place = place_of(db, &start.place)?;
            db.prepare_cached(
                "INSERT INTO plays (id, share, log, browser, place, started_at, seen_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            )?
            .execute((
                start.playback.as_bytes(),
                standing.share,
                log.number,
                start.browser,
                place,
                now.0,
            ))?;
            Ok(PlayStarted { play: start.playback, index, policy: standing.policy })
        })
        .await
    }

    /// Grants segments, or refuses: whether the share still allows it is asked in the transaction that writes one row of
    /// the log for each, so nothing is granted that is not in the log, nor after a revocation was answered. `clock` is
    /// read there too, because a command may wait. Answers when the rows are on disk.
    pub async fn grant(
        &self,
        request: GrantRequest,
        clock: impl Fn() -> UnixMillis + Send + 'static,
    ) -> Result<Granted, StoreError> {
        self.write(move |db| {
            let now = clock();
            let standing = Standing::of(db, request.share, request.video)?;
            standing.must_be_live(now)?;
            let mut log = log_of(db, standing.account, request.video)?;
            let (play, share, own_log): (i64, i64, i64) = db
                .prepare_cached("SELECT number, share, log FROM plays WHERE id = ?1")?
                .query_row([request.play.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            if share != standing.share || own_log != log.number {
                return Err(StoreError::NotFound);
            }
            let (track, charged, segments, nominal_ms): (i64, bool, u32, u32) = db
                .prepare_cached(
                    "SELECT number, charged, segments, nominal_ms FROM shared_tracks
                     WHERE share = ?1 AND video = ?2 AND track = ?3",
                )?
                .query_row(
                    (standing.share, request.video.as_bytes(), request.track.as_bytes()),
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
                )?;
            let end = request.from.saturating_add(request.count).min(segments);
            if end <= request.from {
                return Err(StoreError::NotFound);
            }
            let place = place_of(db, &request.place)?;
            let mut append = db.prepare_cached(
                "INSERT INTO grants (log, number, at, play, place, track, segment)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for segment in request.from..end {
                log.count += 1;
                append.execute((log.number, log.count, now.0, play, place, track, segment))?;
                let row = LogRow {
                    number: log.count,
                    at: now,
                    share: request.share,
                    playback: request.play,
                    track: request.track,
                    segment,
                    network: &request.place.network,
                    agent: &request.place.agent,
                };
                log.head = log_next(&log.head, &row);
            }
            db.prepare_cached(
                "UPDATE logs SET count = ?2, head = ?3, oldest_at = coalesce(oldest_at, ?4) WHERE number = ?1",
            )?
            .execute((log.number, log.count, log.head, now.0))?;
            let furthest = if charged { u64::from(end) * u64::from(nominal_ms) } else { 0 };
            db.prepare_cached(
                "UPDATE plays SET granted_at = ?2, seen_at = max(seen_at, ?2), grants = grants + ?3,
                                  furthest_ms = max(furthest_ms, ?4), last_number = ?5
                 WHERE number = ?1",
            )?
            .execute((play, now.0, end - request.from, furthest, log.count))?;
            Ok(Granted { count: end - request.from, policy: standing.policy })
        })
        .await
    }

    /// Whether a share still allows to watch this video.
    pub async fn check_share(
        &self,
        share: ShareId,
        video: VideoId,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.read(move |db| Standing::of(db, share, video)?.must_be_live(now)).await
    }

    /// These objects of a shared video, in the order asked, while the share allows to watch it.
    /// [`StoreError::NotFound`] if one is another video's.
    pub async fn shared_objects(
        &self,
        share: ShareId,
        video: VideoId,
        objects: Vec<ObjectId>,
        now: UnixMillis,
    ) -> Result<Vec<Reservation>, StoreError> {
        self.read(move |db| {
            let standing = Standing::of(db, share, video)?;
            standing.must_be_live(now)?;
            committed_objects(db, standing.account, video, objects)
        })
        .await
    }

    /// Notes that a playback goes on, while the share allows it.
    pub async fn touch_play(
        &self,
        share: ShareId,
        video: VideoId,
        play: PlaybackId,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let standing = Standing::of(db, share, video)?;
            standing.must_be_live(now)?;
            db.prepare_cached("UPDATE plays SET seen_at = max(seen_at, ?3) WHERE id = ?1 AND share = ?2")?
                .execute((play.as_bytes(), standing.share, now.0))?;
            Ok(())
        })
        .await
    }

    /// Notes what a viewer's program says of a playback, while the share allows it.
    pub async fn report_play(
        &self,
        share: ShareId,
        video: VideoId,
        play: PlaybackId,
        report: PlayReport,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let standing = Standing::of(db, share, video)?;
            standing.must_be_live(now)?;
            db.prepare_cached(
                "UPDATE plays SET startup_ms = coalesce(startup_ms, ?3), stalls = max(stalls, ?4)
                 WHERE id = ?1 AND share = ?2",
            )?
            .execute((play.as_bytes(), standing.share, report.startup_ms, report.stalls))?;
            Ok(())
        })
        .await
    }

    /// Who watched a video, the newest first. Who is watching now the store does not know: it says nobody.
    pub async fn plays(&self, account: AccountId, video: VideoId) -> Result<Vec<PlayInfo>, StoreError> {
        self.read(move |db| {
            let Some(log) = find_log(db, account, video)? else {
                exists(db, account, video)?;
                return Ok(Vec::new());
            };
            let mut statement = db.prepare_cached(
                "SELECT p.id, s.id, p.started_at, p.granted_at, l.network, l.agent, p.grants, p.furthest_ms,
                        p.startup_ms, p.stalls
                 FROM plays p JOIN shares s ON s.number = p.share JOIN places l ON l.number = p.place
                 WHERE p.log = ?1 ORDER BY p.number DESC LIMIT ?2",
            )?;
            let rows = statement.query_map((log.number, MAX_PLAYS_LISTED), |row| {
                Ok(PlayInfo {
                    playback: PlaybackId::from_bytes(row.get(0)?),
                    share: ShareId::from_bytes(row.get(1)?),
                    started_at: UnixMillis(row.get(2)?),
                    granted_at: row.get::<_, Option<u64>>(3)?.map(UnixMillis),
                    watching: false,
                    network: row.get(4)?,
                    agent: row.get(5)?,
                    grants: row.get(6)?,
                    furthest_ms: row.get(7)?,
                    startup_ms: row.get(8)?,
                    stalls: row.get(9)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// A video's log, as it stands.
pub(crate) struct Log {
    pub(crate) number: i64,
    pub(crate) count: u64,
    pub(crate) head: [u8; 32],
    pub(crate) cleared: u64,
    pub(crate) cleared_head: [u8; 32],
}

pub(crate) fn find_log(
    db: &Connection,
    account: AccountId,
    video: VideoId,
) -> Result<Option<Log>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT number, count, head, cleared, cleared_head FROM logs WHERE account = ?1 AND video = ?2",
        )?
        .query_row((account.as_bytes(), video.as_bytes()), |row| {
            Ok(Log {
                number: row.get(0)?,
                count: row.get(1)?,
                head: row.get(2)?,
                cleared: row.get(3)?,
                cleared_head: row.get(4)?,
            })
        })
        .optional()?)
}

/// A video's log, begun if there is none.
fn log_of(db: &Connection, account: AccountId, video: VideoId) -> Result<Log, StoreError> {
    if let Some(log) = find_log(db, account, video)? {
        return Ok(log);
    }
    let head = log_start(account, video);
    db.prepare_cached("INSERT INTO logs (account, video, head, cleared_head) VALUES (?1, ?2, ?3, ?3)")?
        .execute((account.as_bytes(), video.as_bytes(), head))?;
    Ok(Log { number: db.last_insert_rowid(), count: 0, head, cleared: 0, cleared_head: head })
}

/// [`StoreError::NotFound`] unless the account has this video.
pub(crate) fn exists(db: &Connection, account: AccountId, video: VideoId) -> Result<(), StoreError> {
    let there = db
        .prepare_cached("SELECT 1 FROM videos WHERE account = ?1 AND id = ?2")?
        .exists((account.as_bytes(), video.as_bytes()))?;
    if there { Ok(()) } else { Err(StoreError::NotFound) }
}

fn place_of(db: &Connection, place: &Place) -> Result<i64, StoreError> {
    let key = (&place.network, &place.agent);
    let known = db
        .prepare_cached("SELECT number FROM places WHERE network = ?1 AND agent = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if let Some(number) = known {
        return Ok(number);
    }
    db.prepare_cached("INSERT INTO places (network, agent) VALUES (?1, ?2)")?.execute(key)?;
    Ok(db.last_insert_rowid())
}

/// These objects of a video, in the order asked. [`StoreError::NotFound`] if one is another video's, or not committed.
pub(crate) fn committed_objects(
    db: &Connection,
    account: AccountId,
    video: VideoId,
    objects: Vec<ObjectId>,
) -> Result<Vec<Reservation>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT length FROM objects WHERE id = ?1 AND account = ?2 AND video = ?3 AND committed = 1",
    )?;
    let find = |object: ObjectId| {
        let key = (object.as_bytes(), account.as_bytes(), video.as_bytes());
        let length = statement.query_row(key, |row| row.get(0))?;
        Ok(Reservation { object, length })
    };
    objects.into_iter().map(find).collect()
}

pub(crate) fn committed_index(
    db: &Connection,
    account: AccountId,
    video: VideoId,
) -> Result<CommittedIndex, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT v.index_version, v.index_object, o.length
             FROM videos v JOIN objects o ON o.id = v.index_object WHERE v.account = ?1 AND v.id = ?2",
        )?
        .query_row((account.as_bytes(), video.as_bytes()), |row| {
            Ok(CommittedIndex {
                version: row.get(0)?,
                object: ObjectId::from_bytes(row.get(1)?),
                length: row.get(2)?,
            })
        })?)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
