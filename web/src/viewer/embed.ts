// What a page that shows the player in a frame may say to it, and hears from it. docs/sharing.md is the reference.
//
//   page → player   { gloaming: "play" }  { gloaming: "pause" }  { gloaming: "seek", seconds }
//   player → page   { gloaming: "ready" | "playing" | "paused" | "time" | "ended", seconds, duration }
//                   { gloaming: "error", code }
//
// Only pages that the owner allowed can frame the player (`frame-ancestors`), so whoever is around is allowed to hear.

const TIME_EVERY_MS = 250;

export function tell(kind: "error", detail: { code: string }): void;
export function tell(kind: "ready" | "playing" | "paused" | "time" | "ended", detail: { seconds: number; duration: number }): void;
export function tell(kind: string, detail: object): void {
  if (window.parent !== window) window.parent.postMessage({ gloaming: kind, ...detail }, "*");
}

export type Orders = { play: () => void; pause: () => void; seek: (seconds: number) => void };

/** Takes orders from the page around; answers with how to stop. */
export function listen(orders: Orders): () => void {
  const onmessage = (event: MessageEvent<unknown>) => {
    if (event.source !== window.parent || window.parent === window) return;
    const order = event.data as { gloaming?: unknown; seconds?: unknown } | null;
    if (typeof order !== "object" || order === null) return;
    if (order.gloaming === "play") orders.play();
    if (order.gloaming === "pause") orders.pause();
    if (order.gloaming === "seek" && typeof order.seconds === "number" && Number.isFinite(order.seconds)) orders.seek(order.seconds);
  };
  addEventListener("message", onmessage);
  return () => removeEventListener("message", onmessage);
}

/** Tells how a film goes; answers with how to stop. */
export function follow(video: HTMLVideoElement): () => void {
  const at = () => ({ seconds: video.currentTime, duration: Number.isFinite(video.duration) ? video.duration : 0 });
  const stop = new AbortController();
  const { signal } = stop;
  let told = 0;
  video.addEventListener("playing", () => tell("playing", at()), { signal });
  video.addEventListener("pause", () => tell("paused", at()), { signal });
  video.addEventListener("ended", () => tell("ended", at()), { signal });
  const time = () => {
    if (performance.now() - told < TIME_EVERY_MS) return;
    told = performance.now();
    tell("time", at());
  };
  video.addEventListener("timeupdate", time, { signal });
  video.addEventListener("seeked", time, { signal });
  return () => stop.abort();
}
