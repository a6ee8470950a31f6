// What can be done to videos, from a card, a selection or the video's own page; each says what it did.

import { app, attempt } from "../app/app.svelte";
import type { Id } from "../core/vault";
import { saveFrom } from "../core/downloads";
import { m } from "../messages";

export async function trash(ids: Id[]): Promise<boolean> {
  return attempt(async () => {
    await app.vault.trash(ids);
    app.say(m.library.trashed(ids.length), { label: m.library.undo, run: () => void restore(ids) });
  });
}

export async function restore(ids: Id[]): Promise<boolean> {
  return attempt(async () => {
    await app.vault.restore(ids);
    app.say(m.library.restored(ids.length));
  });
}

export async function deleteForGood(ids: Id[]): Promise<boolean> {
  return attempt(async () => {
    await app.vault.deleteForGood(ids);
    app.say(m.library.deleted(ids.length));
  });
}

export async function rename(id: Id, title: string): Promise<boolean> {
  return attempt(async () => {
    await app.vault.rename(id, title);
    app.speak(m.library.renamed(title));
  });
}

export async function addTo(playlist: { id: Id; name: string }, ids: Id[]): Promise<boolean> {
  return attempt(async () => {
    await app.vault.addToPlaylist(playlist.id, ids);
    app.say(m.library.added(ids.length, playlist.name));
  });
}

export async function removeFrom(playlist: Id, ids: Id[]): Promise<boolean> {
  return attempt(async () => {
    await app.vault.removeFromPlaylist(playlist, ids);
    app.say(m.library.removed(ids.length), { label: m.library.undo, run: () => void attempt(() => app.vault.addToPlaylist(playlist, ids)) });
  });
}

export async function download(id: Id): Promise<boolean> {
  return attempt(async () => {
    const { url } = await app.vault.download(id);
    saveFrom(url);
    app.say(m.video.downloading);
  });
}
