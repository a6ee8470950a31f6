//! One configuration out of four places: defaults, then `gloaming.toml`, then `GLOAMING_*`, then flags.
//!
//! [`Settings`] is a level of it: names and texts. [`Config`] is what they mean. Every setting can be written in every
//! place, as `public_url` in the file, `GLOAMING_PUBLIC_URL` in the environment, `--public-url` as a flag; and each
//! also as `GLOAMING_<NAME>_FILE`, the name of a file that holds it, which is how containers and systemd pass secrets.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use gloaming_api::share::Policy;
use gloaming_blobs::{Clock, S3Config};
use ipnet::IpNet;
use url::Url;

use crate::{grants::Pace, kms};

/// All settings and what each means.
pub const KEYS: &[(&str, &str)] = &[
    ("data", "Folder of everything the server keeps"),
    ("listen", "Address and port to listen on"),
    ("public_url", "Address by which people reach the server, such as https://video.example.org"),
    ("tls", "\"self-signed\", or \"off\""),
    ("tls_cert", "PEM file of the certificate chain"),
    ("tls_key", "PEM file of the certificate's key"),
    ("trusted_proxy", "Networks whose X-Forwarded-For and X-Forwarded-Proto are believed, by commas"),
    ("metrics_listen", "Address of its own for /metrics, such as 127.0.0.1:9420"),
    ("max_connections", "Connections open at once"),
    ("log", "\"pretty\" or \"json\""),
    ("session_ttl", "Seconds for which a viewer's session lasts without a refresh"),
    ("cleanup_interval", "Seconds between two rounds of clearing old grants away"),
    ("grant_speed", "Seconds of video granted for each second of the clock, such as 4"),
    ("grant_burst", "Seconds of video granted at once"),
    ("request_limit", "\"off\", or requests of one viewer in so many seconds, such as 100/300"),
    ("grant_log_days", "Days for which grants stay in the log; 0 for ever"),
    ("room_sockets", "People in rooms at once, all rooms together"),
    ("room_sockets_per_address", "People in rooms at once from one address"),
    ("forwarder_listen", "Address and port for the media of rooms, UDP and TCP; or \"off\""),
    (
        "forwarder_announce",
        "Addresses by which browsers reach that port, by commas, if not the one it listens on",
    ),
    (
        "turn_urls",
        "TURN servers of your own for browsers in rooms, such as turn:turn.example.org:3478, by commas",
    ),
    ("turn_secret", "The secret that the TURN servers share with this one"),
    ("turn_lifetime", "Seconds for which a browser may use the TURN servers"),
    (
        "kms_master_key",
        "Seals the server's halves of shared keys, base64 of 32 bytes; a file in the data folder if not set",
    ),
    ("kms_previous_key", "The master key before it, until `gloaming admin rotate-master-key` is through"),
    ("s3_endpoint", "Address of the S3 store, as the server reaches it"),
    ("s3_public_endpoint", "Address under which clients reach the S3 store, if it is another"),
    ("s3_bucket", "Bucket for ciphertext"),
    ("s3_region", "Region of the bucket"),
    ("s3_prefix", "In front of every object's name; ends in /"),
    ("s3_access_key", "Access key id"),
    ("s3_secret_key", "Secret access key"),
    ("s3_path_style", "\"true\" for stores that want endpoint/bucket/object"),
];

/// A setting that cannot be meant, or a place that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why it does not read.
        reason: String,
    },
    /// A setting nobody knows: most likely a typing mistake.
    #[error("there is no setting called {0:?}")]
    Unknown(String),
    /// A setting that does not read. The value is not repeated: it may be a secret.
    #[error("{key} does not read: {reason}")]
    Bad {
        /// Which.
        key: &'static str,
        /// What it should be.
        reason: String,
    },
}

/// Settings as one place has them.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<&'static str, String>);

