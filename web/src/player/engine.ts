// Shaka Player over our own scheme: loaded when the first video is opened, never before.

import type shaka from "shaka-player/dist/shaka-player.dash-es2021.js";
import { registerScheme, type PlayerModule } from "../core/scheme";
import type { Source } from "../core/source";
import type { VaultError } from "../core/vault";

export type Engine = shaka.Player;
type Shaka = typeof shaka;

let loading: Promise<Shaka> | null = null;

/** The player's code; call it early, so that it comes while the video is opened. */
export function loadShaka(source: Source): Promise<Shaka> {
  loading ??= import("shaka-player/dist/shaka-player.dash-es2021.js").then((module) => {
    const loaded = module.default;
    loaded.polyfill.installAll();
    registerScheme(loaded as unknown as PlayerModule, source);
    return loaded;
  });
  loading.catch(() => (loading = null));
  return loading;
}

/** Seconds of film kept ready before and after the playhead. */
export type Keep = { ahead: number; behind: number };

/** `captions`: subtitles are laid out in there. The browser's own would begin with a track that the page's policy refuses. */
export async function attach(source: Source, video: HTMLVideoElement, captions: HTMLElement, keep: Keep, onError: (thrown: unknown) => void): Promise<Engine> {
  const shaka = await loadShaka(source);
  const player = new shaka.Player(null, captions);
  await player.attach(video);
  player.configure({
    // The core retries by itself and knows why something failed; the player must not ask again for what cannot come.
    manifest: { dash: { ignoreMinBufferTime: true }, retryParameters: { maxAttempts: 1 } },
    streaming: { bufferingGoal: keep.ahead, rebufferingGoal: 0.5, bufferBehind: keep.behind, retryParameters: { maxAttempts: 3, baseDelay: 500, timeout: 0, stallTimeout: 0, connectionTimeout: 0 } },
    // There is one quality of each video; guessing at bandwidth has nothing to decide.
    abr: { enabled: false },
  });
  player.addEventListener("error", (event) => onError((event as unknown as { detail: unknown }).detail));
  return player;
}

/** A failed part carries the vault's own error; the rest is the player's. */
export function playerError(thrown: unknown): VaultError {
  const error = thrown as { data?: unknown[]; code?: number; category?: number; message?: string } | null;
  const inner = error?.data?.find((item): item is VaultError => typeof item === "object" && item !== null && "code" in item && "message" in item && typeof (item as VaultError).code === "string");
  if (inner) return inner;
  // CONTENT_UNSUPPORTED_BY_BROWSER, RESTRICTIONS_CANNOT_BE_MET, NO_VARIANTS.
  if (error?.code === 4032 || error?.code === 4012 || error?.code === 4036) return { code: "no_playable", message: "" };
  return { code: "player_failed", message: String(error?.message ?? "") };
}

/** 7000 LOAD_INTERRUPTED, 7001 OPERATION_ABORTED, 7003 destroyed: the page moved on. */
export function isInterrupted(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return code === 7000 || code === 7001 || code === 7003 || code === "aborted";
}
