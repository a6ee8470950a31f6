import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, type Page } from "@playwright/test";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
type Found = { violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] };

/** No violation of WCAG 2.2 AA on what is shown now, in both themes. */
export async function expectAccessible(page: Page, where: string): Promise<void> {
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    // An evaluated script is the test's own: the page's policy does not apply to it.
    await page.evaluate(source);
    const found = await page.evaluate(
      () =>
        (globalThis as unknown as { axe: { run: (root: Document, how: object) => Promise<Found> } }).axe.run(document, {
          runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    const seen = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    expect(seen, `${where}, ${colorScheme}`).toEqual([]);
  }
}
