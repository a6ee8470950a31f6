use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
};

use gloaming_api::library::EMPTY_HEAD;
use gloaming_ids::{AccountId, RecordId, RoomId, ShareId, UnixMillis, VideoId};

use crate::records::{
    ContactRecord, Digest, Fault, Kept, LogRecord, PlaylistRecord, PositionRecord, PosterInfo, Record,
    RoomRecord, Seen, SettingsRecord, ShareRecord, TrackSummary, VideoRecord,
};

/// Heads that are remembered, so that what other writers had seen can be checked.
const HEADS: usize = 4096;

/// One video, as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoRow {
    /// Which.
    pub video: VideoId,
    /// What the owner calls it.
    pub title: String,
    /// What the file was called.
    pub file_name: String,
    /// When it came into the library.
    pub added_at: UnixMillis,
    /// When it was recorded.
    pub captured_at: Option<UnixMillis>,
    /// Since when it is in the trash.
    pub trashed_at: Option<UnixMillis>,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// Bytes of the source file.
    pub size: u64,
    /// Its streams.
    pub tracks: Vec<TrackSummary>,
    /// Its picture.
    pub poster: Option<PosterInfo>,
    /// Seconds watched so far.
    pub position: Option<f64>,
    /// Watched to the end.
    pub finished: bool,
    /// When it was last watched.
    pub watched_at: Option<UnixMillis>,
}

/// Videos in an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Playlist {
    /// Which.
    pub id: RecordId,
    /// Its name.
    pub name: String,
    /// The folder it came from.
    pub path: Option<String>,
    /// Its videos, those that are still in the library.
    pub items: Vec<VideoId>,
}

/// A record that is there and cannot be read. What it says is missing from everything else, so a person is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub record: RecordId,
    /// Why.
    pub fault: Fault,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { record, fault } = self;
        match fault {
            Fault::TooNew => write!(
                f,
                "entry {record} of the library was written by a newer version of Gloaming, and is not shown here; update this one"
            ),
            Fault::Damaged => write!(
                f,
                "entry {record} of the library did not pass its integrity check, and is not shown: it was damaged or tampered \
                 with. Ask whoever runs the server to restore it from a backup, and compare with another device"
            ),
            Fault::Withheld => write!(
                f,
                "the server keeps entry {record} of the library back, so it is not shown. Ask whoever runs the server to restore \
                 it from a backup, and compare with another device"
            ),
        }
    }
}

/// A record as the feed left it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) version: u64,
    /// Where in the feed this version is.
    pub(crate) seq: u64,
    /// The sealed bytes, for the cache; none after a deletion.
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) record: Option<Record>,
}

/// What the records say, up to one place in the feed.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) followed: bool,
    pub(crate) seq: u64,
    pub(crate) head: [u8; 32],
    /// The heads after `seq - heads.len() + 1` to `seq`.
    pub(crate) heads: VecDeque<[u8; 32]>,
    pub(crate) rows: BTreeMap<RecordId, Row>,
    videos: HashMap<VideoId, RecordId>,
    positions: HashMap<VideoId, RecordId>,
    settings: Option<RecordId>,
    shares: HashMap<ShareId, RecordId>,
    logs: HashMap<VideoId, RecordId>,
    contacts: HashMap<AccountId, RecordId>,
    rooms: HashMap<RoomId, RecordId>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            followed: false,
            seq: 0,
            head: EMPTY_HEAD,
            heads: VecDeque::new(),
            rows: BTreeMap::new(),
            videos: HashMap::new(),
            positions: HashMap::new(),
            settings: None,
            shares: HashMap::new(),
            logs: HashMap::new(),
            contacts: HashMap::new(),
            rooms: HashMap::new(),
        }
    }
}

impl Snapshot {
    /// Whether the feed was followed since this process began.
    pub(crate) fn is_followed(&self) -> bool {
        self.followed
    }

    /// What a writer testifies to have seen.
    pub(crate) fn seen(&self) -> Seen {
        Seen { seq: self.seq, head: Digest::new(self.head) }
    }

    /// Whether what another writer had seen fits what this device was shown. What is too long ago cannot be told.
    pub(crate) fn agrees(&self, seen: &Seen) -> bool {
        if seen.seq == 0 {
            return seen.head.as_ref() == EMPTY_HEAD.as_slice();
        }
        let Some(back) = self.seq.checked_sub(seen.seq) else { return false };
        let known = usize::try_from(back).ok().and_then(|back| self.heads.len().checked_sub(back + 1));
        known.is_none_or(|at| self.heads[at].as_slice() == seen.head.as_slice())
    }

