// The page's end of a viewer: starts its worker, and makes its calls look like calls.

import { m } from "../messages";
import { offerDownload } from "./downloads";
import { playsHere } from "./plays-here";
import { Caller } from "./rpc";
import type { Viewer, ViewerEvent } from "./viewer";
import { VIEWER_METHODS, type ViewerCore } from "./viewer-methods";

const listeners = new Set<(event: ViewerEvent) => void>();

/** Hears what the viewer says by itself; answers with how to stop. */
export function onViewer(listener: (event: ViewerEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let started: Caller | null = null;

function worker(): Caller {
  if (started) return started;
  const worker = new Worker(new URL("./viewer-worker.ts", import.meta.url), { type: "module", name: "viewer" });
  const caller = new Caller(worker, (event) => listeners.forEach((listener) => listener(event as ViewerEvent)));
  worker.addEventListener("error", () => caller.break({ code: "no_core", message: m.errors.no_core }));
  started = caller;
  return caller;
}

const core = Object.fromEntries(
  VIEWER_METHODS.map((method) => [method, (...args: unknown[]) => worker().call(method, args, args.filter((arg) => arg instanceof MessagePort))] as const),
) as unknown as ViewerCore;

export const viewer: Viewer = {
  ...core,
  async open(ask) {
    const showing = await core.open(ask);
    playsHere(showing.playable.details);
    return showing;
  },
  async openVideo(video, resumeAt) {
    const playable = await core.openVideo(video, resumeAt);
    playsHere(playable.details);
    return playable;
  },
  async download(video) {
    const { download, name, size } = await core.startDownload(video);
    const { port1, port2 } = new MessageChannel();
    const over = core.serveDownload(download, port1);
    return { url: await offerDownload({ name, size, port: port2 }, over), name };
  },
};
