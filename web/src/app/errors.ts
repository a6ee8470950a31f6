import type { VaultError } from "../core/vault";
import { m } from "../messages";

export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "unknown";
}

/** What happened and what to do, for people. */
export function sentence(error: unknown): string {
  const code = codeOf(error);
  const known = (m.errors as Record<string, string | ((detail: unknown) => string)>)[code];
  if (typeof known === "string") return known;
  if (known) return known((error as VaultError).detail);
  // A code newer than this page: the vault's own words are for people too.
  const words = (error as Partial<VaultError> | null)?.message;
  return words ? words : m.errors.unknown;
}