    pub(crate) fn advance(&mut self, seq: u64, head: [u8; 32]) {
        (self.seq, self.head) = (seq, head);
        if self.heads.len() == HEADS {
            self.heads.pop_front();
        }
        self.heads.push_back(head);
    }

    /// The version that the next write of this record replaces.
    pub(crate) fn version(&self, record: RecordId) -> u64 {
        self.rows.get(&record).map_or(0, |row| row.version)
    }

    pub(crate) fn has(&self, record: RecordId) -> bool {
        self.rows.get(&record).is_some_and(|row| row.record.is_some())
    }

    pub(crate) fn set(&mut self, id: RecordId, row: Row) {
        fn index<K: Eq + Hash>(map: &mut HashMap<K, RecordId>, about: K, id: RecordId, there: bool) {
            if there {
                map.insert(about, id);
            } else {
                map.remove(&about);
            }
        }
        let old = self.rows.get(&id).and_then(|row| row.record.clone());
        for (record, there) in [(old.as_ref(), false), (row.record.as_ref(), true)] {
            match record {
                Some(Record::Video(record)) => index(&mut self.videos, record.known.video, id, there),
                Some(Record::Position(record)) => index(&mut self.positions, record.known.video, id, there),
                Some(Record::Share(record)) => index(&mut self.shares, record.known.share, id, there),
                Some(Record::Log(record)) => index(&mut self.logs, record.known.video, id, there),
                Some(Record::Contact(record)) => index(&mut self.contacts, record.known.account, id, there),
                Some(Record::Room(record)) => index(&mut self.rooms, record.known.room, id, there),
                Some(Record::Settings(_)) => self.settings = there.then_some(id),
                Some(Record::Playlist(_) | Record::Unknown | Record::Unreadable(_)) | None => {}
            }
        }
        self.rows.insert(id, row);
    }

