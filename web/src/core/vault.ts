// What the page may ask of the vault (the worker that holds the keys), and what the vault tells the page.
// The page is a view: everything with a rule in it happens on the other side of this file.
//
// Calls travel as messages (see rpc.ts); every answer is plain data. Errors arrive as VaultError with a stable code.

export type Id = string;

/** Where the account stands on this device. */
export type Access =
  | { kind: "starting" }
  | { kind: "unsupported"; missing: Missing[] }
  | { kind: "offline"; message: string }
  | { kind: "needs-setup" }
  | { kind: "signed-out" }
  | { kind: "locked"; username: string }
  | { kind: "open"; username: string; account: Id; role: "owner" | "member" };

/** What this browser lacks, by name: the messages file has a sentence for each. */
export type Missing = "secure-context" | "webcrypto" | "wasm" | "worker" | "mse" | "indexeddb";

export type VaultError = { code: string; message: string; detail?: unknown };

export type Server = { version: string; needsSetup: boolean };

export type Account = {
  username: string;
  role: "owner" | "member";
  usedBytes: number;
  quotaBytes: number | null;
  createdAt: number;
};

export type Device = { session: Id; device: string; createdAt: number; seenAt: number; current: boolean };
export type Invite = { invite: Id; label: string; expiresAt: number; link: string | null };

export type TrackReport = {
  kind: "video" | "audio" | "subtitle" | "metadata" | "other";
  codec: string;
  /** "H.264", "AAC": for people. */
  codecName: string;
  language: string | null;
  detail: string;
  /** Browsers by name; `here` asks this very browser. */
  plays: { chromium: boolean; firefox: boolean; safari: boolean; here: boolean | null };
};

/** What a file is, before anything is sent. */
export type Probe = {
  name: string;
  bytes: number;
  format: string;
  durationMs: number;
  capturedAt: number | null;
  tracks: TrackReport[];
  warnings: string[];
  /** The library has it already. */
  already: Id | null;
};

export type NewUpload = {
  file: File;
  /** Where the browser gives one, so that a reload needs one click. */
  handle: FileSystemFileHandle | null;
  title: string | null;
  /** The folder it came out of: the playlist that stands for it takes it in. */
  folder: string | null;
  /** Though the library has it. */
  again: boolean;
};

export type UploadState = {
  id: Id;
  name: string;
  title: string;
  video: Id | null;
  phase: "probing" | "waiting" | "sealing" | "committing" | "done" | "failed" | "paused" | "needs-file";
  bytesDone: number;
  bytesTotal: number;
  packsDone: number;
  packsTotal: number;
  bytesPerSecond: number | null;
  secondsLeft: number | null;
  /** Why it waits, in words, when it does. */
  waiting: string | null;
  probe: Probe | null;
  error: VaultError | null;
  /** After the commit: "check what is stored". */
  check: { state: "offered" | "running" | "good" | "bad"; done: number; total: number; message: string | null };
};

export type VideoRow = {
  id: Id;
  title: string;
  fileName: string;
  state: "kept" | "trashed";
  addedAt: number;
  capturedAt: number | null;
  durationMs: number;
  bytes: number;
  width: number | null;
  height: number | null;
  hasPoster: boolean;
  trashedAt: number | null;
  /** Seconds watched so far, for "continue watching". */
  position: number | null;
  finished: boolean;
};

export type Playlist = { id: Id; name: string; path: string | null; videos: Id[] };

export type Sort = "added" | "captured" | "title" | "duration" | "size" | "watched";
export type LibraryQuery = {
  search: string;
  sort: Sort;
  descending: boolean;
  within: { kind: "all" } | { kind: "playlist"; id: Id } | { kind: "trash" } | { kind: "continue" };
};

/** One screenful's worth of ordering: ids only; rows are asked for as they scroll into sight. */
export type LibraryView = { revision: number; total: number; ids: Id[]; playlists: Playlist[] };

/**
 * An alarm that stops nothing but must be seen: the server showed an older or a different history, or entries of the
 * library cannot be read.
 */
export type Alarm = { code: "rollback" | "fork" | "unreadable" | "too_new"; message: string };

export type Playable = {
  video: Id;
  title: string;
  durationMs: number;
  /** Where to begin, in seconds. */
  resumeAt: number;
  /** e2e://<video>/manifest.mpd, for the player's scheme plugin. */
  manifest: string;
  audio: { track: number; language: string | null; label: string; codec: string }[];
  text: { track: number; language: string | null; label: string }[];
  chapters: { startMs: number; title: string }[];
  details: TrackReport[];
};

export type Part = { bytes: ArrayBuffer; contentType: string; fetchMs: number };

/** Whom a share is for. `given` or `lent` to a person; a link for one holder; a link for many; open to whoever knows the address. */
export type ShareKind = "given" | "lent" | "link" | "audience" | "open";

