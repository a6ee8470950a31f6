use std::{collections::HashMap, io::IsTerminal, io::Write, path::PathBuf};

use clap::{ArgGroup, Args};
use gloaming_api::share::{Policy as Allows, ShareInfo, ShareKind};
use gloaming_client::{
    Library, ShareRecord,
    share::{PersonWish, Share as Made, ShareWish, Shared},
};
use gloaming_ids::VideoId;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::{
    block_on, date,
    machine::Machine,
    now,
    period::When,
    remote::{Remote, ask_twice, first_line},
};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// What a share allows. What is not said is not limited.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Not before: 30m, 12h, 7d or 2w from now, or a date like 2026-12-24T18:00 (UTC)
    #[arg(long, value_name = "TIME")]
    from: Option<When>,

    /// Not after
    #[arg(long, value_name = "TIME")]
    until: Option<When>,

    /// How often it may be watched in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    plays: Option<u32>,

    /// In how many browsers it may be watched in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    viewers: Option<u32>,

    /// In how many browsers at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,

    /// Whose pages may show it in a frame: https://course.example.org; more than once for more
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    embed: Vec<String>,

    /// Let viewers save it as a file
    #[arg(long)]
    download: bool,
}

impl Limits {
    fn policy(&self) -> Result<Allows, Failure> {
        self.over(Allows::default())
    }

    /// What was allowed, changed by what was said.
    fn over(&self, before: Allows) -> Result<Allows, Failure> {
        let policy = Allows {
            from: self.from.map(When::resolve).or(before.from),
            until: self.until.map(When::resolve).or(before.until),
            max_viewers: self.viewers.or(before.max_viewers),
            max_plays: self.plays.or(before.max_plays),
            max_at_once: self.at_once.or(before.max_at_once),
            embed_origins: if self.embed.is_empty() { before.embed_origins } else { self.embed.clone() },
            download: self.download || before.download,
            speed_tenths: before.speed_tenths,
        };
        if policy.from.zip(policy.until).is_some_and(|(from, until)| from >= until) {
            let message = "it would end before it begins; choose a later --until";
            return Err(Failure::new(Exit::Usage, "bad_period", message));
        }
        Ok(policy)
    }
}

fn origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    url.map(|url| url.origin().ascii_serialization())
        .ok_or_else(|| "an origin is https:// and a host, without a path".into())
}

/// What to share.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Id, the beginning of one, or exact title
    video: Option<String>,

    /// A playlist, in its order, in place of a video
    #[arg(long, value_name = "NAME|ID")]
    playlist: Option<String>,
}

impl What {
    fn find(&self, library: &Library<Machine>) -> Result<Shared, Failure> {
        match (&self.video, &self.playlist) {
            (Some(video), _) => Ok(Shared::Video(library.find_video(video)?)),
            (None, Some(list)) => Ok(Shared::Playlist(library.find_playlist(list)?)),
            (None, None) => unreachable!("clap asks for one of them"),
        }
    }
}

/// A password of a link.
#[derive(Debug, Args)]
struct LinkPassword {
    /// A file whose first line is a password that goes with the link; send it another way than the link
    #[arg(long, value_name = "FILE")]
    link_password_file: Option<PathBuf>,

    /// Ask for a password that goes with the link
    #[arg(long, conflicts_with = "link_password_file")]
    link_password: bool,
}

impl LinkPassword {
    fn get(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        match &self.link_password_file {
            Some(path) => first_line(path).map(Some),
            None if self.link_password => ask_twice().map(Some),
            None => Ok(None),
        }
    }

    /// Nobody is to believe that a link has a password when it has none.
    fn warn_of_another(&self, remote: &Remote, terminal: &Terminal) {
        let none = self.link_password_file.is_none() && !self.link_password;
        if none && remote.names_password_file() {
            terminal.note("This link has no password: --password-file is your account's. Its own would be --link-password-file.");
        }
    }
}

/// Let somebody watch: by a link, or one of your contacts
///
/// A link has one holder, whom you name by a label; its secret stands behind its #, where no server sees it. With a contact,
/// keys are sealed to the person: given for good, or with --lend only lent. What is lent, by a link or to a person, is granted
/// by the server segment by segment while they watch, and counted: `gloaming grants` shows it, `gloaming revoke` stops it.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("way").required(true).args(["link", "to"]))]
#[command(after_help = "Examples:
  gloaming share Harbour --to Ana
  gloaming share --playlist \"Summer 2026\" --to Ana --lend --until 30d
  gloaming share Harbour --link --label \"Ana, cohort 3\" --until 7d
  gloaming share Harbour --link --plays 3 --link-password-file secret.txt
  gloaming share --playlist \"Summer 2026\" --link --download")]
