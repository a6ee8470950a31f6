#![allow(clippy::unwrap_used, reason = "a test may")]

use gloaming_ids::{GroupId, SeatId};
use serde_bytes::ByteBuf;

use super::*;
use crate::mls::shapes;

const GROUP: GroupId = GroupId::from_bytes([9; 16]);
const START: Duration = Duration::ZERO;
const PASS: Pass = Pass([7; 32]);

fn policy() -> Policy {
    Policy::new(Door::of(&PASS))
}

fn seat(n: u8) -> SeatId {
    SeatId::from_bytes([n; 16])
}

fn hello(n: u8, resume: Option<Resume>) -> ClientMessage {
    ClientMessage::Hello { seat: seat(n), token: SeatToken([n; 16]), pass: PASS, resume }
}

fn knock(n: u8) -> ClientMessage {
    let key_package = ByteBuf::from(shapes::key_package(seat(n)));
    ClientMessage::Knock { group: GROUP, key_package, proof: [0; 32], card: ByteBuf::new() }
}

fn commit(epoch: u64, leaf: u32, proposals: &[Vec<u8>], welcome: bool) -> ClientMessage {
    let proposals = [proposals, &[shapes::psk()]].concat();
    ClientMessage::Commit {
        group: GROUP,
        message: ByteBuf::from(shapes::commit(GROUP, epoch, leaf, &proposals)),
        welcome: welcome.then(|| ByteBuf::from(b"welcome".to_vec())),
    }
}

fn send(seq: u64, epoch: u64, to: Option<u8>) -> ClientMessage {
    let message = ByteBuf::from(shapes::private(GROUP, epoch));
    ClientMessage::Send { group: GROUP, seq, to: to.map(seat), message }
}

/// A room with these seats, the first of which founded it, in the epoch after.
fn room(seats: &[u8]) -> Log {
    let mut log = Log::new(policy());
    for n in seats {
        log.handle(seat(*n), hello(*n, None), START);
    }
    log.handle(seat(seats[0]), ClientMessage::Found { after: 0, group: GROUP }, START);
    let adds: Vec<_> = seats[1..].iter().map(|n| shapes::add(seat(*n))).collect();
    for n in &seats[1..] {
        log.handle(seat(*n), knock(*n), START);
    }
    log.handle(seat(seats[0]), commit(0, 0, &adds, seats.len() > 1), START);
    assert_eq!((log.epoch(), log.live()), (1, seats.len()));
    log
}

fn refusal(out: &[Delivery]) -> Option<Refusal> {
    match out {
        [Delivery { message: ServerMessage::Refused { why }, .. }] => Some(*why),
        _ => None,
    }
}

fn entries(out: &[Delivery], to: u8) -> Vec<(u64, u64)> {
    let entry = |d: &Delivery| match d.message {
        ServerMessage::Entry { offset, prev, .. } if d.to == seat(to) => Some((prev, offset)),
        _ => None,
    };
    out.iter().filter_map(entry).collect()
}

#[test]
fn the_first_commit_of_an_epoch_wins_and_the_second_hears_so() {
    let mut log = room(&[1, 2, 3]);
    let won = log.handle(seat(2), commit(1, 1, &[], false), START);
    assert_eq!((entries(&won, 1).len(), entries(&won, 2).len(), entries(&won, 3).len()), (1, 1, 1));
    let lost = log.handle(seat(3), commit(1, 2, &[], false), START);
    assert_eq!(
        lost,
        [Delivery { to: seat(3), message: ServerMessage::Conflict { generation: 1, epoch: 2 } }]
    );
    assert_eq!(log.epoch(), 2);
}

