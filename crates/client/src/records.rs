//! What the library's records say, and how they are written.
//!
//! ```text
//! record = CBOR { kind: text, v: 1, seen: { seq, head(32) }, at: unix ms, body: map }       sealed by `gloaming-keys`
//! ```
//!
//! * `seen` is the feed's head that the writer had seen. Sealed, it is testimony that the server cannot forge: whoever
//!   reads the record checks it against the chain they were shown.
//! * Fields that a newer version added to a body are kept as they are when this version writes the record again. A kind
//!   that is not known here is left alone altogether; a newer `v` is left alone and said so.

use ciborium::Value;
use gloaming_api::share::ShareKind;
use gloaming_ids::{AccountId, ObjectId, RecordId, RoomId, ShareId, UnixMillis, VideoId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const FORMAT: u8 = 1;

/// A digest, as CBOR bytes.
pub(crate) type Digest = serde_bytes::ByteArray<32>;

/// A video of the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoRecord {
    /// Which.
    pub video: VideoId,
    /// What the owner calls it.
    pub title: String,
    /// What the file was called.
    pub file_name: String,
    /// When it was recorded, by the file's own account.
    pub captured_at: Option<UnixMillis>,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// Bytes of the source file.
    pub size: u64,
    /// The index this record vouches for: an older one served again is noticed.
    pub index_version: u64,
    /// SHA-256 of the sealed index.
    pub index_digest: Digest,
    /// See [`crate::fingerprint`].
    pub fingerprint: Digest,
    /// When the source file was last written.
    pub modified_at: Option<UnixMillis>,
    /// When it came into the library.
    pub added_at: UnixMillis,
    /// Since when it is in the trash.
    pub trashed_at: Option<UnixMillis>,
    /// Its streams, for lists and for "where does it play".
    pub tracks: Vec<TrackSummary>,
    /// Its picture.
    pub poster: Option<PosterInfo>,
}

/// One stream, in few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackSummary {
    /// `video`, `audio`, `subtitle`, `metadata` or `other`.
    pub kind: String,
    /// RFC 6381.
    pub codec: String,
    /// BCP 47, or `und`.
    pub language: String,
    /// Pixels, before rotation; 0 without a picture.
    pub width: u32,
    /// Pixels, before rotation.
    pub height: u32,
    /// High dynamic range.
    pub hdr: bool,
}

/// A video's picture: a sealed object beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PosterInfo {
    /// Where it rests.
    pub object: ObjectId,
    /// Which version of it, as bound into its seal.
    pub version: u64,
    /// Bytes, sealed.
    pub length: u64,
    /// SHA-256 of the sealed object.
    pub digest: Digest,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// BlurHash, for before it is loaded.
    pub blurhash: String,
}

/// Videos in an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistRecord {
    /// What the owner calls it.
    pub name: String,
    /// The folder it stands for, relative, with `/`: set by an upload of a folder.
    pub path: Option<String>,
    /// Its videos; no video twice.
    pub items: Vec<VideoId>,
}

/// How far somebody watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PositionRecord {
    /// Which video.
    pub video: VideoId,
    /// Seconds from its start.
    pub seconds: f64,
    /// Watched to the end.
    pub finished: bool,
    /// When, by the watching device's clock. The newest wins.
    pub at: UnixMillis,
}

/// Wishes that follow the account from device to device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsRecord {
    /// Lock after so many minutes without a touch; 0 is never.
    pub auto_lock_minutes: Option<u32>,
    /// `system`, `dark` or `light`.
    pub theme: Option<String>,
}

/// What a share is to its owner: what the server is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareRecord {
    /// Which.
    pub share: ShareId,
    /// Whom it is for.
    pub kind: ShareKind,
    /// Whom the owner made it for, in their own words. The log names it by this.
    pub label: String,
    /// Its videos, in order.
    pub videos: Vec<VideoId>,
    /// The playlist it was made of.
    pub playlist: Option<RecordId>,
    /// The account it is given or lent to.
    #[serde(default)]
    pub recipient: Option<AccountId>,
    /// What stands behind the link's `#`, so that the link can be shown again.
    pub fragment: Option<Fragment>,
    /// Whether the label moves over the picture.
    pub mark: bool,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Since when it is revoked.
    pub revoked_at: Option<UnixMillis>,
}

/// A link's secret, as text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fragment(pub(crate) String);

