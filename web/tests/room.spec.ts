// People meet by a link: the real page over the real server, and what one says and shows is what the other hears and sees.

import { expect, test, type Browser, type BrowserContext } from "@playwright/test";
import { expectAccessible } from "./axe";
import { ANA, BEN, MARA, callingDevice, callingPage, check, connections, decoded, heard, inside, join, makeRoom, perceives, rises, sealed, seat, seen, type Caller, type Person } from "./call";
import { openGate, type Gate } from "./gate";
import { chromiumOnly } from "./home";
import { setUp } from "./person";
import { startServer, type Server } from "./server";

let server: Server;
let gate: Gate;
let device: BrowserContext;
let mara: Caller;
let link: string;
let guests: BrowserContext[] = [];

test.beforeAll(async ({ browser }) => {
  test.setTimeout(120_000);
  gate = await openGate(() => server.listens);
  server = await startServer("--public-url", gate.origin);
  device = await callingDevice(browser, MARA);
  mara = await callingPage(device, MARA);
  await setUp(mara, server.setupLink);
  link = await make("Tuesday, 7 pm");
});

test.afterEach(async () => {
  gate.shut(false);
  for (const guest of guests.splice(0)) await guest.close();
});

test.afterAll(async () => {
  await device?.close();
  await gate?.stop();
  await server?.stop();
});

async function guest(browser: Browser, person: Person): Promise<Caller> {
  const context = await callingDevice(browser, person);
  guests.push(context);
  return callingPage(context, person);
}

const make = (name: string, how: { lobby?: boolean; hidden?: boolean } = {}) => makeRoom(mara, gate.origin, name, how);

test("an owner makes a room, and its link stands in the list", async () => {
  expect(link).toMatch(new RegExp(`^${gate.origin}/r/[0-9a-f-]{36}#[\\w-]{40,}$`));
  await expect(mara.getByRole("img", { name: "QR code of the link" })).toBeVisible();
  await mara.getByRole("button", { name: "Done" }).click();
  await expect(mara.getByRole("heading", { name: "Tuesday, 7 pm" })).toBeVisible();
  await expectAccessible(mara, "an account's rooms");
});

test("the check of devices asks for nothing by itself, and the secret leaves the address", async ({ browser }) => {
  const ben = await guest(browser, BEN);
  await ben.goto(link);
  await expect(ben.getByRole("heading", { name: "Join “Tuesday, 7 pm”" })).toBeVisible({ timeout: 30_000 });
  await expect(ben.getByText("Nobody is in the room yet.")).toBeVisible();
  expect(ben.url()).not.toContain("#");
  expect(await ben.evaluate(() => JSON.stringify(history.state))).not.toContain(new URL(link).hash.slice(1));
  expect(await ben.evaluate(() => (globalThis as { asked?: unknown }).asked)).toBeUndefined();
  await expectAccessible(ben, "the check of devices");
  await ben.getByRole("button", { name: "Switch the microphone on" }).click();
  const meter = ben.getByRole("meter", { name: "Microphone level" });
  await expect.poll(() => meter.evaluate((meter: HTMLMeterElement) => meter.value)).toBeGreaterThan(0.3);
  expect(ben.complaints).toEqual([]);
});