#[test]
fn a_commit_in_somebody_elses_name_or_by_a_stranger_is_refused() {
    let mut log = room(&[1, 2]);
    assert_eq!(refusal(&log.handle(seat(2), commit(1, 0, &[], false), START)), Some(Refusal::Malformed));
    log.handle(seat(9), hello(9, None), START);
    assert_eq!(refusal(&log.handle(seat(9), commit(1, 0, &[], false), START)), Some(Refusal::NotAMember));
    assert_eq!(refusal(&log.handle(seat(8), commit(1, 0, &[], false), START)), Some(Refusal::NotYourSeat));
    let of_nobody = commit(1, 0, &[shapes::remove(7)], false);
    assert_eq!(refusal(&log.handle(seat(1), of_nobody, START)), Some(Refusal::Malformed));
    let never_asked = commit(1, 0, &[shapes::add(seat(9))], true);
    assert_eq!(refusal(&log.handle(seat(1), never_asked, START)), Some(Refusal::NotAMember));
    assert_eq!(log.epoch(), 1);
}

#[test]
fn a_commit_without_the_links_key_is_not_even_ordered() {
    let mut log = room(&[1, 2]);
    let message = ByteBuf::from(shapes::commit(GROUP, 1, 0, &[]));
    let bare = ClientMessage::Commit { group: GROUP, message, welcome: None };
    assert_eq!(refusal(&log.handle(seat(1), bare, START)), Some(Refusal::Malformed));
}

#[test]
fn those_added_see_the_welcome_and_the_others_the_commit() {
    let mut log = room(&[1]);
    log.handle(seat(2), hello(2, None), START);
    let knocked = log.handle(seat(2), knock(2), START);
    assert_eq!((entries(&knocked, 1).len(), entries(&knocked, 2).len()), (1, 0), "members see who knocks");
    let out = log.handle(seat(1), commit(1, 0, &[shapes::add(seat(2))], true), START);
    for Delivery { to, message } in out {
        let ServerMessage::Entry { entry: Entry::Commit { message, welcome, .. }, .. } = message else {
            panic!()
        };
        assert_eq!((message.is_empty(), welcome.is_some()), (to == seat(2), to == seat(2)));
    }
    assert_eq!((log.leaf(seat(1)), log.leaf(seat(2))), (Some(0), Some(1)));
}

#[test]
fn a_freed_leaf_is_the_next_to_be_taken() {
    let mut log = room(&[1, 2, 3]);
    log.handle(seat(4), hello(4, None), START);
    log.handle(seat(4), knock(4), START);
    log.handle(seat(1), commit(1, 0, &[shapes::remove(1), shapes::add(seat(4))], true), START);
    assert_eq!((log.leaf(seat(2)), log.leaf(seat(3)), log.leaf(seat(4))), (None, Some(2), Some(1)));
}

#[test]
fn a_seat_that_was_away_gets_what_it_missed_and_knows_that_nothing_is_missing() {
    let mut log = room(&[1, 2, 3]);
    let at = log.head().offset;
    log.disconnect(seat(3), START);
    log.handle(seat(1), send(1, 1, None), START);
    log.handle(seat(1), send(2, 1, Some(2)), START);
    log.handle(seat(2), commit(1, 1, &[], false), START);
    let resume = Some(Resume { generation: 1, epoch: 1, offset: at });
    let out = log.handle(seat(3), hello(3, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::All, .. }));
    assert_eq!(entries(&out, 3), [(at, at + 1), (at + 1, at + 3)], "what was for another is not among it");
}

#[test]
fn a_lost_entry_shows_in_the_next_one_and_a_ping_brings_it() {
    let mut log = room(&[1, 2]);
    let at = log.head().offset;
    let lost = log.handle(seat(1), send(1, 1, None), START);
    assert_eq!(entries(&lost, 2), [(at, at + 1)]);
    let next = log.handle(seat(1), send(2, 1, None), START);
    assert_eq!(entries(&next, 2), [(at + 1, at + 2)]);
    let again = log.handle(seat(2), ClientMessage::Ping { offset: at }, START);
    assert_eq!(entries(&again, 2), [(at, at + 1), (at + 1, at + 2)]);
    let quiet = log.handle(seat(2), ClientMessage::Ping { offset: at + 2 }, START);
    assert_eq!(
        quiet,
        [Delivery { to: seat(2), message: ServerMessage::Pong { offset: at + 2, epoch: 1, live: 2 } }]
    );
}

