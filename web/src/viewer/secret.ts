// The link that this page was opened with, taken out of the address before anything else runs: what stands behind the #
// opens the video or the room, and an address is seen by history, bookmarks, screenshots and whoever looks over a shoulder.
//
// A reload must not ask for the link again, so the secret stays in this tab's sessionStorage: the tab's alone, gone with
// it, and forgotten when the link is over. (Why not elsewhere: docs/protocol.md, "The viewer's page".) A password is never
// kept. In a frame nothing is kept: the page around it has the link in its own source.

/** `share`: the share, or the room. */
export type Opened = { at: "view" | "embed" | "room"; share: string; fragment: string };

const shelf = (share: string) => `gloaming.link.${share}`;

function take(): Opened | null {
  const [, at, share, ...rest] = location.pathname.split("/");
  if ((at !== "v" && at !== "embed" && at !== "r") || !share || rest.some(Boolean)) return null;
  const given = location.hash.slice(1);
  if (location.hash) history.replaceState(null, "", location.pathname);
  if (at === "embed") return { at, share, fragment: given };
  const place = at === "r" ? "room" : "view";
  try {
    if (given) sessionStorage.setItem(shelf(share), given);
    return { at: place, share, fragment: given || (sessionStorage.getItem(shelf(share)) ?? "") };
  } catch {
    // Storage switched off: a reload will ask for the link.
    return { at: place, share, fragment: given };
  }
}

/** Null where the page was not opened by a link. */
export const opened = take();

/** The room has another link now: a reload comes in by that one. */
export function remember({ share }: Opened, fragment: string): void {
  try {
    sessionStorage.setItem(shelf(share), fragment);
  } catch {
    // Then nothing was kept.
  }
}

/** The link is over, or never was. */
export function forget({ share }: Opened): void {
  try {
    sessionStorage.removeItem(shelf(share));
  } catch {
    // Then nothing was kept.
  }
}

// Another link to the same video, put into the address of this page: that is no navigation by itself.
if (opened) addEventListener("hashchange", () => location.hash && location.reload());
