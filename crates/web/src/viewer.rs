//! The page of a link, and of a frame on somebody else's page: no account, no library, one share.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use gloaming_api::playback::PlaybackReport;
use gloaming_client::{
    Client, ClientError, Download, OpenVideo,
    viewer::{ViewerLink, Viewing},
};
use gloaming_ids::VideoId;
use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortSignal;
use zeroize::Zeroizing;

use crate::{
    convert::{Answer, fault, from_js, id, thrown, to_js, vault_error},
    host::Host,
    platform::{Browser, sleep},
    playing::{Downloads, address, open_beginning, part, playable},
    wire::{LinkAsk, SharedTitle, Showing, ViewerEvent},
};

/// How often it is looked what is to be forgotten, and whether it is over.
const GLANCE: Duration = Duration::from_secs(3);

/// The viewer: one in each worker.
#[wasm_bindgen]
#[derive(Clone)]
pub struct WebViewer(Rc<Inner>);

struct Inner {
    client: Client<Browser>,
    viewing: RefCell<Option<Rc<Viewing<Browser>>>>,
    videos: RefCell<HashMap<VideoId, OpenVideo<Browser>>>,
    /// Those that were said to be over.
    over: RefCell<HashSet<VideoId>>,
    downloads: Downloads,
    say: Function,
}

#[wasm_bindgen]
impl WebViewer {
    /// With what the browser lends, and somebody who hears `{ kind: "over", video, error }`: the page then clears what it
    /// has buffered.
    #[wasm_bindgen(constructor)]
    pub fn new(host: Host, say: Function) -> WebViewer {
        let viewer = WebViewer(Rc::new(Inner {
            client: Client::new(Browser::new(host)),
            viewing: RefCell::default(),
            videos: RefCell::default(),
            over: RefCell::default(),
            downloads: Downloads::default(),
            say,
        }));
        viewer.tidy_now_and_then();
        viewer
    }

    /// Whether a link (its share, and what stood behind its `#`) is whole, and wants a password: a boolean. Asks nobody.
    #[wasm_bindgen(js_name = wantsPassword)]
    pub async fn wants_password(&self, share: String, fragment: String) -> Answer<bool> {
        Ok(ViewerLink::new(&share, &fragment).map_err(thrown)?.wants_password())
    }

    /// Opens a link: `{ share, fragment, password, video, embedded }` → `{ kind, policy, name, mark, videos, playable }`.
    /// With a password it takes a second or two.
    pub async fn open(&self, ask: JsValue) -> Answer {
        let LinkAsk { share, fragment, password, video, embedded } = from_js(&ask)?;
        let (fragment, password) = (Zeroizing::new(fragment), password.map(Zeroizing::new));
        let link = ViewerLink::new(&share, &fragment).map_err(thrown)?;
        let video: Option<VideoId> = video.as_deref().map(id).transpose()?;
        let password = password.as_deref().map(String::as_str);
        let begun = Viewing::begin(&self.0.client, &link, password, video, embedded).await;
        let viewing = Rc::new(begun.map_err(thrown)?);
        let open = viewing.video().clone();
        open_beginning(&open, 0.0);
        self.0.videos.take();
        self.0.over.take();
        self.0.videos.borrow_mut().insert(open.video(), open.clone());
        self.0.viewing.replace(Some(Rc::clone(&viewing)));
        let title = |one: gloaming_client::viewer::SharedTitle| SharedTitle {
            video: one.video.to_string(),
            title: one.title,
        };
        Ok(to_js(&Showing {
            kind: viewing.kind().into(),
            policy: viewing.policy().clone().into(),
            name: viewing.name().into(),
            mark: viewing.mark().into(),
            playable: playable(&open, self.title(open.video())?, 0.0),
            videos: viewing.titles().into_iter().map(title).collect(),
        }))
    }

