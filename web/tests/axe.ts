import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, type Page } from "@playwright/test";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
type Found = { violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] };

const EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// The themes differ in their colours, and in nothing else.
const COLOURS = ["color-contrast", "link-in-text-block"];

/** No violation of WCAG 2.2 AA on what is shown now, in both themes. */
export async function expectAccessible(page: Page, where: string, except: string[] = []): Promise<void> {
  // An evaluated script is the test's own: the page's policy does not apply to it.
  await page.evaluate(source);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const found = await page.evaluate(
      (runOnly) =>
        (globalThis as unknown as { axe: { run: (root: Document, how: object) => Promise<Found> } }).axe.run(document, { runOnly }),
      colorScheme === "dark" ? EVERYTHING : COLOURS,
    );
    const seen = found.violations.filter(({ id }) => !except.includes(id)).map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    expect(seen, `${where}, ${colorScheme}`).toEqual([]);
  }
}
