//! Frames of a room's socket, and the MLS messages and frame headers that a server looks into: refused, or read the same way
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gloaming_any_bytes::room_wire::check(bytes));
