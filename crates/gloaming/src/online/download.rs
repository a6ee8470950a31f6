use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use gloaming_client::{OpenVideo, Replayed, open_video};
use serde_json::json;

use super::{
    block_on,
    machine::Machine,
    received::{Found, find},
    remote::Remote,
    size,
};
use crate::{Run, failure::Failure, terminal::Terminal};

/// Get a video back as an MP4 file
///
/// An interrupted download goes on where it was when it is started again: what is there of it is in OUT.part.
#[derive(Debug, Args)]
pub(crate) struct Download {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title, of your own video or of one that you received
    video: String,

    /// The file to write
    #[arg(long, value_name = "OUT")]
    mp4: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl Run for Download {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if !self.force && self.mp4.exists() {
            return Err(Failure::file(&self.mp4, &io::ErrorKind::AlreadyExists.into()));
        }
        block_on(async {
            let session = self.remote.open().await?;
            let library = session.library();
            match find(&library, &self.video).await? {
                Found::Own(video) => save(&open_video(&session, video).await?, &self.mp4, terminal).await,
                Found::Received(share, video) => {
                    let received = library.open_received(share, video).await?;
                    received.may_download()?;
                    save(received.video(), &self.mp4, terminal).await
                }
            }
        })
    }
}

/// Writes a video as an MP4 file, or goes on with that.
pub(super) async fn save(video: &OpenVideo<Machine>, mp4: &Path, terminal: &Terminal) -> Result<(), Failure> {
    let id = video.video();
    let mut download = gloaming_client::Download::new(video).await?;
    let bar = terminal.progress("downloading", download.expected_len());
    let mut out = Partial::open(mp4, &format!("{id} {}", video.version()))?;
    if let Some(replays) = out.replays()? {
        // A part of another build's making is of no use, and no reason to fail.
        match download.replay(&replays) {
            Ok(replayed) if out.cut(replayed)? => {}
            _ => {
                download = gloaming_client::Download::new(video).await?;
                out.restart()?;
            }
        }
    }
    while let Some(piece) = download.next().await? {
        for bytes in &piece.bytes {
            out.write(&bytes.0)?;
        }
        out.note(&piece.replay)?;
        bar.set_position(download.position());
    }
    out.write(&download.finish()?)?;
    let len = out.finish()?;
    bar.finish_and_clear();
    let data = json!({ "video": id, "file": mp4, "bytes": len });
    terminal.print(&data, |_| format!("{}  {}\n", mp4.display(), size(len)));
    Ok(())
}

/// A file in the making, and beside it what is needed to go on with it:
///
/// ```text
/// OUT.part         the file so far
/// OUT.part.boxes   a line that names the video and its index version, then the replays of every piece
/// ```
///
/// The piece is written before its replay, so that every replay's piece is there.
struct Partial {
    out: PathBuf,
    part: PathBuf,
    boxes: PathBuf,
    file: File,
    replay: File,
    name: String,
}

impl Partial {
    fn open(out: &Path, name: &str) -> Result<Partial, Failure> {
        let beside = |suffix: &str| {
            let mut path = out.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        let (part, boxes) = (beside(".part"), beside(".part.boxes"));
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).read(true).mode(0o600).open(path);
            file.map_err(|error| Failure::file(path, &error))
        };
        let (file, replay) = (open(&part)?, open(&boxes)?);
        Ok(Partial { out: out.to_owned(), part, boxes, file, replay, name: format!("{name}\n") })
    }

    /// What an earlier download of the same video noted, or none and a fresh start.
    fn replays(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let noted = fs::read(&self.boxes).map_err(|error| Failure::file(&self.boxes, &error))?;
        match noted.strip_prefix(self.name.as_bytes()) {
            Some(replays) if !replays.is_empty() => Ok(Some(replays.to_vec())),
            _ => {
                self.restart()?;
                Ok(None)
            }
        }
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).map_err(|error| Failure::file(&self.part, &error))?;
        let boxes = &mut self.replay;
        let begun = boxes.set_len(0).and_then(|()| boxes.write_all(self.name.as_bytes()));
        begun.map_err(|error| Failure::file(&self.boxes, &error))
    }

    /// Cuts off what has no replay, and a replay that is not whole. False if there is less than the replays say.
    fn cut(&mut self, Replayed { position, used }: Replayed) -> Result<bool, Failure> {
        let failed = |error: io::Error| Failure::file(&self.part, &error);
        if self.file.metadata().map_err(failed)?.len() < position {
            return Ok(false);
        }
        self.file.set_len(position).map_err(failed)?;
        let noted = (self.name.len() + used) as u64;
        self.replay.set_len(noted).map_err(|error| Failure::file(&self.boxes, &error))?;
        Ok(true)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file(&self.part, &error))
    }

    fn note(&mut self, replay: &[u8]) -> Result<(), Failure> {
        self.replay.write_all(replay).map_err(|error| Failure::file(&self.boxes, &error))
    }

    fn finish(self) -> Result<u64, Failure> {
        let done = self.file.sync_all().and_then(|()| self.file.metadata());
        let len = done.map_err(|error| Failure::file(&self.part, &error))?.len();
        fs::rename(&self.part, &self.out).map_err(|error| Failure::file(&self.out, &error))?;
        let _ = fs::remove_file(&self.boxes);
        Ok(len)
    }
}
