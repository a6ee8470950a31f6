// What is kept, in what order, and what is not let in.

import { copyFile, mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { expectAccessible } from "./axe";
import { chromiumOnly, openHome, type Home } from "./home";
import { clip, film, largeFilm, subtitled } from "./media";
import { chooseFiles, join, newDevice, newPage, playing, setUp, upload } from "./person";
import { inviteWithQuota } from "./server";

test.describe.configure({ mode: "serial" });

let home: Home;
let server: Home["server"];
let gate: Home["gate"];
let page: Home["page"];
let files: string;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(120_000);
  home = await openHome(browser);
  ({ server, gate, page } = home);
  await setUp(page, server.setupLink);

  files = await mkdtemp(path.join(tmpdir(), "gloaming-web-files-"));
  const holiday = path.join(files, "Holiday");
  await mkdir(path.join(holiday, "Day two"), { recursive: true });
  await mkdir(path.join(holiday, ".thumbnails"));
  await copyFile(await clip("red", "red"), path.join(holiday, "a red.mp4"));
  await copyFile(await clip("green", "green"), path.join(holiday, "b green.MP4"));
  await copyFile(await clip("blue", "blue"), path.join(holiday, "Day two", "c blue.mp4"));
  await copyFile(await clip("blue", "blue"), path.join(holiday, ".thumbnails", "d.mp4"));
  await writeFile(path.join(holiday, "notes.txt"), "packing list");
});

test.afterAll(async () => {
  await home?.close();
  await rm(files, { recursive: true, force: true });
});

const titles = () => page.getByRole("article").locator(".title").allInnerTexts();
const phases = (title: string) => page.getByRole("listitem", { name: title, exact: true });

/** What is laid over the picture now. */
const subtitles = async () => (await page.locator(".captions").innerText()).trim();

/** Drops from outside the browser, as a file manager does. Chromium's tools can; elsewhere the folder is chosen. */
async function giveFolder(folder: string): Promise<void> {
  if (test.info().project.name === "chromium") {
    const tools = await page.context().newCDPSession(page);
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver"] as const) await tools.send("Input.dispatchDragEvent", { type, x: 400, y: 400, data });
    await expect(page.getByText("Drop to add to your library")).toBeVisible();
    await tools.send("Input.dispatchDragEvent", { type: "drop", x: 400, y: 400, data });
    await tools.detach();
  } else {
    await page.evaluate(() => Reflect.deleteProperty(window, "showDirectoryPicker"));
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Add a folder" }).first().click();
    const given = await chooser;
    const inside = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
    // The tools of Firefox cannot choose a folder: they choose all its files, and the page is told where each one was.
    const places = Object.fromEntries(inside.map(({ name, parentPath }) => [name, path.relative(path.dirname(folder), path.join(parentPath, name))]));
    await page.evaluate((places) => {
      Object.defineProperty(File.prototype, "webkitRelativePath", { configurable: true, get(this: File) { return places[this.name]; } });
    }, places);
    await given.element().evaluate((input: HTMLInputElement) => Object.assign(input, { webkitdirectory: false, multiple: true }));
    await given.element().setInputFiles(inside.map(({ name, parentPath }) => path.join(parentPath, name)));
  }
}

test("a folder goes in whole: its films into playlists, and nothing else", async () => {
  await giveFolder(path.join(files, "Holiday"));
  const dialog = page.getByRole("dialog", { name: "Add 3 files?" });
  await expect(dialog.getByText("Playlist: Holiday", { exact: true })).toHaveCount(2);
  await expect(dialog.getByText("Playlist: Holiday/Day two")).toHaveCount(1);
  await expect(dialog.getByText("Plays in every current browser.")).toHaveCount(3);
  await expectAccessible(page, "review of a folder");
  await dialog.getByRole("button", { name: "Upload 3 videos" }).click();
  for (const title of ["a red", "b green", "c blue"]) await expect(phases(title)).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(page.getByRole("article")).toHaveCount(3);
  await page.getByRole("link", { name: /^Day two/ }).click();
  await expect.poll(titles).toEqual(["c blue"]);
  await page.getByRole("link", { name: /^Holiday/ }).click();
  await expect.poll(titles).toEqual(["a red", "b green"]);
});

