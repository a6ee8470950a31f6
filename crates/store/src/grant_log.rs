use gloaming_api::share::GrantRow;
use gloaming_grants::log::log_next;
use gloaming_ids::{AccountId, PlaybackId, ShareId, TrackId, UnixMillis, VideoId};
use rusqlite::{Connection, OptionalExtension};

use crate::{Store, StoreError, play};

/// Rows cleared away in one transaction.
const CLEAR_AT_ONCE: u32 = 1000;

/// A part of a video's log, and how it stands.
#[derive(Clone, Debug)]
pub struct LogPart {
    /// In order.
    pub rows: Vec<GrantRow>,
    /// Grants in all.
    pub count: u64,
    /// The head after all of them.
    pub head: [u8; 32],
    /// How many of the first were cleared away…
    pub cleared: u64,
    /// …and the head then.
    pub cleared_head: [u8; 32],
}

impl Store {
    /// The log of a video's grants after number `after`, `limit` rows at most. Rows, count and head are of one moment.
    /// The log of a video outlives it.
    pub async fn grant_log(
        &self,
        account: AccountId,
        video: VideoId,
        after: u64,
        limit: u32,
    ) -> Result<Option<LogPart>, StoreError> {
        self.read(move |db| {
            let Some(log) = play::find_log(db, account, video)? else {
                play::exists(db, account, video)?;
                return Ok(None);
            };
            Ok(Some(LogPart {
                rows: rows(db, log.number, after, limit)?,
                count: log.count,
                head: log.head,
                cleared: log.cleared,
                cleared_head: log.cleared_head,
            }))
        })
        .await
    }

    /// Clears away grants from before `cutoff` and playbacks that ended before it, some at a time; how many. The head
    /// after the cleared ones stays, so that the rest of the chain can still be checked.
    pub async fn clear_grant_log(&self, cutoff: UnixMillis) -> Result<usize, StoreError> {
        self.write(move |db| {
            let oldest: Option<(i64, u64, [u8; 32])> = db
                .prepare_cached(
                    "SELECT number, cleared, cleared_head FROM logs WHERE oldest_at < ?1 ORDER BY oldest_at LIMIT 1",
                )?
                .query_row([cutoff.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((log, mut cleared, mut head)) = oldest else {
                return Ok(db.execute(
                    "DELETE FROM plays WHERE number IN (
                         SELECT p.number FROM plays p JOIN logs l ON l.number = p.log
                         WHERE p.seen_at < ?1 AND p.last_number <= l.cleared LIMIT ?2)",
                    (cutoff.0, CLEAR_AT_ONCE),
                )?);
            };
            let before = cleared;
            // In order, and no further than the first that stays: a clock may have jumped.
            for row in rows(db, log, cleared, CLEAR_AT_ONCE)?.iter().take_while(|row| row.at < cutoff) {
                head = log_next(&head, &row.logged());
                cleared = row.number;
            }
            db.execute("DELETE FROM grants WHERE log = ?1 AND number <= ?2", (log, cleared))?;
            db.execute(
                "UPDATE logs SET cleared = ?2, cleared_head = ?3,
                        oldest_at = (SELECT at FROM grants WHERE log = ?1 AND number = ?2 + 1)
                 WHERE number = ?1",
                (log, cleared, head),
            )?;
            Ok(usize::try_from(cleared - before).expect("a thousand at most"))
        })
        .await
    }
}

fn rows(db: &Connection, log: i64, after: u64, limit: u32) -> Result<Vec<GrantRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT g.number, g.at, s.id, p.id, t.track, g.segment, l.network, l.agent
         FROM grants g
         JOIN plays p ON p.number = g.play
         JOIN shares s ON s.number = p.share
         JOIN shared_tracks t ON t.number = g.track
         JOIN places l ON l.number = g.place
         WHERE g.log = ?1 AND g.number > ?2 ORDER BY g.number LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = statement.query_map((log, after, limit), |row| {
        Ok(GrantRow {
            number: row.get(0)?,
            at: UnixMillis(row.get(1)?),
            share: ShareId::from_bytes(row.get(2)?),
            playback: PlaybackId::from_bytes(row.get(3)?),
            track: TrackId::from_bytes(row.get(4)?),
            segment: row.get(5)?,
            network: row.get(6)?,
            agent: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
