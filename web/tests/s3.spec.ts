// The page where ciphertext rests in an S3 store of another origin: what the store's CORS rules and the page's own policy
// let through. Against SeaweedFS.

import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test, type Page } from "@playwright/test";
import { film, streamHashes } from "./media";
import { card, newDevice, newPage, playing, setUp, upload, watches } from "./person";
import { BIN, startServer, type Server } from "./server";
import { startWeed, weedIsHere, type Weed } from "./weed";

test.describe.configure({ mode: "serial" });
if (!process.env["CI"]) test.skip(!weedIsHere, "there is no SeaweedFS: ./x test brings it");

const TITLE = "evening-at-the-lake";
let weed: Weed;
let server: Server;
let page: Page & { complaints: string[] };

test.beforeAll(async ({ browser }) => {
  test.setTimeout(120_000);
  weed = await startWeed();
  server = await startServer("--config", weed.settings);
  page = await newPage(await newDevice(browser));
  await film();
});

test.afterAll(async () => {
  await page?.context().close();
  await server?.stop();
  await weed?.stop();
});

test("the page may reach its own origin and the store's, and no other", async () => {
  const answer = await page.request.get(server.listens);
  expect(answer.headers()["content-security-policy"]).toContain(`connect-src 'self' ${weed.origin};`);
});

test("an upload waits for a store that lets nobody in, and `admin cors` opens it", async () => {
  await setUp(page, server.setupLink);
  await upload(page, await film());
  const item = page.getByRole("listitem", { name: TITLE });
  await expect(item).not.toHaveAttribute("data-phase", "done");
  await page.waitForTimeout(2_000);
  expect(await weed.objects()).toEqual([]);

  const admin = ["--json", "admin", "cors", "--data", server.data, "--config", weed.settings, "--public-url", server.listens];
  const { stdout } = await promisify(execFile)(BIN, admin);
  expect(JSON.parse(stdout)).toEqual({ origin: server.listens });
  await expect(item).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
  expect((await weed.objects()).length).toBeGreaterThanOrEqual(4);
  await expect(access(join(server.data, "blobs"))).rejects.toThrow();
  // What Firefox said of the closed store was to be expected; whatever it says from here is not.
  page.complaints.length = 0;
});

test("it plays from the store, and seeking lands", async () => {
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(card(page, TITLE).locator("img")).toBeVisible();
  await card(page, TITLE).getByRole("link").click();
  await watches(page);
  await page.keyboard.press("5");
  await expect.poll(async () => (await playing(page)).time).toBeGreaterThanOrEqual(6);
  const there = await playing(page);
  await expect.poll(async () => (await playing(page)).decoded).toBeGreaterThan(there.decoded + 5);
});

test("a download from the store equals the source", async () => {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const path = test.info().outputPath("download.mp4");
  await (await download).saveAs(path);
  expect(await streamHashes(path)).toEqual(await streamHashes(await film()));
});

test("deleted for good, it leaves the store", async () => {
  await page.getByRole("link", { name: "Library" }).first().click();
  await page.getByRole("button", { name: `More for ${TITLE}` }).click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: `More for ${TITLE}` }).click();
  await page.getByRole("menuitem", { name: /Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: /Delete/ }).click();
  await expect(page.getByText("The trash is empty")).toBeVisible();
  await expect.poll(() => weed.objects(), { timeout: 30_000 }).toEqual([]);
});

test("nothing broke the page's own rules", () => {
  expect(page.complaints).toEqual([]);
});
