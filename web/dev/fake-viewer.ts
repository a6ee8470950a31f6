// A make-believe viewer, beside fake-vault.ts.

import type { Playable, VaultError } from "../src/core/vault";
import type { Viewer, ViewerEvent } from "../src/core/viewer";

export type FakeViewer = { viewer: Viewer; onViewer: (listener: (event: ViewerEvent) => void) => () => void };

const video = "01930000-0000-7000-8000-000000000001";
const playable = (id: string, title: string): Playable => ({
  video: id, title, durationMs: 754_000, resumeAt: 0, manifest: `e2e://${id}/manifest.mpd`, audio: [], text: [], chapters: [], details: [],
});
const titles = ["Week 1: Light and how it falls", "الأسبوع الثاني: الألوان عند الغروب", "Week 3: The very long exercise in which everybody films the same door for an hour and nobody is allowed to speak"];

export function makeFakeViewer(scenario: string): FakeViewer {
  const fail = (code: string): Promise<never> => Promise.reject({ code, message: "" } satisfies VaultError);
  const later = <T>(value: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value), 20));
  const listeners = new Set<(event: ViewerEvent) => void>();
  const ended = /^viewer-(share_\w+|too_many_at_once|link_\w+|not_found|offline|tampered)$/.exec(scenario)?.[1];
  if (scenario === "viewer-over") setTimeout(() => listeners.forEach((hear) => hear({ kind: "over", video, error: { code: "share_revoked", message: "" } })), 300);
  const list = scenario === "viewer-list" ? titles : titles.slice(0, 1);
  const viewer: Viewer = {
    wantsPassword: () => (scenario === "viewer-link_incomplete" ? fail("link_incomplete") : later(scenario === "viewer-password")),
    open: ({ password }) =>
      scenario === "viewer-opening" ? new Promise(() => undefined) :
      ended ? fail(ended) :
      password === "wrong" ? fail("link_refused") :
      later({
        kind: scenario === "viewer-open" ? "open" : "link",
        policy: { from: null, until: null, maxViewers: null, maxPlays: null, maxAtOnce: null, embedOrigins: [], download: scenario === "viewer-list" },
        name: scenario === "viewer-list" ? "A summer course in looking" : titles[0]!,
        mark: scenario === "viewer-mark" ? "Ana, cohort 3" : "",
        videos: list.map((title, i) => ({ video: video.slice(0, -1) + String(i + 1), title })),
        playable: playable(video, titles[0]!),
      }),
    openVideo: (id, resumeAt) => later({ ...playable(id, titles[Number(id.at(-1)) - 1] ?? ""), resumeAt }),
    part: () => new Promise(() => undefined),
    report: async () => undefined,
    close: async () => undefined,
    download: () => fail("offline"),
  };
  return {
    viewer,
    onViewer: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
