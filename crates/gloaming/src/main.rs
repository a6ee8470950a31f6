//! Gloaming: a self-hosted, end-to-end-encrypted home for video. One binary: the server, and every client verb.
//!
//! * [`offline`]: verbs that need no server (`seal`, `open`, `probe`, …).
//! * [`online`]: verbs that need one (`account`, `upload`, `ls`, `play`, `share`, `view`, `room`, …).
//! * [`serve`], [`admin`]: the server, and looking after it.
//! * [`failure`]: how a verb fails, and the exit codes.
//! * [`terminal`]: how a verb speaks: text or JSON on standard output, progress on a terminal.
//!
//! A new verb is a struct that derives [`clap::Args`] (its doc comment is its help), implements [`Run`], and has one
//! line in [`verbs!`].

mod admin;
mod failure;
mod native;
mod offline;
mod online;
mod serve;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use failure::Failure;
use terminal::Terminal;

/// A grant is small pieces of memory for the most part: this one hands them out an eighth quicker (ARCHITECTURE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every verb can do.
trait Run {
    /// Does it. What goes wrong is told to the person once, by `main`.
    fn run(self, terminal: &Terminal) -> Result<(), Failure>;
}

/// Video that only you can open: sealed on this device, stored anywhere, played everywhere.
#[derive(Debug, Parser)]
#[command(name = "gloaming", version, propagate_version = true, after_help = failure::EXIT_CODES)]
struct Cli {
    /// Print data as JSON on standard output (and a failure as JSON on standard error).
    #[arg(long, global = true)]
    json: bool,

    // Those of the online verbs, so that they may come before the verb too; each verb has them itself, and reads them.
    #[command(flatten)]
    _remote: online::Remote,

    #[command(subcommand)]
    verb: Verb,
}

macro_rules! verbs {
    ($($(#[$attribute:meta])* $name:ident($args:ty),)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($(#[$attribute])* $name($args),)*
        }

        impl Run for Verb {
            fn run(self, terminal: &Terminal) -> Result<(), Failure> {
                match self {
                    $(Verb::$name(args) => args.run(terminal),)*
                }
            }
        }
    };
}

verbs! {
    Seal(offline::Seal),
    Open(offline::Open),
    Probe(offline::Probe),
    Account(online::Account),
    Lock(online::Lock),
    Unlock(online::Unlock),
    Upload(online::Upload),
    Ls(online::Ls),
    Show(online::Show),
    Rename(online::Rename),
    Playlist(online::Playlist),
    Play(online::Play),
    Download(online::Download),
    Export(online::Export),
    Verify(online::Verify),
    Share(online::Share),
    Contact(online::Contact),
    Received(online::Received),
    Publish(online::Publish),
    Shares(online::Shares),
    Policy(online::Policy),
    Revoke(online::Revoke),
    Grants(online::Grants),
    View(online::View),
    Room(online::Room),
    Trash(online::Trash),
    Restore(online::Restore),
    Delete(online::Delete),
    Serve(serve::Serve),
    Admin(admin::Admin),
    Doctor(online::Doctor),
    Completions(offline::Completions),
}

fn main() -> ExitCode {
    let hidden = |arg: clap::Arg| if arg.get_id() == "json" { arg } else { arg.hide(true) };
    let matches = Cli::command().mut_args(hidden).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let terminal = Terminal::new(cli.json);
    match cli.verb.run(&terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.fail(&failure);
            failure.exit().into()
        }
    }
}
