//! What must be on the machine, and bringing what is not.
//!
//! Where it may (root on Debian or Ubuntu, or a yes at a terminal with sudo) what is missing is installed, saying so.
//! Elsewhere all of it is listed at once, with the command for each system.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    place,
    run::{self, run},
};

/// Something that must be there.
pub(crate) struct Need {
    name: &'static str,
    there: fn() -> bool,
    apt: &'static [&'static str],
    dnf: &'static [&'static str],
    brew: &'static [&'static str],
    /// Where it comes from if no package has it.
    otherwise: &'static str,
}

/// The oldest Node that Vite runs on.
const NODE: (u32, u32) = (20, 19);

pub(crate) const C_COMPILER: Need = Need {
    name: "a C compiler",
    there: || place::program("cc").is_some(),
    apt: &["gcc", "g++", "libc6-dev", "make"],
    dnf: &["gcc", "gcc-c++", "make"],
    brew: &[],
    otherwise: "on macOS: xcode-select --install",
};

pub(crate) const NODE_AND_NPM: Need = Need {
    name: "Node 20.19 or newer, with npm",
    there: || node_version().is_some_and(|version| version >= NODE) && place::program("npm").is_some(),
    apt: &["nodejs", "npm"],
    dnf: &["nodejs"],
    brew: &["node"],
    otherwise: "https://nodejs.org, where your system's package is older",
};

pub(crate) const FFMPEG: Need = Need {
    name: "ffmpeg",
    there: || place::program("ffmpeg").is_some() && place::program("ffprobe").is_some(),
    apt: &["ffmpeg"],
    dnf: &["ffmpeg"],
    brew: &["ffmpeg"],
    otherwise: "",
};

pub(crate) const PYTHON: Need = Need {
    name: "Python with pip (it brings SeaweedFS and a few real films)",
    there: || place::output("python3", &["-m", "pip", "--version"]).is_some(),
    apt: &["python3", "python3-pip"],
    dnf: &["python3", "python3-pip"],
    brew: &["python3"],
    otherwise: "",
};

pub(crate) const CHROMIUM: Need = Need {
    name: "Chromium (or GLOAMING_CHROMIUM=/path/to/another)",
    there: || chromium().is_some() && (!cfg!(target_os = "linux") || place::program("ip").is_some()),
    // With iproute2 each browser of a call is put into a network of its own.
    apt: &["chromium", "fonts-dejavu-core", "iproute2"],
    dnf: &["chromium", "iproute"],
    brew: &["--cask", "chromium"],
    otherwise: "",
};

pub(crate) const FIREFOX: Need = Need {
    name: "Firefox (or GLOAMING_FIREFOX=/path/to/another)",
    there: || firefox().is_some() && (!cfg!(target_os = "linux") || place::program("Xvfb").is_some()),
    // It shares a screen where it has one. Firefox decodes H.264 and AAC with the system's libavcodec, which it only recommends.
    apt: &["firefox-esr", "ffmpeg", "xvfb"],
    dnf: &["firefox", "xorg-x11-server-Xvfb"],
    brew: &["--cask", "firefox"],
    otherwise: "",
};

pub(crate) const WEBKIT: Need = Need {
    name: "WebKitGTK's driver (or GLOAMING_WEBKIT=/path/to/MiniBrowser)",
    there: || place::program("WebKitWebDriver").is_some() && place::program("xvfb-run").is_some(),
    apt: &[
        "webkit2gtk-driver",
        "libwebkit2gtk-4.1-0",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-libav",
        "xvfb",
        "xauth",
        "fonts-dejavu-core",
    ],
    dnf: &["webkit2gtk4.1", "xorg-x11-server-Xvfb"],
    brew: &[],
    otherwise: "",
};

pub(crate) const WASM_SOURCES: Need = Need {
    name: "a standard library for wasm32",
    there: || {
        Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml").exists() && Path::new(DEBIAN_RUSTC).exists()
    },
    apt: &["rustc-web", "rust-web-src"],
    dnf: &["rust-std-static-wasm32-unknown-unknown"],
    brew: &["rustup"],
    otherwise: "with rustup: rustup target add wasm32-unknown-unknown",
};

/// The compiler that goes with Debian's sources of the standard library.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The Chromium that tests drive.
pub(crate) fn chromium() -> Option<String> {
    named_or_found("GLOAMING_CHROMIUM", &["chromium", "chromium-browser", "google-chrome"])
}

/// The Firefox that tests drive.
pub(crate) fn firefox() -> Option<String> {
    named_or_found("GLOAMING_FIREFOX", &["firefox-esr", "firefox"])
}

fn named_or_found(variable: &str, names: &[&str]) -> Option<String> {
    let named = std::env::var(variable).ok().filter(|path| Path::new(path).exists());
    named.or_else(|| names.iter().find_map(|name| Some(place::program(name)?.display().to_string())))
}

fn node_version() -> Option<(u32, u32)> {
    let version = place::output("node", &["--version"])?;
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    Some((parts.next()?, parts.next()?))
}

