use gloaming_api::{
    account::{AccountInfo, Role, Stretching},
    keyring::SealedKeyring,
};
use gloaming_ids::{AccountId, SessionId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, types::Type};

use crate::{NewSession, Store, StoreError, invite, keyring, session};

/// Everything an account begins with.
#[derive(Debug)]
pub struct NewAccount {
    /// SHA-256 of the set-up or invite token, which is used up.
    pub token_hash: [u8; 32],
    /// The id that the token's holder was told.
    pub account: AccountId,
    /// The name as written.
    pub name: String,
    /// The name as compared.
    pub name_key: String,
    /// OPAQUE `RegistrationRecord`.
    pub opaque_record: Vec<u8>,
    /// How the password is stretched.
    pub stretching: Stretching,
    /// Version 1 of the keyring.
    pub keyring: SealedKeyring,
    /// Ed25519 public key of the recovery phrase.
    pub recovery_key: [u8; 32],
    /// The device that registers, signed in at once.
    pub session: NewSession,
}

/// A password that takes the place of another.
#[derive(Debug)]
pub struct NewPassword {
    /// OPAQUE `RegistrationRecord`.
    pub opaque_record: Vec<u8>,
    /// How it is stretched.
    pub stretching: Stretching,
    /// The account key wrapped under it; the version after that of the wrap it replaces.
    pub password_wrap: Vec<u8>,
}

/// What a sign-in or a recovery needs to know.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose.
    pub account: AccountId,
    /// Whoever runs the server disabled the account.
    pub disabled: bool,
    /// OPAQUE `RegistrationRecord`.
    pub opaque_record: Vec<u8>,
    /// How the password is stretched.
    pub stretching: Stretching,
    /// Ed25519 public key of the recovery phrase.
    pub recovery_key: [u8; 32],
}

/// One line of `gloaming admin usage`.
#[derive(Clone, Debug)]
pub struct AccountUsage {
    /// The account.
    pub info: AccountInfo,
    /// Whoever runs the server disabled it.
    pub disabled: bool,
    /// Its videos, drafts and trash included.
    pub videos: u64,
    /// When one of its devices was last in use.
    pub seen_at: Option<UnixMillis>,
}

impl Store {
    /// Whether somebody owns this server.
    pub async fn has_owner(&self) -> Result<bool, StoreError> {
        self.read(has_owner).await
    }

    /// Which account this token would make under this name.
    pub async fn begin_registration(
        &self,
        token_hash: [u8; 32],
        name_key: String,
        now: UnixMillis,
    ) -> Result<AccountId, StoreError> {
        self.read(move |db| {
            let invite = invite::good(db, token_hash, now)?;
            let taken =
                db.prepare_cached("SELECT 1 FROM accounts WHERE name_key = ?1")?.exists([name_key])?;
            if taken { Err(StoreError::NameTaken) } else { Ok(invite.account) }
        })
        .await
    }

