// The way between the browser and the server, which writes down what is asked for, and can hold requests to storage back.

import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Asked = { method: string; path: string; range: string | undefined };

export type Way = {
  origin: string;
  /** Everything asked for since `begin`. */
  asked: Asked[];
  /** Forgets what was asked for; lets so many reads of storage through from here, and holds the others until `open`. */
  begin: (reads: number) => void;
  open: () => void;
  stop: () => Promise<void>;
};

export const isRead = ({ method, path }: Asked) => method === "GET" && path.startsWith("/blobs/");

export async function openWay(target: () => string): Promise<Way> {
  let asked: Asked[] = [];
  let left = Infinity;
  let held: (() => void)[] = [];

  const pass = (from: IncomingMessage, to: ServerResponse) => {
    const { hostname, port } = new URL(target());
    const onward = request({ hostname, port, method: from.method, path: from.url, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    onward.on("error", () => to.destroy());
    to.on("close", () => onward.destroy());
    from.pipe(onward);
  };
  const server = createServer((from, to) => {
    const one = { method: from.method ?? "", path: (from.url ?? "").split("?")[0] ?? "", range: from.headers.range };
    asked.push(one);
    if (isRead(one) && left-- <= 0) held.push(() => !to.destroyed && pass(from, to));
    else pass(from, to);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const open = () => {
    left = Infinity;
    for (const go of held.splice(0)) go();
  };
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get asked() {
      return asked;
    },
    begin(reads) {
      open();
      asked = [];
      left = reads;
    },
    open,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
