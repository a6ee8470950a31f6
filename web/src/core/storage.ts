// A private place of this origin, in IndexedDB. Two shelves: notes (journals, last heads, settings, file handles) lie as
// they are; keys are sealed under a CryptoKey that the browser keeps and never shows, and that goes with the last of
// them. So a reload stays unlocked, a copy of the profile's files alone does not give the keys away to a script of
// ours, and locking leaves nothing to open.

const NAME = "gloaming";
const VERSION = 1;
const WRAPPING = "wrapping-key";
type Store = "notes" | "keys" | "wrapping";

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      for (const store of ["notes", "keys", "wrapping"] satisfies Store[]) request.result.createObjectStore(store);
    };
    request.onsuccess = () => {
      const db = request.result;
      // A newer page wants to upgrade, or the site's data is cleared: let go, and open again at the next call.
      db.onversionchange = () => {
        db.close();
        opened = null;
      };
      db.onclose = () => (opened = null);
      resolve(db);
    };
    request.onerror = () => reject(refused(request.error));
    request.onblocked = () => reject(refused(null));
  }).catch((error: unknown) => {
    opened = null;
    throw error;
  });
  return opened;
}

function refused(error: DOMException | null): Error {
  // Chromium and Firefox name a full disk differently.
  const full = error?.name === "QuotaExceededError" || error?.name === "NS_ERROR_FILE_NO_DEVICE_SPACE";
  return new Error(full ? "this device has no room left" : "this browser does not let the page keep anything");
}

async function run<T>(store: Store, mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, mode, { durability: "strict" });
    const request = act(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(refused(transaction.error));
  });
}

const get = (store: Store, name: string) => run<unknown>(store, "readonly", (s) => s.get(name));
const remove = (store: Store, name: string) => run(store, "readwrite", (s) => s.delete(name));

async function namesOf(store: Store, prefix: string): Promise<string[]> {
  const keys = await run(store, "readonly", (s) => s.getAllKeys(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
  return keys.filter((key) => typeof key === "string");
}

/** Bytes, and whatever else the browser can clone (file handles). Kept when the promise is. */
export const notes = {
  load: (name: string): Promise<unknown> => get("notes", name),
  save: async (name: string, value: unknown): Promise<void> => {
    await run("notes", "readwrite", (s) => s.put(value, name));
  },
  forget: (name: string): Promise<void> => remove("notes", name),
  names: (prefix: string): Promise<string[]> => namesOf("notes", prefix),
};

/** As notes, but for no longer than this worker: for a viewer whose browser keeps nothing, as for frames of other sites. */
export async function viewersNotes(): Promise<typeof notes> {
  const kept = await database().then(
    () => true,
    () => false,
  );
  if (kept) return notes;
  const held = new Map<string, unknown>();
  return {
    load: async (name) => held.get(name),
    save: async (name, value) => void held.set(name, value),
    forget: async (name) => void held.delete(name),
    names: async (prefix) => [...held.keys()].filter((name) => name.startsWith(prefix)),
  };
}

async function wrappingKey(): Promise<CryptoKey | null> {
  const key = await get("wrapping", WRAPPING);
  return key instanceof CryptoKey ? key : null;
}

const boundTo = (name: string) => new TextEncoder().encode(`gloaming/browser-keys/${name}`);

/** As notes, but sealed: iv(12) ‖ AES-256-GCM. What does not open is as good as not there: the password is asked. */
export const keys = {
  load: async (name: string): Promise<Uint8Array | undefined> => {
    const [key, sealed] = await Promise.all([wrappingKey(), get("keys", name)]);
    if (!key || !(sealed instanceof Uint8Array)) return undefined;
    const algorithm = { name: "AES-GCM", iv: sealed.slice(0, 12), additionalData: boundTo(name) };
    return crypto.subtle.decrypt(algorithm, key, sealed.slice(12)).then((bytes) => new Uint8Array(bytes), () => undefined);
  },
  save: async (name: string, value: Uint8Array<ArrayBuffer>): Promise<void> => {
    let key = await wrappingKey();
    if (!key) {
      const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
      // Two tabs may make one at the same time: the first to keep it wins, and both use that.
      await run("wrapping", "readwrite", (s) => s.add(made, WRAPPING)).catch(() => undefined);
      key = await wrappingKey();
      if (!key) throw refused(null);
    }
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: boundTo(name) }, key, value);
    value.fill(0);
    const whole = new Uint8Array(12 + sealed.byteLength);
    whole.set(iv);
    whole.set(new Uint8Array(sealed), 12);
    await run("keys", "readwrite", (s) => s.put(whole, name));
  },
  forget: async (name: string): Promise<void> => {
    await remove("keys", name);
    if ((await namesOf("keys", "")).length === 0) await remove("wrapping", WRAPPING);
  },
  names: (prefix: string): Promise<string[]> => namesOf("keys", prefix),
};
