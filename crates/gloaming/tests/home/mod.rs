//! A real server on a loopback port, behind a proxy that a test may tell to lie, and the real binary before it.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, which fail by panicking")]

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::Response,
};
use gloaming_ids::UnixMillis;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

pub(crate) const PASSWORD: &str = "velvet harbour lantern quietly";

/// What a lying server makes of an answer: its request's method and path with query, then status and body.
pub(crate) type Lie = Box<dyn FnMut(&str, &str, &mut u16, &mut Vec<u8>) + Send>;
/// Where a lying server looks for an answer instead.
pub(crate) type Detour = Box<dyn FnMut(&str, &str) -> Option<String> + Send>;
/// What a proxy before the server answers by itself.
pub(crate) type Refusal = Box<dyn FnMut(&str, &str) -> Option<u16> + Send>;

#[derive(Default)]
pub(crate) struct Lies {
    pub(crate) lie: Option<Lie>,
    pub(crate) detour: Option<Detour>,
    pub(crate) refusal: Option<Refusal>,
    /// Method and path of every request.
    pub(crate) seen: Vec<String>,
}

pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) url: String,
    pub(crate) setup: String,
    pub(crate) lies: Arc<Mutex<Lies>>,
    /// How far the server's clock is ahead, in milliseconds.
    pub(crate) clock: Arc<AtomicI64>,
    /// Where the media of larger rooms goes, from the next start on.
    pub(crate) forwarder: gloaming_server::ForwarderListen,
    /// Where the server itself listens.
    at: SocketAddr,
    server: Option<Serving>,
}

/// A server on a thread of its own.
struct Serving {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Serving {
    fn stop(self) {
        drop(self.stop);
        self.thread.join().unwrap();
    }
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
        if let Some(status) = lies.refusal.as_mut().and_then(|refusal| refusal(&method, &path)) {
            return Response::builder().status(status).body(Body::empty()).unwrap();
        }
        lies.detour.as_mut().and_then(|detour| detour(&method, &path)).unwrap_or(path)
    };
    let mut ask = proxy.http.request(head.method, format!("http://{}{path}", proxy.to)).body(body);
    for (name, value) in &head.headers {
        ask = ask.header(name, value);
    }
    // Where no server is, there is no answer either: the connection ends.
    let answer = ask.send().await.unwrap_or_else(|_| std::panic::resume_unwind(Box::new("no server")));
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
        let lies = Arc::new(Mutex::new(Lies::default()));
        let [at, front] = [free_port(), free_port()];
        let shared = Arc::clone(&lies);
        // Ends with the process of the tests.
        thread::spawn(move || {
            runtime().block_on(async move {
                let front = TcpListener::bind(front).await.unwrap();
                let proxy = Arc::new(Proxy { to: at, http: reqwest::Client::new(), lies: shared });
                axum::serve(front, Router::new().fallback(forward).with_state(proxy)).await.unwrap();
            });
        });
        let mut home = Home {
            dir,
            url: format!("http://{front}"),
            setup: String::new(),
            lies,
            clock: Arc::default(),
            forwarder: gloaming_server::ForwarderListen::At(SocketAddr::from(([127, 0, 0, 1], 0))),
            at,
            server: None,
        };
        home.setup = home.start().unwrap();
        home
    }

    /// Starts the server, again after [`stop`](Home::stop). Answers the set-up link while there is no owner.
    pub(crate) fn start(&mut self) -> Option<String> {
        let mut config = gloaming_server::Config::new(self.path("server"));
        config.public_url = Some(self.url.parse().unwrap());
        config.forwarder.listen = self.forwarder;
        let clock = Arc::clone(&self.clock);
        config.clock = Arc::new(move || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
            UnixMillis((now + clock.load(Ordering::SeqCst)) as u64)
        });
        // These tests sign in more often in a minute than people do.
        let often = gloaming_server::Rate { burst: 1000, every: Duration::from_millis(1) };
        config.limits.sign_in = often;
        config.limits.sign_in_name = often;
        config.limits.recovery = often;
        let (told, tell) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let at = self.at;
        let thread = thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async move {
                let listener = TcpListener::bind(at).await.unwrap();
                let server = gloaming_server::Server::open(config).await.unwrap();
                told.send(server.setup_link(at)).unwrap();
                server.run(listener, async move { drop(stopped.await) }).await.unwrap();
            });
            runtime.shutdown_background();
        });
        self.server = Some(Serving { stop, thread });
        tell.recv().unwrap()
    }

    /// The server is gone: its proxy takes requests, and ends the connection.
    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// A server with an owner, `ada`, signed in on `device`. Answers the recovery phrase too.
    pub(crate) fn owned(device: &str) -> (Home, String) {
        let home = Home::new();
        let made = home.ok(device, &["account", "create", "--setup", &home.setup, "ada"]);
        let words: Vec<_> =
            made["phrase"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let phrase = words.join(" ");
        (home, phrase)
    }

    /// The server's own address, without the proxy, which carries no WebSockets.
    pub(crate) fn direct(&self) -> String {
        format!("http://{}", self.at)
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

    /// What `doctor` finds wrong, by name.
    pub(crate) fn ailments(&self, device: &str) -> Vec<String> {
        let output = self.run(device, &["doctor"]);
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let bad = findings.as_array().unwrap().iter().filter(|finding| finding["good"] == false);
        let bad: Vec<_> = bad.map(|finding| finding["what"].as_str().unwrap().to_owned()).collect();
        assert_eq!(output.status.code(), Some(if bad.is_empty() { 0 } else { 21 }), "{findings}");
        bad
    }

    /// From now on, answers are what `lie` makes of them.
    pub(crate) fn lie(&self, lie: impl FnMut(&str, &str, &mut u16, &mut Vec<u8>) + Send + 'static) {
        self.lies.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// From now on, requests go where `detour` says.
    pub(crate) fn detour(&self, detour: impl FnMut(&str, &str) -> Option<String> + Send + 'static) {
        self.lies.lock().unwrap().detour = Some(Box::new(detour));
    }

    /// From now on, the store takes so many objects, and answers `status` to every other.
    pub(crate) fn take_objects(&self, count: usize, status: u16) {
        let mut taken = 0;
        self.lies.lock().unwrap().refusal = Some(Box::new(move |method, path| {
            let is_put = method == "PUT" && path.starts_with("/blobs/");
            taken += usize::from(is_put);
            (is_put && taken > count).then_some(status)
        }));
    }

    /// Objects that were sent to the store, however often, since the server was last told to be honest.
    pub(crate) fn objects_sent(&self) -> usize {
        let lies = self.lies.lock().unwrap();
        let sent = lies.seen.iter().filter(|seen| seen.starts_with("PUT /blobs/"));
        sent.filter_map(|seen| seen.split('?').next()).collect::<HashSet<_>>().len()
    }

    /// Starts a verb, and waits until it has sent so many objects to the store.
    pub(crate) fn begin(&self, device: &str, args: &[&str], objects: usize) -> Running {
        let mut command = self.command(device, args);
        let mut running =
            Running(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()));
        let begun = Instant::now();
        while self.objects_sent() < objects {
            let ended = running.0.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{args:?} ended: {:?}", running.end());
            assert!(begun.elapsed().as_secs() < 120, "{args:?} never came so far");
            thread::sleep(Duration::from_millis(50));
        }
        running
    }

    /// From now on, the server is honest. Answers what was asked of it so far.
    pub(crate) fn honest(&self) -> Vec<String> {
        let mut lies = self.lies.lock().unwrap();
        (lies.lie, lies.detour, lies.refusal) = (None, None, None);
        std::mem::take(&mut lies.seen)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// A server with a certificate of its own, until the tests end: its address, set-up link and fingerprint. It keeps
/// everything in `data`.
pub(crate) fn secure_server(data: &Path) -> (String, String, String) {
    let at = free_port();
    let mut config = gloaming_server::Config::new(data);
    config.tls = gloaming_server::Tls::SelfSigned;
    config.forwarder.listen = gloaming_server::ForwarderListen::Off;
    config.public_url = Some(format!("https://{at}").parse().unwrap());
    let (told, tell) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = TcpListener::bind(at).await.unwrap();
            let server = gloaming_server::Server::open(config).await.unwrap();
            told.send((server.setup_link(at).unwrap(), server.fingerprint().unwrap().to_owned())).unwrap();
            server.run(listener, std::future::pending()).await.unwrap();
        });
    });
    let (setup, fingerprint) = tell.recv().unwrap();
    (format!("https://{at}"), setup, fingerprint)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
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

