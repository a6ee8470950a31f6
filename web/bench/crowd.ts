// Seats without pages: members of the room's own WebAssembly in this process, on sockets to the real server. They send no
// media. What a commit takes is counted here, since a page's worker shares its processor time with the rest of its browser.

import { readFile } from "node:fs/promises";
import { WebSocket } from "ws";
import init, { RoomMember } from "../src/wasm-room/gloaming_room_web.js";

/** Longer than any other frame: a commit renews a path of keys, more than 1.1 kB for each, and a knock is one of 2.9 kB. */
const COMMIT_BYTES = 4_000;

/** After so long a member renews its leaf (crates/room/src/member/timing.rs: HEAL, and HEAL_APART for each leaf). */
const RENEWAL_MS = 600_000;
const APART_MS = 2_000;

/** Milliseconds of processor time: of the one who made commits, and of everybody who took one. */
export type Commits = { made: number[]; taken: number[] };

/** `ahead`: how far its clock was put forward. */
type Seated = { member: RoomMember; socket: WebSocket; ahead: number; ticking?: ReturnType<typeof setTimeout> };

export class Crowd {
  readonly #seats: Seated[] = [];
  readonly #link: URL;
  readonly #commits: Commits = { made: [], taken: [] };
  #counting = false;

  private constructor(link: string) {
    this.#link = new URL(link);
  }

  static async at(link: string): Promise<Crowd> {
    const wasm = new URL("../src/wasm-room/gloaming_room_web_bg.wasm", import.meta.url);
    await init({ module_or_path: await readFile(wasm) });
    return new Crowd(link);
  }

  /** One more, who is answered when somebody has let them in. */
  async join(): Promise<void> {
    const { pathname, hash, origin } = this.#link;
    const room = pathname.split("/").at(-1) ?? "";
    const member = new RoomMember({ room, fragment: hash.slice(1), name: `guest ${this.#seats.length}` });
    const socket = new WebSocket(`${origin.replace(/^http/, "ws")}/v1/rooms/${room}/ws`);
    const seated: Seated = { member, socket, ahead: 0 };
    this.#seats.push(seated);
    const inside = new Promise<void>((resolve, reject) => {
      socket.on("open", () => this.#act(seated, (now) => member.opened(now), resolve));
      socket.on("message", (data: Buffer, binary) => binary && this.#act(seated, (now) => member.received(data, now), resolve, data.length));
      socket.on("error", reject);
    });
    await inside;
  }

  /** Somebody's time to renew their keys has come, and everybody takes it over. */
  async renew(at: number): Promise<void> {
    const seated = this.#seats[at];
    if (!seated) throw new Error("nobody sits there");
    const { taken } = this.#commits;
    const before = taken.length;
    this.#counting = true;
    seated.ahead += RENEWAL_MS + APART_MS * this.#seats.length;
    this.#act(seated, (now) => seated.member.tick(now));
    // The maker sees its own in the log too, and has nothing to work out.
    while (taken.length < before + this.#seats.length) await new Promise((resolve) => setTimeout(resolve, 20));
    this.#counting = false;
  }

  get commits(): Commits {
    return this.#commits;
  }

  close(): void {
    for (const { socket, member, ticking } of this.#seats) {
      clearTimeout(ticking);
      socket.removeAllListeners("message");
      socket.close();
      member.free();
    }
  }

  #act(seat: Seated, what: (now: number) => void, seated?: () => void, received = 0): void {
    const { member, socket, ahead } = seat;
    clearTimeout(seat.ticking);
    const began = process.cpuUsage();
    what(performance.now() + ahead);
    let made = false;
    for (let next = member.next(); next; next = member.next()) {
      const { send, event } = next as { send?: Uint8Array; event?: { kind: string } };
      if (send && socket.readyState === WebSocket.OPEN) socket.send(send);
      made ||= send !== undefined && send.length > COMMIT_BYTES;
      if (event?.kind === "seated") seated?.();
    }
    const deadline = member.deadline();
    if (deadline !== undefined) seat.ticking = setTimeout(() => this.#act(seat, (now) => member.tick(now), seated), Math.max(0, deadline - performance.now() - ahead));
    if (!this.#counting) return;
    const { user, system } = process.cpuUsage(began);
    if (made) this.#commits.made.push((user + system) / 1000);
    else if (received > COMMIT_BYTES) this.#commits.taken.push((user + system) / 1000);
  }
}
