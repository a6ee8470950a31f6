use gloaming_client::{
    ClientError, Fault, Library, SettingsRecord,
    library::{Query, Sort, VideoRow, Within},
};
use gloaming_ids::{RecordId, VideoId};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::WebVault;
use crate::{
    convert::{Answer, from_js, id, ids, to_js},
    idle::{DEFAULT_MINUTES, Idle},
    platform::Browser,
    wire,
};

#[wasm_bindgen]
impl WebVault {
    /// Fetches what changed.
    pub async fn sync(&self) -> Answer<()> {
        self.change(async |library| library.sync().await.map(drop)).await
    }

    /// Which videos to show, and the playlists.
    pub async fn view(&self, query: JsValue) -> Answer {
        let query: wire::LibraryQuery = from_js(&query)?;
        let within = match query.within {
            wire::Within::All => Within::All,
            wire::Within::Playlist { id: list } => Within::Playlist(id(&list)?),
            wire::Within::Trash => Within::Trash,
            wire::Within::Continue => Within::Continue,
        };
        let sort = match query.sort {
            wire::Sort::Added => Sort::Added,
            wire::Sort::Captured => Sort::Captured,
            wire::Sort::Title => Sort::Title,
            wire::Sort::Duration => Sort::Duration,
            wire::Sort::Size => Sort::Size,
            wire::Sort::Watched => Sort::Watched,
        };
        let query = Query { search: query.search, sort, descending: query.descending, within };
        let library = self.library()?;
        let videos = library.view(&query);
        let playlist = |list: gloaming_client::library::Playlist| wire::Playlist {
            id: list.id.to_string(),
            name: list.name,
            path: list.path,
            videos: texts(&list.items),
        };
        Ok(to_js(&wire::LibraryView {
            revision: library.revision(),
            total: videos.len(),
            ids: texts(&videos),
            playlists: library.playlists().into_iter().map(playlist).collect(),
        }))
    }

    /// The rows that scroll into sight.
    pub async fn rows(&self, videos: Vec<String>) -> Answer {
        let library = self.library()?;
        let wanted: Vec<VideoId> = ids(&videos)?;
        let rows: Vec<_> = wanted.into_iter().filter_map(|video| library.video(video)).map(row).collect();
        Ok(to_js(&rows))
    }

    /// Another title.
    pub async fn rename(&self, video: String, title: String) -> Answer<()> {
        let video = id(&video)?;
        self.change(async |library| library.rename(video, &title).await).await
    }

    /// Into the trash.
    pub async fn trash(&self, videos: Vec<String>) -> Answer<()> {
        self.each(&videos, async |library, video| library.trash(video).await).await
    }

    /// Out of the trash.
    pub async fn restore(&self, videos: Vec<String>) -> Answer<()> {
        self.each(&videos, async |library, video| library.restore(video).await).await
    }

    /// What is stored too.
    #[wasm_bindgen(js_name = deleteForGood)]
    pub async fn delete_for_good(&self, videos: Vec<String>) -> Answer<()> {
        self.each(&videos, async |library, video| library.delete(video).await).await
    }

    /// A new playlist's id.
    #[wasm_bindgen(js_name = createPlaylist)]
    pub async fn create_playlist(&self, name: String) -> Answer<String> {
        self.change(async |library| library.create_playlist(&name, None).await)
            .await
            .map(|list| list.to_string())
    }

    /// Another name.
    #[wasm_bindgen(js_name = renamePlaylist)]
    pub async fn rename_playlist(&self, list: String, name: String) -> Answer<()> {
        let list: RecordId = id(&list)?;
        self.change(async |library| library.rename_playlist(list, &name).await).await
    }

    /// Its videos stay.
    #[wasm_bindgen(js_name = deletePlaylist)]
    pub async fn delete_playlist(&self, list: String) -> Answer<()> {
        let list: RecordId = id(&list)?;
        self.change(async |library| library.delete_playlist(list).await).await
    }

    /// At its end.
    #[wasm_bindgen(js_name = addToPlaylist)]
    pub async fn add_to_playlist(&self, list: String, videos: Vec<String>) -> Answer<()> {
        let (list, videos): (RecordId, _) = (id(&list)?, ids::<VideoId>(&videos)?);
        self.change(async |library| library.add_to_playlist(list, &videos).await).await
    }

    /// At the end of the playlist that stands for a folder, made where it is missing.
    #[wasm_bindgen(js_name = addToFolder)]
    pub async fn add_to_folder(&self, folder: String, videos: Vec<String>) -> Answer<()> {
        let videos: Vec<VideoId> = ids(&videos)?;
        self.change(async |library| library.add_to_folder(&folder, &videos).await).await
    }

