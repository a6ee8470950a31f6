// Getting in, staying in and being put out: what happens to an account besides the first sign-in.

import { basename } from "node:path";
import { expect, test } from "@playwright/test";
import { expectAccessible } from "./axe";
import { chromiumOnly, openHome, type Home } from "./home";
import { largeFilm } from "./media";
import { chooseFiles, join, NAME, newDevice, newPage, PASSWORD, setUp, signIn, upload } from "./person";

test.describe.configure({ mode: "serial" });

const SECOND = "copper-meadow-violin-tunnel-4-brisk";
const THIRD = "marble-lagoon-cricket-ember-9-tidal";

let home: Home;
let server: Home["server"];
let gate: Home["gate"];
let first: Home["device"];
let page: Home["page"];
let phrase: string[];

test.beforeAll(async ({ browser }) => {
  test.setTimeout(120_000);
  home = await openHome(browser);
  ({ server, gate, device: first, page } = home);
  phrase = await setUp(page, server.setupLink);
  await largeFilm();
});

test.afterAll(async () => {
  await home?.close();
});

test("a device that is signed out from another says so, forgets the keys and loses nothing", async ({ browser }) => {
  test.setTimeout(150_000);
  const film = await largeFilm();
  const title = basename(film, ".mp4");
  const device = await newDevice(browser);
  const lost = await newPage(device);
  await signIn(lost, gate.origin);
  gate.stored.length = 0;
  gate.letThrough(2);
  await upload(lost, film);
  await expect.poll(() => gate.stored.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(2);
  await lost.waitForTimeout(1_200);
  const before = [...gate.stored];

  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: /^Sign out \w+ on \w+/ }).click();
  await expect(page.getByText(/is signed out\./).first()).toBeVisible();
  gate.letThrough(Infinity);

  await expect(lost.getByText("This device was signed out")).toBeVisible({ timeout: 30_000 });
  await expect(lost.getByText(title)).toHaveCount(0);
  await expectAccessible(lost, "signed out from elsewhere");
  const keys = await lost.evaluate(
    () =>
      new Promise<number>((resolve, reject) => {
        const open = indexedDB.open("gloaming");
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const count = open.result.transaction("keys").objectStore("keys").count();
          count.onsuccess = () => resolve(count.result);
        };
      }),
  );
  expect(keys).toBe(0);

  await lost.getByLabel("User name").fill(NAME);
  await lost.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await lost.getByRole("button", { name: "Sign in" }).click();
  const item = lost.getByRole("listitem", { name: title });
  await expect(item).toHaveAttribute("data-phase", "needs-file", { timeout: 40_000 });
  await chooseFiles(lost, "Open the file again", [film]);
  await expect(item).toHaveAttribute("data-phase", "done", { timeout: 90_000 });
  const after = gate.stored.slice(before.length);
  expect(after.filter((path) => before.includes(path))).toEqual([]);
  await device.close();
});

test("a new password signs the other devices out", async ({ browser }) => {
  const device = await newDevice(browser);
  const other = await newPage(device);
  await signIn(other, gate.origin);

  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Current password").fill("not-the-password");
  await page.getByLabel("New password").fill(SECOND);
  await expect(page.getByText(/^Password strength: (Good|Very good)/)).toBeVisible();
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByText(/The password is not right|do not go together/)).toBeVisible({ timeout: 40_000 });
  await page.getByLabel("Current password").fill(PASSWORD);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByText("The password is changed.").first()).toBeVisible({ timeout: 40_000 });

  await other.getByRole("link", { name: "Settings" }).click();
  await expect(other.getByText("This device was signed out")).toBeVisible();
  await signIn(other, gate.origin, NAME, SECOND);
  await device.close();
});

test("the 24 words open the library when the password is forgotten", async ({ browser }) => {
  const device = await newDevice(browser);
  const forgetful = await newPage(device);
  await forgetful.goto(gate.origin);
  await forgetful.getByRole("link", { name: "Forgot the password?" }).click();
  await forgetful.getByLabel("User name").fill(NAME);
  await forgetful.getByLabel("Recovery phrase").fill(phrase.slice(0, 23).join(" "));
  await expect(forgetful.getByText("23 of 24 words")).toBeVisible();
  await forgetful.getByLabel("New password").fill(THIRD);
  await expect(forgetful.getByText(/^Password strength: (Good|Very good)/)).toBeVisible();
  await forgetful.getByRole("button", { name: "Open and set the new password" }).click();
  await expect(forgetful.getByLabel("Recovery phrase")).toHaveAttribute("aria-invalid", "true");
  await expectAccessible(forgetful, "recovery");
  // Two words that changed places are found out before anything is sent.
  await forgetful.getByLabel("Recovery phrase").fill([phrase[1], phrase[0], ...phrase.slice(2)].join(" "));
  await forgetful.getByRole("button", { name: "Open and set the new password" }).click();
  await expect(forgetful.getByRole("alert").filter({ hasText: /words/ })).toBeVisible({ timeout: 40_000 });
  await forgetful.getByLabel("Recovery phrase").fill(phrase.join("  ").toUpperCase());
  await forgetful.getByRole("button", { name: "Open and set the new password" }).click();
  await expect(forgetful.getByRole("heading", { name: "Library", level: 1 })).toBeVisible({ timeout: 40_000 });
  await expect(forgetful.getByRole("article")).toHaveCount(1);
  await device.close();

  // Everybody else is out, and the old password with them: they hear of it when somebody comes back to them.
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await expect(page.getByText("This device was signed out")).toBeVisible();
  await signIn(page, gate.origin, NAME, THIRD);
});

