// The page's end of the vault: starts the worker, and makes its calls look like calls.

import "./trusted";
import { offerDownload } from "./downloads";
import { BACKSTAGE, VAULT_METHODS, type Core } from "./methods";
import { posterOf } from "./poster";
import { Caller } from "./rpc";
import { missing } from "./support";
import type { Access, Vault, VaultEvent } from "./vault";

const listeners = new Set<(event: VaultEvent) => void>();

/** Hears what the vault says by itself; answers with how to stop. */
export function onVault(listener: (event: VaultEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (event: VaultEvent) => {
  for (const listener of listeners) listener(event);
};

let caller: Caller | null = null;

/** The worker starts with the first call: a browser that cannot run it hears why instead. */
function worker(): Caller {
  if (caller) return caller;
  const started = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "vault" });
  const made = new Caller(started, (event) => tell(event as VaultEvent));
  started.addEventListener("error", (event) => {
    made.break({
      code: "no_core",
      message: `The part of this page that holds the keys stopped (${event.message || "it could not be loaded"}). Reload the page.`,
    });
  });
  caller = made;
  return made;
}

function remote(): Core {
  const calls = [...VAULT_METHODS, ...BACKSTAGE].map((method) => {
    const call = (...args: unknown[]) => worker().call(method, args, args.filter((arg) => arg instanceof MessagePort));
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

export const vault: Vault = {
  ...core,
  access: async () => (await unsupported()) ?? core.access(),
  retry: async () => (await unsupported()) ?? core.retry(),
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
  async download(video) {
    const { download, name, size } = await core.startDownload(video);
    const { port1, port2 } = new MessageChannel();
    const over = core.serveDownload(download, port1);
    return { url: await offerDownload({ name, size, port: port2 }, over), name };
  },
};
