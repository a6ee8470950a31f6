//! `gloaming serve`: the server, page inside.

use std::{io::Write, path::PathBuf};

use gloaming_server::{Config, LogFormat, Server, Settings, StartError, StoreError};
use qrcode::{QrCode, render::unicode::Dense1x2};
use tokio::net::TcpListener;

use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Run the server
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    settings: ServerFlags,

    /// Address and port to listen on [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// Make and keep a certificate of our own (the browser asks once whether to trust it)
    #[arg(long, value_name = "MODE", value_parser = ["self-signed", "off"])]
    tls: Option<String>,

    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<String>,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,

    /// Network of a reverse proxy whose X-Forwarded-For and X-Forwarded-Proto are believed
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,

    /// Address of its own for /metrics
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<String>,

    /// Address and port for the media of rooms, UDP and TCP; or "off" [default: port 8422 of the address it listens on]
    #[arg(long, value_name = "ADDR")]
    forwarder_listen: Option<String>,

    /// Address by which browsers reach that port, if it is another: behind NAT, in containers
    #[arg(long, value_name = "IP")]
    forwarder_announce: Vec<String>,

    /// How the log is written [default: pretty]
    #[arg(long, value_name = "FORMAT", value_parser = ["pretty", "json"])]
    log: Option<String>,

    /// Keep ciphertext in this S3 store (its keys: GLOAMING_S3_ACCESS_KEY, GLOAMING_S3_SECRET_KEY, or files named by …_FILE)
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,

    /// Address under which clients reach the S3 store, if it is another
    #[arg(long, value_name = "URL")]
    s3_public_endpoint: Option<String>,

    /// Its bucket
    #[arg(long, value_name = "NAME")]
    s3_bucket: Option<String>,

    /// The bucket's region
    #[arg(long, value_name = "NAME")]
    s3_region: Option<String>,
}

/// What `serve` and `admin` both ask.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerFlags {
    /// Folder of everything the server keeps [default: ./.gloaming]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,

    /// Configuration file [default: gloaming.toml in the data folder]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Address by which people reach the server, such as https://video.example.org
    #[arg(long, value_name = "URL", global = true)]
    public_url: Option<String>,
}

impl ServerFlags {
    /// Flags over environment over file over defaults.
    pub(crate) fn config(&self, more: &[(&str, Option<String>)]) -> Result<Config, Failure> {
        let mut flags = Settings::default();
        let own = [("data", self.data.clone()), ("public_url", self.public_url.clone())];
        for (key, value) in own.iter().chain(more) {
            if let Some(value) = value {
                flags.set(key, value).map_err(|e| server_failure(e.into()))?;
            }
        }
        let settings = Settings::load(flags, std::env::vars(), self.config.as_deref());
        settings.and_then(|s| Config::from_settings(&s)).map_err(|e| server_failure(e.into()))
    }
}

impl Run for Serve {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let proxies = (!self.trusted_proxy.is_empty()).then(|| self.trusted_proxy.join(","));
        let announced = (!self.forwarder_announce.is_empty()).then(|| self.forwarder_announce.join(","));
        let config = self.settings.config(&[
            ("listen", self.listen),
            ("tls", self.tls),
            ("tls_cert", self.tls_cert),
            ("tls_key", self.tls_key),
            ("trusted_proxy", proxies),
            ("metrics_listen", self.metrics_listen),
            ("forwarder_listen", self.forwarder_listen),
            ("forwarder_announce", announced),
            ("log", self.log),
            ("s3_endpoint", self.s3_endpoint),
            ("s3_public_endpoint", self.s3_public_endpoint),
            ("s3_bucket", self.s3_bucket),
            ("s3_region", self.s3_region),
        ])?;
        gloaming_server::init_logging(config.log);
        let plain = config.log == LogFormat::Pretty;
        let runtime = tokio::runtime::Runtime::new().map_err(|e| server_failure(io("starting", e)))?;
        runtime.block_on(async {
            let address = config.listen;
            let listener = TcpListener::bind(address)
                .await
                .map_err(|e| server_failure(io(format!("listening on {address}"), e)))?;
            let address = listener.local_addr().map_err(|e| server_failure(io("listening", e)))?;
            let server = Server::open(config).await.map_err(server_failure)?;
            announce(&server, address, plain, terminal);
            server.run(listener, asked_to_stop()).await.map_err(server_failure)
        })
    }
}

fn io(what: impl Into<String>, source: std::io::Error) -> StartError {
    StartError::Io { what: what.into(), source }
}

/// Why the server, or a command on its data, did not start.
pub(crate) fn server_failure(error: StartError) -> Failure {
    let (exit, code) = match &error {
        StartError::Config(_) => (Exit::Usage, "configuration"),
        StartError::Store(StoreError::StorageFull) => (Exit::DiskFull, "disk_full"),
        StartError::Store(StoreError::NotFound) => {
            return Failure::new(Exit::NotFound, "no_such_account", "there is no account of that name");
        }
        StartError::Store(StoreError::TooNew { .. }) => (Exit::Refused, "database_too_new"),
        StartError::Damaged { .. } => (Exit::Refused, "damaged"),
        StartError::MasterKeyMissing { .. } => (Exit::Refused, "master_key_missing"),
        StartError::InUse(_) => (Exit::Exists, "data_in_use"),
        _ => (Exit::Files, "server_failed"),
    };
    Failure::new(exit, code, error.to_string())
}

/// Tells where the server is. The set-up link is the last line of standard output, and goes nowhere else.
fn announce(server: &Server, address: std::net::SocketAddr, plain: bool, terminal: &Terminal) {
    let url = server.base_url(address);
    if let Some(metrics) = server.metrics_address() {
        terminal.note(&format!("Metrics: http://{metrics}/metrics"));
    }
    if let [first, more @ ..] = server.media_addresses() {
        let more: String = more.iter().map(|address| format!(", {address}")).collect();
        terminal.note(&format!("Media of rooms (UDP and TCP): {first}{more}"));
    }
    let mut out = std::io::stdout().lock();
    // Whoever closed standard output does not want to know.
    if let Some(fingerprint) = server.fingerprint() {
        if let (true, Ok(code)) = (plain, QrCode::new(&url)) {
            let _ = writeln!(out, "{}", code.render::<Dense1x2>().build());
        }
        let _ = writeln!(out, "Certificate (SHA-256): {fingerprint}");
    }
    let _ = writeln!(out, "Gloaming: {url}");
    if let Some(link) = server.setup_link(address) {
        let _ = writeln!(out, "Set up your account: {link}");
    }
    let _ = out.flush();
}

/// SIGTERM or SIGINT.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
