use gloaming_ids::{AccountId, ShareId, UnixMillis, VideoId};

use crate::{Envelope, Store, StoreError};

/// One envelope, and what it is bound to.
#[derive(Clone, Debug)]
pub struct EnvelopeRow {
    /// Whose.
    pub account: AccountId,
    /// Under which share.
    pub share: ShareId,
    /// Of which video.
    pub video: VideoId,
    /// The envelope.
    pub envelope: Envelope,
}

impl Store {
    /// How many envelopes there are under each master key.
    pub async fn envelopes_by_key(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT key_id, count(*) FROM share_videos WHERE key_id IS NOT NULL GROUP BY key_id ORDER BY key_id",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lets nothing be sealed under any master key but `current` from now on: those that envelopes name are retired,
    /// and so is `old`, which a running server may still hold.
    pub async fn retire_keys(
        &self,
        current: String,
        old: Option<String>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute("DELETE FROM retired_keys WHERE id = ?1", [&current])?;
            db.execute(
                "INSERT OR IGNORE INTO retired_keys (id, retired_at)
                 SELECT DISTINCT key_id, ?2 FROM share_videos WHERE key_id <> ?1
                 UNION SELECT ?3, ?2 WHERE ?3 IS NOT NULL AND ?3 <> ?1",
                (&current, now.0, &old),
            )?;
            Ok(())
        })
        .await
    }

    /// Envelopes under another master key than `current`, `limit` at most.
    pub async fn envelopes_not_under(
        &self,
        current: String,
        limit: u32,
    ) -> Result<Vec<EnvelopeRow>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT s.account, s.id, v.video, v.key_id, v.grant_share, v.view_share
                 FROM share_videos v JOIN shares s ON s.number = v.share
                 WHERE v.key_id IS NOT NULL AND v.key_id <> ?1 LIMIT ?2",
            )?;
            let rows = statement.query_map((current, limit), |row| {
                Ok(EnvelopeRow {
                    account: AccountId::from_bytes(row.get(0)?),
                    share: ShareId::from_bytes(row.get(1)?),
                    video: VideoId::from_bytes(row.get(2)?),
                    envelope: Envelope {
                        key_id: row.get(3)?,
                        grant_share: row.get(4)?,
                        view_share: row.get(5)?,
                    },
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Replaces envelopes by others of the same secrets. One that changed or went meanwhile is left alone: it was
    /// revoked, or somebody else did the same work.
    pub async fn replace_envelopes(&self, changes: Vec<(EnvelopeRow, Envelope)>) -> Result<(), StoreError> {
        self.write(move |db| {
            let mut update = db.prepare_cached(
                "UPDATE share_videos SET key_id = ?4, grant_share = ?5, view_share = ?6
                 WHERE share = (SELECT number FROM shares WHERE id = ?1) AND video = ?2 AND grant_share = ?3",
            )?;
            for (old, new) in &changes {
                update.execute((
                    old.share.as_bytes(),
                    old.video.as_bytes(),
                    &old.envelope.grant_share,
                    &new.key_id,
                    &new.grant_share,
                    &new.view_share,
                ))?;
            }
            Ok(())
        })
        .await
    }
}
