//! Where the media of rooms goes that is not sent from browser to browser: the forwarder, what browsers are told of it, and
//! how it is reached.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Mutex,
};

use gloaming_api::room::{IceServer, Notice};
use gloaming_sfu::{Counts, Event, Service, Settings};
use tokio::sync::mpsc;

use super::{lock, turn};
use crate::{Clock, Config, FORWARDER_PORT, ForwarderListen, StartError, Turn, client::is_loopback};

/// The forwarder, where there is one, and TURN servers, where there are some.
pub(crate) struct Media {
    service: Mutex<Option<Service>>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    /// Where browsers find it.
    announced: Vec<SocketAddr>,
    turn: Option<Turn>,
    clock: Clock,
}

impl Media {
    /// Starts the forwarder. Where nobody said where it is to be and it cannot be where it usually is, there is none: a
    /// household's videos and small rooms do not depend on it.
    pub(crate) fn start(config: &Config) -> Result<Self, StartError> {
        let none = |why: &str| {
            tracing::warn!(
                "{why}; rooms go without a forwarder: those of more than a few people, and those whose browsers find no \
                 way to each other, will not work"
            );
        };
        let started = match config.forwarder.listen {
            ForwarderListen::Off => None,
            ForwarderListen::At(address) => {
                Some(start(config, address).map_err(|e| StartError::io(listening(address), e))?)
            }
            ForwarderListen::Usual if reached_through_a_proxy(config) => {
                none("no proxy passes on the media of rooms: set forwarder_listen, such as 0.0.0.0:8422");
                None
            }
            ForwarderListen::Usual => {
                let port = if config.listen.port() == 0 { 0 } else { FORWARDER_PORT };
                let address = SocketAddr::new(config.listen.ip(), port);
                let started = start(config, address);
                started.map_err(|error| none(&format!("{}: {error}", listening(address)))).ok()
            }
        };
        let (service, events, announced) = match started {
            Some(Started { service, events, announced }) => {
                let at = service.addresses();
                tracing::info!(listening = ?at, announced = ?announced, "forwarding the media of rooms");
                (Some(service), Some(events), announced)
            }
            None => (None, None, Vec::new()),
        };
        let (turn, clock) = (config.turn.clone(), config.clock.clone());
        Ok(Self { service: Mutex::new(service), events: Mutex::new(events), announced, turn, clock })
    }

    /// The forwarder, while it runs.
    pub(super) fn service(&self) -> Option<Service> {
        lock(&self.service).clone()
    }

    /// What it has to say to browsers. Whoever asks first carries it.
    pub(super) fn events(&self) -> Option<mpsc::Receiver<Event>> {
        lock(&self.events).take()
    }

    /// The forwarder's threads end.
    pub(super) fn stop(&self) {
        *lock(&self.service) = None;
    }

    /// Says what the forwarder counted where everything is counted.
    #[expect(clippy::cast_precision_loss, reason = "numbers to look at")]
    pub(super) async fn count(&self) {
        let Some(service) = self.service() else { return };
        let Ok(shards) = service.counts().await else { return };
        let gauge = |name: &'static str, of: fn(&Counts) -> u64| {
            metrics::gauge!(name).set(shards.iter().map(of).sum::<u64>() as f64);
        };
        gauge("gloaming_forwarder_connections", |counts| counts.peers as u64);
        gauge("gloaming_forwarder_estimated_bits_per_second", |counts| counts.estimate);
        let counter = |name: &'static str, of: fn(&Counts) -> u64| {
            metrics::counter!(name).absolute(shards.iter().map(of).sum());
        };
        counter("gloaming_forwarder_datagrams_total", |counts| counts.datagrams);
        counter("gloaming_forwarder_foreign_datagrams_total", |counts| counts.foreign);
        counter("gloaming_forwarder_excess_datagrams_total", |counts| counts.excess);
        counter("gloaming_forwarder_packets_total", |counts| counts.packets);
        counter("gloaming_forwarder_unannounced_packets_total", |counts| counts.unannounced);
        counter("gloaming_forwarder_unsealed_packets_total", |counts| counts.unsealed);
        counter("gloaming_forwarder_forwarded_packets_total", |counts| counts.forwarded);
        counter("gloaming_forwarder_key_frames_asked_total", |counts| counts.key_frames_asked);
        counter("gloaming_forwarder_backlogs_total", |counts| counts.backlogs);
        counter("gloaming_forwarder_lost_events_total", |counts| counts.events_lost);
    }

    /// By which addresses browsers reach the forwarder.
    pub(crate) fn announced(&self) -> &[SocketAddr] {
        &self.announced
    }

    /// What a browser is told that has just come in.
    pub(super) fn notice(&self) -> String {
        let forwarder = self.service().is_some();
        let mut ice = Vec::new();
        if forwarder {
            let urls = self.announced.iter().map(|address| format!("stun:{address}")).collect();
            ice.push(IceServer { urls, username: None, credential: None });
        }
        ice.extend(self.turn.as_ref().map(|turn| turn::ice_server(turn, (self.clock)())));
        serde_json::to_string(&Notice::Network { ice, forwarder }).expect("plain data")
    }

    /// None, for tests of what goes on without.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        let clock = crate::system_clock();
        Self { service: Mutex::default(), events: Mutex::default(), announced: vec![], turn: None, clock }
    }
}

