use std::time::Duration;

use gloaming_ids::{RoomId, SeatId};
use gloaming_room::{About, Codec, FrameFault, Input, Member, Output};
use js_sys::{JSON, Object, Reflect, Uint8Array, global};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;
use web_sys::WorkerGlobalScope;

use crate::{
    frames::{OpenJob, SealJob, dropped},
    wire::{self, Entrance, Name, Refused, RoomEvent, Words, codec},
};

pub(crate) type Answer<T = ()> = Result<T, JsValue>;

/// One member of one room: one in each worker. Times are milliseconds from any one start, as `performance.now()` gives them.
#[wasm_bindgen]
pub struct RoomMember {
    member: Member,
    room: RoomId,
}

#[wasm_bindgen]
impl RoomMember {
    /// Somebody who is about to come in: `{ room, fragment, name, device?, host? }`.
    #[wasm_bindgen(constructor)]
    pub fn new(entrance: JsValue) -> Answer<RoomMember> {
        let mut entrance: Entrance = from_js(&entrance)?;
        let config = entrance.config(&mut entropy).map_err(|refused| to_js(&refused))?;
        Ok(Self { room: config.room, member: Member::new(config, &mut entropy) })
    }

    /// The socket is open.
    pub fn opened(&mut self, now: f64) {
        self.handle(Input::Opened, now);
    }

    /// The socket is gone.
    pub fn closed(&mut self, now: f64) {
        self.handle(Input::Closed, now);
    }

    /// A frame came from the socket.
    pub fn received(&mut self, frame: &[u8], now: f64) {
        self.handle(Input::Received(frame), now);
    }

    /// It is time.
    pub fn tick(&mut self, now: f64) {
        self.handle(Input::Tick, now);
    }

    /// Says something, to one seat or to everybody.
    pub fn say(&mut self, to: Option<String>, words: JsValue, now: f64) -> Answer {
        let to = to.as_deref().map(seat).transpose()?;
        let words: Words = from_js(&words)?;
        self.handle(Input::Say { to, app: words.into() }, now);
        Ok(())
    }

    /// The host lets somebody in.
    pub fn admit(&mut self, who: &str, now: f64) -> Answer {
        self.handle(Input::Admit(seat(who)?), now);
        Ok(())
    }

    /// Somebody at the door is not let in.
    pub fn deny(&mut self, who: &str, now: f64) -> Answer {
        self.handle(Input::Deny(seat(who)?), now);
        Ok(())
    }

    /// The host removes somebody, and with them every link so far.
    pub fn expel(&mut self, who: &str, now: f64) -> Answer {
        self.handle(Input::Expel(seat(who)?), now);
        Ok(())
    }

    /// The host ends the meeting.
    pub fn end(&mut self, now: f64) {
        self.handle(Input::End, now);
    }

    /// Goes.
    pub fn leave(&mut self, now: f64) {
        self.handle(Input::Leave, now);
    }

    /// What to do or to show next: `{ send: Uint8Array }` or `{ event }`, until there is nothing.
    pub fn next(&mut self) -> Option<Object> {
        loop {
            let (name, value) = match self.member.poll()? {
                Output::Send(frame) => ("send", Uint8Array::from(&frame[..]).into()),
                Output::Event(event) => match RoomEvent::of(event, self.member.seat()) {
                    Some(event) => ("event", to_js(&event)),
                    None => continue,
                },
            };
            let next = Object::new();
            Reflect::set(&next, &name.into(), &value).expect("a new object takes a field");
            return Some(next);
        }
    }

    /// When to call [`RoomMember::tick`], if nothing happens before.
    pub fn deadline(&self) -> Option<f64> {
        self.member.deadline().map(|at| at.as_secs_f64() * 1000.0)
    }

    /// Who is in the room, this member included.
    pub fn seats(&self) -> Vec<String> {
        self.member.seats().iter().map(ToString::to_string).collect()
    }

    /// Who somebody says they are, once they did: `{ name, code }`.
    #[wasm_bindgen(js_name = nameOf)]
    pub fn name_of(&self, who: &str) -> Answer<JsValue> {
        let peer = self.member.peer(seat(who)?);
        Ok(peer.and_then(|peer| peer.card).map_or(JsValue::NULL, |card| to_js(&Name::from(card))))
    }

    /// The leaf that somebody's frames come from.
    #[wasm_bindgen(js_name = leafOf)]
    pub fn leaf_of(&self, who: &str) -> Answer<Option<u32>> {
        Ok(self.member.peer(seat(who)?).map(|peer| peer.leaf))
    }

