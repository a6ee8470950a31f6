// Rooms that are too much for a mesh, that hide addresses, or whose browsers find no way to each other: through the server's
// forwarder, without anybody noticing the change.

import { expect, test, type Browser, type BrowserContext, type Page } from "@playwright/test";
import { expectAccessible } from "./axe";
import { ANA, BEN, DAN, EVA, FINN, LIGHT, MARA, callingDevice, callingPage, connections, enter, makeRoom, perceives, rises, sealed, seat, type Caller, type Person } from "./call";
import { chromiumOnly } from "./home";
import { setUp } from "./person";
import { startServer, type Server } from "./server";

const host: Person = { ...MARA, picture: LIGHT };

let server: Server;
let device: BrowserContext;
let mara: Caller;
let guests: BrowserContext[] = [];

test.beforeAll(async ({ browser }) => {
  chromiumOnly();
  test.setTimeout(120_000);
  server = await startServer();
  device = await callingDevice(browser, host);
  mara = await callingPage(device, host);
  await setUp(mara, server.setupLink);
});

test.afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close();
  await mara?.goto("about:blank");
});

test.afterAll(async () => {
  await device?.close();
  await server?.stop();
});

async function guest(browser: Browser, person: Person, before?: (page: Page) => Promise<unknown>): Promise<Caller> {
  const as = { picture: LIGHT, ...person };
  const context = await callingDevice(browser, as);
  guests.push(context);
  const page = await callingPage(context, as);
  await before?.(page);
  return page;
}

const make = (name: string, how: { hidden?: boolean } = {}) => makeRoom(mara, server.listens, name, how);

const LONG = { timeout: 60_000 };

/** One connection, to the forwarder; or one to each of the others. */
async function meshed(pages: Caller[]): Promise<void> {
  for (const page of pages) {
    await expect(page.locator("[data-topology]")).toHaveAttribute("data-topology", "mesh", LONG);
    await expect.poll(() => connections(page), { ...LONG, message: `${page.as.name}'s connections` }).toBe(pages.length - 1);
  }
}

async function forwarded(pages: Caller[]): Promise<void> {
  for (const page of pages) {
    await expect(page.locator("[data-topology]")).toHaveAttribute("data-topology", "forwarder", LONG);
    await expect.poll(() => connections(page), { ...LONG, message: `${page.as.name}'s connections` }).toBe(1);
  }
}

/** All pages at once: looking is mostly waiting. */
async function everybodyPerceives(pages: Caller[]): Promise<void> {
  await Promise.all(
    pages.map(async (page) => {
      for (const other of pages) if (other !== page) await perceives(page, other.as);
      await sealed(page);
    }),
  );
}

/** Looks twenty times a second whether a picture of somebody's is there that is not at its end and has begun to come; `dark`: at
    how many looks one after another it was not. */
const watch = (page: Page, name: string) =>
  seat(page, name).evaluate((figure) => {
    const seen = { looks: 0, dark: 0 };
    Object.assign(globalThis, { seen });
    let dark = 0;
    setInterval(() => {
      const stream = figure.querySelector("video")?.srcObject;
      const [track] = stream instanceof MediaStream ? stream.getVideoTracks() : [];
      seen.looks += 1;
      dark = !track || track.readyState !== "live" || track.muted ? dark + 1 : 0;
      seen.dark = Math.max(seen.dark, dark);
    }, 50);
  });

/** Half a second: the element shows the last picture meanwhile. Whoever loses the way misses several. */
const BLINK = 10;

const seenSince = (page: Page) => page.evaluate(() => (globalThis as unknown as { seen: { looks: number; dark: number } }).seen);

test("at the fifth seat a room goes to the forwarder and at the third back, and nobody misses a picture", async ({ browser }) => {
  test.setTimeout(400_000);
  const link = await make("Five");
  const [ben, ana, dan] = [await guest(browser, BEN), await guest(browser, ANA), await guest(browser, DAN)];
  const four = [mara, ben, ana, dan];
  await enter(link, ...four);
  await meshed(four);
  await everybodyPerceives(four);
  await watch(mara, "Ben");
  await watch(ben, "mara");

  const eva = await guest(browser, { ...EVA, picture: { width: 960, height: 540, fps: 6 } });
  const five = [...four, eva];
  await enter(link, eva);
  await forwarded(five);
  for (const page of [mara, ben]) {
    const { looks, dark } = await seenSince(page);
    expect(looks).toBeGreaterThan(20);
    expect(dark, `${page.as.name} misses nothing on the way to the forwarder`).toBeLessThan(BLINK);
    await rises(page);
  }
  await everybodyPerceives(five);
  await mara.getByRole("button", { name: "People: 5" }).click();
  await expect(mara.locator("[data-seat=Ben] [data-way]")).toContainText("through the server's forwarder");
  await expectAccessible(mara, "a room that is forwarded");

  const finn = await guest(browser, FINN);
  await test.step("six seats are correct too", async () => {
    await enter(link, finn);
    await forwarded([...five, finn]);
    await everybodyPerceives([...five, finn]);
  });

  await test.step("of a camera comes the layer that there is a use for", async () => {
    const lines = () => seat(ben, "Eva").locator("video").evaluate((video: HTMLVideoElement) => video.videoHeight);
    // Among so many somebody is shown whole who speaks, or is pinned.
    await eva.getByRole("button", { name: "Mute", exact: true }).click();
    await expect.poll(lines, LONG).toBeLessThan(540);
    await seat(ben, "Eva").hover();
    await ben.getByRole("button", { name: "Pin Eva" }).click();
    await expect.poll(lines, LONG).toBe(540);
    await finn.getByRole("button", { name: "Leave" }).click();
  });

  await test.step("back to a mesh, when few enough are left", async () => {
    for (const page of [eva, dan]) await page.getByRole("button", { name: "Leave" }).click();
    const three = [mara, ben, ana];
    await meshed(three);
    for (const page of [mara, ben]) expect((await seenSince(page)).dark, `${page.as.name} misses nothing on the way back`).toBeLessThan(BLINK);
    await everybodyPerceives(three);
    await expect(mara.locator("[data-seat=Ben] [data-way]")).toContainText("directly");
  });
  for (const page of five) expect(page.complaints).toEqual([]);
});

