//! What went into a step, so that it is done again only when that has changed.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::place;

/// Folders that hold what is made, never what it is made from.
const MADE: &[&str] = &["target", "node_modules", "dist", "wasm", "wasm-room", "test-results"];

/// A step's inputs and outputs.
pub(crate) struct Fingerprint {
    name: String,
    hasher: DefaultHasher,
    outputs: Vec<PathBuf>,
}

impl Fingerprint {
    pub(crate) fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        // A changed recipe makes another dish.
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Self { name: name.to_owned(), hasher, outputs: Vec::new() }
    }

    /// A file, or every file below a folder, but for what is made there. A path that is not there counts too.
    pub(crate) fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.add(&place::root().join(path), true);
        self
    }

    /// Every file below a folder of made things.
    pub(crate) fn made(mut self, path: impl AsRef<Path>) -> Self {
        self.add(&place::root().join(path), false);
        self
    }

    /// Anything else the result depends on: a version, a flag.
    pub(crate) fn text(mut self, text: &str) -> Self {
        text.hash(&mut self.hasher);
        self
    }

    /// What the step leaves; if it is gone, the step is done again.
    pub(crate) fn output(mut self, path: impl AsRef<Path>) -> Self {
        self.outputs.push(place::root().join(path));
        self
    }

    fn add(&mut self, path: &Path, sources: bool) {
        path.hash(&mut self.hasher);
        if path.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut entries: Vec<_> = entries.collect();
            entries.sort();
            for entry in entries {
                let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if sources && (MADE.contains(&name) && entry.is_dir()) {
                    continue;
                }
                self.add(&entry, sources);
            }
        } else if let Ok(bytes) = fs::read(path) {
            bytes.hash(&mut self.hasher);
        }
    }

    fn file(&self) -> PathBuf {
        place::target().join("x/done").join(&self.name)
    }

    fn value(&self) -> String {
        format!("{:016x}", self.hasher.finish())
    }

    pub(crate) fn is_fresh(&self) -> bool {
        fs::read_to_string(self.file()).is_ok_and(|kept| kept == self.value())
            && self.outputs.iter().all(|path| path.exists())
    }

    /// Remembers that the step was done with these inputs: the ones read before it began, so that a file changed
    /// meanwhile is noticed next time.
    pub(crate) fn keep(&self) -> Result<()> {
        let file = self.file();
        fs::create_dir_all(file.parent().expect("it lies in target/x"))?;
        fs::write(&file, self.value()).with_context(|| format!("{}", file.display()))
    }
}
