//! What this machine does best: positioned reads, and sealing where the bytes lie.

mod entropy;
mod output;
mod seal;
mod sealed_dir;
mod source;

pub(crate) use entropy::os_entropy;
pub(crate) use output::{NewDir, NewFile, refuse_existing};
pub(crate) use seal::{pad, seal_fragment};
pub(crate) use sealed_dir::{INDEX, INDEX_VERSION, SealedDir};
pub(crate) use source::Source;
