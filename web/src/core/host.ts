// What the core asks of the browser: files, the network, a place to keep things. It moves bytes and decides nothing;
// what an answer means is the core's to say. (crates/web/src/host.rs is the other side of this file.)

import { keys, notes } from "./storage";

export type Shelf = "notes" | "keys";
export type Answer = { status: number; retryAfter: number | undefined; body: Uint8Array };

/** JSON answers are small; whoever sends more means no good. */
const MAX_JSON = 16 * 1024 * 1024;
/** A transfer that has not moved for so long is broken, even if the browser has not noticed. */
const STALLED_MS = 45_000;

function retryAfter(headers: Headers): number | undefined {
  const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

export class Host {
  readonly #shelves;
  readonly #claimed = new Set<string>();
  readonly #reader = typeof FileReaderSync === "function" ? new FileReaderSync() : null;

  constructor(notesOf = notes) {
    this.#shelves = { notes: notesOf, keys } as const;
  }

  /** Throws what the browser throws: a file that changed or went away is a NotReadableError or a NotFoundError. */
  read(file: Blob, offset: number, length: number): Uint8Array {
    if (!this.#reader) throw new Error("this browser cannot read files here");
    return new Uint8Array(this.#reader.readAsArrayBuffer(file.slice(offset, offset + length)));
  }

  async call(
    method: string,
    path: string,
    body: Uint8Array<ArrayBuffer> | undefined,
    proof: string | undefined,
  ): Promise<Answer> {
    const response = await fetch(path, {
      method,
      ...(body ? { body } : {}),
      headers: {
        ...(body ? { "content-type": "application/json" } : {}),
        ...(proof ? { "x-gloaming-proof": proof } : {}),
      },
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > MAX_JSON) throw new Error("the server's answer is too long");
    return { status: response.status, retryAfter: retryAfter(response.headers), body: bytes };
  }

  async get(url: string, from: number, to: number, signal: AbortSignal): Promise<Answer> {
    // Never through the HTTP cache: it lets only one request at a time read one URL, and a player asks for several
    // ranges of a pack at once.
    const response = await fetch(url, {
      headers: { range: `bytes=${from}-${to - 1}` },
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal,
    });
    if (response.status !== 206 && response.status !== 200) {
      void response.body?.cancel();
      return { status: response.status, retryAfter: undefined, body: new Uint8Array() };
    }
    // A store that ignores Range sends the whole object: taken only where that is what was asked for.
    const announced = Number(response.headers.get("content-length") ?? to - from);
    if (announced > to - from) {
      void response.body?.cancel();
      return { status: 416, retryAfter: undefined, body: new Uint8Array() };
    }
    return { status: response.status, retryAfter: undefined, body: new Uint8Array(await response.arrayBuffer()) };
  }

  /**
   * One object, with progress, which fetch cannot tell: hence XMLHttpRequest. It sends no cookie to a store of another
   * origin; to a store on our own it sends the one that the server gave us anyway.
   */
  put(url: string, headers: [string, string][], body: Blob, sent: (bytes: number) => void, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let stalled = setTimeout(() => request.abort(), STALLED_MS);
      const moved = () => {
        clearTimeout(stalled);
        stalled = setTimeout(() => request.abort(), STALLED_MS);
      };
      const stop = () => request.abort();
      request.upload.onprogress = ({ loaded }) => {
        moved();
        sent(loaded);
      };
      request.upload.onload = moved;
      request.onload = () => resolve(request.status);
      request.onerror = () => reject(new Error("the connection broke"));
      request.onabort = () => reject(new Error("nothing moved for a long time"));
      request.onloadend = () => {
        clearTimeout(stalled);
        signal.removeEventListener("abort", stop);
      };
      signal.addEventListener("abort", stop);
      request.open("PUT", url);
      // Else Firefox reads an answer without a type as XML, and complains on the console that it is none.
      request.responseType = "text";
      for (const [name, value] of headers) {
        // The browser sets these itself, from the body.
        if (name !== "content-length" && name !== "host") request.setRequestHeader(name, value);
      }
      request.send(body);
    });
  }

  load(shelf: Shelf, name: string): Promise<unknown> {
    return this.#shelves[shelf].load(name);
  }

  save(shelf: Shelf, name: string, value: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#shelves[shelf].save(name, value);
  }

  forget(shelf: Shelf, name: string): Promise<void> {
    return this.#shelves[shelf].forget(name);
  }

  names(shelf: Shelf, prefix: string): Promise<string[]> {
    return this.#shelves[shelf].names(prefix);
  }

  /** Width and height of a picture; throws where it is none. */
  async size(image: Blob): Promise<[number, number]> {
    const bitmap = await createImageBitmap(image);
    const { width, height } = bitmap;
    bitmap.close();
    return [width, height];
  }

  /** Takes a name for as long as this worker lives, if no other tab's worker has it. True if it is ours. */
  claim(name: string): Promise<boolean> {
    if (this.#claimed.has(name)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const claimed = navigator.locks.request(`gloaming/${name}`, { ifAvailable: true }, (lock) => {
        if (lock) this.#claimed.add(name);
        resolve(lock !== null);
        // Held until the worker ends.
        return lock ? new Promise<never>(() => undefined) : undefined;
      });
      // A browser that has no locks has no second tab either, as far as we can know.
      claimed.catch(() => resolve(true));
    });
  }
}
