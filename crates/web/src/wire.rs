//! The types of `web/src/core/vault.ts`, as they cross over. Names and spellings are that file's.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Access {
    Offline { message: String },
    NeedsSetup,
    SignedOut,
    Locked { username: String },
    Open { username: String, account: String, role: &'static str },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct VaultError {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) role: &'static str,
    pub(crate) used_bytes: u64,
    pub(crate) quota_bytes: Option<u64>,
    pub(crate) created_at: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Device {
    pub(crate) session: String,
    pub(crate) device: String,
    pub(crate) created_at: u64,
    pub(crate) seen_at: u64,
    pub(crate) current: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invite {
    pub(crate) invite: String,
    pub(crate) label: String,
    pub(crate) expires_at: u64,
    pub(crate) link: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackReport {
    pub(crate) kind: &'static str,
    pub(crate) codec: String,
    pub(crate) codec_name: String,
    pub(crate) language: Option<String>,
    pub(crate) detail: String,
    pub(crate) plays: Plays,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Plays {
    pub(crate) chromium: bool,
    pub(crate) firefox: bool,
    pub(crate) safari: bool,
    /// The page asks its browser: a worker cannot everywhere.
    pub(crate) here: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) format: String,
    pub(crate) duration_ms: u64,
    pub(crate) captured_at: Option<u64>,
    pub(crate) tracks: Vec<TrackReport>,
    pub(crate) warnings: Vec<String>,
    pub(crate) already: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Taken {
    pub(crate) at: usize,
    pub(crate) folder: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    Probing,
    Waiting,
    Sealing,
    Committing,
    Done,
    Failed,
    Paused,
    NeedsFile,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadState {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) video: Option<String>,
    pub(crate) phase: Phase,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    pub(crate) packs_done: u64,
    pub(crate) packs_total: u64,
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) seconds_left: Option<f64>,
    pub(crate) waiting: Option<String>,
    pub(crate) probe: Option<Probe>,
    pub(crate) error: Option<VaultError>,
    pub(crate) check: Check,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) state: CheckState,
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckState {
    Offered,
    Running,
    Good,
    Bad,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VideoRow {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) file_name: String,
    pub(crate) state: &'static str,
    pub(crate) added_at: u64,
    pub(crate) captured_at: Option<u64>,
    pub(crate) duration_ms: u64,
    pub(crate) bytes: u64,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) has_poster: bool,
    pub(crate) trashed_at: Option<u64>,
    pub(crate) position: Option<f64>,
    pub(crate) finished: bool,
}

#[derive(Serialize)]
pub(crate) struct Playlist {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) path: Option<String>,
    pub(crate) videos: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    Added,
    Captured,
    Title,
    Duration,
    Size,
    Watched,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Within {
    All,
    Playlist { id: String },
    Trash,
    Continue,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LibraryQuery {
    pub(crate) search: String,
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
    pub(crate) within: Within,
}

#[derive(Serialize)]
pub(crate) struct LibraryView {
    pub(crate) revision: u64,
    pub(crate) total: usize,
    pub(crate) ids: Vec<String>,
    pub(crate) playlists: Vec<Playlist>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Playable {
    pub(crate) video: String,
    pub(crate) title: String,
    pub(crate) duration_ms: u64,
    pub(crate) resume_at: f64,
    pub(crate) manifest: String,
    pub(crate) audio: Vec<AudioTrack>,
    pub(crate) text: Vec<TextTrack>,
    pub(crate) chapters: Vec<Chapter>,
    pub(crate) details: Vec<TrackReport>,
}

#[derive(Serialize)]
pub(crate) struct AudioTrack {
    pub(crate) track: usize,
    pub(crate) language: Option<String>,
    pub(crate) label: String,
    pub(crate) codec: String,
}

#[derive(Serialize)]
pub(crate) struct TextTrack {
    pub(crate) track: usize,
    pub(crate) language: Option<String>,
    pub(crate) label: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chapter {
    pub(crate) start_ms: u64,
    pub(crate) title: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) auto_lock_minutes: u32,
    pub(crate) theme: String,
}

#[derive(Serialize)]
pub(crate) struct Advice {
    pub(crate) score: u8,
    pub(crate) good: bool,
    pub(crate) advice: String,
}

#[derive(Deserialize)]
pub(crate) struct Registration {
    pub(crate) token: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

#[derive(Deserialize)]
pub(crate) struct Recovery {
    pub(crate) username: String,
    pub(crate) phrase: String,
    pub(crate) password: String,
}

#[derive(Deserialize)]
pub(crate) struct PasswordChange {
    pub(crate) old: String,
    pub(crate) new: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InviteAsk {
    pub(crate) label: String,
    pub(crate) valid_days: u32,
    pub(crate) quota_bytes: Option<u64>,
}

/// What the vault says by itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Event {
    Access { access: Access },
    Library { revision: u64 },
    Uploads { uploads: Vec<UploadState> },
    Alarm { alarm: Alarm },
    Online { online: bool },
}

#[derive(Clone, Serialize)]
pub(crate) struct Alarm {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// What a share allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    pub(crate) from: Option<u64>,
    pub(crate) until: Option<u64>,
    pub(crate) max_viewers: Option<u32>,
    pub(crate) max_plays: Option<u32>,
    pub(crate) max_at_once: Option<u32>,
    pub(crate) embed_origins: Vec<String>,
    pub(crate) download: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Shared {
    Video { id: String },
    Playlist { id: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShareKind {
    Given,
    Lent,
    Link,
    Audience,
    Open,
}

#[derive(Deserialize)]
pub(crate) struct ShareAsk {
    pub(crate) what: Shared,
    pub(crate) kind: ShareKind,
    pub(crate) label: String,
    pub(crate) mark: bool,
    pub(crate) password: Option<String>,
    pub(crate) policy: Policy,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Share {
    pub(crate) share: String,
    pub(crate) kind: ShareKind,
    pub(crate) label: String,
    pub(crate) mark: bool,
    pub(crate) password: bool,
    /// Whole, with its secret.
    pub(crate) link: Option<String>,
    pub(crate) playlist: Option<String>,
    pub(crate) videos: Vec<String>,
    /// Nothing where the server shows no such share.
    pub(crate) policy: Option<Policy>,
    pub(crate) created_at: u64,
    pub(crate) revoked_at: Option<u64>,
    pub(crate) viewers: u32,
    pub(crate) plays: u32,
    pub(crate) watching: u32,
    pub(crate) watched_at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomAsk {
    pub(crate) room: String,
    pub(crate) fragment: String,
    /// 32 bytes.
    pub(crate) host: Vec<u8>,
    pub(crate) name: String,
    pub(crate) lobby: bool,
    pub(crate) door: gloaming_api::room::RoomDoor,
    pub(crate) max_seats: u32,
    pub(crate) expires_at: Option<u64>,
    pub(crate) hide_addresses: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Room {
    pub(crate) room: String,
    pub(crate) name: String,
    /// Whole, with its secret.
    pub(crate) link: Option<String>,
    pub(crate) lobby: bool,
    pub(crate) created_at: u64,
    pub(crate) max_seats: u32,
    pub(crate) expires_at: Option<u64>,
    pub(crate) live: u32,
}

/// With what somebody comes into a room. Goes to the worker that holds the room, and never to the page.
#[derive(Serialize)]
pub(crate) struct RoomKeys {
    pub(crate) username: String,
    pub(crate) device: Vec<u8>,
    pub(crate) host: Option<Vec<u8>>,
}

/// One's own contact link, whole.
#[derive(Serialize)]
pub(crate) struct OwnContact {
    pub(crate) link: String,
    pub(crate) fingerprint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contact {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) verified_at: u64,
}

/// What a contact link says, before it is added.
#[derive(Serialize)]
pub(crate) struct ContactRead {
    pub(crate) account: String,
    pub(crate) fingerprint: String,
    pub(crate) own: bool,
    pub(crate) changed: bool,
    pub(crate) name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ContactAsk {
    pub(crate) link: String,
    pub(crate) name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PersonAsk {
    pub(crate) what: Shared,
    pub(crate) to: String,
    pub(crate) lend: bool,
    pub(crate) mark: bool,
    pub(crate) policy: Policy,
}

/// What somebody gave or lent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) share: String,
    pub(crate) sender: String,
    pub(crate) from: Option<String>,
    pub(crate) kind: ShareKind,
    pub(crate) policy: Policy,
    pub(crate) created_at: u64,
    pub(crate) contents: Contents,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum Contents {
    Open { name: String, videos: Vec<SharedTitle> },
    Quarantined { fingerprint: Option<String> },
    Refused { error: VaultError },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceivedShowing {
    pub(crate) kind: ShareKind,
    pub(crate) from: String,
    pub(crate) name: String,
    pub(crate) mark: String,
    pub(crate) may_download: bool,
    pub(crate) videos: Vec<SharedTitle>,
    pub(crate) playable: Playable,
}

/// Who watched a video, by its log, which was checked.
#[derive(Serialize)]
pub(crate) struct GrantLog {
    pub(crate) grants: u64,
    /// Of which so many were cleared away.
    pub(crate) cleared: u64,
    pub(crate) playbacks: Vec<Watched>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watched {
    pub(crate) playback: String,
    pub(crate) share: String,
    pub(crate) label: String,
    pub(crate) first_at: u64,
    pub(crate) last_at: u64,
    pub(crate) grants: u64,
    pub(crate) furthest_ms: u64,
    pub(crate) network: String,
    pub(crate) agent: String,
    pub(crate) watching: bool,
    pub(crate) startup_ms: Option<u32>,
    pub(crate) stalls: u32,
}

/// A link, as its page was opened with it.
#[derive(Deserialize)]
pub(crate) struct LinkAsk {
    pub(crate) share: String,
    pub(crate) fragment: String,
    pub(crate) password: Option<String>,
    pub(crate) video: Option<String>,
    pub(crate) embedded: bool,
}

/// What a link opened.
#[derive(Serialize)]
pub(crate) struct Showing {
    pub(crate) kind: ShareKind,
    pub(crate) policy: Policy,
    pub(crate) name: String,
    pub(crate) mark: String,
    pub(crate) videos: Vec<SharedTitle>,
    pub(crate) playable: Playable,
}

#[derive(Serialize)]
pub(crate) struct SharedTitle {
    pub(crate) video: String,
    pub(crate) title: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlaybackReport {
    pub(crate) startup_ms: Option<u32>,
    pub(crate) stalls: u32,
}

/// What the viewer says by itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum ViewerEvent {
    /// It may no longer be watched: what is buffered is to be cleared.
    Over { video: String, error: VaultError },
}
