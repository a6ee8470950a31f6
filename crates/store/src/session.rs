use std::time::Duration;

use gloaming_api::account::{Role, SessionInfo};
use gloaming_ids::{AccountId, SessionId, UnixMillis};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    Store, StoreError,
    account::{role, session_id},
};

/// A session that nobody used for this long has ended.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Sessions of one account at most: opening another ends the one that was used longest ago.
const MAX_SESSIONS: u32 = 200;
/// Expired sessions removed in one transaction.
const EXPIRE_AT_ONCE: u32 = 1000;

/// A device that signs in.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub session: SessionId,
    /// SHA-256 of its token: the token itself is never stored.
    pub token_hash: [u8; 32],
    /// What it calls itself.
    pub device: String,
}

/// Whose request this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session.
    pub session: SessionId,
    /// Its account.
    pub account: AccountId,
    /// What the account may do.
    pub role: Role,
    /// Whoever runs the server disabled the account.
    pub disabled: bool,
    /// When it was last noted as used.
    pub seen_at: UnixMillis,
}

impl Store {
    /// Signs a device in. The session with the token `replaces` ends: it was that device's until now.
    pub async fn open_session(
        &self,
        account: AccountId,
        session: NewSession,
        replaces: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            if let Some(token_hash) = replaces {
                db.prepare_cached("DELETE FROM sessions WHERE token_hash = ?1")?.execute([token_hash])?;
            }
            insert(db, account, &session, now)
        })
        .await
    }

    /// The session with this token, unless it has ended.
    pub async fn session(
        &self,
        token_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Session>, StoreError> {
        self.read(move |db| {
            let found = db
                .prepare_cached(
                    "SELECT s.id, s.account, s.seen_at, a.role, a.disabled
                     FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.token_hash = ?1",
                )?
                .query_row([token_hash], |row| {
                    Ok(Session {
                        session: session_id(row, 0)?,
                        account: AccountId::from_bytes(row.get(1)?),
                        seen_at: UnixMillis(row.get(2)?),
                        role: role(row, 3)?,
                        disabled: row.get(4)?,
                    })
                })
                .optional()?;
            Ok(found.filter(|s| now.since(s.seen_at) <= SESSION_IDLE))
        })
        .await
    }

    /// Notes that a session is in use.
    pub async fn touch_session(&self, session: SessionId, now: UnixMillis) -> Result<(), StoreError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE id = ?1")?
                .execute((session.as_bytes(), now.0))?;
            Ok(())
        })
        .await
    }

    /// The signed-in devices, newest first. `current` is the one that asks.
    pub async fn sessions(
        &self,
        account: AccountId,
        current: SessionId,
        now: UnixMillis,
    ) -> Result<Vec<SessionInfo>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, device, created_at, seen_at FROM sessions WHERE account = ?1
                 ORDER BY created_at DESC, rowid DESC",
            )?;
            let rows = statement.query_map([account.as_bytes()], |row| {
                let session = session_id(row, 0)?;
                Ok(SessionInfo {
                    session,
                    device: row.get(1)?,
                    created_at: UnixMillis(row.get(2)?),
                    seen_at: UnixMillis(row.get(3)?),
                    current: session == current,
                })
            })?;
            let sessions = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(sessions.into_iter().filter(|s| now.since(s.seen_at) <= SESSION_IDLE).collect())
        })
        .await
    }

    /// Signs a device out.
    pub async fn end_session(&self, account: AccountId, session: SessionId) -> Result<(), StoreError> {
        self.write(move |db| {
            let ended = db
                .prepare_cached("DELETE FROM sessions WHERE account = ?1 AND id = ?2")?
                .execute((account.as_bytes(), session.as_bytes()))?;
            if ended == 0 { Err(StoreError::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// Removes sessions that ended by themselves, some at a time; how many.
    pub async fn expire_sessions(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.write(move |db| {
            let idle = u64::try_from(SESSION_IDLE.as_millis()).expect("30 days");
            Ok(db.execute(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE seen_at < ?1 LIMIT ?2)",
                (now.0.saturating_sub(idle), EXPIRE_AT_ONCE),
            )?)
        })
        .await
    }
}

pub(crate) fn insert(
    db: &Connection,
    account: AccountId,
    new: &NewSession,
    now: UnixMillis,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE account = ?1 ORDER BY seen_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute((account.as_bytes(), MAX_SESSIONS - 1))?;
    db.prepare_cached(
        "INSERT INTO sessions (id, token_hash, account, device, created_at, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    )?
    .execute((new.session.as_bytes(), new.token_hash, account.as_bytes(), &new.device, now.0))?;
    Ok(())
}

/// Ends all sessions of an account but one.
pub(crate) fn end_others(
    db: &Connection,
    account: AccountId,
    keep: Option<SessionId>,
) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM sessions WHERE account = ?1 AND id IS NOT ?2",
        (account.as_bytes(), keep.as_ref().map(SessionId::as_bytes)),
    )?;
    Ok(())
}
