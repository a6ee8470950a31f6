//! What a server may know of keys, and nothing that opens anything by itself.
//!
//! * [`segment_share`]: one segment's share out of a video's [`GrantShare`]. A share alone opens nothing: the segment's
//!   key also needs the view share, which the server never holds (`gloaming-keys` joins the two).
//! * [`exchange`], [`chain`], [`proof`]: how a viewer gets such shares one by one, and nobody else does.
//! * [`log`]: the record of it, chained.
//! * [`verify_recovery`], [`verify_new_password`]: whether the holder of an account's recovery phrase asked for a reset,
//!   and chose this password.
//! * [`secret!`]: the shape of every 32-byte secret in the workspace.

pub mod chain;
mod derive;
pub mod exchange;
pub mod log;
pub mod proof;
mod recovery;
mod rng;
mod secret;
mod share;
mod window;

pub use derive::derive;
pub use rng::Rng;
pub use window::Window;

pub use recovery::{
    BadRecoverySignature, new_password_message, recovery_message, verify_new_password, verify_recovery,
};
pub use share::{GrantShare, SegmentShare, segment_share};

#[doc(hidden)]
pub mod macro_support {
    pub use gloaming_ids::Entropy;
    pub use zeroize::{Zeroize, ZeroizeOnDrop};
}
