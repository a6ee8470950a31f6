// The page's end of a room: starts its worker, and makes its calls look like calls.

import { m } from "../messages";
import { Caller } from "../core/rpc";
import { ROOM_METHODS, type FromRoom, type RoomCore } from "./member";

export type RoomWorker = { core: RoomCore; worker: Worker; onRoom: (hear: (event: FromRoom) => void) => () => void };

export function startRoomWorker(): RoomWorker {
  const listeners = new Set<(event: FromRoom) => void>();
  const worker = new Worker(new URL("./room-worker.ts", import.meta.url), { type: "module", name: "room" });
  const caller = new Caller(worker, (event) => listeners.forEach((hear) => hear(event as FromRoom)));
  worker.addEventListener("error", () => {
    const error = { code: "no_core", message: m.errors.no_core };
    caller.break(error);
    // Nothing seals any more: connections are closed by whoever hears this.
    listeners.forEach((hear) => hear({ kind: "over", error }));
  });
  const core = Object.fromEntries(
    ROOM_METHODS.map((method) => [method, (...args: unknown[]) => caller.call(method, args, args.filter((arg) => arg instanceof MessagePort))] as const),
  ) as unknown as RoomCore;
  return {
    core,
    worker,
    onRoom: (hear) => {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
  };
}