test("two people join by the link, and each hears and sees the other", async ({ browser }) => {
  test.setTimeout(150_000);
  const ben = await guest(browser, BEN);
  await join(mara, link);
  await inside(mara);
  await expect(mara.getByText("You are the first here.")).toBeVisible();
  await join(ben, link);
  await inside(ben);
  await expect(seat(mara, "Ben")).toBeVisible();
  await expect(seat(ben, "mara")).toBeVisible();
  await perceives(ben, MARA);
  await perceives(mara, BEN);
  await rises(mara);
  await rises(ben);
  await sealed(mara);
  await sealed(ben);
  await expectAccessible(ben, "a room");

  await test.step("what is written arrives, and each reads the other's device code", async () => {
    await ben.keyboard.press("c");
    await ben.getByLabel("Write to everybody").fill("Can you hear me?");
    await ben.getByRole("button", { name: "Send" }).click();
    await mara.getByRole("button", { name: "Chat: 1 new line" }).click();
    await expect(mara.getByRole("log").getByText("Can you hear me?")).toBeVisible();
    await mara.getByRole("button", { name: "People: 2" }).click();
    await ben.getByRole("button", { name: "People: 2" }).click();
    const own = await mara.locator("ul .code").first().innerText();
    expect(own).toMatch(/^(\d{5} ?){6}$/);
    await ben.getByText("Device code of mara").click();
    await expect(ben.locator("[data-seat=mara] .code")).toHaveText(own);
    await expect(mara.locator("[data-seat=Ben] [data-way]")).toContainText("directly", { timeout: 20_000 });
    await expectAccessible(mara, "the people of a room");
  });

  await test.step("a muted microphone is silent, and shown as muted", async () => {
    await ben.getByRole("button", { name: "Mute", exact: true }).click();
    await expect(seat(mara, "Ben").getByRole("img", { name: "Muted" })).toBeVisible();
    await expect.poll(() => heard(mara, "Ben"), { timeout: 15_000 }).toBe(0);
    await ben.getByRole("button", { name: "Unmute" }).click();
    await perceives(mara, BEN, { mic: true });
  });

  await test.step("who leaves is gone, and comes in again by the same link", async () => {
    await ben.getByRole("button", { name: "Leave" }).click();
    await expect(ben.getByRole("heading", { name: "You have left the room" })).toBeVisible();
    await expect(seat(mara, "Ben")).toHaveCount(0, { timeout: 15_000 });
    expect(await connections(mara)).toBe(0);
    await ben.getByRole("button", { name: "Join again" }).click();
    await check(ben);
    await inside(ben);
    await perceives(mara, BEN);
    await perceives(ben, MARA);
    await sealed(mara);
  });

  await test.step("a reload comes in again, without asking for the link", async () => {
    await ben.reload();
    await check(ben);
    await inside(ben);
    // Not every browser lets a page that goes say so: then the old seat stays until the server misses it.
    await expect(seat(mara, "Ben")).toHaveCount(1, { timeout: 25_000 });
    await perceives(mara, BEN);
  });

  await test.step("sockets that break are opened again, and nobody notices in the call", async () => {
    gate.shut(true);
    gate.cut();
    await expect(ben.locator("#content").getByText("The server cannot be reached.")).toBeVisible({ timeout: 15_000 });
    await rises(ben);
    gate.shut(false);
    await expect(ben.locator("#content").getByText("The server cannot be reached.")).toBeHidden({ timeout: 15_000 });
    await ben.getByRole("button", { name: /^Chat/ }).click();
    await ben.getByLabel("Write to everybody").fill("Still here");
    await ben.keyboard.press("Enter");
    await mara.getByRole("button", { name: /^Chat/ }).click();
    await expect(mara.getByRole("log").getByText("Still here")).toBeVisible({ timeout: 20_000 });
    await perceives(mara, BEN);
  });

  await test.step("whom the host removes is out at once, and their link is no longer good", async () => {
    await mara.getByRole("button", { name: "People: 2" }).click();
    await mara.getByRole("button", { name: "Actions for Ben" }).click();
    await mara.getByRole("menuitem", { name: "Remove from the room" }).click();
    await mara.getByRole("dialog", { name: "Remove Ben?" }).getByRole("button", { name: "Remove" }).click();
    await expect.poll(() => connections(mara), { timeout: 2_000 }).toBe(0);
    await expect(ben.getByRole("heading", { name: "The host removed you" })).toBeVisible({ timeout: 15_000 });
    expect(await connections(ben)).toBe(0);
    await expectAccessible(ben, "removed from a room");
    // The owner's page tells the server of the new link.
    await expect(async () => {
      await ben.goto("about:blank");
      await ben.goto(link);
      await expect(ben.getByRole("heading", { name: "This link is no longer good" })).toBeVisible({ timeout: 4_000 });
    }).toPass({ timeout: 30_000 });

    await mara.getByRole("button", { name: "Invite", exact: true }).click();
    const fresh = await mara.getByRole("textbox", { name: "Link to the room" }).inputValue();
    expect(fresh).not.toBe(link);
    await mara.getByRole("button", { name: "Done" }).click();
    const ana = await guest(browser, ANA);
    await join(ana, fresh);
    await inside(ana);
    await perceives(ana, MARA);
    await perceives(mara, ANA);
    link = fresh;
  });

  await test.step("the host ends it for everybody", async () => {
    await mara.getByRole("button", { name: "More" }).click();
    await mara.getByRole("menuitem", { name: "End for everybody" }).click();
    await mara.getByRole("dialog").getByRole("button", { name: "End for everybody" }).click();
    const ana = guests.at(-1)!.pages()[0]!;
    await expect(ana.getByRole("heading", { name: "The meeting is over" })).toBeVisible({ timeout: 15_000 });
    await expect(mara.getByRole("heading", { name: "The meeting is over" })).toBeVisible();
  });
  // Firefox calls it an error that the server was away, which it was to be.
  const ours = ({ complaints }: Caller) => complaints.filter((line) => !line.includes("establish a connection"));
  expect(ours(mara)).toEqual([]);
  expect(ours(ben)).toEqual([]);
});

