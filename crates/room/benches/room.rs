//! What a commit costs in a full room, and what sealing a frame costs.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may")]

#[path = "../tests/world/mod.rs"]
mod world;

use std::{hint::black_box, time::Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gloaming_room::{Codec, Input, Member};
use world::{World, invite};

/// A room of this many, all in one epoch.
fn room(seats: usize) -> World {
    let mut world = World::new(1);
    let link = invite(false);
    for n in 0..seats {
        world.arrive(&link, n == 0);
        if n == 0 || n % 8 == 7 {
            world.settle(20);
        }
    }
    world.settle(20);
    world
}

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.sample_size(10);
    for seats in [2, 6, 25] {
        let mut world = room(seats);
        // Everything that a renewal of one leaf costs all members together: made once, checked by everybody else.
        group.bench_function(format!("renewal by one of {seats}, all members together"), |b| {
            b.iter_custom(|times| {
                let start = Instant::now();
                for _ in 0..times {
                    let epoch = world.logs[0].epoch();
                    world.give(0, Input::Rotate);
                    world.run(std::time::Duration::from_millis(200));
                    assert_eq!(world.logs[0].epoch(), epoch + 1);
                }
                start.elapsed()
            });
        });
        group.bench_function(format!("making a renewal, one of {seats}"), |b| {
            b.iter_custom(|times| {
                let mut spent = std::time::Duration::ZERO;
                for _ in 0..times {
                    let start = Instant::now();
                    world.give(0, Input::Rotate);
                    spent += start.elapsed();
                    world.run(std::time::Duration::from_millis(200));
                }
                spent
            });
        });
    }
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut world = room(2);
    let leaf = world.clients[0].member.peer(world.seat(0)).unwrap().leaf;
    let mut group = c.benchmark_group("frame");
    for (codec, length) in
        [(Codec::Opus, 120), (Codec::Vp8, 2_000), (Codec::Vp9, 20_000), (Codec::Vp9, 100_000)]
    {
        let frame = vec![1; length];
        group.throughput(Throughput::Bytes(length as u64));
        let seal = |member: &mut Member| member.sealer().unwrap().seal(1, codec, &frame).unwrap();
        group.bench_function(format!("seal {length} bytes"), |b| {
            b.iter(|| black_box(seal(&mut world.clients[0].member)));
        });
        group.bench_function(format!("seal and open {length} bytes"), |b| {
            b.iter(|| {
                let sealed = seal(&mut world.clients[0].member);
                black_box(world.clients[1].member.opener().unwrap().open(leaf, codec, &sealed).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits, frames);
criterion_main!(benches);
