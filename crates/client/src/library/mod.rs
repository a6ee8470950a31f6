//! The library: sealed records, kept in step with the server's feed, opened here and nowhere else.
//!
//! * [`feed`]: following the chain; a rollback or a fork ends in an error and changes nothing, and a record that cannot be
//!   read is told of by [`Library::unreadable`] while the rest is shown.
//! * [`snapshot`]: what the records say, taken together.
//! * [`view`]: searching and sorting.
//! * Writing is compare-and-swap. What is to be changed is a function of the newest snapshot, so that after a conflict it
//!   is simply asked again: a rename renames what is there now, a move moves within the list as it is now.

mod feed;
mod pace;
mod snapshot;
mod view;

use gloaming_api::library::{Change, Changes, MAX_CHANGES, Written};
use gloaming_ids::{RecordId, UnixMillis, VideoId};

pub use pace::PositionPace;
pub(crate) use snapshot::Snapshot;
pub use snapshot::{Playlist, Unreadable, VideoRow};
pub use view::{Query, Sort, Within, fold};

use crate::{
    ClientError, Platform, Session,
    records::{Fault, Kept, PlaylistRecord, PositionRecord, Record, SettingsRecord, VideoRecord},
};

/// How often a write is merged and tried again before it is given up.
const ATTEMPTS: usize = 8;

/// An account's library. Cheap to make; all of them see the same snapshot.
pub struct Library<P>(pub(crate) Session<P>);

/// What becomes of a record.
#[allow(clippy::large_enum_variant, reason = "a handful at a time")]
pub(crate) enum Edit {
    Write(RecordId, Record),
    Delete(RecordId),
}

impl Edit {
    fn record(&self) -> RecordId {
        match self {
            Edit::Write(id, _) | Edit::Delete(id) => *id,
        }
    }
}

impl<P: Platform> Library<P> {
    pub(crate) fn new(session: Session<P>) -> Self {
        Self(session)
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        self.0.platform()
    }

    /// Fetches what changed. Says whether anything did.
    pub async fn sync(&self) -> Result<bool, ClientError> {
        let _one_at_a_time = self.0.0.writing.lock().await;
        feed::follow(&self.0).await
    }

    /// Grows with every change of the snapshot, from here or elsewhere.
    pub fn revision(&self) -> u64 {
        self.0.0.revision.get()
    }

