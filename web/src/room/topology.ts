// Which way media goes: from each to each, or through the server's forwarder. Every member decides alone, from what all of
// them know, and so they agree without anybody who leads; while they do not yet, a pair has both ways. A way is given up only
// when what comes by the other is seen, and whoever is at the other end says the same.

import type { Seat } from "./member";

export type Way = "mesh" | "forwarder";

/** What the decision hangs on. */
export type Facts = {
  /** In the group, this one included. */
  seats: number;
  /** The height of the largest screen that is shared, in lines; 0 where none is. */
  lines: number;
  /** Members do not learn each other's addresses. */
  hidden: boolean;
  /** Two of them found no way to each other. */
  pathless: boolean;
  /** The server has a forwarder, and it can be reached. */
  forwarder: boolean;
};

/** What members say of it to each other: control message 2. */
export type Said = {
  way: Way;
  /** Whose media is seen by way of the forwarder, rather than over a connection of the two. */
  forwarded: Seat[];
  /** This seat does not find the way to somebody. */
  pathless: boolean;
};

/** As many are comfortable in a mesh, in which everything is sent to each. */
export const MESH_SEATS = 4;
/** Fewer, while somebody shares a screen of so many lines. */
export const LARGE_LINES = 1080;
/** For so long there have to be few enough before the forwarder is left. */
export const BACK_AFTER_MS = 4_000;

export function wanted({ seats, lines, hidden, pathless, forwarder }: Facts): Way {
  if (hidden) return "forwarder";
  const most = lines >= LARGE_LINES ? MESH_SEATS - 1 : MESH_SEATS;
  return forwarder && (seats > most || pathless) ? "forwarder" : "mesh";
}

export class Topology {
  #way: Way | null = null;
  #fewSince: number | null = null;

  get way(): Way {
    return this.#way ?? "mesh";
  }

  /** To the forwarder at once, and back after a while. `now` is in milliseconds from any one start. */
  decide(facts: Facts, now: number): Way {
    const want = wanted(facts);
    // Without a forwarder there is nothing to stay with.
    const waits = this.#way === "forwarder" && want === "mesh" && facts.forwarder;
    this.#fewSince = waits ? (this.#fewSince ?? now) : null;
    if (this.#fewSince === null || now - this.#fewSince >= BACK_AFTER_MS) this.#way = want;
    return this.way;
  }
}

/** One's own side of a pair, and what the other one said. */
export type Pair = { way: Way; hidden: boolean; seen: Way; own: Seat; said: Said | null };

/** Whether the two are to have a connection of their own. Where one of them cannot do without, they do. */
export const linkWanted = ({ way, hidden, said }: Pair): boolean => !hidden && (way === "mesh" || said?.way === "mesh");

/** Whether a connection that the two have is of no more use. */
export const linkOver = ({ way, seen, own, said }: Pair): boolean =>
  way === "forwarder" && seen === "forwarder" && said !== null && said.way === "forwarder" && said.forwarded.includes(own);

/** Whether nobody needs this seat's connection to the forwarder any more. */
export const forwarderOver = (pairs: readonly Pair[]): boolean =>
  pairs.every(({ way, seen, own, said }) => way === "mesh" && seen === "mesh" && said !== null && said.way === "mesh" && !said.forwarded.includes(own));

/** What another member said, as far as it can be read. */
export function readSaid(body: Partial<Record<keyof Said, unknown>>): Said {
  const seats = Array.isArray(body.forwarded) ? body.forwarded : [];
  return {
    way: body.way === "forwarder" ? "forwarder" : "mesh",
    forwarded: seats.filter((seat): seat is Seat => typeof seat === "string"),
    pathless: body.pathless === true,
  };
}
