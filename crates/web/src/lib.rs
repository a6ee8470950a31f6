//! The browser's face of the client: only converts. Everything here runs in one worker, which alone holds the keys.
//!
//! * [`WebVault`]: the calls of `web/src/core/vault.ts`.
//! * [`platform`]: the browser, as `gloaming-client` wants it: files in windows, WebCrypto, fetch, IndexedDB.
//! * [`host`]: what TypeScript lends it for that (`web/src/core/host.ts`).
#![cfg(target_arch = "wasm32")]

#[cfg(feature = "bench")]
pub mod bench;
mod bulk;
mod convert;
pub mod host;
mod idle;
pub mod platform;
mod report;
mod source;
mod vault;
#[cfg(feature = "vectors")]
pub mod vectors;
mod wire;

pub use source::FileSource;
pub use vault::WebVault;
