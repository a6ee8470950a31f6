use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use gloaming_media::{Demuxer, Extent, MediaError, Movie};

use crate::failure::{Exit, Failure};

/// A file that is taken in. It must stay as it is until [`unchanged`](Source::unchanged) has said so at the end.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    path: PathBuf,
    seen: Metadata,
}

impl Source {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
        let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
        let seen = file.metadata().map_err(|error| Failure::file(path, &error))?;
        if seen.is_dir() {
            return Err(Failure::file(path, &io::ErrorKind::IsADirectory.into()));
        }
        if !seen.is_file() {
            let message = format!(
                "{} is a pipe or a device, and a video is read out of order; copy it to a file first",
                path.display()
            );
            return Err(Failure::new(Exit::Files, "file_not_regular", message));
        }
        Ok(Source { file, path: path.to_owned(), seen })
    }

    pub(crate) fn len(&self) -> u64 {
        self.seen.len()
    }

    /// Reads exactly this range.
    pub(crate) fn read(&self, extent: Extent) -> Result<Vec<u8>, Failure> {
        let len = usize::try_from(extent.len).map_err(|_| MediaError::WrongRange)?;
        let mut bytes = vec![0; len];
        self.read_into(&mut bytes, extent.offset)?;
        Ok(bytes)
    }

    /// Fills `out` from `offset` on.
    pub(crate) fn read_into(&self, out: &mut [u8], offset: u64) -> Result<(), Failure> {
        self.file.read_exact_at(out, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => Failure::file(&self.path, &error),
        })
    }

    /// What the file is.
    pub(crate) fn probe(&self) -> Result<Movie, Failure> {
        let mut demuxer = Demuxer::new(self.len());
        while let Some(extent) = demuxer.need() {
            demuxer.feed(extent.offset, &self.read(extent)?)?;
        }
        Ok(demuxer.finish()?)
    }

    /// Whether it is still the file that was opened: same size, same time of change.
    pub(crate) fn unchanged(&self) -> Result<(), Failure> {
        let now = self.file.metadata().map_err(|error| Failure::file(&self.path, &error))?;
        let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
        if stamp(&now) == stamp(&self.seen) { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Failure {
        let message = format!(
            "{} changed while it was read; wait until nothing writes to it, then start again",
            self.path.display()
        );
        Failure::new(Exit::Changed, "source_changed", message)
    }
}
