//! Rooms in every weather, with everybody coming and going and a server that does whatever it likes: once it behaves again,
//! all who hold the link agree on one epoch, and nobody else can derive it.
//!
//! `GLOAMING_ROOM_SEEDS=n cargo test -p gloaming-room --test simulation` runs that many seeds instead of a few dozen, as
//! `./x soak rooms` does, and `GLOAMING_ROOM_SEED=n` one.

#![allow(clippy::print_stderr, reason = "a seed that fails is told at once, and not after all the others")]

mod world;

use std::time::Duration;

use gloaming_room::{App, Event, Input, RoomSecret};
use world::{Dice, Weather, World, copy, invite};

/// So many seeds take less than a minute.
const SEEDS: u64 = 100;

/// What one seed does for half a minute of its own time.
fn chaos(seed: u64) {
    let mut plan = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut world = World::new(seed);
    let link = invite(false);
    // Most rooms are small; every tenth is large.
    let most = if seed.is_multiple_of(10) { 25 } else { 2 + plan.below(5) };
    let stranger_comes = plan.chance(30);
    let fork = plan.chance(20);
    let expels = plan.chance(30);

    world.arrive(&link, true);
    world.settle(10);
    for _ in 1..most {
        world.arrive(&link, false);
    }
    let mut stranger = None;
    if stranger_comes {
        // Somebody who knows where the room is, and not its secret.
        let mut wrong = copy(&link);
        wrong.secret = RoomSecret::generate(&mut plan);
        let n = world.arrive(&wrong, false);
        world.clients[n].wants = false;
        stranger = Some((n, wrong));
    }
    // Nor does the server ask who comes.
    world.asks = false;
    world.weather = Weather {
        loss: plan.below(12),
        twice: plan.below(15),
        delay: 20 + plan.below(400),
        reorder: plan.chance(40),
        replay: if plan.chance(40) { plan.below(15) } else { 0 },
        bend: if plan.chance(30) { plan.below(4) } else { 0 },
    };
    let mut forked_at = None;
    let steps = if most > 10 { 12 } else { 30 };
    for step in 0..steps {
        world.run(Duration::from_millis(200 + plan.below(1500)));
        // The first stays: who founds a room that nobody is in is another test.
        let n = 1 + plan.below(world.clients.len() as u64 - 1) as usize;
        let in_play = world.clients[n].wants;
        match plan.below(8) {
            0 if in_play => world.disconnect(n),
            1 if in_play => world.connect(n),
            2 if in_play && world.clients.iter().filter(|c| c.wants).count() > 2 => {
                world.clients[n].wants = false;
                world.give(n, Input::Leave);
                world.disconnect(n);
            }
            3 if world.clients.iter().filter(|c| c.wants).count() < most as usize => {
                let link = copy(world.clients[0].member.invite());
                world.arrive(&link, false);
            }
            4 if in_play => world.give(n, Input::Rotate),
            5 | 6 => {
                let text = format!("{step}");
                world.give(0, Input::Say { to: None, app: App::Chat { text } });
            }
            _ => {}
        }
        if fork && step == steps / 3 {
            // From here on the server shows every second one another history.
            let other = world.logs[0].clone();
            world.logs.push(other);
            for client in world.clients.iter_mut().skip(1).step_by(2) {
                client.side = 1;
            }
            forked_at = Some(step);
        }
        if forked_at.is_some_and(|at| step == at + 6) {
            world.unfork();
        }
        if expels && step == steps / 2 && world.clients[1].wants && world.logs.len() == 1 {
            let seat = world.seat(1);
            if world.clients[0].member.seats().contains(&seat) {
                world.give(0, Input::Expel(seat));
                world.clients[1].wants = false;
            }
        }
    }
    world.unfork();
    // It behaves again. Who was out with an old link comes in by the new one, which the host hands out.
    world.weather = Weather::CALM;
    world.asks = true;
    for n in 0..world.clients.len() {
        world.connect(n);
    }
    // A server that asked from the beginning would not have let in again whom the host removed, nor the stranger: either may
    // have founded a group meanwhile.
    if !world.clients[1].wants {
        world.disconnect(1);
    }
    let stranger = stranger.map(|(n, wrong)| {
        world.disconnect(n);
        let n = world.arrive(&wrong, false);
        world.clients[n].wants = false;
        n
    });
    world.seconds(20);
    world.connect(1);
    remove_for_good(&mut world);
    // Two histories with the same number of epochs show with the next commit, at the latest after ten minutes.
    world.give(0, Input::Rotate);
    world.seconds(20);
    for n in 1..world.clients.len() {
        let c = &world.clients[n];
        let stale = c.member.invite().to_fragment() != world.clients[0].member.invite().to_fragment();
        let out = c.member.epoch().is_none();
        if c.wants && (stale || out) {
            world.clients[n].wants = false;
            world.disconnect(n);
            let link = copy(world.clients[0].member.invite());
            world.arrive(&link, false);
        }
    }
    // A host that fell out itself has forgotten whom it was about to remove.
    world.seconds(20);
    remove_for_good(&mut world);
    world.settle(90);
    world.check_frames();
    assert!(stranger.is_none_or(|n| world.clients[n].saw(&Event::LinkRefused)));
    // Nobody else is in that epoch, whatever they hold of it.
    let authenticator = world.clients[0].member.authenticator();
    for client in world.clients.iter().filter(|client| !client.wants) {
        assert_ne!(client.member.authenticator(), authenticator);
    }
}

/// The host's removal may have met a seat that was just being left for another, which then knows the new link. So it may be the
/// second time, and the third: whoever is behind comes in again as somebody new. The host sees them come, and removes them until
/// they stay away.
fn remove_for_good(world: &mut World) {
    for _ in 0..10 {
        // Without a deadline it has nothing more to do: it left, or knows that it was removed.
        if world.clients[1].wants || world.clients[1].member.deadline().is_none() {
            return;
        }
        let unwanted = world.seat(1);
        if world.clients[0].member.seats().contains(&unwanted) {
            world.give(0, Input::Expel(unwanted));
        }
        world.seconds(3);
    }
}

#[test]
fn whoever_holds_the_link_agrees_in_the_end_whatever_the_server_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value: String| value.parse::<u64>().ok());
    if let Some(seed) = number("GLOAMING_ROOM_SEED") {
        return chaos(seed);
    }
    let seeds = number("GLOAMING_ROOM_SEEDS").unwrap_or(SEEDS);
    let next = std::sync::atomic::AtomicU64::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if std::panic::catch_unwind(|| chaos(seed)).is_err() {
                        eprintln!("seed {seed} failed");
                        failed.lock().expect("nothing panics here").push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nothing panics here");
    assert!(failed.is_empty(), "seeds {failed:?}");
}

#[test]
fn an_empty_room_begins_a_new_generation_and_says_so() {
    let mut world = World::new(1);
    let link = invite(false);
    let (a, b) = (world.arrive(&link, true), world.arrive(&link, false));
    world.settle(10);
    for n in [a, b] {
        world.disconnect(n);
    }
    world.seconds(15);
    let c = world.arrive(&link, false);
    world.clients[a].wants = false;
    world.clients[b].wants = false;
    world.settle(10);
    assert!(world.clients[c].saw(&Event::First));
    assert_eq!(world.logs[0].generation(), 2);
    // The others come back, into the group of now.
    for n in [a, b] {
        world.clients[n].wants = true;
        world.connect(n);
    }
    world.settle(20);
    assert!(world.clients[a].saw(&Event::Rejoining));
    world.check_frames();
}
