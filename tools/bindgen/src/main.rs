//! Runs wasm-bindgen on the page's core, without its command line tool: this builds far quicker, and `Cargo.lock`
//! keeps its version equal to the library's.
//!
//! `gloaming-bindgen INPUT.wasm OUTPUT-DIR [web|nodejs]`
#![allow(clippy::print_stderr, reason = "a program's usage")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: gloaming-bindgen INPUT.wasm OUTPUT-DIR [web|nodejs]");
        return Ok(ExitCode::from(2));
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(PathBuf::from(input)).typescript(true);
    match arguments.next().as_deref().and_then(|target| target.to_str()) {
        None | Some("web") => bindgen.web(true)?,
        Some("nodejs") => bindgen.nodejs(true)?,
        Some(other) => anyhow::bail!("{other}: not a target, which are web and nodejs"),
    };
    bindgen.generate(PathBuf::from(output)).context("wasm-bindgen")?;
    Ok(ExitCode::SUCCESS)
}