test("somebody without devices comes in, and a shared tab is seen and heard", async ({ browser }) => {
  chromiumOnly();
  test.setTimeout(120_000);
  const ben = await guest(browser, BEN);
  await join(mara, link);
  await inside(mara);
  // A test cannot work the browser's own choice: the tab shares itself, with the sound that it plays.
  await mara.evaluate(() => {
    const media = navigator.mediaDevices;
    const real = media.getDisplayMedia.bind(media);
    media.getDisplayMedia = (wanted) => real({ ...wanted, preferCurrentTab: true, selfBrowserSurface: "include" } as DisplayMediaStreamOptions);
  });
  await join(ben, link, {});
  await inside(ben);
  await mara.getByRole("button", { name: "Share screen" }).click();
  await expectAccessible(mara, "sharing a screen");
  await mara.getByRole("dialog").getByRole("radio", { name: /^Motion/ }).check();
  await mara.getByRole("button", { name: "Choose what to share" }).click();
  const shared = seat(ben, "mara's screen");
  await expect(shared).toBeVisible({ timeout: 20_000 });
  await expect.poll(() => shared.locator("video").evaluate((video: HTMLVideoElement) => video.videoWidth), { timeout: 20_000 }).toBeGreaterThan(300);
  await expect.poll(async () => Math.max(...(await seen(ben, "mara's screen")))).toBeGreaterThan(5);
  await expectAccessible(ben, "a shared screen");
  await sealed(ben);
  await mara.getByRole("button", { name: "Stop sharing" }).click();
  await expect(shared).toHaveCount(0, { timeout: 10_000 });
});

