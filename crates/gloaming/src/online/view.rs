use std::path::{Path, PathBuf};

use clap::Args;
use gloaming_client::{
    OpenVideo,
    viewer::{SharedTitle, ViewerLink, Viewing},
};
use gloaming_ids::VideoId;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    block_on,
    download::save,
    machine::Machine,
    play::{Loopback, until_over},
    received,
    remote::{Remote, ask, first_line},
};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Watch what somebody shared with you, in any player on this machine, until interrupted
///
/// For a link no account is needed. Whoever shared it sees that it was watched, when, and from what network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming view 'https://films.example/v/…#…'
  gloaming view 'https://films.example/v/…#…' --video 3
  gloaming view 'https://films.example/v/…#…' --mp4 harbour.mp4
  gloaming view Harbour")]
pub(crate) struct View {
    #[command(flatten)]
    remote: Remote,

    /// The whole link, with what stands behind its #; or the title or id of what was given or lent to your account
    link: String,

    /// Which video of a playlist: its number, id or title
    #[arg(long, value_name = "N|ID|TITLE")]
    video: Option<String>,

    /// Save it as this file, where its owner allows that
    #[arg(long, value_name = "OUT")]
    mp4: Option<PathBuf>,

    /// Replace the file if it is there
    #[arg(long, requires = "mp4")]
    force: bool,

    /// A file whose first line is the link's password (or set GLOAMING_LINK_PASSWORD)
    #[arg(long, value_name = "FILE")]
    link_password_file: Option<PathBuf>,
}

impl View {
    fn password(&self) -> Result<Zeroizing<String>, Failure> {
        match (&self.link_password_file, std::env::var("GLOAMING_LINK_PASSWORD")) {
            (Some(path), _) => first_line(path),
            (None, Ok(password)) => Ok(Zeroizing::new(password)),
            (None, Err(_)) => {
                if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
                    let message =
                        "this link wants a password; use --link-password-file or GLOAMING_LINK_PASSWORD";
                    return Err(Failure::new(Exit::Locked, "password_needed", message));
                }
                ask("The link's password: ")
            }
        }
    }
}

/// Whether this is meant to be a link, and not a title or an id.
fn is_link(text: &str) -> bool {
    ["://", "/v/", "/embed/", "#"].iter().any(|part| text.contains(part))
}

fn must_be_free(out: &Path, force: bool) -> Result<(), Failure> {
    if !force && out.exists() {
        return Err(Failure::file(out, &std::io::ErrorKind::AlreadyExists.into()));
    }
    Ok(())
}

impl View {
    /// Of what was shared with this account.
    fn received(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let (share, first) = library.find_received(&self.link).await?;
            let mut received = library.open_received(share, first).await?;
            if let Some(name) = &self.video {
                received = library.open_received(share, find(received.titles(), name)?).await?;
            }
            let Some(out) = &self.mp4 else { return received::play(&received, terminal).await };
            received.may_download()?;
            save(received.video(), out, terminal).await
        })
    }
}

impl Run for View {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if let Some(out) = &self.mp4 {
            must_be_free(out, self.force)?;
        }
        if !is_link(&self.link) {
            return self.received(terminal);
        }
        let link = ViewerLink::parse(&self.link)?;
        let password = if link.wants_password() { Some(self.password()?) } else { None };
        block_on(async {
            let client = self.remote.viewer(&self.link)?;
            let password = password.as_deref().map(String::as_str);
            // An id can be asked for at once; a number or a title is known only when the share is open.
            let id: Option<VideoId> = self.video.as_ref().and_then(|name| name.parse().ok());
            let viewing = Viewing::begin(&client, &link, password, id, false).await?;
            let titles = viewing.titles();
            let wanted = self.video.as_deref().map(|name| find(&titles, name)).transpose()?;
            let video = match wanted.filter(|wanted| *wanted != viewing.video().video()) {
                Some(other) => viewing.open(other).await?,
                None => viewing.video().clone(),
            };
            if let Some(out) = &self.mp4 {
                viewing.may_download()?;
                return save(&video, out, terminal).await;
            }
            watch(&viewing, &video, terminal).await
        })
    }
}

fn find(titles: &[SharedTitle], name: &str) -> Result<VideoId, Failure> {
    let by_number = name.parse::<usize>().ok().and_then(|n| titles.get(n.checked_sub(1)?));
    let by_name = || titles.iter().find(|one| one.title == name || one.video.to_string() == name);
    by_number.or_else(by_name).map(|one| one.video).ok_or_else(|| {
        let message = format!("there is no video {name:?} in this share; it has {}", titles.len());
        Failure::new(Exit::NotFound, "not_found", message)
    })
}

async fn watch(
    viewing: &Viewing<Machine>,
    video: &OpenVideo<Machine>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let loopback = Loopback::open(video.clone()).await?;
    let titles = viewing.titles();
    let list = titles.iter().map(|one| json!({ "video": one.video, "title": one.title }));
    let mut data = loopback.addresses();
    data["name"] = json!(viewing.name());
    data["kind"] = json!(viewing.kind());
    data["policy"] = json!(viewing.policy());
    data["videos"] = json!(list.collect::<Vec<_>>());
    terminal.print(&data, |_| format!("{}\n", loopback.mp4()));
    if titles.len() > 1 {
        for (number, one) in titles.iter().enumerate() {
            let here = if one.video == video.video() { "→" } else { " " };
            terminal.note(&format!("{here} {:>3}  {}", number + 1, one.title));
        }
    }
    terminal.note(
        "Open this in any player; Ctrl-C ends it. Whoever shared it sees that it is watched, and can stop it.",
    );
    until_over(&loopback, video).await
}
