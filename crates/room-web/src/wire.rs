//! The types of `web/src/room/member.ts`, as they cross over. Names and spellings are that file's.

use std::fmt::Display;

use gloaming_api::room::RoomDoor;
use gloaming_ids::{Entropy, RoomId, SeatId};
use gloaming_room::{
    About, App, Card, Codec, ControlKind, DeviceKey, Doubt, Event, HostKey, Invite, LeftHow,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

/// Who wants to be in which room.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Entrance {
    room: RoomId,
    /// What stands behind the link's `#`.
    fragment: String,
    name: String,
    /// 32 bytes; a guest draws them anew for each visit.
    device: Option<Vec<u8>>,
    /// 32 bytes, on the host's own devices.
    host: Option<Vec<u8>>,
}

impl Drop for Entrance {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.fragment.zeroize();
        self.device.zeroize();
        self.host.zeroize();
    }
}

impl Entrance {
    pub(crate) fn config(&mut self, entropy: &mut dyn Entropy) -> Result<gloaming_room::Config, Refused> {
        let invite = invite(&self.fragment)?;
        let device = match &self.device {
            Some(bytes) => DeviceKey::from_seed(&*seed(bytes)?),
            None => DeviceKey::generate(entropy),
        };
        let host = match &self.host {
            Some(bytes) => Some(HostKey::from_seed(&*seed(bytes)?)),
            None => None,
        };
        Ok(gloaming_room::Config { room: self.room, invite, device, host, name: self.name.clone() })
    }
}

pub(crate) fn invite(fragment: &str) -> Result<Invite, Refused> {
    Invite::from_fragment(fragment).map_err(|fault| Refused::new("bad_link", fault))
}

pub(crate) fn seed(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, Refused> {
    let seed = bytes.try_into().map(Zeroizing::new);
    seed.map_err(|_| Refused::new("fault", "a seed is 32 bytes"))
}

/// What the server is to keep of a link.
pub(crate) fn door(room: RoomId, invite: &Invite, about: &About, entropy: &mut dyn Entropy) -> RoomDoor {
    RoomDoor {
        number: invite.number,
        hash: invite.door(room).0.to_vec().into(),
        sealed: invite.seal_about(room, about, entropy).into(),
    }
}

/// A room that nobody knows of yet.
#[derive(Serialize)]
pub(crate) struct NewRoom {
    pub(crate) room: RoomId,
    pub(crate) fragment: String,
}

/// What a link says of itself.
#[derive(Serialize)]
pub(crate) struct Link {
    /// How many removals by the host came before it.
    pub(crate) number: u32,
    /// Whether the host admits everybody one by one.
    pub(crate) lobby: bool,
}

/// An error, as the page has them everywhere.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Refused {
    code: &'static str,
    message: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// What the page lets a member say.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Words {
    Signal { body: String },
    Chat { text: String },
    React { emoji: String },
    Hand { up: bool },
    Mute { track: u16 },
    Control { about: u16, body: String },
}

impl From<Words> for App {
    fn from(words: Words) -> Self {
        match words {
            Words::Signal { body } => App::Signal(ByteBuf::from(body.into_bytes())),
            Words::Chat { text } => App::Chat { text },
            Words::React { emoji } => App::React { emoji },
            Words::Hand { up } => App::Hand { up },
            Words::Mute { track } => App::Mute { track },
            Words::Control { about, body } => {
                App::Control { kind: ControlKind(about), body: ByteBuf::from(body.into_bytes()) }
            }
        }
    }
}

/// What others said, as the page hears it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Heard {
    Signal { body: String },
    Chat { text: String },
    React { emoji: String },
    Hand { up: bool },
    Mute { track: u16 },
    Control { about: u16, body: String },
}

impl Heard {
    /// Nothing for what the member has dealt with itself, and for what does not read.
    fn of(app: App) -> Option<Self> {
        let text = |body: ByteBuf| String::from_utf8(body.into_vec()).ok();
        Some(match app {
            App::Signal(body) => Heard::Signal { body: text(body)? },
            App::Chat { text } => Heard::Chat { text },
            App::React { emoji } => Heard::React { emoji },
            App::Hand { up } => Heard::Hand { up },
            App::Mute { track } => Heard::Mute { track },
            App::Control { kind, body } => Heard::Control { about: kind.0, body: text(body)? },
            App::Introduce(_) | App::Admit { .. } | App::End { .. } => return None,
        })
    }
}

/// Who somebody says they are; their device vouches for it.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Name {
    pub(crate) name: String,
    /// To be compared, by voice.
    pub(crate) code: String,
}

impl From<&Card> for Name {
    fn from(card: &Card) -> Self {
        Self { name: card.name.clone(), code: card.code().to_string() }
    }
}