#[test]
fn a_message_sent_twice_or_out_of_turn_is_taken_once() {
    let mut log = room(&[1, 2]);
    assert_eq!(log.handle(seat(1), send(1, 1, None), START).len(), 2);
    assert_eq!(log.handle(seat(1), send(1, 1, None), START), []);
    assert_eq!(log.handle(seat(1), send(3, 1, None), START), []);
    assert_eq!(log.handle(seat(1), send(2, 1, None), START).len(), 2);
}

#[test]
fn messages_of_epochs_long_past_or_to_come_are_refused() {
    let mut log = room(&[1, 2]);
    for epoch in 1..=PAST_EPOCHS + 1 {
        log.handle(seat(1), commit(epoch, 0, &[], false), START);
    }
    assert_eq!(refusal(&log.handle(seat(1), send(1, 1, None), START)), Some(Refusal::OtherEpoch));
    let to_come = send(1, log.epoch() + 1, None);
    assert_eq!(refusal(&log.handle(seat(1), to_come, START)), Some(Refusal::OtherEpoch));
    assert_eq!(log.handle(seat(1), send(1, 2, None), START).len(), 2);
}

#[test]
fn a_seat_whose_page_was_closed_is_gone_sooner() {
    let mut log = room(&[1, 2]);
    log.page_closed(seat(2), START);
    assert_eq!(log.deadline(), Some(START + GRACE_OF_A_CLOSED_PAGE));
    assert_eq!(log.live(), 2);
    assert_eq!(log.tick(START + GRACE_OF_A_CLOSED_PAGE).len(), 1);
    assert_eq!(log.live(), 1);
}

#[test]
fn a_seat_without_a_socket_is_gone_after_a_while_and_may_come_back() {
    let mut log = room(&[1, 2]);
    let at = log.head().offset;
    log.disconnect(seat(2), START);
    assert_eq!(log.deadline(), Some(START + GRACE));
    assert_eq!(log.tick(GRACE / 2), []);
    let out = log.tick(GRACE);
    let ServerMessage::Entry { entry, .. } = &out[0].message else { panic!() };
    assert_eq!(*entry, Entry::Gone { seat: seat(2), left: false });
    assert_eq!((log.tick(GRACE + GONE_AGAIN / 2), log.live()), (Vec::new(), 1));
    let resume = Some(Resume { generation: 1, epoch: 1, offset: at });
    let out = log.handle(seat(2), hello(2, resume), 2 * GRACE);
    assert_eq!(entries(&out, 1).len(), 1, "they see that it is back");
    assert_eq!(entries(&out, 2), [(at, at + 1), (at + 1, at + 2)], "and it sees both");
    assert_eq!(log.live(), 2);
}

#[test]
fn nobody_takes_a_seat_without_its_token() {
    let mut log = room(&[1, 2]);
    let stolen = ClientMessage::Hello { seat: seat(2), token: SeatToken([0; 16]), pass: PASS, resume: None };
    assert_eq!(refusal(&log.handle(seat(2), stolen, START)), Some(Refusal::NotYourSeat));
}

fn hello_with(n: u8, pass: Pass, resume: Option<Resume>) -> ClientMessage {
    ClientMessage::Hello { seat: seat(n), token: SeatToken([n; 16]), pass, resume }
}

#[test]
fn who_does_not_have_the_link_neither_knocks_nor_founds() {
    let mut log = Log::new(policy());
    let wrong = hello_with(9, Pass([8; 32]), None);
    assert_eq!(refusal(&log.handle(seat(9), wrong.clone(), START)), Some(Refusal::NoPass));
    let found = ClientMessage::Found { after: 0, group: GROUP };
    assert_eq!(refusal(&log.handle(seat(9), found, START)), Some(Refusal::NotYourSeat));
    assert_eq!(log.generation(), 0);
    let mut log = room(&[1, 2]);
    assert_eq!(refusal(&log.handle(seat(9), wrong, START)), Some(Refusal::NoPass));
    assert_eq!(refusal(&log.handle(seat(9), knock(9), START)), Some(Refusal::NotYourSeat));
}