    /// Opens another video of the share, or the same one again after it was over, to go on at `resume_at` (seconds).
    #[wasm_bindgen(js_name = openVideo)]
    pub async fn open_video(&self, video: String, resume_at: f64) -> Answer {
        let video: VideoId = id(&video)?;
        let open = self.viewing()?.open(video).await.map_err(thrown)?;
        open_beginning(&open, resume_at);
        let playable = playable(&open, self.title(video)?, resume_at);
        self.0.over.borrow_mut().remove(&video);
        self.0.videos.borrow_mut().insert(video, open);
        Ok(to_js(&playable))
    }

    /// One virtual file of an open video: `{ bytes, contentType, fetchMs }`.
    pub async fn part(&self, uri: String, signal: AbortSignal) -> Answer {
        let (video, path) = address(&uri)?;
        let open = self.opened(id(video)?)?;
        part(&open, path, &signal, thrown).await
    }

    /// Tells the owner how it goes: `{ startupMs, stalls }`.
    pub async fn report(&self, video: String, report: JsValue) -> Answer<()> {
        let crate::wire::PlaybackReport { startup_ms, stalls } = from_js(&report)?;
        let report = PlaybackReport { startup_ms, stalls };
        self.opened(id(&video)?)?.report(&report).await.map_err(thrown)
    }

    /// Nobody watches it any more.
    pub async fn close(&self, video: String) -> Answer<()> {
        self.0.videos.borrow_mut().remove(&id(&video)?);
        Ok(())
    }

    /// Begins a download, where the owner allows it: `{ download, name, size }`.
    #[wasm_bindgen(js_name = startDownload)]
    pub async fn start_download(&self, video: String) -> Answer {
        let video: VideoId = id(&video)?;
        self.viewing()?.may_download().map_err(thrown)?;
        let download = Download::new(&self.opened(video)?).await.map_err(thrown)?;
        let number = self.0.downloads.begin(download);
        let name = format!("{}.mp4", self.title(video)?);
        Ok(to_js(&serde_json::json!({ "download": number, "name": name, "size": null })))
    }

    /// The next bytes of the file, or nothing at its end.
    #[wasm_bindgen(js_name = downloadChunk)]
    pub async fn download_chunk(&self, download: u32) -> Answer<Option<Uint8Array>> {
        self.0.downloads.chunk(download).await.map_err(thrown)
    }

    /// It is over, one way or the other.
    #[wasm_bindgen(js_name = endDownload)]
    pub fn end_download(&self, download: u32) {
        self.0.downloads.end(download);
    }
}

impl WebViewer {
    fn viewing(&self) -> Answer<Rc<Viewing<Browser>>> {
        self.0.viewing.borrow().clone().ok_or_else(|| fault("no link was opened"))
    }

    fn opened(&self, video: VideoId) -> Answer<OpenVideo<Browser>> {
        self.0.videos.borrow().get(&video).cloned().ok_or_else(|| thrown(ClientError::Cancelled))
    }

    fn title(&self, video: VideoId) -> Answer<String> {
        let titles = self.viewing()?.titles();
        let title = titles.into_iter().find(|one| one.video == video).map(|one| one.title);
        Ok(title.unwrap_or_else(|| video.to_string()))
    }

    /// For as long as this worker lives.
    fn tidy_now_and_then(&self) {
        let viewer = self.clone();
        spawn_local(async move {
            loop {
                sleep(GLANCE).await;
                let open: Vec<_> = viewer.0.videos.borrow().values().cloned().collect();
                for video in open {
                    video.tidy();
                    if let Some(error) = video.over()
                        && viewer.0.over.borrow_mut().insert(video.video())
                    {
                        viewer.0.downloads.end_all();
                        let (video, error) = (video.video().to_string(), vault_error(&error));
                        // The listener posts a message: it has nothing to throw.
                        let _ =
                            viewer.0.say.call1(&JsValue::NULL, &to_js(&ViewerEvent::Over { video, error }));
                    }
                }
            }
        });
    }
}
