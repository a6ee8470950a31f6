//! Letting others watch: what a link's secret, or a person's key, seals.

mod contact;
mod contents;
mod link;
mod person;

pub use contact::ContactLink;
pub use contents::{SharedKey, SharedKeys};
pub use link::{LinkError, LinkKeys, LinkSecret, LinkToken};
pub use person::{Fingerprint, PersonError, PersonShare, PublicIdentity, ShareMode, open_for, seal_for};
