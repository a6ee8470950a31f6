// Whether everything that leaves and comes is sealed, by the browser's own count of frames against the worker's. Nobody sees
// "encrypted" before this has said so, and a connection that fails it is closed at once.
//
// The browser's numbers are taken first, the worker's after them: frames that pass in between can only make the worker's
// greater, never the browser's.

import type { Counter } from "./member";
import { SLOTS } from "./slots";

export type Verdict =
  /** Connected, and nothing has been sent or received. */
  | "quiet"
  | "sealed"
  /** Frames passed that the worker did not see. */
  | "broken";

/** Packets of sound that may be on their way between the network and the transform. */
const ON_THE_WAY = 25;

/** Under which name the worker counts a place's frames. */
export type Place = Pick<Counter, "link" | "slot">;

/** A connection, as far as this goes. */
export type Judged = { placeOf(mid: string | null | undefined, side: Counter["side"]): Place | null };

type Rtp = {
  type: string;
  mid?: string;
  framesSent?: number;
  framesDecoded?: number;
  packetsSent?: number;
  retransmittedPacketsSent?: number;
  packetsReceived?: number;
};

/** What came of a place, by the browser's count, and whether the worker saw it: frames of video, packets of sound. */
type Passed = Place & { side: Counter["side"]; count: number; counter: Counter | undefined };

/** A place for each section: the layers of a camera count together. Null where something is in no place of ours. */
function passed(connection: Judged, stats: Iterable<Rtp>, counters: readonly Counter[]): Passed[] | null {
  const found = new Map<string, Passed>();
  for (const stat of stats) {
    if (stat.type !== "outbound-rtp" && stat.type !== "inbound-rtp") continue;
    const side = stat.type === "outbound-rtp" ? "send" : "receive";
    const place = connection.placeOf(stat.mid, side);
    if (place === null) return null;
    const { link, slot } = place;
    const video = SLOTS[slot]?.kind === "video";
    const count = (side === "send" ? (video ? stat.framesSent : (stat.packetsSent ?? 0) - (stat.retransmittedPacketsSent ?? 0)) : video ? stat.framesDecoded : stat.packetsReceived) ?? 0;
    const name = `${side}/${link}/${slot}`;
    const counter = counters.find((counter) => counter.link === link && counter.side === side && counter.slot === slot);
    found.set(name, { link, slot, side, counter, count: count + (found.get(name)?.count ?? 0) });
  }
  return [...found.values()];
}

export function judge(connection: Judged, stats: Iterable<Rtp>, counters: readonly Counter[]): Verdict {
  const places = passed(connection, stats, counters);
  if (places === null) return "broken";
  for (const { slot, side, count, counter } of places) {
    const sound = side === "receive" && SLOTS[slot]?.kind !== "video";
    const most = sound ? (counter?.seen ?? 0) + ON_THE_WAY : (counter?.done ?? 0);
    if (count > most) return "broken";
  }
  return places.some(({ count, counter }) => count > 0 && (counter?.done ?? 0) > 0) ? "sealed" : "quiet";
}

/** The places from which something was opened and shown, by the name under which the worker counts them. */
export function shown(connection: Judged, stats: Iterable<Rtp>, counters: readonly Counter[]): Place[] {
  return (passed(connection, stats, counters) ?? []).filter(({ side, count, counter }) => side === "receive" && count > 0 && (counter?.done ?? 0) > 0);
}
