//! `./x check`: everything that is wrong without running anything.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    build, licences, needs, place,
    run::{self, cargo, run},
    steps::Steps,
    threats,
};

/// What a server and a forwarder must not be able to do is visible in what they are built from.
const BLIND: [&str; 2] = ["gloaming-server", "gloaming-sfu"];
const UNSEEN: &[&str] =
    &["gloaming-keys", "gloaming-package", "gloaming-media", "gloaming-room", "gloaming-client"];

/// Its name, and what finds fault.
type Check = (&'static str, fn() -> Result<()>);

pub(crate) fn check() -> Result<ExitCode> {
    needs::bring(&[&needs::C_COMPILER, &needs::NODE_AND_NPM])?;
    let all: [Check; 7] = [
        ("format", || run(cargo().args(["fmt", "--all", "--check"]))),
        ("the server knows no keys", server_is_blind),
        ("licences and sources of dependencies", licences::check),
        ("every attack has its tests", threats::check),
        ("advisories", advisories),
        ("lints", || {
            run(cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }),
        ("types of the page", || {
            build::page_sources()?;
            run(build::npm().args(["run", "--silent", "check"]))
        }),
    ];
    // All of them, so that one run tells everything there is to mend.
    let mut steps = Steps::new(all.len());
    let mut wrong = Vec::new();
    for (title, work) in all {
        if let Err(error) = steps.always(title, work) {
            println!("{error:#}");
            wrong.push(title);
        }
    }
    if wrong.is_empty() {
        println!("All is well, after {}", steps.elapsed());
        return Ok(ExitCode::SUCCESS);
    }
    println!("To mend: {}", wrong.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Their dependencies, however far, hold nothing that could open what they store or forward.
fn server_is_blind() -> Result<()> {
    for blind in BLIND {
        let tree = run::command(cargo().get_program())
            .args(["tree", "--locked", "-p", blind, "-e", "normal", "--prefix", "none", "--format", "{p}"])
            .output()?;
        if !tree.status.success() {
            bail!("cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
        }
        let tree = String::from_utf8(tree.stdout)?;
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        if !names.contains(&blind) {
            bail!("cargo tree does not show {blind} itself: this check would pass whatever is wrong");
        }
        if let Some(seen) = UNSEEN.iter().find(|name| names.contains(name)) {
            bail!(
                "{blind} depends on {seen}; it must stay unable to decrypt. `cargo tree -p {blind} -i {seen}` shows how"
            );
        }
    }
    Ok(())
}

/// cargo-deny with the database of advisories, where both are to be had. Licences and sources are checked without it.
fn advisories() -> Result<()> {
    let Some(deny) = place::program("cargo-deny") else {
        println!("      SKIPPED: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    };
    let fetched = run::command(&deny).args(["fetch", "db"]).output()?;
    if !fetched.status.success() {
        println!("      SKIPPED: the database of advisories cannot be fetched");
        return run(run::command(&deny).args(["check", "bans", "licenses", "sources"]));
    }
    run(run::command(&deny).arg("check"))
}

/// `cargo metadata`, all of it.
pub(crate) fn metadata() -> Result<Value> {
    let output = cargo().args(["metadata", "--locked", "--format-version", "1"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is JSON")
}
