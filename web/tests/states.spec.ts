// Every screen and state over the make-believe vault, on a large screen and on a phone, in both themes: nothing that
// axe finds, nothing wider than the screen, nothing on the console. GLOAMING_SHOTS=DIR keeps pictures of all of them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, type Page } from "@playwright/test";
import { build, preview, type PreviewServer } from "vite";
import { states } from "./states";
import { expectAccessible } from "./axe";

test.describe.configure({ mode: "parallel" });
test.skip(({ browserName }) => browserName !== "chromium", "the same page in every browser");

const shots = process.env["GLOAMING_SHOTS"];
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

for (const [size, viewport] of Object.entries(SIZES)) {
  test.describe(size, () => {
    // One page shows one state after another: loading it anew for each would take most of the time.
    test.describe.configure({ mode: "default" });
    let dist: string;
    let server: PreviewServer;
    let page: Page;
    const complaints: string[] = [];

    test.beforeAll(async ({ browser }) => {
      test.setTimeout(120_000);
      dist = await mkdtemp(join(tmpdir(), "gloaming-web-states-"));
      const configFile = fileURLToPath(new URL("../dev/vite.config.ts", import.meta.url));
      await build({ configFile, logLevel: "error", build: { outDir: dist, emptyOutDir: true, minify: false } });
      server = await preview({ configFile, logLevel: "error", build: { outDir: dist }, preview: { host: "127.0.0.1", port: 0 } });
      const context = await browser.newContext({ viewport, colorScheme: "dark", reducedMotion: "reduce", hasTouch: size === "phone", locale: "en-GB" });
      page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
      await page.goto(server.resolvedUrls?.local[0] ?? "");
    });

    test.afterAll(async () => {
      await page?.context().close();
      await server?.close();
      await rm(dist, { recursive: true, force: true });
    });

    for (const [name, scenario, path, act] of states) {
      test(name, async () => {
        complaints.length = 0;
        await page.mouse.move(0, 0);
        await page.evaluate(
          ([scenario, path]) => (globalThis as unknown as { show: (scenario: string, path: string) => void }).show(scenario, path),
          [scenario, path] as const,
        );
        await page.locator("h1, [role=status]").filter({ visible: true }).first().waitFor();
        await page.locator("h1").first().waitFor({ state: "attached" });
        // Some say only after a moment what they wait for, if it has not come until then.
        await page.waitForFunction(() => [...document.querySelectorAll(".late")].every((late) => getComputedStyle(late).visibility === "visible"));
        // The make-believe vault answers after 20 ms.
        await page.waitForTimeout(80);
        await act?.(page);
        if (shots) {
          for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
            await page.screenshot({ path: join(shots, `${name}.${size}.${colorScheme}.png`) });
          }
        }
        const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(tooWide, "wider than the screen").toBeLessThanOrEqual(0);
        await expectAccessible(page, name);
        expect(complaints).toEqual([]);
      });
    }
  });
}
