//! What any client does: accounts, the library, publishing, watching. One behaviour, natively and in a browser.
//!
//! The crate opens no socket and reads no file: a [`Platform`] does, and futures run on whatever polls them. The server
//! is assumed hostile; what it can get wrong ends in a [`ClientError`] that says what it means.
//!
//! * [`platform`]: what the machine must offer.
//! * [`Client`] and [`Session`]: registration, sign-in, unlocking, devices.
//! * [`Library`]: the sealed records, in step with the other devices.
//! * [`publish`]: a file into the library, resumable. [`open_video`], [`OpenVideo`]: playing. [`Download`], [`verify`].
//! * [`folder`]: a folder of films into playlists.
//! * [`share`]: letting others watch, and the log of it. [`viewer`]: watching what others shared by a link.
//! * [`people`]: by which keys somebody is known. [`received`]: what they gave or lent.
//! * [`room`]: rooms that somebody made, and what makes them the host.
//! * [`Control`] and [`Progress`]: pausing, stopping, and seeing how far something long is.

mod account;
mod control;
mod download;
mod error;
pub mod folder;
mod grant_log;
mod keep;
pub mod library;
pub mod people;
pub mod platform;
mod progress;
mod publish;
pub mod received;
mod records;
pub mod room;
mod server;
pub mod share;
mod store;
mod verify;
pub mod viewer;
mod watch;

pub use account::{Client, Session};
pub use control::Control;
pub use download::{Download, Piece, Replayed};
pub use error::ClientError;
pub use grant_log::{GrantLogReader, Watched};
pub use keep::orphans;
pub use library::Library;
pub use platform::Platform;
pub use progress::{Phase, Progress};
pub use publish::{
    Inspected, PublishOptions, Published, Unfinished, abandon, fingerprint, inspect, probe, publish,
    unfinished,
};
pub use records::{
    Fault, PlaylistRecord, PositionRecord, PosterInfo, SettingsRecord, ShareRecord, TrackSummary, VideoRecord,
};
pub use verify::{Verified, verify, verify_against};
pub use watch::{OpenVideo, open_video};