struct Started {
    service: Service,
    events: mpsc::Receiver<Event>,
    announced: Vec<SocketAddr>,
}

fn start(config: &Config, listen: SocketAddr) -> io::Result<Started> {
    let announce = match &config.forwarder.announce[..] {
        [] => own_addresses(listen.ip())?,
        given => given.to_vec(),
    };
    let mut settings = Settings::new(listen);
    settings.announce.clone_from(&announce);
    // It hears of every room that somebody is in.
    settings.limits.rooms = settings.limits.rooms.max(config.rooms.sockets);
    let (service, events) = Service::start(&settings)?;
    let ports = service.addresses();
    let at = |ip: IpAddr| ports.iter().map(move |listening| SocketAddr::new(ip, listening.port()));
    let announced = announce.into_iter().flat_map(at).collect();
    Ok(Started { service, events, announced })
}

fn listening(address: SocketAddr) -> String {
    format!("listening on {address} for the media of rooms (forwarder_listen)")
}

/// Whether only this machine reaches the server's address, and others come by another.
fn reached_through_a_proxy(config: &Config) -> bool {
    let elsewhere = config.public_url.as_ref().and_then(|url| url.host_str());
    config.listen.ip().is_loopback() && elsewhere.is_some_and(|host| !is_loopback(&format!("{host}:0")))
}

/// The addresses to announce for one to listen on: itself, or, where that is all of them, those of the default routes.
fn own_addresses(listen: IpAddr) -> io::Result<Vec<IpAddr>> {
    if !listen.is_unspecified() {
        return Ok(vec![listen.to_canonical()]);
    }
    // A socket of all of IPv6 hears IPv4 too. These addresses are for documentation: nobody has them.
    let v4 = || route_to(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = || route_to(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let found: Vec<_> = v4().into_iter().chain(v6().filter(|_| listen.is_ipv6())).collect();
    if found.is_empty() {
        let why = "this machine has no default route: set forwarder_announce to the address by which browsers reach it";
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
    }
    Ok(found)
}

/// The address from which this machine would send there. Nothing is sent.
fn route_to(any: IpAddr, there: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((there, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::Forwarder;

    fn config(listen: ForwarderListen) -> Config {
        let mut config = Config::new("/nowhere");
        config.forwarder = Forwarder { listen, announce: Vec::new() };
        config
    }

    fn ice(media: &Media) -> serde_json::Value {
        serde_json::from_str(&media.notice()).unwrap()
    }

    #[tokio::test]
    async fn where_the_usual_port_is_taken_there_is_no_forwarder_and_where_it_was_asked_for_it_is_an_error() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let _kept = UdpSocket::bind(taken).unwrap();
        let Err(error) = Media::start(&config(ForwarderListen::At(taken))) else { panic!("it is taken") };
        let said = error.to_string();
        assert!(said.contains("forwarder_listen") && said.contains(&taken.to_string()), "{said}");

        let mut usual = config(ForwarderListen::Usual);
        usual.listen = "192.0.2.7:8420".parse().unwrap();
        let media = Media::start(&usual).unwrap();
        assert_eq!(media.notice(), r#"{"type":"network","ice":[],"forwarder":false}"#);
    }

    #[tokio::test]
    async fn who_comes_in_is_told_of_this_servers_stun_and_of_no_third_partys() {
        let mut at = config(ForwarderListen::At("127.0.0.1:0".parse().unwrap()));
        let media = Media::start(&at).unwrap();
        let port = media.announced()[0].port();
        let expected =
            format!(r#"{{"type":"network","ice":[{{"urls":["stun:127.0.0.1:{port}"]}}],"forwarder":true}}"#);
        assert_eq!(media.notice(), expected);
        media.stop();
        assert_eq!(ice(&media)["forwarder"], false);

        at.forwarder.announce = vec!["203.0.113.5".parse().unwrap(), "2001:db8::5".parse().unwrap()];
        let media = Media::start(&at).unwrap();
        let port = media.announced()[0].port();
        let urls = [format!("stun:203.0.113.5:{port}"), format!("stun:[2001:db8::5]:{port}")];
        assert_eq!(ice(&media)["ice"][0]["urls"], serde_json::json!(urls));
    }

    #[test]
    fn a_proxy_carries_no_media() {
        let mut behind = config(ForwarderListen::Usual);
        assert!(!reached_through_a_proxy(&behind));
        behind.public_url = Some("http://localhost:8420".parse().unwrap());
        assert!(!reached_through_a_proxy(&behind));
        behind.public_url = Some("https://video.example.org".parse().unwrap());
        assert!(reached_through_a_proxy(&behind));
        behind.listen = "192.0.2.7:8420".parse().unwrap();
        assert!(!reached_through_a_proxy(&behind));
    }

    #[test]
    fn an_address_is_its_own_announcement() {
        assert_eq!(
            own_addresses("::ffff:192.0.2.7".parse().unwrap()).unwrap(),
            [Ipv4Addr::new(192, 0, 2, 7)]
        );
        // With a default route or without: never one that nobody can reach.
        if let Ok(found) = own_addresses(Ipv4Addr::UNSPECIFIED.into()) {
            assert!(found.len() == 1 && found[0].is_ipv4() && !found[0].is_unspecified(), "{found:?}");
        }
    }
}
