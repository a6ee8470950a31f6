//! What a forwarded packet costs: one sender, twenty viewers, 1,100-byte packets, SRTP on both sides, over loopback UDP with
//! GSO; once with everything sent at once, and once paced and with bandwidth estimation.
//!
//! The load comes from the same machine, so what counts is the processor time of the forwarder's own thread: packets that
//! left for viewers, for each second of it. The kernel's part of sending and receiving is in it, and on loopback the
//! delivery to the viewers' sockets too. Floors are printed beside what they are floors of; they decide nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use str0m::media::{MediaKind, Mid};
use support::{Seal, World, seat};

const VIEWERS: u8 = 20;
const SIZE: usize = 1_100;
/// One frame's packets arrive together.
const PACKETS: u8 = 10;
/// 2,000 packets a second in, 40,000 out: a share at 17 Mbit/s, so that ten seconds are enough. Another number of
/// milliseconds in `GLOAMING_BETWEEN`.
const BETWEEN: u64 = 5;
const LASTING: Duration = Duration::from_secs(10);

fn main() {
    println!("one sender, {VIEWERS} viewers, frames of {PACKETS} packets of {SIZE} bytes");
    measure("without pacing and estimation", false, 150.0);
    measure("with pacing and estimation", true, 100.0);
}

fn measure(what: &str, paced: bool, floor: f64) {
    let mut world = World::with_members(VIEWERS + 1, |settings| {
        settings.estimate = settings.estimate.filter(|_| paced);
        settings.limits.ingress = 1_000_000_000;
    });
    let mid = world.connect(0, |add| add.send(Some(1), MediaKind::Video, &[]));
    // They come while the share runs, as they would: how much they want is known when their networks are probed first.
    for viewer in 1..=usize::from(VIEWERS) {
        world.clients[viewer].keep = false;
        world.offer(viewer, |add| add.receive(seat(1), 1, MediaKind::Video));
        send(&mut world, mid, Duration::from_millis(100));
    }
    let thread = forwarder_thread();
    send(&mut world, mid, Duration::from_secs(2));

    let (before, clock, start) = (world.counts(), processor_time(&thread), Instant::now());
    let taken = received(&world);
    send(&mut world, mid, LASTING);
    let (after, spent, wall) = (world.counts(), processor_time(&thread) - clock, start.elapsed());
    let arrived = received(&world) - taken;

    let forwarded = after.forwarded - before.forwarded;
    #[expect(clippy::cast_precision_loss, reason = "numbers to look at")]
    let (packets, came, estimated) = (forwarded as f64, arrived as f64, after.estimate as f64);
    println!(
        "{what}: {:.0} thousand packets per second of one core (floor {floor}); {:.2} µs each; {forwarded} packets in \
         {:.2} s of processor time and {:.1} s of the clock; {:.2} % arrived; {} backlogs; {:.1} Mbit/s believed of \
         a viewer's network",
        packets / spent.as_secs_f64() / 1e3,
        spent.as_secs_f64() * 1e6 / packets,
        spent.as_secs_f64(),
        wall.as_secs_f64(),
        came * 100.0 / packets,
        after.backlogs - before.backlogs,
        estimated / f64::from(VIEWERS) / 1e6,
    );
}

fn received(world: &World) -> u64 {
    world.clients.iter().map(|client| client.got_count).sum()
}

fn send(world: &mut World, mid: Mid, lasting: Duration) {
    let between = std::env::var("GLOAMING_BETWEEN").map_or(BETWEEN, |ms| ms.parse().expect("milliseconds"));
    let start = Instant::now();
    let mut next = start;
    let seal = Seal::As { track: 1, leaf: 0, epoch: world.epoch };
    while start.elapsed() < lasting {
        if Instant::now() >= next {
            let key = world.clients[0].key_frames_wanted.remove(&(mid, None)).is_some();
            world.clients[0].send_frame(mid, None, key, PACKETS, SIZE, seal);
            next += Duration::from_millis(between);
        }
        world.step();
    }
}

/// The newest thread of that name: an earlier measurement's may not have ended yet.
fn forwarder_thread() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let mut named: Vec<u32> = tasks
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("forwarder-")))
        .map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    named.sort_unstable();
    format!("/proc/self/task/{}/schedstat", named.last().expect("a forwarder runs"))
}

/// What a thread has spent on a processor, in the kernel too.
fn processor_time(schedstat: &str) -> Duration {
    let text = fs::read_to_string(schedstat).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
