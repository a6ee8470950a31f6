// What comes as text through the room's socket, beside the room's log: from the server itself, and from its forwarder
// (crates/sfu/src/signal.rs is the other side of this file). SDP goes in the clear here: the server is the other end of this
// connection anyway, and what keeps it out is that frames are sealed.

import type { Seat } from "./member";

export type Want = { priority: number; highest: number; pause: boolean };

export type ToForwarder =
  | { type: "offer"; sdp: string; send: { mid: string; track: number; layers: string[] }[]; receive: { mid: string; seat: Seat; track: number; want: Want }[] }
  | { type: "prefer"; wants: { mid: string; want: Want }[] }
  | { type: "bye" };

export type Refusal = "not_a_member" | "full" | "too_much" | "bad_offer";
export type Ended = "bye" | "removed" | "lost" | "room_over" | "fault";
export type ForwardedTrack = { seat: Seat; track: number; video: boolean; layers: number };

export type FromForwarder =
  | { type: "answer"; sdp: string }
  | { type: "refused"; why: Refusal }
  | { type: "tracks"; tracks: ForwardedTrack[] }
  | { type: "unsealed"; track: number }
  | { type: "layer"; mid: string; layer: number | null }
  | { type: "closed"; why: Ended };

/** How browsers may find each other: after every beginning of the socket. */
export type Network = { type: "network"; ice: RTCIceServer[]; forwarder: boolean };

/** The longest text that the server takes, in bytes. */
export const MAX_SIGNAL = 128 * 1024;

/** One of these, or nothing. */
export function readSignal(text: string): FromForwarder | Network | null {
  try {
    const value = JSON.parse(text) as { type?: unknown };
    const known = ["answer", "refused", "tracks", "unsealed", "layer", "closed", "network"];
    return known.includes(value?.type as string) ? (value as FromForwarder | Network) : null;
  } catch {
    return null;
  }
}
