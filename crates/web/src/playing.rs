//! What a player gets of an open video, whoever's it is.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use futures::{
    future::{Either, select},
    lock::Mutex,
};
use gloaming_client::{ClientError, Download, OpenVideo, platform::Bulk};
use gloaming_package::Kind;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortSignal;

use crate::{
    bulk::JsBytes,
    convert::{Answer, fault, refuse},
    platform::Browser,
    report,
    wire::{AudioTrack, Playable, TextTrack},
};

/// The scheme of the player's plugin.
const SCHEME: &str = "e2e://";

/// An open video, as the page's player wants it described.
pub(crate) fn playable(open: &OpenVideo<Browser>, title: String, resume_at: f64) -> Playable {
    let (mut audio, mut text, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for (track, about) in open.index().tracks().enumerate() {
        let language = report::language(&about.language);
        let label = |kind: &str, number: usize| {
            about.name.clone().or_else(|| language.clone()).unwrap_or_else(|| format!("{kind} {number}"))
        };
        match about.kind {
            Kind::Audio => audio.push(AudioTrack {
                track,
                label: label("Audio", audio.len() + 1),
                codec: about.codec.clone(),
                language: language.clone(),
            }),
            Kind::Subtitle => {
                text.push(TextTrack {
                    track,
                    label: label("Text", text.len() + 1),
                    language: language.clone(),
                });
            }
            _ => {}
        }
        if about.kind != Kind::Attachment {
            details.push(report::stored(about));
        }
    }
    let video = open.video();
    Playable {
        video: video.to_string(),
        title,
        duration_ms: u64::try_from(open.index().duration().as_millis()).unwrap_or(u64::MAX),
        resume_at,
        manifest: format!("{SCHEME}{video}/manifest.mpd"),
        audio,
        text,
        chapters: Vec::new(),
        details,
    }
}

/// Opens a video's beginning while the page gets its player ready, unless it goes on somewhere else (seconds).
pub(crate) fn open_beginning(open: &OpenVideo<Browser>, resume_at: f64) {
    if resume_at > 0.0 {
        return;
    }
    let open = open.clone();
    spawn_local(async move { open.open_beginning().await });
}

/// Which video, and which part of it, an address of the player's means.
pub(crate) fn address(uri: &str) -> Answer<(&str, &str)> {
    let parts = uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
    parts.ok_or_else(|| fault("that is not an address of a video"))
}

/// One virtual file of an open video: `{ bytes, contentType, fetchMs }`. What goes wrong is said by `complain`.
pub(crate) async fn part(
    open: &OpenVideo<Browser>,
    path: &str,
    signal: &AbortSignal,
    complain: impl FnOnce(ClientError) -> JsValue,
) -> Answer {
    let began = js_sys::Date::now();
    let base = format!("{SCHEME}{}/", open.video());
    let part = std::pin::pin!(open.part(path, &base));
    let given_up = std::pin::pin!(aborted(signal));
    let (JsBytes(bytes), media_type) = match select(part, given_up).await {
        Either::Left((part, _)) => part.map_err(complain)?,
        Either::Right(_) => return Err(refuse("aborted", "This was given up.")),
    };
    // The page gets a buffer of its own: segments stay here for a while, for the player's next question.
    let answer = js_sys::Object::new();
    let fields: [(&str, JsValue); 3] = [
        ("bytes", bytes.slice(0, bytes.length()).buffer().into()),
        ("contentType", media_type.into()),
        ("fetchMs", (js_sys::Date::now() - began).into()),
    ];
    for (name, value) in fields {
        Reflect::set(&answer, &name.into(), &value)?;
    }
    Ok(answer.into())
}

/// Waits until somebody gives up.
async fn aborted(signal: &AbortSignal) {
    if signal.aborted() {
        return;
    }
    let waiting = Promise::new(&mut |given_up, _| {
        signal.set_onabort(Some(&given_up));
    });
    // This promise never fails.
    let _ = JsFuture::from(waiting).await;
}

/// Downloads under way, by number.
#[derive(Default)]
pub(crate) struct Downloads {
    under_way: RefCell<HashMap<u32, Rc<Mutex<Option<Download<Browser>>>>>>,
    last: Cell<u32>,
}

impl Downloads {
    pub(crate) fn begin(&self, download: Download<Browser>) -> u32 {
        let number = self.last.get() + 1;
        self.last.set(number);
        self.under_way.borrow_mut().insert(number, Rc::new(Mutex::new(Some(download))));
        number
    }

    /// The next bytes of the file, or nothing at its end.
    pub(crate) async fn chunk(&self, download: u32) -> Result<Option<Uint8Array>, ClientError> {
        let found = self.under_way.borrow().get(&download).cloned().ok_or(ClientError::Cancelled)?;
        let mut under_way = found.lock().await;
        let Some(file) = under_way.as_mut() else { return Ok(None) };
        if let Some(piece) = file.next().await? {
            return Ok(Some(JsBytes::concat(piece.bytes).0));
        }
        let file = under_way.take().expect("it was there a moment ago");
        Ok(Some(JsBytes::from_vec(file.finish()?).0))
    }

    pub(crate) fn end(&self, download: u32) {
        self.under_way.borrow_mut().remove(&download);
    }

    pub(crate) fn end_all(&self) {
        self.under_way.take();
    }
}