#[test]
fn after_the_door_is_changed_members_stay_and_the_old_pass_opens_nothing() {
    let mut log = room(&[1, 2]);
    log.handle(seat(3), hello(3, None), START);
    log.handle(seat(3), knock(3), START);
    let new = Pass([8; 32]);
    log.change_door(Door::of(&new));
    assert_eq!(refusal(&log.handle(seat(3), knock(3), START)), Some(Refusal::NotYourSeat));
    assert_eq!(refusal(&log.handle(seat(3), hello(3, None), START)), Some(Refusal::NoPass));
    assert_eq!(refusal(&log.handle(seat(4), hello_with(4, new, None), START)), None);
    // Who was away meanwhile has only the old one.
    let resume = Some(Resume { generation: 1, epoch: 1, offset: log.head().offset });
    log.disconnect(seat(2), START);
    let out = log.handle(seat(2), hello(2, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::All, .. }));
    // Whom the host removed is no member.
    log.handle(seat(1), commit(1, 0, &[shapes::remove(1)], false), START);
    assert_eq!(refusal(&log.handle(seat(2), hello(2, resume), START)), Some(Refusal::NoPass));
}

#[test]
fn a_new_generation_begins_only_when_nobody_is_left() {
    let mut log = room(&[1]);
    log.handle(seat(2), hello(2, None), START);
    let other = GroupId::from_bytes([8; 16]);
    let found = || ClientMessage::Found { after: 1, group: other };
    assert_eq!(refusal(&log.handle(seat(2), found(), START)), Some(Refusal::Occupied));
    log.disconnect(seat(1), START);
    assert_eq!(refusal(&log.handle(seat(2), found(), START)), Some(Refusal::Occupied), "it may come back");
    log.tick(GRACE);
    assert_eq!(entries(&log.handle(seat(2), found(), GRACE), 2).len(), 1);
    assert_eq!((log.generation(), log.epoch(), log.leaf(seat(2)), log.leaf(seat(1))), (2, 0, Some(0), None));
    let resume = Some(Resume { generation: 1, epoch: 1, offset: 1 });
    let out = log.handle(seat(1), hello(1, resume), GRACE);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::Fresh, .. }));
    log.handle(seat(3), hello(3, None), GRACE);
    let late = log.handle(seat(3), found(), GRACE);
    assert_eq!(
        late,
        [Delivery { to: seat(3), message: ServerMessage::Conflict { generation: 2, epoch: 0 } }]
    );
}

#[test]
fn members_go_on_after_a_restart_of_the_server_and_strangers_do_not() {
    let log = room(&[1, 2]);
    let mut head = log.head();
    let mut again = Log::restore(policy(), head.clone(), START);
    assert_eq!(again.live(), 2);
    let resume = Some(Resume { generation: 1, epoch: 1, offset: head.offset });
    let out = again.handle(seat(1), hello(1, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::All, .. }));
    let out = again.handle(seat(9), hello(9, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::Fresh, .. }));
    // What was said just before the restart is lost; a commit just before it would have to be made up for.
    head.offset += 1;
    let mut lossy = Log::restore(policy(), head.clone(), START);
    let out = lossy.handle(seat(1), hello(1, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::Lossy, .. }));
    head.epoch += 1;
    let mut behind = Log::restore(policy(), head, START);
    let out = behind.handle(seat(1), hello(1, resume), START);
    assert!(matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::Gone, .. }));
}

#[test]
fn whoever_waits_at_the_door_hears_that_the_last_one_is_gone() {
    for leaves in [true, false] {
        let mut log = room(&[1, 2]);
        log.handle(seat(3), hello(3, None), START);
        log.disconnect(seat(2), START);
        assert!(log.tick(START + GRACE).iter().all(|delivery| delivery.to != seat(3)), "one is there");
        let out = if leaves {
            log.handle(seat(1), ClientMessage::Leave {}, START + GRACE)
        } else {
            log.disconnect(seat(1), START + GRACE);
            log.tick(START + 2 * GRACE)
        };
        let told = out.iter().find(|delivery| delivery.to == seat(3)).map(|delivery| &delivery.message);
        assert!(matches!(told, Some(ServerMessage::Pong { live: 0, .. })), "{told:?}");
    }
}

