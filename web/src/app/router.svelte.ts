// Where the page is, kept in the address bar with the History API.

import type { Id } from "../core/vault";

export type Place =
  | { at: "library"; within: "all" | "trash" | "continue" }
  | { at: "playlist"; id: Id }
  | { at: "video"; id: Id; playlist: Id | null }
  | { at: "received" }
  | { at: "received-video"; share: Id; video: Id }
  | { at: "people" }
  | { at: "rooms" }
  /** A contact link: what it says stands behind the #. */
  | { at: "contact"; account: Id }
  | { at: "uploads" }
  | { at: "settings" }
  | { at: "setup" }
  | { at: "join" }
  | { at: "recover" }
  | { at: "lost" };

export function placeOf(path: string, search = ""): Place {
  const [first, second, ...rest] = path.split("/").filter(Boolean);
  if (first === "received" && second && rest.length === 1 && rest[0]) return { at: "received-video", share: second, video: rest[0] };
  if (rest.length > 0) return { at: "lost" };
  if (first === "playlist" && second) return { at: "playlist", id: second };
  if (first === "video" && second) return { at: "video", id: second, playlist: new URLSearchParams(search).get("in") };
  if (first === "c" && second) return { at: "contact", account: second };
  if (second !== undefined) return { at: "lost" };
  switch (first) {
    case undefined:
      return { at: "library", within: "all" };
    case "trash":
    case "continue":
      return { at: "library", within: first };
    case "received":
    case "people":
    case "rooms":
    case "uploads":
    case "settings":
    case "setup":
    case "join":
    case "recover":
      return { at: first };
    default:
      return { at: "lost" };
  }
}

class Router {
  place = $state.raw<Place>(placeOf(location.pathname, location.search));
  /** Where the page was scrolled to when it was last at this entry; whoever lays out the content takes it. */
  #scroll = 0;

  constructor() {
    history.scrollRestoration = "manual";
    addEventListener("popstate", (event) => {
      this.#scroll = (event.state as { scroll?: number } | null)?.scroll ?? 0;
      this.place = placeOf(location.pathname, location.search);
    });
    addEventListener("click", (event) => this.#follow(event));
    let timer = 0;
    addEventListener(
      "scroll",
      () => {
        clearTimeout(timer);
        timer = window.setTimeout(() => history.replaceState({ scroll: scrollY }, ""), 150);
      },
      { passive: true },
    );
  }

  go(path: string, how: { replace?: boolean } = {}): void {
    if (how.replace) {
      history.replaceState({ scroll: 0 }, "", path);
    } else {
      history.replaceState({ scroll: scrollY }, "");
      history.pushState({ scroll: 0 }, "", path);
    }
    this.#scroll = 0;
    this.place = placeOf(location.pathname, location.search);
  }

  /** The remembered scroll position, once. */
  takeScroll(): number {
    const scroll = this.#scroll;
    this.#scroll = 0;
    return scroll;
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    // A room is a page of its own.
    if (link.pathname.startsWith("/r/")) return;
    event.preventDefault();
    if (link.pathname + link.search !== location.pathname + location.search) this.go(link.pathname + link.search);
    else scrollTo(0, 0);
  }
}

export const router = new Router();