pub(crate) struct Share {
    #[command(flatten)]
    remote: Remote,

    #[command(flatten)]
    what: What,

    /// By a link
    #[arg(long)]
    link: bool,

    /// With a contact: their name, as `gloaming contact ls` lists it
    #[arg(long, value_name = "NAME")]
    to: Option<String>,

    /// Lend it: they can watch while the server grants it, until you revoke it. Without this it is given for good
    // clap does not ask for `to` where `link` rules it out.
    #[arg(long, requires = "to", conflicts_with = "link")]
    lend: bool,

    /// Whom a link is for: for your own list and log, and for --mark. The server is not told
    #[arg(long, value_name = "TEXT", default_value = "", conflicts_with = "to")]
    label: String,

    /// Let the label, or the contact's name, move over the picture
    #[arg(long)]
    mark: bool,

    #[command(flatten)]
    password: LinkPassword,

    #[command(flatten)]
    limits: Limits,
}

impl Run for Share {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let unfit = |message: &str| Err(Failure::new(Exit::Usage, "bad_terms", message));
        let (policy, password) = (self.limits.policy()?, self.password.get()?);
        if self.to.is_some() && password.is_some() {
            return unfit("a person needs no password: it is sealed to their keys");
        }
        if self.to.is_some() && !self.lend && policy != Allows::default() {
            return unfit("what is given for good has no limits; add --lend");
        }
        if self.mark && self.to.is_none() && self.label.trim().is_empty() {
            return unfit("the mark over the picture is the label; add --label");
        }
        block_on(async {
            let library = self.remote.open().await?.library();
            if let Some(name) = &self.to {
                let to = library.find_contact(name)?;
                let what = self.what.find(&library)?;
                let wish = PersonWish { what, to: &to, lend: self.lend, mark: self.mark, policy };
                tell(terminal, &library, &library.share_with(&wish).await?);
                return Ok(());
            }
            let wish = ShareWish {
                what: self.what.find(&library)?,
                kind: ShareKind::Link,
                label: &self.label,
                mark: self.mark,
                password: password.as_deref().map(String::as_str),
                policy,
            };
            tell(terminal, &library, &library.share(&wish).await?);
            self.password.warn_of_another(&self.remote, terminal);
            Ok(())
        })
    }
}

/// Let everybody who has the link watch, each in a playback of their own
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming publish Harbour --at-once 200
  gloaming publish Harbour --open --embed https://example.org")]
pub(crate) struct Publish {
    #[command(flatten)]
    remote: Remote,

    #[command(flatten)]
    what: What,

    /// A name for it, for your own list
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,

    /// Without a secret in the link: whoever knows the address can watch, and the server could too
    #[arg(long)]
    open: bool,

    /// You know that the server can then read this video; where nobody is there to be asked
    #[arg(long, requires = "open")]
    i_understand: bool,

    #[command(flatten)]
    password: LinkPassword,

    #[command(flatten)]
    limits: Limits,
}

impl Run for Publish {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let (policy, password) = (self.limits.policy()?, self.password.get()?);
        if self.open && !self.i_understand {
            understood()?;
        }
        block_on(async {
            let library = self.remote.open().await?.library();
            let wish = ShareWish {
                what: self.what.find(&library)?,
                kind: if self.open { ShareKind::Open } else { ShareKind::Audience },
                label: &self.label,
                mark: false,
                password: password.as_deref().map(String::as_str),
                policy,
            };
            tell(terminal, &library, &library.share(&wish).await?);
            self.password.warn_of_another(&self.remote, terminal);
            Ok(())
        })
    }
}

const OPENLY: &str = "An open video is no longer a secret: the server gets both halves of its keys, so whoever runs it, \
    or breaks into it, can watch it too. Revoking stops viewers; it does not take the keys back.";