#[test]
fn whom_a_restart_found_gone_nobody_waits_for() {
    let mut log = room(&[1, 2, 3]);
    log.handle(seat(2), ClientMessage::Leave {}, START);
    log.disconnect(seat(3), START);
    log.tick(START + GRACE);
    let mut again = Log::restore(policy(), log.head(), START);
    assert_eq!((again.live(), again.leaves()), (1, vec![(seat(1), 0), (seat(3), 2)]));
    // Who is there is told of them again, and removes them.
    let resume = |offset| Some(Resume { generation: 1, epoch: 1, offset });
    again.handle(seat(1), hello(1, resume(again.offset())), START);
    let told = again.tick(START + GONE_AGAIN);
    let gone = told.iter().filter_map(|delivery| match &delivery.message {
        ServerMessage::Entry { entry: Entry::Gone { seat, left }, .. } => Some((*seat, *left)),
        _ => None,
    });
    assert_eq!(gone.collect::<Vec<_>>(), [(seat(2), true), (seat(3), false)]);
    again.handle(seat(1), commit(1, 0, &[shapes::remove(1)], false), START);
    assert_eq!(again.leaves(), [(seat(1), 0), (seat(3), 2)]);
    // They come back, if it was not they who said that they go.
    again.handle(seat(3), hello(3, resume(again.offset())), START);
    assert_eq!(again.live(), 2);

    // Everybody is gone: the next one begins.
    let mut log = room(&[1]);
    log.handle(seat(1), ClientMessage::Leave {}, START);
    let mut empty = Log::restore(policy(), log.head(), START);
    assert_eq!(empty.live(), 0);
    empty.handle(seat(4), hello(4, None), START);
    let group = GroupId::from_bytes([8; 16]);
    assert_eq!(entries(&empty.handle(seat(4), ClientMessage::Found { after: 1, group }, START), 4).len(), 1);
}

#[test]
fn a_log_is_bounded_and_says_when_it_has_forgotten() {
    let mut log = room(&[1, 2]);
    let at = log.head().offset;
    for seq in 1..=MAX_LOG_ENTRIES as u64 + 1 {
        log.handle(seat(1), send(seq, 1, None), START);
    }
    assert_eq!(log.entries.len(), MAX_LOG_ENTRIES);
    let out = log.handle(seat(2), ClientMessage::Ping { offset: at }, START);
    assert!(matches!(
        out[..],
        [Delivery { message: ServerMessage::Hello { resumed: Resumed::Lossy, .. }, .. }]
    ));
    let resume = Some(Resume { generation: 1, epoch: 1, offset: at });
    let out = log.handle(seat(2), hello(2, resume), START);
    assert!(
        matches!(out[0].message, ServerMessage::Hello { resumed: Resumed::Lossy, .. }),
        "no commit was lost"
    );
}

#[test]
fn a_room_has_no_more_seats_than_it_was_given_and_the_door_is_not_endless() {
    let mut log = room(&[1, 2]);
    log.policy.max_seats = 2;
    log.handle(seat(3), hello(3, None), START);
    assert_eq!(refusal(&log.handle(seat(3), knock(3), START)), Some(Refusal::Full));
    log.policy.max_seats = 100;
    for n in 3..3 + MAX_KNOCKS as u8 {
        log.handle(seat(n), hello(n, None), START);
        assert_eq!(refusal(&log.handle(seat(n), knock(n), START)), None);
    }
    let late = 3 + MAX_KNOCKS as u8;
    log.handle(seat(late), hello(late, None), START);
    assert_eq!(refusal(&log.handle(seat(late), knock(late), START)), Some(Refusal::Full));
    assert_eq!(refusal(&log.handle(seat(3), knock(3), START)), None, "who waits may knock again");
}

