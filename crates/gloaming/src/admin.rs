//! `gloaming admin`: for whoever runs the server, on its data folder, while it runs or not.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use gloaming_server::{Admin as ServerAdmin, BackupReport};
use serde_json::json;

use crate::{
    Run,
    failure::Failure,
    serve::{ServerFlags, server_failure},
    terminal::Terminal,
};

/// Look after a server's data
#[derive(Debug, clap::Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    settings: ServerFlags,

    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a link that makes one account
    Invite {
        /// A note on whom it is for; the server keeps it
        #[arg(long, default_value = "")]
        label: String,
        /// Days it is good for, 30 at most
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=30))]
        days: u64,
        /// What the account may store, in bytes
        #[arg(long, value_name = "BYTES")]
        quota: Option<u64>,
    },
    /// Who stores how much
    Usage,
    /// Look at what only whoever runs the server can: the master key, and what is sealed under it
    Doctor,
    /// Put a new master key in the place of the old one; begun again, it goes on where it was interrupted
    RotateMasterKey,
    /// Shut an account out and sign its devices out
    Disable {
        /// User name
        username: String,
    },
    /// Let a disabled account in again
    Enable {
        /// User name
        username: String,
    },
    /// Give up abandoned uploads and delete what nothing refers to
    Gc,
    /// Let the page, at --public-url, reach the S3 store: writes the bucket's CORS rules in place of what rules it had
    Cors,
    /// Copy everything a restored server needs; into the same folder again, only what is new
    Backup {
        /// Folder
        dir: PathBuf,
    },
    /// Fill an empty data folder from a backup
    Restore {
        /// Folder
        dir: PathBuf,
    },
}

impl Run for Admin {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let config = self.settings.config(&[])?;
        if let Task::Restore { dir } = &self.task {
            let report = ServerAdmin::restore(&config, dir).map_err(server_failure)?;
            print_copy(terminal, "Restored", report);
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| {
            server_failure(gloaming_server::StartError::Io { what: "starting".into(), source })
        })?;
        runtime.block_on(async {
            if matches!(self.task, Task::Cors) {
                let origin = ServerAdmin::allow_page(&config).await.map_err(server_failure)?;
                terminal.print(&json!({ "origin": origin }), |_| {
                    format!("Pages of {origin} may now reach the store, and pages of no other origin.\n")
                });
                return Ok(());
            }
            let admin = ServerAdmin::open(config).map_err(server_failure)?;
            run(&admin, self.task, terminal).await
        })
    }
}

async fn run(admin: &ServerAdmin, task: Task, terminal: &Terminal) -> Result<(), Failure> {
    match task {
        Task::Invite { label, days, quota } => {
            let valid = Duration::from_secs(days * 24 * 60 * 60);
            let link = admin.invite(&label, valid, quota).await.map_err(server_failure)?;
            terminal.print(&json!({ "link": link, "days": days }), |_| {
                format!("For one account, for {days} days:\n{link}\n")
            });
        }
        Task::Usage => {
            let usage = admin.usage().await.map_err(server_failure)?;
            let rows: Vec<_> = usage
                .iter()
                .map(|one| json!({ "account": one.info, "disabled": one.disabled, "videos": one.videos, "seen_at": one.seen_at }))
                .collect();
            terminal.print(&rows, |_| {
                let mut text = format!("{:<24} {:>7} {:>16} {:>16}\n", "name", "videos", "used", "quota");
                for one in &usage {
                    let quota = one.info.quota_bytes.map_or_else(|| "none".into(), |quota| quota.to_string());
                    let note = if one.disabled { "  disabled" } else { "" };
                    let (name, used) = (&one.info.username, one.info.used_bytes);
                    text += &format!("{name:<24} {:>7} {used:>16} {quota:>16}{note}\n", one.videos);
                }
                text
            });
        }
        Task::Doctor => {
            let keys = admin.master_keys().await.map_err(server_failure)?;
            let rows: Vec<_> = keys
                .envelopes
                .iter()
                .map(
                    |(id, count)| json!({ "key_id": id, "envelopes": count, "current": *id == keys.current }),
                )
                .collect();
            terminal.print(&json!({ "master_key": keys.current, "envelopes": rows }), |_| {
                let mut text = format!("good master key {}\n", keys.current);
                for (id, count) in &keys.envelopes {
                    let (mark, note) = if *id == keys.current {
                        ("good", "")
                    } else {
                        ("LOOK", "; `gloaming admin rotate-master-key` seals them anew")
                    };
                    text += &format!("{mark} {count} shared videos are sealed under {id}{note}\n");
                }
                text
            });
        }
        Task::RotateMasterKey => {
            let report = admin.rotate_master_key().await.map_err(server_failure)?;
            let data = json!({ "master_key": report.key_id, "resealed": report.resealed });
            terminal.print(&data, |_| {
                format!(
                    "{} shared videos were sealed anew, under master key {}.\n",
                    report.resealed, report.key_id
                )
            });
        }
        Task::Disable { username } => {
            admin.set_disabled(&username, true).await.map_err(server_failure)?;
            terminal.print(&json!({ "disabled": username }), |_| {
                format!("{username} is shut out, and all devices are signed out.\n")
            });
        }
        Task::Enable { username } => {
            admin.set_disabled(&username, false).await.map_err(server_failure)?;
            terminal.print(&json!({ "enabled": username }), |_| format!("{username} may sign in again.\n"));
        }
        Task::Gc => {
            let report = admin.gc().await.map_err(server_failure)?;
            let data = json!({ "given_up": report.given_up, "deleted": report.deleted,
                               "left_to_server": report.left_to_server });
            terminal.print(&data, |_| {
                let rest = if report.left_to_server {
                    "The running server deletes their bytes within a minute.".to_owned()
                } else {
                    format!("{} objects deleted.", report.deleted)
                };
                format!("{} abandoned uploads given up. {rest}\n", report.given_up)
            });
        }
        Task::Backup { dir } => {
            let report = admin.backup(&dir).await.map_err(server_failure)?;
            print_copy(terminal, "Backed up", report);
        }
        Task::Restore { .. } | Task::Cors => unreachable!("done before a data folder is opened"),
    }
    Ok(())
}

fn print_copy(terminal: &Terminal, done: &str, report: BackupReport) {
    let data = json!({ "objects": report.objects, "copied_bytes": report.copied_bytes, "missing": report.missing,
                       "without_objects": report.without_objects });
    terminal.print(&data, |_| {
        if report.without_objects {
            return format!("{done}: the database and secrets. Ciphertext is in the S3 store.\n");
        }
        let missing = match report.missing {
            0 => String::new(),
            n => format!(" {n} objects that the database names are missing: deleted meanwhile, or lost."),
        };
        format!("{done}: {} objects, {} bytes copied.{missing}\n", report.objects, report.copied_bytes)
    });
}
