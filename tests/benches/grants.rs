//! The granting of segments by the real server over loopback, its log on disk: how many in a second and in a second of the
//! server's processor time, how long a viewer waits, and what ten thousand sessions weigh.
//!
//! The load comes from the same machine and takes its share of it, so processor seconds stand beside those of the clock.
//! Floors are printed beside what they are floors of; they decide nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use gloaming_tests::{
    binary, film,
    house::House,
    viewers::{Link, Track, Viewer},
};
use reqwest::{Client, StatusCode};
use tokio::time::{MissedTickBehavior, interval};

/// Who ask in batches at the same time.
const VIEWERS: u32 = 64;
const LASTING: Duration = Duration::from_secs(10);
/// Requests of a lone viewer.
const ALONE: usize = 2_000;
/// Requests in a second under load.
const RATE: u32 = 5_000;
const SESSIONS: u32 = 10_000;

fn main() {
    let Some(binary) = binary() else { return };
    let settings = [("TRUSTED_PROXY", "127.0.0.1/32"), ("GRANT_SPEED", "1000000"), ("GRANT_BURST", "43200")];
    let settings = settings.map(|(name, value)| (format!("GLOAMING_{name}"), value.to_owned()));
    let house = House::open_with(binary, settings.to_vec());
    house.move_in();
    let file = house.path("harbour.mp4");
    film::make(&file, 300, 100);
    let video = house.ok(&["upload", file.to_str().unwrap()])[0]["video"].as_str().unwrap().to_owned();
    let link = house.ok(&["publish", &video])["link"].as_str().unwrap().to_owned();
    let link = Link::read(&link, house.address());
    let server = house.process();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let http = Client::new();
        let (first, started) = link.begin(&http, 0).await.unwrap();
        let track = link.longest_track(&http, &started).await;
        println!("film of {} segments; each row on disk before its grant is answered", track.segments);
        for batch in [4, 8] {
            batches(&link, &http, track, batch, server).await;
        }
        alone(first, track).await;
        steady(&link, &http, track, server).await;
        sessions(&link, &http, server).await;
    });
    assert_eq!(house.ok(&["grants", &video, "--verify"])["good"], true);
}

/// Everybody asks for the next batch as soon as they have one.
async fn batches(link: &Link, http: &Client, track: Track, batch: u32, server: u32) {
    let viewers = begin(link, http, VIEWERS).await;
    let granted = Arc::new(AtomicU64::new(0));
    let (begun, before) = (Instant::now(), Usage::of(server));
    let own = Usage::own();
    let tasks = viewers.into_iter().map(|mut viewer| {
        let granted = granted.clone();
        tokio::spawn(async move {
            let mut from = 0;
            while begun.elapsed() < LASTING {
                assert_eq!(viewer.take(track, from, batch).await, Some(StatusCode::OK));
                granted.fetch_add(u64::from(batch), Ordering::Relaxed);
                from = if from + 2 * batch > track.segments { 0 } else { from + batch };
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let seconds = begun.elapsed().as_secs_f64();
    let (cpu, load) = (Usage::of(server).since(&before), Usage::own().since(&own));
    let granted = granted.load(Ordering::Relaxed) as f64;
    println!(
        "batches of {batch}: {:8.0} grants/s (floor 30000)   {:8.0} grants per processor second (floor 85000)   {:.0} % of a processor, the load {:.0} %",
        granted / seconds,
        granted / cpu,
        100.0 * cpu / seconds,
        100.0 * load / seconds,
    );
}

/// One viewer, one segment at a time.
async fn alone(mut viewer: Viewer, track: Track) {
    let mut times = Vec::with_capacity(ALONE);
    for n in 0..ALONE {
        let begun = Instant::now();
        let from = u32::try_from(n).unwrap() % track.segments;
        assert_eq!(viewer.take(track, from, 1).await, Some(StatusCode::OK));
        times.push(begun.elapsed());
    }
    println!("one segment, one viewer: {}   (floor: p50 2 ms)", spread(&mut times));
}

/// So many requests in each second, whether or not the ones before were answered.
async fn steady(link: &Link, http: &Client, track: Track, server: u32) {
    const GROUP: u32 = 10;
    let viewers = begin(link, http, 2 * VIEWERS).await;
    let mut idle: Vec<Viewer> = viewers;
    let (back, mut returned) = tokio::sync::mpsc::unbounded_channel::<(Viewer, Duration)>();
    let mut tick = interval(Duration::from_secs(1) * GROUP / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, before) = (Instant::now(), Usage::of(server));
    let (mut times, mut asked, mut late) = (Vec::new(), 0_u32, 0_u32);
    while begun.elapsed() < LASTING {
        let due = tick.tick().await;
        while let Ok((viewer, time)) = returned.try_recv() {
            times.push(time);
            idle.push(viewer);
        }
        for _ in 0..GROUP {
            asked += 1;
            // Everybody waits for an answer: this one would have to be asked later.
            let Some(mut viewer) = idle.pop() else {
                late += 1;
                continue;
            };
            let (back, from) = (back.clone(), asked % track.segments);
            tokio::spawn(async move {
                assert_eq!(viewer.take(track, from, 1).await, Some(StatusCode::OK));
                // From when it was due: a stall of the load is a wait too.
                let _ = back.send((viewer, due.elapsed()));
            });
        }
    }
    drop(back);
    while let Some((_, time)) = returned.recv().await {
        times.push(time);
    }
    let cpu = Usage::of(server).since(&before);
    println!(
        "one segment, {RATE} in a second: {}   (floor: p99 20 ms)   {late} of {asked} not asked   {:.0} % of a processor",
        spread(&mut times),
        100.0 * cpu / begun.elapsed().as_secs_f64(),
    );
}

/// What sessions weigh that do nothing.
async fn sessions(link: &Link, http: &Client, server: u32) {
    let before = resident(server);
    let begun = Instant::now();
    let mut live = 0;
    for first in (0..SESSIONS).step_by(100) {
        let group = (first..first + 100).map(|number| link.begin(http, number));
        live += join_all(group).await.into_iter().flatten().count();
    }
    let more = resident(server).saturating_sub(before) as f64 / 1048576.0;
    println!(
        "{live} sessions: {more:.1} MiB more (floor 60), {:.0} begun in a second",
        live as f64 / begun.elapsed().as_secs_f64()
    );
}

async fn begin(link: &Link, http: &Client, viewers: u32) -> Vec<Viewer> {
    let begin = join_all((0..viewers).map(|number| link.begin(http, number))).await;
    begin.into_iter().map(|begun| begun.unwrap().0).collect()
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1000].as_secs_f64() * 1000.0;
    format!("p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms", at(500), at(900), at(990))
}

/// Processor seconds of a process, user and system.
struct Usage(f64);

impl Usage {
    fn of(process: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime and stime of proc(5), in hundredths of a second.
        Self((fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0)
    }

    fn own() -> Self {
        Self::of(std::process::id())
    }

    fn since(&self, before: &Self) -> f64 {
        self.0 - before.0
    }
}

/// Bytes of memory that a process holds.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}