test("while somebody shares a large screen, the fourth is one too many for a mesh", async ({ browser }) => {
  test.setTimeout(240_000);
  const link = await make("Large");
  const [ben, ana, dan] = [await guest(browser, BEN), await guest(browser, ANA), await guest(browser, DAN)];
  await mara.addInitScript(() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [1920, 1080];
      const c = canvas.getContext("2d")!;
      setInterval(() => {
        c.fillStyle = `rgb(20 ${140 + (Date.now() % 3)} 200)`;
        c.fillRect(0, 0, 1920, 1080);
      }, 500);
      return canvas.captureStream(2);
    };
  });
  const three = [mara, ben, ana];
  await enter(link, ...three);
  await meshed(three);
  await mara.getByRole("button", { name: "Share screen" }).click();
  await mara.getByRole("button", { name: "Choose what to share" }).click();
  const screen: Person = { name: "mara's screen", tone: 0, colour: [20, 140, 200] };
  await perceives(ben, screen, { camera: true });
  await meshed(three);
  await enter(link, dan);
  const four = [...three, dan];
  await forwarded(four);
  for (const page of [ben, ana, dan]) await perceives(page, screen, { camera: true });
  await everybodyPerceives(four);
  await mara.getByRole("button", { name: "Stop sharing" }).click();
  await meshed(four);
});

test("in a room that hides addresses nobody learns one, and two people meet through the forwarder", async ({ browser }) => {
  test.setTimeout(180_000);
  const link = await make("Hidden", { hidden: true });
  /** What the page hands to its worker: all that it says to anybody. */
  const listen = (page: Page) =>
    page.addInitScript(() => {
      const said: string[] = [];
      Object.assign(globalThis, { said });
      const post = Worker.prototype.postMessage as (this: Worker, message: unknown, more: never) => void;
      Worker.prototype.postMessage = function (this: Worker, message: unknown, more?: unknown) {
        said.push(JSON.stringify(message) ?? "");
        post.call(this, message, more as never);
      };
    });
  const [ben, ana] = [await guest(browser, BEN, listen), await guest(browser, ANA, listen)];
  await ben.goto(link);
  await expect(ben.getByText("nobody in the room learns your network address")).toBeVisible({ timeout: 30_000 });
  await enter(link, ben, ana);
  await forwarded([ben, ana]);
  await everybodyPerceives([ben, ana]);
  for (const page of [ben, ana]) {
    const said = await page.evaluate(() => (globalThis as unknown as { said: string[] }).said);
    expect(said.filter((line) => line.includes('"offer"')).length, "the page offers to the forwarder").toBeGreaterThan(0);
    expect(said.filter((line) => /candidate|"kind":"signal"/.test(line))).toEqual([]);
    expect(await page.evaluate(() => (globalThis as unknown as { pcs: RTCPeerConnection[] }).pcs.flatMap((pc) => pc.getConfiguration().iceServers ?? []))).toEqual([]);
    // Of those that said anything to anybody: which layers a browser makes is asked of one that does not.
    expect(await page.evaluate(() => (globalThis as unknown as { pcs: RTCPeerConnection[] }).pcs.filter((pc) => pc.localDescription).length)).toBe(1);
  }
});

test("two who find no way to each other go through the forwarder", async ({ browser }) => {
  test.setTimeout(180_000);
  const link = await make("No path");
  const [ben, ana] = [
    await guest(browser, BEN),
    // Neither learns the other's addresses from this page, nor it theirs; the forwarder's is in its answer.
    await guest(browser, ANA, (page) =>
      page.addInitScript(() => {
        RTCPeerConnection.prototype.addIceCandidate = () => Promise.resolve();
        Object.defineProperty(RTCPeerConnection.prototype, "onicecandidate", { set: () => undefined, get: () => null });
      }),
    ),
  ];
  await enter(link, ben, ana);
  await forwarded([ben, ana]);
  await everybodyPerceives([ben, ana]);
  await ben.getByRole("button", { name: "People: 2" }).click();
  await expect(ben.locator("[data-seat=Ana] [data-way]")).toContainText("through the server's forwarder");
});
