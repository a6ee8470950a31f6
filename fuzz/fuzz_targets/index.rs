//! An index that is signed and sealed as it should be, and hostile inside: either refused, or good for everything that
#![no_main]

libfuzzer_sys::fuzz_target!(|cbor: &[u8]| gloaming_any_bytes::index::check(cbor));
