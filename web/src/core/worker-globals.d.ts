// What exists in workers only. TypeScript's own list of it cannot be loaded beside the page's, so here is the part that
// is used.

declare global {
  /** Blocking reads; in dedicated workers. */
  class FileReaderSync {
    readAsArrayBuffer(blob: Blob): ArrayBuffer;
  }
}

type Extendable = Event & { waitUntil(promise: Promise<unknown>): void };
type ScopeEvents = {
  install: Extendable;
  activate: Extendable;
  message: Extendable & { data: unknown; ports: readonly MessagePort[] };
  fetch: Extendable & { request: Request; respondWith(response: Response | Promise<Response>): void };
};

/** `self` in a service worker. */
export interface ServiceWorkerScope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener<K extends keyof ScopeEvents>(type: K, listener: (event: ScopeEvents[K]) => void): void;
}