/// Values may be secrets: only the names are printed.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// Sets one, as a flag does.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> Result<(), ConfigError> {
        let known = KEYS.iter().find(|(known, _)| *known == key);
        let (key, _) = known.ok_or_else(|| ConfigError::Unknown(key.to_owned()))?;
        self.0.insert(key, value.into());
        Ok(())
    }

    /// One setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Out of a TOML file: `name = value`, where a list becomes a comma-separated text.
    pub fn from_toml(path: &Path) -> Result<Self, ConfigError> {
        let bad = |reason: String| ConfigError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
        // The error's own text quotes the line, which may hold a secret.
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| bad(e.message().to_owned()))?;
        let mut settings = Self::default();
        for (key, value) in flat(table) {
            let text = match value {
                toml::Value::Array(items) => {
                    items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(","))
                }
                other => plain(&other),
            };
            settings.set(&key, text.ok_or_else(|| bad(format!("{key} must be a text or a number")))?)?;
        }
        Ok(settings)
    }

    /// Out of environment variables. Names it does not know are left alone: the command line has its own.
    pub fn from_env(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for (name, value) in vars {
            // The master key has the name by which keepers of keys know it, too.
            let own = name.strip_prefix("GLOAMING_").or(name.starts_with("KMS_").then_some(name.as_str()));
            let Some(name) = own else { continue };
            let name = name.to_lowercase();
            if settings.set(&name, value.clone()).is_ok() {
                continue;
            }
            if let Some(name) = name.strip_suffix("_file")
                && KEYS.iter().any(|(key, _)| *key == name)
            {
                let text = std::fs::read_to_string(&value)
                    .map_err(|e| ConfigError::File { path: value.into(), reason: e.to_string() })?;
                settings.set(name, text.trim_end_matches(['\r', '\n']))?;
            }
        }
        Ok(settings)
    }

    /// These, and where they say nothing, what `lower` says.
    #[must_use]
    pub fn over(mut self, lower: Self) -> Self {
        for (key, value) in lower.0 {
            self.0.entry(key).or_insert(value);
        }
        self
    }

    /// Flags over the environment over the file. The file is `config`, which must exist, or `gloaming.toml` in the data
    /// folder, which may.
    pub fn load(
        flags: Self,
        vars: impl IntoIterator<Item = (String, String)>,
        config: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let above = flags.over(Self::from_env(vars)?);
        let usual = Path::new(above.get("data").unwrap_or(DEFAULT_DATA)).join("gloaming.toml");
        let file = match config {
            Some(path) => Self::from_toml(path)?,
            None if usual.exists() => Self::from_toml(&usual)?,
            None => Self::default(),
        };
        Ok(above.over(file))
    }

    fn parse<T: FromStr>(&self, key: &'static str, what: &str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| ConfigError::Bad { key, reason: format!("it must be {what}") })
    }
}

/// `ttl` of a `[session]` is `session_ttl`.
fn flat(table: toml::Table) -> Vec<(String, toml::Value)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                all.extend(inner.into_iter().map(|(name, value)| (format!("{key}_{name}"), value)));
            }
            value => all.push((key, value)),
        }
    }
    all
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

const DEFAULT_DATA: &str = "./.gloaming";

/// How connections are secured here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not here: on loopback, or by a proxy in front.
    Off,
    /// By a certificate we make and keep in the data folder.
    SelfSigned,
    /// By these PEM files.
    Files {
        /// The chain.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one object a line.
    Json,
}

/// So many at once, and then one every so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// Then one in this time.
    pub every: Duration,
}

/// How often somebody may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sign-ins to one name from one address.
    pub sign_in: Rate,
    /// Sign-ins to one name from anywhere: slows guessing from many addresses, without shutting its owner out for long.
    pub sign_in_name: Rate,
    /// Sign-ins from one address to any name.
    pub sign_in_address: Rate,
    /// Recoveries of one name.
    pub recovery: Rate,
    /// Registrations from one address.
    pub registration: Rate,
    /// Requests of one account.
    pub account: Rate,
    /// Playbacks begun from one address.
    pub playback: Rate,
    /// Rooms opened from one address.
    pub room: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |burst, seconds| Rate { burst, every: Duration::from_secs(seconds) };
        Self {
            sign_in: seconds(10, 15),
            sign_in_name: seconds(60, 5),
            sign_in_address: seconds(60, 1),
            recovery: seconds(5, 60),
            registration: seconds(30, 5),
            // A page that reads a library of thousands asks fast, but not faster than this for long.
            account: Rate { burst: 2000, every: Duration::from_millis(10) },
            // A class behind one address comes at once.
            playback: Rate { burst: 200, every: Duration::from_millis(500) },
            // And so do the members of a room, after the server was started again.
            room: Rate { burst: 200, every: Duration::from_millis(200) },
        }
    }
}

