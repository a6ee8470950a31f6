//! Members among themselves, with a server that behaves and with one that does not.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod world;

use std::time::Duration;

use gloaming_ids::{GroupId, SeatId};
use gloaming_room::{
    App, Codec, Doubt, Event, HostKey, Input, LeftHow, RoomSecret,
    log::{ClientMessage, Entry, Log, PAST_EPOCHS, Refusal, ServerMessage},
};
use serde_bytes::ByteBuf;
use world::{Weather, World, copy, invite, policy};

fn room(seats: usize, lobby: bool) -> World {
    let mut world = World::new(seats as u64);
    let link = invite(lobby);
    for n in 0..seats {
        world.arrive(&link, n == 0);
        if n == 0 {
            world.settle(10);
        }
    }
    world.settle(20);
    world
}

fn chats(world: &World, client: usize) -> Vec<String> {
    let chat = |event: &Event| match event {
        Event::Said { app: App::Chat { text }, .. } => Some(text.clone()),
        _ => None,
    };
    world.clients[client].events.iter().filter_map(chat).collect()
}

fn say(world: &mut World, from: usize, to: Option<SeatId>, text: &str) {
    world.give(from, Input::Say { to, app: App::Chat { text: text.into() } });
}

#[test]
fn people_meet_know_each_other_and_hear_each_other() {
    let mut world = room(4, false);
    world.check_frames();
    for a in 0..4 {
        for b in 0..4 {
            let card = world.clients[a].member.peer(world.seat(b)).unwrap().card.cloned();
            if a != b {
                let card = card.expect("they introduced themselves");
                assert_eq!(card.name, world.clients[b].name);
                assert_eq!(card.code(), world.clients[b].member.code());
            }
        }
        assert!(world.clients[a].doubts().is_empty(), "{:?}", world.clients[a].doubts());
    }
    say(&mut world, 2, None, "hello");
    let third = world.seat(3);
    say(&mut world, 2, Some(third), "only you");
    world.seconds(1);
    assert_eq!((chats(&world, 0), chats(&world, 1)), (vec!["hello".to_owned()], vec!["hello".to_owned()]));
    assert_eq!(chats(&world, 3), ["hello", "only you"]);
}

#[test]
fn who_arrives_together_comes_in_by_one_commit() {
    let mut world = room(1, false);
    let link = invite(false);
    for _ in 0..5 {
        world.arrive(&link, false);
        world.run(Duration::from_millis(30));
    }
    world.settle(10);
    assert_eq!(world.logs[0].epoch(), 1);
}

#[test]
fn when_the_lowest_leaf_does_not_commit_the_next_one_does() {
    let mut world = room(3, false);
    let epoch = world.logs[0].epoch();
    // The socket of the lowest leaf is open, and nothing comes through it any more.
    world.clients[0].side = 1;
    world.logs.push(Log::new(policy()));
    let link = invite(false);
    let newcomer = world.arrive(&link, false);
    world.run(Duration::from_millis(1100));
    assert_eq!(world.logs[0].epoch(), epoch + 1);
    assert!(world.clients[newcomer].member.epoch().is_some());
}

#[test]
fn who_leaves_can_open_nothing_that_is_said_two_seconds_later() {
    let mut world = room(3, false);
    let gone = world.seat(2);
    let leaf = world.clients[2].member.peer(world.seat(0)).unwrap().leaf;
    // It says that it goes, and keeps its keys.
    let leave = ClientMessage::Leave {};
    let now = world.now;
    let out = world.logs[0].handle(gone, leave, now);
    world.deliver(0, out);
    world.clients[2].side = 9;
    world.seconds(2);
    let frame = world.clients[0].member.sealer().unwrap().seal(0, Codec::Opus, b"without you").unwrap();
    assert!(world.clients[2].member.opener().unwrap().open(leaf, Codec::Opus, &frame).is_err());
    assert!(world.clients[1].member.opener().unwrap().open(leaf, Codec::Opus, &frame).is_ok());
    assert!(world.clients[1].saw(&Event::Left(gone, LeftHow::Left)));
    // Nor does what it sends go anywhere.
    let own = world.clients[2].member.peer(gone).unwrap().leaf;
    let frame = world.clients[2].member.sealer().unwrap().seal(0, Codec::Opus, b"still here").unwrap();
    assert!(world.clients[0].member.opener().unwrap().open(own, Codec::Opus, &frame).is_err());
}

