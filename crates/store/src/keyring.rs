use gloaming_api::{
    Bytes,
    keyring::{KeyringUpdate, SealedKeyring, UnlockMethod, Wrap},
};
use gloaming_ids::AccountId;
use rusqlite::Connection;

use crate::{Store, StoreError, account::unknown_word};

impl Store {
    /// The sealed keyring with its wraps.
    pub async fn keyring(&self, account: AccountId) -> Result<SealedKeyring, StoreError> {
        self.read(move |db| {
            let (version, sealed) = db
                .prepare_cached("SELECT version, sealed FROM keyrings WHERE account = ?1")?
                .query_row([account.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut wraps =
                db.prepare_cached("SELECT method, sealed FROM wraps WHERE account = ?1 ORDER BY method")?;
            let wraps = wraps
                .query_map([account.as_bytes()], |row| {
                    let method = match row.get_ref(0)?.as_str()? {
                        "password" => UnlockMethod::Password,
                        "recovery" => UnlockMethod::Recovery,
                        other => return Err(unknown_word(0, other)),
                    };
                    Ok(Wrap { method, sealed: Bytes(row.get(1)?) })
                })?
                .collect::<Result<_, _>>()?;
            Ok(SealedKeyring { version, sealed: Bytes(sealed), wraps })
        })
        .await
    }

    /// Replaces keyring and wraps, if the keyring still has the version that was read.
    pub async fn replace_keyring(&self, account: AccountId, update: KeyringUpdate) -> Result<(), StoreError> {
        self.write(move |db| {
            let current: u64 =
                db.query_row("SELECT version FROM keyrings WHERE account = ?1", [account.as_bytes()], |r| {
                    r.get(0)
                })?;
            if current != update.expected {
                return Err(StoreError::VersionConflict { current });
            }
            if update.keyring.version != current + 1 {
                return Err(StoreError::WrongState("A keyring's version grows by one."));
            }
            db.execute(
                "UPDATE keyrings SET version = ?2, sealed = ?3 WHERE account = ?1",
                (account.as_bytes(), update.keyring.version, &update.keyring.sealed.0),
            )?;
            db.execute("DELETE FROM wraps WHERE account = ?1", [account.as_bytes()])?;
            insert_wraps(db, account, &update.keyring.wraps)
        })
        .await
    }
}

/// Only a new account gets a keyring; afterwards it is replaced, never made.
pub(crate) fn insert(db: &Connection, account: AccountId, keyring: &SealedKeyring) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO keyrings (account, version, sealed) VALUES (?1, ?2, ?3)",
        (account.as_bytes(), keyring.version, &keyring.sealed.0),
    )?;
    insert_wraps(db, account, &keyring.wraps)
}

fn insert_wraps(db: &Connection, account: AccountId, wraps: &[Wrap]) -> Result<(), StoreError> {
    for wrap in wraps {
        db.execute(
            "INSERT OR REPLACE INTO wraps (account, method, sealed) VALUES (?1, ?2, ?3)",
            (account.as_bytes(), method_text(wrap.method), &wrap.sealed.0),
        )?;
    }
    Ok(())
}

pub(crate) fn replace_password_wrap(
    db: &Connection,
    account: AccountId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    db.execute(
        "INSERT OR REPLACE INTO wraps (account, method, sealed) VALUES (?1, ?2, ?3)",
        (account.as_bytes(), method_text(UnlockMethod::Password), sealed),
    )?;
    Ok(())
}

fn method_text(method: UnlockMethod) -> &'static str {
    match method {
        UnlockMethod::Password => "password",
        UnlockMethod::Recovery => "recovery",
    }
}
