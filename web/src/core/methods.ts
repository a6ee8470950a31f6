// The vault's calls by name: what the page may send, and all that the worker answers.

import type { Vault } from "./vault";

const METHODS = [
  "access", "retry",
  "register", "passwordAdvice", "suggestPassword", "signIn", "unlock", "lock", "active", "signOut", "recover", "changePassword",
  "account", "devices", "endDevice", "invites", "invite", "endInvite", "settings", "saveSettings",
  "sync", "view", "rows", "poster", "setPoster", "rename", "trash", "restore", "deleteForGood",
  "createPlaylist", "renamePlaylist", "deletePlaylist", "addToPlaylist", "addToFolder", "removeFromPlaylist", "moveInPlaylist",
  "probe", "takeFromFolders", "upload", "uploads", "pauseUpload", "resumeUpload", "retryUpload", "cancelUpload", "dismissUpload", "keptHandle",
  "giveFile", "checkStored",
  "share", "shares", "setPolicy", "revoke", "grantLog",
  "contactLink", "contacts", "readContact", "addContact", "removeContact", "shareWith", "received", "openReceived",
  "makeRoom", "rooms", "endRoom", "lendRoomKeys", "changeRoomLink",
  "open", "part", "savePosition", "close",
] as const satisfies readonly (keyof Vault)[];

/** Calls that the page's end puts together out of others. */
type Composed = "download" | "downloadReceived";

export type Method = (typeof METHODS)[number];

/** A download that can be served. */
export type Begun = { download: number; name: string; size: number | null };

/** What the worker answers besides: halves of what the page's end composes. */
export interface Backstage {
  /** A picture for an upload, or none can be made; the commit waits a little for it. */
  offerPoster(upload: string, image: Blob | null): Promise<void>;
  startDownload(video: string): Promise<Begun>;
  startReceivedDownload(share: string, video: string): Promise<Begun>;
  /** Answers "pull" on the port with a chunk each, until the end. Kept when it is over. */
  serveDownload(download: number, port: MessagePort): Promise<void>;
  /** Another worker of this origin locked, unlocked or signed out: looks again at what is kept. */
  heard(): Promise<void>;
}

export type Core = Pick<Vault, Method> & Backstage;

export const VAULT_METHODS: readonly Method[] = METHODS;
export const BACKSTAGE: readonly (keyof Backstage)[] = ["offerPoster", "startDownload", "startReceivedDownload", "serveDownload", "heard"];

/**
 * Calls that stretch a password. Argon2id takes 128 MiB, and WASM's memory never shrinks: they run in a worker of their
 * own that ends with them, and takes the password with it.
 */
export const AT_THE_DOOR: ReadonlySet<string> = new Set<Method>(["register", "signIn", "unlock", "recover", "changePassword"]);

// A method of the contract that is in neither list does not compile.
type Forgotten = Exclude<keyof Vault, Method | Composed>;
const complete: [Forgotten] extends [never] ? true : Forgotten = true;
void complete;