test("devices are chosen from the browser's list, and changed while talking", async ({ browser }) => {
  chromiumOnly();
  // Chromium's own make-believe devices, which beep and count.
  const context = await browser.newContext({ permissions: ["camera", "microphone"] });
  guests.push(context);
  const page: Caller = await callingPage(context, ANA);
  await page.goto(link);
  await page.getByLabel("Your name in this room").fill("Ana");
  await page.getByRole("button", { name: "Switch the microphone on" }).click();
  await page.getByRole("button", { name: "Switch the camera on" }).click();
  await expect.poll(() => page.getByRole("group", { name: "Your picture" }).locator("video").evaluate((video: HTMLVideoElement) => video.videoWidth)).toBeGreaterThan(100);
  const microphones = page.getByLabel("Microphone", { exact: true });
  await expect.poll(() => microphones.locator("option").count()).toBeGreaterThan(1);
  await expectAccessible(page, "devices before joining");
  await microphones.selectOption({ index: 1 });
  await page.getByRole("button", { name: "Join with microphone and camera" }).click();
  await inside(page);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Devices" }).click();
  await page.getByLabel("Microphone", { exact: true }).selectOption({ index: 2 });
  await page.getByRole("button", { name: "Close" }).first().click();
  await expect(page.getByRole("button", { name: "Mute", exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Leave" }).click();
});

test("in a lobby nobody comes in before the host says so", async ({ browser }) => {
  test.setTimeout(120_000);
  const [ben, ana] = [await guest(browser, BEN), await guest(browser, ANA)];
  const lobby = await make("With a lobby", { lobby: true });
  await join(ben, lobby, { mic: true });
  await expect(ben.getByRole("heading", { name: "The host is not here yet" })).toBeVisible();
  await mara.getByRole("dialog").getByRole("link", { name: "Enter the room" }).click();
  await expect(mara.getByText("You are the host of this room.")).toBeVisible({ timeout: 30_000 });
  await check(mara);
  await inside(mara);
  await expect(ben.getByRole("heading", { name: "Waiting to be let in" })).toBeVisible({ timeout: 15_000 });
  await expectAccessible(ben, "at the door");
  await expect(mara.getByRole("group", { name: "Ben asks to come in." })).toBeVisible();
  await mara.getByRole("button", { name: "Let in Ben" }).click();
  await inside(ben);
  await perceives(mara, BEN, { mic: true });
  // The host needs nobody's leave: nobody else could give it.
  await mara.reload();
  await check(mara);
  await inside(mara);
  await perceives(mara, BEN, { mic: true });
  await join(ana, lobby, {});
  await mara.getByRole("button", { name: "Refuse Ana" }).click();
  await expect(ana.getByRole("heading", { name: "You were not let in" })).toBeVisible({ timeout: 15_000 });
  await mara.getByRole("button", { name: "Leave" }).click();
});

test("a browser whose transforms do nothing sends nothing, and never says that it is encrypted", async ({ browser }) => {
  chromiumOnly();
  test.setTimeout(90_000);
  const [ben, ana] = [await guest(browser, BEN), await guest(browser, ANA)];
  await ben.addInitScript(() => {
    for (const side of [RTCRtpSender.prototype, RTCRtpReceiver.prototype]) Object.defineProperty(side, "transform", { set: () => undefined, get: () => null });
  });
  await join(ana, link);
  await inside(ana);
  await join(ben, link);
  await inside(ben);
  await expect(seat(ana, "Ben")).toBeVisible({ timeout: 20_000 });
  // Its own page finds out, and closes every connection.
  await expect(ben.locator("[data-verdict]")).toHaveAttribute("data-verdict", "broken", { timeout: 20_000 });
  await expect(ben.getByRole("alert").filter({ hasText: "Stopped: something was not encrypted" })).toBeVisible();
  expect(await connections(ben)).toBe(0);
  expect(await decoded(ana)).toBe(0);
  expect(await heard(ana, "Ben")).toBe(0);
  await expect(ana.locator("[data-verdict]")).not.toHaveAttribute("data-verdict", "sealed");
  await expectAccessible(ben, "a room that was stopped");
});

test("a server cannot say that a room no longer hides addresses", async ({ browser }) => {
  const ben = await guest(browser, BEN);
  const hidden = await make("Hidden", { hidden: true });
  const says = async (hides: boolean) => {
    await ben.goto("about:blank");
    await ben.goto(hidden);
    await expect(ben.getByText(hides ? "nobody in the room learns your network address" : "connect to each other directly")).toBeVisible({ timeout: 30_000 });
  };
  type View = { sealed: string; policy: object };
  try {
    gate.lie("/v1/rooms/", (view) => ({ ...(view as View), policy: { ...(view as View).policy, hide_addresses: false } }));
    await says(true);
    // What the link does not open may have said anything.
    gate.lie("/v1/rooms/", (view) => ({ ...(view as View), sealed: (view as View).sealed.replace(/./, (first) => (first === "A" ? "B" : "A")), policy: { ...(view as View).policy, hide_addresses: false } }));
    await says(true);
  } finally {
    gate.lie("/v1/rooms/", null);
  }
  await ben.goto(link);
  await expect(ben.getByText("connect to each other directly")).toBeVisible({ timeout: 30_000 });
});

test("links that are cut short, and rooms that are over, say so", async ({ browser }) => {
  const ben = await guest(browser, BEN);
  await ben.goto(link.slice(0, -6));
  await expect(ben.getByRole("heading", { name: "Part of the link is missing" })).toBeVisible({ timeout: 30_000 });
  const over = await make("Soon over");
  await mara.getByRole("dialog").getByRole("button", { name: "Done" }).click();
  await mara.getByRole("button", { name: "Delete Soon over" }).click();
  await mara.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(mara.getByText("The room is deleted.").first()).toBeVisible();
  await ben.goto(over);
  await expect(ben.getByRole("heading", { name: "There is no room here" })).toBeVisible({ timeout: 30_000 });
  await expectAccessible(ben, "a room that is over");
});
