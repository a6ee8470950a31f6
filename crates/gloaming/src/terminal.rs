use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// How a verb speaks. Data goes to standard output, as text or as JSON; everything else to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    json: bool,
}

impl Terminal {
    pub(crate) fn new(json: bool) -> Terminal {
        Terminal { json }
    }

    /// Prints what a verb found or made: `data` with `--json`, else what `text` writes.
    pub(crate) fn print<T: Serialize>(&self, data: &T, text: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(data).expect("our own types serialise") + "\n"
        } else {
            text(data)
        };
        // Whoever closed the pipe has read what they wanted.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }

    /// Prints one of many things, as they come: with `--json` a line of JSON each.
    pub(crate) fn line<T: Serialize>(&self, data: &T, text: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string(data).expect("our own types serialise") + "\n"
        } else {
            text(data)
        };
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Tells the person something beside the data.
    pub(crate) fn note(&self, message: &str) {
        let _ = writeln!(io::stderr().lock(), "{message}");
    }

    /// Tells why it did not work.
    pub(crate) fn fail(&self, failure: &Failure) {
        let line = if self.json {
            serde_json::json!({ "error": { "code": failure.code(), "message": failure.to_string() } })
                .to_string()
        } else {
            // Advice from elsewhere ends with a full stop of its own.
            format!("gloaming: {}.", failure.to_string().trim_end_matches('.'))
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// A progress bar over bytes, with rate and time left; silent unless standard error is a terminal.
    pub(crate) fn progress(&self, verb: &'static str, total: u64) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        let style =
            "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
        bar.set_message(verb);
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }
}
