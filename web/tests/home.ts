// What most tests begin with: a server of their own, the gate before it, and a first device with the page open.

import { test, type Browser, type BrowserContext, type Page } from "@playwright/test";
import { openGate, type Gate } from "./gate";
import { newDevice, newPage } from "./person";
import { startServer, type Server } from "./server";

export type Home = {
  server: Server;
  gate: Gate;
  device: BrowserContext;
  page: Page & { complaints: string[] };
  close: () => Promise<void>;
};

export async function openHome(browser: Browser): Promise<Home> {
  let server: Server;
  const gate = await openGate(() => server.listens);
  server = await startServer("--public-url", gate.origin);
  const device = await newDevice(browser);
  const page = await newPage(device);
  const close = async () => {
    await device.close();
    await gate.stop();
    await server.stop();
  };
  return { server, gate, device, page, close };
}

export const chromiumOnly = () => test.skip(test.info().project.name !== "chromium", "the same code in every browser");

/** Something that cannot be tested on this machine. */
export function skipAloud(what: string): void {
  console.log(`SKIPPED ${what}`);
  test.skip(true, what);
}
