//! The browser's face of the client: only converts. Everything here runs in one worker, which alone holds the keys.
//!
//! * [`WebVault`]: the calls of `web/src/core/vault.ts`.
//! * [`WebViewer`]: the same for the page of a link, where nobody has an account.
//! * [`platform`]: the browser, as `gloaming-client` wants it: files in windows, WebCrypto, fetch, IndexedDB.
//! * [`host`]: what TypeScript lends it for that (`web/src/core/host.ts`).
//!
//! Natively there is nothing here but what can be tested without a browser.

#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "its callers are in the browser"))]
#[cfg(any(target_arch = "wasm32", test))]
mod idle;

#[cfg(target_arch = "wasm32")]
pub use source::FileSource;
#[cfg(target_arch = "wasm32")]
pub use vault::WebVault;
#[cfg(target_arch = "wasm32")]
pub use viewer::WebViewer;

#[cfg(all(target_arch = "wasm32", feature = "bench"))]
pub mod bench;
#[cfg(target_arch = "wasm32")]
mod bulk;
#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
pub mod host;
#[cfg(target_arch = "wasm32")]
pub mod platform;
#[cfg(target_arch = "wasm32")]
mod playing;
#[cfg(target_arch = "wasm32")]
mod report;
#[cfg(target_arch = "wasm32")]
mod source;
#[cfg(target_arch = "wasm32")]
mod vault;
#[cfg(all(target_arch = "wasm32", feature = "vectors"))]
pub mod vectors;
#[cfg(target_arch = "wasm32")]
mod viewer;
#[cfg(target_arch = "wasm32")]
mod wire;
