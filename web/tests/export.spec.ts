// What `gloaming export` writes is plain DASH and HLS: players that know nothing of Gloaming play it as it is.

import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type Server as WebServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test, type Page } from "@playwright/test";
import { film } from "./media";
import { PASSWORD, playing } from "./person";
import { BIN, startServer, type Server } from "./server";

const TYPES: Record<string, string> = {
  ".html": "text/html", ".js": "text/javascript", ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".mp4": "video/mp4", ".m4s": "video/iso.segment",
};
const PLAYERS: Record<string, string> = {
  "/hls.js": fileURLToPath(new URL("../node_modules/hls.js/dist/hls.min.js", import.meta.url)),
  "/shaka.js": fileURLToPath(new URL("../node_modules/shaka-player/dist/shaka-player.compiled.js", import.meta.url)),
};
let server: Server;
let folder: string;
let site: WebServer;
let origin: string;

test.beforeAll(async () => {
  test.setTimeout(120_000);
  server = await startServer();
  folder = await mkdtemp(join(tmpdir(), "gloaming-web-export-"));
  const env = { PATH: process.env["PATH"], HOME: folder, XDG_STATE_HOME: join(folder, "state"), GLOAMING_SERVER: server.listens, GLOAMING_PASSWORD: PASSWORD };
  const gloaming = async (...args: string[]) => (await promisify(execFile)(BIN, ["--json", ...args], { env })).stdout;
  await gloaming("account", "create", "--setup", server.setupLink, "mara");
  const [{ video }] = JSON.parse(await gloaming("upload", await film()));
  await gloaming("export", video, "--hls", join(folder, "hls"));
  await gloaming("export", video, "--dash", join(folder, "dash"));
  site = createServer((request, answer) => {
    const path = normalize(new URL(request.url ?? "/", "http://x").pathname);
    if (path === "/") return void answer.setHeader("content-type", "text/html").end("<!doctype html><title>A player</title><video muted playsinline></video>");
    const file = PLAYERS[path] ?? join(folder, path);
    void stat(file).then(
      ({ size }) => {
        answer.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": size });
        createReadStream(file).pipe(answer);
      },
      () => answer.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});

test.afterAll(async () => {
  site?.close();
  await server?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** It plays on, has the whole film's length, and a seek lands. */
async function plays(page: Page): Promise<void> {
  await expect.poll(async () => (await playing(page)).decoded, { timeout: 30_000 }).toBeGreaterThan(20);
  const length = await page.evaluate(() => document.querySelector("video")!.duration);
  expect(Math.abs(length - 12)).toBeLessThan(0.2);
  await page.evaluate(() => void (document.querySelector("video")!.currentTime = 9));
  await expect.poll(async () => (await playing(page)).time).toBeGreaterThan(9.5);
}

test("hls.js plays the exported HLS", async ({ page }) => {
  await page.goto(origin);
  await page.addScriptTag({ url: "/hls.js" });
  await page.evaluate(() => {
    type Player = { loadSource: (url: string) => void; attachMedia: (video: HTMLVideoElement) => void };
    const Hls = (globalThis as unknown as { Hls: new () => Player }).Hls;
    const player = new Hls();
    player.loadSource("/hls/master.m3u8");
    player.attachMedia(document.querySelector("video")!);
    void document.querySelector("video")!.play();
  });
  await plays(page);
});

for (const [kind, manifest] of [["HLS", "/hls/master.m3u8"], ["DASH", "/dash/manifest.mpd"]] as const) {
  test(`Shaka Player plays the exported ${kind}`, async ({ page }) => {
    await page.goto(origin);
    await page.addScriptTag({ url: "/shaka.js" });
    await page.evaluate(async (manifest) => {
      type Player = { attach: (video: HTMLVideoElement) => Promise<void>; load: (url: string) => Promise<void> };
      const { Player } = (globalThis as unknown as { shaka: { Player: new () => Player } }).shaka;
      const player = new Player();
      await player.attach(document.querySelector("video")!);
      await player.load(manifest);
      await document.querySelector("video")!.play();
    }, manifest);
    await plays(page);
  });
}