    /// The records that cannot be read: tampered with, kept back, or written by a newer version. A person is to be told of
    /// each, because what they say is in no list.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.0.0.library.borrow().unreadable().collect()
    }

    /// Gives a record that cannot be read up for good, by the beginning of its id, so that nobody is told of it any more.
    pub async fn forget_unreadable(&self, name: &str) -> Result<(), ClientError> {
        let found: Vec<_> = self
            .unreadable()
            .into_iter()
            .filter(|broken| broken.record.to_string().starts_with(name))
            .collect();
        let broken = match found.as_slice() {
            [] => return Err(ClientError::NotFound { what: format!("unreadable entry {name:?}") }),
            [broken] => *broken,
            _ => return Err(ClientError::Ambiguous { name: name.into() }),
        };
        if broken.fault == Fault::TooNew {
            return Err(ClientError::TooNew { what: format!("entry {} of the library", broken.record) });
        }
        self.write(|library| {
            let there = library.unreadable().any(|there| there == broken);
            Ok(if there { vec![Edit::Delete(broken.record)] } else { vec![] })
        })
        .await
    }

    /// Every video, in the trash or not, in no order that matters.
    pub fn videos(&self) -> Vec<VideoRow> {
        self.0.0.library.borrow().videos()
    }

    /// One video.
    pub fn video(&self, video: VideoId) -> Option<VideoRow> {
        self.0.0.library.borrow().video(video)
    }

    /// One video's record, as it was written.
    pub fn video_record(&self, video: VideoId) -> Option<VideoRecord> {
        self.0.0.library.borrow().video_record(video).cloned()
    }

    /// The ids of the videos that a query asks for, in its order.
    pub fn view(&self, query: &Query) -> Vec<VideoId> {
        view::view(&self.0.0.library.borrow(), query)
    }

    /// The playlists, by name.
    pub fn playlists(&self) -> Vec<Playlist> {
        self.0.0.library.borrow().playlists()
    }

    /// The video that somebody means: an id, the unique beginning of one, or an exact title.
    pub fn find_video(&self, name: &str) -> Result<VideoId, ClientError> {
        let rows = self.videos();
        let pick = |found: Vec<VideoId>| match found.as_slice() {
            [] => Err(ClientError::NotFound { what: format!("video {name:?}; {}", resembling(name, &rows)) }),
            [video] => Ok(*video),
            _ => Err(ClientError::Ambiguous { name: name.into() }),
        };
        if let Some(row) = rows.iter().find(|row| row.video.to_string() == name) {
            return Ok(row.video);
        }
        let titled: Vec<_> = rows.iter().filter(|row| row.title == name).map(|row| row.video).collect();
        if !titled.is_empty() {
            return pick(titled);
        }
        pick(
            rows.iter()
                .filter(|row| abbreviates(name, &row.video.to_string()))
                .map(|row| row.video)
                .collect(),
        )
    }

    /// The playlist that somebody means: an id, the unique beginning of one, an exact name or path.
    pub fn find_playlist(&self, name: &str) -> Result<RecordId, ClientError> {
        let lists = self.playlists();
        let matching = |list: &&Playlist| list.name == name || list.path.as_deref() == Some(name);
        let mut found: Vec<_> = lists.iter().filter(matching).map(|list| list.id).collect();
        if found.is_empty() {
            found = lists.iter().filter(|l| abbreviates(name, &l.id.to_string())).map(|l| l.id).collect();
        }
        match found.as_slice() {
            [] => Err(ClientError::NotFound { what: format!("playlist {name:?}") }),
            [list] => Ok(*list),
            _ => Err(ClientError::Ambiguous { name: name.into() }),
        }
    }

    /// The video with this fingerprint, in the trash or not.
    pub fn find_fingerprint(&self, fingerprint: &[u8; 32]) -> Option<VideoRow> {
        let library = self.0.0.library.borrow();
        let video = library.records_of_videos().find(|r| r.fingerprint.as_ref() == fingerprint)?.video;
        library.video(video)
    }

    /// Wishes that follow the account.
    pub fn settings(&self) -> SettingsRecord {
        self.0.0.library.borrow().settings().cloned().unwrap_or_default()
    }

    /// Changes them.
    pub async fn save_settings(&self, settings: SettingsRecord) -> Result<(), ClientError> {
        let id = self.0.keys()?.derive_record_id("settings", b"");
        self.write(|library| {
            let record = Kept::over(library.settings_kept(), settings.clone());
            Ok(vec![Edit::Write(id, Record::Settings(record))])
        })
        .await
    }

    /// Gives a video another title.
    pub async fn rename(&self, video: VideoId, title: &str) -> Result<(), ClientError> {
        let title = title.trim();
        if title.is_empty() {
            return Err(ClientError::WrongState { reason: "a title needs at least one letter".into() });
        }
        self.edit_video(video, |record| record.title = title.into()).await
    }

    /// Changes a video's record, as it stands now.
    pub(crate) async fn edit_video(
        &self,
        video: VideoId,
        edit: impl Fn(&mut VideoRecord),
    ) -> Result<(), ClientError> {
        let id = self.video_id(video)?;
        self.write(|library| {
            let mut record = library.video_kept(video).cloned().ok_or_else(no_such_video)?;
            let before = record.known.clone();
            edit(&mut record.known);
            Ok(if record.known == before { vec![] } else { vec![Edit::Write(id, Record::Video(record))] })
        })
        .await
    }

    /// Adds a video, or puts another index of it in place.
    pub(crate) async fn put_video(&self, video: VideoRecord) -> Result<(), ClientError> {
        let id = self.video_id(video.video)?;
        self.write(|library| {
            let there = library.video_kept(video.video);
            // Another device's title, or place in the trash, is not undone by finishing an upload twice.
            if there.is_some_and(|there| there.known.index_version >= video.index_version) {
                return Ok(vec![]);
            }
            Ok(vec![Edit::Write(id, Record::Video(Kept::over(there, video.clone())))])
        })
        .await
    }

    /// Takes a video's record, position and places in playlists away.
    pub(crate) async fn remove_video(&self, video: VideoId) -> Result<(), ClientError> {
        let (id, position) = (self.video_id(video)?, self.position_id(video)?);
        self.write(|library| {
            let mut edits = Vec::new();
            edits.extend(library.has(id).then_some(Edit::Delete(id)));
            edits.extend(library.has(position).then_some(Edit::Delete(position)));
            for (list, record) in library.playlists_kept() {
                if record.known.items.contains(&video) {
                    let mut record = record.clone();
                    record.known.items.retain(|item| *item != video);
                    edits.push(Edit::Write(list, Record::Playlist(record)));
                }
            }
            Ok(edits)
        })
        .await
    }

    /// Remembers how far somebody watched. The newest wins, wherever it was written.
    pub async fn save_position(
        &self,
        video: VideoId,
        seconds: f64,
        finished: bool,
    ) -> Result<(), ClientError> {
        let id = self.position_id(video)?;
        let at = self.0.platform().now();
        self.write(|library| {
            let newest = library.position(video);
            if library.video_kept(video).is_none() || newest.is_some_and(|p| p.known.at > at) {
                return Ok(vec![]);
            }
            let position = PositionRecord { video, seconds, finished, at };
            Ok(vec![Edit::Write(id, Record::Position(Kept::over(newest, position)))])
        })
        .await
    }

    /// Makes a playlist.
    pub async fn create_playlist(&self, name: &str, path: Option<&str>) -> Result<RecordId, ClientError> {
        let id = RecordId::generate(&mut self.0.0.server.entropy());
        let playlist = PlaylistRecord { name: named(name)?, path: path.map(Into::into), items: vec![] };
        self.write(|library| {
            // It was written, and only the answer was lost.
            let there = library.has(id);
            let record = Record::Playlist(Kept::new(playlist.clone()));
            Ok(if there { vec![] } else { vec![Edit::Write(id, record)] })
        })
        .await?;
        Ok(id)
    }

    /// Gives a playlist another name.
    pub async fn rename_playlist(&self, list: RecordId, name: &str) -> Result<(), ClientError> {
        let name = named(name)?;
        self.edit_playlist(list, |playlist| playlist.name.clone_from(&name)).await
    }

    /// Deletes a playlist; its videos stay.
    pub async fn delete_playlist(&self, list: RecordId) -> Result<(), ClientError> {
        self.write(|library| Ok(if library.has(list) { vec![Edit::Delete(list)] } else { vec![] })).await
    }

    /// Puts videos at the end of a playlist, those that are not in it.
    pub async fn add_to_playlist(&self, list: RecordId, videos: &[VideoId]) -> Result<(), ClientError> {
        self.edit_playlist(list, |playlist| {
            for video in videos {
                if !playlist.items.contains(video) {
                    playlist.items.push(*video);
                }
            }
        })
        .await
    }

    /// Takes videos out of a playlist.
    pub async fn remove_from_playlist(&self, list: RecordId, videos: &[VideoId]) -> Result<(), ClientError> {
        self.edit_playlist(list, |playlist| playlist.items.retain(|item| !videos.contains(item))).await
    }

    /// Moves a video to a place in a playlist, counted from 0.
    pub async fn move_in_playlist(
        &self,
        list: RecordId,
        video: VideoId,
        to: usize,
    ) -> Result<(), ClientError> {
        self.edit_playlist(list, |playlist| {
            if let Some(from) = playlist.items.iter().position(|item| *item == video) {
                let video = playlist.items.remove(from);
                playlist.items.insert(to.min(playlist.items.len()), video);
            }
        })
        .await
    }

    async fn edit_playlist(
        &self,
        list: RecordId,
        edit: impl Fn(&mut PlaylistRecord),
    ) -> Result<(), ClientError> {
        self.write(|library| {
            let mut record = library
                .playlist_kept(list)
                .cloned()
                .ok_or_else(|| ClientError::NotFound { what: "such playlist".into() })?;
            let before = record.known.clone();
            edit(&mut record.known);
            Ok(if record.known == before {
                vec![]
            } else {
                vec![Edit::Write(list, Record::Playlist(record))]
            })
        })
        .await
    }

    fn video_id(&self, video: VideoId) -> Result<RecordId, ClientError> {
        Ok(self.0.keys()?.derive_record_id("video", video.as_bytes()))
    }

    fn position_id(&self, video: VideoId) -> Result<RecordId, ClientError> {
        Ok(self.0.keys()?.derive_record_id("position", video.as_bytes()))
    }

    /// Writes what `intent` makes of the newest snapshot. After a conflict it is asked again, so it must ask for nothing
    /// where its wish is already true.
    pub(crate) async fn write(
        &self,
        intent: impl Fn(&Snapshot) -> Result<Vec<Edit>, ClientError>,
    ) -> Result<(), ClientError> {
        let shared = &self.0.0;
        let keys = self.0.keys()?;
        let _one_at_a_time = shared.writing.lock().await;
        if !shared.library.borrow().is_followed() {
            feed::follow(&self.0).await?;
        }
        for _ in 0..ATTEMPTS {
            let edits = intent(&shared.library.borrow())?;
            if edits.is_empty() {
                return Ok(());
            }
            if edits.iter().any(|edit| shared.library.borrow().is_beyond_us(edit.record())) {
                return Err(ClientError::TooNew { what: "this entry of the library".into() });
            }
            if edits.len() > MAX_CHANGES {
                return Err(ClientError::WrongState { reason: "too many changes at once".into() });
            }
            let mut entropy = shared.server.entropy();
            let now: UnixMillis = shared.server.platform.now();
            let changes: Vec<Change> = edits
                .iter()
                .map(|edit| {
                    let library = shared.library.borrow();
                    let (record, expected) = (edit.record(), library.version(edit.record()));
                    let sealed = match edit {
                        Edit::Write(_, body) => {
                            let plain = body.encode(library.seen(), now);
                            let version = expected + 1;
                            let sealed =
                                keys.seal_record(shared.account, record, version, &plain, &mut entropy);
                            Some(sealed.into())
                        }
                        Edit::Delete(_) => None,
                    };
                    Change { record, expected, sealed }
                })
                .collect();
            let answer = shared.server.post::<_, Written>("/v1/library", &Changes { changes }).await;
            match answer {
                // Follow rather than believe: the feed is where what happened is checked.
                Ok(_) => return feed::follow(&self.0).await.map(drop),
                Err(ClientError::VersionConflict) => {
                    feed::follow(&self.0).await?;
                }
                // Perhaps it was written and only the answer lost: the snapshot will tell.
                Err(error @ ClientError::Offline { .. }) => {
                    feed::follow(&self.0).await.map_err(|_| error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::VersionConflict)
    }
}

fn no_such_video() -> ClientError {
    ClientError::NotFound { what: "such video in the library".into() }
}

fn named(name: &str) -> Result<String, ClientError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(ClientError::WrongState { reason: "a playlist's name needs at least one letter".into() });
    }
    Ok(name.into())
}

/// What somebody may have meant who did not write a title as it is.
fn resembling(name: &str, rows: &[VideoRow]) -> String {
    let part = name.trim().to_lowercase();
    let mut titles = rows.iter().map(|row| &row.title).filter(|title| title.to_lowercase().contains(&part));
    match titles.next() {
        Some(title) if !part.is_empty() => format!("did you mean {title:?}?"),
        _ => "`gloaming ls` lists them".to_owned(),
    }
}

/// Whether `short` is the beginning of `id`, or of its last group: ids made in the same hour begin alike.
pub(crate) fn abbreviates(short: &str, id: &str) -> bool {
    short.len() >= 4
        && (id.starts_with(short) || id.rsplit('-').next().is_some_and(|tail| tail.starts_with(short)))
}
