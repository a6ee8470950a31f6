// Where a player's film comes from, and what becomes of watching it. A vault is one, and so is a viewer.

import type { Id, Part } from "./vault";

/** How watching goes: from the wish to play to the first picture, and how often the film had to wait since. */
export type PlaybackReport = { startupMs: number | null; stalls: number };

export interface Source {
  /** One virtual file of an open video. A signal gives up: the answer is then an error with code "aborted". */
  part(uri: string, signal?: AbortSignal): Promise<Part>;
  close(video: Id): Promise<void>;
  /** The owner's own: where they stopped, and a frame for the library. */
  savePosition?(video: Id, seconds: number, finished: boolean): Promise<void>;
  setPoster?(video: Id, image: Blob): Promise<void>;
  /** A viewer's: told to the video's owner. */
  report?(video: Id, report: PlaybackReport): Promise<void>;
}