#[test]
fn a_lost_connection_is_removed_and_comes_in_again_as_another_leaf() {
    let mut world = room(3, false);
    let before = world.seat(2);
    world.disconnect(2);
    world.clients[2].wants = false;
    world.seconds(13);
    world.agreement().unwrap();
    assert!(world.clients[0].saw(&Event::Left(before, LeftHow::Lost)));
    world.clients[2].wants = true;
    world.connect(2);
    world.settle(10);
    assert_ne!(world.seat(2), before);
    world.check_frames();
}

#[test]
fn a_short_interruption_costs_nobody_their_seat_and_no_message() {
    let mut world = room(3, false);
    let (seat, epoch) = (world.seat(2), world.clients[2].member.epoch());
    world.disconnect(2);
    say(&mut world, 0, None, "one");
    say(&mut world, 2, None, "two");
    world.seconds(8);
    world.connect(2);
    world.settle(10);
    assert_eq!((world.seat(2), world.clients[2].member.epoch()), (seat, epoch));
    assert_eq!((chats(&world, 2), chats(&world, 0)), (vec!["one".to_owned()], vec!["two".to_owned()]));
    assert!(world.clients.iter().all(|c| c.doubts().is_empty()));
}

#[test]
fn a_hello_that_was_not_heard_is_said_again() {
    let mut world = room(3, false);
    let (seat, epoch) = (world.seat(2), world.clients[2].member.epoch());
    world.disconnect(2);
    world.weather.loss = 100;
    world.connect(2);
    world.weather = Weather::CALM;
    say(&mut world, 0, None, "are you there");
    world.seconds(12);
    world.agreement().unwrap();
    assert_eq!((world.seat(2), world.clients[2].member.epoch()), (seat, epoch));
    assert_eq!(chats(&world, 2), ["are you there"]);
}

#[test]
fn who_is_shown_something_else_in_the_place_of_their_welcome_comes_in_all_the_same() {
    let mut world = room(2, false);
    let mut at = world.logs[0].head().offset;
    let newcomer = world.arrive(&invite(false), false);
    world.run(Duration::from_millis(100));
    for _ in 0..5 {
        let seat = world.seat(0);
        at = world.show(newcomer, at, Entry::Back { seat });
    }
    world.settle(10);
    assert!(!world.clients[newcomer].saw(&Event::Rejoining));
    world.check_frames();
}

#[test]
fn who_is_shown_something_else_in_the_place_of_a_commit_comes_in_again() {
    let mut world = room(3, false);
    say(&mut world, 0, None, "all of you have seen everything up to this");
    world.seconds(1);
    let (at, seat) = (world.logs[0].head().offset, world.seat(0));
    // The server shows the third something else, where the others see new keys.
    world.show(2, at, Entry::Back { seat });
    world.give(0, Input::Rotate);
    world.settle(30);
    assert!(world.clients[2].saw(&Event::Rejoining));
    world.check_frames();
}

#[test]
fn rooms_survive_a_restart_of_the_server() {
    let mut world = room(3, false);
    let (head, epoch) = (world.logs[0].head(), world.logs[0].epoch());
    for n in 0..3 {
        world.disconnect(n);
    }
    let now = world.now;
    world.logs[0] = Log::restore(policy(), head, now);
    for n in 0..3 {
        world.connect(n);
    }
    world.settle(10);
    assert_eq!(world.logs[0].epoch(), epoch);
    say(&mut world, 1, None, "still here");
    world.seconds(1);
    assert_eq!(chats(&world, 0), ["still here"]);
    assert!(world.clients.iter().all(|c| c.doubts().is_empty()));
}

#[test]
fn messages_arrive_once_and_in_order_over_a_bad_network() {
    let mut world = room(3, false);
    world.weather = Weather { loss: 15, twice: 20, delay: 300, reorder: true, ..Weather::CALM };
    let lines: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    for line in &lines {
        say(&mut world, 1, None, line);
        world.run(Duration::from_millis(300));
        if line == "10" {
            world.give(0, Input::Rotate);
        }
    }
    world.weather = Weather::CALM;
    world.seconds(20);
    assert_eq!(chats(&world, 0), lines);
    assert_eq!(chats(&world, 2), lines);
}

