// How a share stands now, as far as its owner can tell.

import type { Policy, Share } from "../core/vault";

export type Standing = "active" | "not-yet" | "expired" | "used-up" | "stopped" | "unknown";

export function standing(share: Share, now = Date.now()): Standing {
  if (share.revokedAt !== null) return "stopped";
  const { policy } = share;
  if (!policy) return "unknown";
  if (policy.until !== null && policy.until <= now) return "expired";
  // All viewers taken still lets those in who were counted; all plays taken lets nobody in.
  if (policy.maxPlays !== null && share.plays >= policy.maxPlays) return "used-up";
  if (policy.from !== null && policy.from > now) return "not-yet";
  return "active";
}

/** Whether somebody can watch by it, now or later. */
export const isLive = (share: Share): boolean => ["active", "not-yet"].includes(standing(share));

export const unlimited = (): Policy => ({ from: null, until: null, maxViewers: null, maxPlays: null, maxAtOnce: null, embedOrigins: [], download: false });

/** Milliseconds to what a field for local time holds, and back. */
export function toField(at: number | null): string {
  if (at === null) return "";
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
export function fromField(text: string): number | null {
  const at = Date.parse(text);
  return Number.isFinite(at) ? at : null;
}

/** The origin that a line names, or null: `https://site`, without a path; `http://` on this machine only. */
export function originOf(line: string): string | null {
  try {
    const url = new URL(line.trim());
    const here = url.hostname === "localhost" || url.hostname === "127.0.0.1";
    const bare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
    return bare && (url.protocol === "https:" || (url.protocol === "http:" && here)) ? url.origin : null;
  } catch {
    return null;
  }
}