#[test]
fn who_keeps_knocking_does_not_fill_the_log() {
    let mut log = room(&[1, 2]);
    log.handle(seat(3), hello(3, None), START);
    assert_eq!(entries(&log.handle(seat(3), knock(3), START), 1).len(), 1);
    assert_eq!(log.handle(seat(3), knock(3), START), []);
    log.handle(seat(1), commit(1, 0, &[], false), START);
    assert_eq!(
        entries(&log.handle(seat(3), knock(3), START), 1).len(),
        1,
        "there may be somebody new to hear it"
    );
    assert_eq!(entries(&log.handle(seat(3), knock(3), KNOCK_AGAIN), 1).len(), 1);
}

#[test]
fn a_member_who_knocks_has_lost_the_group_and_makes_room_for_itself() {
    let mut log = room(&[1, 2]);
    let told = log.handle(seat(1), knock(1), START);
    assert_eq!(told.last().map(|last| last.to), Some(seat(1)));
    assert_eq!(refusal(&told[told.len() - 1..]), Some(Refusal::NotYourSeat));
    assert_eq!(entries(&told, 2).len(), 1, "the others are told");
    assert_eq!(log.live(), 1);
}

#[test]
fn who_missed_their_welcome_gets_it_by_knocking_again() {
    let mut log = room(&[1]);
    log.handle(seat(2), hello(2, None), START);
    log.handle(seat(2), knock(2), START);
    log.handle(seat(1), commit(1, 0, &[shapes::add(seat(2))], true), START);
    let out = log.handle(seat(2), knock(2), START);
    let [Delivery { message: ServerMessage::Entry { entry, .. }, .. }] = &out[..] else { panic!() };
    assert!(matches!(entry, Entry::Commit { welcome: Some(_), .. }));
    assert_eq!(log.live(), 2);
}

#[test]
fn who_came_after_somebody_was_gone_is_told_too() {
    let mut log = room(&[1, 2]);
    log.handle(seat(3), hello(3, None), START);
    log.handle(seat(3), knock(3), START);
    log.handle(seat(2), ClientMessage::Leave {}, START);
    // Made before the first had seen that the second left, and then the first leaves too.
    log.handle(seat(1), commit(1, 0, &[shapes::add(seat(3))], true), START);
    assert_eq!(log.tick(GONE_AGAIN / 2), []);
    let out = log.tick(GONE_AGAIN);
    assert_eq!(entries(&out, 3).len(), 1);
    assert_eq!(log.deadline(), Some(2 * GONE_AGAIN));
    log.handle(seat(1), commit(2, 0, &[shapes::remove(1)], false), GONE_AGAIN);
    assert_eq!(log.deadline(), None);
}

#[test]
fn who_saw_what_the_log_never_held_is_told_to_begin_anew() {
    let mut log = room(&[1, 2]);
    let ahead = ClientMessage::Ping { offset: log.head().offset + 5 };
    let out = log.handle(seat(2), ahead.clone(), START);
    assert!(matches!(
        out[..],
        [Delivery { message: ServerMessage::Hello { resumed: Resumed::Gone, .. }, .. }]
    ));
    log.handle(seat(3), hello(3, None), START);
    let out = log.handle(seat(3), ahead, START);
    assert!(matches!(
        out[..],
        [Delivery { message: ServerMessage::Hello { resumed: Resumed::Fresh, .. }, .. }]
    ));
}

#[test]
fn a_member_that_was_given_up_may_found_on_its_seat_and_counts_its_messages_anew() {
    let mut log = room(&[1]);
    log.handle(seat(1), send(1, 1, None), START);
    log.handle(seat(1), knock(1), START);
    assert_eq!(log.live(), 0);
    let group = GroupId::from_bytes([8; 16]);
    log.handle(seat(1), ClientMessage::Found { after: 1, group }, START);
    assert_eq!((log.generation(), log.live(), log.leaf(seat(1))), (2, 1, Some(0)));
    let message = ByteBuf::from(shapes::private(group, 0));
    let first = ClientMessage::Send { group, seq: 1, to: None, message };
    assert_eq!(log.handle(seat(1), first, START).len(), 1);
}

