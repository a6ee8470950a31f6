//! The server: accounts, sealed libraries, signed URLs for ciphertext, and the page. It can open none of it.
//!
//! ```text
//! listener ─ TLS? ─ accept loop ─► who asks (proxy, scheme, host) ─► request id, log, metrics ─► /v1 handlers ─► store
//!            connection cap, header timeout                        └► page headers ─► embedded page        └► blobs
//! ```
//!
//! [`Server::open`] reads the data folder and [`Server::run`] serves until told to stop, so that a test owns the port
//! and the stop signal. [`Admin`] does what `gloaming admin` does, on the same folder, while a server runs or not.
//!
//! | in the data folder | |
//! |---|---|
//! | `gloaming.db` | what `gloaming-store` remembers |
//! | `blobs/` | ciphertext, unless an S3 store has it |
//! | `secrets/` | OPAQUE's server secret, the key of signed URLs, the set-up token, the master key, the log key; mode 0600 |
//! | `tls/` | the self-signed certificate, if asked for |
//! | `gloaming.toml` | configuration, if there is one |
//!
//! This crate does not depend on `keys`, `package`, `media` or `client`: that the server cannot decrypt is visible in
//! its `Cargo.toml`.

mod admin;
mod app;
mod attempts;
mod client;
mod config;
mod cross_origin;
mod data_dir;
mod error;
mod extract;
mod grants;
mod health;
mod jobs;
mod kms;
mod limits;
mod listen;
mod observe;
mod page;
mod rooms;
mod routes;
mod setup;
mod tls;

pub use admin::{Admin, BackupReport, GcReport, MasterKeys};
pub use config::{
    Config, ConfigError, FORWARDER_PORT, Forwarder, ForwarderListen, KEYS, Limits, LogFormat, Playback, Rate,
    Rooms, Settings, Tls, Turn,
};
pub use error::StartError;
pub use jobs::Jobs;
pub use kms::RotationReport;
pub use observe::init_logging;
pub use routes::openapi;

pub use gloaming_blobs::S3Config;
pub use gloaming_store::{AccountUsage, StoreError};

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;

/// A server, ready to run.
pub struct Server {
    app: app::App,
    tls: Option<tls::Served>,
    metrics: Option<(TcpListener, SocketAddr)>,
    _lock: data_dir::Lock,
}

impl Server {
    /// Opens the data folder, made if it is missing, and everything in it.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let lock = data_dir::open(&config.data)?;
        let tls = tls::load(&config)?;
        let metrics = match config.metrics {
            Some(address) => {
                let listener = TcpListener::bind(address).await.map_err(|e| StartError::io("metrics", e))?;
                let address = listener.local_addr().map_err(|e| StartError::io("metrics", e))?;
                Some((listener, address))
            }
            None => None,
        };
        let app = app::App::open(config).await?;
        Ok(Self { app, tls, metrics, _lock: lock })
    }

    /// Where people reach the server that listens on `address`: the configured public address, or that one.
    pub fn base_url(&self, address: SocketAddr) -> String {
        setup::base_url(&self.app.config, address)
    }

    /// The one-time link that makes the owner's account, while there is no owner. Print it; never log it.
    pub fn setup_link(&self, address: SocketAddr) -> Option<String> {
        let token = self.app.setup.token()?;
        Some(format!("{}/setup#{token}", self.base_url(address)))
    }

    /// SHA-256 over the certificate, when it is our own: for whoever compares it with what a browser shows.
    pub fn fingerprint(&self) -> Option<&str> {
        self.tls.as_ref().and_then(|tls| tls.fingerprint.as_deref())
    }

    /// Where `/metrics` is, if anywhere.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// By which addresses browsers reach the forwarder of rooms; none where there is no forwarder.
    pub fn media_addresses(&self) -> &[SocketAddr] {
        self.app.rooms.media.announced()
    }

    /// The housekeeping that [`Server::run`] does by itself, for a test that jumps ahead in time.
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.app.clone())
    }

    /// Serves until `shutdown` comes true, then lets running requests finish for a while.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        let address = listener.local_addr().map_err(|e| StartError::io("listener", e))?;
        let https = self.tls.is_some();
        tracing::info!(%address, https, version = env!("CARGO_PKG_VERSION"), "serving");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let jobs = tokio::spawn(Jobs::new(self.app.clone()).run(stopped.clone()));
        let metrics = self.metrics.map(|(listener, _)| {
            let limits = listen::Limits { connections: 16, ..listen::Limits::default() };
            tokio::spawn(listen::serve(listener, None, health::metrics_router(), limits, stopped.clone()))
        });
        let forwarded = tokio::spawn(rooms::Rooms::hear_forwarder(self.app.clone()));
        let limits = listen::Limits { connections: self.app.config.max_connections, ..Default::default() };
        let router = routes::router(self.app.clone());
        let app = self.app.clone();
        let acceptor = self.tls.map(|tls| tls.acceptor);
        let serving = tokio::spawn(listen::serve(listener, acceptor, router, limits, stopped));

        shutdown.await;
        tracing::info!("stopping: running requests may finish");
        app.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = stop.send(true);
        rooms::Rooms::stop(&app).await;
        for task in [Some(serving), Some(jobs), Some(forwarded), metrics].into_iter().flatten() {
            if let Err(fault) = task.await {
                tracing::error!(%fault, "a task of the server failed");
            }
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Opens and runs a server in one go.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    Server::open(config).await?.run(listener, shutdown).await
}

/// Which time it is: the system's, unless a test says otherwise.
pub use gloaming_blobs::Clock;

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        gloaming_ids::UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}
