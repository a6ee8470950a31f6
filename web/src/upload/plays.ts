import type { Probe, TrackReport } from "../core/vault";
import { m } from "../messages";

/** Where one track plays, in words. */
export function whereItPlays(track: TrackReport): string {
  if (track.kind !== "video" && track.kind !== "audio") return "";
  const { chromium, firefox, safari, here } = track.plays;
  const names = [chromium && "Chrome and Edge", firefox && "Firefox", safari && "Safari"].filter((name) => name !== false);
  const where = names.length === 3 ? m.upload.playsEverywhere : names.length === 0 ? m.upload.playsNowhere : m.upload.playsIn(names.join(", "));
  return here === false && names.length > 0 ? `${where} ${m.upload.notHere}` : where;
}

/** One sentence for the file: the narrowest of its pictures and sounds. */
export function verdict(probe: Probe): { text: string; bad: boolean } {
  const media = probe.tracks.filter((track) => track.kind === "video" || track.kind === "audio");
  const worst = media
    .map((track) => ({ track, score: +track.plays.chromium + +track.plays.firefox + +track.plays.safari - (track.plays.here === false ? 0.5 : 0) }))
    .sort((a, b) => a.score - b.score)[0];
  if (!worst) return { text: m.upload.playsNowhere, bad: true };
  return { text: whereItPlays(worst.track), bad: worst.score < 2.5 };
}

export function tracksInWords(probe: Probe): string {
  return probe.tracks
    .filter((track) => track.kind !== "metadata" && track.kind !== "other")
    .map((track) => [track.codecName, track.detail].filter(Boolean).join(" "))
    .join(" · ");
}
