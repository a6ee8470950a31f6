use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{StoreError, migrate};

/// Commands in one commit at most, so that no answer waits for an endless batch.
const BATCH: usize = 256;
/// Commands that may wait; beyond it, callers wait in turn.
const QUEUE: usize = 1024;
/// Read-only connections.
const READERS: usize = 4;
/// How long to wait for another process (an admin command) that is writing.
const BUSY: Duration = Duration::from_secs(10);

/// The server's memory. Cheap to clone; the database closes with the last clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writes: mpsc::Sender<Box<dyn Job>>,
    readers: Mutex<Vec<Connection>>,
    free_readers: Semaphore,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `path`, made if missing and brought to this build's format. Blocks while it migrates.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        let mut writer = Connection::open(path)?;
        prepare(&writer)?;
        migrate::run(&mut writer, path, migrate::MIGRATIONS)?;
        Self::start(writer, path)
    }

    fn start(writer: Connection, path: &Path) -> Result<Self, StoreError> {
        let readers = (0..READERS).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (writes, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_until_closed(&writer, queue))
            .map_err(StoreError::io("starting the store's thread"))?;
        let inner = Inner {
            path: path.to_owned(),
            writes,
            readers: Mutex::new(readers),
            free_readers: Semaphore::new(READERS),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Writes one row, to learn whether writing works.
    pub async fn probe(&self, now: gloaming_ids::UnixMillis) -> Result<(), StoreError> {
        self.write(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO probe (id, at) VALUES (1, ?1)")?.execute([now.0])?;
            Ok(())
        })
        .await
    }

    /// Runs `work` in a savepoint, and answers when it is on disk. An error undoes `work` and nothing else.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task: Box<dyn Job> = Box::new(Task { work: Some(work), result: None, reply });
        self.inner.writes.send(task).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on one snapshot of what is committed.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let _permit = self.inner.free_readers.acquire().await.map_err(|_| StoreError::Closed)?;
        let inner = self.inner.clone();
        let task = tokio::task::spawn_blocking(move || -> Result<T, StoreError> {
            let mut pool = inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = pool.pop();
            drop(pool);
            // A connection is lost only by a panic in `work`, or by a caller that went away (its permit comes back
            // before its connection does).
            let connection = connection.map_or_else(|| open_reader(&inner.path), Ok)?;
            let result: Result<T, StoreError> = (|| {
                let snapshot = connection.unchecked_transaction()?;
                let value = work(&snapshot)?;
                snapshot.finish()?;
                Ok(value)
            })();
            let mut pool = inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < READERS {
                pool.push(connection);
            }
            result
        });
        task.await.map_err(|fault| StoreError::Database(fault.to_string()))?
    }
}

/// Makes the file, empty, for its owner only, if it is not there. SQLite gives its journals the same mode.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map(drop).map_err(StoreError::io(path.display().to_string()))
}

/// Settings of the connection that writes.
pub(crate) fn prepare(db: &Connection) -> Result<(), StoreError> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Names and tokens of deleted rows do not linger in free pages.
    db.pragma_update(None, "secure_delete", true)?;
    keep_plans(db, 128)
}

/// Statements are compiled once. Without the query planner's stability guarantee SQLite compiles one anew for each use where a
/// parameter was compared with a partial index's condition, in case its value fits: three quarters of what the writer did for a
/// grant.
fn keep_plans(db: &Connection, statements: usize) -> Result<(), StoreError> {
    db.set_prepared_statement_cache_capacity(statements);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY)?;
    keep_plans(&db, 64)?;
    Ok(db)
}

/// A command in the writer's queue.
trait Job: Send {
    /// Does the work; whether to keep it.
    fn run(&mut self, db: &Connection) -> bool;
    /// Tells the caller. `fault` is why the commit failed, if it did.
    fn answer(self: Box<Self>, fault: Option<StoreError>);
}

struct Task<F, T> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Task<F, T>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        // A panic in one command must not take the writer, and with it the server, away from everybody.
        let result = catch_unwind(AssertUnwindSafe(|| work(db)))
            .unwrap_or_else(|_| Err(StoreError::Database("a command panicked".into())));
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, fault: Option<StoreError>) {
        let result = match (self.result, fault) {
            // A command that failed by itself says why, whatever became of the others.
            (Some(Err(own)), _) => Err(own),
            (_, Some(fault)) => Err(fault),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Closed),
        };
        // A caller that went away does not want to know.
        let _ = self.reply.send(result);
    }
}

fn write_until_closed(db: &Connection, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        let fault = commit_together(db, &mut batch).err();
        if fault.is_some() && !db.is_autocommit() {
            // Nothing of a failed batch may leak into the next one.
            let _ = db.execute_batch("ROLLBACK");
        }
        if let Some(fault) = &fault {
            tracing::error!(error = %fault, commands = batch.len(), "a commit failed");
        }
        for job in batch {
            job.answer(fault.as_ref().map(again));
        }
    }
}

