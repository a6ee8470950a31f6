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

/** One message of a room's worker: rooms' keys do not pass through the page. */
const heardOn = (port: MessagePort): Promise<unknown> =>
  new Promise((resolve) => {
    port.onmessage = ({ data }: MessageEvent<unknown>) => {
      port.close();
      resolve(data);
    };
  });

/** Hands an account's keys for a room to the worker that holds the room. The page learns no more than whose they are. */
async function lendRoomKeys(vault: WebVault, room: string, port: MessagePort | null): Promise<{ username: string; host: boolean }> {
  const { username, device, host } = (await vault.roomKeys(room)) as { username: string; device: number[]; host: number[] | null };
  port?.postMessage({ device, host });
  return { username, host: host !== null };
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
  if (method === "makeRoom") return vault.depositRoom(await heardOn(args[0] as MessagePort));
  if (method === "lendRoomKeys") return lendRoomKeys(vault, String(args[0]), args[1] as MessagePort | null);
  if (method === "changeRoomLink") {
    const { fragment, door } = (await heardOn(args[1] as MessagePort)) as { fragment: string; door: unknown };
    return vault.changeRoomLink(String(args[0]), fragment, door);
  }
  const act = vault[method as Exclude<keyof Core, "serveDownload" | "makeRoom" | "lendRoomKeys">] as (...args: unknown[]) => Promise<unknown>;
  return act.apply(vault, args);
});
