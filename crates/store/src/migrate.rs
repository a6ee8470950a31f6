//! Numbered migrations, each run once, in order, in one transaction with the row that remembers it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::{StoreError, engine};

/// All of them: migration `n` is at `n - 1`. A migration that was released is never edited, only followed by another.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_shares.sql"),
    include_str!("../migrations/0003_rooms.sql"),
];

/// Brings `db` to the format of `migrations`, copying it aside first if there is anything to lose.
pub(crate) fn run(db: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, checksum BLOB NOT NULL) STRICT",
    )?;
    tx.commit()?;

    let known = u32::try_from(migrations.len()).expect("migrations are few");
    let found: u32 = db.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |r| r.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found > 0 && found < known {
        let aside = copy_name(path, found);
        remove(&aside)?;
        engine::make_private(&aside)?;
        db.execute("VACUUM INTO ?1", [path_text(&aside)?])?;
        tracing::info!(copy = %aside.display(), "copied the database before migrating it");
    }
    for (number, sql) in (1..).zip(migrations) {
        let checksum: [u8; 32] = Sha256::digest(sql.as_bytes()).into();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked inside the transaction: another process may have been quicker.
        let done: Option<[u8; 32]> = tx
            .query_row("SELECT checksum FROM migrations WHERE number = ?1", [number], |r| r.get(0))
            .optional()?;
        match done {
            Some(done) if done == checksum => continue,
            Some(_) => return Err(StoreError::ForeignMigration { number }),
            None => {}
        }
        tx.execute_batch(sql)?;
        tx.execute("INSERT INTO migrations VALUES (?1, ?2)", (number, checksum))?;
        tx.commit()?;
    }
    Ok(())
}

fn copy_name(path: &Path, format: u32) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".format-{format}"));
    path.with_file_name(name)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(format!("removing {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

/// SQLite takes names as text.
pub(crate) fn path_text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "not UTF-8");
        StoreError::Io { what: format!("the name {}", path.display()), source }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    const FIRST: &str = "CREATE TABLE t (a INTEGER)";
    const SECOND: &str = "ALTER TABLE t ADD COLUMN b INTEGER";

    #[test]
    fn a_migration_copies_the_database_aside_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let mut db = Connection::open(&path).unwrap();
        run(&mut db, &path, &[FIRST]).unwrap();
        db.execute("INSERT INTO t VALUES (42)", []).unwrap();
        run(&mut db, &path, &[FIRST, SECOND]).unwrap();
        db.execute("UPDATE t SET b = 1", []).unwrap();

        let aside = Connection::open(dir.path().join("test.db.format-1")).unwrap();
        assert_eq!(aside.query_row("SELECT a FROM t", [], |r| r.get::<_, u64>(0)).unwrap(), 42);
        assert!(aside.prepare("SELECT b FROM t").is_err(), "the copy is from before the migration");
    }

    #[test]
    fn a_new_database_leaves_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        run(&mut Connection::open(&path).unwrap(), &path, &[FIRST, SECOND]).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_database_from_a_newer_build_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let mut db = Connection::open(&path).unwrap();
        run(&mut db, &path, &[FIRST, SECOND]).unwrap();
        let refused = run(&mut db, &path, &[FIRST]);
        assert!(matches!(refused, Err(StoreError::TooNew { found: 2, known: 1 })), "{refused:?}");
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let mut db = Connection::open(&path).unwrap();
        run(&mut db, &path, &[FIRST]).unwrap();
        let refused = run(&mut db, &path, &["CREATE TABLE t (b INTEGER)"]);
        assert!(matches!(refused, Err(StoreError::ForeignMigration { number: 1 })), "{refused:?}");
    }

    #[test]
    fn a_migration_that_fails_half_way_leaves_nothing_of_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let mut db = Connection::open(&path).unwrap();
        run(&mut db, &path, &[FIRST]).unwrap();
        assert!(run(&mut db, &path, &[FIRST, "CREATE TABLE u (a INTEGER); nonsense"]).is_err());
        assert!(db.prepare("SELECT * FROM u").is_err());
        run(&mut db, &path, &[FIRST, SECOND]).unwrap();
    }
}
