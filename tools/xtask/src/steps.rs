//! Numbered steps with the time each took.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::fingerprint::Fingerprint;

/// A row of steps, counted in advance.
pub(crate) struct Steps {
    total: usize,
    done: usize,
    started: Instant,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, done: 0, started: Instant::now() }
    }

    /// Does the next step.
    pub(crate) fn always<T>(&mut self, title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        println!("[{}/{}] {title}", self.done, self.total);
        let started = Instant::now();
        let result = work()?;
        println!("      {}", seconds(started.elapsed()));
        Ok(result)
    }

    /// Does the next step, unless nothing that goes into it has changed since it was last done.
    pub(crate) fn when_changed(
        &mut self,
        title: &str,
        fingerprint: &Fingerprint,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if fingerprint.is_fresh() {
            self.done += 1;
            println!("[{}/{}] {title}: unchanged", self.done, self.total);
            return Ok(());
        }
        self.always(title, work)?;
        fingerprint.keep()
    }

    /// How long all of it took so far.
    pub(crate) fn elapsed(&self) -> String {
        seconds(self.started.elapsed())
    }
}

/// A duration for people.
pub(crate) fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}
