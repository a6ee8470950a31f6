//! Media frames and links from strangers: nothing opens, nothing panics, and what reads is written the same way again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>, String)| gloaming_any_bytes::room_frame::check(input));
