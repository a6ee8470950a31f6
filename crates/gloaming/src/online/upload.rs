use std::{
    cell::{Cell, RefCell},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use gloaming_client::{
    ClientError, Control, Phase, Progress, PublishOptions, Session, folder, inspect, publish,
};
use gloaming_ids::{RecordId, VideoId};
use indicatif::ProgressBar;
use serde::Serialize;

use super::{
    block_on_stoppable, clock,
    machine::{LocalFile, Machine},
    remote::Remote,
    size,
};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Seal files on this device and store them
///
/// An interrupted upload goes on where it was when it is started again. A folder's sub-folders become playlists, and files
/// that are there already are left out.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    #[command(flatten)]
    remote: Remote,

    /// Videos, or folders of videos
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// What to call it (of a single file)
    #[arg(long)]
    title: Option<String>,

    /// Put everything into this playlist, made if it is not there
    #[arg(long, value_name = "NAME")]
    playlist: Option<String>,

    /// Say what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,

    /// Even what the library has
    #[arg(long)]
    again: bool,
}

struct Item {
    path: PathBuf,
    /// The folder below the one that was named, with slashes.
    folder: Option<String>,
}

#[derive(Serialize)]
struct Outcome {
    file: PathBuf,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<VideoId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

impl Run for Upload {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let items = collect(&self.paths)?;
        if self.title.is_some() && items.len() != 1 {
            return Err(Failure::new(Exit::Usage, "title_of_many", "--title is for a single file"));
        }
        if items.is_empty() {
            return Err(Failure::new(Exit::NotFound, "nothing_to_do", "there is no video in these folders"));
        }
        let control = Control::default();
        block_on_stoppable(&control, async {
            let session = self.remote.open().await?;
            let library = session.library();
            let mut list = None;
            let mut outcomes = Vec::new();
            let mut first_failure = None;
            for item in &items {
                let outcome = match self.one(&session, item, &control, terminal).await {
                    Ok(outcome) => {
                        if let (Some(video), false) = (outcome.video, self.dry_run) {
                            if let Some(name) = &self.playlist {
                                let list = match list {
                                    Some(list) => list,
                                    None => *list.insert(playlist(&session, name).await?),
                                };
                                library.add_to_playlist(list, &[video]).await?;
                            }
                            if let Some(folder) = &item.folder {
                                library.add_to_folder(folder, &[video]).await?;
                            }
                        }
                        outcome
                    }
                    // The whole run cannot go on; what is stored is stored.
                    Err(failure) if items.len() == 1 || stops_all(&failure) => return Err(failure),
                    Err(failure) => {
                        let error = Reason { code: failure.code(), message: failure.to_string() };
                        terminal.note(&format!("{}: {failure}.", item.path.display()));
                        first_failure.get_or_insert(failure);
                        Outcome {
                            file: item.path.clone(),
                            status: "failed",
                            video: None,
                            duration_ms: None,
                            bytes: None,
                            error: Some(error),
                        }
                    }
                };
                outcomes.push(outcome);
            }
            terminal.print(&outcomes, |outcomes| outcomes.iter().map(line).collect());
            first_failure.map_or(Ok(()), Err)
        })
    }
}

/// Whether the next file would fail in the same way.
fn stops_all(failure: &Failure) -> bool {
    matches!(
        failure.exit(),
        Exit::SignedOut
            | Exit::Locked
            | Exit::NotAllowed
            | Exit::Quota
            | Exit::Server
            | Exit::Offline
            | Exit::Refused
            | Exit::Interrupted
    )
}