    /// The code of this member's device, to read out.
    pub fn code(&self) -> String {
        self.member.code().to_string()
    }

    /// What stands behind the `#` of a link that is good now.
    pub fn fragment(&self) -> String {
        self.member.invite().to_fragment().to_string()
    }

    /// What the server is to keep of the link that is good now, for `PUT /v1/rooms/{id}/door`.
    pub fn door(&self, about: JsValue) -> Answer<JsValue> {
        let about: About = from_js(&about)?;
        Ok(to_js(&wire::door(self.room, self.member.invite(), &about, &mut entropy)))
    }

    /// Seals a frame of a track, here.
    pub fn seal(&mut self, track: u16, mime: &str, frame: &[u8]) -> Answer<Vec<u8>> {
        let codec = sealable(mime)?;
        let sealer = self.member.sealer().ok_or(FrameFault::NoKey).map_err(dropped)?;
        sealer.seal(track, codec, frame).map_err(dropped)
    }

    /// Decides how WebCrypto is to seal a frame.
    #[wasm_bindgen(js_name = sealJob)]
    pub fn seal_job(&mut self, track: u16, mime: &str, frame: &[u8]) -> Answer<SealJob> {
        let codec = sealable(mime)?;
        let sealer = self.member.sealer().ok_or(FrameFault::NoKey).map_err(dropped)?;
        sealer.prepare(track, codec, frame).map(SealJob).map_err(dropped)
    }

    /// The key of a job, to be imported as not extractable, and then overwritten.
    #[wasm_bindgen(js_name = sealKey)]
    pub fn seal_key(&mut self, job: &SealJob) -> Option<Vec<u8>> {
        Some(self.member.sealer()?.key(job.0.kid)?.expose().to_vec())
    }

    /// Opens a frame that came from a leaf, here.
    pub fn open(&mut self, leaf: u32, mime: &str, frame: &[u8]) -> Answer<Vec<u8>> {
        let codec = sealable(mime)?;
        let opener = self.member.opener().ok_or(FrameFault::NoKey).map_err(dropped)?;
        opener.open(leaf, codec, frame).map_err(dropped)
    }

    /// Decides how WebCrypto is to open a frame.
    #[wasm_bindgen(js_name = openJob)]
    pub fn open_job(&mut self, leaf: u32, mime: &str, frame: &[u8]) -> Answer<OpenJob> {
        let codec = sealable(mime)?;
        let opener = self.member.opener().ok_or(FrameFault::NoKey).map_err(dropped)?;
        opener.prepare(leaf, codec, frame).map(OpenJob).map_err(dropped)
    }

    /// The key of a job, to be imported as not extractable, and then overwritten.
    #[wasm_bindgen(js_name = openKey)]
    pub fn open_key(&mut self, job: &OpenJob) -> Option<Vec<u8>> {
        Some(self.member.opener()?.key(&job.0)?.expose().to_vec())
    }

    /// WebCrypto opened the frame of this job; an error if another frame used its counter before.
    #[wasm_bindgen(js_name = frameOpened)]
    pub fn frame_opened(&mut self, job: &OpenJob) -> Answer {
        let opener = self.member.opener().ok_or(FrameFault::NoKey).map_err(dropped)?;
        opener.opened(&job.0).map_err(dropped)
    }
}

impl RoomMember {
    fn handle(&mut self, input: Input<'_>, now: f64) {
        self.member.handle(input, Duration::from_secs_f64((now / 1000.0).max(0.0)), &mut entropy);
    }
}

fn seat(text: &str) -> Answer<SeatId> {
    text.parse().map_err(|_| to_js(&Refused::new("fault", "that is not a seat")))
}

fn sealable(mime: &str) -> Answer<Codec> {
    codec(mime).ok_or_else(|| JsValue::from_str("other-codec"))
}

/// The browser's randomness. Without it there is no member.
pub(crate) fn entropy(out: &mut [u8]) {
    let scope: WorkerGlobalScope = global().unchecked_into();
    let filled = scope.crypto().and_then(|crypto| crypto.get_random_values_with_u8_array(out));
    filled.expect("a browser has randomness");
}

pub(crate) fn to_js<T: Serialize>(value: &T) -> JsValue {
    let text = serde_json::to_string(value).expect("the wire's types serialise");
    JSON::parse(&text).expect("JSON reads JSON")
}

pub(crate) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Answer<T> {
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string()).unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| to_js(&Refused::new("fault", error)))
}
