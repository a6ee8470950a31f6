//! Many visits in one process, to see what a room costs: joining, frames, processor time.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use gloaming_api::room::RoomPolicy;
use gloaming_client::Client;
use gloaming_room::{About, Invite};
use gloaming_server::ForwarderListen;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::{JoinSet, spawn_local},
    time::timeout,
};
use url::{Host, Url};

use super::{
    RoomLink,
    join::look,
    owned,
    publish::Program,
    topology::Way,
    visit::{Happened, Onlooker, Place, Visit},
};
use crate::{
    failure::{Exit, Failure},
    native::os_entropy,
    online::{block_on, machine::Machine, remote::Remote, tls},
    serve::server_failure,
    terminal::Terminal,
};

/// How long everybody has to come in and to find each other.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measure what a room costs: many participants on this machine, each sending as a camera and a microphone do
///
/// Up to four send to each other, more through the server's forwarder. They meet by loopback or this machine's own address,
/// at a server on this machine: the one of --link, or else one of its own in a temporary folder. What they send is sealed and opened as in any room, and never decoded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming room bench --seats 4 --seconds 20
  gloaming room bench --link 'http://127.0.0.1:8420/r/…#…' --json")]
pub(super) struct Bench {
    /// How many participants
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=16))]
    seats: u8,

    /// For how long, once everybody is connected with everybody
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,

    /// A room of a server on this machine
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
}

#[derive(Serialize)]
struct Outcome {
    seats: u8,
    /// From each to each, or through the server's forwarder.
    way: Way,
    seconds: f64,
    /// Of coming in, from the first word to the seat, in milliseconds.
    join_ms_median: u64,
    join_ms_most: u64,
    /// From the first coming until everybody was connected with everybody.
    connected_ms: u64,
    frames_sent_per_second: f64,
    frames_received_per_second: f64,
    frames_dropped: u64,
    /// Of this process, the server's share in it where it is its own; nothing where the system does not tell.
    cpu_seconds: Option<f64>,
    own_server: bool,
}

/// What is counted over all participants.
#[derive(Default)]
struct Tally {
    way: Way,
    joins: Vec<Duration>,
    ways: usize,
    sent: u64,
    received: u64,
    dropped: u64,
}

struct Counter {
    tally: Rc<RefCell<Tally>>,
    changed: Rc<watch::Sender<()>>,
    came: Instant,
}

impl Onlooker for Counter {
    fn happened(&mut self, what: Happened<'_>) -> Result<(), Failure> {
        let mut tally = self.tally.borrow_mut();
        match what {
            Happened::Seated { .. } => tally.joins.push(self.came.elapsed()),
            Happened::Linked(_, true) => tally.ways += 1,
            Happened::Linked(_, false) => tally.ways = tally.ways.saturating_sub(1),
            Happened::Goes(way) => tally.way = way,
            Happened::Sent { .. } => tally.sent += 1,
            Happened::Frame(_) => tally.received += 1,
            Happened::Dropped => tally.dropped += 1,
            _ => return Ok(()),
        }
        self.changed.send_replace(());
        Ok(())
    }
}

impl Bench {
    pub(super) fn run(self, remote: &Remote, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let outcome = match &self.link {
                Some(link) => {
                    let (http, server) = remote.visitor(link)?;
                    if !is_here(&server) {
                        let message = "a bench is for a server on this machine; name one at localhost, 127.0.0.1 or [::1]";
                        return Err(Failure::new(Exit::Usage, "not_loopback", message));
                    }
                    let link = RoomLink::parse(link)?;
                    let place = Place { http, server, room: link.room, hidden: false };
                    self.measure(place, link, false).await?
                }
                None => self.measure_alone().await?,
            };
            terminal.print(&outcome, text);
            Ok(())
        })
    }
}

impl Bench {
    /// At a server of its own, which is gone afterwards.
    async fn measure_alone(&self) -> Result<Outcome, Failure> {
        let files = |error: std::io::Error| Failure::new(Exit::Files, "file_failed", error.to_string());
        let folder = tempfile::tempdir().map_err(files)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(files)?;
        let address = listener.local_addr().map_err(files)?;
        let mut config = gloaming_server::Config::new(folder.path().join("server"));
        config.forwarder.listen = ForwarderListen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = gloaming_server::Server::open(config).await.map_err(server_failure)?;
        let setup = server.setup_link(address).unwrap_or_default();
        let token = setup.rsplit('#').next().unwrap_or_default().to_owned();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            spawn_local(async move { server.run(listener, async move { drop(stopped.await) }).await });

        let url: Url = format!("http://{address}").parse().expect("an address is a host");
        let http = || tls::http(None, None);
        let machine = Machine::new(http()?, http()?, url.clone(), folder.path().join("device"), false)
            .map_err(files)?;
        let client = Client::new(machine);
        let mut password = [0; 16];
        os_entropy()(&mut password);
        let (session, _) = client.register(&token, "bench", &hex::encode(password), "bench").await?;
        let policy = RoomPolicy { max_seats: self.seats.into(), ..RoomPolicy::default() };
        let made = owned::make(&session.library(), &About::default(), false, policy).await?;
        let link = RoomLink::parse(&format!("http://{address}{}", made.link().unwrap_or_default()))?;
        let http = tls::upgradable(None, None)?;
        let place = Place { http, server: url, room: link.room, hidden: false };
        let outcome = self.measure(place, link, true).await;
        drop(stop);
        let _ = timeout(Duration::from_secs(10), serving).await;
        outcome
    }

