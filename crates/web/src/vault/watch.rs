//! Open videos: what a player asks for, pictures, and downloads.

use std::{cell::RefCell, collections::HashMap};

use gloaming_client::{Download, OpenVideo, open_video};
use gloaming_ids::VideoId;
use gloaming_package::Poster;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Blob, BlobPropertyBag};

use super::WebVault;
use crate::{
    convert::{Answer, fault, id, to_js},
    platform::Browser,
    playing::{Downloads, address, open_beginning, part, playable},
};

/// What a poster may be. Anything else is not passed to the page as an image.
const IMAGES: [&str; 2] = ["image/webp", "image/jpeg"];
/// This close to its end, a video begins anew.
const NEAR_END_SECONDS: f64 = 10.0;

/// Everything that is open.
#[derive(Default)]
pub(super) struct Theatre {
    videos: RefCell<HashMap<VideoId, OpenVideo<Browser>>>,
    downloads: Downloads,
}

impl Theatre {
    pub(super) fn close_all(&self) {
        self.videos.take();
        self.downloads.end_all();
    }

    /// A video that is not of this library.
    pub(super) fn show(&self, open: OpenVideo<Browser>) {
        self.videos.borrow_mut().insert(open.video(), open);
    }

    pub(super) fn downloads(&self) -> &Downloads {
        &self.downloads
    }

    /// Forgets what somebody else's videos are to be remembered of no longer.
    pub(super) fn tidy(&self) {
        self.videos.borrow().values().for_each(OpenVideo::tidy);
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
        open_beginning(&open, resume_at);
        let playable = playable(&open, row.title, resume_at);
        self.0.theatre.videos.borrow_mut().insert(video, open);
        Ok(to_js(&playable))
    }

    /// One virtual file of an open video: `{ bytes, contentType, fetchMs }`.
    pub async fn part(&self, uri: String, signal: AbortSignal) -> Answer {
        let (video, path) = address(&uri)?;
        let open = self.opened_video(id(video)?).await?;
        self.touch().await;
        part(&open, path, &signal, |error| self.complain(error)).await
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
        let number = self.0.theatre.downloads.begin(download);
        let name = format!("{}.mp4", row.map_or_else(|| video.to_string(), |row| row.title));
        // How long its last box will be shows at the end only.
        Ok(to_js(&serde_json::json!({ "download": number, "name": name, "size": null })))
    }

    /// The next bytes of the file, or nothing at its end.
    #[wasm_bindgen(js_name = downloadChunk)]
    pub async fn download_chunk(&self, download: u32) -> Answer<Option<Uint8Array>> {
        self.touch().await;
        self.0.theatre.downloads.chunk(download).await.map_err(|error| self.complain(error))
    }

    /// It is over, one way or the other.
    #[wasm_bindgen(js_name = endDownload)]
    pub fn end_download(&self, download: u32) {
        self.0.theatre.downloads.end(download);
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
