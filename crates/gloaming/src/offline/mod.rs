//! Verbs that need no server.

mod completions;
mod open;
mod probe;
mod seal;

pub(crate) use completions::Completions;
pub(crate) use open::Open;
pub(crate) use probe::Probe;
pub(crate) use seal::Seal;