impl std::fmt::Debug for Fragment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fragment(..)")
    }
}

/// Somebody whose contact link was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContactRecord {
    pub(crate) account: AccountId,
    /// What they are called here.
    pub(crate) name: String,
    /// By which keys they are known.
    pub(crate) fingerprint: Digest,
    /// When their contact link was last added.
    pub(crate) verified_at: UnixMillis,
}

/// A room that the owner of the library made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomRecord {
    pub(crate) room: RoomId,
    /// What it is called.
    pub(crate) name: String,
    /// What stands behind its link's `#`. It changes when the host removes somebody.
    pub(crate) fragment: Fragment,
    /// How many removals came before this link.
    pub(crate) number: u32,
    /// Whether the host admits everybody one by one.
    pub(crate) lobby: bool,
    /// What makes this account the host.
    pub(crate) host: HostSeed,
    /// When it was made.
    pub(crate) created_at: UnixMillis,
}

/// What a room's host signs with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HostSeed(pub(crate) serde_bytes::ByteArray<32>);

impl std::fmt::Debug for HostSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostSeed(..)")
    }
}

/// What was seen of the log of a video's grants, so that what is shown later can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogRecord {
    pub(crate) video: VideoId,
    /// Whose signatures count: the key that was seen first.
    pub(crate) log_key: Digest,
    pub(crate) count: u64,
    pub(crate) head: Digest,
}

/// A body, and the fields of it that this version does not know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept<T> {
    pub(crate) known: T,
    rest: Vec<(Value, Value)>,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    pub(crate) fn new(known: T) -> Self {
        Self { known, rest: Vec::new() }
    }

    /// In the place of what is there, of which the fields that only a newer version knows stay.
    pub(crate) fn over(there: Option<&Self>, known: T) -> Self {
        Self { known, rest: there.map(|there| there.rest.clone()).unwrap_or_default() }
    }

    fn read(body: Value) -> Option<Self> {
        let known: T = body.deserialized().ok()?;
        let Value::Map(mut rest) = body else { return None };
        let Ok(Value::Map(spelled)) = Value::serialized(&known) else { return None };
        rest.retain(|(name, _)| !spelled.iter().any(|(known, _)| known == name));
        Some(Self { known, rest })
    }

    fn write(&self) -> Value {
        let mut body = match Value::serialized(&self.known) {
            Ok(Value::Map(body)) => body,
            _ => unreachable!("bodies are structs of plain fields"),
        };
        body.extend(self.rest.iter().cloned());
        Value::Map(body)
    }
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most of a library is videos")]
pub(crate) enum Record {
    Video(Kept<VideoRecord>),
    Playlist(Kept<PlaylistRecord>),
    Position(Kept<PositionRecord>),
    Settings(Kept<SettingsRecord>),
    Share(Kept<ShareRecord>),
    Log(Kept<LogRecord>),
    Contact(Kept<ContactRecord>),
    Room(Kept<RoomRecord>),
    /// Of a kind that this build does not know. Never written again from here.
    Unknown,
    /// There is a record, and it cannot be read.
    Unreadable(Fault),
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A newer version of this program wrote it. It is kept as it is, and not written from here.
    TooNew,
    /// Its bytes are not those that were written.
    Damaged,
    /// The server names it and does not give its bytes.
    Withheld,
}

/// The head of the feed, at a place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) seq: u64,
    pub(crate) head: Digest,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    v: u8,
    seen: Seen,
    at: UnixMillis,
    body: Value,
}

