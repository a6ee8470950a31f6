// People who talk: with a tone and a colour of their own instead of a microphone and a camera, so that what arrives can be told
// from what was sent.

import { expect, type Browser, type BrowserContext, type LaunchOptions, type Page } from "@playwright/test";
import config from "../playwright.config";
import { newPage } from "./person";

export type Caller = Page & { complaints: string[]; as: Person };
export type Picture = { width: number; height: number; fps: number };
export type Person = { name: string; tone: number; colour: [number, number, number]; picture?: Picture };

/** Of many, each sends less. */
export const LIGHT: Picture = { width: 160, height: 90, fps: 6 };

export const MARA: Person = { name: "mara", tone: 440, colour: [200, 40, 40] };
export const BEN: Person = { name: "Ben", tone: 880, colour: [40, 60, 200] };
export const ANA: Person = { name: "Ana", tone: 1320, colour: [40, 170, 60] };
export const DAN: Person = { name: "Dan", tone: 1760, colour: [200, 170, 40] };
export const EVA: Person = { name: "Eva", tone: 2200, colour: [170, 40, 170] };
export const FINN: Person = { name: "Finn", tone: 2640, colour: [40, 170, 170] };

/** A device of its own, whose microphone hears one tone and whose camera sees one colour. */
export async function callingDevice(browser: Browser, person: Person): Promise<BrowserContext> {
  // Of a server that made its certificate itself, the pages are taken as well.
  const context = await browser.newContext({ acceptDownloads: true, ignoreHTTPSErrors: true });
  await context.addInitScript(makeBelieve, person);
  return context;
}

export async function callingPage(context: BrowserContext, person: Person): Promise<Caller> {
  return Object.assign(await newPage(context), { as: person });
}

/** Runs in the page, before anything of it. */
function makeBelieve({ tone, colour, picture: { width, height, fps } = { width: 320, height: 180, fps: 15 } }: Person): void {
  const pcs: RTCPeerConnection[] = [];
  const Real = RTCPeerConnection;
  globalThis.RTCPeerConnection = new Proxy(Real, {
    construct(target, args) {
      const pc = new target(...(args as [RTCConfiguration]));
      pcs.push(pc);
      return pc;
    },
  });
  Object.assign(globalThis, { pcs });
  if (!navigator.mediaDevices) return;
  const picture = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const c = canvas.getContext("2d")!;
    let at = 0;
    setInterval(() => {
      c.fillStyle = `rgb(${colour.join(" ")})`;
      c.fillRect(0, 0, width, height);
      // Something has to move, and not in the middle, where the colour is looked at.
      c.fillStyle = "#fff";
      c.fillRect(((at += 7) % 15) * (width / 16), height * 0.88, height / 9, height / 9);
    }, 1000 / fps);
    return canvas.captureStream(fps).getVideoTracks()[0]!;
  };
  const sound = (frequency: number) => {
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    oscillator.frequency.value = frequency;
    const out = context.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0]!;
  };
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    Object.assign(globalThis, { asked: [...((globalThis as { asked?: unknown[] }).asked ?? []), wanted] });
    return new MediaStream([...(wanted?.audio ? [sound(tone)] : []), ...(wanted?.video ? [picture()] : [])]);
  };
}

