// Whether this very browser plays a track: asked in the page, because workers cannot ask everywhere.

import type { TrackReport } from "./vault";

type Asked = { isTypeSupported(type: string): boolean };

/** Safari on phones has only the managed kind. */
const source = ((globalThis as { MediaSource?: Asked }).MediaSource ??
  (globalThis as { ManagedMediaSource?: Asked }).ManagedMediaSource) as Asked | undefined;

/** Fills in `plays.here` where a track is something that plays at all. */
export function playsHere(tracks: TrackReport[] | undefined): void {
  for (const { kind, codec, plays } of tracks ?? []) {
    if (!source || (kind !== "video" && kind !== "audio")) continue;
    plays.here = source.isTypeSupported(`${kind}/mp4; codecs="${codec}"`);
  }
}
