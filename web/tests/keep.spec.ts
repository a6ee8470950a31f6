// A person keeps a video: from the set-up link to a film that plays, on the real page over the real server.

import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { basename } from "node:path";
import { expect, test } from "@playwright/test";
import { expectAccessible } from "./axe";
import { openHome, type Home } from "./home";
import { film, largeFilm, streamHashes } from "./media";
import { card, chooseFiles, NAME, newDevice, newPage, PASSWORD, playing, setUp, unlock, upload, watches } from "./person";

test.describe.configure({ mode: "serial" });

const TITLE = "evening-at-the-lake";
let home: Home;
let server: Home["server"];
let gate: Home["gate"];
let page: Home["page"];
let phrase: string[];

test.beforeAll(async ({ browser }) => {
  test.setTimeout(120_000);
  home = await openHome(browser);
  ({ server, gate, page } = home);
  await Promise.all([film(), largeFilm()]);
});

test.afterAll(async () => {
  await home?.close();
});

test("the set-up link makes the owner, and the phrase is confirmed", async () => {
  await page.goto(server.setupLink);
  await expect(page.getByRole("heading", { name: "Make the owner's account" })).toBeVisible();
  await expectAccessible(page, "set-up");
  phrase = await setUp(page, server.setupLink);
  expect(phrase).toHaveLength(24);
  await expect(page.getByText("Your library is empty")).toBeVisible();
  expect(new URL(page.url()).hash).toBe("");
  await expectAccessible(page, "empty library");
});

test("a file that is no video is refused before anything is sent", async () => {
  await chooseFiles(page, "Add videos", [new URL("../package.json", import.meta.url).pathname]);
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText("This is not a video or sound file.")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Upload" })).toBeDisabled();
  await dialog.getByRole("button", { name: "Cancel" }).click();
});

test("a film is uploaded, and what is stored is checked", async () => {
  await upload(page, await film());
  const item = page.getByRole("listitem", { name: TITLE });
  await expect(item).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
  await item.getByRole("button", { name: "Check what is stored" }).click();
  await expect(item.getByText("Checked: everything stored is whole.")).toBeVisible({ timeout: 30_000 });
  await expectAccessible(page, "uploads");
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(card(page, TITLE)).toBeVisible();
  await expect(card(page, TITLE).getByText("0:12")).toBeVisible();
  await expect(card(page, TITLE).locator("img")).toBeVisible();
  await expectAccessible(page, "library");
});

test("it plays, and seeking lands", async () => {
  await card(page, TITLE).getByRole("link").click();
  await watches(page);
  const before = (await playing(page)).time;
  await expect.poll(async () => (await playing(page)).time).toBeGreaterThan(before + 0.5);
  expect((await playing(page)).width).toBe(640);

  await page.keyboard.press("5");
  await expect.poll(async () => (await playing(page)).time).toBeGreaterThanOrEqual(6);
  expect((await playing(page)).time).toBeLessThan(9);
  const there = await playing(page);
  await expect.poll(async () => (await playing(page)).decoded).toBeGreaterThan(there.decoded + 5);
  await expect.poll(async () => (await playing(page)).time).toBeGreaterThan(there.time + 0.3);

  await page.keyboard.press("k");
  await expect.poll(async () => (await playing(page)).paused).toBe(true);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard in the player" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByText("Only you can watch this. The server can't.")).toBeVisible();
  await expectAccessible(page, "video");
});

test("a download equals the source, packet by packet", async () => {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const saved = await download;
  const path = test.info().outputPath("download.mp4");
  await saved.saveAs(path);
  expect(saved.suggestedFilename()).toMatch(/\.mp4$/);
  expect((await readFile(path)).length).toBeGreaterThan(10_000);
  expect(await streamHashes(path)).toEqual(await streamHashes(await film()));
});

test("it is renamed, put into a playlist, trashed and restored", async () => {
  await page.getByRole("link", { name: "Library" }).first().click();
  await card(page, TITLE).getByRole("link").focus();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: /New title/ }).fill("رحلة إلى البحيرة");
  await page.keyboard.press("Enter");
  await expect(card(page, "رحلة إلى البحيرة")).toBeVisible();

  await page.getByRole("button", { name: "More for رحلة إلى البحيرة" }).click();
  await page.getByRole("menuitem", { name: "Add to playlist" }).click();
  await page.getByRole("dialog").getByLabel("New playlist").fill("Summer");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: /Summer/ }).click();
  await expect(page.getByRole("heading", { name: "Summer", level: 1 })).toBeVisible();
  await expect(card(page, "رحلة إلى البحيرة")).toBeVisible();
  await expectAccessible(page, "playlist");

  await page.getByRole("button", { name: "More for رحلة إلى البحيرة" }).click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await expect(page.getByText("Nothing in this playlist yet")).toBeVisible();
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: "More for رحلة إلى البحيرة" }).click();
  await page.getByRole("menuitem", { name: "Restore" }).click();
  await expect(page.getByText("The trash is empty")).toBeVisible();
  await page.getByRole("link", { name: "All videos" }).click();
  await expect(card(page, "رحلة إلى البحيرة")).toBeVisible();
});

test("search finds by title, and says so when nothing fits", async () => {
  await page.keyboard.press("/");
  await page.keyboard.type("zebra");
  await expect(page.getByText("Nothing found", { exact: true })).toBeVisible();
  await page.getByRole("searchbox").fill("البحيرة");
  await expect(card(page, "رحلة إلى البحيرة")).toBeVisible();
  await page.getByRole("searchbox").fill("");
});