/// How others may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playback {
    /// A viewer's session lasts so long without a refresh, and who is away no longer goes on with the same playback.
    pub session_ttl: Duration,
    /// A session lasts no longer than this, refreshed or not.
    pub session_longest: Duration,
    /// Between two rounds of clearing old grants away.
    pub cleanup_interval: Duration,
    /// Milliseconds of video granted for each of the clock, in tenths, where a share does not say.
    pub speed_tenths: u32,
    /// Video granted at once.
    pub burst: Duration,
    /// Requests of one session, and in what time; as many as it likes if absent.
    pub request_limit: Option<(u32, Duration)>,
    /// For how long grants stay in the log; for ever if absent.
    pub log_retention: Option<Duration>,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            session_ttl: Duration::from_secs(30 * 60),
            session_longest: Duration::from_secs(12 * 60 * 60),
            cleanup_interval: Duration::from_secs(15 * 60),
            speed_tenths: 40,
            burst: Duration::from_secs(120),
            request_limit: None,
            log_retention: Some(Duration::from_secs(365 * 24 * 60 * 60)),
        }
    }
}

/// How many may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// Sockets of all rooms together.
    pub sockets: usize,
    /// Of these, from one network: an IPv4 address, or an IPv6 /64.
    pub sockets_per_network: usize,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { sockets: 10_000, sockets_per_network: 200 }
    }
}

/// Where the media of rooms goes that is not sent from browser to browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarder {
    /// Where it listens, by UDP and by TCP.
    pub listen: ForwarderListen,
    /// By which addresses browsers reach it, at most one of each family. Empty: by the one it listens on, or, where that
    /// is all of them, by the one from which this machine reaches others.
    pub announce: Vec<IpAddr>,
}

/// Where the forwarder listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwarderListen {
    /// On the server's own address, port [`FORWARDER_PORT`]. Where that cannot be, the server runs without one.
    #[default]
    Usual,
    /// Here, or the server does not start.
    At(SocketAddr),
    /// There is none.
    Off,
}

/// The usual port of the forwarder.
pub const FORWARDER_PORT: u16 = 8422;

/// TURN servers that somebody runs beside this one.
#[derive(Clone)]
pub struct Turn {
    /// Where they are: `turn:` and `turns:` addresses.
    pub urls: Vec<String>,
    /// What they share with this server.
    pub secret: String,
    /// For how long a browser may use them.
    pub lifetime: Duration,
}

impl Playback {
    pub(crate) fn burst_ms(&self) -> u64 {
        u64::try_from(self.burst.as_millis()).unwrap_or(u64::MAX)
    }

    /// How fast a share may be watched.
    pub(crate) fn pace(&self, policy: &Policy) -> Pace {
        let speed_tenths = policy.speed_tenths.unwrap_or(self.speed_tenths).into();
        Pace { burst_ms: self.burst_ms(), speed_tenths }
    }

    /// How fast a session may ask: its bucket holds the time in which it may ask so often, in real time.
    pub(crate) fn request_pace(&self) -> Option<Pace> {
        let (_, time) = self.request_limit?;
        Some(Pace { burst_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), speed_tenths: 10 })
    }

    /// What one request takes of it.
    pub(crate) fn request_cost_ms(&self) -> u64 {
        self.request_limit.map_or(0, |(requests, time)| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / u64::from(requests.max(1))
        })
    }
}

