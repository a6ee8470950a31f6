//! A URI out of a manifest or a player: whatever resolves is spelled in that one way.
#![no_main]

libfuzzer_sys::fuzz_target!(|uri: &str| gloaming_any_bytes::part::check(uri));