    /// The videos stay in the library.
    #[wasm_bindgen(js_name = removeFromPlaylist)]
    pub async fn remove_from_playlist(&self, list: String, videos: Vec<String>) -> Answer<()> {
        let (list, videos): (RecordId, _) = (id(&list)?, ids::<VideoId>(&videos)?);
        self.change(async |library| library.remove_from_playlist(list, &videos).await).await
    }

    /// To a place counted from 0.
    #[wasm_bindgen(js_name = moveInPlaylist)]
    pub async fn move_in_playlist(&self, list: String, video: String, to: usize) -> Answer<()> {
        let (list, video): (RecordId, VideoId) = (id(&list)?, id(&video)?);
        self.change(async |library| library.move_in_playlist(list, video, to).await).await
    }

    /// How far somebody watched.
    #[wasm_bindgen(js_name = savePosition)]
    pub async fn save_position(&self, video: String, seconds: f64, finished: bool) -> Answer<()> {
        let video = id(&video)?;
        self.change(async |library| library.save_position(video, seconds, finished).await).await
    }

    /// Wishes that follow the account.
    pub async fn settings(&self) -> Answer {
        let library = self.library()?;
        if library.revision() == 0 {
            // The first question after unlocking: what the account wishes is still with the server.
            self.sync().await?;
        }
        let settings = library.settings();
        Ok(to_js(&wire::Settings {
            auto_lock_minutes: settings.auto_lock_minutes.unwrap_or(DEFAULT_MINUTES),
            theme: settings.theme.unwrap_or_else(|| "system".into()),
        }))
    }

    /// Changes them.
    #[wasm_bindgen(js_name = saveSettings)]
    pub async fn save_settings(&self, settings: JsValue) -> Answer<()> {
        let wire::Settings { auto_lock_minutes, theme } = from_js(&settings)?;
        Idle::set_minutes(self.platform(), auto_lock_minutes).await;
        let settings = SettingsRecord { auto_lock_minutes: Some(auto_lock_minutes), theme: Some(theme) };
        self.change(async |library| library.save_settings(settings).await).await
    }
}

impl WebVault {
    pub(super) fn library(&self) -> Answer<Library<Browser>> {
        let session = self.session().map_err(|error| self.complain(error))?;
        if session.is_locked() {
            return Err(self.complain(ClientError::Locked));
        }
        Ok(session.library())
    }

    /// Does something to the library, and says so if it changed.
    pub(super) async fn change<T>(
        &self,
        act: impl AsyncFnOnce(&Library<Browser>) -> Result<T, ClientError>,
    ) -> Answer<T> {
        let library = self.library()?;
        let answer = act(&library).await;
        self.say_library(&library);
        answer.map_err(|error| self.complain(error))
    }

    /// One after another; what was done before an error stays done.
    async fn each(
        &self,
        videos: &[String],
        act: impl AsyncFn(&Library<Browser>, VideoId) -> Result<(), ClientError>,
    ) -> Answer<()> {
        let videos: Vec<VideoId> = ids(videos)?;
        self.change(async |library| {
            for video in videos {
                act(library, video).await?;
            }
            Ok(())
        })
        .await
    }

    pub(super) fn say_library(&self, library: &Library<Browser>) {
        let revision = library.revision();
        if self.0.told_revision.replace(revision) != revision {
            self.say(&wire::Event::Library { revision });
            for broken in library.unreadable() {
                let code = if broken.fault == Fault::TooNew { "too_new" } else { "unreadable" };
                let alarm = wire::Alarm { code: code.into(), message: broken.to_string() };
                self.say(&wire::Event::Alarm { alarm });
            }
        }
    }

    /// The library as it was here last, or as the server has it, soon after unlocking.
    pub(super) fn settle_in(&self) {
        let vault = self.clone();
        spawn_local(async move {
            vault.find_uploads().await;
            // An error here was told as an alarm, or comes again with the page's first question.
            if vault.sync().await.is_err() {
                return;
            }
            if let Ok(library) = vault.library()
                && let Some(minutes) = library.settings().auto_lock_minutes
            {
                Idle::set_minutes(vault.platform(), minutes).await;
            }
        });
    }
}

fn row(row: VideoRow) -> wire::VideoRow {
    let picture =
        row.tracks.iter().find(|track| track.kind == "video").map(|track| (track.width, track.height));
    wire::VideoRow {
        id: row.video.to_string(),
        title: row.title,
        file_name: row.file_name,
        state: if row.trashed_at.is_some() { "trashed" } else { "kept" },
        added_at: row.added_at.0,
        captured_at: row.captured_at.map(|at| at.0),
        duration_ms: row.duration_ms,
        bytes: row.size,
        width: picture.map(|(width, _)| width),
        height: picture.map(|(_, height)| height),
        has_poster: row.poster.is_some(),
        trashed_at: row.trashed_at.map(|at| at.0),
        position: row.position,
        finished: row.finished,
    }
}

fn texts(videos: &[VideoId]) -> Vec<String> {
    videos.iter().map(ToString::to_string).collect()
}