    async fn measure(&self, mut place: Place, link: RoomLink, own_server: bool) -> Result<Outcome, Failure> {
        look(&mut place, &link).await?;
        let tally = Rc::new(RefCell::new(Tally::default()));
        let (changed, mut changes) = watch::channel(());
        let changed = Rc::new(changed);
        let (stop, stopped) = watch::channel(false);
        let began = Instant::now();
        let mut visits = JoinSet::new();
        for number in 1..=self.seats {
            let invite = Invite::from_fragment(&link.invite.to_fragment()).expect("it was read before");
            let link = RoomLink { room: link.room, invite };
            let mut counter = Counter { tally: Rc::clone(&tally), changed: Rc::clone(&changed), came: began };
            let (place, mut stopped) = (place.clone(), stopped.clone());
            visits.spawn_local(async move {
                let noise = Some(Program::of_noise());
                let name = format!("Seat {number}");
                let visit = Visit::begin(place, link, name, noise, &mut counter).await?;
                let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
                Box::pin(visit.run(stop)).await.map(drop)
            });
        }
        let everybody = usize::from(self.seats) * usize::from(self.seats - 1);
        let connected = async {
            while tally.borrow().ways < everybody {
                let _ = changes.changed().await;
            }
        };
        tokio::select! {
            () = connected => {}
            Some(ended) = visits.join_next() => ended.unwrap_or(Ok(()))?,
            () = tokio::time::sleep(PATIENCE) => {
                let message = format!("only {} of {everybody} ways came to be", tally.borrow().ways);
                return Err(Failure::new(Exit::Offline, "not_connected", message));
            }
        }
        let connected = began.elapsed();
        let counts = || {
            let tally = tally.borrow();
            (tally.sent, tally.received, tally.dropped)
        };
        let (before, cpu_before, measured) = (counts(), cpu_seconds(), Instant::now());
        tokio::time::sleep(Duration::from_secs(self.seconds.into())).await;
        let (after, cpu_after, seconds) = (counts(), cpu_seconds(), measured.elapsed().as_secs_f64());
        stop.send_replace(true);
        while visits.join_next().await.is_some() {}

        let mut joins = std::mem::take(&mut tally.borrow_mut().joins);
        joins.sort();
        let millis = |time: Option<&Duration>| {
            time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let a_second = |before: u64, after: u64| (after - before) as f64 / seconds;
        Ok(Outcome {
            seats: self.seats,
            way: tally.borrow().way,
            seconds,
            join_ms_median: millis(joins.get(joins.len() / 2)),
            join_ms_most: millis(joins.last()),
            connected_ms: millis(Some(&connected)),
            frames_sent_per_second: a_second(before.0, after.0),
            frames_received_per_second: a_second(before.1, after.1),
            frames_dropped: after.2 - before.2,
            cpu_seconds: cpu_before.zip(cpu_after).map(|(before, after)| after - before),
            own_server,
        })
    }
}

fn text(outcome: &Outcome) -> String {
    let cpu =
        outcome.cpu_seconds.map_or("unknown".into(), |cpu| format!("{cpu:.2} s in {:.1} s", outcome.seconds));
    let whose = if outcome.own_server { "participants and server" } else { "participants" };
    let way = match outcome.way {
        Way::Mesh => "from each to each",
        Way::Forwarder => "through the forwarder",
    };
    format!(
        "{} participants, {way}\n  in the room       {} ms in the middle, {} ms at most\n  all connected     {} ms\n  frames sent       \
         {:.0} a second\n  frames received   {:.0} a second, {} dropped\n  processor         {cpu} ({whose})\n",
        outcome.seats,
        outcome.join_ms_median,
        outcome.join_ms_most,
        outcome.connected_ms,
        outcome.frames_sent_per_second,
        outcome.frames_received_per_second,
        outcome.frames_dropped,
    )
}

fn is_here(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Processor time of this process so far, user and system, as Linux tells it (proc(5): fields 14 and 15 of stat, in
/// hundredths of a second).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name, which may hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(f64::from(user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_bench_is_for_this_machine() {
        for here in ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]:8420/"] {
            assert!(is_here(&here.parse().unwrap()), "{here}");
        }
        for elsewhere in ["https://films.example/", "http://192.168.0.1/", "http://localhost.example/"] {
            assert!(!is_here(&elsewhere.parse().unwrap()), "{elsewhere}");
        }
    }
}
