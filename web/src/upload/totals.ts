import type { UploadState } from "../core/vault";

export type Totals = {
  all: number;
  done: number;
  /** Still moving by themselves. */
  running: number;
  /** Stopped until somebody does something. */
  attention: number;
  /** 0 to 1, by bytes. */
  part: number;
  rate: number | null;
  secondsLeft: number | null;
};

/** All uploads as one. */
export function totals(uploads: UploadState[]): Totals {
  let [done, running, attention, bytes, total, rate, left] = [0, 0, 0, 0, 0, 0, 0];
  for (const upload of uploads) {
    bytes += upload.phase === "done" ? upload.bytesTotal : upload.bytesDone;
    total += upload.bytesTotal;
    if (upload.phase === "done") done += 1;
    else if (upload.phase === "failed" || upload.phase === "needs-file") attention += 1;
    else if (upload.phase !== "paused") {
      running += 1;
      rate += upload.bytesPerSecond ?? 0;
      left += upload.bytesTotal - upload.bytesDone;
    }
  }
  return {
    all: uploads.length,
    done,
    running,
    attention,
    part: total > 0 ? bytes / total : done === uploads.length ? 1 : 0,
    rate: rate > 0 ? rate : null,
    secondsLeft: rate > 0 ? left / rate : null,
  };
}
