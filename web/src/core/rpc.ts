// Calls over postMessage, between the page and the worker that holds the keys.
//
//   page → worker   { call, method, args }   { cancel }
//   worker → page   { answer, value }        { answer, error }        { event }
//
// Every call is answered once. A call whose last argument is an AbortSignal can be given up: the page's promise fails
// at once with code "aborted", and the worker is told. Errors travel as plain VaultErrors and are thrown as Failures.

import type { VaultError } from "./vault";

export type Ask =
  | { call: number; method: string; args: unknown[] }
  | { cancel: number };

export type Tell =
  | { answer: number; value: unknown }
  | { answer: number; error: VaultError }
  | { event: unknown };

/** A VaultError that can be thrown and has a stack. */
export class Failure extends Error implements VaultError {
  readonly code: string;
  readonly detail?: unknown;

  constructor(error: VaultError) {
    super(error.message);
    this.name = "Failure";
    this.code = error.code;
    if (error.detail !== undefined) this.detail = error.detail;
  }
}

/** Whatever was thrown, as data. What is not ours is a fault of ours, and says so. */
export function asVaultError(thrown: unknown): VaultError {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown) {
    const { code, message } = thrown;
    if (typeof code === "string" && typeof message === "string") {
      return "detail" in thrown && thrown.detail !== undefined ? { code, message, detail: thrown.detail } : { code, message };
    }
  }
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "fault", message: `Something went wrong inside this page (${text}). Reload it and try again.` };
}

/** One side's end of the wire: a Worker, a MessagePort or a worker's own scope. */
export interface Wire {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

type Waiting = { resolve: (value: unknown) => void; reject: (error: Failure) => void; done: () => void };

/** The page's end. */
export class Caller {
  readonly #wire: Wire;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #broken: Failure | null = null;

  constructor(wire: Wire, onEvent: (event: unknown) => void) {
    this.#wire = wire;
    wire.addEventListener("message", ({ data }: MessageEvent<Tell>) => {
      if ("event" in data) {
        onEvent(data.event);
        return;
      }
      const waiting = this.#waiting.get(data.answer);
      if (!waiting) return; // given up meanwhile
      this.#waiting.delete(data.answer);
      waiting.done();
      if ("error" in data) waiting.reject(new Failure(data.error));
      else waiting.resolve(data.value);
    });
  }

  call(method: string, args: unknown[], transfer: Transferable[] = []): Promise<unknown> {
    if (this.#broken) return Promise.reject(this.#broken);
    const last = args.at(-1);
    const signal = last instanceof AbortSignal ? last : null;
    if (signal) args = args.slice(0, -1);
    const call = ++this.#last;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(call);
        this.#wire.postMessage({ cancel: call } satisfies Ask, []);
        reject(new Failure({ code: "aborted", message: "This was given up." }));
      };
      if (signal?.aborted) {
        reject(new Failure({ code: "aborted", message: "This was given up." }));
        return;
      }
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiting.set(call, { resolve, reject, done: () => signal?.removeEventListener("abort", giveUp) });
      this.#wire.postMessage({ call, method, args } satisfies Ask, transfer);
    });
  }

  /** The other side is gone: everything that waits fails, now and later. */
  break(error: VaultError): void {
    const failure = new Failure(error);
    this.#broken = failure;
    for (const waiting of this.#waiting.values()) {
      waiting.done();
      waiting.reject(failure);
    }
    this.#waiting.clear();
  }
}

/** The worker's end: hands each call to `handle`, and its answer back. */
export function answer(wire: Wire, handle: (method: string, args: unknown[], signal: AbortSignal) => Promise<unknown>): void {
  const running = new Map<number, AbortController>();
  wire.addEventListener("message", ({ data }: MessageEvent<Ask>) => {
    if ("cancel" in data) {
      running.get(data.cancel)?.abort();
      return;
    }
    const { call, method, args } = data;
    const controller = new AbortController();
    running.set(call, controller);
    handle(method, args, controller.signal).then(
      (value) => wire.postMessage({ answer: call, value } satisfies Tell, buffersOf(value)),
      (thrown: unknown) => wire.postMessage({ answer: call, error: asVaultError(thrown) } satisfies Tell, []),
    ).finally(() => running.delete(call));
  });
}

/** Buffers at the top of an answer are moved, not copied: media parts have exactly one. */
function buffersOf(value: unknown): Transferable[] {
  if (value instanceof ArrayBuffer) return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).filter((item) => item instanceof ArrayBuffer);
}
