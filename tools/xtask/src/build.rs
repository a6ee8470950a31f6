//! From sources to one binary with the page inside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{
    fingerprint::Fingerprint,
    lock,
    needs::{self, Wasm},
    place,
    run::{self, cargo, run},
    steps::Steps,
};

/// What runs in the page as WebAssembly.
struct Core {
    /// What it is called when it is built.
    name: &'static str,
    package: &'static str,
    /// Cargo's name of the library.
    library: &'static str,
    features: Option<&'static str>,
    /// Crates that it has nothing of, so that it is not built again when one of them changes.
    without: &'static [&'static str],
}

/// The vault, the viewer: what every page has.
const PAGE: Core = Core {
    name: "page",
    package: "gloaming-web",
    library: "gloaming_web",
    features: None,
    without: &["server", "store", "blobs", "gloaming", "room", "room-log", "room-web"],
};

/// A member of a room: a module of its own, which only rooms fetch.
const ROOM: Core = Core {
    name: "room",
    package: "gloaming-room-web",
    library: "gloaming_room_web",
    features: None,
    without: &["server", "store", "blobs", "gloaming", "client", "keys", "login", "media", "package", "web"],
};

/// The core with what tests and benchmarks ask of it and the page does not.
const PROBES: Core = Core { name: "probes", features: Some("vectors,bench"), ..PAGE };

/// Builds what has changed; tells where the binary is.
pub(crate) fn binary() -> Result<PathBuf> {
    whole(place::binary(), "release", &["build", "--profile", "release", "-p", "gloaming"])
}

/// The same for tests, as a test of its own crate needs it: `cargo build` chooses other features, and would build nearly all of
/// it a second time.
pub(crate) fn tested_binary() -> Result<PathBuf> {
    whole(place::tested_binary(), "dev", &["test", "--no-run", "--workspace", "--test", "refusals"])
}

fn whole(binary: PathBuf, profile: &'static str, cargo_does: &[&str]) -> Result<PathBuf> {
    let mut steps = Steps::new(7);
    needs::bring(&[&needs::C_COMPILER, &needs::NODE_AND_NPM])?;
    page_core(&mut steps)?;
    packages(&mut steps)?;
    page(&mut steps)?;
    let sources = rust(profile).path("crates").made("web/dist").output(&binary);
    steps.when_changed("the binary", &sources, || run(cargo().args(cargo_does).arg("--locked")))?;
    println!("      {} is ready after {}", shown(&binary), steps.elapsed());
    Ok(binary)
}

/// The page without the binary: its core, its packages.
pub(crate) fn page_sources() -> Result<()> {
    let mut steps = Steps::new(5);
    needs::bring(&[&needs::C_COMPILER, &needs::NODE_AND_NPM])?;
    page_core(&mut steps)?;
    packages(&mut steps)
}

/// What the page has of WebAssembly: two modules.
fn page_core(steps: &mut Steps) -> Result<()> {
    core(steps, &PAGE, &place::web().join("src/wasm"))?;
    core(steps, &ROOM, &place::web().join("src/wasm-room"))
}

/// The core with what tests and benchmarks ask of it and the page does not; tells where it is.
pub(crate) fn core_for_probes() -> Result<PathBuf> {
    let out = place::target().join("x/probes");
    core(&mut Steps::new(2), &PROBES, &out)?;
    Ok(out)
}