fn understood() -> Result<(), Failure> {
    let refused = |message: String| Failure::new(Exit::Usage, "not_understood", message);
    if !std::io::stdin().is_terminal() {
        return Err(refused(format!("{OPENLY} Add --i-understand if that is what you want")));
    }
    let _ = write!(std::io::stderr(), "{OPENLY}\nType \"open\" to go on: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| refused(error.to_string()))?;
    if line.trim() == "open" { Ok(()) } else { Err(refused("nothing was shared".into())) }
}

/// List who may watch what, and who is watching
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming shares
  gloaming shares Harbour --csv > harbour.csv")]
pub(crate) struct Shares {
    #[command(flatten)]
    remote: Remote,

    /// Only those of this video: id, the beginning of one, or exact title
    video: Option<String>,

    /// As a table for a spreadsheet, links included
    #[arg(long)]
    csv: bool,

    /// Revoked ones too
    #[arg(long)]
    all: bool,
}

impl Run for Shares {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let video = self.video.as_deref().map(|name| library.find_video(name)).transpose()?;
            let mut shares = library.shares().await?;
            shares.retain(|share| video.is_none_or(|video| share.videos().contains(&video)));
            shares.retain(|share| self.all || !share.is_revoked());
            let titles = titles(&library);
            if self.csv {
                let mut text = CSV.to_owned();
                text.extend(shares.iter().map(|share| csv_line(share, &library, &titles)));
                terminal.print(&text, Clone::clone);
                return Ok(());
            }
            let data: Vec<_> = shares.iter().map(|share| share_json(share, &library)).collect();
            terminal.print(&data, |_| shares.iter().map(|share| line(share, &library, &titles)).collect());
            if shares.is_empty() {
                terminal.note("Nobody but you can watch; `gloaming share` changes that.");
            }
            Ok(())
        })
    }
}

/// Change what a share allows; what is not said stays as it is
#[derive(Debug, Args)]
#[command(after_help = "Example:
  gloaming policy \"Ana, cohort 3\" --until 14d")]
pub(crate) struct Policy {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact label of the share
    share: String,

    /// Nothing of what was allowed before counts any more
    #[arg(long)]
    reset: bool,

    #[command(flatten)]
    limits: Limits,
}

impl Run for Policy {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let share = library.find_share(&self.share).await?;
            let before = share.info.as_ref().filter(|_| !self.reset).map(|info| info.policy.clone());
            let policy = self.limits.over(before.unwrap_or_default())?;
            tell(terminal, &library, &library.set_policy(share.share, &policy).await?);
            Ok(())
        })
    }
}

/// Stop shares: no segment is granted from now on
///
/// Nobody gets back what was watched: whoever watched may have kept a copy.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  gloaming revoke \"Ana, cohort 3\"")]
pub(crate) struct Revoke {
    #[command(flatten)]
    remote: Remote,

    /// Ids, beginnings of ids, or exact labels of shares
    #[arg(required = true)]
    shares: Vec<String>,
}

impl Run for Revoke {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let (mut revoked, mut given) = (Vec::new(), false);
            for name in &self.shares {
                let share = library.find_share(name).await?;
                let share = library.revoke(share.share).await?;
                given |= kind(&share) == ShareKind::Given;
                revoked.push(share_json(&share, &library));
            }
            terminal.print(&revoked, |_| String::new());
            if given {
                terminal.note(GIVEN);
            }
            Ok(())
        })
    }
}

const GIVEN: &str = "The server gives out no more addresses for what was given. It does not take keys back: what they kept \
    stays theirs, and so does whatever of the stored bytes they can still get. To be sure, delete the video and upload it anew.";

/// A link's whole address.
fn address(share: &Made, library: &Library<Machine>) -> Option<String> {
    share.link().map(|path| library.platform().page(&path))
}

fn tell(terminal: &Terminal, library: &Library<Machine>, share: &Made) {
    let data = share_json(share, library);
    terminal.print(&data, |_| match address(share, library) {
        Some(link) => link + "\n",
        None => format!("{}  {} to {}\n", share.share, kind_name(share), share.label()),
    });
    if share.has_password() {
        terminal.note("Send the password another way than the link.");
    }
}

fn titles(library: &Library<Machine>) -> HashMap<VideoId, String> {
    library.videos().into_iter().map(|row| (row.video, row.title)).collect()
}

fn share_json(share: &Made, library: &Library<Machine>) -> Value {
    let info = share.info.as_ref();
    json!({
        "share": share.share,
        "kind": kind(share),
        "label": share.label(),
        "recipient": share.record.as_ref().and_then(|record| record.recipient).or(info.and_then(|i| i.recipient)),
        "link": address(share, library),
        "password": share.has_password(),
        "mark": share.record.as_ref().is_some_and(|record| record.mark),
        "playlist": share.record.as_ref().and_then(|record| record.playlist),
        "videos": share.videos(),
        "state": state(share),
        "policy": info.map(|info| &info.policy),
        "created_at": info.map(|info| info.created_at).or(share.record.as_ref().map(|r| r.created_at)),
        "revoked_at": info.and_then(|info| info.revoked_at),
        "viewers": info.map(|info| info.viewers),
        "plays": info.map(|info| info.plays),
        "watching": info.map(|info| info.watching),
        "watched_at": info.and_then(|info| info.watched_at),
    })
}

