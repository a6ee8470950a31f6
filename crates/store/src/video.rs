use std::collections::HashSet;

use gloaming_api::video::{
    Commit, DraftRequest, MAX_OBJECTS_PER_VIDEO, StoredObject, VideoInfo, VideoList, VideoState,
};
use gloaming_ids::{AccountId, ObjectId, UnixMillis, VideoId};
use rusqlite::{Connection, Row};

use crate::{Store, StoreError, account::unknown_word, collect};

/// A place for an object, about to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Minted by the server.
    pub object: ObjectId,
    /// Its length in bytes.
    pub length: u64,
}

const VIDEO_COLUMNS: &str = "id, state, created_at, committed_at, trashed_at, stored_bytes, object_count, \
                             sealed_secret, index_version, index_object, card_object, poster_object";

impl Store {
    /// Begins a video. The same request again finds the same video.
    pub async fn begin_video(
        &self,
        account: AccountId,
        video: VideoId,
        draft: DraftRequest,
        now: UnixMillis,
    ) -> Result<VideoInfo, StoreError> {
        self.write(move |db| {
            let made = db
                .prepare_cached(
                    "INSERT OR IGNORE INTO videos (account, id, state, created_at, touched_at, sealed_secret)
                     VALUES (?1, ?2, 'draft', ?3, ?3, ?4)",
                )?
                .execute((account.as_bytes(), video.as_bytes(), now.0, &draft.sealed_secret.0))?;
            let info = find(db, account, video)?;
            if made == 0 && info.sealed_secret != draft.sealed_secret {
                return Err(StoreError::WrongState("This video was begun with another secret."));
            }
            Ok(info)
        })
        .await
    }

    /// Sets places aside for objects of a video; their bytes count from now on.
    pub async fn reserve_objects(
        &self,
        account: AccountId,
        video: VideoId,
        objects: Vec<Reservation>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let info = find(db, account, video)?;
            if info.state == VideoState::Trashed {
                return Err(StoreError::WrongState("The video is in the trash. Restore it first."));
            }
            let count = info.object_count + objects.len() as u64;
            if count > MAX_OBJECTS_PER_VIDEO as u64 {
                return Err(StoreError::WrongState("The video has as many objects as a video may have."));
            }
            let bytes: u64 = objects.iter().map(|object| object.length).sum();
            let (used, quota): (u64, Option<u64>) = db
                .prepare_cached("SELECT used_bytes, quota_bytes FROM accounts WHERE id = ?1")?
                .query_row([account.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if let Some(quota) = quota
                && used.saturating_add(bytes) > quota
            {
                return Err(StoreError::QuotaExceeded { used, quota });
            }
            let mut insert = db.prepare_cached(
                "INSERT INTO objects (id, account, video, length, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for object in &objects {
                insert.execute((
                    object.object.as_bytes(),
                    account.as_bytes(),
                    video.as_bytes(),
                    object.length,
                    now.0,
                ))?;
            }
            db.prepare_cached("UPDATE videos SET touched_at = ?3 WHERE account = ?1 AND id = ?2")?
                .execute((account.as_bytes(), video.as_bytes(), now.0))?;
            recount(db, account, video)
        })
        .await
    }

