// Files on their way in: chosen or dropped, looked into one after another, and not sent before the person says so.

import { app, attempt } from "../app/app.svelte";
import { router } from "../app/router.svelte";
import type { Id, Probe, VaultError } from "../core/vault";
import { m } from "../messages";

export type Candidate = {
  key: number;
  file: File;
  handle: FileSystemFileHandle | null;
  probe: Probe | null;
  error: unknown;
  wanted: boolean;
};

type Picker = {
  showOpenFilePicker?: (options: { multiple: boolean; types?: unknown[] }) => Promise<FileSystemFileHandle[]>;
};
type MaybeHandle = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

class Adding {
  candidates = $state<Candidate[]>([]);
  open = $state(false);
  #next = 1;
  #looking = false;

  add(files: { file: File; handle: FileSystemFileHandle | null }[]): void {
    if (files.length === 0) return;
    this.open = true;
    this.candidates.push(...files.map((each) => ({ ...each, key: this.#next++, probe: null, error: null as unknown, wanted: true })));
    void this.#look();
  }

  /** One file at a time: forty at once would only make each of them wait. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    for (;;) {
      const next = this.candidates.find((each) => !each.probe && !each.error);
      if (!next) break;
      try {
        const probe = await app.vault.probe(next.file);
        next.probe = probe;
        if (probe.already) next.wanted = false;
      } catch (error) {
        next.error = error as VaultError;
        next.wanted = false;
      }
    }
    this.#looking = false;
  }

  async start(): Promise<void> {
    const files = this.candidates.filter((each) => each.wanted && !each.error).map(({ file, handle }) => ({ file, handle, title: null }));
    this.close();
    if (files.length === 0) return;
    if (await attempt(() => app.vault.upload(files))) router.go("/uploads");
  }

  close(): void {
    this.open = false;
    this.candidates = [];
  }
}

export const adding = new Adding();

/** Asks for files; where the browser gives handles, they are kept, so that a reload needs one click. */
export async function pick(multiple: boolean): Promise<{ file: File; handle: FileSystemFileHandle | null }[]> {
  const { showOpenFilePicker } = globalThis as Picker;
  if (showOpenFilePicker) {
    try {
      const handles = await showOpenFilePicker({ multiple });
      return await Promise.all(handles.map(async (handle) => ({ file: await handle.getFile(), handle })));
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return [];
      // Refused (a frame, a policy): the plain way still works.
    }
  }
  return new Promise((resolve) => {
    document.querySelector("input[data-picker]")?.remove();
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = multiple;
    input.hidden = true;
    input.dataset["picker"] = "";
    // Not "cancel": a browser may say it before files come after all. A field left behind goes with the next one.
    input.addEventListener("change", () => {
      input.remove();
      resolve([...(input.files ?? [])].map((file) => ({ file, handle: null })));
    });
    document.body.append(input);
    input.click();
  });
}

export async function choose(): Promise<void> {
  await attempt(async () => adding.add(await pick(true)));
}

/** What was dropped. Everything must be asked for before the event ends; the answers may come later. */
export async function dropped(transfer: DataTransfer): Promise<void> {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const folders = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
  const taken = items
    .filter((item) => !item.webkitGetAsEntry?.()?.isDirectory)
    .map((item) => ({ file: item.getAsFile(), handle: (item as MaybeHandle).getAsFileSystemHandle?.() ?? null }));
  if (folders) app.say(m.upload.directory, null, true);
  const files = await Promise.all(
    taken.map(async ({ file, handle }) => {
      const kept = await Promise.resolve(handle).catch(() => null);
      return file ? { file, handle: kept?.kind === "file" ? (kept as FileSystemFileHandle) : null } : null;
    }),
  );
  adding.add(files.filter((each) => each !== null));
}

/** The same file for an upload of an earlier page: from the kept handle in one click, else from the picker. */
export async function again(upload: Id, usePicker: boolean): Promise<void> {
  await attempt(async () => {
    if (!usePicker) {
      const handle = (await app.vault.keptHandle(upload)) as (FileSystemFileHandle & { requestPermission?: (how: { mode: "read" }) => Promise<string> }) | null;
      if (handle) {
        const leave = (await handle.requestPermission?.({ mode: "read" })) ?? "granted";
        if (leave === "granted") {
          await app.vault.giveFile(upload, await handle.getFile());
          return;
        }
      }
    }
    const [chosen] = await pick(false);
    if (chosen) await app.vault.giveFile(upload, chosen.file);
  });
}