    /// Makes an account with its keyring and first session, and uses up its token.
    pub async fn create_account(&self, new: NewAccount, now: UnixMillis) -> Result<(), StoreError> {
        self.write(move |db| {
            let invite = invite::good(db, new.token_hash, now)?;
            if invite.account != new.account {
                return Err(StoreError::BadInvite);
            }
            let taken =
                db.prepare_cached("SELECT 1 FROM accounts WHERE name_key = ?1")?.exists([&new.name_key])?;
            if taken {
                return Err(StoreError::NameTaken);
            }
            if invite.role == Role::Owner && has_owner(db)? {
                return Err(StoreError::BadInvite);
            }
            db.execute("DELETE FROM invites WHERE token_hash = ?1", [new.token_hash])?;
            db.execute(
                "INSERT INTO accounts (id, name, name_key, role, quota_bytes, created_at, opaque_record,
                                       memory_kib, passes, lanes, recovery_key, feed_head)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                (
                    new.account.as_bytes(),
                    &new.name,
                    &new.name_key,
                    role_text(invite.role),
                    invite.quota_bytes,
                    now.0,
                    &new.opaque_record,
                    new.stretching.memory_kib,
                    new.stretching.passes,
                    new.stretching.lanes,
                    new.recovery_key,
                    gloaming_api::library::EMPTY_HEAD,
                ),
            )?;
            keyring::insert(db, new.account, &new.keyring)?;
            session::insert(db, new.account, &new.session, now)
        })
        .await
    }

    /// What a sign-in under this name needs.
    pub async fn credentials(&self, name_key: String) -> Result<Option<Credentials>, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT id, disabled, opaque_record, memory_kib, passes, lanes, recovery_key
                     FROM accounts WHERE name_key = ?1",
                )?
                .query_row([name_key], |row| {
                    Ok(Credentials {
                        account: AccountId::from_bytes(row.get(0)?),
                        disabled: row.get(1)?,
                        opaque_record: row.get(2)?,
                        stretching: Stretching {
                            memory_kib: row.get(3)?,
                            passes: row.get(4)?,
                            lanes: row.get(5)?,
                        },
                        recovery_key: row.get(6)?,
                    })
                })
                .optional()?)
        })
        .await
    }

    /// One account, as it may know itself.
    pub async fn account(&self, account: AccountId) -> Result<AccountInfo, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT id, name, role, used_bytes, quota_bytes, created_at FROM accounts WHERE id = ?1",
                )?
                .query_row([account.as_bytes()], info)?)
        })
        .await
    }

    /// Replaces the password and the wrap under it; all other sessions end. [`StoreError::VersionConflict`] if the wrap is
    /// not the one that was read.
    pub async fn change_password(
        &self,
        account: AccountId,
        new: NewPassword,
        keep: SessionId,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            replace_password(db, account, &new)?;
            session::end_others(db, account, Some(keep))
        })
        .await
    }

    /// Replaces a forgotten password and the wrap under it; all sessions end, and one begins.
    pub async fn recover_account(
        &self,
        account: AccountId,
        new: NewPassword,
        session: NewSession,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            replace_password(db, account, &new)?;
            session::end_others(db, account, None)?;
            session::insert(db, account, &session, now)
        })
        .await
    }

    /// Shuts an account out, or lets it in again. Shut out, its devices are signed out too.
    pub async fn set_disabled(&self, name_key: String, disabled: bool) -> Result<(), StoreError> {
        self.write(move |db| {
            let id: [u8; 16] = db.query_row(
                "UPDATE accounts SET disabled = ?2 WHERE name_key = ?1 RETURNING id",
                (name_key, disabled),
                |row| row.get(0),
            )?;
            if disabled { session::end_others(db, AccountId::from_bytes(id), None) } else { Ok(()) }
        })
        .await
    }

    /// All accounts and what they take, oldest first.
    pub async fn usage(&self) -> Result<Vec<AccountUsage>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare(
                "SELECT id, name, role, used_bytes, quota_bytes, created_at, disabled,
                        (SELECT count(*) FROM videos WHERE account = accounts.id),
                        (SELECT max(seen_at) FROM sessions WHERE account = accounts.id)
                 FROM accounts ORDER BY rowid",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(AccountUsage {
                    info: info(row)?,
                    disabled: row.get(6)?,
                    videos: row.get(7)?,
                    seen_at: row.get::<_, Option<u64>>(8)?.map(UnixMillis),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(crate) fn has_owner(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT 1 FROM accounts WHERE role = 'owner'")?.exists([])?)
}

fn replace_password(db: &Connection, account: AccountId, new: &NewPassword) -> Result<(), StoreError> {
    let stretching = new.stretching;
    let changed = db.execute(
        "UPDATE accounts SET opaque_record = ?2, memory_kib = ?3, passes = ?4, lanes = ?5 WHERE id = ?1",
        (account.as_bytes(), &new.opaque_record, stretching.memory_kib, stretching.passes, stretching.lanes),
    )?;
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    keyring::replace_password_wrap(db, account, &new.password_wrap)
}

fn info(row: &Row<'_>) -> rusqlite::Result<AccountInfo> {
    Ok(AccountInfo {
        account: AccountId::from_bytes(row.get(0)?),
        username: row.get(1)?,
        role: role(row, 2)?,
        used_bytes: row.get(3)?,
        quota_bytes: row.get(4)?,
        created_at: UnixMillis(row.get(5)?),
    })
}

pub(crate) fn session_id(row: &Row<'_>, column: usize) -> rusqlite::Result<SessionId> {
    Ok(SessionId::from_bytes(row.get(column)?))
}

pub(crate) fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    match row.get_ref(column)?.as_str()? {
        "owner" => Ok(Role::Owner),
        "member" => Ok(Role::Member),
        other => Err(unknown_word(column, other)),
    }
}

pub(crate) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}

/// A CHECK of the schema was not kept: the file is damaged.
pub(crate) fn unknown_word(column: usize, word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("unknown word {word:?}").into())
}