fn kind(share: &Made) -> ShareKind {
    let of_record = |record: &ShareRecord| record.kind;
    let known = share.record.as_ref().map(of_record).or(share.info.as_ref().map(|info| info.kind));
    known.expect("a share is known from somewhere")
}

fn kind_name(share: &Made) -> &'static str {
    match kind(share) {
        ShareKind::Given => "given",
        ShareKind::Lent => "lent",
        ShareKind::Link => "link",
        ShareKind::Audience => "audience",
        ShareKind::Open => "open",
    }
}

fn state(share: &Made) -> &'static str {
    let Some(info) = &share.info else { return "missing on the server" };
    let now = now();
    if share.is_revoked() {
        "revoked"
    } else if info.policy.until.is_some_and(|until| until <= now) {
        "expired"
    } else if info.policy.from.is_some_and(|from| from > now) {
        "not yet"
    } else if info.policy.max_plays.is_some_and(|most| info.plays >= most) {
        "used up"
    } else if info.watching > 0 {
        "watching"
    } else {
        "good"
    }
}

fn what(share: &Made, library: &Library<Machine>, titles: &HashMap<VideoId, String>) -> String {
    let list = share.record.as_ref().and_then(|record| record.playlist);
    let list = list.and_then(|list| library.playlists().into_iter().find(|known| known.id == list));
    match (list, share.videos()) {
        (Some(list), videos) => format!("{} ({} videos)", list.name, videos.len()),
        (None, [video]) => titles.get(video).cloned().unwrap_or_else(|| video.to_string()),
        (None, videos) => format!("{} videos", videos.len()),
    }
}

fn line(share: &Made, library: &Library<Machine>, titles: &HashMap<VideoId, String>) -> String {
    let short = &share.share.to_string()[..8];
    let (plays, until) = match &share.info {
        Some(ShareInfo { plays, policy, .. }) => (
            policy.max_plays.map_or(plays.to_string(), |most| format!("{plays} of {most}")),
            policy.until.map_or("no end".into(), |until| format!("until {}", date(until))),
        ),
        None => ("0".into(), String::new()),
    };
    let label = if share.label().is_empty() { "" } else { "  for " };
    let link = address(share, library).filter(|_| !share.is_revoked());
    let link = link.map_or(String::new(), |link| format!("          {link}\n"));
    format!(
        "{short}  {:<8}  {:<9}  {plays:>4} plays  {until}  {}{label}{}\n{link}",
        kind_name(share),
        state(share),
        what(share, library, titles),
        share.label(),
    )
}

const CSV: &str =
    "share,kind,label,what,state,created_at,from,until,plays,viewers,watching,watched_at,password,link\r\n";

fn csv_line(share: &Made, library: &Library<Machine>, titles: &HashMap<VideoId, String>) -> String {
    let info = share.info.as_ref();
    let time = |at: Option<gloaming_ids::UnixMillis>| at.map(date).unwrap_or_default();
    let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
    let created = info.map(|info| info.created_at).or(share.record.as_ref().map(|record| record.created_at));
    let fields = [
        share.share.to_string(),
        kind_name(share).into(),
        share.label().into(),
        what(share, library, titles),
        state(share).into(),
        time(created),
        time(info.and_then(|info| info.policy.from)),
        time(info.and_then(|info| info.policy.until)),
        number(info.map(|info| info.plays)),
        number(info.map(|info| info.viewers)),
        number(info.map(|info| info.watching)),
        time(info.and_then(|info| info.watched_at)),
        if share.has_password() { "yes" } else { "no" }.into(),
        address(share, library).unwrap_or_default(),
    ];
    fields.map(|field| csv_field(&field)).join(",") + "\r\n"
}

/// RFC 4180. A field that a spreadsheet would take for a formula is quoted away.
fn csv_field(text: &str) -> String {
    let text =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.into() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_table_stays_one_field_and_no_formula() {
        assert_eq!(csv_field("Ana, cohort 3"), "\"Ana, cohort 3\"");
        assert_eq!(csv_field("the \"best\""), "\"the \"\"best\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(csv_field("plain"), "plain");
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(origin("https://Course.example.org/"), Ok("https://course.example.org".into()));
        assert_eq!(origin("http://localhost:8080"), Ok("http://localhost:8080".into()));
        for bad in ["course.example.org", "https://a/b", "ftp://a", "https://a/?x", "*", "null"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