impl Record {
    /// The name of its kind, which is also what derived record ids are made of.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Record::Video(_) => "video",
            Record::Playlist(_) => "playlist",
            Record::Position(_) => "position",
            Record::Settings(_) => "settings",
            Record::Share(_) => "share",
            Record::Log(_) => "grant-log",
            Record::Contact(_) => "contact",
            Record::Room(_) => "room",
            Record::Unknown | Record::Unreadable(_) => "unknown",
        }
    }

    /// The plaintext of a record.
    pub(crate) fn encode(&self, seen: Seen, at: UnixMillis) -> Vec<u8> {
        let body = match self {
            Record::Video(body) => body.write(),
            Record::Playlist(body) => body.write(),
            Record::Position(body) => body.write(),
            Record::Settings(body) => body.write(),
            Record::Share(body) => body.write(),
            Record::Log(body) => body.write(),
            Record::Contact(body) => body.write(),
            Record::Room(body) => body.write(),
            Record::Unknown | Record::Unreadable(_) => unreachable!("what is not understood is not written"),
        };
        let envelope = Envelope { kind: self.kind().into(), v: FORMAT, seen, at, body };
        let mut bytes = Vec::new();
        ciborium::into_writer(&envelope, &mut bytes).expect("writing to memory does not fail");
        bytes
    }

    /// What a record says, and the head its writer had seen.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Record, Seen), Fault> {
        let Envelope { kind, v, seen, body, .. } =
            ciborium::from_reader(bytes).map_err(|_| Fault::Damaged)?;
        if v > FORMAT {
            return Ok((Record::Unreadable(Fault::TooNew), seen));
        }
        let record = match kind.as_str() {
            "video" => Kept::read(body).map(Record::Video),
            "playlist" => Kept::read(body).map(Record::Playlist),
            "position" => Kept::read(body).map(Record::Position),
            "settings" => Kept::read(body).map(Record::Settings),
            "share" => Kept::read(body).map(Record::Share),
            "grant-log" => Kept::read(body).map(Record::Log),
            "contact" => Kept::read(body).map(Record::Contact),
            "room" => Kept::read(body).map(Record::Room),
            _ => Some(Record::Unknown),
        };
        Ok((record.unwrap_or(Record::Unreadable(Fault::Damaged)), seen))
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

    pub(crate) fn video(video: VideoId, title: &str) -> VideoRecord {
        VideoRecord {
            video,
            title: title.into(),
            file_name: "MVI_0001.MOV".into(),
            captured_at: Some(UnixMillis(1)),
            duration_ms: 61_000,
            size: 1 << 30,
            index_version: 1,
            index_digest: Digest::new([4; 32]),
            fingerprint: Digest::new([5; 32]),
            modified_at: None,
            added_at: UnixMillis(2),
            trashed_at: None,
            tracks: vec![],
            poster: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn seen() -> Seen {
        Seen { seq: 7, head: Digest::new([3; 32]) }
    }

    fn video() -> VideoRecord {
        fixtures::video(VideoId::from_bytes([1; 16]), "Harbour at dusk")
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = Record::Video(Kept::new(video()));
        let (back, witness) = Record::decode(&record.encode(seen(), UnixMillis(9))).unwrap();
        assert_eq!((back, witness), (record, seen()));
    }

    #[test]
    fn a_field_of_a_newer_version_survives_a_rename_by_this_one() {
        let Ok(Value::Map(mut body)) = Value::serialized(&video()) else { panic!() };
        body.push((Value::Text("mood".into()), Value::Text("calm".into())));
        let newer =
            Envelope { kind: "video".into(), v: 1, seen: seen(), at: UnixMillis(0), body: Value::Map(body) };
        let mut bytes = Vec::new();
        ciborium::into_writer(&newer, &mut bytes).unwrap();

        let (Record::Video(mut record), _) = Record::decode(&bytes).unwrap() else { panic!() };
        record.known.title = "Another".into();
        let again = Record::Video(record).encode(seen(), UnixMillis(0));
        let envelope: Envelope = ciborium::from_reader(again.as_slice()).unwrap();
        let Value::Map(body) = envelope.body else { panic!() };
        assert!(body.contains(&(Value::Text("mood".into()), Value::Text("calm".into()))));
        assert!(body.contains(&(Value::Text("title".into()), Value::Text("Another".into()))));
        assert_eq!(body.iter().filter(|(name, _)| *name == Value::Text("title".into())).count(), 1);
    }

    #[test]
    fn an_unknown_kind_is_left_alone_and_what_cannot_be_read_says_why() {
        for (kind, v, becomes) in [
            ("mystery", 1, Record::Unknown),
            ("video", 2, Record::Unreadable(Fault::TooNew)),
            ("mystery", 2, Record::Unreadable(Fault::TooNew)),
            ("video", 1, Record::Unreadable(Fault::Damaged)),
        ] {
            let record =
                Envelope { kind: kind.into(), v, seen: seen(), at: UnixMillis(0), body: Value::Null };
            let mut bytes = Vec::new();
            ciborium::into_writer(&record, &mut bytes).unwrap();
            assert_eq!(Record::decode(&bytes).unwrap(), (becomes, seen()));
        }
        assert_eq!(Record::decode(b"\xff"), Err(Fault::Damaged));
    }
}
