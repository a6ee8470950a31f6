//! The account's own rooms.

use std::io::{IsTerminal, Write};

use clap::Args;
use gloaming_api::room::{RoomDoor, RoomPolicy, USUAL_SEATS};
use gloaming_client::{
    Library,
    room::{Room, RoomPlan},
};
use gloaming_ids::RoomId;
use gloaming_keys::RoomHostSeed;
use gloaming_room::{About, HostKey, Invite};
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    native::os_entropy,
    online::{block_on, date, machine::Machine, period::When, remote::Remote},
    terminal::Terminal,
};

/// Make a room; its link is printed
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gloaming room create Tuesdays
  gloaming room create \"Board meeting\" --lobby --until 2d --only-host-shares
  gloaming room create --link-only | qrencode -t utf8")]
pub(super) struct Create {
    /// What it is called: for you, and for whoever has the link. The server is not told
    #[arg(default_value = "")]
    name: String,

    /// The host admits everybody one by one, from the room's page
    #[arg(long)]
    lobby: bool,

    /// When it is over: 30m, 12h, 7d or 2w from now, or a date like 2026-12-24T18:00 (UTC)
    #[arg(long, value_name = "TIME")]
    until: Option<When>,

    /// How many may be in it at a time
    #[arg(long, value_name = "N", default_value_t = USUAL_SEATS, value_parser = clap::value_parser!(u32).range(1..=128))]
    max_seats: u32,

    /// Members are not to learn each other's network addresses
    #[arg(long)]
    hide_addresses: bool,

    /// Only the host shares a screen
    #[arg(long)]
    only_host_shares: bool,

    /// Print the link and nothing else
    #[arg(long)]
    link_only: bool,
}

impl Create {
    pub(super) fn run(self, remote: &Remote, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = remote.open().await?.library();
            let about = About {
                name: self.name.trim().to_owned(),
                only_host_shares: self.only_host_shares,
                hide_addresses: self.hide_addresses,
            };
            let policy = RoomPolicy {
                max_seats: self.max_seats,
                expires_at: self.until.map(When::resolve),
                hide_addresses: self.hide_addresses,
            };
            let made = make(&library, &about, self.lobby, policy).await?;
            let link = address(&made, &library).unwrap_or_default();
            if self.link_only {
                terminal.print(&link, |link| format!("{link}\n"));
                return Ok(());
            }
            terminal.print(&room_json(&made, &library), |_| format!("{link}\n"));
            terminal.note("Whoever has this link can come in; `gloaming room ls` shows it again.");
            Ok(())
        })
    }
}

/// Makes a room whose host is this account.
pub(super) async fn make(
    library: &Library<Machine>,
    about: &About,
    lobby: bool,
    policy: RoomPolicy,
) -> Result<Room, Failure> {
    let entropy = &mut os_entropy();
    let host = RoomHostSeed::generate(entropy);
    let invite = Invite::generate(HostKey::from_seed(host.expose()).public(), lobby, entropy);
    let room = RoomId::generate(entropy);
    let door = RoomDoor {
        number: invite.number,
        hash: invite.door(room).0.to_vec().into(),
        sealed: invite.seal_about(room, about, entropy).into(),
    };
    let fragment = invite.to_fragment();
    let plan = RoomPlan { room, fragment: &fragment, host, name: &about.name, lobby, door, policy };
    Ok(library.make_room(plan).await?)
}

/// List the rooms that are not over
#[derive(Debug, Args)]
pub(super) struct Ls {}

impl Ls {
    pub(super) fn run(self, remote: &Remote, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = remote.open().await?.library();
            let rooms = library.rooms().await?;
            let data: Vec<_> = rooms.iter().map(|room| room_json(room, &library)).collect();
            terminal.print(&data, |_| rooms.iter().map(|room| line(room, &library)).collect());
            if rooms.is_empty() {
                terminal.note("There is no room; `gloaming room create` makes one.");
            }
            Ok(())
        })
    }
}

/// End a room for good: everybody is sent away, and its link leads nowhere
#[derive(Debug, Args)]
#[command(after_help = "Example:
  gloaming room end Tuesdays --yes")]
pub(super) struct End {
    /// Id, the beginning of one, or exact name
    room: String,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl End {
    pub(super) fn run(self, remote: &Remote, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = remote.open().await?.library();
            let room = find(library.rooms().await?, &self.room)?;
            if !self.yes {
                confirmed(&room)?;
            }
            library.end_room(room.info.room).await?;
            terminal.print(&json!({ "room": room.info.room, "name": room.name() }), |_| String::new());
            Ok(())
        })
    }
}

fn confirmed(room: &Room) -> Result<(), Failure> {
    let refused = |message: &str| Failure::new(Exit::Usage, "not_confirmed", message);
    if !std::io::stdin().is_terminal() {
        return Err(refused("a room ends for everybody, and nobody is there to be asked; add --yes"));
    }
    let (name, live) = (called(room), room.info.view.live);
    let _ = write!(
        std::io::stderr(),
        "{name} ends for everybody ({live} are in it now). Type \"end\" to go on: "
    );
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| refused(&error.to_string()))?;
    if line.trim() == "end" { Ok(()) } else { Err(refused("the room goes on")) }
}

/// The only room that is meant.
fn find(rooms: Vec<Room>, name: &str) -> Result<Room, Failure> {
    let is_id = name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let mut meant: Vec<_> = rooms
        .into_iter()
        .filter(|room| room.name() == name || (is_id && room.info.room.to_string().starts_with(name)))
        .collect();
    match meant.len() {
        1 => Ok(meant.remove(0)),
        0 => {
            let message = format!("there is no room {name:?}; `gloaming room ls` lists them");
            Err(Failure::new(Exit::NotFound, "not_found", message))
        }
        many => {
            let message = format!("{name:?} could be {many} rooms; name one by its id");
            Err(Failure::new(Exit::NotFound, "ambiguous", message))
        }
    }
}

fn address(room: &Room, library: &Library<Machine>) -> Option<String> {
    room.link().map(|path| library.platform().page(&path))
}

fn called(room: &Room) -> &str {
    if room.name().is_empty() { "A room without a name" } else { room.name() }
}

fn room_json(room: &Room, library: &Library<Machine>) -> Value {
    let policy = room.info.view.policy;
    json!({
        "room": room.info.room,
        "name": room.name(),
        "link": address(room, library),
        "lobby": room.lobby(),
        "created_at": room.info.created_at,
        "expires_at": policy.expires_at,
        "max_seats": policy.max_seats,
        "hide_addresses": policy.hide_addresses,
        "live": room.info.view.live,
    })
}

fn line(room: &Room, library: &Library<Machine>) -> String {
    let policy = room.info.view.policy;
    let short = &room.info.room.to_string()[..8];
    let until = policy.expires_at.map_or("no end".into(), |until| format!("until {}", date(until)));
    let lobby = if room.lobby() { "  lobby" } else { "" };
    let link = address(room, library).map_or(String::new(), |link| format!("          {link}\n"));
    format!(
        "{short}  {:>3} of {:<3}  {until}{lobby}  {}\n{link}",
        room.info.view.live,
        policy.max_seats,
        room.name()
    )
}
