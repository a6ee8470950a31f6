//! A server that can be killed and started again, and somebody with devices.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::ambush::Road;

/// The owner's.
pub const PASSWORD: &str = "velvet harbour lantern quietly";

/// A server, its data, and the way to it.
pub struct House {
    binary: PathBuf,
    dir: tempfile::TempDir,
    data: PathBuf,
    listen: SocketAddr,
    server: Arc<Mutex<Option<Child>>>,
    /// The way on which clients reach the server.
    pub road: Road,
    setup: String,
    settings: Vec<(String, String)>,
}

impl House {
    /// A running server without an owner, its data in a folder of its own.
    pub fn open(binary: PathBuf) -> Self {
        Self::open_with(binary, Vec::new())
    }

    /// The same, with variables of the server's environment.
    pub fn open_with(binary: PathBuf, settings: Vec<(String, String)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("server");
        Self::build(binary, dir, data, settings)
    }

    /// The same, its data where it is said to be.
    pub fn open_at(binary: PathBuf, dir: tempfile::TempDir, data: PathBuf) -> Self {
        Self::build(binary, dir, data, Vec::new())
    }

    fn build(
        binary: PathBuf,
        dir: tempfile::TempDir,
        data: PathBuf,
        settings: Vec<(String, String)>,
    ) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let road = Road::open(listen);
        let mut house =
            Self { binary, dir, data, listen, server: Arc::default(), road, setup: String::new(), settings };
        let printed = house.start();
        house.setup = loop {
            let line =
                printed.recv_timeout(Duration::from_secs(30)).expect("a new server prints its set-up link");
            if let Some((_, link)) = line.split_once("Set up your account: ") {
                break link.to_owned();
            }
        };
        house
    }

    /// Starts the server and waits until it answers. What it prints comes line by line.
    pub fn start(&self) -> mpsc::Receiver<String> {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut child = Command::new(&self.binary)
            .current_dir(self.dir.path())
            .arg("serve")
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", &self.listen.to_string()])
            .args(["--public-url", &format!("http://{}", self.road.address)])
            .env("GLOAMING_LOG", "json")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (told, printed) = mpsc::channel();
        // Nobody may be listening after a restart; the pipe is emptied all the same.
        std::thread::spawn(move || lines.for_each(|line| drop(told.send(line))));
        let started = Instant::now();
        while TcpStream::connect(self.listen).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "the server did not start: {}", self.logged());
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the server does not listen: {}",
                self.logged()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        *self.server.lock().unwrap() = Some(child);
        printed
    }

    /// `gloaming admin`, with the server's own settings.
    pub fn admin(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(["--json", "admin"])
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .args(["--public-url", &format!("http://{}", self.road.address)])
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Where the owner's device keeps what it keeps.
    pub fn profile(&self) -> PathBuf {
        self.path("device/gloaming/default")
    }

    /// Ends the server as a crash would; what it had in memory.
    #[cfg(target_os = "linux")]
    pub fn crash(&self) -> Vec<u8> {
        let mut server = self.server.lock().unwrap().take().expect("the server runs");
        crate::search::crash(&mut server, self.dir.path())
    }

    /// What kills the server, without a chance to tidy up.
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        let server = self.server.clone();
        move || kill(&server)
    }

    /// Where the server itself listens, with nothing in between.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// The server's process.
    pub fn process(&self) -> u32 {
        self.server.lock().unwrap().as_ref().expect("the server runs").id()
    }

    /// The server's data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A place for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything the server logged, whichever of its lives it was.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn logged(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let from = log.lines().count().saturating_sub(40);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    /// Makes the owner, signed in; the words of the recovery phrase.
    pub fn move_in(&self) -> Vec<String> {
        let told = self.ok(&["account", "create", "--setup", &self.setup, "ada"]);
        let words = told["phrase"].as_array().unwrap();
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// The client, as on the owner's device.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let state = self.path("device");
        fs::create_dir_all(&state).unwrap();
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.dir.path())
            .arg("--json")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &state)
            .env("XDG_STATE_HOME", &state)
            .env("GLOAMING_SERVER", format!("http://{}", self.road.address))
            .env("GLOAMING_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What the client prints when it does this, which works.
    pub fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.client(arguments).output().unwrap();
        answer(&output, arguments)
    }

    /// The error's code when the client does this, which does not work.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success(),
            "{arguments:?} worked: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        let last =
            err.lines().rfind(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{arguments:?}: {err}"));
        let error: Value = serde_json::from_str(last).unwrap();
        error["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Ids of the videos in the library.
    pub fn videos(&self) -> Vec<String> {
        let list = self.ok(&["ls"]);
        list.as_array().unwrap().iter().map(|video| video["video"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        kill(&self.server);
        if std::thread::panicking() {
            eprintln!("── the server's log\n{}", self.logged());
        }
    }
}

fn kill(child: &Mutex<Option<Child>>) {
    if let Some(mut child) = child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        // SIGKILL. It may be dead already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What a client printed, having done what it was asked.
pub fn answer(output: &Output, arguments: &[&str]) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
    if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out).unwrap() }
}
