import { mount, unmount } from "svelte";
import "../app.css";
import { app } from "../app/app.svelte";
import type { Missing } from "../core/vault";
import type { Viewer, ViewerEvent } from "../core/viewer";
import type { Opened } from "./secret";
import ViewerPage from "./ViewerPage.svelte";

/** Puts the page of a link on the screen; answers with how to take it off again. */
export function startViewer(
  link: Opened,
  viewer: Viewer,
  onViewer: (listener: (event: ViewerEvent) => void) => () => void,
  missing: () => Promise<Missing[]>,
): () => void {
  app.applyTheme();
  const target = document.getElementById("app");
  if (!target) throw new Error("index.html has a place for the page");
  target.replaceChildren();
  const page = mount(ViewerPage, { target, props: { link, viewer, onViewer, missing } });
  return () => void unmount(page);
}