#[test]
fn what_the_log_refuses_for_its_epoch_is_not_said_again_at_once() {
    let mut world = room(2, false);
    // The second says much, and does not hear that the others have gone on without it.
    world.clients[1].side = 9;
    for n in 0..40 {
        say(&mut world, 1, None, &n.to_string());
    }
    let before = world.frames;
    let refused = ServerMessage::Refused { why: Refusal::OtherEpoch }.encode();
    for _ in 0..40 {
        world.give(1, Input::Received(&refused));
    }
    assert!(world.frames - before <= 1, "{} frames for 40 refusals", world.frames - before);
    // Once it has heard so, all of it comes at once, under the new keys.
    for _ in 0..=PAST_EPOCHS {
        world.give(0, Input::Rotate);
        world.seconds(1);
    }
    world.clients[1].side = 0;
    world.settle(20);
    let lines: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(chats(&world, 0), lines);
}

#[test]
fn who_says_more_than_is_kept_is_heard_all_the_same() {
    let mut world = room(2, false);
    world.disconnect(1);
    for n in 0..300 {
        say(&mut world, 1, None, &n.to_string());
    }
    world.connect(1);
    world.seconds(5);
    say(&mut world, 1, None, "and now");
    world.seconds(5);
    let heard = chats(&world, 0);
    assert_eq!(heard.len(), 257);
    assert_eq!(heard.last().unwrap(), "and now");
}

#[test]
fn every_leaf_renews_its_keys_every_ten_minutes() {
    let mut world = room(3, false);
    let epoch = world.logs[0].epoch();
    world.seconds(590);
    assert_eq!(world.logs[0].epoch(), epoch);
    world.seconds(40);
    assert_eq!(world.logs[0].epoch(), epoch + 3);
    world.agreement().unwrap();
}

#[test]
fn in_a_lobby_nobody_comes_in_before_the_host_admits_them() {
    let mut world = room(1, true);
    let link = invite(true);
    let (a, b) = (world.arrive(&link, false), world.arrive(&link, false));
    world.clients[a].wants = false;
    world.clients[b].wants = false;
    world.seconds(10);
    world.agreement().unwrap();
    let door: Vec<_> = world.clients[0]
        .events
        .iter()
        .filter_map(
            |e| if let Event::AtTheDoor { seat, card } = e { Some((*seat, card.clone())) } else { None },
        )
        .collect();
    assert_eq!(door.len(), 2, "each shown once, however often they knock");
    assert!(
        door.iter().any(|(seat, card)| *seat == world.seat(a) && card.as_ref().unwrap().name == "guest 1")
    );
    let (admitted, denied) = (world.seat(a), world.seat(b));
    world.give(0, Input::Admit(admitted));
    world.give(0, Input::Deny(denied));
    world.clients[a].wants = true;
    world.settle(10);
    assert!(world.clients[b].saw(&Event::Denied));
    world.check_frames();

    // Whoever is in cannot admit: only the host's word counts. The host is told when somebody else's turn comes.
    let c = world.arrive(&link, false);
    world.clients[c].wants = false;
    world.seconds(5);
    let seat = world.seat(c);
    world.give(a, Input::Admit(seat));
    world.seconds(5);
    world.agreement().unwrap();
    world.give(0, Input::Admit(seat));
    world.clients[c].wants = true;
    world.settle(10);
}

/// A host's own device, or another's with a key of its own, comes to a lobby.
fn host_arrives(world: &mut World, seed: Option<[u8; 32]>) -> usize {
    let link = invite(true);
    match seed {
        Some(seed) => world.arrive_with(&link, Some(HostKey::from_seed(&seed))),
        None => world.arrive(&link, true),
    }
}

