use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use gloaming_ids::ObjectId;
use gloaming_keys::{KeyError, SegmentKey, SegmentKeys, VideoSecret};
use gloaming_package::{FragmentRow, Index, OpenError};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// The index's name in a sealed folder; its other files are named by object id.
pub(crate) const INDEX: &str = "index";
/// An offline folder's index is never replaced.
pub(crate) const INDEX_VERSION: u64 = 1;
/// The most that is read of a key file.
const MAX_KEY_FILE: u64 = 4096;

/// A sealed folder and its key.
#[derive(Debug)]
pub(crate) struct SealedDir {
    path: PathBuf,
    index: Index,
    keys: SegmentKeys,
    /// The objects read last, one or two for each track.
    open: Vec<(ObjectId, File)>,
}

impl SealedDir {
    pub(crate) fn open(path: &Path, key: &Path) -> Result<SealedDir, Failure> {
        let (video, secret) = read_key(key)?;
        let index_path = path.join(INDEX);
        let sealed = fs::read(&index_path).map_err(|error| Failure::file(&index_path, &error))?;
        let verifier = secret.signer().verifier();
        let index = Index::open(&sealed, &secret.view_share, video, INDEX_VERSION, &verifier);
        let index = index.map_err(|error| refused(&index_path, error))?;
        Ok(SealedDir {
            path: path.to_owned(),
            index,
            keys: SegmentKeys::new(&secret, video),
            open: Vec::new(),
        })
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Opens a segment fragment by fragment: `take` gets the plaintext of each, in order.
    pub(crate) fn segment(
        &mut self,
        track: u16,
        segment: u32,
        buf: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let about = self.index.track(track).expect("the caller asks for tracks of this index");
        let key = self.keys.derive_segment_key(about.id, segment);
        let row = self.index.segment(track, segment).expect("the caller asks for segments of this index");
        for fragment in &row.fragments {
            self.fragment(fragment, &key, buf)?;
            take(buf)?;
        }
        Ok(())
    }

    fn fragment(&mut self, row: &FragmentRow, key: &SegmentKey, buf: &mut Vec<u8>) -> Result<(), Failure> {
        buf.resize(row.len as usize, 0);
        let path = self.path.join(row.object.to_string());
        self.object(row.object)?.read_exact_at(buf, row.offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => refused(&path, OpenError::Rejected),
            _ => Failure::file(&path, &error),
        })?;
        row.open_in_place(key, buf).map_err(|error| refused(&path, error))
    }

    fn object(&mut self, object: ObjectId) -> Result<&File, Failure> {
        if let Some(position) = self.open.iter().position(|(id, _)| *id == object) {
            self.open[position..].rotate_left(1);
        } else {
            let path = self.path.join(object.to_string());
            let file = File::open(&path).map_err(|error| Failure::file(&path, &error))?;
            if self.open.len() >= 2 * self.index.tracks().len().min(64) {
                self.open.remove(0);
            }
            self.open.push((object, file));
        }
        Ok(&self.open.last().expect("one was put there").1)
    }
}

fn read_key(path: &Path) -> Result<(gloaming_ids::VideoId, VideoSecret), Failure> {
    let failed = |error: &io::Error| Failure::file(path, error);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE as usize));
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(MAX_KEY_FILE).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let secret = str::from_utf8(&bytes).map_err(|_| KeyError::Malformed).and_then(VideoSecret::from_key_file);
    secret.map_err(|error| {
        let message = format!("{} is not a video's key file: {error}", path.display());
        Failure::new(Exit::Refused, error.code(), message)
    })
}

fn refused(path: &Path, error: OpenError) -> Failure {
    Failure::new(Exit::Refused, error.code(), format!("{}: {error}", path.display()))
}
