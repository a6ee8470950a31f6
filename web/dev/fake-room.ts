// A make-believe room, beside fake-vault.ts: people who say things, and send nothing.

import type { Account } from "../src/room/account";
import type { RoomWorker } from "../src/room/client";
import type { RoomMissing } from "../src/room/devices";
import type { FromRoom, RoomCore } from "../src/room/member";

const people: [string, string][] = [
  ["aa", "Ben"],
  ["bb", "خالتي مريم"],
  ["cc", "Somebody with a name that is far longer than any seat is wide, and then some"],
];
/** Too many for a mesh. */
const more: [string, string][] = [...people, ["ee", "Ana"]];
const code = "01234 56789 01234 56789 01234 56789";

export function makeFakeRoom(scenario: string): { begin: () => RoomWorker; account: Account; missing: () => RoomMissing[] } {
  const fail = (code: string) => Promise.reject({ code, message: "" });
  const failing = /^room-(not_found|bad_link|offline|room_link_old)$/.exec(scenario)?.[1];
  const begin = (): RoomWorker => {
    const listeners = new Set<(event: FromRoom) => void>();
    const tell = (...events: FromRoom[]) => setTimeout(() => events.forEach((event) => listeners.forEach((hear) => hear(event))), 20);
    const here = ["room-forwarder", "room-crowded"].includes(scenario) ? more : people;
    const seated = (seats: string[]): FromRoom => ({ kind: "seated", seat: "own", code, seats: ["own", ...seats], host: scenario === "room-host" });
    const core: RoomCore = {
      draw: async () => undefined,
      depositLink: async () => undefined,
      about: () => (failing ? fail(failing) : Promise.resolve({ name: "Tuesday, 7 pm", onlyHostShares: false, hideAddresses: scenario === "room-hidden", lobby: scenario === "room-host", maxSeats: 8, expiresAt: null, live: scenario === "room-empty" ? 0 : 3 })),
      async enter() {
        if (scenario === "room-awaiting") return void tell({ kind: "socket", open: true }, { kind: "host-awaited" });
        tell({ kind: "socket", open: true }, { kind: "knocking" });
        if (scenario === "room-knocking") return;
        const over = /^room-(denied|full|removed|ended)$/.exec(scenario)?.[1] as "denied" | "full" | "removed" | "ended" | undefined;
        if (over) return void tell({ kind: over });
        tell({ kind: "network", network: { type: "network", ice: [], forwarder: scenario === "room-forwarder" } });
        if (scenario === "room-empty") return void tell({ kind: "first" }, seated([]));
        tell(
          seated(here.map(([seat]) => seat)),
          { kind: "joined", seat: "aa" },
          ...here.map(([seat, name]): FromRoom => ({ kind: "introduced", seat, name: { name, code } })),
          { kind: "said", seat: "aa", said: { kind: "chat", text: "Can everybody hear me?" } },
          { kind: "said", seat: "bb", said: { kind: "chat", text: "نعم، بوضوح" } },
          { kind: "said", seat: "bb", said: { kind: "hand", up: true } },
          { kind: "said", seat: "aa", said: { kind: "control", about: 1, body: JSON.stringify({ mic: true }) } },
        );
        if (scenario === "room-host") tell({ kind: "at-the-door", seat: "dd", card: { name: "Ana", code } });
        if (scenario === "room-asked") tell({ kind: "said", seat: "aa", said: { kind: "mute", track: 0 } });
        if (scenario === "room-doubt") tell({ kind: "doubt", code: "bad_join_proof", message: "somebody was to be added who does not have the link" }, { kind: "socket", open: false });
      },
      say: async () => undefined,
      admit: async () => undefined,
      deny: async () => undefined,
      expel: async (seat) => void tell({ kind: "left", seat, how: "expelled" }),
      end: async () => undefined,
      leave: async () => undefined,
      counters: async () => [],
      forget: async () => undefined,
      tellForwarder: async ({ type }) => {
        if (type === "offer" && scenario === "room-forwarder") tell({ kind: "forwarder", message: { type: "refused", why: "full" } });
      },
      wake: async () => undefined,
    };
    const worker = new Worker(URL.createObjectURL(new Blob(["onrtctransform = () => {}"], { type: "text/javascript" })));
    return {
      core,
      worker,
      onRoom: (hear) => {
        listeners.add(hear);
        return () => listeners.delete(hear);
      },
    };
  };
  const account: Account = {
    visitor: async () => (scenario === "room-host" ? { username: "mara", host: true } : scenario === "room-locked" ? "locked" : null),
    lend: async () => undefined,
    linkChanged: async () => undefined,
  };
  return { begin, account, missing: () => (scenario === "room-unsupported" ? ["secure-context", "transform"] : []) };
}
