//! A real server on a loopback port, behind a proxy that a test may tell to lie, and the real binary before it.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, which fail by panicking")]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Response, Uri},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

pub(crate) const PASSWORD: &str = "velvet harbour lantern quietly";

/// What a lying server makes of an answer: its request's method and path with query, then status and body.
pub(crate) type Lie = Box<dyn FnMut(&str, &str, &mut u16, &mut Vec<u8>) + Send>;
/// Where a lying server looks for an answer instead.
pub(crate) type Detour = Box<dyn FnMut(&str, &str) -> Option<String> + Send>;

#[derive(Default)]
pub(crate) struct Lies {
    pub(crate) lie: Option<Lie>,
    pub(crate) detour: Option<Detour>,
    /// Method and path of every request.
    pub(crate) seen: Vec<String>,
}

pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) url: String,
    pub(crate) setup: String,
    pub(crate) lies: Arc<Mutex<Lies>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Proxy {
    to: SocketAddr,
    http: reqwest::Client,
    lies: Arc<Mutex<Lies>>,
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let method = head.method.to_string();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = {
        let mut lies = proxy.lies.lock().unwrap();
        lies.seen.push(format!("{method} {path}"));
        lies.detour.as_mut().and_then(|detour| detour(&method, &path)).unwrap_or(path)
    };
    let mut ask = proxy.http.request(head.method, format!("http://{}{path}", proxy.to)).body(body);
    for (name, value) in &head.headers {
        ask = ask.header(name, value);
    }
    let answer = ask.send().await.unwrap();
    let (mut status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = answer.bytes().await.unwrap().to_vec();
    if let Some(lie) = proxy.lies.lock().unwrap().lie.as_mut() {
        lie(&method, &path, &mut status, &mut body);
    }
    let mut out = Response::builder().status(status);
    for (name, value) in
        headers.iter().filter(|(name, _)| !matches!(name.as_str(), "content-length" | "transfer-encoding"))
    {
        out = out.header(name, value);
    }
    out.body(Body::from(Bytes::from(body))).unwrap()
}

impl Home {
    /// A server without an owner.
    pub(crate) fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("server");
        let lies = Arc::new(Mutex::new(Lies::default()));
        let (told, tell) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&lies);
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let real = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (to, at) = (real.local_addr().unwrap(), front.local_addr().unwrap());
                let mut config = gloaming_server::Config::new(data);
                config.public_url = Some(format!("http://{at}").parse().unwrap());
                // These tests sign in more often in a minute than people do.
                let often = gloaming_server::Rate { burst: 1000, every: Duration::from_millis(1) };
                config.limits.sign_in = often;
                config.limits.sign_in_name = often;
                config.limits.recovery = often;
                let server = gloaming_server::Server::open(config).await.unwrap();
                let setup = server.setup_link(to).await.unwrap();
                let proxy = Arc::new(Proxy { to, http: reqwest::Client::new(), lies: shared });
                tokio::spawn(async move {
                    axum::serve(front, Router::new().fallback(forward).with_state(proxy)).await.unwrap();
                });
                told.send((format!("http://{at}"), setup)).unwrap();
                server.run(real, async move { drop(stopped.await) }).await.unwrap();
            });
            runtime.shutdown_background();
        });
        let (url, setup) = tell.recv().unwrap();
        Home { dir, url, setup, lies, stop: Some(stop), thread: Some(thread) }
    }

    /// A server with an owner, `ada`, signed in on `device`. Answers the recovery phrase too.
    pub(crate) fn owned(device: &str) -> (Home, String) {
        let home = Home::new();
        let made = home.ok(device, &["account", "create", &home.setup, "ada"]);
        let words: Vec<_> =
            made["phrase"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let phrase = words.join(" ");
        (home, phrase)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary, as on a device of its own.
    pub(crate) fn command(&self, device: &str, args: &[&str]) -> Command {
        let state = self.dir.path().join("devices").join(device);
        fs::create_dir_all(&state).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gloaming"));
        command
            .arg("--json")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &state)
            .env("XDG_STATE_HOME", &state)
            .env("GLOAMING_SERVER", &self.url)
            .env("GLOAMING_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, device: &str, args: &[&str]) -> Output {
        self.command(device, args).output().unwrap()
    }

    /// Runs a verb that works; what it printed.
    pub(crate) fn ok(&self, device: &str, args: &[&str]) -> Value {
        json(&self.run(device, args), args)
    }

    /// Runs a verb that does not work: its exit code and error code.
    pub(crate) fn refused(&self, device: &str, args: &[&str]) -> (i32, String) {
        let output = self.run(device, args);
        refusal(&output, args)
    }

    /// From now on, answers are what `lie` makes of them.
    pub(crate) fn lie(&self, lie: impl FnMut(&str, &str, &mut u16, &mut Vec<u8>) + Send + 'static) {
        self.lies.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// From now on, requests go where `detour` says.
    pub(crate) fn detour(&self, detour: impl FnMut(&str, &str) -> Option<String> + Send + 'static) {
        self.lies.lock().unwrap().detour = Some(Box::new(detour));
    }

    /// From now on, the server is honest. Answers what was asked of it so far.
    pub(crate) fn honest(&self) -> Vec<String> {
        let mut lies = self.lies.lock().unwrap();
        (lies.lie, lies.detour) = (None, None);
        std::mem::take(&mut lies.seen)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn json(output: &Output, args: &[&str]) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {:?}\n{out}\n{err}", output.status);
    if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out).unwrap() }
}

pub(crate) fn refusal(output: &Output, args: &[&str]) -> (i32, String) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{args:?} worked:\n{out}\n{err}");
    let last = err.lines().rfind(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{args:?}: {err}"));
    let error: Value = serde_json::from_str(last).unwrap();
    (output.status.code().unwrap(), error["error"]["code"].as_str().unwrap().to_owned())
}

/// A film of so many seconds: H.264 with B-frames, AAC, `moov` at the end.
pub(crate) fn film(path: &Path, seconds: u32, seed: u32) {
    let video = format!("testsrc2=size=640x360:rate=25:duration={seconds}");
    let audio = format!("sine=frequency={}:duration={seconds}", 300 + seed);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-c:a", "aac", "-shortest"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// ffmpeg's hash over every packet.
pub(crate) fn packets(source: &str) -> String {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            source,
            "-map",
            "0:v",
            "-map",
            "0:a",
            "-c",
            "copy",
            "-f",
            "streamhash",
            "-",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A running verb that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
