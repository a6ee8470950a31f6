//! What holds of any bytes whatsoever, a module for each parser that reads what strangers wrote. `fuzz/` hands them to libFuzzer
//! (`./x soak fuzz`); the test of this crate hands them the same corpora and what chance makes of those.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what does not hold panics, which is what a fuzzer looks for"
)]

pub mod demux;
pub mod index;
pub mod mp4_writer;
pub mod part;
pub mod room_forwarder;
pub mod room_frame;
pub mod room_log;
pub mod room_member;
pub mod room_wire;

use arbitrary::{Arbitrary, Unstructured};

/// The name of a target and of its folder under `fuzz/corpus`, and what is to hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("demux", demux::check),
    ("index", index::check),
    ("mp4_writer", mp4_writer::check),
    ("part", |bytes| std::str::from_utf8(bytes).map_or((), part::check)),
    ("room_forwarder", room_forwarder::check),
    ("room_frame", |bytes| read(bytes).map_or((), room_frame::check)),
    ("room_log", |bytes| read(bytes).map_or((), room_log::check)),
    ("room_member", |bytes| read(bytes).map_or((), room_member::check)),
    ("room_wire", room_wire::check),
];

/// As libFuzzer's own crate reads what is more than bytes.
fn read<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(bytes)).ok()
}
