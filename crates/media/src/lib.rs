//! Any video in, CMAF fragments out: reads what a file is, cuts it into segments, and puts it back together.
//!
//! Nothing here opens a file or a socket. The caller is asked for byte ranges ([`Extent`]) and hands them over,
//! and what comes back says which bytes of the source belong where ([`Piece`]); payload bytes never pass through.
//!
//! * [`Demuxer`]: what the file is. Ends in a [`Movie`] with its [`TrackInfo`]s and init segments.
//! * [`Planner`]: the movie's segments and fragments in time order, as recipes made of [`Piece`]s.
//! * [`mp4_out`]: the way back, to one progressive MP4 or to a virtual fragmented one.
//! * [`read_fragment`]: the samples of a fragment, to compare what was cut differently.
//! * [`plays_in`]: where a codec plays, for the people who are about to upload it.
//!
//! No code path holds a table of samples: sample tables are read through small windows, run by run. Every count and
//! size of the source is checked against the box that holds it, and a hostile file ends in a [`MediaError`].

mod assemble;
mod boxes;
mod codec;
mod cursor;
mod demux;
mod error;
mod extent;
mod fragment;
mod init;
mod moof;
mod movie;
pub mod mp4_out;
mod notes;
mod plan;
mod playback;
mod read_back;
mod sample;
mod scan;
mod source_header;
mod tables;
mod timeline;
mod track;
mod window;

pub use demux::Demuxer;
pub use error::MediaError;
pub use extent::{Extent, Piece};
pub use movie::{ColorInfo, Movie, TrackInfo, TrackKind, Warning};
pub use plan::{Fragment, Plan, PlanOptions, Planner};
pub use playback::{Playback, Support, plays_in};
pub use read_back::{Samples, read_fragment};
pub use source_header::SourceHeader;
