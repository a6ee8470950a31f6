// The page's side of a download: introduces the worker that opens the video to the service worker that streams it.

import { Failure } from "./rpc";

const SCRIPT = "/service-worker.js";
const SCOPE = "/download/";
/** Firefox stops a service worker that has heard nothing for 30 s, even with an answer half sent. */
const ALIVE_MS = 10_000;
const PATIENCE_MS = 10_000;

const cannot = (why: string) =>
  new Failure({
    code: "no_downloads",
    message: `This browser does not let the page save to disk (${why}). Leave private browsing, or use the command line: gloaming download.`,
  });

let registered: Promise<ServiceWorker> | null = null;

function serviceWorker(): Promise<ServiceWorker> {
  registered ??= register().catch((error: unknown) => {
    registered = null;
    throw error;
  });
  return registered;
}

async function register(): Promise<ServiceWorker> {
  if (!("serviceWorker" in navigator)) throw cannot("it has no service workers here");
  const registration = await navigator.serviceWorker
    .register(SCRIPT, { scope: SCOPE, updateViaCache: "none" })
    .catch((error: unknown) => {
      throw cannot(error instanceof Error ? error.message : "no reason given");
    });
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (!worker) throw cannot("its service worker did not start");
  if (worker.state === "activated") return worker;
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(cannot("its service worker did not start")), PATIENCE_MS);
    worker.addEventListener("statechange", () => {
      if (worker.state !== "activated" && worker.state !== "redundant") return;
      clearTimeout(late);
      if (worker.state === "activated") resolve(worker);
      else reject(cannot("its service worker was refused"));
    });
  });
}

/** What is to be saved: its size where it is known, and the end of a channel where whoever opens it listens. */
export type Offer = { name: string; size: number | null; port: MessagePort };

/**
 * An address that answers once, with the whole file: give it to {@link saveFrom}. `over` settles when the transfer has
 * ended, one way or the other.
 */
export async function offerDownload({ name, size, port }: Offer, over: Promise<unknown>): Promise<string> {
  const worker = await serviceWorker();
  const id = crypto.randomUUID();
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(cannot("its service worker does not answer")), PATIENCE_MS);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      clearTimeout(late);
      port1.close();
      resolve();
    };
    worker.postMessage({ offer: id, name, size }, [port, port2]);
  });
  const alive = setInterval(() => worker.postMessage({ alive: true }), ALIVE_MS);
  void over.catch(() => undefined).finally(() => clearInterval(alive));
  return `${SCOPE}${id}/${encodeURIComponent(name)}`;
}

/** Saves what `url` answers. A frame, because Chromium lets `<a download>` past the service worker. */
export function saveFrom(url: string): void {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.title = "Download";
  frame.src = url;
  document.body.append(frame);
  // The answer is an attachment: the frame never gets a document, and may go when the transfer has long begun.
  setTimeout(() => frame.remove(), 60_000);
}
