//! One run at a time: two would build into the same folders.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
};

use anyhow::{Context as _, Result};

use crate::place;

/// Holds the lock while it lives. The system lets go of it if we are killed.
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    pub(crate) fn take() -> Result<Self> {
        let dir = place::target().join("x");
        fs::create_dir_all(&dir)?;
        let path = dir.join("lock");
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                println!("Another ./x is at work (process {}). Waiting for it…", holder.trim());
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error).context(format!("{}", path.display())),
        }
        file.rewind()?;
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// Does something with the lock held.
pub(crate) fn alone<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _lock = Lock::take()?;
    work()
}
