import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, type Page } from "@playwright/test";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
type Found = { violations: { id: string; nodes: { html: string; element: Element }[] }[] };

const EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// The themes differ in their colours, and in nothing else.
const COLOURS = ["color-contrast", "link-in-text-block"];

/** No violation of WCAG 2.2 AA on what is shown now, in both themes. */
export async function expectAccessible(page: Page, where: string): Promise<void> {
  // An evaluated script is the test's own: the page's policy does not apply to it.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(source);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    expect(await page.evaluate(complaints, colorScheme === "dark" ? EVERYTHING : COLOURS), `${where}, ${colorScheme}`).toEqual([]);
  }
}

/** Runs in the page. */
async function complaints(runOnly: string[]): Promise<string[]> {
  const { axe } = globalThis as unknown as { axe: { run: (root: Document, how: object) => Promise<Found> } };
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"], elementRef: true });

  // The bars stay while the page scrolls, and axe takes what is scrolled below or past one for a target that is covered.
  // A few pixels further, and it is whole. (What is in sight between the bars has no such excuse.)
  const above = document.querySelector(".bar");
  const below = document.querySelector(".selection");
  const isScrolledAway = (target: Element) => {
    const { top, bottom } = target.getBoundingClientRect();
    const past = above && !above.contains(target) && scrollY > 0 && top < above.getBoundingClientRect().bottom;
    const yetToCome = below && !below.contains(target) && bottom > below.getBoundingClientRect().top;
    return past || yetToCome;
  };
  return violations.flatMap(({ id, nodes }) => {
    const seen = nodes.filter(({ element }) => id !== "target-size" || !isScrolledAway(element));
    return seen.length > 0 ? [`${id}: ${seen.map(({ html }) => html).join(" ")}`] : [];
  });
}
