//! `./x serve`: build what has changed, then become the server.

use std::{
    net::{TcpListener, TcpStream},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{build, lock, place};

const PORT: u16 = 8420;

/// What the xtask calls itself with, to open a browser. Not for people.
pub(crate) const OPEN: &str = "open-when-up";

pub(crate) fn serve(arguments: &[String]) -> Result<ExitCode> {
    let binary = lock::alone(build::binary)?;
    let given = |flag: &str| arguments.iter().any(|a| a == flag || a.starts_with(&format!("{flag}=")));

    let mut server = Command::new(binary);
    server.arg("serve").current_dir(place::caller());
    if !given("--data") {
        server.arg("--data").arg(place::root().join(".gloaming"));
    }
    if !given("--listen") {
        let address = format!("127.0.0.1:{}", free_port()?);
        server.arg("--listen").arg(&address);
        if given("--open") {
            // A process of its own, because this one is about to become the server.
            let this = std::env::current_exe().context("finding ourselves")?;
            Command::new(this)
                .args([OPEN, &address])
                .stdin(Stdio::null())
                .spawn()
                .context("starting ourselves")?;
        }
    }
    server.args(arguments.iter().filter(|argument| !["--", "--open"].contains(&argument.as_str())));
    println!();
    become_it(server)
}

/// Opens the page in a browser once the server answers.
pub(crate) fn open_when_up(arguments: &[String]) -> Result<ExitCode> {
    let [address] = arguments else { bail!("{OPEN} takes an address") };
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if started.elapsed() > Duration::from_secs(30) {
            return Ok(ExitCode::FAILURE); // The server has said on this same terminal why it did not start.
        }
        thread::sleep(Duration::from_millis(50));
    }
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = Command::new(opener)
        .arg(format!("http://{address}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !opened.is_ok_and(|status| status.success()) {
        eprintln!("No browser could be opened from here: visit http://{address}/");
    }
    Ok(ExitCode::SUCCESS)
}

/// 8420, or the next port that nobody has.
fn free_port() -> Result<u16> {
    let port = (PORT..PORT + 100)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("ports 8420 to 8519 are all taken; say --listen ADDRESS:PORT")?;
    if port != PORT {
        println!("Port {PORT} is taken; using {port}");
    }
    Ok(port)
}

/// The server takes this process's place, so that Ctrl-C and kill reach it and nobody else.
#[cfg(unix)]
fn become_it(mut server: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(server.exec()).context("the server does not start")
}

#[cfg(not(unix))]
fn become_it(mut server: Command) -> Result<ExitCode> {
    let status = server.status().context("the server does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