impl Upload {
    async fn one(
        &self,
        session: &Session<Machine>,
        item: &Item,
        control: &Control,
        terminal: &Terminal,
    ) -> Result<Outcome, Failure> {
        let path = &item.path;
        let source = LocalFile::open(path).map_err(|error| Failure::file(path, &error))?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = |status, video, duration_ms, bytes| Outcome {
            file: path.clone(),
            status,
            video,
            duration_ms,
            bytes,
            error: None,
        };
        if self.dry_run {
            let seen = inspect(session, &source).await?;
            let status = match (seen.already, seen.resumes_at) {
                (Some(_), _) if !self.again => "already there",
                (_, Some(_)) => "would go on",
                _ => "would be stored",
            };
            let duration = u64::try_from(seen.movie.duration().as_millis()).ok();
            return Ok(outcome(status, seen.already, duration, Some(seen.stamp.len)));
        }
        let bar = terminal.progress("", 0);
        bar.set_message(file_name.clone());
        let told = RefCell::new(None::<String>);
        let options = PublishOptions { file_name, title: self.title.clone(), again: self.again };
        let safe = Cell::new(0);
        let listener = |progress: &Progress| {
            safe.set(progress.packs_done);
            show(&bar, terminal, &told, progress);
        };
        let published = loop {
            match publish(session, &source, &options, control, &listener).await {
                Err(ClientError::SlowDown { seconds }) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await
                }
                published => break published,
            }
        };
        bar.finish_and_clear();
        let published = published.map_err(|error| match error {
            ClientError::Cancelled => paused(safe.get()),
            error => error.into(),
        })?;
        let row = session.library().video(published.video);
        let (duration, bytes) = row.map_or((None, None), |row| (Some(row.duration_ms), Some(row.size)));
        let status = if published.already { "already there" } else { "stored" };
        Ok(outcome(status, Some(published.video), duration, bytes))
    }
}

/// Somebody stopped it. How many packs there will be in all is known only once the last is sealed.
fn paused(packs: u64) -> Failure {
    let packs = if packs == 1 { "1 pack is".into() } else { format!("{packs} packs are") };
    let message = format!("paused: {packs} safe. Run the same command to go on");
    Failure::new(Exit::Interrupted, "interrupted", message)
}

fn show(bar: &ProgressBar, terminal: &Terminal, told: &RefCell<Option<String>>, progress: &Progress) {
    bar.set_length(progress.bytes_total);
    bar.set_position(progress.bytes_done);
    if *told.borrow() != progress.waiting {
        match &progress.waiting {
            Some(reason) => {
                terminal.note(&format!("Waiting: {reason}. {} packs are safe.", progress.packs_done))
            }
            None => terminal.note("Going on."),
        }
        told.replace(progress.waiting.clone());
    }
    if progress.phase == Phase::Committing {
        bar.set_message("finishing");
    }
}

fn line(outcome: &Outcome) -> String {
    let file = outcome.file.display();
    match (&outcome.error, outcome.video) {
        (Some(error), _) => format!("{file}: failed: {}\n", error.message),
        (None, video) => {
            let video = video.map_or(String::new(), |video| format!("  {video}"));
            let duration = outcome.duration_ms.map_or(String::new(), |ms| format!("  {}", clock(ms)));
            let bytes = outcome.bytes.map_or(String::new(), |bytes| format!("  {}", size(bytes)));
            format!("{file}: {}{video}{duration}{bytes}\n", outcome.status)
        }
    }
}

/// Every file that was named, and every video in the folders that were.
fn collect(paths: &[PathBuf]) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for path in paths {
        let kind = fs::metadata(path).map_err(|error| Failure::file(path, &error))?;
        if kind.is_dir() {
            let name = path
                .canonicalize()
                .ok()
                .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            walk(path, name.unwrap_or_default(), &mut items)?;
        } else {
            items.push(Item { path: path.clone(), folder: None });
        }
    }
    Ok(items)
}

fn walk(place: &Path, name: String, items: &mut Vec<Item>) -> Result<(), Failure> {
    let entries = fs::read_dir(place).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| Failure::file(place, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, file_name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Links are not followed: they could lead in circles, or out of what was named.
        let kind = entry.file_type().map_err(|error| Failure::file(&path, &error))?;
        if folder::is_hidden(&file_name) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, format!("{name}/{file_name}"), items)?;
        } else if kind.is_file() && folder::is_film(&file_name) {
            items.push(Item { path, folder: Some(name.clone()) });
        }
    }
    Ok(())
}

/// The playlist of this name, made if it is not there.
async fn playlist(session: &Session<Machine>, name: &str) -> Result<RecordId, Failure> {
    let library = session.library();
    match library.playlists().iter().find(|list| list.name == name) {
        Some(list) => Ok(list.id),
        None => Ok(library.create_playlist(name, None).await?),
    }
}
