// A svelte action: tracks on a media element. The stream is made anew only when the tracks are others.

import type { Action } from "svelte/action";

type Tracks = {
  tracks: (MediaStreamTrack | null)[];
  /** The browser wants a click before it lets the page be heard. */
  held?: (element: HTMLMediaElement) => void;
};

export const playing: Action<HTMLMediaElement, Tracks> = (element, given) => {
  const put = ({ tracks, held }: Tracks) => {
    const there = element.srcObject instanceof MediaStream ? element.srcObject.getTracks() : [];
    const next = tracks.filter((track) => track !== null);
    if (next.length === there.length && next.every((track) => there.includes(track))) return;
    element.srcObject = next.length > 0 ? new MediaStream(next) : null;
    if (next.length === 0) return;
    element.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") held?.(element);
    });
  };
  put(given);
  return {
    update: put,
    destroy() {
      element.srcObject = null;
    },
  };
};

/** Through this loudspeaker; the browser's choice for null. False where it cannot be. */
export async function through(element: HTMLMediaElement, speaker: string | null): Promise<boolean> {
  if (typeof element.setSinkId !== "function") return speaker === null;
  try {
    await element.setSinkId(speaker ?? "");
    return true;
  } catch {
    return false;
  }
}
