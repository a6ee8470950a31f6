// The worker that holds a link's keys: loads the core, and hands it the page's calls. There is no rule in here.

import { Host } from "./host";
import { answer, asVaultError } from "./rpc";
import { serve } from "./serve-download";
import { viewersNotes } from "./storage";
import type { ViewerEvent } from "./viewer";
import { VIEWER_METHODS, type ViewerCore } from "./viewer-methods";
import init, { WebViewer } from "../wasm/gloaming_web";

const say = (event: ViewerEvent) => postMessage({ event });
const allowed: ReadonlySet<string> = new Set<string>(VIEWER_METHODS);

async function start(): Promise<WebViewer> {
  await init({ module_or_path: new URL("../wasm/gloaming_web_bg.wasm", import.meta.url) });
  return new WebViewer(new Host(await viewersNotes()), say);
}

const starting = start();
// Whoever calls is told; without this, a failure before the first call would be nobody's.
starting.catch(() => undefined);

answer(globalThis as unknown as Parameters<typeof answer>[0], async (method, args, signal) => {
  if (!allowed.has(method)) throw { code: "fault", message: `There is no call named ${method}.` };
  const viewer = await starting.catch((error: unknown) => {
    throw { code: "no_core", message: `The encryption module could not be loaded (${asVaultError(error).message}). Reload this page.` };
  });
  if (method === "part") return viewer.part(String(args[0]), signal);
  if (method === "serveDownload") return serve(viewer, Number(args[0]), args[1] as MessagePort);
  const act = viewer[method as Exclude<keyof ViewerCore, "serveDownload">] as (...args: unknown[]) => Promise<unknown>;
  return act.apply(viewer, args);
});
