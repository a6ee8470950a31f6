//! Rooms: making them, and being in them without a browser.
//!
//! ```text
//! owned   the account's rooms: create, ls, end
//! join    one visit, as a person sees it ─► visit   Member, socket, time ─► media   which way: topology
//!                                             ▲ publish  a file's frames       ├► link       to one other seat    ┐ connection
//!                                             └ sealed   the one way out       └► forwarder  to the server's own  ┘ (str0m),
//! record  what is received, as files: ivf, ogg                                                                     packets
//! bench   many visits in one process
//! ```
//!
//! A visit speaks the page's own words (`web/src/room`), so that it and browsers see and hear each other.

mod bench;
mod connection;
mod forwarder;
mod ivf;
mod join;
mod link;
mod media;
mod ogg;
mod owned;
mod packets;
mod person;
mod ports;
mod publish;
mod record;
mod sealed;
mod signal;
mod socket;
mod topology;
mod visit;

use clap::{Args, Subcommand};
use gloaming_ids::RoomId;
use gloaming_room::{BadInvite, Invite};
use url::Url;

use super::remote::Remote;
use crate::{
    Run,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Make rooms, come into them without a browser, end them
///
/// A room is where people meet by a link: see each other, share a screen, watch something together. Its link is the key to
/// it: the secret stands behind the #, where no server sees it. Sound and pictures are sealed on each device, and opened on
/// the others'.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming room create Tuesdays --lobby
  gloaming room ls
  gloaming room join 'https://films.example/r/…#…' --receive recorded --for 1h
  gloaming room join --link-file link.txt --publish concert.mp4 --loop
  gloaming room end Tuesdays")]
pub(crate) struct Room {
    #[command(flatten)]
    remote: Remote,

    #[command(subcommand)]
    verb: RoomVerb,
}

#[derive(Debug, Subcommand)]
enum RoomVerb {
    Create(owned::Create),
    Ls(owned::Ls),
    End(owned::End),
    Join(join::Join),
    Bench(bench::Bench),
}

impl Run for Room {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self.verb {
            RoomVerb::Create(verb) => verb.run(&self.remote, terminal),
            RoomVerb::Ls(verb) => verb.run(&self.remote, terminal),
            RoomVerb::End(verb) => verb.run(&self.remote, terminal),
            RoomVerb::Join(verb) => verb.run(&self.remote, terminal),
            RoomVerb::Bench(verb) => verb.run(&self.remote, terminal),
        }
    }
}

/// A room's whole link.
#[derive(Debug)]
struct RoomLink {
    room: RoomId,
    invite: Invite,
}

impl RoomLink {
    /// Reads `https://host/r/{room}#{fragment}`.
    fn parse(text: &str) -> Result<Self, Failure> {
        let incomplete = || {
            let message = "this is not a room's link; copy all of it, from https:// to its end, what stands behind the # too";
            Failure::new(Exit::Usage, "link_incomplete", message)
        };
        let url = Url::parse(text.trim()).map_err(|_| incomplete())?;
        let mut path = url.path_segments().ok_or_else(incomplete)?;
        let (Some("r"), Some(room), None) = (path.next(), path.next(), path.next()) else {
            return Err(incomplete());
        };
        let room = room.parse().map_err(|_| incomplete())?;
        let invite = Invite::from_fragment(url.fragment().unwrap_or_default()).map_err(|bad| match bad {
            BadInvite::TooNew => {
                let message = "this link is of a newer version of Gloaming; update this one";
                Failure::new(Exit::Usage, "link_too_new", message)
            }
            BadInvite::Malformed => incomplete(),
        })?;
        Ok(Self { room, invite })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn a_link_that_was_cut_short_is_told_from_one_that_was_not() {
        let invite = Invite::generate([2; 32], true, &mut |out: &mut [u8]| out.fill(7));
        let room = RoomId::from_bytes([3; 16]);
        let link = format!("https://films.example/r/{room}#{}", &*invite.to_fragment());
        let read = RoomLink::parse(&format!("  {link}\n")).unwrap();
        assert_eq!((read.room, read.invite.to_fragment()), (room, invite.to_fragment()));
        for end in 0..link.len() {
            assert_eq!(RoomLink::parse(&link[..end]).unwrap_err().code(), "link_incomplete", "{end}");
        }
        assert!(RoomLink::parse(&link.replace("/r/", "/v/")).is_err());
    }
}