    /// The objects of a video, in the order of their making, and whether each is known to be stored.
    pub async fn objects(&self, account: AccountId, video: VideoId) -> Result<Vec<StoredObject>, StoreError> {
        self.read(move |db| {
            find(db, account, video)?;
            let mut statement = db.prepare_cached(
                "SELECT id, length, stored FROM objects WHERE account = ?1 AND video = ?2 ORDER BY number",
            )?;
            let rows = statement.query_map((account.as_bytes(), video.as_bytes()), |row| {
                Ok(StoredObject {
                    object: ObjectId::from_bytes(row.get(0)?),
                    length: row.get(1)?,
                    stored: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// These objects of an account, in the order asked; [`StoreError::NotFound`] if one is not its own.
    pub async fn objects_of(
        &self,
        account: AccountId,
        objects: Vec<ObjectId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT length FROM objects WHERE id = ?1 AND account = ?2")?;
            objects
                .into_iter()
                .map(|object| {
                    let length =
                        statement.query_row((object.as_bytes(), account.as_bytes()), |row| row.get(0))?;
                    Ok(Reservation { object, length })
                })
                .collect()
        })
        .await
    }

    /// Remembers that these objects are stored whole, so that nobody has to look again.
    pub async fn mark_stored(&self, account: AccountId, objects: Vec<ObjectId>) -> Result<(), StoreError> {
        self.write(move |db| {
            let mut statement =
                db.prepare_cached("UPDATE objects SET stored = 1 WHERE id = ?1 AND account = ?2")?;
            for object in objects {
                statement.execute((object.as_bytes(), account.as_bytes()))?;
            }
            Ok(())
        })
        .await
    }

    /// Makes a draft a video, or replaces a video's index. Objects that the commit does not name are given up. The
    /// same commit again finds the same video.
    ///
    /// Every named object must have been marked stored; [`StoreError::ObjectsMissing`] lists those that were not.
    pub async fn commit_video(
        &self,
        account: AccountId,
        video: VideoId,
        commit: Commit,
        now: UnixMillis,
    ) -> Result<VideoInfo, StoreError> {
        self.write(move |db| {
            let info = find(db, account, video)?;
            if info.state != VideoState::Draft && is_same_commit(db, account, &info, &commit)? {
                return Ok(info);
            }
            if info.state == VideoState::Trashed {
                return Err(StoreError::WrongState("The video is in the trash. Restore it first."));
            }
            if info.index_version != commit.expected_version {
                return Err(StoreError::VersionConflict { current: info.index_version });
            }
            let named: HashSet<ObjectId> = commit.objects.iter().copied().collect();
            let own = [Some(commit.index), commit.card, commit.poster];
            if !own.iter().flatten().all(|object| named.contains(object)) {
                return Err(StoreError::WrongState("Index, card and poster must be among the objects."));
            }

            let mut statement = db.prepare_cached(
                "SELECT id, stored, committed FROM objects WHERE account = ?1 AND video = ?2 ORDER BY number",
            )?;
            let rows = statement.query_map((account.as_bytes(), video.as_bytes()), |row| {
                Ok((ObjectId::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?))
            })?;
            let there: Vec<(ObjectId, bool, bool)> = rows.collect::<Result<_, _>>()?;
            let stored: HashSet<ObjectId> =
                there.iter().filter(|(_, stored, _)| *stored).map(|&(id, ..)| id).collect();
            let missing: Vec<ObjectId> =
                commit.objects.iter().copied().filter(|object| !stored.contains(object)).collect();
            if !missing.is_empty() {
                return Err(StoreError::ObjectsMissing(missing));
            }

            let mut keep = db.prepare_cached("UPDATE objects SET committed = 1 WHERE id = ?1")?;
            for (object, _, committed) in &there {
                if !named.contains(object) {
                    collect::orphan(db, *object, now)?;
                } else if !committed {
                    keep.execute([object.as_bytes()])?;
                }
            }
            db.prepare_cached(
                "UPDATE videos SET state = 'kept', committed_at = coalesce(committed_at, ?3), index_version = ?4,
                                   index_object = ?5, card_object = ?6, poster_object = ?7
                 WHERE account = ?1 AND id = ?2",
            )?
            .execute((
                account.as_bytes(),
                video.as_bytes(),
                now.0,
                commit.index_version,
                commit.index.as_bytes(),
                commit.card.as_ref().map(ObjectId::as_bytes),
                commit.poster.as_ref().map(ObjectId::as_bytes),
            ))?;
            recount(db, account, video)?;
            find(db, account, video)
        })
        .await
    }

    /// Videos in order of id, after `after`.
    pub async fn videos(
        &self,
        account: AccountId,
        after: Option<VideoId>,
        limit: u32,
        state: Option<VideoState>,
    ) -> Result<VideoList, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {VIDEO_COLUMNS} FROM videos
                 WHERE account = ?1 AND (?2 IS NULL OR id > ?2) AND (?3 IS NULL OR state = ?3)
                 ORDER BY id LIMIT ?4"
            ))?;
            let after = after.as_ref().map(VideoId::as_bytes);
            let rows =
                statement.query_map((account.as_bytes(), after, state.map(state_text), limit + 1), info)?;
            let mut videos = rows.collect::<Result<Vec<_>, _>>()?;
            let more = videos.len() > limit as usize;
            videos.truncate(limit as usize);
            Ok(VideoList { videos, more })
        })
        .await
    }

    /// One video.
    pub async fn video(&self, account: AccountId, video: VideoId) -> Result<VideoInfo, StoreError> {
        self.read(move |db| find(db, account, video)).await
    }

    /// Puts a committed video in the trash. There already, it stays.
    pub async fn trash_video(
        &self,
        account: AccountId,
        video: VideoId,
        now: UnixMillis,
    ) -> Result<VideoInfo, StoreError> {
        self.write(move |db| match find(db, account, video)?.state {
            VideoState::Draft => {
                Err(StoreError::WrongState("The video is not uploaded yet. Delete the draft instead."))
            }
            VideoState::Trashed => find(db, account, video),
            VideoState::Kept => {
                db.execute(
                    "UPDATE videos SET state = 'trashed', trashed_at = ?3 WHERE account = ?1 AND id = ?2",
                    (account.as_bytes(), video.as_bytes(), now.0),
                )?;
                find(db, account, video)
            }
        })
        .await
    }

