//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository; `./x` starts us there.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tools/xtask lies two folders below")
        .to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Tools that we bring ourselves, out of everybody's way.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The binary, page inside.
pub(crate) fn binary() -> PathBuf {
    target().join("release").join(NAME)
}

/// The binary that the tests use.
pub(crate) fn tested_binary() -> PathBuf {
    target().join("debug").join(NAME)
}

const NAME: &str = if cfg!(windows) { "gloaming.exe" } else { "gloaming" };

/// The page's sources.
pub(crate) fn web() -> PathBuf {
    root().join("web")
}

/// Where the caller stood, for paths on the command line.
pub(crate) fn caller() -> PathBuf {
    env::var_os("GLOAMING_X_FROM").map_or_else(root, PathBuf::from)
}

/// The first program of this name on the `PATH`, or among our own tools.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let ours = tools().join("bin");
    env::split_paths(&path).chain([ours]).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// What a program prints, if it runs and succeeds.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether this is continuous integration: nothing may be skipped there.
pub(crate) fn ci() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1")
}
