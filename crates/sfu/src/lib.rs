//! The blind forwarder for larger rooms: sealed frames in, the same sealed frames out.
//!
//! ```text
//! browser ══ DTLS-SRTP ══► Peer ─ packets ─► Gate ─► Route, one for each viewer ─► Peer ══ DTLS-SRTP ══► browser
//!                                            └ is there an SFrame header?  └ layer, numbers
//! ```
//!
//! * [`Forwarder`]: rooms, connections, tracks and who gets what of them. It opens no socket and reads no clock.
//! * [`Service`]: a thread and a port (UDP and TCP) for each core, around it.
//! * [`signal`]: what browsers and the forwarder say to each other through the room's socket.
//!
//! # What it is blind to, and what not
//!
//! SRTP ends here, on both sides, so the forwarder sees packets: sizes, times, tracks, layers, and what the descriptors in
//! front of a frame say (where a frame begins, and whether it is a key frame). The frames are sealed with keys that this
//! crate has no way to come by: it depends on `room-log`, never on `room` or `keys`. Header extensions that tell how loud
//! somebody is are not negotiated; the page knows who speaks and says what it would rather see.
//!
//! It passes a track's frames only if they look sealed: a well-formed SFrame header with the sender's own leaf, the track's
//! number and an epoch of the room. That catches mistakes, such as a transform that a browser silently did not attach. It is
//! no defence against malice: whoever wants to send in the clear can put such a header in front.
//!
//! # Who drives it
//!
//! The room's server: after each commit that its log takes it calls [`Service::members`] with what the log's head says, it
//! hands on what browsers say ([`Service::signal`], as text frames of the room's socket) and brings them what comes out of
//! the receiver that [`Service::start`] gave it. It closes the room when it goes back to a mesh, or ends.
//!
//! # Packets, not frames
//!
//! str0m can hand over whole frames or RTP packets; here it is packets. A packet is passed on when it comes, where a frame
//! would wait for its last packet at every hop; descriptors stay as the sender's browser wrote them; and a packet's
//! payload is shared by all its viewers. Measured on two slow cores without system calls, a forwarded packet of 1,100 bytes
//! costs str0m 2.6 to 5.4 µs, or 4.5 to 8.1 µs with pacing and bandwidth estimation; a system call for each packet would
//! cost as much again. So packets that arrive together are written to a viewer together, str0m is drained once, and what it
//! gives out leaves by `UDP_SEGMENT` ([`Outbox`]).
//!
//! # What can go wrong
//!
//! Everything that grows has a limit ([`Limits`]), and str0m is guarded: a fault in it ends one connection. A viewer whose
//! network does not take what it asked for gets lower layers of cameras, and for a share nothing until its next key frame.

mod allocate;
mod clock;
mod forwarder;
mod gate;
mod limits;
mod outbox;
mod payload;
mod peer;
mod rewrite;
mod route;
mod service;
pub mod signal;
mod source;
mod stun;
mod tcp;

pub use forwarder::{Config, Counts, Event, Forwarder};
pub use limits::Limits;
pub use outbox::{Batch, Outbox, Via};
pub use service::{Gone, Service, Settings};