#[test]
fn in_a_lobby_nobody_begins_without_the_host() {
    let mut world = World::new(5);
    let guest = world.arrive(&invite(true), false);
    world.clients[guest].wants = false;
    world.seconds(20);
    assert!(world.clients[guest].saw(&Event::HostAwaited) && !world.clients[guest].saw(&Event::First));
    assert_eq!((world.clients[guest].member.epoch(), world.logs[0].generation()), (None, 0));
    let host = host_arrives(&mut world, None);
    world.seconds(2);
    assert!(world.clients[host].saw(&Event::First));
    let seat = world.seat(guest);
    let at_the_door = |event: &Event| matches!(event, Event::AtTheDoor { seat: who, .. } if *who == seat);
    assert!(
        world.clients[host].events.iter().any(at_the_door),
        "the guest knocks as soon as somebody is there"
    );
    world.give(host, Input::Admit(seat));
    world.clients[guest].wants = true;
    world.settle(10);
    world.check_frames();

    // With the host gone for good, whoever comes waits again; and who is in stays in.
    world.give(host, Input::Leave);
    world.clients[host].wants = false;
    world.give(guest, Input::Leave);
    world.clients[guest].wants = false;
    world.seconds(5);
    let late = world.arrive(&invite(true), false);
    world.clients[late].wants = false;
    world.seconds(20);
    assert!(world.clients[late].saw(&Event::HostAwaited));
    assert_eq!((world.clients[late].member.epoch(), world.logs[0].generation()), (None, 1));
}

#[test]
fn the_host_comes_back_into_a_lobby_where_nobody_else_could_let_them_in() {
    let mut world = room(1, true);
    let guest = world.arrive(&invite(true), false);
    world.clients[guest].wants = false;
    world.seconds(5);
    let seat = world.seat(guest);
    world.give(0, Input::Admit(seat));
    world.clients[guest].wants = true;
    world.settle(10);

    // Their page is loaded again: a new seat, while the guest stays in the group.
    let generation = world.logs[0].generation();
    world.disconnect(0);
    world.clients[0].wants = false;
    let again = host_arrives(&mut world, None);
    world.settle(30);
    assert!(!world.clients[again].saw(&Event::First));
    assert_eq!(world.logs[0].generation(), generation);
    world.check_frames();
    let late = world.arrive(&invite(true), false);
    world.clients[late].wants = false;
    world.seconds(5);
    let seat = world.seat(late);
    world.give(again, Input::Admit(seat));
    world.clients[late].wants = true;
    world.settle(10);

    // Who signs with another key is at the door like everybody.
    let false_host = host_arrives(&mut world, Some([3; 32]));
    world.clients[false_host].wants = false;
    world.seconds(20);
    assert_eq!(world.clients[false_host].member.epoch(), None);
    let seat = world.seat(false_host);
    let at_the_door = |event: &Event| matches!(event, Event::AtTheDoor { seat: who, .. } if *who == seat);
    assert!(world.clients[again].events.iter().any(at_the_door));
}

#[test]
fn whom_the_host_removes_does_not_come_back_with_the_old_link() {
    let mut world = room(4, false);
    let (old, victim) = (invite(false), world.seat(2));
    world.give(0, Input::Expel(victim));
    world.clients[2].wants = false;
    world.seconds(3);
    world.agreement().unwrap();
    assert!(world.clients[2].saw(&Event::Removed));
    assert!(world.clients[1].saw(&Event::Left(victim, LeftHow::Expelled)));
    assert!(world.clients[1].saw(&Event::LinkChanged));
    let again = world.arrive(&old, false);
    world.clients[again].wants = false;
    world.seconds(5);
    assert!(world.clients[again].saw(&Event::LinkRefused));
    // A server that lets them as far as the door.
    world.asks = false;
    world.seconds(20);
    world.agreement().unwrap();
    assert_eq!(world.clients[again].member.epoch(), None);
    assert!(world.clients[1].doubts().contains(&Doubt::BadJoinProof), "refused, and shown");
    // Anybody in the room can hand out the new link.
    let new = copy(world.clients[3].member.invite());
    world.arrive(&new, false);
    world.settle(10);
    world.check_frames();
}

#[test]
fn a_host_removes_several_at_once_and_each_of_them_changes_the_link() {
    let mut world = room(5, false);
    for victim in [1, 2, 4] {
        let seat = world.seat(victim);
        world.give(0, Input::Expel(seat));
        world.clients[victim].wants = false;
    }
    world.settle(10);
    for victim in [1, 2, 4] {
        assert!(world.clients[victim].saw(&Event::Removed), "{victim}");
    }
    assert_eq!(world.clients[3].member.invite().number, 3);
    world.check_frames();
}

