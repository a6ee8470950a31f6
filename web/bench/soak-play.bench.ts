// A long film at twice the speed: what the page's process takes, and whether it grows.
//
//   GLOAMING_SOAK_MINUTES   how long to watch (60: two hours of film)
//
// Floors: 300 MB after the first five minutes (of a short run: after its first third), and no growth from there.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium, expect, test } from "@playwright/test";
import { card, newPage, setUp, upload } from "../tests/person";
import { startServer } from "../tests/server";
import { openBare } from "./bare";

const MINUTES = Number(process.env["GLOAMING_SOAK_MINUTES"] ?? 60);
/** At 2×, and a little more. */
const FILM_MINUTES = Math.ceil(MINUTES * 2) + 2;
const TITLE = `long-${FILM_MINUTES}`;
const FLOOR_MB = 300;
/** What the lows of two halves may differ by without anything growing: the collector's own rhythm. */
const GROWTH_MB = 16;
const EVERY_MS = 5_000;

const run = promisify(execFile);

/**
 * One minute over and over: nothing is encoded twice. At 3 Mbit/s whatever the page keeps on purpose (24 MB of opened
 * segments, 48 s of film in the player) is full within a minute, and what grows after that grows for no reason.
 */
async function longFilm(): Promise<string> {
  const folder = join(tmpdir(), "gloaming-web-media");
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${TITLE}.mp4`);
  if (await stat(path).catch(() => null)) return path;
  const [minute, part] = [join(folder, "minute.mp4"), join(folder, `${process.pid}-long.mp4`)];
  await run("ffmpeg", [
    "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25,noise=alls=40:allf=t", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "60",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-b:v", "3M", "-minrate", "3M", "-maxrate", "3M", "-bufsize", "3M", "-pix_fmt", "yuv420p", "-c:a", "aac", minute,
  ]);
  await run("ffmpeg", ["-v", "error", "-y", "-stream_loop", String(FILM_MINUTES - 1), "-i", minute, "-c", "copy", part]);
  await rename(part, path);
  return path;
}

test("a long film does not make the page grow", async ({ browserName }) => {
  test.skip(browserName !== "chromium" || process.platform !== "linux", "asks Chromium for its processes, and Linux for what they take");
  const chromiumPath = process.env["GLOAMING_CHROMIUM"] ?? "/usr/bin/chromium";
  const [file, profile, server] = [await longFilm(), await mkdtemp(join(tmpdir(), "gloaming-profile-")), await startServer()];
  const context = await chromium.launchPersistentContext(profile, { executablePath: chromiumPath, args: ["--no-sandbox", "--disable-gpu"] });
  const page = await newPage(context);
  await setUp(page, server.setupLink);
  await upload(page, file);
  await expect(page.getByRole("listitem", { name: TITLE })).toHaveAttribute("data-phase", "done", { timeout: 1_800_000 });
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  const video = await card(page, TITLE).getByRole("link").first().getAttribute("href");
  await context.close();

  // The keys wait in the browser: nobody has to sign in again.
  const bare = await openBare(chromiumPath, profile, server.listens);
  try {
    const time = async () => Number((await bare.evaluate("document.querySelector('video')?.currentTime")) ?? 0);
    const link = `document.querySelector('a[href="${video}"]')`;
    await expect.poll(() => bare.evaluate(`Boolean(${link})`), { timeout: 30_000 }).toBe(true);
    await bare.evaluate(`${link}.click()`);
    await expect.poll(time, { timeout: 60_000 }).toBeGreaterThan(0.5);
    await bare.evaluate("document.querySelector('video').playbackRate = 2");

    const settle = Math.min(5, MINUTES / 3) * 60_000;
    const [began, from] = [Date.now(), await time()];
    const samples: { at: number; mb: number }[] = [];
    while (Date.now() - began < MINUTES * 60_000) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      samples.push({ at: Date.now() - began, mb: await bare.pageMegabytes() });
      const minute = samples.slice(-12).map(({ mb }) => mb.toFixed(0));
      if (samples.length % 12 === 0) console.log(`${samples.length / 12} min: ${minute.join(" ")} MB`);
    }
    const watched = (await time()) - from;
    const settled = samples.filter(({ at }) => at >= settle).map(({ mb }) => mb);
    // What is left after a collection is what a leak would raise; the heights in between are the collector's affair.
    const half = Math.ceil(settled.length / 2);
    const [early, late] = [Math.min(...settled.slice(0, half)), Math.min(...settled.slice(half))];
    console.log(`page process: at most ${Math.max(...settled).toFixed(0)} MB (floor ${FLOOR_MB}), lows of the two halves ${early.toFixed(0)} and ${late.toFixed(0)} MB, while ${(watched / 60).toFixed(1)} minutes of film went by`);
    // At 2× it may stall now and then on a busy machine; a film that hardly moves would prove nothing.
    expect(watched).toBeGreaterThan(MINUTES * 60 * 1.5);
    expect(Math.max(...settled)).toBeLessThanOrEqual(FLOOR_MB);
    expect(late - early).toBeLessThanOrEqual(GROWTH_MB);
  } finally {
    await bare.stop();
    await server.stop();
    await rm(profile, { recursive: true, force: true });
    await rm(file);
  }
});
