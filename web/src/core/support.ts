// What this browser lacks, asked before anything is loaded, so that nobody waits for what cannot come.

import type { Missing } from "./vault";

/** Everything that is needed and not there; empty where all is well. */
export async function missing(): Promise<Missing[]> {
  const found: Missing[] = [];
  // Browsers hide WebCrypto from pages that came over plain HTTP, so this one comes first and explains the next.
  if (!globalThis.isSecureContext) found.push("secure-context");
  if (typeof globalThis.crypto?.subtle?.encrypt !== "function") found.push("webcrypto");
  if (!wasmWorks()) found.push("wasm");
  if (typeof Worker !== "function") found.push("worker");
  if (!("MediaSource" in globalThis) && !("ManagedMediaSource" in globalThis)) found.push("mse");
  if (!(await indexedDbWorks())) found.push("indexeddb");
  return found;
}

/** Also false where a policy forbids compiling, which is as good as not having it. */
function wasmWorks(): boolean {
  try {
    return WebAssembly.validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  } catch {
    return false;
  }
}

/** Some private windows have the interface and refuse to open anything. */
function indexedDbWorks(): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open("gloaming-probe");
      request.onsuccess = () => {
        request.result.close();
        indexedDB.deleteDatabase("gloaming-probe");
        resolve(true);
      };
      request.onerror = () => resolve(false);
      request.onblocked = () => resolve(false);
    } catch {
      resolve(false);
    }
  });
}