    /// The records that cannot be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = Unreadable> {
        self.rows.iter().filter_map(|(record, row)| match row.record {
            Some(Record::Unreadable(fault)) => Some(Unreadable { record: *record, fault }),
            _ => None,
        })
    }

    /// Whether a newer version of this program wrote this record, so that writing it from here would lose something.
    pub(crate) fn is_beyond_us(&self, record: RecordId) -> bool {
        matches!(
            self.rows.get(&record).and_then(|row| row.record.as_ref()),
            Some(Record::Unknown | Record::Unreadable(Fault::TooNew))
        )
    }

    fn record(&self, id: Option<&RecordId>) -> Option<&Record> {
        self.rows.get(id?)?.record.as_ref()
    }

    pub(crate) fn video_kept(&self, video: VideoId) -> Option<&Kept<VideoRecord>> {
        match self.record(self.videos.get(&video))? {
            Record::Video(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn video_record(&self, video: VideoId) -> Option<&VideoRecord> {
        self.video_kept(video).map(|record| &record.known)
    }

    pub(crate) fn records_of_videos(&self) -> impl Iterator<Item = &VideoRecord> {
        self.videos.keys().filter_map(|video| self.video_record(*video))
    }

    pub(crate) fn position(&self, video: VideoId) -> Option<&Kept<PositionRecord>> {
        match self.record(self.positions.get(&video))? {
            Record::Position(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn settings_kept(&self) -> Option<&Kept<SettingsRecord>> {
        match self.record(self.settings.as_ref())? {
            Record::Settings(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn settings(&self) -> Option<&SettingsRecord> {
        self.settings_kept().map(|record| &record.known)
    }

    pub(crate) fn share_kept(&self, share: ShareId) -> Option<&Kept<ShareRecord>> {
        match self.record(self.shares.get(&share))? {
            Record::Share(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn shares(&self) -> impl Iterator<Item = &ShareRecord> {
        self.shares.keys().filter_map(|share| Some(&self.share_kept(*share)?.known))
    }

    pub(crate) fn log_kept(&self, video: VideoId) -> Option<&Kept<LogRecord>> {
        match self.record(self.logs.get(&video))? {
            Record::Log(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn logs(&self) -> impl Iterator<Item = &LogRecord> {
        self.logs.keys().filter_map(|video| Some(&self.log_kept(*video)?.known))
    }

    pub(crate) fn contact_kept(&self, account: AccountId) -> Option<&Kept<ContactRecord>> {
        match self.record(self.contacts.get(&account))? {
            Record::Contact(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn contacts(&self) -> impl Iterator<Item = &ContactRecord> {
        self.contacts.keys().filter_map(|account| Some(&self.contact_kept(*account)?.known))
    }

    pub(crate) fn room_kept(&self, room: RoomId) -> Option<&Kept<RoomRecord>> {
        match self.record(self.rooms.get(&room))? {
            Record::Room(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomRecord> {
        self.rooms.keys().filter_map(|room| Some(&self.room_kept(*room)?.known))
    }

    pub(crate) fn playlist_kept(&self, list: RecordId) -> Option<&Kept<PlaylistRecord>> {
        match self.record(Some(&list))? {
            Record::Playlist(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn playlists_kept(&self) -> impl Iterator<Item = (RecordId, &Kept<PlaylistRecord>)> {
        self.rows.iter().filter_map(|(id, row)| match &row.record {
            Some(Record::Playlist(record)) => Some((*id, record)),
            _ => None,
        })
    }

    pub(crate) fn video(&self, video: VideoId) -> Option<VideoRow> {
        let record = self.video_record(video)?;
        let position = self.position(video).map(|position| &position.known);
        Some(VideoRow {
            video,
            title: record.title.clone(),
            file_name: record.file_name.clone(),
            added_at: record.added_at,
            captured_at: record.captured_at,
            trashed_at: record.trashed_at,
            duration_ms: record.duration_ms,
            size: record.size,
            tracks: record.tracks.clone(),
            poster: record.poster.clone(),
            position: position.map(|position| position.seconds),
            finished: position.is_some_and(|position| position.finished),
            watched_at: position.map(|position| position.at),
        })
    }

    pub(crate) fn videos(&self) -> Vec<VideoRow> {
        self.videos.keys().filter_map(|video| self.video(*video)).collect()
    }

    pub(crate) fn playlists(&self) -> Vec<Playlist> {
        let mut lists: Vec<_> = self
            .playlists_kept()
            .map(|(id, record)| {
                let PlaylistRecord { name, path, items } = record.known.clone();
                let items = items.into_iter().filter(|video| self.videos.contains_key(video)).collect();
                Playlist { id, name, path, items }
            })
            .collect();
        lists.sort_by_cached_key(|list| (super::fold(&list.name), list.id));
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(seq: u64, head: u8) -> Seen {
        Seen { seq, head: Digest::new([head; 32]) }
    }

    #[test]
    fn what_another_writer_saw_must_be_on_the_chain_that_was_shown_here() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.agrees(&seen(0, 0)), "a writer who had seen nothing");
        assert!(!snapshot.agrees(&seen(0, 1)), "nothing has one head only");
        for n in 1..=5 {
            snapshot.advance(n, [n as u8; 32]);
        }
        for n in 1..=5 {
            assert!(snapshot.agrees(&seen(n, n as u8)));
            assert!(!snapshot.agrees(&seen(n, 99)), "another head at {n}");
        }
        assert!(!snapshot.agrees(&seen(6, 6)), "a writer who had seen what was not shown here");
    }

    #[test]
    fn what_is_too_long_ago_is_not_held_against_anybody() {
        let mut snapshot = Snapshot::default();
        for n in 1..=(HEADS as u64 + 10) {
            snapshot.advance(n, [7; 32]);
        }
        assert!(snapshot.agrees(&seen(10, 1)));
        assert!(!snapshot.agrees(&seen(11, 1)));
    }

    #[test]
    fn a_playlist_shows_only_what_is_still_in_the_library() {
        let (here, gone) = (VideoId::from_bytes([1; 16]), VideoId::from_bytes([2; 16]));
        let list = PlaylistRecord { name: "Sea".into(), path: None, items: vec![gone, here] };
        let mut snapshot = Snapshot::default();
        let mut set = |id: u8, record| {
            let row = Row { version: 1, seq: 1, sealed: None, record };
            snapshot.set(RecordId::from_bytes([id; 16]), row);
        };
        set(1, Some(Record::Playlist(Kept::new(list))));
        set(2, Some(Record::Video(Kept::new(crate::records::fixtures::video(here, "Harbour")))));
        set(3, Some(Record::Video(Kept::new(crate::records::fixtures::video(gone, "Gone")))));
        set(3, None);
        assert_eq!(snapshot.playlists()[0].items, [here]);
        assert_eq!(snapshot.videos().len(), 1);
    }
}
