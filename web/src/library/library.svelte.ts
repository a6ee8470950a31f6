// What the library shows: an order of ids, and the rows and posters of those in sight.

import { SvelteMap } from "svelte/reactivity";
import { app } from "../app/app.svelte";
import type { Id, LibraryQuery, LibraryView, Sort, VideoRow } from "../core/vault";

const MAX_POSTERS = 240;

class Library {
  view = $state.raw<LibraryView | null>(null);
  failure = $state.raw<unknown>(null);
  sort = $state<Sort>("added");
  descending = $state(true);
  rows = new SvelteMap<Id, VideoRow>();
  posters = new SvelteMap<Id, string>();
  continueWatching = $state.raw<Id[]>([]);

  /** The question that `view` answers, so that an order is not shown under another heading. */
  asked = $state("");
  #fresh = new Map<Id, number>();
  #wanted = new Set<Id>();
  #asking = false;
  #running = 0;
  #posterQueue: { id: Id; wanted: () => boolean }[] = [];

  /** Looks again; call it when the question or the library changed. */
  async look(query: LibraryQuery): Promise<void> {
    const asked = JSON.stringify(query);
    const turn = ++this.#running;
    try {
      const view = await app.vault.view(query);
      if (turn !== this.#running) return;
      // The rows of the first screenful come with the order, so that nothing jumps.
      await this.#fetch(view.ids.slice(0, 40).filter((id) => this.#stale(id)));
      if (turn !== this.#running) return;
      this.view = view;
      this.asked = asked;
      this.failure = null;
    } catch (error) {
      if (turn === this.#running) this.failure = error;
    }
  }

  async lookAtContinue(): Promise<void> {
    try {
      const view = await app.vault.view({ search: "", sort: "watched", descending: true, within: { kind: "continue" } });
      const ids = view.ids.slice(0, 12);
      await this.#fetch(ids.filter((id) => this.#stale(id)));
      this.continueWatching = ids;
    } catch {
      // The row is an offer; without it the library is whole.
      this.continueWatching = [];
    }
  }

  /** Asks for rows that are missing or old, all that are wanted in one frame together. */
  want(ids: Id[]): void {
    for (const id of ids) if (this.#stale(id)) this.#wanted.add(id);
    if (this.#asking || this.#wanted.size === 0) return;
    this.#asking = true;
    requestAnimationFrame(async () => {
      const batch = [...this.#wanted];
      this.#wanted.clear();
      this.#asking = false;
      try {
        await this.#fetch(batch);
      } catch (error) {
        this.failure ??= error;
      }
    });
  }

  async row(id: Id): Promise<VideoRow | null> {
    await this.#fetch([id]);
    return this.rows.get(id) ?? null;
  }

  #stale(id: Id): boolean {
    return this.#fresh.get(id) !== app.revision;
  }

  async #fetch(ids: Id[]): Promise<void> {
    if (ids.length === 0) return;
    const revision = app.revision;
    for (const row of await app.vault.rows(ids)) {
      if (row.hasPoster && this.rows.get(row.id)?.hasPoster === false) this.forgetPoster(row.id);
      this.rows.set(row.id, row);
    }
    for (const id of ids) this.#fresh.set(id, revision);
  }

  /** Fetches a poster unless it was scrolled past before its turn came. */
  wantPoster(id: Id, wanted: () => boolean): void {
    if (this.posters.has(id)) return;
    this.#posterQueue.push({ id, wanted });
    void this.#nextPoster();
  }

  #posting = 0;
  async #nextPoster(): Promise<void> {
    if (this.#posting >= 4) return;
    const next = this.#posterQueue.pop();
    if (!next) return;
    if (!next.wanted() || this.posters.has(next.id)) return this.#nextPoster();
    this.#posting += 1;
    try {
      const image = await app.vault.poster(next.id);
      if (image && !this.posters.has(next.id)) {
        this.posters.set(next.id, URL.createObjectURL(image));
        const [oldest] = this.posters.keys();
        if (this.posters.size > MAX_POSTERS && oldest) this.forgetPoster(oldest);
      }
    } catch {
      // A poster that does not open leaves the plain one.
    } finally {
      this.#posting -= 1;
      void this.#nextPoster();
    }
  }

  forgetPoster(id: Id): void {
    const url = this.posters.get(id);
    if (url) URL.revokeObjectURL(url);
    this.posters.delete(id);
  }

  /** Locked: nothing that was opened stays here. */
  clear(): void {
    for (const id of [...this.posters.keys()]) this.forgetPoster(id);
    this.view = null;
    this.asked = "";
    this.failure = null;
    this.rows.clear();
    this.#fresh.clear();
    this.continueWatching = [];
    this.#running += 1;
  }
}

export const library = new Library();