test("a wrong password gets a sentence, and a second device sees the library", async ({ browser }) => {
  const second = await newDevice(browser);
  const other = await newPage(second);
  await other.goto(gate.origin);
  await other.getByLabel("User name").fill(NAME);
  await other.getByLabel("Password", { exact: true }).fill("not-the-password");
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other.getByText(/password.*(together|not right)/i)).toBeVisible({ timeout: 40_000 });
  await expectAccessible(other, "sign-in");

  // By the address of a video, before this device has ever seen the library.
  const address = await card(page, "رحلة إلى البحيرة").getByRole("link").first().getAttribute("href");
  await other.goto(`${gate.origin}${address}`);
  await other.getByLabel("User name").fill(NAME);
  await other.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other.getByRole("heading", { name: "رحلة إلى البحيرة", level: 1 })).toBeVisible({ timeout: 40_000 });
  await expect.poll(async () => (await playing(other)).width, { timeout: 30_000 }).toBeGreaterThan(0);
  await other.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(card(other, "رحلة إلى البحيرة")).toBeVisible();
  await expect(other.getByRole("link", { name: /Summer/ })).toBeVisible();
  // Where it was stopped on the first device.
  await expect(other.getByRole("heading", { name: "Continue watching" })).toBeVisible();

  await other.getByRole("link", { name: "Settings" }).click();
  await expect(other.getByText("This device", { exact: true })).toBeVisible();
  await expectAccessible(other, "settings");
  await other.getByRole("button", { name: "Make an invite link" }).click();
  const link = await other.getByRole("textbox", { name: /Invite link/ }).inputValue();
  expect(link).toMatch(/\/join#.+/);
  expect(other.complaints).toEqual([]);
  await second.close();
});

test("a locked tab keeps nothing on the screen, and opens with the password alone", async () => {
  await page.getByRole("button", { name: "Lock", exact: true }).click();
  await expect(page.getByRole("heading", { name: `Locked, ${NAME}` })).toBeVisible();
  await expect(page.getByText("رحلة إلى البحيرة")).toHaveCount(0);
  await expectAccessible(page, "locked");
  await page.getByLabel("Password", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Unlock" }).click();
  await expect(page.getByRole("alert")).toContainText(/password/i, { timeout: 40_000 });
  await unlock(page, PASSWORD);
  await expect(card(page, "رحلة إلى البحيرة")).toBeVisible();
});

test("a reload in the middle of an upload: the same file goes on, and only what is missing is sent", async () => {
  test.setTimeout(150_000);
  const file = await largeFilm();
  const title = basename(file, ".mp4");
  gate.stored.length = 0;
  gate.letThrough(2);
  await upload(page, file);
  await expect.poll(() => gate.stored.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(2);
  // The page notes a pack when its answer came; give it that moment.
  await expect(page.getByRole("listitem", { name: title })).toContainText("MB of");
  await page.waitForTimeout(1_000);
  const before = [...gate.stored];

  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  gate.letThrough(Infinity);
  // The keys wait in the browser, where no script can read them out: a reload asks for no password.
  await expect(page.getByRole("heading", { name: "Uploads", level: 1 })).toBeVisible();
  const item = page.getByRole("listitem", { name: title });
  await expect(item).toHaveAttribute("data-phase", "needs-file");
  await expect(item.getByText("Choose the same file again")).toBeVisible();

  await chooseFiles(page, "Open the file again", [await film()]);
  await expect(page.getByText("That is another file.").first()).toBeVisible();
  await chooseFiles(page, "Open the file again", [file]);
  await expect(item).toHaveAttribute("data-phase", "done", { timeout: 90_000 });
  const after = gate.stored.slice(before.length);
  expect(after.length).toBeGreaterThan(0);
  expect(after.filter((path) => before.includes(path))).toEqual([]);
});

test("the page comes as small as the browser takes it", async () => {
  const document = await (await page.request.get(gate.origin)).text();
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(document)?.[1];
  for (const coding of ["br", "gzip"]) {
    const answer = await page.request.get(`${gate.origin}${script}`, { headers: { "accept-encoding": coding } });
    expect(answer.headers()["content-encoding"]).toBe(coding);
    expect(answer.headers()["vary"]).toContain("accept-encoding");
    expect(Number(answer.headers()["content-length"])).toBeLessThan(100_000);
  }
});

test("nothing broke the page's own rules", () => {
  expect(page.complaints).toEqual([]);
});

test("a browser that lacks what is needed gets a sentence", async ({ browser }) => {
  const poor = await browser.newContext();
  const tab = await poor.newPage();
  await tab.addInitScript(() => {
    Reflect.deleteProperty(window, "MediaSource");
    Reflect.deleteProperty(window, "ManagedMediaSource");
  });
  await tab.goto(gate.origin);
  await expect(tab.getByRole("heading", { name: "This browser cannot open Gloaming" })).toBeVisible();
  await expect(tab.getByText("Media Source Extensions")).toBeVisible();
  await poor.close();
});

test("over plain HTTP from another host the page says why it cannot work", async () => {
  const { hostname, port } = new URL(server.listens);
  const body = await new Promise<string>((resolve, reject) => {
    const asked = request({ hostname, port, path: "/", headers: { host: "videos.example" } }, (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part));
      answer.on("end", () => resolve(text));
    });
    asked.on("error", reject);
    asked.end();
  });
  expect(body).toMatch(/plain HTTP/);
  expect(body).toMatch(/--tls self-signed/);
});
