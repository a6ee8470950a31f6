use std::path::Path;

use gloaming_ids::ObjectId;
use rusqlite::{Connection, OpenFlags};

use crate::{Store, StoreError, engine, migrate};

impl Store {
    /// Writes a whole, consistent copy of the database to `to`, which must not exist. Others may go on writing.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (from, to) = (self.path().to_owned(), to.to_owned());
        let copy = move || -> Result<(), StoreError> {
            let db = Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            engine::make_private(&to)?;
            db.execute("VACUUM INTO ?1", [migrate::path_text(&to)?])?;
            Ok(())
        };
        tokio::task::spawn_blocking(copy).await.map_err(|fault| StoreError::Database(fault.to_string()))?
    }

    /// Whether the file at `path` is a whole database that this build can read; changes nothing.
    pub fn check_backup(path: &Path) -> Result<(), StoreError> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Database(format!("{} is damaged: {verdict}", path.display())));
        }
        let known = u32::try_from(migrate::MIGRATIONS.len()).expect("migrations are few");
        let found: u32 = db.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |r| r.get(0))?;
        if found > known { Err(StoreError::TooNew { found, known }) } else { Ok(()) }
    }

    /// The objects that committed videos of the database at `path` need.
    pub fn objects_in(path: &Path) -> Result<Vec<ObjectId>, StoreError> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = db.prepare("SELECT id FROM objects WHERE committed = 1")?;
        let rows = statement.query_map([], |row| Ok(ObjectId::from_bytes(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
