//! Whatever a server sends to a member, alone in a room or at the door of one: it stays where it is or comes in again, and
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (bool, Vec<Vec<u8>>)| gloaming_any_bytes::room_member::check(input));