/// A film of noise, which does not compress: some forty megabytes, three packs and more.
pub(crate) fn noise() -> &'static Path {
    static NOISE: OnceLock<PathBuf> = OnceLock::new();
    NOISE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("noise.mp4");
        if !path.exists() {
            let making = path.with_extension("making.mp4");
            let noise = "nullsrc=size=640x360:rate=25:duration=20,geq=random(1)*255:128:128";
            let made = Command::new("ffmpeg")
                .args(["-v", "error", "-y", "-f", "lavfi", "-i", noise, "-c:v", "libx264"])
                .args([
                    "-preset",
                    "ultrafast",
                    "-b:v",
                    "16M",
                    "-maxrate",
                    "16M",
                    "-bufsize",
                    "4M",
                    "-g",
                    "50",
                ])
                .arg(&making)
                .status()
                .unwrap();
            assert!(made.success());
            fs::rename(making, &path).unwrap();
        }
        path
    })
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

/// A verb that serves a video on this machine (`play`, `view`), once it has said where; and what it said.
pub(crate) fn serving(home: &Home, device: &str, verb: &[&str]) -> (Running, Value) {
    let mut command = home.command(device, verb);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        printed += &line;
        if line == "}" {
            break;
        }
    }
    let mut running = Running(Some(child));
    if printed.is_empty() {
        panic!("{:?}", running.end());
    }
    (running, serde_json::from_str(&printed).unwrap())
}

/// A running verb that ends with the test.
pub(crate) struct Running(pub(crate) Option<Child>);

impl Running {
    /// Sends it a signal, as Ctrl-C (`INT`) or a system that shuts down (`TERM`) does.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