/** What a share allows. Null is unlimited; times in milliseconds. */
export type Policy = {
  from: number | null;
  until: number | null;
  maxViewers: number | null;
  maxPlays: number | null;
  maxAtOnce: number | null;
  /** Origins whose pages may embed it. */
  embedOrigins: string[];
  download: boolean;
};

export type ShareAsk = {
  what: { kind: "video" | "playlist"; id: Id };
  kind: Exclude<ShareKind, "given" | "lent">;
  /** Whom it is for, in the owner's words; the server never learns it. */
  label: string;
  /** Whether the label moves over the picture. */
  mark: boolean;
  password: string | null;
  policy: Policy;
};

/** Somebody whose contact link was added, by a name that only this account knows. */
export type Contact = { account: Id; name: string; fingerprint: string; verifiedAt: number };

/** What a contact link says, before anybody is asked. */
export type ContactRead = {
  account: Id;
  fingerprint: string;
  /** It is this account's own. */
  own: boolean;
  /** What they are called here, if they are a contact already… */
  name: string | null;
  /** …and whether they were known by other keys. */
  changed: boolean;
};

export type PersonAsk = {
  what: ShareAsk["what"];
  to: Id;
  /** Lent, while the server grants it; or else given for good, without limits. */
  lend: boolean;
  /** Whether their name moves over the picture. */
  mark: boolean;
  policy: Policy;
};

/** What somebody gave or lent to this account. */
export type Received = {
  share: Id;
  sender: Id;
  /** What they are called here, if they are a contact. */
  from: string | null;
  kind: "given" | "lent";
  policy: Policy;
  createdAt: number;
  contents:
    | { state: "open"; name: string; videos: { video: Id; title: string }[] }
    /** From nobody who is a contact: not opened. The fingerprint is what the server says is theirs. */
    | { state: "quarantined"; fingerprint: string | null }
    | { state: "refused"; error: VaultError };
};

export type ReceivedShowing = {
  kind: "given" | "lent";
  from: string;
  name: string;
  mark: string;
  mayDownload: boolean;
  videos: { video: Id; title: string }[];
  playable: Playable;
};

export type Share = {
  share: Id;
  kind: ShareKind;
  label: string;
  mark: boolean;
  password: boolean;
  /** Whole, with its secret; null where this account does not know it. */
  link: string | null;
  playlist: Id | null;
  videos: Id[];
  /** Null where the server shows no such share. */
  policy: Policy | null;
  createdAt: number;
  revokedAt: number | null;
  viewers: number;
  plays: number;
  watching: number;
  watchedAt: number | null;
};

/** Who watched a video, by the server's log, which was checked: a log that does not pass is an error. */
export type GrantLog = {
  grants: number;
  /** Of which so many were cleared away by the server's retention. */
  cleared: number;
  /** The newest first. */
  playbacks: Watched[];
};

export type Watched = {
  playback: Id;
  share: Id;
  label: string;
  firstAt: number;
  lastAt: number;
  grants: number;
  furthestMs: number;
  network: string;
  agent: string;
  watching: boolean;
  startupMs: number | null;
  stalls: number;
};

/** A room that this account made. */
export type Room = {
  room: Id;
  name: string;
  /** Whole, with its secret; null where this account does not know it. */
  link: string | null;
  lobby: boolean;
  createdAt: number;
  maxSeats: number;
  expiresAt: number | null;
  /** How many are in it. */
  live: number;
};

export type Settings = { autoLockMinutes: number; theme: "system" | "dark" | "light" };

export interface Vault {
  access(): Promise<Access>;
  retry(): Promise<Access>;

  register(ask: { token: string; username: string; password: string }): Promise<{ phrase: string[] }>;
  /** How strong, 0..4, with advice in words; never leaves the device. */
  passwordAdvice(password: string, username: string): Promise<{ score: number; good: boolean; advice: string }>;
  suggestPassword(): Promise<string>;
  signIn(ask: { username: string; password: string }): Promise<void>;
  unlock(password: string): Promise<void>;
  lock(): Promise<void>;
  /** Somebody is there: puts auto-lock off. Once a minute is enough; playing and uploading count by themselves. */
  active(): Promise<void>;
  signOut(): Promise<void>;
  recover(ask: { username: string; phrase: string; password: string }): Promise<void>;
  changePassword(ask: { old: string; new: string }): Promise<void>;
  account(): Promise<Account>;
  devices(): Promise<Device[]>;
  endDevice(session: Id): Promise<void>;
  invites(): Promise<Invite[]>;
  invite(ask: { label: string; validDays: number; quotaBytes: number | null }): Promise<Invite>;
  endInvite(invite: Id): Promise<void>;
  settings(): Promise<Settings>;
  saveSettings(settings: Settings): Promise<void>;