#[test]
fn only_a_host_removes_and_ends() {
    let mut world = room(3, false);
    let seat = world.seat(2);
    world.give(1, Input::Expel(seat));
    world.give(1, Input::End);
    world.seconds(3);
    world.agreement().unwrap();
    // Somebody who makes up an end of the meeting.
    world.give(1, Input::Say { to: None, app: App::End { signature: [1; 64] } });
    world.seconds(1);
    assert!(world.clients[2].doubts().contains(&Doubt::NotTheHost));
    world.give(0, Input::End);
    world.seconds(1);
    assert!(world.clients[1].saw(&Event::Ended) && world.clients[2].saw(&Event::Ended));
}

#[test]
fn a_stranger_without_the_secret_stays_outside() {
    let mut world = room(2, false);
    let mut wrong = invite(false);
    wrong.secret = RoomSecret::from_bytes([9; 32]);
    // The server lets them as far as the door.
    world.asks = false;
    let stranger = world.arrive(&wrong, false);
    world.clients[stranger].wants = false;
    world.seconds(20);
    world.agreement().unwrap();
    world.check_frames();
    assert_eq!(world.clients[stranger].member.epoch(), None);
    assert!(world.clients[0].doubts().contains(&Doubt::BadJoinProof));
}

#[test]
fn a_stranger_who_knows_the_room_does_not_found_it() {
    let mut world = World::new(5);
    let mut wrong = invite(false);
    wrong.secret = RoomSecret::from_bytes([9; 32]);
    let stranger = world.arrive(&wrong, false);
    world.clients[stranger].wants = false;
    world.seconds(10);
    assert!(world.clients[stranger].saw(&Event::LinkRefused));
    assert_eq!(world.logs[0].generation(), 0);
    let host = world.arrive(&invite(false), true);
    world.settle(10);
    assert!(world.clients[host].saw(&Event::First));
}

#[test]
fn who_changes_the_links_host_or_lobby_leads_nobody_into_the_room() {
    let mut world = room(1, true);
    for tampered in [
        {
            let mut link = invite(true);
            link.lobby = false;
            link
        },
        {
            let mut link = invite(true);
            link.host = [3; 32];
            link
        },
    ] {
        let client = world.arrive(&tampered, false);
        world.clients[client].wants = false;
        world.seconds(5);
        let seat = world.seat(client);
        world.give(0, Input::Admit(seat));
        world.seconds(5);
        assert_eq!(world.clients[client].member.epoch(), None);
        world.disconnect(client);
        world.seconds(15);
    }
}

#[test]
fn a_server_seats_no_ghost() {
    let mut world = room(2, false);
    let epoch = world.logs[0].epoch();
    let seat = SeatId::from_bytes([66; 16]);
    let before = world.clients[0].member.seats();
    let mut places = [0, 1].map(|client| world.history(client).last().unwrap().0);
    for bytes in [Vec::new(), vec![0; 100], vec![0, 1, 0, 5, 0, 1, 0, 0x4f]] {
        let (message, card) = (ByteBuf::from(bytes), ByteBuf::new());
        let knock = Entry::Knock { seat, key_package: message.clone(), proof: [0; 32], card };
        places[0] = world.show(0, places[0], knock);
        places[1] = world.show(1, places[1], Entry::Commit { seat, message, welcome: None });
    }
    assert!(world.clients[0].doubts().contains(&Doubt::BadJoinProof));
    assert!(world.clients[1].doubts().contains(&Doubt::ForeignProposal));
    assert_eq!(world.clients[0].member.seats(), before);
    assert_eq!(world.clients[1].member.epoch(), Some(epoch));
}

#[test]
fn a_server_that_says_somebody_is_gone_only_gets_them_removed() {
    let mut world = room(3, false);
    world.seconds(20);
    let victim = world.seat(2);
    let now = world.now;
    world.logs[0].disconnect(victim, Duration::ZERO);
    let out = world.logs[0].tick(now);
    world.deliver(0, out);
    world.seconds(2);
    assert!(world.clients[0].saw(&Event::Left(victim, LeftHow::Lost)));
    world.settle(40);
    assert!(world.clients[2].saw(&Event::Rejoining));
    assert!(!world.clients[2].saw(&Event::Removed), "that is the host's word alone");
    world.check_frames();
}

