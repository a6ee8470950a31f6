use gloaming_api::account::{Invite, Role};
use gloaming_ids::{AccountId, InviteId, UnixMillis};
use rusqlite::{Connection, OptionalExtension};

use crate::{Store, StoreError, account};

/// Invites that may be open at once.
const MAX_INVITES: u64 = 1000;

/// Leave to make an account, about to be given.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// Its id.
    pub invite: InviteId,
    /// The account it will make: fixed now, so that a client may seal a keyring under it and try again.
    pub account: AccountId,
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// For whoever invites.
    pub label: String,
    /// Quota of the account it makes.
    pub quota_bytes: Option<u64>,
    /// When it stops being good.
    pub expires_at: UnixMillis,
}

/// An invite that is good.
pub(crate) struct Good {
    pub(crate) account: AccountId,
    pub(crate) role: Role,
    pub(crate) quota_bytes: Option<u64>,
}

impl Store {
    /// Makes `token_hash` the one token of the set-up link, unless there is an owner already; whether it is good now.
    /// The same token again changes nothing.
    pub async fn offer_setup(
        &self,
        token_hash: [u8; 32],
        invite: InviteId,
        owner: AccountId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |db| {
            if account::has_owner(db)? {
                return Ok(false);
            }
            db.execute("DELETE FROM invites WHERE role = 'owner' AND token_hash <> ?1", [token_hash])?;
            db.execute(
                "INSERT OR IGNORE INTO invites (id, token_hash, account, role, label, created_at)
                 VALUES (?1, ?2, ?3, 'owner', 'set-up', ?4)",
                (invite.as_bytes(), token_hash, owner.as_bytes(), now.0),
            )?;
            Ok(true)
        })
        .await
    }

    /// Gives leave to make an account.
    pub async fn create_invite(&self, new: NewInvite, now: UnixMillis) -> Result<Invite, StoreError> {
        self.write(move |db| {
            db.execute("DELETE FROM invites WHERE expires_at <= ?1", [now.0])?;
            if db.query_row("SELECT count(*) FROM invites", [], |r| r.get::<_, u64>(0))? >= MAX_INVITES {
                return Err(StoreError::WrongState("Too many invites are open. Take some back first."));
            }
            db.execute(
                "INSERT INTO invites (id, token_hash, account, role, label, quota_bytes, created_at, expires_at)
                 VALUES (?1, ?2, ?3, 'member', ?4, ?5, ?6, ?7)",
                (
                    new.invite.as_bytes(),
                    new.token_hash,
                    new.account.as_bytes(),
                    &new.label,
                    new.quota_bytes,
                    now.0,
                    new.expires_at.0,
                ),
            )?;
            Ok(Invite { invite: new.invite, label: new.label, expires_at: new.expires_at, token: None })
        })
        .await
    }

    /// Invites that are still good, newest first.
    pub async fn invites(&self, now: UnixMillis) -> Result<Vec<Invite>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, label, expires_at FROM invites WHERE role = 'member' AND expires_at > ?1
                 ORDER BY created_at DESC, rowid DESC",
            )?;
            let rows = statement.query_map([now.0], |row| {
                Ok(Invite {
                    invite: InviteId::from_bytes(row.get(0)?),
                    label: row.get(1)?,
                    expires_at: UnixMillis(row.get(2)?),
                    token: None,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes an invite back.
    pub async fn delete_invite(&self, invite: InviteId) -> Result<(), StoreError> {
        self.write(move |db| {
            let deleted =
                db.execute("DELETE FROM invites WHERE id = ?1 AND role = 'member'", [invite.as_bytes()])?;
            if deleted == 0 { Err(StoreError::NotFound) } else { Ok(()) }
        })
        .await
    }
}

/// The invite with this token, if it is good.
pub(crate) fn good(db: &Connection, token_hash: [u8; 32], now: UnixMillis) -> Result<Good, StoreError> {
    db.prepare_cached(
        "SELECT account, role, quota_bytes FROM invites
         WHERE token_hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
    )?
    .query_row((token_hash, now.0), |row| {
        Ok(Good {
            account: AccountId::from_bytes(row.get(0)?),
            role: account::role(row, 1)?,
            quota_bytes: row.get(2)?,
        })
    })
    .optional()?
    .ok_or(StoreError::BadInvite)
}
