import type { Probe, TrackReport } from "../core/vault";
import { m } from "../messages";

/** Where one track plays, in words. */
export function whereItPlays(track: TrackReport): string {
  if (track.kind !== "video" && track.kind !== "audio") return "";
  const { chromium, firefox, safari, here } = track.plays;
  const names = [chromium && m.upload.browsers.chromium, firefox && m.upload.browsers.firefox, safari && m.upload.browsers.safari].filter((name) => name !== false);
  const where = names.length === 3 ? m.upload.playsEverywhere : names.length === 0 ? m.upload.playsNowhere : m.upload.playsIn(names.join(", "));
  return here === false && names.length > 0 ? `${where} ${m.upload.notHere}` : where;
}

/** Where the file plays: one sentence if everywhere, else one for each picture or sound that does not. */
export function verdicts(probe: Probe): { text: string; bad: boolean }[] {
  const media = probe.tracks.filter((track) => track.kind === "video" || track.kind === "audio");
  if (media.length === 0) return [{ text: m.upload.playsNowhere, bad: true }];
  const narrow = media.filter(({ plays }) => !plays.chromium || !plays.firefox || !plays.safari || plays.here === false);
  if (narrow.length === 0) return [{ text: m.upload.playsEverywhere, bad: false }];
  return narrow.map((track) => ({ text: `${track.codecName}: ${whereItPlays(track)}`, bad: true }));
}

export function tracksInWords(probe: Probe): string {
  return probe.tracks
    .filter((track) => track.kind !== "metadata" && track.kind !== "other")
    .map((track) => [track.codecName, track.detail].filter(Boolean).join(" "))
    .join(" · ");
}