test("the same folder again sends only what is new", async () => {
  await copyFile(await clip("white", "white"), path.join(files, "Holiday", "d white.mp4"));
  gate.stored.length = 0;
  await page.getByRole("link", { name: "Uploads" }).click();
  await giveFolder(path.join(files, "Holiday"));
  const dialog = page.getByRole("dialog", { name: "Add 4 files?" });
  await expect(dialog.getByText("Already in your library.")).toHaveCount(3);
  await dialog.getByRole("button", { name: "Upload", exact: true }).click();
  await expect(phases("d white")).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(page.getByRole("article")).toHaveCount(4);
  await page.getByRole("link", { name: /^Holiday/ }).click();
  await expect.poll(titles).toEqual(["a red", "b green", "d white"]);
});

test("a playlist is put in order by keyboard, by dragging and by its menus", async () => {
  const handle = (title: string) => page.getByRole("button", { name: new RegExp(`^Order of ${title}:`) });
  await handle("a red").focus();
  await page.keyboard.press("ArrowDown");
  await expect.poll(titles).toEqual(["b green", "a red", "d white"]);
  await expect(handle("a red")).toBeFocused();
  await expect(handle("a red")).toHaveAccessibleName(/2 of 3/);
  await page.keyboard.press("End");
  await expect.poll(titles).toEqual(["b green", "d white", "a red"]);
  // Quick moves one after the other: the library's word on the first does not undo the second, not even for a moment.
  const orders = await page.evaluateHandle(() => {
    const list = document.querySelector("ul.videos")!;
    const seen: string[] = [];
    const look = () => {
      const rows = [...list.querySelectorAll<HTMLElement>("li[data-at]")].sort((a, b) => Number(a.dataset["at"]) - Number(b.dataset["at"]));
      const order = rows.map((row) => row.querySelector(".handle")?.getAttribute("aria-label")?.match(/^Order of (.*?):/)?.[1] ?? "").join();
      if (seen.at(-1) !== order) seen.push(order);
    };
    new MutationObserver(look).observe(list, { subtree: true, childList: true, attributes: true });
    look();
    return seen;
  });
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  await expect.poll(titles).toEqual(["b green", "d white", "a red"]);
  await page.waitForTimeout(3_000);
  expect(await orders.jsonValue()).toEqual(["b green,d white,a red", "a red,b green,d white", "b green,a red,d white", "b green,d white,a red"]);

  const from = await handle("a red").boundingBox();
  const to = await handle("b green").boundingBox();
  if (!from || !to) throw new Error("the rows are on the screen");
  await page.mouse.move(from.x + 8, from.y + 8);
  await page.mouse.down();
  await page.mouse.move(to.x + 8, to.y + 8, { steps: 8 });
  await expect.poll(titles).toEqual(["a red", "b green", "d white"]);
  await page.mouse.up();

  await page.getByRole("button", { name: "More for d white" }).click();
  await page.getByRole("menuitem", { name: "Move to the top" }).click();
  await expect.poll(titles).toEqual(["d white", "a red", "b green"]);
  // It is the server's copy that says so after a reload.
  await page.waitForTimeout(500);
  await page.reload();
  await expect.poll(titles).toEqual(["d white", "a red", "b green"]);
});

