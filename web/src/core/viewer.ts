// What the page of a link may ask of its worker, which holds the link's keys, and what that tells the page. Nobody has an
// account here. (crates/web/src/viewer.rs is the other side of this file.)

import type { PlaybackReport, Source } from "./source";
import type { Id, Playable, Policy, ShareKind, VaultError } from "./vault";

export type LinkAsk = {
  share: Id;
  /** What stood behind the link's `#`; empty for an open share. */
  fragment: string;
  password: string | null;
  /** Of a playlist; its first if null. */
  video: Id | null;
  /** In a frame on another page. */
  embedded: boolean;
};

/** What a link opened: its videos, of which one is ready to be played. */
export type Showing = {
  kind: ShareKind;
  policy: Policy;
  name: string;
  /** What moves over the picture; empty for nothing. */
  mark: string;
  videos: { video: Id; title: string }[];
  playable: Playable;
};

export interface Viewer extends Source {
  /** Whether the link wants a password. A link that was cut short fails with code `link_incomplete`. Asks nobody. */
  wantsPassword(share: Id, fragment: string): Promise<boolean>;
  open(ask: LinkAsk): Promise<Showing>;
  /** Another video of the link, or the same one again, to go on at `resumeAt` (seconds). */
  openVideo(video: Id, resumeAt: number): Promise<Playable>;
  report(video: Id, report: PlaybackReport): Promise<void>;
  download(video: Id): Promise<{ url: string; name: string }>;
}

/** It may no longer be watched: what is buffered is to be cleared. */
export type ViewerEvent = { kind: "over"; video: Id; error: VaultError };
