use gloaming_ids::RoomId;
use gloaming_room::{About, HostKey, Invite};
use wasm_bindgen::prelude::*;

use crate::{
    member::{Answer, entropy, from_js, to_js},
    wire::{self, Link, NewRoom, Refused},
};

/// A room and its first link, for somebody who is to be its host: `{ room, fragment }`. Nothing is stored anywhere yet.
#[wasm_bindgen(js_name = newRoom)]
pub fn new_room(host: &[u8], lobby: bool) -> Answer<JsValue> {
    let host = HostKey::from_seed(&*wire::seed(host).map_err(|refused| to_js(&refused))?);
    let room = RoomId::generate(&mut entropy);
    let invite = Invite::generate(host.public(), lobby, &mut entropy);
    Ok(to_js(&NewRoom { room, fragment: invite.to_fragment().to_string() }))
}

/// What the server is to keep of a link: the `door` of `POST /v1/rooms`, or all of `PUT /v1/rooms/{id}/door`.
#[wasm_bindgen(js_name = doorOf)]
pub fn door_of(room: &str, fragment: &str, about: JsValue) -> Answer<JsValue> {
    let about: About = from_js(&about)?;
    Ok(to_js(&wire::door(self::room(room)?, &invite(fragment)?, &about, &mut entropy)))
}

/// What the link says of its room: [`About`], or null where what is sealed is another link's.
#[wasm_bindgen(js_name = aboutOf)]
pub fn about_of(room: &str, fragment: &str, sealed: JsValue) -> Answer<JsValue> {
    let sealed: gloaming_api::Bytes = from_js(&sealed)?;
    let about = invite(fragment)?.open_about(self::room(room)?, &sealed.0);
    Ok(about.map_or(JsValue::NULL, |about| to_js(&about)))
}

/// What a link says of itself: `{ number, lobby }`.
#[wasm_bindgen(js_name = linkOf)]
pub fn link_of(fragment: &str) -> Answer<JsValue> {
    let Invite { number, lobby, .. } = invite(fragment)?;
    Ok(to_js(&Link { number, lobby }))
}

fn invite(fragment: &str) -> Answer<Invite> {
    wire::invite(fragment).map_err(|refused| to_js(&refused))
}

fn room(text: &str) -> Answer<RoomId> {
    text.parse().map_err(|_| to_js(&Refused::new("fault", "that is not a room")))
}
