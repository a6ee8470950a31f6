// Somebody who comes in from the command line and somebody with a browser: each sees and hears the other, by the page's own words.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as under } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { expect, firefox, test, type BrowserContext } from "@playwright/test";
import { BEN, MARA, callingDevice, callingPage, enter, launching, makeRoom, perceives, rises, sealed, seat, type Caller, type Person } from "./call";
import { chromiumOnly } from "./home";
import { stage } from "./media";
import { setUp } from "./person";
import { BIN, startServer, type Server } from "./server";

const STAGE: Person = { name: "Stage", tone: 1000, colour: [200, 30, 30] };

/** What the command says, a line each. */
type Said = { event: string; [of: string]: unknown };

let server: Server;
let device: BrowserContext;
let mara: Caller;
let folder: string;
let native: ChildProcess | undefined;

test.beforeAll(async ({ browser }) => {
  chromiumOnly();
  // Firefox looks for nobody at loopback addresses.
  server = await startServer("--forwarder-listen", "0.0.0.0:0");
  folder = await mkdtemp(under(tmpdir(), "gloaming-native-"));
  device = await callingDevice(browser, MARA);
  mara = await callingPage(device, MARA);
  await setUp(mara, server.setupLink);
});

test.afterEach(async () => {
  native?.kill("SIGKILL");
  await mara?.goto("about:blank");
});

test.afterAll(async () => {
  await device?.close();
  await server?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Comes in with a link on its standard input, where a list of processes does not show it. */
function comeIn(link: string, ...options: string[]): { until: (event: string, wanted?: (said: Said) => boolean) => Promise<Said>; all: Said[] } {
  const child = spawn(BIN, ["--json", "room", "join", "-", ...options], { env: { ...process.env, HOME: folder, XDG_STATE_HOME: folder }, stdio: ["pipe", "pipe", "inherit"] });
  native = child;
  child.stdin.end(`${link}\n`);
  const all: Said[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => all.push(JSON.parse(line) as Said));
  const until = async (event: string, wanted: (said: Said) => boolean = () => true) => {
    const find = () => all.find((said) => said.event === event && wanted(said));
    await expect.poll(find, { timeout: 60_000, message: event }).toBeDefined();
    return find()!;
  };
  return { until, all };
}

/** What ffmpeg decodes of a file. */
async function raw(file: string, ...how: string[]): Promise<Buffer> {
  const { stdout } = await promisify(execFile)("ffmpeg", ["-nostdin", "-v", "error", "-i", file, ...how, "-"], { encoding: "buffer", maxBuffer: 1 << 28 });
  return stdout;
}

/** What was received of somebody is what they sent. */
async function expectReceived(who: Person, mic: Said, camera: Said): Promise<void> {
  const picture = await raw(String(camera["file"]), "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "32x18");
  const frame = 32 * 18 * 3;
  const middle = picture.subarray(picture.length - frame + (8 * 32 + 16) * 3);
  for (const [at, value] of who.colour.entries()) expect(Math.abs((middle[at] ?? 0) - value), `the picture's colour ${at}`).toBeLessThan(40);
  expect(picture.length / frame, "frames in some seconds").toBeGreaterThan(20);
  const sound = await raw(String(mic["file"]), "-f", "s16le", "-ac", "1", "-ar", "48000");
  const samples = new Int16Array(sound.buffer, sound.byteOffset, sound.length >> 1).slice(-48_000);
  const crossings = samples.reduce((count, sample, at) => count + Number(at > 0 && sample < 0 !== (samples[at - 1] ?? 0) < 0), 0);
  expect(Math.abs(crossings / 2 - who.tone), "the tone's frequency").toBeLessThan(15);
}

/** The two of them hear and see each other; `way` is what the command says of the way. */
async function meet(page: Caller, link: string, film: string, name: string, way?: string): Promise<void> {
  await enter(link, page);
  const { until } = comeIn(link, "--publish", film, "--loop", "--receive", under(folder, name), "--name", STAGE.name);
  await until("seated");
  if (way) await until("way", (said) => said["way"] === way);
  await expect(seat(page, STAGE.name)).toBeVisible({ timeout: 30_000 });
  await perceives(page, STAGE);
  await rises(page);
  await sealed(page);
  const file = (track: string) => until("file", (said) => said["track"] === track && said["name"] === page.as.name);
  const [mic, camera] = [await file("mic"), await file("camera")];
  await page.waitForTimeout(4_000);
  native?.kill("SIGINT");
  await until("over");
  await expectReceived(page.as, mic, camera);
}

test("somebody from the command line and somebody with a browser hear and see each other", async () => {
  test.setTimeout(180_000);
  const link = await makeRoom(mara, server.listens, "Half and half");
  await meet(mara, link, await stage(), "chromium");
});

test("where addresses are hidden the two of them meet through the forwarder", async () => {
  test.setTimeout(180_000);
  const link = await makeRoom(mara, server.listens, "Hidden", { hidden: true });
  await meet(mara, link, await stage(), "hidden", "forwarder");
});

test("with Firefox they do too, straight and through the forwarder", async () => {
  test.setTimeout(240_000);
  const links = [await makeRoom(mara, server.listens, "Fox"), await makeRoom(mara, server.listens, "Hidden fox", { hidden: true })];
  const fox = await firefox.launch(launching("firefox"));
  try {
    const ben = await callingPage(await callingDevice(fox, BEN), BEN);
    await meet(ben, links[0] ?? "", await stage(), "firefox");
    await meet(ben, links[1] ?? "", await stage(), "firefox-hidden", "forwarder");
  } finally {
    await fox.close();
  }
});

test("a guest without a browser waits in the lobby, stays through a restart of the server, and reads what is written", async () => {
  test.setTimeout(180_000);
  const link = await makeRoom(mara, server.listens, "With a lobby", { lobby: true });
  await enter(link, mara);
  const { until } = comeIn(link, "--publish", await stage(), "--loop", "--name", STAGE.name);
  await until("knocking");
  await mara.getByRole("button", { name: "Let in Stage" }).click();
  await until("seated");
  await perceives(mara, STAGE);
  const restarted = server.restart();
  await until("offline");
  await rises(mara);
  await restarted;
  await until("online");
  await mara.getByRole("button", { name: /^Chat/ }).click();
  await mara.getByLabel("Write to everybody").fill("Are you still there?");
  await mara.keyboard.press("Enter");
  await until("chat", (said) => said["text"] === "Are you still there?");
  await rises(mara);
  await mara.getByRole("button", { name: "People: 2" }).click();
  await mara.getByRole("button", { name: "Actions for Stage" }).click();
  await mara.getByRole("menuitem", { name: "Remove from the room" }).click();
  await mara.getByRole("dialog", { name: "Remove Stage?" }).getByRole("button", { name: "Remove" }).click();
  await until("over", (said) => said["why"] === "failed");
});
