use clap::Args;
use gloaming_client::{Fault, orphans, unfinished};
use serde::Serialize;

use super::{block_on, now, remote::Remote, size};
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Look whether everything is well: server, clock, account, library, uploads that were interrupted
///
/// Ends with 21 if there is something to look at.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    remote: Remote,

    /// Give an unreadable entry of the library up, for good
    #[arg(long, value_name = "ENTRY")]
    forget: Option<String>,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    good: bool,
    says: String,
}

impl Run for Doctor {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if let Some(entry) = &self.forget {
            block_on(async {
                let session = self.remote.open().await?;
                Ok(session.library().forget_unreadable(entry).await?)
            })?;
        }
        let findings = block_on(async {
            let mut findings = Vec::new();
            let mut found = |what, good, says: String| findings.push(Finding { what, good, says });
            let client = self.remote.client()?;
            match client.server_info().await {
                Err(error) => {
                    found("server", false, error.to_string());
                    return Ok(findings);
                }
                Ok(info) => {
                    found("server", true, format!("answers, version {}", info.version));
                    let (here, there) = (now(), info.now);
                    let apart = here.since(there).max(there.since(here)).as_secs();
                    let says = format!("{apart} seconds apart from the server's");
                    found(
                        "clock",
                        apart < 300,
                        if apart < 300 { says } else { says + "; set the one that is wrong" },
                    );
                }
            }
            let session = match client.resume().await {
                Ok(Some(session)) => session,
                Ok(None) => {
                    found("account", false, "nobody is signed in here; use `gloaming account login`".into());
                    return Ok(findings);
                }
                Err(error) => {
                    found("account", false, error.to_string());
                    return Ok(findings);
                }
            };
            match session.whoami().await {
                Err(error) => found("account", false, error.to_string()),
                Ok(info) => {
                    let room = info.quota_bytes.is_none_or(|quota| info.used_bytes < quota / 100 * 95);
                    let stored = size(info.used_bytes);
                    let says = format!("{}, {stored} stored", info.username);
                    found("account", room, if room { says } else { says + "; the quota is nearly reached" });
                }
            }
            if session.is_locked() {
                found("keys", true, "locked on this device; `gloaming unlock` opens them".into());
                return Ok(findings);
            }
            found("keys", true, "unlocked on this device; `gloaming lock` forgets them".into());
            let library = session.library();
            match library.sync().await {
                Err(error) => found("library", false, error.to_string()),
                Ok(_) => {
                    let unreadable = library.unreadable();
                    for broken in &unreadable {
                        let mut says = broken.to_string();
                        if broken.fault != Fault::TooNew {
                            says += ". `gloaming doctor --forget ENTRY` gives it up for good";
                        }
                        found("library", false, says);
                    }
                    if unreadable.is_empty() {
                        found(
                            "library",
                            true,
                            format!("{} videos, history unbroken", library.videos().len()),
                        );
                    }
                    match orphans(&session).await {
                        Err(error) => found("storage", false, error.to_string()),
                        Ok(lost) if lost.is_empty() => {
                            found("storage", true, "nothing is stored that is not listed".into())
                        }
                        Ok(lost) => {
                            let bytes = size(lost.iter().map(|video| video.stored_bytes).sum());
                            let says = format!(
                                "{} stored videos ({bytes}) are in no list: uploads that ended just before their last step. \
                                 Start them again on the device that began them",
                                lost.len()
                            );
                            found("storage", false, says);
                        }
                    }
                }
            }
            let begun = unfinished(&session).await;
            if !begun.is_empty() {
                let names: Vec<_> = begun.iter().map(|upload| upload.file_name.as_str()).collect();
                let says = format!("interrupted: {}; start them again to go on", names.join(", "));
                found("uploads", false, says);
            }
            Ok(findings)
        })?;
        terminal.print(&findings, |findings| {
            let line = |finding: &Finding| {
                format!(
                    "{} {:<8} {}\n",
                    if finding.good { "good" } else { "LOOK" },
                    finding.what,
                    finding.says
                )
            };
            findings.iter().map(line).collect()
        });
        match findings.iter().filter(|finding| !finding.good).count() {
            0 => Ok(()),
            1 => Err(Failure::new(Exit::Unwell, "unwell", "there is something to look at")),
            count => {
                Err(Failure::new(Exit::Unwell, "unwell", format!("there are {count} things to look at")))
            }
        }
    }
}