    /// Takes a video out of the trash. Outside already, it stays.
    pub async fn restore_video(&self, account: AccountId, video: VideoId) -> Result<VideoInfo, StoreError> {
        self.write(move |db| {
            if find(db, account, video)?.state == VideoState::Draft {
                return Err(StoreError::WrongState("The video is not uploaded yet."));
            }
            db.execute(
                "UPDATE videos SET state = 'kept', trashed_at = NULL WHERE account = ?1 AND id = ?2",
                (account.as_bytes(), video.as_bytes()),
            )?;
            find(db, account, video)
        })
        .await
    }

    /// Deletes a video for good. Its objects' bytes follow soon after.
    pub async fn delete_video(
        &self,
        account: AccountId,
        video: VideoId,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            find(db, account, video)?;
            collect::remove_video(db, account, video, now)
        })
        .await
    }
}

fn find(db: &Connection, account: AccountId, video: VideoId) -> Result<VideoInfo, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {VIDEO_COLUMNS} FROM videos WHERE account = ?1 AND id = ?2"))?
        .query_row((account.as_bytes(), video.as_bytes()), info)?)
}

/// Whether this commit is the one that made the video what it is: an answer was lost, and the client asks again.
fn is_same_commit(
    db: &Connection,
    account: AccountId,
    info: &VideoInfo,
    commit: &Commit,
) -> Result<bool, StoreError> {
    let same = info.index_version == commit.index_version
        && info.index == Some(commit.index)
        && info.card == commit.card
        && info.poster == commit.poster;
    if !same {
        return Ok(false);
    }
    let mut statement =
        db.prepare_cached("SELECT id FROM objects WHERE account = ?1 AND video = ?2 AND committed = 1")?;
    let rows = statement.query_map((account.as_bytes(), info.video.as_bytes()), |row| {
        Ok(ObjectId::from_bytes(row.get(0)?))
    })?;
    let committed = rows.collect::<Result<HashSet<_>, _>>()?;
    Ok(committed == commit.objects.iter().copied().collect())
}

/// Brings a video's and its account's totals in line with the objects there are.
pub(crate) fn recount(db: &Connection, account: AccountId, video: VideoId) -> Result<(), StoreError> {
    let key = (account.as_bytes(), video.as_bytes());
    let before: u64 = db
        .prepare_cached("SELECT stored_bytes FROM videos WHERE account = ?1 AND id = ?2")?
        .query_row(key, |row| row.get(0))?;
    let (count, bytes): (u64, u64) = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length), 0) FROM objects WHERE account = ?1 AND video = ?2",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    db.prepare_cached(
        "UPDATE videos SET stored_bytes = ?3, object_count = ?4 WHERE account = ?1 AND id = ?2",
    )?
    .execute((account.as_bytes(), video.as_bytes(), bytes, count))?;
    db.prepare_cached("UPDATE accounts SET used_bytes = used_bytes - ?2 + ?3 WHERE id = ?1")?.execute((
        account.as_bytes(),
        before,
        bytes,
    ))?;
    Ok(())
}

fn info(row: &Row<'_>) -> rusqlite::Result<VideoInfo> {
    let state = match row.get_ref(1)?.as_str()? {
        "draft" => VideoState::Draft,
        "kept" => VideoState::Kept,
        "trashed" => VideoState::Trashed,
        other => return Err(unknown_word(1, other)),
    };
    let object =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<[u8; 16]>>(column)?.map(ObjectId::from_bytes));
    Ok(VideoInfo {
        video: VideoId::from_bytes(row.get(0)?),
        state,
        created_at: UnixMillis(row.get(2)?),
        committed_at: row.get::<_, Option<u64>>(3)?.map(UnixMillis),
        trashed_at: row.get::<_, Option<u64>>(4)?.map(UnixMillis),
        stored_bytes: row.get(5)?,
        object_count: row.get(6)?,
        sealed_secret: row.get::<_, Vec<u8>>(7)?.into(),
        index_version: row.get(8)?,
        index: object(9)?,
        card: object(10)?,
        poster: object(11)?,
    })
}

fn state_text(state: VideoState) -> &'static str {
    match state {
        VideoState::Draft => "draft",
        VideoState::Kept => "kept",
        VideoState::Trashed => "trashed",
    }
}
