// Files on their way in: chosen or dropped, looked into one after another, and not sent before the person says so.

import { app, attempt } from "../app/app.svelte";
import { router } from "../app/router.svelte";
import type { Id, Probe, VaultError } from "../core/vault";
import { m } from "../messages";
import { walk, walkEntry, type Found } from "./folders";

/** A file somebody gave, and the folder it came out of, if it did. */
export type Given = { file: File; handle: FileSystemFileHandle | null; folder: string | null };

export type Candidate = Given & {
  key: number;
  probe: Probe | null;
  error: unknown;
  wanted: boolean;
};

type Picked = { file: File; handle: FileSystemFileHandle | null };
type Picker = {
  showOpenFilePicker?: (options: { multiple: boolean }) => Promise<FileSystemFileHandle[]>;
  showDirectoryPicker?: (options: { mode: "read" }) => Promise<FileSystemDirectoryHandle>;
};
type MaybeHandle = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

class Adding {
  candidates = $state<Candidate[]>([]);
  open = $state(false);
  #next = 1;
  #looking = false;

  add(files: Given[]): void {
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
    const good = this.candidates.filter((each) => each.probe);
    const files = good
      .filter((each) => each.wanted)
      .map(({ file, handle, folder, probe }) => ({ file, handle, title: null, folder, again: Boolean(probe?.already) }));
    // What was there before is not sent, and belongs to its folder's playlist all the same.
    const known = new Map<string, Id[]>();
    for (const { folder, probe, wanted } of good) {
      if (folder !== null && probe?.already && !wanted) known.set(folder, [...(known.get(folder) ?? []), probe.already]);
    }
    this.close();
    await attempt(async () => {
      for (const [folder, videos] of known) await app.vault.addToFolder(folder, videos);
      if (files.length > 0) {
        await app.vault.upload(files);
        router.go("/uploads");
      } else if (known.size > 0) app.say(m.upload.sorted(known.size));
    });
  }

  close(): void {
    this.open = false;
    this.candidates = [];
  }
}

export const adding = new Adding();

/** Asks for files; where the browser gives handles, they are kept, so that a reload needs one click. */
export async function pick(multiple: boolean): Promise<Picked[]> {
  const { showOpenFilePicker } = globalThis as Picker;
  if (showOpenFilePicker) {
    try {
      const handles = await showOpenFilePicker({ multiple });
      return await Promise.all(handles.map(async (handle) => ({ file: await handle.getFile(), handle })));
    } catch (error) {
      if (closed(error)) return [];
      // Refused (a frame, a policy): the plain way still works.
    }
  }
  return (await field((input) => (input.multiple = multiple))).map((file) => ({ file, handle: null }));
}

/** Whether somebody closed the browser's dialog. */
const closed = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

/** What is chosen in a plain file field. */
function field(prepare: (input: HTMLInputElement) => void): Promise<File[]> {
  return new Promise((resolve) => {
    document.querySelector("input[data-picker]")?.remove();
    const input = document.createElement("input");
    input.type = "file";
    input.hidden = true;
    input.dataset["picker"] = "";
    prepare(input);
    // Not "cancel": a browser may say it before files come after all. A field left behind goes with the next one.
    input.addEventListener("change", () => {
      input.remove();
      resolve([...(input.files ?? [])]);
    });
    document.body.append(input);
    input.click();
  });
}

export async function choose(): Promise<void> {
  await attempt(async () => adding.add((await pick(true)).map((each) => ({ ...each, folder: null }))));
}

/** A folder with all that is in it. */
export async function chooseFolder(): Promise<void> {
  await attempt(async () => {
    const { showDirectoryPicker } = globalThis as Picker;
    let found: Found[] | null = null;
    if (showDirectoryPicker) {
      try {
        found = await walk(await showDirectoryPicker({ mode: "read" }));
      } catch (error) {
        if (closed(error)) return;
      }
    }
    found ??= (await field((input) => (input.webkitdirectory = true))).map((file) => ({
      path: file.webkitRelativePath,
      open: async () => ({ file, handle: null }),
    }));
    await addFolders(found, []);
  });
}

/** The films among what folders hold, besides files that were given by themselves. */
async function addFolders(found: Found[], files: Given[]): Promise<void> {
  const taken = await app.vault.takeFromFolders(found.map(({ path }) => path));
  let gone = 0;
  for (const { at, folder } of taken) {
    const opened = await found[at]?.open();
    if (opened) files.push({ ...opened, folder });
    else gone += 1;
  }
  if (gone > 0) app.say(m.upload.unreadable(gone), null, true);
  else if (files.length === 0) app.say(m.upload.noFilms, null, true);
  adding.add(files);
}

/** What was dropped. Everything must be asked for before the event ends; the answers may come later. */
export async function dropped(transfer: DataTransfer): Promise<void> {
  const items = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({
      file: item.getAsFile(),
      entry: item.webkitGetAsEntry?.() ?? null,
      handle: (item as MaybeHandle).getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null),
    }));
  await attempt(async () => {
    const files: Given[] = [];
    const found: Found[] = [];
    for (const { file, entry, handle } of items) {
      const kept = await handle;
      if (kept?.kind === "directory") found.push(...(await walk(kept as FileSystemDirectoryHandle)));
      else if (entry?.isDirectory) found.push(...(await walkEntry(entry as FileSystemDirectoryEntry)));
      else if (file) files.push({ file, handle: kept as FileSystemFileHandle | null, folder: null });
    }
    if (items.some(({ entry }) => entry?.isDirectory)) await addFolders(found, files);
    else adding.add(files);
  });
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
