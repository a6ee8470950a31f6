// The real page over a real server that lies: what it withholds, repeats, puts in another order or changes of a room's log is
// told once and in order, or refused and shown; and those who are honest keep talking.

import { expect, test, type BrowserContext } from "@playwright/test";
import { BEN, MARA, callingDevice, callingPage, enter, makeRoom, rises, sealed, type Caller } from "./call";
import { openGate, type Gate } from "./gate";
import { chromiumOnly } from "./home";
import { setUp } from "./person";
import { startServer, type Server } from "./server";

let server: Server;
let gate: Gate;
let mara: Caller;
let ben: Caller;
const devices: BrowserContext[] = [];

test.beforeAll(async ({ browser }) => {
  chromiumOnly();
  test.setTimeout(120_000);
  gate = await openGate(() => server.listens);
  server = await startServer("--public-url", gate.origin);
  const callers: Caller[] = [];
  for (const person of [MARA, BEN]) {
    const device = await callingDevice(browser, person);
    devices.push(device);
    callers.push(await callingPage(device, person));
  }
  [mara, ben] = callers as [Caller, Caller];
  await setUp(mara, server.setupLink);
  await enter(await makeRoom(mara, gate.origin, "Lies"), mara, ben);
  for (const page of [mara, ben]) await page.getByRole("button", { name: /^Chat/ }).click();
  // Whoever has not said anything yet cannot be missed.
  await say("Hello");
  await expect(heard("Hello")).toHaveCount(1);
});

test.afterAll(async () => {
  for (const device of devices) await device.close();
  await gate?.stop();
  await server?.stop();
});

/** The line, as often as it came. */
const heard = (line: string) => mara.getByRole("log").getByText(line, { exact: true });

async function say(line: string): Promise<void> {
  await ben.getByLabel("Write to everybody").fill(line);
  await ben.keyboard.press("Enter");
}

/** What a member says, as an entry of the log: `"entry"` and `"send"`, CBOR's text. The server can read no more of it. */
const isSaid = (message: Buffer) => message.includes("\x65entry", 0, "latin1") && message.includes("\x64send", 0, "latin1");

/** Lies about the next thing that somebody says, to both of them; tells how often it did. */
function lie(how: (message: Buffer) => Buffer[]): () => number {
  let told = 0;
  gate.tell((message) => {
    if (!isSaid(message) || told > 1) return null;
    told += 1;
    return how(message);
  });
  return () => told;
}

async function goesOn(): Promise<void> {
  for (const page of [mara, ben]) {
    await rises(page);
    await sealed(page);
  }
}

test("what a server withholds is asked for again, and comes once", async () => {
  const told = lie(() => []);
  await say("It was withheld");
  await expect(heard("It was withheld")).toHaveCount(1, { timeout: 60_000 });
  expect(told()).toBeGreaterThan(0);
  await goesOn();
});

test("what a server repeats comes once", async () => {
  const told = lie((message) => [message, message, message]);
  await say("It was repeated");
  await expect(heard("It was repeated")).toHaveCount(1, { timeout: 60_000 });
  expect(told()).toBeGreaterThan(0);
  await say("And then this");
  await expect(heard("And then this")).toHaveCount(1, { timeout: 60_000 });
  await expect(heard("It was repeated")).toHaveCount(1);
  await goesOn();
});

test("what a server tells in another order comes in its own", async () => {
  const held: Buffer[] = [];
  gate.tell((message) => {
    if (!isSaid(message)) return null;
    held.push(message);
    // Two by two, the later one first.
    return held.length % 2 === 0 ? held.slice(-2).reverse() : [];
  });
  await say("First");
  await say("Second");
  await expect(heard("Second")).toHaveCount(1, { timeout: 60_000 });
  await expect(heard("First")).toHaveCount(1, { timeout: 60_000 });
  expect(held.length).toBeGreaterThan(1);
  gate.tell(null);
  const said = await mara.getByRole("log").innerText();
  expect(said.indexOf("First")).toBeLessThan(said.indexOf("Second"));
  await goesOn();
});

test("what a server changes is refused, and everybody sees that it was", async () => {
  const told = lie((message) => {
    const changed = Buffer.from(message);
    const at = changed.length - 24;
    changed[at] = changed[at]! ^ 1;
    return [changed];
  });
  await say("It was changed");
  await mara.getByRole("button", { name: /^People: / }).click();
  await expect(mara.getByText(/^Refused: /).first()).toBeVisible({ timeout: 60_000 });
  expect(told()).toBeGreaterThan(0);
  gate.tell(null);
  await goesOn();
});
