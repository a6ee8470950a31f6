// Small films made by ffmpeg, and what ffmpeg says of them.

import { execFile } from "node:child_process";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const folder = join(tmpdir(), "gloaming-web-media");

async function made(name: string, args: string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  if (await stat(path).catch(() => null)) return path;
  const part = join(folder, `${process.pid}-${name}`);
  await run("ffmpeg", ["-v", "error", "-y", ...args, part]);
  await rename(part, path);
  return path;
}

/** H.264 with B-frames and AAC, 12 seconds, moov at the end, as a camera leaves it. */
export const film = () =>
  made("evening-at-the-lake.mp4", [
    "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "12",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k",
  ]);

/** VP9 and Opus, red with a tone of 1,000 Hz: what a guest without a browser sends into a room. */
export const stage = () =>
  made("stage.mp4", [
    "-f", "lavfi", "-i", "color=0xc81e1e:s=320x180:r=15:d=4", "-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=4",
    "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "15", "-pix_fmt", "yuv420p", "-c:a", "libopus",
  ]);

/** Two minutes that take little room: long enough to be stopped in the middle. */
export const longFilm = () =>
  made("the-long-way-home.mp4", [
    "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "120",
    "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k",
  ]);

/** Noise does not compress: about 50 MB in 16 s, several packs of 16 MiB, long enough to be interrupted. */
export const largeFilm = () =>
  made("noise.mp4", [
    "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30,noise=alls=60:allf=t", "-f", "lavfi", "-i", "sine=frequency=220:sample_rate=48000", "-t", "16",
    "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "26M", "-minrate", "26M", "-maxrate", "26M", "-bufsize", "26M", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac",
  ]);

/** Two seconds in a colour: quick to make, quick to store, and no two alike. */
export const clip = (name: string, colour: string) =>
  made(`${name}.mp4`, ["-f", "lavfi", "-i", `color=${colour}:size=320x180:rate=25`, "-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);

/** With subtitles (TTML in MP4) from the beginning. */
export async function subtitled(): Promise<string> {
  const text = join(folder, "subtitles.srt");
  await mkdir(folder, { recursive: true });
  await writeFile(text, "1\n00:00:00,000 --> 00:00:08,000\nThe ferry is late\n\n");
  return made("the-ferry.mp4", [
    "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-i", text, "-t", "8", "-map", "0:v", "-map", "1:s",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-pix_fmt", "yuv420p", "-c:s", "ttml", "-metadata:s:s:0", "language=eng",
  ]);
}

/** One hash for each stream's packets: equal for equal media, whatever the container does. */
export async function streamHashes(path: string): Promise<string[]> {
  const { stdout } = await run("ffmpeg", ["-v", "error", "-i", path, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "streamhash", "-"]);
  return stdout.trim().split("\n");
}