/// What a server is told.
#[derive(Clone)]
pub struct Config {
    /// Folder of everything it keeps.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How people reach it, if not as it listens.
    pub public_url: Option<Url>,
    /// TLS.
    pub tls: Tls,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where `/metrics` is.
    pub metrics: Option<SocketAddr>,
    /// Connections at once.
    pub max_connections: usize,
    /// Format of the log.
    pub log: LogFormat,
    /// Where ciphertext goes, if not to the data folder.
    pub s3: Option<S3Config>,
    /// How often somebody may try.
    pub limits: Limits,
    /// How others may watch.
    pub playback: Playback,
    /// How many may meet.
    pub rooms: Rooms,
    /// Where their media goes.
    pub forwarder: Forwarder,
    /// TURN servers that they may use.
    pub turn: Option<Turn>,
    /// Seals the server's halves of shared keys, where it is not to be a file in the data folder.
    pub(crate) master_key: Option<std::sync::Arc<kms::Named>>,
    /// The one before it, which still opens.
    pub(crate) previous_master_key: Option<std::sync::Arc<kms::Named>>,
    /// Which time it is.
    pub clock: Clock,
}

impl Config {
    /// The defaults, in this folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            public_url: None,
            tls: Tls::Off,
            trusted_proxies: Vec::new(),
            metrics: None,
            max_connections: 4096,
            log: LogFormat::Pretty,
            s3: None,
            limits: Limits::default(),
            playback: Playback::default(),
            rooms: Rooms::default(),
            forwarder: Forwarder::default(),
            turn: None,
            master_key: None,
            previous_master_key: None,
            clock: crate::system_clock(),
        }
    }

    /// What these settings mean.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let bad = |key, reason: &str| ConfigError::Bad { key, reason: reason.into() };
        let mut config = Self::new(settings.get("data").unwrap_or(DEFAULT_DATA));
        if let Some(listen) = settings.parse("listen", "an address and a port, such as 127.0.0.1:8420")? {
            config.listen = listen;
        }
        config.public_url = public_url(settings)?;
        config.tls = match (settings.get("tls"), settings.get("tls_cert"), settings.get("tls_key")) {
            (None | Some("off"), None, None) => Tls::Off,
            (Some("self-signed"), None, None) => Tls::SelfSigned,
            (None, Some(cert), Some(key)) => Tls::Files { cert: cert.into(), key: key.into() },
            (None, Some(_), None) | (None, None, Some(_)) => {
                return Err(bad("tls_cert", "certificate and key go together: tls_cert and tls_key"));
            }
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(bad("tls", "it is not needed beside tls_cert and tls_key"));
            }
            (Some(_), None, None) => return Err(bad("tls", "it must be \"self-signed\" or \"off\"")),
        };
        for network in list(settings, "trusted_proxy") {
            let network = network
                .parse::<IpNet>()
                .or_else(|_| network.parse().map(|address: IpAddr| IpNet::from(address)))
                .map_err(|_| bad("trusted_proxy", "it must be networks such as 10.0.0.0/8, by commas"))?;
            config.trusted_proxies.push(network);
        }
        config.metrics = settings.parse("metrics_listen", "an address and a port, such as 127.0.0.1:9420")?;
        if let Some(max) = settings.parse("max_connections", "a number")? {
            config.max_connections = max;
        }
        if let Some(max) = settings.parse("room_sockets", "a number")? {
            config.rooms.sockets = max;
        }
        if let Some(max) = settings.parse("room_sockets_per_address", "a number")? {
            config.rooms.sockets_per_network = max;
        }
        config.forwarder = forwarder(settings)?;
        config.turn = turn(settings)?;
        config.log = match settings.get("log") {
            None | Some("pretty") => LogFormat::Pretty,
            Some("json") => LogFormat::Json,
            Some(_) => return Err(bad("log", "it must be \"pretty\" or \"json\"")),
        };
        config.s3 = s3(settings)?;
        config.playback = playback(settings)?;
        config.set_master_keys(settings.get("kms_master_key"), settings.get("kms_previous_key"))?;
        Ok(config)
    }

    /// Seals the server's halves of shared keys under `current`, and opens with `previous` as well: base64 of 32 bytes
    /// each.
    pub fn set_master_keys(
        &mut self,
        current: Option<&str>,
        previous: Option<&str>,
    ) -> Result<(), ConfigError> {
        let read = |key, text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => kms::Named::from_base64(text)
                .map(Some)
                .ok_or_else(|| ConfigError::Bad { key, reason: "it must be 32 bytes in base64".into() }),
        };
        let (current, previous) = (read("kms_master_key", current)?, read("kms_previous_key", previous)?);
        if current.is_none() && previous.is_some() {
            let reason = "it goes with kms_master_key".into();
            return Err(ConfigError::Bad { key: "kms_previous_key", reason });
        }
        (self.master_key, self.previous_master_key) = (current, previous);
        Ok(())
    }
}

