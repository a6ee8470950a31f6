// The page's end of the vault: starts the worker, and makes its calls look like calls.

import "./trusted";
import { offerDownload } from "./downloads";
import { m } from "../messages";
import { AT_THE_DOOR, BACKSTAGE, VAULT_METHODS, type Begun, type Core } from "./methods";
import { posterOf } from "./poster";
import { Caller } from "./rpc";
import { missing } from "./support";
import { playsHere } from "./plays-here";
import type { Access, Vault, VaultEvent } from "./vault";

const listeners = new Set<(event: VaultEvent) => void>();

/** Hears what the vault says by itself; answers with how to stop. */
export function onVault(listener: (event: VaultEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (event: VaultEvent) => {
  if (event.kind === "uploads") for (const { probe } of event.uploads) playsHere(probe?.tracks);
  for (const listener of listeners) listener(event);
};

// Not every browser tells a worker that the network went away.
for (const kind of ["online", "offline"] as const) addEventListener(kind, () => tell({ kind: "online", online: kind === "online" }));

function begin(name: "vault" | "door", onEvent: (event: unknown) => void): { worker: Worker; caller: Caller } {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name });
  const caller = new Caller(worker, onEvent);
  worker.addEventListener("error", () => {
    caller.break({
      code: "no_core",
      message: m.errors.no_core,
    });
  });
  return { worker, caller };
}

let started: Caller | null = null;

/** The worker starts with the first call: a browser that cannot run it hears why instead. */
function vaultWorker(): Caller {
  started ??= begin("vault", (event) => tell(event as VaultEvent)).caller;
  return started;
}

/** Runs one call in a worker of its own, then has the lasting one look at what that left. */
async function atTheDoor(method: string, args: unknown[]): Promise<unknown> {
  const { worker, caller } = begin("door", () => undefined);
  try {
    return await caller.call(method, args);
  } finally {
    worker.terminate();
    await core.heard();
  }
}

function remote(): Core {
  const calls = [...VAULT_METHODS, ...BACKSTAGE].map((method) => {
    const call = AT_THE_DOOR.has(method)
      ? (...args: unknown[]) => atTheDoor(method, args)
      : (...args: unknown[]) => vaultWorker().call(method, args, args.filter((arg) => arg instanceof MessagePort));
    return [method, call] as const;
  });
  return Object.fromEntries(calls) as unknown as Core;
}

const core = remote();
let lacking: Promise<Access | null> | null = null;

/** Asked once: what is missing does not come back without a reload. */
function unsupported(): Promise<Access | null> {
  lacking ??= missing().then((found) => (found.length > 0 ? { kind: "unsupported", missing: found } : null));
  return lacking;
}

/** Pictures are made one after another: a browser decodes a film for each. */
let posters = Promise.resolve();

async function makePoster(upload: string, file: File): Promise<void> {
  const image = await posterOf(file);
  await core.offerPoster(upload, image);
}

async function offered({ download, name, size }: Begun): Promise<{ url: string; name: string }> {
  const { port1, port2 } = new MessageChannel();
  const over = core.serveDownload(download, port1);
  return { url: await offerDownload({ name, size, port: port2 }, over), name };
}

export const vault: Vault = {
  ...core,
  access: async () => (await unsupported()) ?? core.access(),
  retry: async () => (await unsupported()) ?? core.retry(),
  async probe(file) {
    const probe = await core.probe(file);
    playsHere(probe.tracks);
    return probe;
  },
  async uploads() {
    const uploads = await core.uploads();
    for (const { probe } of uploads) playsHere(probe?.tracks);
    return uploads;
  },
  async open(video) {
    const playable = await core.open(video);
    playsHere(playable.details);
    return playable;
  },
  async upload(files) {
    const ids = await core.upload(files);
    files.forEach(({ file }, at) => {
      const id = ids[at];
      if (id !== undefined) posters = posters.then(() => makePoster(id, file)).catch(() => undefined);
    });
    return ids;
  },
  async giveFile(id, file) {
    await core.giveFile(id, file);
    posters = posters.then(() => makePoster(id, file)).catch(() => undefined);
  },
  async openReceived(share, video) {
    const showing = await core.openReceived(share, video);
    playsHere(showing.playable.details);
    return showing;
  },
  download: async (video) => offered(await core.startDownload(video)),
  downloadReceived: async (share, video) => offered(await core.startReceivedDownload(share, video)),
};
