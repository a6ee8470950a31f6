// The worker that holds the keys: loads the core, and hands it the page's calls. There is no rule in here.

import { BACKSTAGE, VAULT_METHODS, type Core } from "./methods";
import { answer, asVaultError } from "./rpc";
import { Host } from "./host";
import { serve } from "./serve-download";
import type { VaultEvent } from "./vault";
import init, { WebVault } from "../wasm/gloaming_web";

const say = (event: VaultEvent) => postMessage({ event });
const allowed: ReadonlySet<string> = new Set<string>([...VAULT_METHODS, ...BACKSTAGE]);

/** Other pages of this origin: what one of them locks is locked in all. */
const siblings = new BroadcastChannel("gloaming");

async function start(): Promise<WebVault> {
  await init({ module_or_path: new URL("../wasm/gloaming_web_bg.wasm", import.meta.url) });
  const vault = new WebVault(new Host(), say, () => siblings.postMessage(null));
  siblings.onmessage = () => void vault.heard();
  addEventListener("online", () => vault.network(true));
  addEventListener("offline", () => vault.network(false));
  return vault;
}

const starting = start();
// Whoever calls is told; without this, a failure before the first call would be nobody's.
starting.catch(() => undefined);

answer(globalThis as unknown as Parameters<typeof answer>[0], async (method, args, signal) => {
  if (!allowed.has(method)) throw { code: "fault", message: `There is no call named ${method}.` };
  const vault = await starting.catch((error: unknown) => {
    throw { code: "no_core", message: `The encryption module could not be loaded (${asVaultError(error).message}). Reload this page.` };
  });
  if (method === "part") return vault.part(String(args[0]), signal);
  if (method === "serveDownload") return serve(vault, Number(args[0]), args[1] as MessagePort);
  const act = vault[method as Exclude<keyof Core, "serveDownload">] as (...args: unknown[]) => Promise<unknown>;
  return act.apply(vault, args);
});