fn seconds(
    settings: &Settings,
    key: &'static str,
    range: RangeInclusive<u64>,
) -> Result<Option<Duration>, ConfigError> {
    let reason = format!("a number of seconds from {} to {}", range.start(), range.end());
    match settings.parse::<u64>(key, &reason)? {
        Some(seconds) if !range.contains(&seconds) => {
            Err(ConfigError::Bad { key, reason: format!("it must be {reason}") })
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

fn playback(settings: &Settings) -> Result<Playback, ConfigError> {
    let mut playback = Playback::default();
    let bad = |key, reason: &str| ConfigError::Bad { key, reason: reason.into() };
    let seconds = |key, range| seconds(settings, key, range);
    const HALF_A_DAY: u64 = 12 * 60 * 60;
    playback.session_ttl = seconds("session_ttl", 60..=HALF_A_DAY)?.unwrap_or(playback.session_ttl);
    playback.cleanup_interval =
        seconds("cleanup_interval", 1..=24 * 60 * 60)?.unwrap_or(playback.cleanup_interval);
    playback.burst = seconds("grant_burst", 10..=HALF_A_DAY)?.unwrap_or(playback.burst);
    if let Some(speed) = settings.parse::<f64>("grant_speed", "a number such as 4")? {
        if !(1.0..=1_000_000.0).contains(&speed) {
            return Err(bad("grant_speed", "it must be from 1 to 1000000"));
        }
        playback.speed_tenths = (speed * 10.0).round() as u32;
    }
    playback.request_limit = match settings.get("request_limit") {
        None | Some("off") => None,
        Some(text) => {
            let parts = text
                .split_once('/')
                .and_then(|(n, s)| Some((n.parse::<u32>().ok()?, s.parse::<u64>().ok()?)));
            let reason = "it must be \"off\", or requests and seconds such as 100/300";
            let parts = parts.filter(|&(requests, seconds)| requests > 0 && seconds > 0);
            let (requests, seconds) = parts.ok_or_else(|| bad("request_limit", reason))?;
            Some((requests, Duration::from_secs(seconds)))
        }
    };
    if let Some(days) = settings.parse::<u32>("grant_log_days", "a number of days")? {
        playback.log_retention = (days > 0).then(|| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    }
    Ok(playback)
}

fn public_url(settings: &Settings) -> Result<Option<Url>, ConfigError> {
    let reason = "it must be an address such as https://video.example.org, without a path";
    let url: Option<Url> = settings.parse("public_url", reason)?;
    let plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    match url {
        Some(url) if !plain(&url) => {
            Err(ConfigError::Bad { key: "public_url", reason: format!("the address does not fit: {reason}") })
        }
        url => Ok(url),
    }
}

fn forwarder(settings: &Settings) -> Result<Forwarder, ConfigError> {
    let listen = match settings.get("forwarder_listen") {
        None => ForwarderListen::Usual,
        Some("off") => ForwarderListen::Off,
        Some(_) => {
            let what = "an address and a port, such as 0.0.0.0:8422, or \"off\"";
            settings.parse("forwarder_listen", what)?.map_or(ForwarderListen::Usual, ForwarderListen::At)
        }
    };
    let bad = |reason: &str| ConfigError::Bad { key: "forwarder_announce", reason: reason.into() };
    let mut announce: Vec<IpAddr> = Vec::new();
    for address in list(settings, "forwarder_announce") {
        let address: IpAddr =
            address.parse().map_err(|_| bad("it must be addresses such as 203.0.113.5, by commas"))?;
        if address.is_unspecified() || address.is_multicast() {
            return Err(bad("browsers cannot reach that address"));
        }
        if announce.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            return Err(bad("there can be one IPv4 and one IPv6 address"));
        }
        announce.push(address);
    }
    Ok(Forwarder { listen, announce })
}

fn turn(settings: &Settings) -> Result<Option<Turn>, ConfigError> {
    let bad = |key, reason: &str| ConfigError::Bad { key, reason: reason.into() };
    let urls: Vec<_> = list(settings, "turn_urls").map(str::to_owned).collect();
    let secret = settings.get("turn_secret").filter(|secret| !secret.is_empty());
    let lifetime = seconds(settings, "turn_lifetime", 60..=7 * 24 * 60 * 60)?;
    let secret = match (urls.is_empty(), secret) {
        (true, None) => return Ok(None),
        (false, Some(secret)) => secret.to_owned(),
        (true, Some(_)) => return Err(bad("turn_urls", "it goes with turn_secret")),
        (false, None) => return Err(bad("turn_secret", "it goes with turn_urls")),
    };
    if urls.iter().any(|url| !url.starts_with("turn:") && !url.starts_with("turns:")) {
        return Err(bad("turn_urls", "it must be addresses such as turn:turn.example.org:3478, by commas"));
    }
    Ok(Some(Turn { urls, secret, lifetime: lifetime.unwrap_or(Duration::from_secs(12 * 60 * 60)) }))
}

/// A setting that is several, by commas.
fn list<'a>(settings: &'a Settings, key: &str) -> impl Iterator<Item = &'a str> {
    settings.get(key).unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn s3(settings: &Settings) -> Result<Option<S3Config>, ConfigError> {
    let Some(endpoint) = settings.parse("s3_endpoint", "an address such as https://s3.example.org")? else {
        return Ok(None);
    };
    let what = "an address such as https://s3.example.org";
    let public_endpoint = settings.parse("s3_public_endpoint", what)?;
    let need = |key| {
        let missing = || ConfigError::Bad { key, reason: "an S3 store needs it".into() };
        settings.get(key).map(str::to_owned).ok_or_else(missing)
    };
    Ok(Some(S3Config {
        endpoint,
        public_endpoint,
        bucket: need("s3_bucket")?,
        access_key: need("s3_access_key")?,
        secret_key: need("s3_secret_key")?,
        region: settings.get("s3_region").unwrap_or("us-east-1").to_owned(),
        prefix: settings.get("s3_prefix").unwrap_or_default().to_owned(),
        path_style: settings.parse("s3_path_style", "\"true\" or \"false\"")?.unwrap_or(true),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn flags(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in pairs {
            settings.set(key, *value).unwrap();
        }
        settings
    }

    fn var(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn a_flag_outdoes_the_environment_which_outdoes_the_file_which_outdoes_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_str().unwrap();
        std::fs::write(
            dir.path().join("gloaming.toml"),
            "listen = '127.0.0.1:1'\nlog = 'json'\nmax_connections = 7\ntrusted_proxy = ['10.0.0.0/8', '::1']",
        )
        .unwrap();
        let vars = [var("GLOAMING_LOG", "pretty"), var("GLOAMING_LISTEN", "127.0.0.1:2"), var("HOME", "/")];
        let settings =
            Settings::load(flags(&[("data", data), ("listen", "127.0.0.1:3")]), vars, None).unwrap();
        let config = Config::from_settings(&settings).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.log, LogFormat::Pretty);
        assert_eq!(config.max_connections, 7);
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.tls, Tls::Off);
    }

    #[test]
    fn a_secret_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "open sesame\n").unwrap();
        let vars = [var("GLOAMING_S3_SECRET_KEY_FILE", file.to_str().unwrap())];
        let settings = Settings::from_env(vars).unwrap();
        assert_eq!(settings.get("s3_secret_key"), Some("open sesame"));
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn a_master_key_comes_under_its_own_name_too_and_is_never_printed() {
        let text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        for name in ["KMS_MASTER_KEY", "GLOAMING_KMS_MASTER_KEY"] {
            let settings = Settings::from_env([var(name, text)]).unwrap();
            let config = Config::from_settings(&settings).unwrap();
            let printed = format!("{:?}", config.master_key.unwrap());
            assert!(printed.starts_with("MasterKey(") && printed.len() < 30, "{printed}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, text).unwrap();
        let settings = Settings::from_env([var("KMS_MASTER_KEY_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.get("kms_master_key"), Some(text));
    }

    #[test]
    fn a_table_of_the_file_is_the_beginning_of_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        std::fs::write(&file, "[session]\nttl = 600\n[request]\nlimit = '100/300'").unwrap();
        let playback = Config::from_settings(&Settings::from_toml(&file).unwrap()).unwrap().playback;
        assert_eq!(playback.session_ttl, Duration::from_secs(600));
        assert_eq!(playback.request_limit, Some((100, Duration::from_secs(300))));
    }

    #[test]
    fn a_setting_nobody_knows_is_an_error_in_the_file_and_none_in_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        std::fs::write(&file, "lsten = '127.0.0.1:1'").unwrap();
        assert!(matches!(Settings::from_toml(&file), Err(ConfigError::Unknown(key)) if key == "lsten"));
        assert!(Settings::from_env([var("GLOAMING_PASSWORD", "x")]).unwrap().0.is_empty());
    }

    #[test]
    fn an_s3_store_may_have_an_address_for_clients() {
        let settings = [
            ("s3_endpoint", "http://minio:9000"),
            ("s3_bucket", "blobs"),
            ("s3_access_key", "key"),
            ("s3_secret_key", "secret"),
        ];
        let s3 = |more: &[(&str, &str)]| {
            Config::from_settings(&flags(&[&settings, more].concat())).map(|config| config.s3.unwrap())
        };
        assert_eq!(s3(&[]).unwrap().public_endpoint, None);
        let public = s3(&[("s3_public_endpoint", "https://s3.example.org")]).unwrap().public_endpoint;
        assert_eq!(public.unwrap().as_str(), "https://s3.example.org/");
        assert!(s3(&[("s3_public_endpoint", "s3.example.org")]).is_err());
    }

    #[test]
    fn where_media_goes_is_said_in_tables_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        let text = "[forwarder]\nlisten = '0.0.0.0:9000'\nannounce = ['203.0.113.5', '2001:db8::5']\n\
                    [turn]\nurls = ['turn:turn.example.org:3478', 'turns:turn.example.org']\nsecret = 'north'";
        std::fs::write(&file, text).unwrap();
        let config = Config::from_settings(&Settings::from_toml(&file).unwrap()).unwrap();
        assert_eq!(config.forwarder.listen, ForwarderListen::At("0.0.0.0:9000".parse().unwrap()));
        assert_eq!(config.forwarder.announce.len(), 2);
        let turn = config.turn.unwrap();
        assert_eq!((turn.urls.len(), turn.secret.as_str()), (2, "north"));
        let off = Config::from_settings(&flags(&[("forwarder_listen", "off")])).unwrap();
        assert_eq!((off.forwarder.listen, off.turn.is_none()), (ForwarderListen::Off, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (key, value) in [
            ("listen", "8420"),
            ("public_url", "video.example.org"),
            ("public_url", "https://video.example.org/sub/path"),
            ("public_url", "ftp://video.example.org"),
            ("tls", "yes"),
            ("tls_cert", "/only/one"),
            ("trusted_proxy", "10.0.0.0/99"),
            ("log", "loud"),
            ("s3_endpoint", "https://s3.example.org"),
            ("session_ttl", "1"),
            ("grant_speed", "0.5"),
            ("request_limit", "100"),
            ("grant_log_days", "-1"),
            ("forwarder_listen", "8422"),
            ("forwarder_announce", "video.example.org"),
            ("forwarder_announce", "0.0.0.0"),
            ("forwarder_announce", "192.0.2.1, 192.0.2.2"),
            ("turn_urls", "turn:turn.example.org"),
            ("turn_secret", "without anywhere to use it"),
            ("turn_lifetime", "1"),
            ("kms_master_key", "c2hvcnQ="),
            ("kms_previous_key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ] {
            let refused = Config::from_settings(&flags(&[(key, value)]));
            assert!(matches!(refused, Err(ConfigError::Bad { .. })), "{key} = {value}");
        }
    }
}
