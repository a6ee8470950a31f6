// What a person does on the page, in the page's own words.

import { expect, type Browser, type BrowserContext, type Page } from "@playwright/test";

export const NAME = "mara";
export const PASSWORD = "velvet-orbit-lantern-mimic-harbor-7";

/** A page that remembers what its policy refused and what its scripts threw. */
export async function newPage(context: BrowserContext): Promise<Page & { complaints: string[] }> {
  const page = (await context.newPage()) as Page & { complaints: string[] };
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`error: ${error.message}`));
  page.on("console", (line) => {
    if (/content.security.policy|trusted type|refused to/i.test(line.text())) page.complaints.push(line.text());
  });
  return page;
}

export async function newDevice(browser: Browser): Promise<BrowserContext> {
  return browser.newContext({ acceptDownloads: true });
}

/** From the set-up link to the empty library. Answers with the recovery phrase. */
export async function setUp(page: Page, link: string, name = NAME, password = PASSWORD): Promise<string[]> {
  await page.goto(link);
  await page.getByLabel("User name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await expect(page.getByText(/^Password strength: (Good|Very good)/)).toBeVisible();
  await page.getByRole("button", { name: "Make the account" }).click();
  const list = page.getByRole("list", { name: "The 24 words" }).getByRole("listitem");
  await expect(list).toHaveCount(24, { timeout: 40_000 });
  const words = (await list.allInnerTexts()).map((text) => text.replace(/^\d+\s*/, "").trim());
  await page.getByRole("button", { name: "I have written them down" }).click();
  for (const field of await page.getByLabel(/^Word \d+$/).all()) {
    const place = Number(/\d+/.exec((await field.evaluate((input: HTMLInputElement) => input.labels?.[0]?.textContent)) ?? "")?.[0]);
    await field.fill(words[place - 1] ?? "");
  }
  await page.getByRole("button", { name: "Confirm" }).click();
  await expect(page.getByRole("heading", { name: "Library", level: 1 })).toBeVisible();
  return words;
}

export async function signIn(page: Page, origin: string, name = NAME, password = PASSWORD): Promise<void> {
  await page.goto(origin);
  await page.getByLabel("User name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Library", level: 1 })).toBeVisible({ timeout: 40_000 });
}

export async function unlock(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Unlock" }).click();
  await expect(page.getByRole("button", { name: "Lock", exact: true })).toBeVisible({ timeout: 40_000 });
}

/** Makes an account by an invite link, up to its empty library. */
export async function join(page: Page, link: string, name: string, password = PASSWORD): Promise<void> {
  await setUp(page, link, name, password);
}

/** Chooses files as the page's own picker would: through a plain file field. */
export async function chooseFiles(page: Page, button: string, files: string[]): Promise<void> {
  // A test cannot work the browser's own file dialog with handles, so the page falls back to the field that every browser has.
  await page.evaluate(() => Reflect.deleteProperty(window, "showOpenFilePicker"));
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: button }).first().click();
  await (await chooser).setFiles(files);
}

export async function upload(page: Page, file: string): Promise<void> {
  await chooseFiles(page, "Add videos", [file]);
  const dialog = page.getByRole("dialog", { name: "Add this video?" });
  await expect(dialog.getByText("Plays in every current browser.")).toBeVisible();
  await dialog.getByRole("button", { name: "Upload" }).click();
  await expect(page.getByRole("heading", { name: "Uploads", level: 1 })).toBeVisible();
}

export const card = (page: Page, title: string) => page.getByRole("article").filter({ hasText: title });

export const playing = (page: Page) =>
  page.locator("video").evaluate((video: HTMLVideoElement) => ({
    time: video.currentTime,
    decoded: video.getVideoPlaybackQuality().totalVideoFrames,
    paused: video.paused,
    width: video.videoWidth,
  }));

/** Something moves on the screen. */
export async function watches(page: Page): Promise<void> {
  await expect.poll(async () => (await playing(page)).decoded, { timeout: 30_000 }).toBeGreaterThan(10);
}