/// Two steps: the code, and its face for JavaScript.
fn core(steps: &mut Steps, core: &Core, out: &Path) -> Result<()> {
    let Core { name, package, library, features, without } = core;
    let file = format!("{library}.wasm");
    let built = place::target().join("wasm32-unknown-unknown/wasm").join(&file);
    // Cargo puts every choice of features under the same name, so each is taken aside.
    let wasm = place::target().join("x").join(format!("core-{name}")).join(&file);
    let mut sources = rust(&format!("{name}-core")).output(&wasm);
    for entry in fs::read_dir(place::root().join("crates"))?.flatten() {
        if !without.contains(&entry.file_name().to_string_lossy().as_ref()) {
            sources = sources.path(entry.path());
        }
    }
    steps.when_changed(&format!("the {name}'s core, as WebAssembly"), &sources, || {
        let mut command = cargo();
        match needs::wasm()? {
            Wasm::Ready => {
                command.arg("build");
            }
            Wasm::FromSource { linker } => {
                command
                    .env("RUSTC", needs::DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .args(["build", "-Z", "build-std=std,panic_abort"]);
            }
        }
        command.args(["--locked", "--profile", "wasm", "--target", "wasm32-unknown-unknown", "-p", package]);
        command.args(features.iter().flat_map(|features| ["--features", features]));
        run(&mut command)?;
        fs::create_dir_all(wasm.parent().expect("it lies in a folder"))?;
        fs::copy(&built, &wasm).with_context(|| format!("{}", built.display()))?;
        Ok(())
    })?;

    let face = rust(&format!("{name}-face"))
        .path("tools/bindgen")
        .made(&wasm)
        .output(out.join(format!("{library}.js")));
    steps.when_changed("its face for JavaScript", &face, || {
        run(cargo().args(["build", "--locked", "--profile", "tool", "-p", "gloaming-bindgen"]))?;
        if out.exists() {
            fs::remove_dir_all(out)?;
        }
        run(run::command(place::target().join("tool/gloaming-bindgen")).arg(&wasm).arg(out))
    })
}

fn packages(steps: &mut Steps) -> Result<()> {
    let packages = Fingerprint::of("packages")
        .path("web/package.json")
        .path("web/package-lock.json")
        .text(&place::output("node", &["--version"]).unwrap_or_default())
        .output("web/node_modules/.package-lock.json");
    steps.when_changed("the page's packages", &packages, || {
        run(npm().args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
    })
}

fn page(steps: &mut Steps) -> Result<()> {
    let page = Fingerprint::of("page")
        .path("web")
        .made("web/src/wasm")
        .made("web/src/wasm-room")
        .output("web/dist/index.html");
    steps.when_changed("the page", &page, || run(npm().args(["run", "--silent", "build"])))
}

fn rust(name: &str) -> Fingerprint {
    Fingerprint::of(name)
        .path("Cargo.toml")
        .path("Cargo.lock")
        .text(&place::output("rustc", &["-V"]).unwrap_or_default())
        .text(&std::env::var("RUSTFLAGS").unwrap_or_default())
}

/// npm, in the page's folder.
pub(crate) fn npm() -> std::process::Command {
    let mut command = run::command("npm");
    command.current_dir(place::web());
    command
}

/// Copies the binary to where programs are.
pub(crate) fn install(arguments: &[String]) -> Result<ExitCode> {
    let prefix = match arguments {
        [] => PathBuf::from(std::env::var_os("HOME").context("HOME is not set; say --prefix DIR")?)
            .join(".local"),
        [flag, prefix] if flag == "--prefix" => place::caller().join(prefix),
        [flag] if flag.starts_with("--prefix=") => place::caller().join(&flag["--prefix=".len()..]),
        _ => anyhow::bail!("./x install takes --prefix DIR and nothing else"),
    };
    let binary = lock::alone(binary)?;
    let bin = prefix.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("{}", bin.display()))?;
    // Written beside and renamed: a running server keeps its old file, and nobody ever starts half of one.
    let (new, place) = (bin.join(".gloaming.new"), bin.join("gloaming"));
    fs::copy(&binary, &new).with_context(|| format!("{}", new.display()))?;
    fs::rename(&new, &place).with_context(|| format!("{}", place.display()))?;
    println!("Installed {}", place.display());
    Ok(ExitCode::SUCCESS)
}

/// A path as one would type it at the root.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(place::root()).unwrap_or(path).display().to_string()
}
