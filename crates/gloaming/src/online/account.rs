use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand};
use gloaming_api::account::{AccountInfo, Invite, InviteRequest, SessionInfo};
use gloaming_ids::{InviteId, SessionId};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    block_on, date, device_name, now,
    remote::{Remote, ask, ask_twice, first_line, tell_unreadable, typed},
    size,
};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Make an account, sign in and out, change the password, manage devices and invites
#[derive(Debug, Args)]
pub(crate) struct Account {
    #[command(flatten)]
    remote: Remote,

    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// Make an account with a set-up or invite link
    Create {
        /// The link, which says where the server is, or the token at its end
        #[arg(long, visible_alias = "invite", value_name = "LINK")]
        setup: String,
        #[command(flatten)]
        name: Name,
    },
    /// Sign in on this device
    Login {
        #[command(flatten)]
        name: Name,
    },
    /// Sign out on this device, and forget its keys
    Logout,
    /// Show who is signed in, and how much is stored
    Whoami,
    /// Change the password; other devices are signed out
    Password {
        /// A file whose first line is the new password (or set GLOAMING_NEW_PASSWORD)
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Set a new password with the 24 words of the recovery phrase
    Recovery {
        #[command(flatten)]
        name: Name,
        /// A file with the words; else they are asked for, or read from standard input
        #[arg(long, value_name = "FILE")]
        phrase_file: Option<PathBuf>,
    },
    /// List the signed-in devices, or sign one out
    Sessions {
        /// Sign this device out
        #[arg(long, value_name = "ID")]
        revoke: Option<String>,
    },
    /// Make an invite link, or list or take back those not used
    Invite {
        /// A note for your own list; the server sees it
        #[arg(default_value = "")]
        label: String,
        /// How long it is good for
        #[arg(long, default_value_t = 7, value_name = "DAYS")]
        days: u64,
        /// How much the new account may store
        #[arg(long, value_name = "GB")]
        quota_gb: Option<f64>,
        /// List invites
        #[arg(long)]
        list: bool,
        /// Take this invite back
        #[arg(long, value_name = "ID")]
        revoke: Option<String>,
    },
}

/// Whose account.
#[derive(Debug, Args)]
struct Name {
    /// The name of the account; asked for if it is not given
    #[arg(value_name = "USERNAME")]
    name: Option<String>,
    /// The same, by name
    #[arg(long, value_name = "USERNAME", conflicts_with = "name")]
    username: Option<String>,
}

impl Name {
    fn get(self) -> Result<String, Failure> {
        match self.name.or(self.username) {
            Some(name) => Ok(name),
            None => typed("User name: "),
        }
    }
}

/// The token in a link's fragment, or the text itself.
fn token(link: &str) -> &str {
    link.rsplit(['#', '/', '=']).next().unwrap_or(link)
}

impl Run for Account {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let remote = self.remote;
        block_on(async {
            match self.verb {
                AccountVerb::Create { setup, name } => {
                    let username = name.get()?;
                    let password = remote.new_password()?;
                    let remote = remote.or_at(&setup);
                    let client = remote.client()?;
                    let (session, phrase) =
                        client.register(token(&setup), &username, &password, &device_name()).await?;
                    let data = json!({
                        "account": session.account(), "username": session.username(), "phrase": phrase.words(),
                    });
                    terminal.print(&data, |_| {
                        let words = phrase.words();
                        let rows = words.chunks(4).enumerate().map(|(row, words)| {
                            let cells = words.iter().enumerate();
                            cells.map(|(i, word)| format!("{:>2} {word:<10}", row * 4 + i + 1)).collect::<String>()
                        });
                        let rows = rows.collect::<Vec<_>>().join("\n");
                        format!(
                            "The account is made. These 24 words open it when the password is gone, and nothing else does.\n\
                             Write them down now: they are not shown again.\n\n{rows}\n"
                        )
                    });
                    remote.remember()?;
                }
                AccountVerb::Login { name } => {
                    let username = name.get()?;
                    let password = remote.password("Password: ")?;
                    let session = remote.client()?.login(&username, &password, &device_name()).await?;
                    remote.remember()?;
                    session.library().sync().await?;
                    tell_unreadable(&session);
                    let data = json!({ "account": session.account(), "username": session.username() });
                    terminal.print(&data, |_| format!("Signed in as {username}.\n"));
                }
                AccountVerb::Logout => remote.session().await?.logout().await?,
                AccountVerb::Whoami => {
                    let session = remote.session().await?;
                    let info = session.whoami().await?;
                    terminal.print(&info, |info| whoami(info, session.is_locked()));
                }
                AccountVerb::Password { new_password_file } => {
                    let old = remote.password("Old password: ")?;
                    let new = match (new_password_file, std::env::var("GLOAMING_NEW_PASSWORD")) {
                        (Some(path), _) => first_line(&path)?,
                        (None, Ok(password)) => Zeroizing::new(password),
                        (None, Err(_)) => ask_twice()?,
                    };
                    remote.session().await?.change_password(&old, &new, &device_name()).await?;
                    terminal.note("The password is changed, and other devices are signed out.");
                }
                AccountVerb::Recovery { name, phrase_file } => {
                    let username = name.get()?;
                    let phrase = match phrase_file {
                        Some(path) => Zeroizing::new(
                            std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?,
                        ),
                        None => words()?,
                    };
                    let password = remote.new_password()?;
                    let client = remote.client()?;
                    let session = client.recover(&username, &phrase, &password, &device_name()).await?;
                    remote.remember()?;
                    session.library().sync().await?;
                    tell_unreadable(&session);
                    terminal.note("The password is set, and other devices are signed out.");
                }
                AccountVerb::Sessions { revoke: Some(id) } => {
                    let session = remote.session().await?;
                    let ids = session.sessions().await?.into_iter().map(|s| s.session.to_string());
                    let id: SessionId = unique(&id, ids)?.parse().expect("the server's ids were parsed");
                    session.end_session(id).await?;
                }
                AccountVerb::Sessions { revoke: None } => {
                    let sessions = remote.session().await?.sessions().await?;
                    terminal.print(&sessions, |sessions| sessions.iter().map(device).collect());
                }
                AccountVerb::Invite { revoke: Some(id), .. } => {
                    let session = remote.session().await?;
                    let ids = session.invites().await?.into_iter().map(|invite| invite.invite.to_string());
                    let id: InviteId = unique(&id, ids)?.parse().expect("the server's ids were parsed");
                    session.end_invite(id).await?;
                }
                AccountVerb::Invite { list: true, .. } => {
                    let invites = remote.session().await?.invites().await?;
                    terminal.print(&invites, |invites| invites.iter().map(invite_line).collect());
                }
                AccountVerb::Invite { label, days, quota_gb, .. } => {
                    let quota_bytes = quota_gb.map(|gb| (gb * 1e9) as u64);
                    let request =
                        InviteRequest { label, valid_seconds: days.saturating_mul(86_400), quota_bytes };
                    let session = remote.session().await?;
                    let invite = session.invite(&request).await?;
                    let link = session
                        .platform()
                        .page(&format!("/join#{}", invite.token.as_deref().unwrap_or_default()));
                    let mut data = json!(invite);
                    data["link"] = json!(link);
                    terminal.print(&data, |_| {
                        format!(
                            "{link}\nGood for one account until {} (UTC). It is opened in a browser, or used with\n  \
                             gloaming account create --invite '{link}'\n",
                            date(invite.expires_at)
                        )
                    });
                }
            }
            Ok(())
        })
    }
}

