use gloaming_api::{
    people::{PublicKeys, ReceivedShare},
    share::ShareKind,
};
use gloaming_ids::{AccountId, ObjectId, ShareId, UnixMillis, VideoId};
use rusqlite::Connection;

use crate::{
    CommittedIndex, Reservation, Store, StoreError,
    play::{committed_index, committed_objects},
    share::{Standing, json, kind},
};

impl Store {
    /// By which keys an account is known to others from now on.
    pub async fn set_identity(&self, account: AccountId, keys: PublicKeys) -> Result<(), StoreError> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO identities (account, x_wing, ed25519) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account) DO UPDATE SET x_wing = excluded.x_wing, ed25519 = excluded.ed25519",
            )?
            .execute((account.as_bytes(), keys.x_wing.as_ref(), keys.ed25519.as_ref()))?;
            Ok(())
        })
        .await
    }

    /// By which keys an account is known. [`StoreError::NotFound`] if it is disabled, or never said.
    pub async fn identity(&self, account: AccountId) -> Result<PublicKeys, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT i.x_wing, i.ed25519 FROM identities i JOIN accounts a ON a.id = i.account
                     WHERE i.account = ?1 AND a.disabled = 0",
                )?
                .query_row([account.as_bytes()], |row| {
                    let bytes = |column| Ok::<_, rusqlite::Error>(row.get::<_, Vec<u8>>(column)?.into());
                    Ok(PublicKeys { x_wing: bytes(0)?, ed25519: bytes(1)? })
                })?)
        })
        .await
    }

    /// What others gave or lent to an account, the newest first, `limit` at most, from before a share on. Nothing that was
    /// revoked, whose sender is disabled, or of which no video is kept.
    pub async fn received(
        &self,
        account: AccountId,
        before: Option<ShareId>,
        limit: u32,
    ) -> Result<Vec<ReceivedShare>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT s.id, s.account, s.kind, s.policy, s.created_at, s.sealed
                 FROM shares s JOIN accounts a ON a.id = s.account
                 WHERE s.recipient = ?1 AND s.revoked_at IS NULL AND a.disabled = 0
                   AND (?2 IS NULL OR s.number < (SELECT number FROM shares WHERE id = ?2 AND recipient = ?1))
                   AND EXISTS (SELECT 1 FROM share_videos sv JOIN videos v ON v.account = s.account AND v.id = sv.video
                               WHERE sv.share = s.number AND v.state = 'kept')
                 ORDER BY s.number DESC LIMIT ?3",
            )?;
            let key = (account.as_bytes(), before.as_ref().map(ShareId::as_bytes), limit);
            let rows = statement.query_map(key, |row| {
                Ok(ReceivedShare {
                    share: ShareId::from_bytes(row.get(0)?),
                    sender: AccountId::from_bytes(row.get(1)?),
                    kind: kind(row, 2)?,
                    policy: json(row, 3)?,
                    created_at: UnixMillis(row.get(4)?),
                    sealed: row.get::<_, Vec<u8>>(5)?.into(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The committed index of a video that this account was given, while it still is.
    pub async fn gift_index(
        &self,
        account: AccountId,
        share: ShareId,
        video: VideoId,
        now: UnixMillis,
    ) -> Result<CommittedIndex, StoreError> {
        self.read(move |db| committed_index(db, giver(db, account, share, video, now)?, video)).await
    }

    /// These objects of a video that this account was given, in the order asked, while it still is.
    /// [`StoreError::NotFound`] if one is another video's.
    pub async fn gift_objects(
        &self,
        account: AccountId,
        share: ShareId,
        video: VideoId,
        objects: Vec<ObjectId>,
        now: UnixMillis,
    ) -> Result<Vec<Reservation>, StoreError> {
        self.read(move |db| committed_objects(db, giver(db, account, share, video, now)?, video, objects))
            .await
    }
}

/// Who gave this video to this account, if the gift stands.
fn giver(
    db: &Connection,
    account: AccountId,
    share: ShareId,
    video: VideoId,
    now: UnixMillis,
) -> Result<AccountId, StoreError> {
    let standing = Standing::of(db, share, video)?;
    if standing.kind != ShareKind::Given || standing.recipient != Some(account) {
        return Err(StoreError::NotFound);
    }
    standing.must_be_live(now)?;
    Ok(standing.account)
}
