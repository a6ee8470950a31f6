//! Files and folders that appear under their name only when they are complete, and never in the place of another.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempDir};

use crate::failure::Failure;

/// A file in the making, beside where it will be. Dropped before [`keep`](NewFile::keep), it is gone.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<NewFile, Failure> {
        refuse_existing(path)?;
        let file = tempfile::Builder::new()
            .prefix(&partial(path))
            .tempfile_in(parent(path))
            .map_err(|error| Failure::file(path, &error))?;
        Ok(NewFile { path: path.to_owned(), file: BufWriter::with_capacity(1 << 18, file) })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file(&self.path, &error))
    }

    /// It is complete: gives it its name. A secret's file stays readable to its owner only.
    pub(crate) fn keep(self, secret: bool) -> Result<(), Failure> {
        let NewFile { path, file } = self;
        let failed = |error: &io::Error| Failure::file(&path, error);
        let file = file.into_inner().map_err(|error| failed(error.error()))?;
        if !secret {
            share(file.path()).map_err(|error| failed(&error))?;
        }
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        file.persist_noclobber(&path).map_err(|error| failed(&error.error))?;
        sync_name(&path).map_err(|error| failed(&error))
    }
}

/// A folder in the making, beside where it will be. Dropped before [`keep`](NewDir::keep), it is gone.
#[derive(Debug)]
pub(crate) struct NewDir {
    path: PathBuf,
    dir: TempDir,
}

impl NewDir {
    pub(crate) fn create(path: &Path) -> Result<NewDir, Failure> {
        refuse_existing(path)?;
        let dir = tempfile::Builder::new()
            .prefix(&partial(path))
            .tempdir_in(parent(path))
            .map_err(|error| Failure::file(path, &error))?;
        Ok(NewDir { path: path.to_owned(), dir })
    }

    /// A path inside it, for now.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file inside it, and the folders above that.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.inside(name);
        let written = fs::create_dir_all(parent(&path)).and_then(|()| fs::write(&path, bytes));
        written.map_err(|error| Failure::file(&self.path.join(name), &error))
    }

    /// It is complete: gives it its name.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::file(&self.path, error);
        refuse_existing(&self.path)?;
        share(self.dir.path()).map_err(|error| failed(&error))?;
        fs::rename(self.dir.path(), &self.path).map_err(|error| failed(&error))?;
        // Renamed away: there is nothing left to remove.
        let _ = self.dir.keep();
        Ok(())
    }

    /// Like [`keep`](NewDir::keep), after everything directly inside has reached the disk, and until the name has:
    /// whoever is told that it is there may delete what it was made of.
    pub(crate) fn keep_for_good(self) -> Result<(), Failure> {
        let path = self.path.clone();
        let synced = fs::read_dir(self.dir.path()).and_then(|mut entries| {
            entries.try_for_each(|entry| fs::File::open(entry?.path())?.sync_all())?;
            fs::File::open(self.dir.path())?.sync_all()
        });
        synced.map_err(|error| Failure::file(&path, &error))?;
        self.keep()?;
        sync_name(&path).map_err(|error| Failure::file(&path, &error))
    }
}

/// Says so early where an output exists; the moment it is kept, it is asked again.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Failure::file(path, &io::ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

/// Until this has returned, a power cut may take back that there is something of that name.
fn sync_name(path: &Path) -> io::Result<()> {
    fs::File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.name.partial-`: hidden, and says what it is.
fn partial(path: &Path) -> String {
    format!(".{}.partial-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Temporary files are their maker's alone; what was asked for gets the permissions that a file or a folder made in
/// the usual way has here. (The mask cannot be read without changing it, so one is made and looked at.)
fn share(path: &Path) -> io::Result<()> {
    let mut sample = path.as_os_str().to_owned();
    sample.push(".mode");
    let sample = Path::new(&sample);
    let permissions = if path.is_dir() {
        fs::create_dir(sample)?;
        let permissions = fs::metadata(sample).map(|made| made.permissions());
        fs::remove_dir(sample)?;
        permissions?
    } else {
        let permissions = fs::File::create_new(sample)?.metadata().map(|made| made.permissions());
        fs::remove_file(sample)?;
        permissions?
    };
    fs::set_permissions(path, permissions)
}
