// The worker that holds a room: its member, its socket, and the sealing of its frames. Time, bytes and frames go in; what
// they mean is the core's to say.

import { answer, asVaultError } from "../core/rpc";
import { Sealing, type Frames, type TransformEvent } from "./frames";
import { ROOM_METHODS, type About, type Entrance, type FromRoom, type Name, type RoomCore, type RoomEvent, type Seat, type Words } from "./member";
import { readSignal, type ToForwarder } from "./signal";
import init, { RoomMember, aboutOf, doorOf, linkOf, newRoom } from "../wasm-room/gloaming_room_web";

/** What an account lends for its visit (crates/web/src/vault/rooms.rs). */
type Lent = { device: number[]; host: number[] | null };

/** The longest a broken socket waits to be opened again; the first wait is a sixteenth of it. */
const AGAIN_AT_MOST_MS = 4_000;
/** Members ping every 5 s: where nothing has come for so long, nothing will. */
const SILENT_MS = 16_000;
const GONE = 4404;
const VERSION = 4426;
/** Time for the last word to leave before the socket is closed. */
const LAST_WORD_MS = 150;

const tell = (event: FromRoom) => postMessage({ event });
const sealing = new Sealing();
(globalThis as unknown as { onrtctransform: (event: TransformEvent) => void }).onrtctransform = (event) => sealing.take(event);

const starting = init({ module_or_path: new URL("../wasm-room/gloaming_room_web_bg.wasm", import.meta.url) });
// Whoever calls is told.
starting.catch(() => undefined);

class Visit {
  readonly #member: RoomMember;
  readonly #room: string;
  readonly #host: boolean;
  #socket: WebSocket | null = null;
  #tries = 0;
  #over = false;
  #heard = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #ticking: ReturnType<typeof setTimeout> | undefined;

  constructor({ room, fragment, name }: Entrance, lent: Lent | null) {
    this.#room = room;
    this.#host = lent?.host != null;
    this.#member = new RoomMember({ room, fragment, name, ...(lent ? { device: lent.device, host: lent.host } : {}) });
    sealing.use(this.#member as unknown as Frames);
    this.#connect();
  }

  #connect(): void {
    clearTimeout(this.#again);
    if (this.#over || this.#socket) return;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/rooms/${this.#room}/ws`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#tries = 0;
      this.#heard = performance.now();
      tell({ kind: "socket", open: true });
      this.act((member, now) => member.opened(now));
    };
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (socket !== this.#socket) return;
      this.#heard = performance.now();
      if (typeof data === "string") return this.#hearText(data);
      this.act((member, now) => member.received(new Uint8Array(data), now));
    };
    socket.onclose = ({ code }) => this.#closed(socket, opened, code);
  }

  /** Beside the log: from the server itself, or from its forwarder. */
  #hearText(text: string): void {
    const signal = readSignal(text);
    if (signal?.type === "network") tell({ kind: "network", network: signal });
    else if (signal) tell({ kind: "forwarder", message: signal });
  }

  tellForwarder(message: ToForwarder): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #closed(socket: WebSocket, opened: boolean, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    if (this.#over) return;
    if (code === GONE) return this.#finish("not_found", "The room is over.");
    if (code === VERSION) return this.#finish("too_new", "The server speaks a newer version.");
    if (opened) {
      tell({ kind: "socket", open: false });
      this.act((member, now) => member.closed(now));
    }
    const wait = Math.min(AGAIN_AT_MOST_MS, (AGAIN_AT_MOST_MS / 16) * 2 ** this.#tries++);
    this.#again = setTimeout(() => void this.#retry(), wait * (0.5 + Math.random()));
  }