test("an invite makes a second account, which sees nothing of the first", async ({ browser }) => {
  chromiumOnly();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("For whom").fill("Grandma");
  await page.getByRole("button", { name: "Make an invite link" }).click();
  const link = await page.getByRole("textbox", { name: "Invite link for Grandma" }).inputValue();
  const device = await newDevice(browser);
  const grandma = await newPage(device);
  await grandma.goto(link);
  await expect(grandma.getByRole("heading", { name: "You are invited" })).toBeVisible();
  await expectAccessible(grandma, "invited");
  await join(grandma, link, "grandma");
  await expect(grandma.getByText("Your library is empty")).toBeVisible();
  await grandma.getByRole("link", { name: "Settings" }).click();
  await expect(grandma.getByText(/^Member/)).toBeVisible();
  await expect(grandma.getByRole("heading", { name: "Invites" })).toHaveCount(0);
  expect(grandma.complaints).toEqual([]);
  // It was for one account.
  await grandma.getByRole("button", { name: "Sign out on this device" }).click();
  await expect(grandma.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(grandma.getByText("This device was signed out")).toHaveCount(0);
  await grandma.goto("about:blank");
  await grandma.goto(link);
  await grandma.getByLabel("User name").fill("another");
  await grandma.getByLabel("Password", { exact: true }).fill(SECOND);
  await expect(grandma.getByText(/^Password strength: (Good|Very good)/)).toBeVisible();
  await grandma.getByRole("button", { name: "Make the account" }).click();
  await expect(grandma.getByText("This link was used already or has expired.")).toBeVisible({ timeout: 40_000 });
  await device.close();
});

test("without a network what is on the screen stays, and the page says so", async () => {
  chromiumOnly();
  await page.getByRole("link", { name: "Gloaming: Library" }).click();
  await expect(page.getByRole("article")).toHaveCount(1);
  await first.setOffline(true);
  await expect(page.getByText("No network.")).toBeVisible();
  await expect(page.getByRole("article")).toHaveCount(1);
  await expectAccessible(page, "without a network");
  await first.setOffline(false);
  await expect(page.getByText("No network.")).toHaveCount(0);
});

test("a server that is gone: an action says so, and a new page offers to try again", async () => {
  chromiumOnly();
  gate.shut(true);
  await page.getByRole("button", { name: /^More for / }).click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await expect(page.getByText("The server cannot be reached.").first()).toBeVisible({ timeout: 40_000 });
  await expect(page.getByRole("article")).toHaveCount(1);
  await page.reload();
  await expect(page.getByRole("heading", { name: "The server cannot be reached" })).toBeVisible({ timeout: 40_000 });
  await expectAccessible(page, "a server that is gone");
  gate.shut(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("article")).toHaveCount(1, { timeout: 40_000 });
});

test("a server that shows an older library raises an alarm, and changes nothing here", async () => {
  chromiumOnly();
  gate.lie("/v1/library?", (truth) => ({ ...(truth as object), entries: [], last: 1 }));
  // Whoever comes back to the page has it look for what is new.
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await expect(page.getByRole("alert").filter({ hasText: "older state of your library" })).toBeVisible();
  await expect(page.getByRole("article")).toHaveCount(1);
  await expectAccessible(page, "alarm");
  gate.lie("/v1/library?", null);
  await page.getByRole("button", { name: "I have seen this" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("a tab that is left alone locks itself", async () => {
  chromiumOnly();
  // An hour passes: the note of when somebody was last there is set back, which the page looks at every few seconds.
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const open = indexedDB.open("gloaming");
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const store = open.result.transaction("notes", "readwrite").objectStore("notes");
          const get = store.get("idle");
          get.onsuccess = () => {
            const idle = JSON.parse(new TextDecoder().decode(get.result as Uint8Array)) as { active_at: number };
            const put = store.put(new TextEncoder().encode(JSON.stringify({ ...idle, active_at: idle.active_at - 3_600_000 })), "idle");
            put.onsuccess = () => resolve();
          };
        };
      }),
  );
  await expect(page.getByRole("heading", { name: `Locked, ${NAME}` })).toBeVisible({ timeout: 25_000 });
  await expect(page.getByRole("article")).toHaveCount(0);
});

test("nothing broke the page's own rules", () => {
  expect(page.complaints).toEqual([]);
});
