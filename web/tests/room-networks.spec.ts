// Networks that fail: each browser in a network of its own, which is cut, exchanged, or has no way to the other.

import { chromium, expect, test, type Browser, type Page } from "@playwright/test";
import { BEN, MARA, callingDevice, callingPage, enter, launching, makeRoom, perceives, rises, sealed, seat, type Caller } from "./call";
import { chromiumOnly, skipAloud } from "./home";
import { SERVER, makeNetworks, noNetworks, type Networks } from "./networks";
import { setUp } from "./person";
import { startServerIn, type Server } from "./server";

let networks: Networks;
let server: Server;
const browsers: Browser[] = [];
let mara: Caller;
let ben: Caller;

test.beforeAll(async () => {
  chromiumOnly();
  test.setTimeout(120_000);
  const why = await noNetworks();
  if (why) return skipAloud(`calls over networks that fail: ${why}`);
  networks = await makeNetworks();
  server = await startServerIn(networks.router, SERVER, "--tls", "self-signed");
  const callers: Caller[] = [];
  for (const [side, person] of [
    [1, MARA],
    [2, BEN],
  ] as const) {
    const { executablePath = "", ...how } = launching("chromium");
    const browser = await chromium.launch({ ...how, executablePath: await networks.wrap(side, executablePath) });
    browsers.push(browser);
    callers.push(await callingPage(await callingDevice(browser, person), person));
  }
  [mara, ben] = callers as [Caller, Caller];
  await setUp(mara, server.setupLink);
});

test.afterAll(async () => {
  for (const browser of browsers) await browser.close();
  await server?.stop();
  await networks?.remove();
});

async function meet(name: string): Promise<void> {
  await enter(await makeRoom(mara, server.listens, name), mara, ben);
}

const LONG = { timeout: 60_000 };

async function bothPerceive(): Promise<void> {
  await perceives(ben, MARA);
  await perceives(mara, BEN);
  for (const page of [mara, ben]) {
    await rises(page);
    await sealed(page);
  }
}

/** The page says at somebody's seat that it waits for them. */
const waits = (page: Page, name: string) => seat(page, name).getByRole("status");

async function found(): Promise<void> {
  await expect(waits(mara, "Ben")).toHaveCount(0, { timeout: 90_000 });
  await expect(waits(ben, "mara")).toHaveCount(0, { timeout: 90_000 });
}

async function nobodyLeft(): Promise<void> {
  for (const page of [mara, ben]) await expect(page.getByText("You fell out of the room")).toHaveCount(0);
  await expect(seat(mara, "Ben")).toHaveCount(1);
}

test("a network that is cut for ten seconds is come back from, without leaving", async () => {
  test.setTimeout(180_000);
  await meet("Cut");
  await bothPerceive();
  await expect(mara.locator("[data-topology]")).toHaveAttribute("data-topology", "mesh");
  await networks.plug(2, false);
  await expect(waits(mara, "Ben")).toBeVisible({ timeout: 20_000 });
  await mara.waitForTimeout(10_000);
  await networks.plug(2, true);
  await found();
  await bothPerceive();
  await nobodyLeft();
});

test("somebody whose network becomes another one stays", async () => {
  test.setTimeout(180_000);
  await networks.move(2);
  // The old address is nobody's now: whatever still comes does so from the new one. Often it is found before anything is missed.
  await mara.waitForTimeout(5_000);
  await found();
  await bothPerceive();
  await nobodyLeft();
});

test("two whose packets do not reach each other meet through the forwarder", async () => {
  test.setTimeout(180_000);
  await networks.routes(false);
  await meet("No path");
  for (const page of [mara, ben]) await expect(page.locator("[data-topology]")).toHaveAttribute("data-topology", "forwarder", LONG);
  await bothPerceive();
  for (const page of [mara, ben]) expect(page.complaints).toEqual([]);
});
