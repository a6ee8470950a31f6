// A two-hour film at twice the speed: what the page's process takes, and whether it grows.
//
//   GLOAMING_SOAK_MINUTES   how long to watch (60: the whole film at 2×)
//
// Floors: 300 MB after the first five minutes (of a short run: after its first third), and no growth from there.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test, type Browser } from "@playwright/test";
import { card, newDevice, newPage, playing, setUp, upload } from "../tests/person";
import { startServer } from "../tests/server";

const MINUTES = Number(process.env["GLOAMING_SOAK_MINUTES"] ?? 60);
const FILM_HOURS = 2;
const FLOOR_MB = 300;
/** What two samples may differ by without anything growing: the collector's own rhythm. */
const GROWTH_MB = 12;
const EVERY_MS = 5_000;

const run = promisify(execFile);

/** Two hours, made of one minute sixty times two over: nothing is encoded twice. */
async function longFilm(): Promise<string> {
  const folder = join(tmpdir(), "gloaming-web-media");
  await mkdir(folder, { recursive: true });
  const path = join(folder, "two-hours.mp4");
  if (await stat(path).catch(() => null)) return path;
  const [minute, part] = [join(folder, "minute.mp4"), join(folder, `${process.pid}-two-hours.mp4`)];
  await run("ffmpeg", [
    "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "60",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-b:v", "400k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", minute,
  ]);
  await run("ffmpeg", ["-v", "error", "-y", "-stream_loop", String(FILM_HOURS * 60 - 1), "-i", minute, "-c", "copy", part]);
  await run("mv", [part, path]);
  return path;
}

/** Megabytes that the largest process of a page takes: its own pages whole, shared ones in part. */
async function pageMegabytes(browser: Browser): Promise<number> {
  const cdp = await browser.newBrowserCDPSession();
  const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
  await cdp.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer");
  const pss = pages.map(({ id }) => Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? NaN));
  return (Math.max(...pss) * 1024) / 1e6;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

test("a long film does not make the page grow", async ({ browser, browserName }) => {
  test.skip(browserName !== "chromium" || process.platform !== "linux", "asks Chromium for its processes, and Linux for what they take");
  const file = await longFilm();
  const server = await startServer();
  const page = await newPage(await newDevice(browser));
  try {
    await setUp(page, server.setupLink);
    await upload(page, file);
    await expect(page.getByRole("listitem", { name: "two-hours" })).toHaveAttribute("data-phase", "done", { timeout: 600_000 });
    // A fresh page: what the upload took is not what playing takes.
    await page.goto(server.listens);
    await card(page, "two-hours").getByRole("link").click();
    await expect.poll(async () => (await playing(page)).decoded, { timeout: 30_000 }).toBeGreaterThan(10);
    await page.locator("video").evaluate((video: HTMLVideoElement) => (video.playbackRate = 2));

    const settle = Math.min(5, MINUTES / 3) * 60_000;
    const began = Date.now();
    const from = (await playing(page)).time;
    const samples: { at: number; mb: number }[] = [];
    while (Date.now() - began < MINUTES * 60_000) {
      await page.waitForTimeout(EVERY_MS);
      samples.push({ at: Date.now() - began, mb: await pageMegabytes(browser) });
      const last = samples.at(-1);
      if (last && samples.length % 12 === 0) console.log(`${(last.at / 60_000).toFixed(0)} min: ${last.mb.toFixed(0)} MB`);
    }
    const watched = (await playing(page)).time - from;
    const settled = samples.filter(({ at }) => at >= settle).map(({ mb }) => mb);
    const third = Math.ceil(settled.length / 3);
    const [early, late] = [median(settled.slice(0, third)), median(settled.slice(-third))];
    console.log(`page process: at most ${Math.max(...settled).toFixed(0)} MB (floor ${FLOOR_MB}), from ${early.toFixed(0)} to ${late.toFixed(0)} MB, while ${(watched / 60).toFixed(1)} minutes of film went by`);
    // At 2× it may stall now and then on a busy machine; a film that hardly moves would prove nothing.
    expect(watched).toBeGreaterThan(MINUTES * 60 * 1.5);
    expect(Math.max(...settled)).toBeLessThanOrEqual(FLOOR_MB);
    expect(late - early).toBeLessThanOrEqual(GROWTH_MB);
    expect(page.complaints).toEqual([]);
  } finally {
    await page.context().close();
    await server.stop();
  }
});
