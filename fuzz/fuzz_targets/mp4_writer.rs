//! An init segment and a segment of any bytes: writing them back ends in an answer or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gloaming_any_bytes::mp4_writer::check(data));