/** Makes a room on its owner's page; answers with its link. */
export async function makeRoom(page: Page, origin: string, name: string, how: { lobby?: boolean; hidden?: boolean; seats?: number } = {}): Promise<string> {
  await page.goto(`${origin}/rooms`);
  await page.getByRole("button", { name: "New room" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the room").fill(name);
  if (how.seats !== undefined) await dialog.getByLabel("Seats").fill(String(how.seats));
  if (how.lobby) await dialog.getByLabel(/^Lobby/).check();
  if (how.hidden) await dialog.getByLabel("Hide network addresses").check();
  await dialog.getByRole("button", { name: "Make the room" }).click();
  const field = page.getByRole("dialog", { name: "The room is ready" }).getByRole("textbox", { name: "Link to the room" });
  await expect(field).toBeVisible({ timeout: 30_000 });
  return field.inputValue();
}

/** One after another into the room. */
export async function enter(link: string, ...pages: Caller[]): Promise<void> {
  for (const page of pages) {
    await join(page, link);
    await inside(page);
  }
}

/** From the link to the room. */
export async function join(page: Caller, link: string, how: { mic?: boolean; camera?: boolean } = { mic: true, camera: true }): Promise<void> {
  await page.goto("about:blank");
  await page.goto(link);
  await check(page, how);
}

/** From the check of devices to the room. */
export async function check(page: Caller, how: { mic?: boolean; camera?: boolean } = { mic: true, camera: true }): Promise<void> {
  const name = page.getByLabel("Your name in this room");
  await expect(name).toBeVisible({ timeout: 30_000 });
  await name.fill(page.as.name);
  if (how.mic) {
    await page.getByRole("button", { name: "Switch the microphone on" }).click();
    await expect(page.getByRole("button", { name: "Switch the microphone off" })).toBeVisible();
  }
  if (how.camera) {
    await page.getByRole("button", { name: "Switch the camera on" }).click();
    await expect(page.getByRole("button", { name: "Switch the camera off" })).toBeVisible();
  }
  await page.getByRole("button", { name: /^Join with/ }).click();
}

export const inside = (page: Page) => expect(page.getByRole("list", { name: "People in the room" })).toBeVisible({ timeout: 30_000 });

export const seat = (page: Page, name: string) => page.getByRole("figure", { name, exact: true });

export const sealed = (page: Page) => expect(page.locator("[data-verdict]")).toHaveAttribute("data-verdict", "sealed", { timeout: 30_000 });

/** The loudest tone of what is played at somebody's seat. */
export async function heard(page: Page, figure: string): Promise<number> {
  return seat(page, figure).locator("audio").evaluate(async (element: HTMLAudioElement) => {
    if (!(element.srcObject instanceof MediaStream)) return 0;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(element.srcObject).connect(analyser);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const top = bins.indexOf(Math.max(...bins));
    const loud = (bins[top] ?? -Infinity) > -70;
    const frequency = (top * context.sampleRate) / analyser.fftSize;
    await context.close();
    return loud ? frequency : 0;
  });
}

/** The colour in the middle of what is shown at somebody's seat. */
export async function seen(page: Page, figure: string): Promise<number[]> {
  return seat(page, figure).locator("video").evaluate((video: HTMLVideoElement) => {
    if (video.videoWidth === 0) return [0, 0, 0];
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [32, 18];
    const c = canvas.getContext("2d")!;
    c.drawImage(video, 0, 0, 32, 18);
    return [...c.getImageData(16, 8, 1, 1).data.slice(0, 3)];
  });
}

const far = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0))));

/** What is decoded here is what somebody sent. */
export async function perceives(page: Page, who: Person, what: { mic?: boolean; camera?: boolean } = { mic: true, camera: true }): Promise<void> {
  if (what.mic) await expect.poll(async () => Math.abs((await heard(page, who.name)) - who.tone), { timeout: 30_000, message: `${who.name}'s tone` }).toBeLessThan(15);
  if (what.camera) {
    await expect(seat(page, who.name).locator("video")).toBeVisible({ timeout: 30_000 });
    await expect.poll(async () => far(await seen(page, who.name), who.colour), { timeout: 30_000, message: `${who.name}'s colour` }).toBeLessThan(40);
  }
}

/** Frames of video that were decoded, over all connections that are open. */
export async function decoded(page: Page): Promise<number> {
  return page.evaluate(async () => {
    let frames = 0;
    for (const pc of (globalThis as unknown as { pcs: RTCPeerConnection[] }).pcs) {
      if (pc.connectionState !== "connected") continue;
      for (const stat of ((await pc.getStats()) as unknown as Map<string, { type: string; framesDecoded?: number }>).values()) if (stat.type === "inbound-rtp") frames += stat.framesDecoded ?? 0;
    }
    return frames;
  });
}

/** More and more of them. */
export async function rises(page: Page): Promise<void> {
  const before = await decoded(page);
  await expect.poll(() => decoded(page), { timeout: 20_000 }).toBeGreaterThan(before + 10);
}

/** Connections that are not closed. */
export const connections = (page: Page) => page.evaluate(() => (globalThis as unknown as { pcs: RTCPeerConnection[] }).pcs.filter((pc) => pc.connectionState !== "closed").length);

/** How the configuration starts a browser. */
export function launching(name: string): LaunchOptions {
  const { channel, launchOptions } = config.projects?.find((project) => project.name === name)?.use ?? {};
  return { ...launchOptions, ...(channel === undefined ? {} : { channel }) };
}
