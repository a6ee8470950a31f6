// A line to the server as people have it at home: so many bits in a second towards the browser, and so long there and back.
// All connections share it.

import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export type Line = { origin: string; stop: () => Promise<void> };

/** So many bytes wait in the line at most; then the server is made to wait. */
const QUEUE = 256 * 1024;

/** Does things when they are due, and each after the one before it: timers of different lengths keep no order among themselves. */
function inOrder(): (due: number, act: () => void) => void {
  const waiting: { due: number; act: () => void }[] = [];
  const next = () => {
    while (waiting[0] && waiting[0].due <= performance.now()) waiting.shift()!.act();
    if (waiting[0]) setTimeout(next, waiting[0].due - performance.now());
  };
  return (due, act) => {
    if (waiting.push({ due, act }) === 1) setTimeout(next, due - performance.now());
  };
}

export async function openLine(target: () => string, megabits: number, roundTripMs: number): Promise<Line> {
  const open = new Set<Socket>();
  /** When the line has room for the next byte. */
  let free = 0;
  let queued = 0;

  const server = createServer((near) => {
    const { hostname, port } = new URL(target());
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      open.add(socket.setNoDelay(true));
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        setTimeout(() => (near.destroy(), far.destroy()), roundTripMs);
      });
    }
    const up = inOrder();
    const down = inOrder();
    near.on("data", (bytes: Buffer) => up(performance.now() + roundTripMs / 2, () => far.write(bytes)));
    near.on("end", () => up(performance.now() + roundTripMs / 2, () => far.end()));
    far.on("data", (bytes: Buffer) => {
      free = Math.max(free, performance.now()) + (bytes.length * 8) / (megabits * 1000);
      queued += bytes.length;
      if (queued > QUEUE) far.pause();
      down(free + roundTripMs / 2, () => {
        queued -= bytes.length;
        near.write(bytes);
        if (queued <= QUEUE) for (const socket of open) socket.resume();
      });
    });
    far.on("end", () => down(Math.max(free, performance.now()) + roundTripMs / 2, () => near.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