#[test]
fn everybody_hears_when_everybody_has_reached_an_epoch() {
    let mut log = room(&[1, 2]);
    assert_eq!(log.handle(seat(1), ClientMessage::Reached { epoch: 1 }, START), []);
    let out = log.handle(seat(2), ClientMessage::Reached { epoch: 1 }, START);
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|d| d.message == ServerMessage::Reached { epoch: 1 }));
}

#[test]
fn who_sits_where_is_known_and_who_says_that_they_leave_sits_nowhere() {
    let mut log = room(&[1, 2, 3]);
    assert_eq!(log.leaves(), [(seat(1), 0), (seat(2), 1), (seat(3), 2)]);
    log.handle(seat(2), ClientMessage::Leave {}, START);
    assert_eq!(log.leaves(), [(seat(1), 0), (seat(3), 2)]);
    // Who lost their socket may come back, until somebody removes them.
    log.disconnect(seat(3), START);
    log.tick(START + GRACE);
    assert_eq!(log.leaves(), [(seat(1), 0), (seat(3), 2)]);
    log.handle(seat(1), commit(1, 0, &[shapes::remove(1), shapes::remove(2)], false), START);
    assert_eq!(log.leaves(), [(seat(1), 0)]);
    assert_eq!(Log::restore(policy(), log.head(), START).leaves(), [(seat(1), 0)]);
}

#[test]
fn who_asks_for_the_whole_log_again_and_again_is_told_that_it_is_forgotten() {
    let mut log = room(&[1, 2]);
    let mut words = shapes::private(GROUP, 1);
    words.truncate(words.len() - 1);
    words.extend_from_slice(&(0x8000_0000 | 200_000_u32).to_be_bytes());
    words.resize(words.len() + 200_000, 7);
    let words = ByteBuf::from(words);
    for seq in 1..=10 {
        let message = ClientMessage::Send { group: GROUP, seq, to: None, message: words.clone() };
        log.handle(seat(1), message, START);
    }
    let whole = log.entries.iter().map(|kept| kept.entry.size() as u64).sum::<u64>();
    let ask = |log: &mut Log, n: u8, now| log.handle(seat(n), ClientMessage::Ping { offset: 0 }, now);
    let told = |out: &[Delivery]| match &out.last().unwrap().message {
        ServerMessage::Pong { .. } => None,
        ServerMessage::Hello { resumed, .. } => Some(*resumed),
        other => panic!("{other:?}"),
    };
    let mut times = 0;
    let refused = loop {
        let out = ask(&mut log, 1, START);
        if let Some(resumed) = told(&out) {
            assert_eq!(out.len(), 1, "nothing but that");
            break resumed;
        }
        times += 1;
        assert!(times < 1000, "for ever");
    };
    assert_eq!(refused, Resumed::Lossy);
    assert!((MAX_RESENT / whole - 1..=MAX_RESENT / whole + 2).contains(&times), "{times}");
    // By saying hello neither.
    let resume = Resume { generation: 1, epoch: 1, offset: 0 };
    let out = log.handle(seat(1), hello(1, Some(resume)), START);
    assert_eq!(told(&out), Some(Resumed::Lossy));
    // Others have their own share, who misses nothing is answered, and time forgives.
    assert_eq!(told(&ask(&mut log, 2, START)), None);
    let missing_nothing = ClientMessage::Ping { offset: log.offset() };
    assert_eq!(told(&log.handle(seat(1), missing_nothing, START)), None);
    assert_eq!(told(&ask(&mut log, 1, START + Duration::from_secs(10))), None);
}

#[test]
fn who_leaves_is_proposed_for_removal_at_once() {
    let mut log = room(&[1, 2]);
    let out = log.handle(seat(2), ClientMessage::Leave {}, START);
    let ServerMessage::Entry { entry, .. } = &out[0].message else { panic!() };
    assert_eq!(*entry, Entry::Gone { seat: seat(2), left: true });
    assert_eq!(log.live(), 1);
}
