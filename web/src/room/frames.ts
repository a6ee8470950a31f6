// Sealing and opening of media frames: what RTCRtpScriptTransform hands to the worker. The core decides keys, ids and
// counters; frames above half a kilobyte are put through WebCrypto, which is far quicker there, and the others through the
// core, which is quicker for them. What is not sealed does not go out, and what does not open does not come in.

import type { Counter, TransformOptions } from "./member";

/** Where WebCrypto begins to be the quicker one. */
const BULK = 512;
/** Keys of epochs that are over; far more than are open at a time. */
const MAX_KEYS = 512;
const ASK_AGAIN_MS = 500;

type Job = { readonly kid: bigint; readonly nonce: Uint8Array<ArrayBuffer>; readonly aad: Uint8Array<ArrayBuffer>; readonly clear: number; free(): void };
type SealJob = Job & { readonly header: Uint8Array<ArrayBuffer> };
type OpenJob = Job & { readonly epoch: bigint; readonly ciphertext: number };

/** The part of the core's face that is about frames. */
export interface Frames<S extends SealJob = SealJob, O extends OpenJob = OpenJob> {
  seal(track: number, mime: string, frame: Uint8Array): Uint8Array;
  sealJob(track: number, mime: string, frame: Uint8Array): S;
  sealKey(job: S): Uint8Array | undefined;
  open(leaf: number, mime: string, frame: Uint8Array): Uint8Array;
  openJob(leaf: number, mime: string, frame: Uint8Array): O;
  openKey(job: O): Uint8Array | undefined;
  frameOpened(job: O): void;
  leafOf(seat: string): number | undefined;
}

/** An encoded frame, of either kind. */
type Frame = { data: ArrayBuffer; readonly type?: "key" | "delta" | "empty"; getMetadata(): { mimeType?: string } };
type Transformer = {
  readonly readable: ReadableStream<Frame>;
  readonly writable: WritableStream<Frame>;
  readonly options: TransformOptions;
  sendKeyFrameRequest?(): Promise<void>;
};
export type TransformEvent = Event & { readonly transformer: Transformer };

export class Sealing {
  #core: Frames | null = null;
  readonly #counters = new Map<string, Counter>();
  readonly #sealKeys = new Map<bigint, Promise<CryptoKey>>();
  readonly #openKeys = new Map<string, Promise<CryptoKey>>();

  /** From now on with this member; without one frames are dropped. */
  use(core: Frames | null): void {
    this.#core = core;
    this.otherGroup();
  }

  /** Frames are sealed with another epoch's keys. */
  otherEpoch(): void {
    this.#sealKeys.clear();
  }

  /** Ids of keys mean other keys now. */
  otherGroup(): void {
    this.#sealKeys.clear();
    this.#openKeys.clear();
  }

  counters(): Counter[] {
    return [...this.#counters.values()].map((counter) => ({ ...counter, dropped: { ...counter.dropped } }));
  }

  forget(link: string): void {
    for (const [name, counter] of this.#counters) if (counter.link === link || counter.link.startsWith(`${link}/`)) this.#counters.delete(name);
  }

  /** A connection's sender or receiver hands its frames over, until it is closed. */
  take({ transformer }: TransformEvent): void {
    const { options } = transformer;
    const counter: Counter = { link: options.link, side: options.side, slot: options.slot, seen: 0, done: 0, dropped: {}, spent: 0 };
    this.#counters.set(`${options.link}/${options.side}/${options.slot}`, counter);
    let gap = false;
    let asked = -Infinity;
    const transform = async (frame: Frame, next: TransformStreamDefaultController<Frame>) => {
      const begun = performance.now();
      counter.seen += 1;
      try {
        const { mimeType } = frame.getMetadata();
        if (mimeType === undefined) throw "other-codec";
        const data = new Uint8Array(frame.data);
        const out = options.side === "send" ? await this.#seal(options.slot, mimeType, data) : await this.#open(options.seat, mimeType, data);
        frame.data = out;
        counter.done += 1;
        counter.spent += performance.now() - begun;
        next.enqueue(frame);
        if (options.side === "receive" && frame.type !== undefined && gap) {
          if (frame.type === "key") gap = false;
          else if (begun - asked > ASK_AGAIN_MS) {
            // A decoder that misses frames would find out by itself, but later.
            asked = begun;
            void transformer.sendKeyFrameRequest?.().catch(() => undefined);
          }
        }
      } catch (thrown) {
        const why = typeof thrown === "string" ? thrown : "fault";
        counter.dropped[why] = (counter.dropped[why] ?? 0) + 1;
        if (why !== "replayed") gap = true;
      }
    };
    // Ends with the connection; there is nobody to tell.
    transformer.readable.pipeThrough(new TransformStream<Frame, Frame>({ transform })).pipeTo(transformer.writable).catch(() => undefined);
  }

  async #seal(slot: number, mime: string, frame: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    const core = this.#core;
    if (!core) throw "no-key";
    if (frame.length <= BULK) return whole(core.seal(slot, mime, frame));
    const job = core.sealJob(slot, mime, frame);
    try {
      // The key is taken before anything is waited for: the next moment may be another epoch's.
      const key = keyOf(this.#sealKeys, job.kid, () => core.sealKey(job));
      const { header, clear, nonce, aad } = job;
      const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, await key, frame.subarray(clear));
      const out = new Uint8Array(clear + header.length + sealed.byteLength);
      out.set(frame.subarray(0, clear));
      out.set(header, clear);
      out.set(new Uint8Array(sealed), clear + header.length);
      return out.buffer;
    } finally {
      job.free();
    }
  }

  async #open(seat: string, mime: string, frame: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    const core = this.#core;
    const leaf = core?.leafOf(seat);
    if (!core || leaf === undefined) throw "no-key";
    if (frame.length <= BULK) return whole(core.open(leaf, mime, frame));
    const job = core.openJob(leaf, mime, frame);
    try {
      const key = keyOf(this.#openKeys, `${job.epoch}/${job.kid}`, () => core.openKey(job));
      const { clear, ciphertext, nonce, aad } = job;
      const plain = await crypto.subtle
        .decrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, await key, frame.subarray(ciphertext))
        .catch(() => Promise.reject("rejected"));
      if (core !== this.#core) throw "no-key";
      core.frameOpened(job);
      if (clear === 0) return plain;
      const out = new Uint8Array(clear + plain.byteLength);
      out.set(frame.subarray(0, clear));
      out.set(new Uint8Array(plain), clear);
      return out.buffer;
    } finally {
      job.free();
    }
  }
}

function keyOf<K>(keys: Map<K, Promise<CryptoKey>>, id: K, raw: () => Uint8Array | undefined): Promise<CryptoKey> {
  const known = keys.get(id);
  if (known) return known;
  const bytes = raw();
  if (!bytes) throw "no-key";
  const key = crypto.subtle.importKey("raw", bytes as Uint8Array<ArrayBuffer>, "AES-GCM", false, ["encrypt", "decrypt"]);
  bytes.fill(0);
  if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value as K);
  keys.set(id, key);
  return key;
}

/** The core's answers are buffers of their own. */
const whole = (bytes: Uint8Array): ArrayBuffer =>
  (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
