use std::time::Duration;

use gloaming_ids::{AccountId, ObjectId, UnixMillis, VideoId};
use rusqlite::Connection;

use crate::{Store, StoreError, share, video};

/// A draft that got no new object for this long is given up, and so is an object that no commit named.
pub const DRAFT_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longer than any signed upload is good for: after it, a deleted object cannot be put back.
const UPLOADS_ARE_OVER: Duration = Duration::from_secs(24 * 60 * 60);
/// Drafts given up in one transaction.
const DRAFTS_AT_ONCE: u32 = 10;

impl Store {
    /// Gives up drafts that nobody touched for [`DRAFT_PATIENCE`], and objects uploaded for a new index that never
    /// came, some at a time; how many things.
    pub async fn give_up_drafts(&self, now: UnixMillis) -> Result<usize, StoreError> {
        let patience = u64::try_from(DRAFT_PATIENCE.as_millis()).expect("seven days");
        let cutoff = now.0.saturating_sub(patience);
        self.write(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT account, id FROM videos WHERE state = 'draft' AND touched_at < ?1 LIMIT ?2",
            )?;
            let rows = statement.query_map((cutoff, DRAFTS_AT_ONCE), |row| {
                Ok((AccountId::from_bytes(row.get(0)?), VideoId::from_bytes(row.get(1)?)))
            })?;
            let drafts: Vec<_> = rows.collect::<Result<_, _>>()?;
            for &(account, video) in &drafts {
                remove_video(db, account, video, now)?;
            }

            let mut statement = db.prepare_cached(
                "SELECT o.id, o.account, o.video FROM objects o
                 JOIN videos v ON v.account = o.account AND v.id = o.video
                 WHERE o.committed = 0 AND o.created_at < ?1 AND v.state <> 'draft' LIMIT 256",
            )?;
            let rows = statement.query_map([cutoff], |row| {
                Ok((
                    ObjectId::from_bytes(row.get(0)?),
                    AccountId::from_bytes(row.get(1)?),
                    VideoId::from_bytes(row.get(2)?),
                ))
            })?;
            let strays: Vec<_> = rows.collect::<Result<_, _>>()?;
            for &(object, account, video) in &strays {
                orphan(db, object, now)?;
                video::recount(db, account, video)?;
            }
            Ok(drafts.len() + strays.len())
        })
        .await
    }

    /// Objects whose bytes should be deleted now, at most `limit`.
    pub async fn orphans(&self, now: UnixMillis, limit: u32) -> Result<Vec<ObjectId>, StoreError> {
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT id FROM orphans WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2")?;
            let rows = statement.query_map((now.0, limit), |row| Ok(ObjectId::from_bytes(row.get(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The bytes of these objects were deleted at `now`.
    pub async fn orphans_deleted(&self, objects: Vec<ObjectId>, now: UnixMillis) -> Result<(), StoreError> {
        self.write(move |db| {
            for object in objects {
                db.prepare_cached("DELETE FROM orphans WHERE id = ?1 AND final_at <= ?2")?
                    .execute((object.as_bytes(), now.0))?;
                db.prepare_cached("UPDATE orphans SET due_at = final_at WHERE id = ?1")?
                    .execute([object.as_bytes()])?;
            }
            Ok(())
        })
        .await
    }
}

/// Forgets an object; its bytes are to be deleted.
pub(crate) fn orphan(db: &Connection, object: ObjectId, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM objects WHERE id = ?1")?.execute([object.as_bytes()])?;
    db.prepare_cached("INSERT INTO orphans (id, due_at, final_at) VALUES (?1, ?2, ?3)")?.execute((
        object.as_bytes(),
        now.0,
        (now + UPLOADS_ARE_OVER).0,
    ))?;
    Ok(())
}

/// Forgets a video, all its objects, and the server's halves of its keys.
pub(crate) fn remove_video(
    db: &Connection,
    account: AccountId,
    video: VideoId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let key = (account.as_bytes(), video.as_bytes());
    db.execute(
        "INSERT INTO orphans (id, due_at, final_at)
         SELECT id, ?3, ?4 FROM objects WHERE account = ?1 AND video = ?2",
        (key.0, key.1, now.0, (now + UPLOADS_ARE_OVER).0),
    )?;
    db.execute("DELETE FROM objects WHERE account = ?1 AND video = ?2", key)?;
    video::recount(db, account, video)?;
    share::forget_keys(db, account, video)?;
    db.execute("DELETE FROM videos WHERE account = ?1 AND id = ?2", key)?;
    Ok(())
}