  /** A browser does not say why a socket was not opened: a room that is over has to be asked for. */
  async #retry(): Promise<void> {
    if (this.#tries > 2) {
      const answer = await fetch(`/v1/rooms/${this.#room}`, { cache: "no-store", credentials: "omit" }).catch(() => null);
      if (answer?.status === 404) return this.#finish("not_found", "The room is over.");
    }
    this.#connect();
  }

  #finish(code: string, message: string): void {
    this.close();
    tell({ kind: "over", error: { code, message } });
  }

  wake(): void {
    this.#tries = 0;
    if (!this.#socket) this.#connect();
  }

  /** Does something with the member, and then what it wants. */
  act<T>(what: (member: RoomMember, now: number) => T): T | undefined {
    if (this.#over) return undefined;
    const done = what(this.#member, performance.now());
    for (let next = this.#member.next(); next; next = this.#member.next()) {
      const { send, event } = next as { send?: Uint8Array<ArrayBuffer>; event?: RoomEvent };
      if (send && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(send);
      if (event) this.#hear(event);
    }
    clearTimeout(this.#ticking);
    const deadline = this.#member.deadline();
    if (deadline !== undefined) this.#ticking = setTimeout(() => this.#tick(), Math.max(0, deadline - performance.now()));
    return done;
  }

  #tick(): void {
    if (this.#socket?.readyState === WebSocket.OPEN && performance.now() - this.#heard > SILENT_MS) {
      const socket = this.#socket;
      socket.close();
      // The browser waits for the other side's goodbye, which will not come.
      this.#closed(socket, true, 1006);
    }
    this.act((member, now) => member.tick(now));
  }

  #hear(event: RoomEvent): void {
    const member = this.#member;
    switch (event.kind) {
      case "seated":
        sealing.otherGroup();
        return tell({ kind: "seated", seat: event.seat, code: member.code(), seats: member.seats(), host: this.#host });
      case "rejoining":
        sealing.otherGroup();
        return tell(event);
      case "sealing":
        sealing.otherEpoch();
        return tell(event);
      case "epoch":
        return tell({ kind: "epoch", epoch: event.epoch, seats: member.seats() });
      case "introduced":
        return this.#introduce(event.seat);
      case "link-changed":
        return tell({ kind: "link-changed", fragment: member.fragment() });
      case "removed":
      case "ended":
      case "denied":
        tell(event);
        return this.close();
      default:
        return tell(event);
    }
  }

  #introduce(seat: Seat): void {
    const name = this.#member.nameOf(seat) as Name | null;
    // Else they are gone already, in the same breath.
    if (name) tell({ kind: "introduced", seat, name });
  }

  close(): void {
    this.#over = true;
    clearTimeout(this.#again);
    clearTimeout(this.#ticking);
    sealing.use(null);
    const socket = this.#socket;
    this.#socket = null;
    setTimeout(() => socket?.close(), LAST_WORD_MS);
  }
}

let visit: Visit | null = null;

function here(): Visit {
  if (!visit) throw { code: "fault", message: "Nobody is in a room." };
  return visit;
}

const lentOn = (port: MessagePort): Promise<Lent | null> =>
  new Promise((resolve) => {
    port.onmessage = ({ data }: MessageEvent<Lent | null>) => {
      port.close();
      resolve(data);
    };
  });

/** What the server tells of a room to whoever asks (crates/api/src/room.rs). */
type RoomView = { number: number; sealed: string; policy: { max_seats: number; expires_at?: number; hide_addresses?: boolean }; live: number };

const core: RoomCore = {
  async about(room, fragment): Promise<About> {
    // A link that was cut short is refused before the server is asked.
    const { number, lobby } = linkOf(fragment) as { number: number; lobby: boolean };
    const response = await fetch(`/v1/rooms/${room}`, { cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" }).catch(() => {
      throw { code: "offline", message: "" };
    });
    if (response.status === 404 || response.status === 400) throw { code: "not_found", message: "" };
    if (response.status === 429) throw { code: "slow_down", message: "" };
    if (!response.ok) throw { code: "unavailable", message: "" };
    const { number: now, sealed, policy, live } = (await response.json()) as RoomView;
    if (now > number) throw { code: "room_link_old", message: "" };
    const about = aboutOf(room, fragment, sealed) as { name: string; onlyHostShares?: boolean; hideAddresses?: boolean } | null;
    // The server is not asked whether addresses are hidden. Where it shows nothing that the link opens, they are.
    const hideAddresses = about?.hideAddresses ?? about === null;
    return { name: about?.name ?? "", onlyHostShares: about?.onlyHostShares ?? false, hideAddresses: hideAddresses || policy.hide_addresses === true, lobby, maxSeats: policy.max_seats, expiresAt: policy.expires_at ?? null, live };
  },
  async draw({ name, onlyHostShares, hideAddresses, lobby, maxSeats, expiresAt }, port) {
    const host = crypto.getRandomValues(new Uint8Array(32));
    const { room, fragment } = newRoom(host, lobby) as { room: string; fragment: string };
    const door: unknown = doorOf(room, fragment, { name, onlyHostShares, hideAddresses });
    port.postMessage({ room, fragment, host: [...host], name, lobby, door, maxSeats, expiresAt, hideAddresses });
    host.fill(0);
  },
  async depositLink(about, port) {
    here().act((member) => port.postMessage({ fragment: member.fragment(), door: member.door(about) as unknown }));
  },
  async enter(entrance, keys) {
    const lent = keys ? await lentOn(keys) : null;
    visit?.close();
    visit = new Visit(entrance, lent);
  },
  async say(to: Seat | null, words: Words) {
    here().act((member, now) => member.say(to ?? undefined, words, now));
  },
  async admit(seat) {
    here().act((member, now) => member.admit(seat, now));
  },
  async deny(seat) {
    here().act((member, now) => member.deny(seat, now));
  },
  async expel(seat) {
    here().act((member, now) => member.expel(seat, now));
  },
  async end() {
    here().act((member, now) => member.end(now));
  },
  async leave() {
    visit?.act((member, now) => member.leave(now));
    visit?.close();
    visit = null;
  },
  async counters() {
    return sealing.counters();
  },
  async forget(link) {
    sealing.forget(link);
  },
  async tellForwarder(message) {
    visit?.tellForwarder(message);
  },
  async wake() {
    visit?.wake();
  },
};

const allowed: ReadonlySet<string> = new Set<string>(ROOM_METHODS);

answer(globalThis as unknown as Parameters<typeof answer>[0], async (method, args) => {
  if (!allowed.has(method)) throw { code: "fault", message: `There is no call named ${method}.` };
  await starting.catch((error: unknown) => {
    throw { code: "no_core", message: `The encryption module could not be loaded (${asVaultError(error).message}). Reload this page.` };
  });
  return (core[method as keyof RoomCore] as (...args: unknown[]) => Promise<unknown>)(...args);
});
