use gloaming_api::{
    Bytes,
    keyring::{KeyringUpdate, SealedKeyring, UnlockMethod, Wrap, wrap_version},
};
use gloaming_ids::AccountId;
use rusqlite::{Connection, OptionalExtension};

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

    /// Replaces keyring and wraps, if the keyring still has the version that was read, and so has each wrap: it is as it
    /// was, or one version on. A wrap that is left out is dropped.
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
            for wrap in &update.keyring.wraps {
                if stored_wrap(db, account, wrap.method)?.as_ref() != Some(&wrap.sealed.0) {
                    check_follows(db, account, wrap.method, &wrap.sealed.0)?;
                }
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

fn stored_wrap(
    db: &Connection,
    account: AccountId,
    method: UnlockMethod,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(db
        .prepare_cached("SELECT sealed FROM wraps WHERE account = ?1 AND method = ?2")?
        .query_row((account.as_bytes(), method_text(method)), |row| row.get(0))
        .optional()?)
}

/// Whether this wrap is the next version of what is stored: whoever made it had read that.
fn check_follows(
    db: &Connection,
    account: AccountId,
    method: UnlockMethod,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let stored = stored_wrap(db, account, method)?;
    let current = stored.as_deref().and_then(wrap_version).unwrap_or(0);
    if wrap_version(sealed) == current.checked_add(1) {
        Ok(())
    } else {
        Err(StoreError::VersionConflict { current })
    }
}

/// Puts a password's wrap in the place of the one that its writer had read.
pub(crate) fn replace_password_wrap(
    db: &Connection,
    account: AccountId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    check_follows(db, account, UnlockMethod::Password, sealed)?;
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
