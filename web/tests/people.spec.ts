// Two people with accounts on one server know each other by their contact links; one gives and lends, the other watches, and
// the server can put nobody's keys in their place: the real page over the real server.

import { expect, test, type BrowserContext, type Locator, type Page } from "@playwright/test";
import { expectAccessible } from "./axe";
import { openHome, type Home } from "./home";
import { longFilm } from "./media";
import { join, newDevice, newPage, setUp, upload, watches } from "./person";

test.describe.configure({ mode: "serial" });

const TITLE = "the-long-way-home";
const STOPS_WITHIN = 45_000;
let home: Home;
let mara: Page & { complaints: string[] };
let ida: Page & { complaints: string[] };
let second: BrowserContext;

test.beforeAll(async ({ browser }) => {
  test.setTimeout(180_000);
  home = await openHome(browser);
  mara = home.page;
  await setUp(mara, home.server.setupLink);
  await mara.getByRole("link", { name: "Settings" }).click();
  await mara.getByLabel("For whom").fill("Ida");
  await mara.getByRole("button", { name: "Make an invite link" }).click();
  const invite = await mara.getByRole("textbox", { name: "Invite link for Ida" }).inputValue();
  second = await newDevice(browser);
  ida = await newPage(second);
  await join(ida, invite, "ida");
  await mara.goto(home.gate.origin);
  await upload(mara, await longFilm());
  await expect(mara.getByRole("listitem", { name: TITLE })).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
});

test.afterAll(async () => {
  await second?.close();
  await home?.close();
});

/** Somebody's own contact link, as their page shows it. */
async function contactLink(page: Page): Promise<string> {
  await page.goto(`${home.gate.origin}/people`);
  await expect(page.getByRole("img", { name: "QR code of your contact link" })).toBeVisible();
  return page.getByRole("textbox", { name: "Your contact link" }).inputValue();
}

/** The dialog on the film's page, about to share it with Ida. */
async function chooseIda(kind: RegExp): Promise<Locator> {
  await mara.goto(home.gate.origin);
  await mara.getByRole("listitem").filter({ hasText: TITLE }).getByRole("link").first().click();
  await mara.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = mara.getByRole("dialog", { name: `Share “${TITLE}”` });
  await dialog.getByRole("radio", { name: kind }).check();
  await dialog.getByRole("combobox").selectOption({ label: "Ida" });
  return dialog;
}

async function shareWithIda(kind: RegExp, said: RegExp): Promise<void> {
  const dialog = await chooseIda(kind);
  await expectAccessible(mara, "sharing with a person");
  await dialog.getByRole("button", { name: /^(Give|Lend)/ }).click();
  await expect(mara.getByText(said).first()).toBeVisible({ timeout: 30_000 });
}

test("contacts are added by their links", async () => {
  const [idas, maras] = [await contactLink(ida), await contactLink(mara)];
  expect(idas).toMatch(new RegExp(`^${home.gate.origin}/c/[0-9a-f-]{36}#[\\w-]{40,}$`));
  // One opens the other's link; the other pastes it.
  await mara.goto(idas);
  const opened = mara.getByRole("dialog", { name: "Add a contact" });
  await opened.getByLabel("What you call them").fill("Ida");
  await opened.getByRole("button", { name: "Add", exact: true }).click();
  await expect(mara.getByRole("listitem").filter({ hasText: "Ida" }).getByText(/Verified on/)).toBeVisible();
  await expectAccessible(mara, "people");

  await ida.getByRole("button", { name: "Add somebody" }).click();
  const pasted = ida.getByRole("dialog", { name: "Add a contact" });
  await pasted.getByLabel("Contact link").fill(maras);
  await pasted.getByLabel("What you call them").fill("Mara");
  await pasted.getByRole("button", { name: "Add", exact: true }).click();
  await expect(ida.getByRole("listitem").filter({ hasText: "Mara" })).toBeVisible();
});

test("what was given is there, plays, and may be kept", async () => {
  await shareWithIda(/^Give/, /Ida/);
  await ida.goto(`${home.gate.origin}/received`);
  await expect(ida.getByText(/Given for good/)).toBeVisible();
  await expectAccessible(ida, "what was received");
  await ida.getByRole("link", { name: TITLE }).click();
  await watches(ida);
  await expect(ida.getByRole("button", { name: "Download" })).toBeVisible();
});

test("what was lent plays until it is taken back", async () => {
  await shareWithIda(/^Lend/, /Ida/);
  await ida.goto(`${home.gate.origin}/received`);
  const lent = ida.locator("[data-share]").filter({ hasText: "Lent" });
  await lent.getByRole("link", { name: TITLE }).click();
  await watches(ida);
  await mara.reload();
  const row = mara.getByRole("listitem").filter({ hasText: "Ida" }).filter({ hasText: /Lent|lent/ });
  await row.getByRole("button", { name: /^Stop sharing/ }).click();
  await mara.getByRole("dialog", { name: /^Stop sharing/ }).getByRole("button", { name: "Stop", exact: true }).click();
  await expect(ida.locator("video")).toHaveCount(0, { timeout: STOPS_WITHIN });
});

test("keys that the server puts in a contact's place stop sharing", async () => {
  home.gate.lie("/v1/people/", (truth) => ({ ...(truth as object), ed25519: Buffer.alloc(32, 9).toString("base64url") }));
  const dialog = await chooseIda(/^Lend/);
  await dialog.getByRole("button", { name: /^Lend/ }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  home.gate.lie("/v1/people/", null);
});

test("nothing broke the page's own rules", () => {
  expect([...mara.complaints, ...ida.complaints]).toEqual([]);
});
