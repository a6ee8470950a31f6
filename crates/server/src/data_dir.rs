use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use crate::StartError;

/// Held while a server works in a data folder; the operating system lets go of it when the process ends.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not used")] File);

/// Makes the folder if it is missing, for its owner only, and locks it.
pub(crate) fn open(dir: &Path) -> Result<Lock, StartError> {
    make(dir)?;
    make(&dir.join(SECRETS))?;
    let path = dir.join("lock");
    let file = lock_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(dir.to_owned())),
        Err(TryLockError::Error(e)) => Err(StartError::io(path.display().to_string(), e)),
    }
}

/// A file that is there to be locked, for its owner only.
fn lock_file(path: &Path) -> Result<File, StartError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    file.map_err(|e| StartError::io(path.display().to_string(), e))
}

/// Held by whoever replaces the master key, and shared by those who copy database and keys: they must fit.
pub(crate) fn lock_rotation(dir: &Path, alone: bool) -> Result<Lock, StartError> {
    let path = dir.join("rotation.lock");
    let failed = |e| StartError::io(path.display().to_string(), e);
    let file = lock_file(&path)?;
    if alone { file.lock() } else { file.lock_shared() }.map_err(failed)?;
    Ok(Lock(file))
}

/// Where secrets are kept in the data folder.
pub(crate) const SECRETS: &str = "secrets";

/// A folder for its owner only.
pub(crate) fn make(dir: &Path) -> Result<(), StartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| StartError::io(dir.display().to_string(), e))
}

/// Reads a file, or makes it with `fresh` contents, readable by its owner only. It is there whole or not at all.
pub(crate) fn read_or_create(path: &Path, fresh: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, StartError> {
    match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let bytes = fresh();
            write(path, &bytes)?;
            Ok(bytes)
        }
        read => read.map_err(|e| StartError::io(path.display().to_string(), e)),
    }
}

/// Writes a file for its owner only, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StartError> {
    let aside = path.with_extension("new");
    let written: io::Result<()> = (|| {
        let _ = fs::remove_file(&aside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    })();
    written.map_err(|e| StartError::io(path.display().to_string(), e))
}

/// Random bytes from the operating system.
pub(crate) fn entropy(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system has random bytes");
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    entropy(&mut bytes);
    bytes
}
