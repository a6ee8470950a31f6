//! What seats say to the forwarder, and datagrams of strangers: it goes on, within its limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gloaming_any_bytes::room_forwarder::check(bytes));
