use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Cli, Run, failure::Failure, terminal::Terminal};

/// Print a script that completes commands and options in your shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gloaming completions bash > ~/.local/share/bash-completion/completions/gloaming"
)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Run for Completions {
    fn run(self, _: &Terminal) -> Result<(), Failure> {
        clap_complete::generate(self.shell, &mut Cli::command(), "gloaming", &mut std::io::stdout());
        Ok(())
    }
}
