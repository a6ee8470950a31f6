use std::{collections::HashMap, time::Duration};

use clap::Args;
use gloaming_api::share::{GrantRow, PlayInfo};
use gloaming_client::{Library, Watched, open_video};
use gloaming_ids::{PlaybackId, ShareId};
use serde_json::{Value, json};

use super::{block_on, clock, date, machine::Machine, remote::Remote};
use crate::{Run, failure::Failure, terminal::Terminal};

/// How often a log that is followed is asked for.
const GLANCE: Duration = Duration::from_secs(2);

/// Show who watched a video under a share, by the log of every granted segment
///
/// The log is a chain that is recomputed here each time, signed by the server, and compared with what this account saw of
/// it before: a log that shrank or was rewritten is an error. That the server wrote down everything it cannot show.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming grants Harbour
  gloaming grants Harbour --verify
  gloaming grants Harbour --follow")]
pub(crate) struct Grants {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title
    video: String,

    /// Only check it
    #[arg(long, conflicts_with = "follow")]
    verify: bool,

    /// Print every grant as it comes, until interrupted
    #[arg(long)]
    follow: bool,
}

impl Run for Grants {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let session = self.remote.open().await?;
            let library = session.library();
            let id = library.find_video(&self.video)?;
            let mut log = library.grant_log(id);
            if self.verify {
                while log.next().await?.is_some() {}
                let data =
                    json!({ "video": id, "grants": log.count(), "cleared": log.cleared(), "good": true });
                terminal.print(&data, |_| match log.cleared() {
                    0 => format!("{} grants, and the chain is whole.\n", log.count()),
                    gone => format!(
                        "{} grants, of which the first {gone} were cleared away; the chain is whole since.\n",
                        log.count()
                    ),
                });
                return Ok(());
            }
            if self.follow {
                loop {
                    while let Some(rows) = log.next().await? {
                        for row in &rows {
                            terminal.line(row, |row| row_line(row, &library));
                        }
                    }
                    tokio::time::sleep(GLANCE).await;
                }
            }
            let video = open_video(&session, id).await?;
            let mut watched = HashMap::new();
            while let Some(rows) = log.next().await? {
                rows.iter().for_each(|row| Watched::count(&mut watched, video.index(), row));
            }
            let mut watched: Vec<Watched> = watched.into_values().collect();
            watched.sort_by_key(|one| (std::cmp::Reverse(one.first_at), one.playback));
            let plays: HashMap<PlaybackId, PlayInfo> =
                library.plays(id).await?.into_iter().map(|play| (play.playback, play)).collect();
            let duration = u64::try_from(video.index().duration().as_millis()).unwrap_or(u64::MAX);
            let rows = watched.iter().map(|one| watched_json(one, plays.get(&one.playback), &library));
            let data = json!({
                "video": id, "grants": log.count(), "cleared": log.cleared(), "duration_ms": duration,
                "playbacks": rows.collect::<Vec<_>>(),
            });
            terminal.print(&data, |_| {
                let lines =
                    watched.iter().map(|one| watched_line(one, plays.get(&one.playback), &library, duration));
                lines.collect()
            });
            if watched.is_empty() {
                terminal.note("Nobody has watched this under a share.");
            }
            Ok(())
        })
    }
}

fn label(share: ShareId, library: &Library<Machine>) -> String {
    let record = library.share_record(share);
    let label = record.map(|record| record.label).filter(|label| !label.is_empty());
    label.unwrap_or_else(|| format!("share {}", &share.to_string()[..8]))
}

fn row_line(row: &GrantRow, library: &Library<Machine>) -> String {
    format!(
        "{:>7}  {}  {}  segment {} of {}  {}  {}\n",
        row.number,
        date(row.at),
        label(row.share, library),
        row.segment,
        &row.track.to_string()[..8],
        row.network,
        row.agent
    )
}

fn watched_json(one: &Watched, play: Option<&PlayInfo>, library: &Library<Machine>) -> Value {
    json!({
        "playback": one.playback, "share": one.share, "label": label(one.share, library),
        "first_at": one.first_at, "last_at": one.last_at, "grants": one.grants, "furthest_ms": one.furthest_ms,
        "network": one.network, "agent": one.agent,
        "watching": play.is_some_and(|play| play.watching),
        "startup_ms": play.and_then(|play| play.startup_ms), "stalls": play.map(|play| play.stalls),
    })
}

fn watched_line(one: &Watched, play: Option<&PlayInfo>, library: &Library<Machine>, duration: u64) -> String {
    let now = if play.is_some_and(|play| play.watching) { "  watching now" } else { "" };
    format!(
        "{}  {}  to {} of {}  {} segments  {}  {}{now}\n",
        date(one.first_at),
        label(one.share, library),
        clock(one.furthest_ms.min(duration)),
        clock(duration),
        one.grants,
        one.network,
        one.agent
    )
}