/// Forget this device's keys; the session stays
#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    remote: Remote,
}

impl Run for Lock {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            // Without asking the server: locking works when it is away.
            self.remote.client()?.forget_keys().await;
            Ok(())
        })
    }
}

/// Open this device's keys again
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    remote: Remote,
}

impl Run for Unlock {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let session = self.remote.session().await?;
            Ok(session.unlock(&self.remote.password("Password: ")?).await?)
        })
    }
}

fn words() -> Result<Zeroizing<String>, Failure> {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return ask("The 24 words: ");
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(Exit::Files, "no_input", error.to_string()))?;
    Ok(text)
}

/// The one id that begins so.
fn unique(short: &str, ids: impl Iterator<Item = String>) -> Result<String, Failure> {
    let mut found = ids.filter(|id| id.starts_with(short));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Failure::new(Exit::NotFound, "not_found", format!("nothing has the id {short}"))),
        _ => Err(Failure::new(
            Exit::NotFound,
            "ambiguous",
            format!("several ids begin with {short}; use more of it"),
        )),
    }
}

fn whoami(info: &AccountInfo, locked: bool) -> String {
    let quota = info.quota_bytes.map_or("no limit".into(), |quota| format!("of {}", size(quota)));
    let lock = if locked { "locked on this device" } else { "unlocked on this device" };
    format!("{} ({lock})\n{} stored, {quota}\n", info.username, size(info.used_bytes))
}

fn device(info: &SessionInfo) -> String {
    let current = if info.current { "  (this one)" } else { "" };
    format!("{}  {}  last seen {}{current}\n", info.session, info.device, date(info.seen_at))
}

fn invite_line(invite: &Invite) -> String {
    let left = invite.expires_at.since(now()).as_secs() / 3600;
    format!("{}  {}  {left} hours left\n", invite.invite, invite.label)
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn a_link_or_its_token_are_the_same() {
        for link in [
            "abc-DEF_1",
            "https://host/setup#abc-DEF_1",
            "http://h:1/#/setup/abc-DEF_1",
            "https://h/#token=abc-DEF_1",
        ] {
            assert_eq!(token(link), "abc-DEF_1");
        }
    }
}