/// What happened in the room.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum RoomEvent {
    First,
    Knocking,
    HostAwaited,
    Seated { seat: SeatId },
    Epoch { epoch: u64, seats: usize },
    Sealing { epoch: u64 },
    Joined { seat: SeatId },
    Left { seat: SeatId, how: &'static str },
    Introduced { seat: SeatId },
    Said { seat: SeatId, said: Heard },
    AtTheDoor { seat: SeatId, card: Option<Name> },
    Away { seat: SeatId },
    Back { seat: SeatId },
    LinkChanged,
    Denied,
    LinkRefused,
    Full,
    Removed,
    Ended,
    Rejoining,
    Doubt { code: &'static str, message: String },
}

impl RoomEvent {
    pub(crate) fn of(event: Event, own: SeatId) -> Option<Self> {
        Some(match event {
            Event::First => Self::First,
            Event::Knocking => Self::Knocking,
            Event::HostAwaited => Self::HostAwaited,
            Event::Seated => Self::Seated { seat: own },
            Event::Epoch { epoch, seats } => Self::Epoch { epoch, seats },
            Event::Sealing { epoch } => Self::Sealing { epoch },
            Event::Joined(seat) => Self::Joined { seat },
            Event::Left(seat, how) => Self::Left { seat, how: how_left(how) },
            Event::Introduced(seat) => Self::Introduced { seat },
            Event::Said { seat, app } => Self::Said { seat, said: Heard::of(app)? },
            Event::AtTheDoor { seat, card } => Self::AtTheDoor { seat, card: card.as_ref().map(Name::from) },
            Event::Away(seat) => Self::Away { seat },
            Event::Back(seat) => Self::Back { seat },
            Event::LinkChanged => Self::LinkChanged,
            Event::Denied => Self::Denied,
            Event::LinkRefused => Self::LinkRefused,
            Event::Full => Self::Full,
            Event::Removed => Self::Removed,
            Event::Ended => Self::Ended,
            Event::Rejoining => Self::Rejoining,
            Event::Doubt(doubt) => Self::doubt(doubt),
        })
    }

    fn doubt(doubt: Doubt) -> Self {
        Self::Doubt { code: doubt.code(), message: doubt.to_string() }
    }
}

fn how_left(how: LeftHow) -> &'static str {
    match how {
        LeftHow::Left => "left",
        LeftHow::Lost => "lost",
        LeftHow::Expelled => "expelled",
        LeftHow::Unexplained => "unexplained",
    }
}

/// A codec by the name that `RTCRtpScriptTransform` gives it, as in `video/VP8`.
pub(crate) fn codec(mime: &str) -> Option<Codec> {
    match mime.rsplit_once('/')?.1.to_ascii_lowercase().as_str() {
        "vp8" => Some(Codec::Vp8),
        "vp9" => Some(Codec::Vp9),
        "opus" => Some(Codec::Opus),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn entrance(fragment: &str, device: Option<Vec<u8>>) -> Entrance {
        let room = RoomId::from_bytes([1; 16]);
        Entrance { room, fragment: fragment.into(), name: "Ada".into(), device, host: None }
    }

    #[test]
    fn a_cut_link_and_a_short_seed_are_refused_in_words() {
        let mut dice = |out: &mut [u8]| out.fill(3);
        let good = Invite::generate([5; 32], false, &mut dice).to_fragment();
        assert!(entrance(&good, None).config(&mut dice).is_ok());
        assert_eq!(entrance(&good[..20], None).config(&mut dice).unwrap_err().code, "bad_link");
        assert_eq!(entrance(&good, Some(vec![1; 31])).config(&mut dice).unwrap_err().code, "fault");
    }

    #[test]
    fn a_door_is_the_links_and_reads_as_the_servers_request() {
        let mut dice = |out: &mut [u8]| out.fill(3);
        let (room, link) = (RoomId::from_bytes([1; 16]), Invite::generate([5; 32], false, &mut dice));
        let about: About = serde_json::from_str(r#"{"name":"Tuesdays"}"#).unwrap();
        let sent = serde_json::to_string(&door(room, &link, &about, &mut dice)).unwrap();
        let door: RoomDoor = serde_json::from_str(&sent).unwrap();
        assert_eq!((door.number, door.hash.0.as_slice()), (0, &link.door(room).0[..]));
        assert_eq!(link.open_about(room, &door.sealed.0), Some(about));
    }

    #[test]
    fn what_the_page_sends_and_hears_has_the_names_of_its_types() {
        let words: Words = serde_json::from_str(r#"{"kind":"control","about":1,"body":"{}"}"#).unwrap();
        let Some(heard) = Heard::of(words.into()) else { panic!("it is heard") };
        assert_eq!(serde_json::to_string(&heard).unwrap(), r#"{"kind":"control","about":1,"body":"{}"}"#);
        assert!(
            serde_json::from_str::<Words>(r#"{"kind":"introduce"}"#).is_err(),
            "the member says that itself"
        );
        let event = RoomEvent::of(
            Event::AtTheDoor { seat: SeatId::from_bytes([2; 16]), card: None },
            SeatId::from_bytes([1; 16]),
        );
        let text = serde_json::to_value(event.unwrap()).unwrap();
        assert_eq!((text["kind"].as_str(), text["card"].is_null()), (Some("at-the-door"), true));
    }

    #[test]
    fn only_codecs_whose_frames_can_be_sealed_are_known() {
        assert_eq!(codec("video/VP8"), Some(Codec::Vp8));
        assert_eq!(codec("audio/opus"), Some(Codec::Opus));
        for other in ["video/H264", "video/AV1", "audio/red", "", "opus"] {
            assert_eq!(codec(other), None, "{other}");
        }
    }
}