/// Brings what is missing; an error lists everything that still is.
pub(crate) fn bring(needs: &[&Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !(need.there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if may_install(&missing) {
        let packages: Vec<&str> = missing.iter().flat_map(|need| need.apt).copied().collect();
        apt(&packages)?;
    }
    let still: Vec<&Need> = missing.into_iter().filter(|need| !(need.there)()).collect();
    if still.is_empty() {
        return Ok(());
    }
    bail!("{}", listed(&still));
}

/// Brings what is missing if that is possible; tells what still is.
pub(crate) fn try_to_bring(need: &Need) -> bool {
    match bring(&[need]) {
        Ok(()) => true,
        Err(error) => {
            println!("{error:#}");
            false
        }
    }
}

fn listed(missing: &[&Need]) -> String {
    let mut text = String::from("Missing on this machine:\n");
    for need in missing {
        text += &format!("  {}\n", need.name);
        if !need.otherwise.is_empty() {
            text += &format!("      ({})\n", need.otherwise);
        }
    }
    let all = |packages: fn(&Need) -> &'static [&'static str]| {
        missing.iter().flat_map(|need| packages(need)).copied().collect::<Vec<_>>().join(" ")
    };
    text += "Install it and try again:\n";
    for (system, command, packages) in [
        ("Debian, Ubuntu", "sudo apt-get install", all(|need| need.apt)),
        ("Fedora", "sudo dnf install", all(|need| need.dnf)),
        ("macOS", "brew install", all(|need| need.brew)),
    ] {
        if !packages.is_empty() {
            text += &format!("  {system:15} {command} {packages}\n");
        }
    }
    text
}

fn may_install(missing: &[&Need]) -> bool {
    if place::program("apt-get").is_none() {
        return false;
    }
    if is_root() {
        return true;
    }
    if place::program("sudo").is_none() || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal()
    {
        return false;
    }
    println!("Missing on this machine:");
    missing.iter().for_each(|need| println!("  {}", need.name));
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.apt).copied().collect();
    print!("Install {} with sudo apt-get? [y/N] ", packages.join(" "));
    let mut answer = String::new();
    std::io::stdout().flush().is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn is_root() -> bool {
    place::output("id", &["-u"]).is_some_and(|id| id == "0")
}

/// Installs packages. Package servers have bad moments, and so has unpacking, so it is tried four times.
fn apt(packages: &[&str]) -> Result<()> {
    println!("Installing {}", packages.join(" "));
    let apt_get = |arguments: &[&str]| {
        let mut command = if is_root() { run::command("apt-get") } else { run::command("sudo") };
        if !is_root() {
            command.stdin(std::process::Stdio::inherit()).args([
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
            ]);
        }
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments);
        run(&mut command)
    };
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    let mut tries = 1;
    loop {
        match apt_get(&["update"]).and_then(|()| apt_get(&install)) {
            Ok(()) => return Ok(()),
            Err(error) if tries < 4 => println!("{error:#}; trying again"),
            Err(error) => return Err(error),
        }
        thread::sleep(Duration::from_secs(5 * tries));
        tries += 1;
    }
}

/// How to build for wasm32 on this machine.
pub(crate) enum Wasm {
    /// The toolchain has the standard library.
    Ready,
    /// Debian's compiler builds it from Debian's sources, linked by this toolchain's linker.
    FromSource {
        /// The linker.
        linker: String,
    },
}

/// Finds or brings a standard library for wasm32: from rustup if it answers, else from Debian's packages.
pub(crate) fn wasm() -> Result<Wasm> {
    if has_wasm_std() {
        return Ok(Wasm::Ready);
    }
    let sysroot = place::output("rustc", &["--print", "sysroot"]).unwrap_or_default();
    let host = place::output("rustc", &["-vV"])
        .and_then(|text| text.lines().find_map(|line| Some(line.strip_prefix("host: ")?.to_owned())))
        .unwrap_or_default();
    let linker = format!("{sysroot}/lib/rustlib/{host}/bin/rust-lld");
    let from_source = || Path::new(&linker).exists().then(|| Wasm::FromSource { linker: linker.clone() });

    // Where Debian's are there already, nobody has to wait for rustup to find out that it has no network.
    if (WASM_SOURCES.there)()
        && let Some(wasm) = from_source()
    {
        return Ok(wasm);
    }
    if place::program("rustup").is_some() {
        println!("      rustup target add wasm32-unknown-unknown");
        // Its failure says nothing that we do not say better below.
        let added = quietly(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"]));
        if added && has_wasm_std() {
            return Ok(Wasm::Ready);
        }
    }
    bring(&[&WASM_SOURCES])?;
    match from_source() {
        Some(wasm) => Ok(wasm),
        None => bail!("{linker} is missing: this Rust toolchain cannot link for wasm32; use rustup's"),
    }
}

fn has_wasm_std() -> bool {
    place::output("rustc", &["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .and_then(|dir| std::fs::read_dir(dir).ok())
        .is_some_and(|files| {
            files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
}

/// Runs it without a word, for half a minute at most.
fn quietly(command: &mut Command) -> bool {
    use std::process::Stdio;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    for _ in 0..300 {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(100)),
            Err(_) => return false,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