test("several at once: into the trash, back, and deleted for good", async () => {
  await page.getByRole("link", { name: "All videos" }).click();
  await page.getByRole("button", { name: "Select", exact: true }).click();
  for (const title of ["a red", "b green", "c blue"]) await page.getByRole("checkbox", { name: `Select ${title}` }).check();
  const tools = page.getByRole("toolbar", { name: "Selected videos" });
  await expect(tools.getByText("3 selected")).toBeVisible();
  await expectAccessible(page, "selection");
  await tools.getByRole("button", { name: "Move to trash" }).click();
  await expect.poll(titles).toEqual(["d white"]);

  await page.getByRole("link", { name: "Trash" }).click();
  await expect(page.getByRole("article")).toHaveCount(3);
  await expectAccessible(page, "trash");
  await page.getByRole("button", { name: "Select", exact: true }).click();
  await page.getByRole("checkbox", { name: "Select a red" }).check();
  await tools.getByRole("button", { name: "Restore" }).click();
  await expect(page.getByRole("article")).toHaveCount(2);

  await page.getByRole("button", { name: "Select", exact: true }).click();
  await tools.getByRole("button", { name: "Select all" }).click();
  await tools.getByRole("button", { name: "Delete for good" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete 2 videos for good?" });
  await expect(dialog).toBeVisible();
  await expectAccessible(page, "deleting for good");
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await expect(page.getByText("The trash is empty")).toBeVisible();
  await page.getByRole("link", { name: "All videos" }).click();
  await expect.poll(async () => (await titles()).sort()).toEqual(["a red", "d white"]);
});

test("what is no whole video is named, with what to do, and not sent", async () => {
  chromiumOnly();
  const empty = path.join(files, "empty.mp4");
  const short = path.join(files, "cut short.mp4");
  const text = path.join(files, "letter.mp4");
  await writeFile(empty, "");
  await copyFile(await film(), short);
  await truncate(short, 40_000);
  await writeFile(text, "Dear Grandma, the video is in the other envelope. ".repeat(40));
  await chooseFiles(page, "Add videos", [empty, short, text]);
  const dialog = page.getByRole("dialog", { name: "Add 3 files?" });
  await expect(dialog.getByText("The file is empty. Choose another.")).toBeVisible();
  await expect(dialog.getByText(/cut short while it was copied|no table of contents/)).toBeVisible();
  await expect(dialog.getByText("This is not a video or sound file.")).toBeVisible();
  await expect(dialog.getByText("3 files cannot be added and will be left out.")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Upload" })).toBeDisabled();
  await expectAccessible(page, "review of what is no video");
  await dialog.getByRole("button", { name: "Cancel" }).click();
});

test("subtitles are shown and switched off; picture in picture is offered where there is some", async () => {
  await upload(page, await subtitled());
  await expect(phases("the-ferry")).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
  await phases("the-ferry").getByRole("link", { name: "Watch" }).click();
  await expect.poll(async () => (await playing(page)).decoded, { timeout: 30_000 }).toBeGreaterThan(0);
  // A slow machine would reach the end of the film, and of its subtitles, before it has looked for them.
  await page.locator("video").evaluate((video: HTMLVideoElement) => {
    video.pause();
    video.currentTime = 2;
  });
  await page.getByRole("region", { name: /^Player/ }).hover();
  await page.getByRole("button", { name: "Subtitles" }).click();
  await expectAccessible(page, "menu of the player");
  await page.getByRole("menuitemradio").filter({ hasNotText: "Off" }).click();
  await expect.poll(subtitles).toBe("The ferry is late");
  await page.keyboard.press("c");
  await expect.poll(subtitles).toBe("");
  const possible = await page.evaluate(() => "pictureInPictureEnabled" in document && document.pictureInPictureEnabled);
  await expect(page.getByRole("button", { name: "Picture in picture", includeHidden: true })).toHaveCount(possible ? 1 : 0);
});

test("a file that changed before its upload went on is another file", async () => {
  chromiumOnly();
  const changing = path.join(files, "changing.mp4");
  await copyFile(await film(), changing);
  gate.letThrough(0);
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await upload(page, changing);
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  gate.letThrough(Infinity);
  const item = phases("changing");
  await expect(item).toHaveAttribute("data-phase", "needs-file");
  await utimes(changing, new Date(), new Date(Date.now() - 5_000));
  await chooseFiles(page, "Open the file again", [changing]);
  await expect(page.getByText("That is another file.").first()).toBeVisible();
  await item.getByRole("button", { name: "Cancel upload" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel upload" }).click();
  await expect(item).toHaveCount(0);
});

test("a full account says so and keeps the upload for later", async ({ browser }) => {
  chromiumOnly();
  const small = await newDevice(browser);
  const guest = await newPage(small);
  await join(guest, await inviteWithQuota(server, gate.origin, 1_000_000), "guest");
  await upload(guest, await largeFilm());
  const item = guest.getByRole("listitem", { name: "noise" });
  await expect(item).toHaveAttribute("data-phase", "failed", { timeout: 60_000 });
  await expect(item.getByText(/Your storage is full \(.* of 1\.0 MB used\)/)).toBeVisible();
  await expect(item.getByRole("button", { name: "Try again" })).toBeVisible();
  await expectAccessible(guest, "a full account");
  await small.close();
});

test("nothing broke the page's own rules", () => {
  expect(page.complaints).toEqual([]);
});
