// A door between the browser and the server, which can be held shut: so that an upload can be interrupted in the middle,
// in every browser alike. It counts the objects that went through whole. It can also be a server that is gone, or one
// that lies.

import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WebSocket, WebSocketServer } from "ws";

/** What is told instead of one message of the server's; null: what it said. */
export type Tell = (message: Buffer) => Buffer[] | null;

export type Gate = {
  origin: string;
  /** Paths of PUTs that the server said yes to, in order. */
  stored: string[];
  /** After so many stored objects further ones wait. */
  letThrough: (objects: number) => void;
  /** Nothing gets through to the API until it is called again with false. */
  shut: (shut: boolean) => void;
  /** Says something else than the server did, to requests whose path begins so; null stops that. */
  lie: (path: string, answer: ((truth: unknown) => unknown) | null) => void;
  /** Tells browsers something else than the server did, on their WebSockets; null stops that. */
  tell: (tell: Tell | null) => void;
  /** Breaks every WebSocket. */
  cut: () => void;
  stop: () => Promise<void>;
};

export async function openGate(target: () => string): Promise<Gate> {
  const stored: string[] = [];
  let allowed = Infinity;
  let begun = 0;
  let waiting: (() => void)[] = [];
  let gone = false;
  const lies = new Map<string, (truth: unknown) => unknown>();

  const pass = (from: IncomingMessage, to: ServerResponse) => {
    const { hostname, port } = new URL(target());
    const lie = [...lies].find(([path]) => from.url?.startsWith(path))?.[1];
    const onward = request({ hostname, port, method: from.method, path: from.url, headers: from.headers }, (answer) => {
      if (lie && answer.statusCode === 200) {
        void text(answer).then((truth) => {
          const told = Buffer.from(JSON.stringify(lie(JSON.parse(truth))));
          to.writeHead(200, { ...answer.headers, "content-length": told.length });
          to.end(told);
        });
        return;
      }
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
      answer.on("end", () => {
        if (from.method === "PUT" && isObject(from) && (answer.statusCode ?? 500) < 300) stored.push(new URL(from.url ?? "", "http://x").pathname);
      });
    });
    onward.on("error", () => to.destroy());
    to.on("close", () => onward.destroy());
    from.pipe(onward);
  };
  const server = createServer((from, to) => {
    if (gone && from.url?.startsWith("/v1/")) {
      to.destroy();
      return;
    }
    if (from.method === "PUT" && isObject(from)) {
      begun += 1;
      if (begun > allowed) {
        waiting.push(() => !to.destroyed && pass(from, to));
        return;
      }
    }
    pass(from, to);
  });
  const sockets = new Set<WebSocket>();
  let tell: Tell | null = null;
  // What is compressed could not be lied about.
  const door = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.on("upgrade", (from, socket, head) => {
    if (gone) return void socket.destroy();
    const { host } = new URL(target());
    const { cookie = "", origin = "", "sec-websocket-protocol": protocols } = from.headers;
    const onward = new WebSocket(`ws://${host}${from.url}`, protocols?.split(/, */) ?? [], { headers: { cookie, origin, host: from.headers.host }, perMessageDeflate: false });
    onward.on("error", () => socket.destroy());
    // Nobody is let in before the server has.
    onward.on("open", () =>
      door.handleUpgrade(from, socket, head, (browser) => {
        sockets.add(browser);
        browser.on("message", (data, binary) => onward.send(data, { binary }));
        onward.on("message", (data: Buffer, binary) => {
          for (const told of (binary && tell?.(data)) || [data]) browser.send(told, { binary });
        });
        for (const [one, other] of [[browser, onward], [onward, browser]] as const) {
          one.on("error", () => undefined);
          one.on("close", () => other.terminate());
        }
        browser.on("close", () => sockets.delete(browser));
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored,
    letThrough(objects) {
      allowed = objects;
      begun = 0;
      for (const go of waiting.splice(0)) if (objects > 0) go();
      waiting = [];
    },
    shut: (shut) => (gone = shut),
    lie: (path, answer) => (answer ? lies.set(path, answer) : lies.delete(path)),
    tell: (told) => (tell = told),
    cut: () => sockets.forEach((socket) => socket.terminate()),
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isObject = (from: IncomingMessage) => !(from.url ?? "").startsWith("/v1/");