#[test]
fn replayed_withheld_and_misdelivered_messages_are_noticed() {
    let mut world = room(3, false);
    let mut place = world.history(2).last().unwrap().0;
    // The server keeps what the first says, and plays with it.
    world.clients[2].side = 9;
    for text in ["one", "two", "three"] {
        say(&mut world, 0, None, text);
    }
    world.seconds(1);
    let first = world.seat(0);
    let mut caught: Vec<_> = world
        .history(1)
        .into_iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Send { seat, seq, message } if seat == first => Some((seq, message)),
            _ => None,
        })
        .collect();
    let caught = caught.split_off(caught.len() - 3);
    let mut show = |world: &mut World, seat: SeatId, seq: u64, message: &ByteBuf| {
        place = world.show(2, place, Entry::Send { seat, seq, message: message.clone() });
        world.clients[2].doubts()
    };
    let other = world.seat(1);
    let (seq, message) = &caught[0];
    assert!(show(&mut world, first, *seq, message).is_empty());
    assert!(show(&mut world, first, *seq, message).contains(&Doubt::Replayed));
    let (seq, message) = &caught[1];
    assert!(show(&mut world, other, *seq + 5, message).contains(&Doubt::Misdelivered), "in another's name");
    let (seq, message) = &caught[2];
    assert!(show(&mut world, first, *seq, message).contains(&Doubt::Withheld), "the second never came");
    assert_eq!(chats(&world, 2), ["one", "three"]);
}

#[test]
fn a_member_that_was_left_behind_comes_in_again() {
    let mut world = room(3, false);
    let (place, before) = (world.history(2).last().unwrap().0, world.seat(2));
    // Of two commits the first never reaches the third.
    world.clients[2].side = 9;
    for _ in 0..2 {
        world.give(0, Input::Rotate);
        world.seconds(1);
    }
    let second = world.history(1).into_iter().rfind(|(_, entry)| matches!(entry, Entry::Commit { .. }));
    world.show(2, place, second.unwrap().1);
    assert!(world.clients[2].doubts().contains(&Doubt::MissingEpoch));
    world.clients[2].side = 0;
    world.settle(60);
    assert_ne!(world.seat(2), before);
    world.check_frames();
}

#[test]
fn a_member_that_is_ahead_of_the_log_comes_in_again() {
    let mut world = room(3, false);
    // Two histories, in each of which one thing happens: new keys for the third, and a word for the others.
    let other = world.logs[0].clone();
    world.logs.push(other);
    world.clients[2].side = 1;
    world.give(2, Input::Rotate);
    say(&mut world, 0, None, "only here");
    world.seconds(2);
    assert_eq!(world.logs[0].offset(), world.logs[1].offset());
    assert!(world.logs[0].epoch() < world.logs[1].epoch());
    world.clients[2].side = 0;
    world.logs.truncate(1);
    world.settle(30);
    assert!(world.clients[2].saw(&Event::Rejoining));
    world.check_frames();
}

#[test]
fn who_hears_of_a_seat_that_is_not_in_the_group_is_in_another_than_the_logs() {
    let mut world = room(3, false);
    let at = world.logs[0].head().offset;
    // In its place the others hear something else, and nothing but this shows the third that its history is another.
    world.clients[2].side = 9;
    say(&mut world, 0, None, "only for you");
    world.seconds(1);
    world.clients[2].side = 0;
    world.show(2, at, Entry::Gone { seat: SeatId::from_bytes([9; 16]), left: false });
    world.seconds(7);
    world.settle(30);
    assert!(world.clients[2].saw(&Event::Rejoining));
    world.check_frames();
}

#[test]
fn nobody_waits_for_ever_at_the_door_of_a_group_that_is_not_there() {
    let mut world = World::new(5);
    let link = invite(false);
    let client = world.arrive(&link, true);
    // The server points to a group that nobody is in.
    let hello = ServerMessage::Hello {
        generation: 3,
        group: Some(GroupId::from_bytes([1; 16])),
        epoch: 9,
        offset: 0,
        live: 2,
        resumed: gloaming_room::log::Resumed::Fresh,
    };
    world.give(client, Input::Received(&hello.encode()));
    world.settle(30);
    assert!(world.clients[client].saw(&Event::First));
}

#[test]
fn nonsense_from_the_server_changes_nothing() {
    let mut world = room(2, false);
    let before = world.clients[0].member.authenticator();
    for frame in [&b""[..], b"\x02abc", b"\x01", &[0xff; 1000]] {
        world.give(0, Input::Received(frame));
    }
    assert!(world.clients[0].doubts().contains(&Doubt::MalformedFrame));
    assert_eq!(world.clients[0].member.authenticator(), before);
}
