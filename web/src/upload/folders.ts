// What a folder holds, however the browser shows it. Which of it is taken, the core says.

export type Found = {
  /** With slashes; begins with the name of the folder that was given. */
  path: string;
  /** Null where it went away meanwhile, or may not be read. */
  open: () => Promise<{ file: File; handle: FileSystemFileHandle | null } | null>;
};

/** So deep no one keeps films; a link that leads back into itself ends here. */
const MAX_DEPTH = 32;

type Listed = FileSystemDirectoryHandle & { values: () => AsyncIterable<FileSystemHandle> };

/** Below a handle: its files keep their handles, so that a reload needs one click for each. */
export async function walk(folder: FileSystemDirectoryHandle, path = folder.name, depth = 0): Promise<Found[]> {
  const found: Found[] = [];
  for await (const handle of (folder as Listed).values()) {
    const below = `${path}/${handle.name}`;
    if (handle.kind === "file") {
      const file = handle as FileSystemFileHandle;
      found.push({ path: below, open: () => file.getFile().then((opened) => ({ file: opened, handle: file }), () => null) });
    } else if (depth < MAX_DEPTH) found.push(...(await walk(handle as FileSystemDirectoryHandle, below, depth + 1)));
  }
  return found;
}

/** Below an entry, where there are no handles. */
export async function walkEntry(folder: FileSystemDirectoryEntry, path = folder.name, depth = 0): Promise<Found[]> {
  const reader = folder.createReader();
  const found: Found[] = [];
  for (;;) {
    // Browsers answer a hundred at a time, and with none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return found;
    for (const entry of entries) {
      const below = `${path}/${entry.name}`;
      if (entry.isFile) {
        const open = () => new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
        found.push({ path: below, open: () => open().then((file) => ({ file, handle: null }), () => null) });
      } else if (depth < MAX_DEPTH) found.push(...(await walkEntry(entry as FileSystemDirectoryEntry, below, depth + 1)));
    }
  }
}
