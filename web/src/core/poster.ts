// A poster out of a file on this device: the first picture that is more than black, small, as WebP or JPEG. Whatever the
// browser cannot decode has none.

/** Of the longer side, in pixels. */
const LONGEST = 640;
const QUALITY = 0.82;
const PATIENCE_MS = 8_000;
/** Where to look, in seconds: films begin black. */
const MOMENTS = [0, 1.5, 5];

export async function posterOf(file: Blob): Promise<Blob | null> {
  const url = URL.createObjectURL(file);
  const video = document.createElement("video");
  try {
    video.muted = true;
    video.playsInline = true;
    video.preload = "auto";
    video.src = url;
    await happens(video, "loadeddata");
    let best: Blob | null = null;
    for (const moment of MOMENTS) {
      if (moment > 0 && moment >= video.duration) break;
      if (moment > 0) {
        video.currentTime = moment;
        await happens(video, "seeked");
      }
      const picture = draw(video);
      if (!picture) return best;
      best = await encode(picture.canvas);
      if (picture.visible) return best;
    }
    return best;
  } catch {
    return null;
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  }
}

function happens(video: HTMLVideoElement, name: "loadeddata" | "seeked"): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => done(() => reject(new Error("too slow"))), PATIENCE_MS);
    const good = () => done(resolve);
    const bad = () => done(() => reject(new Error("cannot be decoded")));
    const done = (then: () => void) => {
      clearTimeout(late);
      video.removeEventListener(name, good);
      video.removeEventListener("error", bad);
      then();
    };
    video.addEventListener(name, good);
    video.addEventListener("error", bad);
  });
}

/** Scaled down; `visible` unless it is (nearly) one dark colour. */
function draw(video: HTMLVideoElement): { canvas: OffscreenCanvas; visible: boolean } | null {
  if (video.videoWidth === 0 || video.videoHeight === 0) return null;
  const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  const width = Math.max(1, Math.round(video.videoWidth * scale));
  const height = Math.max(1, Math.round(video.videoHeight * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) return null;
  context.drawImage(video, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  let brightest = 0;
  for (let at = 0; at < data.length; at += 4 * 97) brightest = Math.max(brightest, data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0);
  return { canvas, visible: brightest > 40 };
}

async function encode(canvas: OffscreenCanvas): Promise<Blob> {
  const webp = await canvas.convertToBlob({ type: "image/webp", quality: QUALITY });
  // Where a browser cannot write WebP it answers with PNG, which is far too large.
  return webp.type === "image/webp" ? webp : canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
