//! A room's member, for the browser's worker. It only converts: what is decided is decided in `gloaming-room`.
//!
//! ```text
//! worker ── opened, closed, received, tick, say … ──► RoomMember ── next() ──► { send } for the socket, { event } for the page
//! transform ── sealJob, seal, openJob, open ──► frames under the group's keys
//! ```
//!
//! A module of its own, because openmls is larger than everything else of ours, and only rooms need it.
//!
//! # What JavaScript sees
//!
//! `./x build` leaves it at `web/src/wasm-room/gloaming_room_web.js`. Ids and seats are the strings of the API; bytes are
//! `Uint8Array`s; what is thrown is `{ code, message }`, or a word of `frames.rs` for a frame that is dropped.
//!
//! ```text
//! newRoom(host, lobby) → { room, fragment }              host: the 32 bytes of the host's key
//! doorOf(room, fragment, about) → RoomDoor               for POST /v1/rooms { room, door, policy? }
//! aboutOf(room, fragment, sealed) → About | null         of RoomView.sealed; null if it is another link's
//! linkOf(fragment) → { number, lobby }                   throws bad_link; number ≠ RoomView.number: good no longer
//!     About = { name, onlyHostShares?, hideAddresses? }
//!
//! new RoomMember({ room, fragment, name, device?, host? })     device, host: 32 numbers each
//!     .opened(now) .closed(now) .received(frame, now) .tick(now)             the socket's, and the timer's
//!     .say(to?, words, now) .admit(seat, now) .deny(seat, now) .expel(seat, now) .end(now) .leave(now)
//!     .next() → { send } | { event } | undefined          after every call above, until there is nothing
//!     .deadline() → milliseconds | undefined              when to call tick
//!     .seats() .nameOf(seat) → { name, code } | null  .leafOf(seat) → number | undefined  .code()
//!     .fragment()                                         of a link that is good now
//!     .door(about) → RoomDoor                             for PUT /v1/rooms/{id}/door, after the event link-changed
//!     .seal(track, mime, frame) .open(leaf, mime, frame)  a whole frame, here
//!     .sealJob .sealKey .openJob .openKey .frameOpened    the same with WebCrypto
//! ```
//!
//! Only the owner's own page deposits doors, and it does so after every `link-changed` for as long as the server has a lower
//! number: until then the new link is refused (`link-refused`; the member asks again every 2 s) and strangers with the old one
//! can still knock, though not come in. Events and words are in `wire.rs`, with the spellings that TypeScript has.
//!
//! Natively there is nothing here but what can be tested without a browser.

#[cfg(target_arch = "wasm32")]
mod frames;
#[cfg(target_arch = "wasm32")]
mod link;
#[cfg(target_arch = "wasm32")]
mod member;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "its callers are in the browser"))]
mod wire;

#[cfg(target_arch = "wasm32")]
pub use frames::{OpenJob, SealJob};
#[cfg(target_arch = "wasm32")]
pub use link::{about_of, door_of, link_of, new_room};
#[cfg(target_arch = "wasm32")]
pub use member::RoomMember;
