// What the room's page may ask of its worker, which holds the room's keys and its socket, and what that tells the page.
// (crates/room-web is the other side of this file; what crosses over is spelled in its wire.rs.)

import type { VaultError } from "../core/vault";
import type { FromForwarder, Network, ToForwarder } from "./signal";

export type Seat = string;

/** Who comes in, and into which room. What vouches for an account's seats comes by another way: see {@link RoomCore.enter}. */
export type Entrance = { room: string; fragment: string; name: string };

/** What a link says before anybody is asked for anything. */
export type About = {
  /** Empty where it has none, or it does not open with this link. */
  name: string;
  /** Pages keep to it; who does not is seen by everybody. */
  onlyHostShares: boolean;
  /** Nobody connects to anybody directly, so that no member learns another's address. */
  hideAddresses: boolean;
  lobby: boolean;
  maxSeats: number;
  /** In milliseconds. */
  expiresAt: number | null;
  live: number;
};

/** Who somebody says they are, and the code of the device that vouches for it. */
export type Name = { name: string; code: string };

/** What members say to each other. */
export type Words =
  | { kind: "signal"; body: string }
  | { kind: "chat"; text: string }
  | { kind: "react"; emoji: string }
  | { kind: "hand"; up: boolean }
  | { kind: "mute"; track: number }
  | { kind: "control"; about: number; body: string };

/** What a control message is about (crates/room/src/app.rs). */
export const CONTROL = { tracks: 1, topology: 2 } as const;

export type LeftHow = "left" | "lost" | "expelled" | "unexplained";

/** What the core says happened. */
export type RoomEvent =
  | { kind: "first" }
  | { kind: "knocking" }
  /** A lobby without its host, before whom nobody comes in. */
  | { kind: "host-awaited" }
  | { kind: "seated"; seat: Seat }
  | { kind: "epoch"; epoch: number; seats: number }
  | { kind: "sealing"; epoch: number }
  | { kind: "joined"; seat: Seat }
  | { kind: "left"; seat: Seat; how: LeftHow }
  | { kind: "introduced"; seat: Seat }
  | { kind: "said"; seat: Seat; said: Words }
  | { kind: "at-the-door"; seat: Seat; card: Name | null }
  | { kind: "away"; seat: Seat }
  | { kind: "back"; seat: Seat }
  | { kind: "link-changed" }
  | { kind: "denied" }
  /** The server does not know this link any more, or not yet. The member asks again. */
  | { kind: "link-refused" }
  | { kind: "full" }
  | { kind: "removed" }
  | { kind: "ended" }
  | { kind: "rejoining" }
  | { kind: "doubt"; code: string; message: string };

/** The same, with what goes with it, and what the worker knows of its socket. */
export type FromRoom =
  | Exclude<RoomEvent, { kind: "seated" | "epoch" | "introduced" | "link-changed" }>
  | { kind: "seated"; seat: Seat; code: string; seats: Seat[]; host: boolean }
  | { kind: "epoch"; epoch: number; seats: Seat[] }
  | { kind: "introduced"; seat: Seat; name: Name }
  | { kind: "link-changed"; fragment: string }
  | { kind: "socket"; open: boolean }
  /** What the server said of the network, and what its forwarder says. */
  | { kind: "network"; network: Network }
  | { kind: "forwarder"; message: FromForwarder }
  /** The room is over, or this page is too old for it. Nobody tries again. */
  | { kind: "over"; error: VaultError };

/** What became of one slot's frames, on one connection. */
export type Counter = {
  link: string;
  side: "send" | "receive";
  slot: number;
  /** Frames that came to the transform. */
  seen: number;
  /** Frames that left it, sealed or opened. */
  done: number;
  /** Why the others did not, by a word. */
  dropped: Record<string, number>;
  /** Milliseconds spent sealing or opening. */
  spent: number;
};

/** What a transform is told when it is made. */
export type TransformOptions =
  | { side: "send"; link: string; slot: number }
  | { side: "receive"; link: string; slot: number; seat: Seat };

/** A room to be made. */
export type Plan = { name: string; onlyHostShares: boolean; hideAddresses: boolean; lobby: boolean; maxSeats: number; expiresAt: number | null };

export interface RoomCore {
  about(room: string, fragment: string): Promise<About>;
  /** Draws up a room and its first link, and gives both to whoever is at the other end of the port: the vault, which keeps them. */
  draw(plan: Plan, port: MessagePort): Promise<void>;
  /** The link that is good now, and what the server is to keep of it, for the vault at the other end of the port. */
  depositLink(about: Pick<About, "name" | "onlyHostShares" | "hideAddresses">, port: MessagePort): Promise<void>;
  /** Comes in. On the port, if there is one, come an account's keys for rooms, from the worker that holds them. */
  enter(entrance: Entrance, keys: MessagePort | null): Promise<void>;
  say(to: Seat | null, words: Words): Promise<void>;
  admit(seat: Seat): Promise<void>;
  deny(seat: Seat): Promise<void>;
  expel(seat: Seat): Promise<void>;
  end(): Promise<void>;
  leave(): Promise<void>;
  counters(): Promise<Counter[]>;
  /** A connection is closed, and its counters and those behind its name are of no use. */
  forget(link: string): Promise<void>;
  /** Lost where there is no socket: whoever says it says it again. */
  tellForwarder(message: ToForwarder): Promise<void>;
  /** There is a network again, perhaps. */
  wake(): Promise<void>;
}

export const ROOM_METHODS = ["about", "draw", "depositLink", "enter", "say", "admit", "deny", "expel", "end", "leave", "counters", "forget", "tellForwarder", "wake"] as const satisfies readonly (keyof RoomCore)[];
