//! Open videos: what a player asks for, pictures, and downloads.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use futures::{
    future::{Either, select},
    lock::Mutex,
};
use gloaming_client::{ClientError, Download, OpenVideo, open_video, platform::Bulk};
use gloaming_ids::VideoId;
use gloaming_package::{Kind, Poster};
use js_sys::{Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Blob, BlobPropertyBag};

use super::WebVault;
use crate::{
    bulk::JsBytes,
    convert::{Answer, fault, id, refuse, to_js},
    platform::Browser,
    report,
    wire::{AudioTrack, Playable, TextTrack},
};

/// The scheme of the player's plugin.
const SCHEME: &str = "e2e://";
/// What a poster may be. Anything else is not passed to the page as an image.
const IMAGES: [&str; 2] = ["image/webp", "image/jpeg"];
/// This close to its end, a video begins anew.
const NEAR_END_SECONDS: f64 = 10.0;

/// Everything that is open.
#[derive(Default)]
pub(super) struct Theatre {
    videos: RefCell<HashMap<VideoId, OpenVideo<Browser>>>,
    downloads: RefCell<HashMap<u32, Rc<Mutex<Option<Download<Browser>>>>>>,
    last_download: Cell<u32>,
}

impl Theatre {
    pub(super) fn close_all(&self) {
        self.videos.take();
        self.downloads.take();
    }
}

#[wasm_bindgen]
impl WebVault {
    /// Opens a video: its index is fetched and checked.
    pub async fn open(&self, video: String) -> Answer {
        let video: VideoId = id(&video)?;
        let library = self.library()?;
        let open = self.ask(async |session| open_video(&session, video).await).await?;
        let row = library.video(video).ok_or_else(|| fault("an open video is in the library"))?;
        let duration = open.index().duration();
        let resume_at = row
            .position
            .filter(|at| !row.finished && at + NEAR_END_SECONDS < duration.as_secs_f64())
            .unwrap_or_default();
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
        let playable = Playable {
            video: video.to_string(),
            title: row.title,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            resume_at,
            manifest: format!("{SCHEME}{video}/manifest.mpd"),
            audio,
            text,
            chapters: Vec::new(),
            details,
        };
        self.0.theatre.videos.borrow_mut().insert(video, open);
        Ok(to_js(&playable))
    }

    /// One virtual file of an open video: `{ bytes, contentType, fetchMs }`.
    pub async fn part(&self, uri: String, signal: AbortSignal) -> Answer {
        let began = js_sys::Date::now();
        let (video, path) = uri
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| fault("that is not an address of a video"))?;
        let open = self.opened_video(id(video)?).await?;
        self.touch().await;
        let base = format!("{SCHEME}{video}/");
        let part = std::pin::pin!(open.part(path, &base));
        let given_up = std::pin::pin!(aborted(&signal));
        let (JsBytes(bytes), media_type) = match select(part, given_up).await {
            Either::Left((part, _)) => part.map_err(|error| self.complain(error))?,
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

    /// Nobody watches it any more.
    pub async fn close(&self, video: String) -> Answer<()> {
        self.0.theatre.videos.borrow_mut().remove(&id(&video)?);
        Ok(())
    }

    /// A video's picture, if it has one.
    pub async fn poster(&self, video: String) -> Answer {
        let video = id(&video)?;
        let library = self.library()?;
        let poster = library.poster(video).await.map_err(|error| self.complain(error))?;
        let Some(poster) = poster else { return Ok(JsValue::NULL) };
        let media_type = IMAGES.into_iter().find(|known| *known == poster.media_type);
        let Some(media_type) = media_type else { return Ok(JsValue::NULL) };
        let options = BlobPropertyBag::new();
        options.set_type(media_type);
        let parts = Array::of1(&Uint8Array::from(poster.bytes.as_slice()));
        Ok(Blob::new_with_u8_array_sequence_and_options(&parts, &options)?.into())
    }

    /// Gives a video a picture.
    #[wasm_bindgen(js_name = setPoster)]
    pub async fn set_poster(&self, video: String, image: Blob) -> Answer<()> {
        self.hang(id(&video)?, &image).await
    }

    /// Begins a download: `{ download, name, size }`.
    #[wasm_bindgen(js_name = startDownload)]
    pub async fn start_download(&self, video: String) -> Answer {
        let video: VideoId = id(&video)?;
        let row = self.library()?.video(video);
        let open = self.ask(async |session| open_video(&session, video).await).await?;
        let download = Download::new(&open).await.map_err(|error| self.complain(error))?;
        let number = self.0.theatre.last_download.get() + 1;
        self.0.theatre.last_download.set(number);
        self.0.theatre.downloads.borrow_mut().insert(number, Rc::new(Mutex::new(Some(download))));
        let name = format!("{}.mp4", row.map_or_else(|| video.to_string(), |row| row.title));
        // How long its last box will be shows at the end only.
        Ok(to_js(&serde_json::json!({ "download": number, "name": name, "size": null })))
    }

    /// The next bytes of the file, or nothing at its end.
    #[wasm_bindgen(js_name = downloadChunk)]
    pub async fn download_chunk(&self, download: u32) -> Answer<Option<Uint8Array>> {
        let found = self.0.theatre.downloads.borrow().get(&download).cloned();
        let found = found.ok_or_else(|| self.complain(ClientError::Cancelled))?;
        self.touch().await;
        let mut under_way = found.lock().await;
        let Some(file) = under_way.as_mut() else { return Ok(None) };
        if let Some(piece) = file.next().await.map_err(|error| self.complain(error))? {
            return Ok(Some(JsBytes::concat(piece.bytes).0));
        }
        let file = under_way.take().expect("it was there a moment ago");
        let end = file.finish().map_err(|error| self.complain(error))?;
        Ok(Some(JsBytes::from_vec(end).0))
    }

    /// It is over, one way or the other.
    #[wasm_bindgen(js_name = endDownload)]
    pub fn end_download(&self, download: u32) {
        self.0.theatre.downloads.borrow_mut().remove(&download);
    }
}

impl WebVault {
    /// A video that is open, or was until this worker began anew.
    async fn opened_video(&self, video: VideoId) -> Answer<OpenVideo<Browser>> {
        self.library()?;
        let known = self.0.theatre.videos.borrow().get(&video).cloned();
        if let Some(open) = known {
            return Ok(open);
        }
        let open = self.ask(async |session| open_video(&session, video).await).await?;
        self.0.theatre.videos.borrow_mut().insert(video, open.clone());
        Ok(open)
    }

    pub(super) async fn hang(&self, video: VideoId, image: &Blob) -> Answer<()> {
        let media_type = image.type_();
        if !IMAGES.contains(&media_type.as_str()) {
            return Err(fault("a poster is WebP or JPEG"));
        }
        let bytes = Uint8Array::new(&JsFuture::from(image.array_buffer()).await?).to_vec();
        let size = Array::from(&self.platform().host().size(image).await?);
        let pixels = |at| size.get(at).as_f64().unwrap_or_default() as u32;
        let poster = Poster { media_type, bytes };
        self.change(async |library| library.set_poster(video, &poster, (pixels(0), pixels(1)), "").await)
            .await
    }
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
