//! Whatever two sockets send: the log goes on, stays bounded, and gives every seat a chain of offsets without gaps.
#![no_main]

libfuzzer_sys::fuzz_target!(|frames: Vec<(u8, u8, Vec<u8>)>| gloaming_any_bytes::room_log::check(frames));
