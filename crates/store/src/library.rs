use std::collections::HashSet;

use gloaming_api::{
    Bytes,
    library::{EMPTY_HEAD, Entry, Feed, MAX_FEED, Written, next_head, record_digest},
};
use gloaming_ids::{AccountId, RecordId};
use rusqlite::OptionalExtension;

use crate::{Store, StoreError};

/// Sealed bytes that one account's records may take together. A record is a title or a position, so this is millions
/// of them; it only keeps a library from becoming a place to store files past the quota.
pub const LIBRARY_LIMIT: u64 = 1 << 30;

/// Sealed bytes in one answer at most, so that a feed of large records is read in several.
const FEED_BYTES: usize = 16 << 20;

impl Store {
    /// The feed after position `since`, at most `limit` entries ([`MAX_FEED`] at most).
    pub async fn feed(&self, account: AccountId, since: u64, limit: u32) -> Result<Feed, StoreError> {
        self.read(move |db| {
            let last = db
                .prepare_cached("SELECT feed_last FROM accounts WHERE id = ?1")?
                .query_row([account.as_bytes()], |row| row.get(0))?;
            let mut head = if since == 0 {
                EMPTY_HEAD
            } else {
                // A client that remembers more than there is compares this head with its own, and raises the alarm.
                db.prepare_cached("SELECT head FROM feed WHERE account = ?1 AND seq = ?2")?
                    .query_row((account.as_bytes(), since.min(last)), |row| row.get(0))
                    .optional()?
                    .unwrap_or(EMPTY_HEAD)
            };
            let mut statement = db.prepare_cached(
                "SELECT f.seq, f.record, f.version, f.deleted, f.digest, f.head, r.sealed
                 FROM feed f LEFT JOIN records r
                   ON r.account = f.account AND r.record = f.record AND r.seq = f.seq
                 WHERE f.account = ?1 AND f.seq > ?2 ORDER BY f.seq LIMIT ?3",
            )?;
            let mut rows = statement.query((account.as_bytes(), since, limit.clamp(1, MAX_FEED)))?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while bytes < FEED_BYTES
                && let Some(row) = rows.next()?
            {
                let sealed: Option<Vec<u8>> = row.get(6)?;
                bytes += sealed.as_ref().map_or(0, Vec::len);
                head = row.get(5)?;
                entries.push(Entry {
                    seq: row.get(0)?,
                    record: RecordId::from_bytes(row.get(1)?),
                    version: row.get(2)?,
                    deleted: row.get(3)?,
                    digest: Bytes(row.get(4)?),
                    sealed: sealed.map(Bytes),
                });
            }
            Ok(Feed { entries, last, head: head.to_vec().into() })
        })
        .await
    }

    /// Writes all changes, or none if one of them was not made from the newest version.
    pub async fn write_library(
        &self,
        account: AccountId,
        changes: Vec<gloaming_api::library::Change>,
    ) -> Result<Written, StoreError> {
        self.write(move |db| {
            let (mut last, mut head, mut bytes): (u64, [u8; 32], u64) = db
                .prepare_cached("SELECT feed_last, feed_head, library_bytes FROM accounts WHERE id = ?1")?
                .query_row([account.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let before = bytes;
            let mut seen = HashSet::new();
            for change in &changes {
                if !seen.insert(change.record) {
                    return Err(StoreError::WrongState("One request changes a record once."));
                }
                let (current, old): (u64, u64) = db
                    .prepare_cached(
                        "SELECT version, coalesce(length(sealed), 0) FROM records
                         WHERE account = ?1 AND record = ?2",
                    )?
                    .query_row((account.as_bytes(), change.record.as_bytes()), |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?
                    .unwrap_or_default();
                if current != change.expected {
                    return Err(StoreError::RecordConflict { record: change.record, current });
                }
                let sealed = change.sealed.as_ref().map(|sealed| sealed.0.as_slice());
                let entry = Entry {
                    seq: last + 1,
                    record: change.record,
                    version: current + 1,
                    digest: record_digest(sealed.unwrap_or_default()).to_vec().into(),
                    sealed: None,
                    deleted: sealed.is_none(),
                };
                (last, head) = (entry.seq, next_head(&head, &entry));
                bytes = bytes - old + sealed.map_or(0, <[u8]>::len) as u64;
                db.prepare_cached(
                    "INSERT OR REPLACE INTO records (account, record, version, seq, sealed)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute((
                    account.as_bytes(),
                    change.record.as_bytes(),
                    entry.version,
                    entry.seq,
                    sealed,
                ))?;
                db.prepare_cached(
                    "INSERT INTO feed (account, seq, record, version, deleted, digest, head)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((
                    account.as_bytes(),
                    entry.seq,
                    change.record.as_bytes(),
                    entry.version,
                    entry.deleted,
                    &entry.digest.0,
                    head,
                ))?;
            }
            if bytes > before && bytes > LIBRARY_LIMIT {
                return Err(StoreError::QuotaExceeded { used: before, quota: LIBRARY_LIMIT });
            }
            db.prepare_cached(
                "UPDATE accounts SET feed_last = ?2, feed_head = ?3, library_bytes = ?4 WHERE id = ?1",
            )?
            .execute((account.as_bytes(), last, head, bytes))?;
            Ok(Written { last, head: head.to_vec().into() })
        })
        .await
    }
}
