use clap::{Args, ValueEnum};
use gloaming_client::{
    TrackSummary, VideoRecord,
    library::{Query, Sort, VideoRow, Within},
};
use serde_json::{Value, json};

use super::{block_on, clock, date, remote::Remote, size};
use crate::{Run, failure::Failure, terminal::Terminal};

/// List the library
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    remote: Remote,

    /// Words that occur in title, file name or playlist
    search: Vec<String>,

    /// The order
    #[arg(long, value_enum, default_value = "added")]
    sort: Order,

    /// The other way round
    #[arg(long, short)]
    reverse: bool,

    /// Only this playlist, in its order
    #[arg(long, value_name = "NAME|ID", conflicts_with = "trash")]
    playlist: Option<String>,

    /// The trash
    #[arg(long)]
    trash: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Added,
    Captured,
    Title,
    Duration,
    Size,
    Watched,
}

impl Run for Ls {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let within = match &self.playlist {
                Some(name) => Within::Playlist(library.find_playlist(name)?),
                None if self.trash => Within::Trash,
                None => Within::All,
            };
            let sort = match self.sort {
                Order::Added => Sort::Added,
                Order::Captured => Sort::Captured,
                Order::Title => Sort::Title,
                Order::Duration => Sort::Duration,
                Order::Size => Sort::Size,
                Order::Watched => Sort::Watched,
            };
            let query = Query { search: self.search.join(" "), sort, descending: self.reverse, within };
            let rows: Vec<_> =
                library.view(&query).into_iter().filter_map(|video| library.video(video)).collect();
            let data: Vec<_> = rows.iter().map(row_json).collect();
            terminal.print(&data, |_| rows.iter().map(row_line).collect());
            if rows.is_empty() {
                terminal.note(if library.videos().is_empty() {
                    "The library is empty; `gloaming upload` fills it."
                } else {
                    "Nothing here."
                });
            }
            Ok(())
        })
    }
}

/// Show everything about a video
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title
    video: String,
}

impl Run for Show {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let video = library.find_video(&self.video)?;
            let (row, record) = (library.video(video), library.video_record(video));
            let (row, record) = row.zip(record).expect("it was found a moment ago");
            let lists = library.playlists().into_iter().filter(|list| list.items.contains(&video));
            let lists: Vec<String> = lists.map(|list| list.path.unwrap_or(list.name)).collect();
            let mut data = row_json(&row);
            data["playlists"] = json!(lists);
            data["index_version"] = json!(record.index_version);
            terminal.print(&data, |_| details(&row, &record, &lists));
            Ok(())
        })
    }
}

/// Give a video another title
#[derive(Debug, Args)]
pub(crate) struct Rename {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title
    video: String,

    /// The new title
    title: String,
}

impl Run for Rename {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            Ok(library.rename(library.find_video(&self.video)?, &self.title).await?)
        })
    }
}

/// Videos to do something to.
#[derive(Debug, Args)]
struct Videos {
    #[command(flatten)]
    remote: Remote,

    /// Ids, beginnings of ids, or exact titles
    #[arg(required = true)]
    videos: Vec<String>,
}

/// Put videos into the trash
#[derive(Debug, Args)]
pub(crate) struct Trash {
    #[command(flatten)]
    videos: Videos,
}

impl Run for Trash {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.videos.remote.open().await?.library();
            for name in &self.videos.videos {
                library.trash(library.find_video(name)?).await?;
            }
            Ok(())
        })
    }
}

/// Take videos out of the trash
#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    videos: Videos,
}

impl Run for Restore {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.videos.remote.open().await?.library();
            for name in &self.videos.videos {
                library.restore(library.find_video(name)?).await?;
            }
            Ok(())
        })
    }
}

/// Delete videos for good: what is stored of them, and every trace in the library
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    videos: Videos,
}

impl Run for Delete {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.videos.remote.open().await?.library();
            for name in &self.videos.videos {
                library.delete(library.find_video(name)?).await?;
            }
            Ok(())
        })
    }
}

fn row_json(row: &VideoRow) -> Value {
    let track = |track: &TrackSummary| {
        json!({
            "kind": track.kind, "codec": track.codec, "language": track.language,
            "width": track.width, "height": track.height, "hdr": track.hdr,
        })
    };
    json!({
        "video": row.video, "title": row.title, "file_name": row.file_name, "duration_ms": row.duration_ms,
        "bytes": row.size, "added_at": row.added_at, "captured_at": row.captured_at, "trashed_at": row.trashed_at,
        "position_seconds": row.position, "finished": row.finished,
        "tracks": row.tracks.iter().map(track).collect::<Vec<_>>(),
    })
}

fn row_line(row: &VideoRow) -> String {
    // Ids made in one hour begin alike; their last group does not.
    let id = row.video.to_string();
    let short = id.rsplit('-').next().unwrap_or(&id);
    format!(
        "{short}  {:>8}  {:>10}  {}  {}\n",
        clock(row.duration_ms),
        size(row.size),
        date(row.added_at),
        row.title
    )
}

fn details(row: &VideoRow, record: &VideoRecord, lists: &[String]) -> String {
    let mut out = format!("{}\n  id        {}\n  file      {}\n", row.title, row.video, row.file_name);
    out += &format!(
        "  duration  {}\n  size      {}\n  added     {}\n",
        clock(row.duration_ms),
        size(row.size),
        date(row.added_at)
    );
    if let Some(time) = row.captured_at {
        out += &format!("  recorded  {}\n", date(time));
    }
    if let Some(time) = row.trashed_at {
        out += &format!("  in trash  since {}\n", date(time));
    }
    if let Some(seconds) = row.position.filter(|_| !row.finished) {
        out += &format!("  watched   to {}\n", clock((seconds * 1000.0) as u64));
    }
    for list in lists {
        out += &format!("  playlist  {list}\n");
    }
    for track in &record.tracks {
        let picture =
            if track.width > 0 { format!(", {}×{}", track.width, track.height) } else { String::new() };
        let hdr = if track.hdr { ", HDR" } else { "" };
        let language = if track.language == "und" { String::new() } else { format!(", {}", track.language) };
        out += &format!("  {:<9} {}{picture}{hdr}{language}\n", track.kind, track.codec);
    }
    out
}
