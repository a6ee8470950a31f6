use clap::Args;
use gloaming_api::share::ShareKind;
use gloaming_client::{
    ClientError, Library,
    received::{Contents, Received as Row, ReceivedVideo},
};
use gloaming_ids::{ShareId, VideoId};
use serde_json::{Value, json};

use super::{
    block_on,
    contact::spelled,
    date,
    machine::Machine,
    play::{Loopback, until_over},
    remote::Remote,
};
use crate::{Run, failure::Failure, terminal::Terminal};

/// List what others gave or lent to you
///
/// What comes from one of your contacts can be watched with `play`, and what was given saved with `download`. What comes from
/// anybody else is not opened: add them by their contact link, if you know who they are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming received
  gloaming play Harbour
  gloaming download Harbour --mp4 harbour.mp4")]
pub(crate) struct Received {
    #[command(flatten)]
    remote: Remote,
}

impl Run for Received {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let received = library.received().await?;
            let data: Vec<_> = received.iter().map(row_json).collect();
            terminal.print(&data, |_| received.iter().map(lines).collect());
            if received.is_empty() {
                terminal.note("Nobody shared anything with you yet. `gloaming contact` shows the link they need for it.");
            }
            Ok(())
        })
    }
}

/// A video that somebody means.
pub(super) enum Found {
    Own(VideoId),
    Received(ShareId, VideoId),
}

/// One's own video, or else one that was received.
pub(super) async fn find(library: &Library<Machine>, name: &str) -> Result<Found, ClientError> {
    match library.find_video(name) {
        Ok(video) => Ok(Found::Own(video)),
        Err(ClientError::NotFound { .. }) => {
            let (share, video) = library.find_received(name).await?;
            Ok(Found::Received(share, video))
        }
        Err(error) => Err(error),
    }
}

/// Makes a received video playable on a loopback address, until interrupted, or until whoever lent it stops that.
pub(super) async fn play(received: &ReceivedVideo<Machine>, terminal: &Terminal) -> Result<(), Failure> {
    let video = received.video();
    let loopback = Loopback::open(video.clone()).await?;
    let mut data = loopback.addresses();
    data["name"] = json!(received.name());
    data["kind"] = json!(received.kind());
    let videos = received.titles().iter().map(|one| json!({ "video": one.video, "title": one.title }));
    data["videos"] = videos.collect();
    terminal.print(&data, |_| format!("{}\n", loopback.mp4()));
    terminal.note(match received.kind() {
        ShareKind::Given => "Open this in any player; Ctrl-C ends it.",
        _ => "Open this in any player; Ctrl-C ends it. Whoever lent it sees that it is watched, and can stop it.",
    });
    until_over(&loopback, video).await
}

fn state(row: &Row) -> &'static str {
    match &row.contents {
        Contents::Open { .. } => "open",
        Contents::Quarantined { .. } => "unknown_sender",
        Contents::Refused(error) => error.code(),
    }
}

fn kind(row: &Row) -> &'static str {
    if row.kind == ShareKind::Given { "given" } else { "lent" }
}

fn row_json(row: &Row) -> Value {
    let (name, videos, fingerprint): (Option<&String>, Vec<Value>, Option<String>) = match &row.contents {
        Contents::Open { name, videos } => {
            let videos = videos.iter().map(|one| json!({ "video": one.video, "title": one.title }));
            (Some(name), videos.collect(), None)
        }
        Contents::Quarantined { fingerprint } => (None, vec![], fingerprint.map(|f| f.to_string())),
        Contents::Refused(_) => (None, vec![], None),
    };
    json!({
        "share": row.share, "kind": row.kind, "sender": row.sender, "from": row.from,
        "created_at": row.created_at, "policy": row.policy,
        "state": state(row), "name": name, "videos": videos, "fingerprint": fingerprint,
    })
}

fn lines(row: &Row) -> String {
    let short = &row.share.to_string()[..8];
    let begin = format!("{short}  {:<5}  {}  ", kind(row), date(row.created_at));
    match &row.contents {
        Contents::Open { name, videos } => {
            let from = row.from.as_deref().unwrap_or_default();
            let until = match row.policy.until {
                Some(until) => format!("  until {}", date(until)),
                None => String::new(),
            };
            let list = videos.iter().filter(|_| videos.len() > 1);
            let list: String = list.map(|one| format!("          {}\n", one.title)).collect();
            format!("{begin}{name}  from {from}{until}\n{list}")
        }
        Contents::Quarantined { fingerprint } => {
            let fingerprint = fingerprint.as_ref().map_or("none".into(), spelled);
            format!(
                "{begin}not opened: from account {}, which is none of your contacts. If you know who they are, add them by \
                 their contact link\n          The server says that their fingerprint is {fingerprint}\n",
                row.sender
            )
        }
        Contents::Refused(error) => format!("{begin}not opened: {error}\n"),
    }
}
