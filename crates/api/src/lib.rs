//! The wire between a client and a server: what is asked, what is answered, and the errors in between.
//!
//! Every body is JSON; bytes are base64url without padding ([`Bytes`]). Routes live under `/v1`. A client proves itself
//! with a session cookie (browser) or `Authorization: Bearer` (command line). The server never receives a key: what
//! looks like one here is sealed, and named so.
//!
//! | module | routes |
//! |---|---|
//! | [`account`] | set-up, registration, sign-in, password, recovery, sessions, invites |
//! | [`keyring`] | the sealed keyring and its wraps |
//! | [`library`] | the change feed of sealed records |
//! | [`video`] | drafts, objects, commit, list, trash |
//! | [`share`] | who else may watch; the log of grants |
//! | [`playback`] | a viewer's session, grants |
//! | [`people`] | by which keys somebody is known; what others gave or lent |
//! | [`room`] | where people meet |
//! | [`error`] | `{ code, message, detail? }` |

pub mod account;
mod bytes;
pub mod error;
pub mod keyring;
pub mod library;
pub mod people;
pub mod playback;
pub mod room;
pub mod share;
mod username;
pub mod video;

pub use bytes::Bytes;
pub use error::{ErrorBody, ErrorCode};
pub use username::{BadUsername, MAX_USERNAME, username_key};

/// Sent by every client, so that a server can tell an old one what to do. Compared by equality of the major number.
pub const PROTOCOL: &str = "1";