  /** Fetches what changed, from this device or another. */
  sync(): Promise<void>;
  view(query: LibraryQuery): Promise<LibraryView>;
  rows(ids: Id[]): Promise<VideoRow[]>;
  poster(video: Id): Promise<Blob | null>;
  /** A frame of the playing video, as a small JPEG or WebP. */
  setPoster(video: Id, image: Blob): Promise<void>;
  rename(video: Id, title: string): Promise<void>;
  trash(videos: Id[]): Promise<void>;
  restore(videos: Id[]): Promise<void>;
  deleteForGood(videos: Id[]): Promise<void>;
  createPlaylist(name: string): Promise<Id>;
  renamePlaylist(id: Id, name: string): Promise<void>;
  deletePlaylist(id: Id): Promise<void>;
  addToPlaylist(id: Id, videos: Id[]): Promise<void>;
  /** Puts videos into the playlist that stands for a folder, made where it is missing. */
  addToFolder(folder: string, videos: Id[]): Promise<void>;
  removeFromPlaylist(id: Id, videos: Id[]): Promise<void>;
  /** Puts a video at a place in a playlist, counted from 0. */
  moveInPlaylist(id: Id, video: Id, to: number): Promise<void>;

  probe(file: File): Promise<Probe>;
  /** The films among the files of folders, in order: which of the paths, and the folder that becomes a playlist. */
  takeFromFolders(paths: string[]): Promise<{ at: number; folder: string }[]>;
  upload(files: NewUpload[]): Promise<Id[]>;
  uploads(): Promise<UploadState[]>;
  pauseUpload(id: Id): Promise<void>;
  resumeUpload(id: Id): Promise<void>;
  retryUpload(id: Id): Promise<void>;
  cancelUpload(id: Id): Promise<void>;
  dismissUpload(id: Id): Promise<void>;
  /** The handle kept from an earlier page, where the browser has handles: ask it for leave in a click, then giveFile. */
  keptHandle(id: Id): Promise<FileSystemFileHandle | null>;
  /** Goes on with an upload of an earlier page; refused with code `other_file` if it is not the same file. */
  giveFile(id: Id, file: File): Promise<void>;
  checkStored(id: Id): Promise<void>;

  share(ask: ShareAsk): Promise<Share>;
  /** All shares, or those of one video, stopped ones too; the newest first. */
  shares(video?: Id): Promise<Share[]>;
  /** Holds from the next grant on. */
  setPolicy(share: Id, policy: Policy): Promise<Share>;
  revoke(share: Id): Promise<Share>;
  grantLog(video: Id): Promise<GrantLog>;

  /** The account's own contact link, whole. */
  contactLink(): Promise<{ link: string; fingerprint: string }>;
  contacts(): Promise<Contact[]>;
  readContact(link: string): Promise<ContactRead>;
  /** Who is a contact already is verified anew, and keeps their name where none is given. */
  addContact(ask: { link: string; name: string | null }): Promise<Contact>;
  removeContact(account: Id): Promise<void>;
  shareWith(ask: PersonAsk): Promise<Share>;
  /** What others gave or lent, the newest first. */
  received(): Promise<Received[]>;
  openReceived(share: Id, video: Id): Promise<ReceivedShowing>;
  /** As {@link download}, where whoever shared it allows that. */
  downloadReceived(share: Id, video: Id): Promise<{ url: string; name: string }>;

  /** Keeps a room, and tells the server of it. Room and keys come on the port, from the worker that drew them up. */
  makeRoom(port: MessagePort): Promise<Room>;
  /** Those that are not over, the newest first. */
  rooms(): Promise<Room[]>;
  endRoom(room: Id): Promise<void>;
  /** Who this account is in a room. Its keys go to the port, if there is one, and never to the page. */
  lendRoomKeys(room: Id, port: MessagePort | null): Promise<{ username: string; host: boolean }>;
  /** The host removed somebody. The room's other link comes on the port, from the worker that holds the room. */
  changeRoomLink(room: Id, port: MessagePort): Promise<void>;

  open(video: Id): Promise<Playable>;
  /** One virtual file of an open video. A signal gives up: the answer is then an error with code "aborted". */
  part(uri: string, signal?: AbortSignal): Promise<Part>;
  savePosition(video: Id, seconds: number, finished: boolean): Promise<void>;
  close(video: Id): Promise<void>;
  /** A URL that the service worker answers with the MP4, streamed. */
  download(video: Id): Promise<{ url: string; name: string }>;
}

/** What the vault says by itself. */
export type VaultEvent =
  | { kind: "access"; access: Access }
  | { kind: "library"; revision: number }
  | { kind: "uploads"; uploads: UploadState[] }
  | { kind: "alarm"; alarm: Alarm }
  | { kind: "online"; online: boolean };
