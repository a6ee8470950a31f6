//! Any bytes as a file: probing and planning end in an answer or an error, in bounded steps.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gloaming_any_bytes::demux::check(data));
