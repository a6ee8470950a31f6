//! The sealed video: what is stored, and how it is made and read. Pure: bytes in, bytes out.
//!
//! ```text
//! movie ─► Sealer ─► fragments ─ sealed, in place ─► packs        one object each, padded to 64 KiB
//!                └─► Index ─ CBOR ─ zstd ─ signed ─ sealed ─► one object, written last
//! ```
//!
//! * [`Sealer`]: a movie as a stream of jobs (read these pieces, seal them with this key, put them there).
//! * [`Index`]: tracks, init segments, and a row for every segment. Whoever reads it checks a fragment's digest
//!   before opening it ([`FragmentRow::check`]).
//! * [`dash`], [`hls`], [`Part`]: manifests over it, with one naming for everything they point at.
//! * [`VirtualMp4`]: the whole video as one fragmented MP4 of which every byte's place is known.
//! * [`Card`], [`Poster`]: what a viewer sees before playing.
//!
//! The bytes are drawn in `docs/format.md`.

mod card;
pub mod dash;
mod error;
pub mod hls;
mod index;
mod journal;
mod layout;
mod presentation;
mod sealer;
mod table;
mod track;
mod uri;
mod virtual_mp4;

pub use card::{Card, Poster};
pub use error::{OpenError, SealError};
pub use index::{Index, SealedIndex};
pub use journal::{Journal, JournalPack};
pub use layout::{MAX_PACK, PADDED_TO, PackRef, padding};
pub use sealer::{FragmentJob, PackClosed, Place, SealOptions, SealStep, Sealer};
pub use table::{FragmentRow, PackRow, SegmentRow};
pub use track::{Kind, SOURCE_HEADER, Track};
pub use uri::Part;
pub use virtual_mp4::{VirtualMp4, VirtualPart};
