use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use clap::Args;
use gloaming_ids::{ObjectId, UnixMillis, VideoId};
use gloaming_keys::VideoSecret;
use gloaming_package::{PackClosed, SealError, SealOptions, SealStep, Sealer};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    Run,
    failure::Failure,
    native::{
        INDEX, INDEX_VERSION, NewDir, NewFile, Source, os_entropy, pad, refuse_existing, seal_fragment,
    },
    terminal::Terminal,
};

/// Seal a video into a folder, without a server: packs, an index, and a key beside it.
///
/// Whoever has the folder has nothing; whoever has the key as well has the video. Keep the two apart.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gloaming seal holiday.mov --to holiday.sealed
  gloaming seal holiday.mov --to /mnt/nas/holiday --key-out ~/keys/holiday.key")]
pub(crate) struct Seal {
    /// The video.
    file: PathBuf,
    /// The folder to make. It must not exist.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Where to put the key [default: DIR.key].
    #[arg(long, value_name = "FILE")]
    key_out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Sealed {
    video: VideoId,
    directory: PathBuf,
    key: PathBuf,
    packs: usize,
    source_bytes: u64,
    stored_bytes: u64,
    elapsed_ms: u64,
    warnings: Vec<String>,
}

impl Run for Seal {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let begin = Instant::now();
        let key_out = self.key_out.unwrap_or_else(|| {
            let mut path = self.to.clone().into_os_string();
            path.push(".key");
            path.into()
        });
        refuse_existing(&key_out)?;
        let dir = NewDir::create(&self.to)?;
        let source = Source::open(&self.file)?;
        let movie = source.probe()?;
        let warnings: Vec<_> = movie.warnings().iter().map(ToString::to_string).collect();

        let mut entropy = os_entropy();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let video = VideoId::generate_at(UnixMillis(now.as_millis() as u64), &mut entropy);
        let secret = VideoSecret::generate(&mut entropy);
        let mut sealer = Sealer::new(movie, &secret, video, SealOptions::default(), &mut entropy)?;

        let progress = terminal.progress("Sealing", sealer.expected_bytes());
        let mut packs = Packs { dir: &dir, shown: &self.to, open: Vec::new(), stored: 0, count: 0 };
        seal(&source, &mut sealer, &mut packs, &progress)?;
        source.unchanged()?;
        let (stored, count) = (packs.stored, packs.count);
        let index = sealer.finish(INDEX_VERSION, &mut entropy)?;
        dir.write(INDEX, &index.bytes)?;

        let mut key = NewFile::create(&key_out)?;
        key.write(secret.to_key_file(video).as_bytes())?;
        key.write(b"\n")?;
        // The key first: a folder without one would be lost, a key without a folder harms nobody.
        key.keep(true)?;
        dir.keep_for_good()?;
        progress.finish_and_clear();

        let report = Sealed {
            video,
            directory: self.to,
            key: key_out,
            packs: count,
            source_bytes: source.len(),
            stored_bytes: stored + index.bytes.len() as u64,
            elapsed_ms: begin.elapsed().as_millis() as u64,
            warnings,
        };
        terminal.print(&report, text);
        Ok(())
    }
}

fn text(report: &Sealed) -> String {
    let mut out = format!(
        "Sealed into {} ({} packs, {} bytes).\nIts key is {}: whoever has both can watch. Without it, nobody can.\n",
        report.directory.display(),
        report.packs,
        report.stored_bytes,
        report.key.display()
    );
    for warning in &report.warnings {
        out += &format!("Note: {warning}.\n");
    }
    out
}

fn seal(
    source: &Source,
    sealer: &mut Sealer,
    packs: &mut Packs<'_>,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let mut buf = Vec::new();
    loop {
        match sealer.next()? {
            SealStep::Need(extent) => sealer.feed(extent.offset, &source.read(extent)?)?,
            SealStep::Fragment(job) => {
                let (place, plaintext_len) = (job.place, job.plaintext_len);
                let read = |out: &mut [u8], offset| source.read_into(out, offset);
                let (sealed, sha256) = seal_fragment(&job.into(), read, &mut buf)?;
                packs.put(place.track, sealed)?;
                sealer.sealed(place, sha256)?;
                progress.inc(plaintext_len);
            }
            SealStep::PackClosed(closed) => sealer.stored(closed.pack, packs.close(closed)?)?,
            SealStep::Done => return Ok(()),
        }
    }
}

/// The packs that are being written, at most one for each track.
struct Packs<'a> {
    dir: &'a NewDir,
    /// The folder's name to be, for messages.
    shown: &'a Path,
    open: Vec<(u16, ObjectId, File)>,
    stored: u64,
    count: usize,
}

impl Packs<'_> {
    fn put(&mut self, track: u16, sealed: &[u8]) -> Result<(), Failure> {
        if !self.open.iter().any(|(of, ..)| *of == track) {
            let object = ObjectId::generate(&mut os_entropy());
            let file = File::create_new(self.dir.inside(&object.to_string()));
            self.open.push((track, object, file.map_err(|error| Failure::file(self.shown, &error))?));
        }
        let pack = self.open.iter_mut().find(|(of, ..)| *of == track);
        let (.., file) = pack.expect("it was opened");
        file.write_all(sealed).map_err(|error| Failure::file(self.shown, &error))
    }

    fn close(&mut self, closed: PackClosed) -> Result<ObjectId, Failure> {
        let position = self.open.iter().position(|(of, ..)| *of == closed.pack.track);
        let position = position.ok_or(SealError::Unfinished)?;
        let (_, object, mut file) = self.open.swap_remove(position);
        file.write_all(&pad(closed.padding)).map_err(|error| Failure::file(self.shown, &error))?;
        self.stored += closed.stored_len();
        self.count += 1;
        Ok(object)
    }
}
