use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicBool},
};

use gloaming_blobs::{BlobConfig, Blobs, UrlKey};
use gloaming_ids::UnixMillis;
use gloaming_login::{ServerLogin, ServerSetup};
use gloaming_store::Store;
use tokio::sync::Notify;

use crate::{
    Config, StartError,
    attempts::Attempts,
    data_dir::{self, SECRETS, entropy},
    grants::{LogKey, Playbacks},
    health::Readiness,
    kms::{self, Kms},
    limits::Limiters,
    rooms::{Media, Rooms},
    routes::recovery::RecoveryAttempt,
    setup::Setup,
};

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) login: ServerSetup,
    pub(crate) setup: Setup,
    pub(crate) limits: Limiters,
    pub(crate) sign_ins: Attempts<ServerLogin>,
    pub(crate) recoveries: Attempts<RecoveryAttempt>,
    pub(crate) playbacks: Playbacks,
    pub(crate) rooms: Rooms,
    pub(crate) kms: Arc<dyn Kms>,
    pub(crate) log_key: LogKey,
    /// Makes up ids of accounts that do not exist, the same for a name each time.
    pub(crate) decoy_key: [u8; 32],
    pub(crate) readiness: Readiness,
    pub(crate) draining: AtomicBool,
    /// Something was deleted: the housekeeping need not wait for its hour.
    pub(crate) deleted: Notify,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub(crate) async fn open(config: Config) -> Result<Self, StartError> {
        let secrets = config.data.join(SECRETS);
        let path = config.data.join("gloaming.db");
        let store = tokio::task::spawn_blocking(move || Store::open(&path))
            .await
            .expect("opening the store does not panic")?;
        let login = data_dir::read_or_create(&secrets.join("opaque"), || {
            ServerSetup::generate(&mut entropy).to_bytes().to_vec()
        })?;
        let login = ServerSetup::from_bytes(&login)
            .map_err(|_| StartError::Damaged { file: "secrets/opaque".into() })?;
        let decoy_key =
            data_dir::read_or_create(&secrets.join("decoys"), || data_dir::random::<32>().into())?;
        let decoy_key =
            decoy_key.try_into().map_err(|_| StartError::Damaged { file: "secrets/decoys".into() })?;
        let blobs = open_blobs(&config)?;
        let setup = Setup::open(&secrets, &store, (config.clock)()).await?;
        let kms = kms::open_kms(&config, &store).await?;
        let log_key = LogKey::open(&secrets)?;
        // A runtime of its own belongs to each of its threads: they are made where waiting is allowed.
        let forwarded = config.clone();
        let media = tokio::task::spawn_blocking(move || Media::start(&forwarded))
            .await
            .expect("starting the forwarder does not panic")?;
        let limits = Limiters::new(&config.limits, &config.clock);
        Ok(Self(Arc::new(Parts {
            store,
            blobs,
            login,
            setup,
            limits,
            sign_ins: Attempts::new(),
            recoveries: Attempts::new(),
            playbacks: Playbacks::default(),
            rooms: Rooms::new(media),
            kms,
            log_key,
            decoy_key,
            readiness: Readiness::default(),
            draining: AtomicBool::new(false),
            deleted: Notify::new(),
            config,
        })))
    }

    pub(crate) fn now(&self) -> UnixMillis {
        (self.config.clock)()
    }
}

/// The object store that this configuration names.
pub(crate) fn open_blobs(config: &Config) -> Result<Blobs, StartError> {
    let blobs = match &config.s3 {
        Some(s3) => BlobConfig::S3(s3.clone()),
        None => {
            let key = config.data.join(SECRETS).join("url-key");
            BlobConfig::Disk {
                dir: config.data.join("blobs"),
                // Relative: a server on a home network may be reached under several names.
                base_url: None,
                secret: UrlKey::open(&key).map_err(|e| StartError::io(key.display().to_string(), e))?,
            }
        }
    };
    Ok(Blobs::open(blobs)?.with_clock(config.clock.clone()))
}
