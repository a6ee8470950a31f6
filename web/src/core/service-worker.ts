// Streams downloads to disk: GET /download/<id>/<name> is answered out of a channel to the worker that opens the video,
// chunk by chunk as the disk takes them. It sees plaintext pass, keeps nothing, and answers nothing else.
//
//   page → here     { offer: id, name, size } with two ports: the worker's, and one to say "accepted" on
//   page → here     { alive: true } now and then
//   here → worker   "pull" | "cancel"       worker → here   ArrayBuffer | null (the end) | { error }

import type { ServiceWorkerScope } from "./worker-globals";

const scope = self as unknown as ServiceWorkerScope;

type Offer = { offer: string; name: string; size: number | null };
type Chunk = ArrayBuffer | null | { error: string };

const offers = new Map<string, Offer & { port: MessagePort }>();

scope.addEventListener("install", () => void scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));

scope.addEventListener("message", (event) => {
  const data = event.data as Offer | { alive: true };
  if ("alive" in data) return; // its arrival is the point: a worker that hears something is not stopped
  const [port, page] = event.ports;
  if (!port || !page) return;
  offers.set(data.offer, { ...data, port });
  page.postMessage("accepted");
});

scope.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== scope.location.origin || !url.pathname.startsWith("/download/")) return;
  event.respondWith(answer(url));
});

function answer(url: URL): Response {
  const id = url.pathname.split("/")[2] ?? "";
  const offer = offers.get(id);
  offers.delete(id);
  const type = "text/plain; charset=utf-8";
  if (!offer) {
    // A reload of the address, or a worker that was stopped meanwhile.
    return new Response("This download is over. Start it again in Gloaming.\n", { status: 410, headers: { "content-type": type } });
  }
  return new Response(streamOf(offer.port), {
    headers: {
      "content-type": "video/mp4",
      ...(offer.size === null ? {} : { "content-length": String(offer.size) }),
      "content-disposition": disposition(offer.name),
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; sandbox",
    },
  });
}

function streamOf(port: MessagePort): ReadableStream<Uint8Array> {
  let wanted: { resolve: (chunk: Chunk) => void } | null = null;
  port.onmessage = ({ data }: MessageEvent<Chunk>) => wanted?.resolve(data);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await new Promise<Chunk>((resolve) => {
          wanted = { resolve };
          port.postMessage("pull");
        });
        if (chunk === null) controller.close();
        else if (chunk instanceof ArrayBuffer) controller.enqueue(new Uint8Array(chunk));
        else controller.error(new Error(chunk.error));
        if (!(chunk instanceof ArrayBuffer)) port.close();
      },
      cancel() {
        port.postMessage("cancel");
        port.close();
      },
    },
    { highWaterMark: 1 },
  );
}

/** RFC 6266: a plain name for old readers, the real one in UTF-8. */
function disposition(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