fn commit_together(db: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    for job in batch {
        db.prepare_cached("SAVEPOINT command")?.execute([])?;
        if job.run(db) {
            db.prepare_cached("RELEASE command")?.execute([])?;
        } else if db.is_autocommit() {
            // SQLite gives up the whole transaction when the disk is full: what ran before is gone too.
            return Err(StoreError::StorageFull);
        } else {
            db.execute_batch("ROLLBACK TO command; RELEASE command")?;
        }
    }
    Ok(db.execute_batch("COMMIT")?)
}

/// The same fault, for each who waits.
fn again(fault: &StoreError) -> StoreError {
    match fault {
        StoreError::StorageFull => StoreError::StorageFull,
        other => StoreError::Database(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn scratch() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("test.db")).unwrap();
        (dir, store)
    }

    #[test]
    fn a_statement_is_compiled_once_and_not_for_each_use() {
        let compiled_anew = |db: &Connection| {
            db.execute_batch("CREATE TABLE t (a INTEGER, b INTEGER); CREATE INDEX i ON t (a) WHERE b = 1")
                .unwrap();
            let mut statement = db.prepare("SELECT a FROM t WHERE b = ?1").unwrap();
            for b in 0..5 {
                assert!(!statement.exists([b]).unwrap());
            }
            statement.get_status(rusqlite::StatementStatus::RePrepare)
        };
        let dir = tempfile::tempdir().unwrap();
        let ours = Connection::open(dir.path().join("ours.db")).unwrap();
        prepare(&ours).unwrap();
        assert_eq!(compiled_anew(&ours), 0);
        let usual = Connection::open(dir.path().join("usual.db")).unwrap();
        assert!(compiled_anew(&usual) > 0, "SQLite does not do it any more: the setting can go");
    }

    #[tokio::test]
    async fn a_failed_command_undoes_itself_and_not_its_neighbours() {
        let (_dir, store) = scratch();
        let good = store.write(|db| Ok(db.execute("INSERT INTO probe VALUES (1, 5)", [])?));
        let bad = store.write(|db| {
            db.execute("UPDATE probe SET at = 9", [])?;
            Err::<(), _>(StoreError::NotFound)
        });
        let (good, bad) = tokio::join!(good, bad);
        assert_eq!(good.unwrap(), 1);
        assert!(matches!(bad, Err(StoreError::NotFound)));
        let at = store.read(|db| Ok(db.query_row("SELECT at FROM probe", [], |r| r.get::<_, u64>(0))?)).await;
        assert_eq!(at.unwrap(), 5);
    }

    #[tokio::test]
    async fn a_panicking_command_leaves_the_writer_at_work() {
        let (_dir, store) = scratch();
        let panicked = store.write(|_| -> Result<(), StoreError> { panic!("a bug") }).await;
        assert!(matches!(panicked, Err(StoreError::Database(_))));
        store.probe(gloaming_ids::UnixMillis(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_database_says_so_and_keeps_what_it_had() {
        let (_dir, store) = scratch();
        store
            .write(|db| {
                let pages: u64 = db.query_row("PRAGMA page_count", [], |r| r.get(0))?;
                db.query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |_| Ok(()))?;
                Ok(())
            })
            .await
            .unwrap();
        store.probe(gloaming_ids::UnixMillis(7)).await.unwrap();
        let fill = |db: &Connection| {
            db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                 INSERT INTO orphans SELECT randomblob(16), i, 0 FROM n",
                [],
            )?;
            Ok(())
        };
        let (full, neighbour) = tokio::join!(
            store.write(fill),
            store.read(|db| { Ok(db.query_row("SELECT at FROM probe", [], |r| r.get::<_, u64>(0))?) })
        );
        assert!(matches!(full, Err(StoreError::StorageFull)), "{full:?}");
        assert_eq!(neighbour.unwrap(), 7);
        store.probe(gloaming_ids::UnixMillis(8)).await.unwrap();
    }

    #[tokio::test]
    async fn many_writers_at_once_all_get_their_answer() {
        let (_dir, store) = scratch();
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..500u64 {
            let store = store.clone();
            writers.spawn(async move {
                store
                    .write(move |db| {
                        db.execute("INSERT INTO orphans VALUES (?1, ?2, 0)", (n.to_be_bytes(), n))?;
                        Ok(())
                    })
                    .await
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap().unwrap();
        }
        let rows =
            store.read(|db| Ok(db.query_row("SELECT count(*) FROM orphans", [], |r| r.get::<_, u64>(0))?));
        assert_eq!(rows.await.unwrap(), 500);
    }
}
