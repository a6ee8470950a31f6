// A line to the server as people have it at home: so many bits in a second towards the browser, and so long there and back.
// All connections share it.

import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export type Line = { origin: string; stop: () => Promise<void> };

/** So many bytes wait in the line at most; then the server is made to wait. */
const QUEUE = 256 * 1024;

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
    near.on("data", (bytes) => void setTimeout(() => far.write(bytes), roundTripMs / 2));
    near.on("end", () => void setTimeout(() => far.end(), roundTripMs / 2));
    far.on("data", (bytes: Buffer) => {
      const now = performance.now();
      free = Math.max(free, now) + (bytes.length * 8) / (megabits * 1000);
      queued += bytes.length;
      if (queued > QUEUE) far.pause();
      setTimeout(() => {
        queued -= bytes.length;
        near.write(bytes);
        if (queued <= QUEUE) for (const socket of open) socket.resume();
      }, free - now + roundTripMs / 2);
    });
    far.on("end", () => void setTimeout(() => near.end(), Math.max(0, free - performance.now()) + roundTripMs / 2));
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
