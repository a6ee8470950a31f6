// First of all: a link's secret leaves the address before any other code runs.
import { opened, type Opened } from "./viewer/secret";
import "./core/trusted";
import { missing } from "./core/support";
import { onVault, vault } from "./core/vault-client";
import { onViewer, viewer } from "./core/viewer-client";
import { m } from "./messages";
import { start } from "./start";
import { startViewer } from "./viewer/start";

if (opened?.at === "room") void openRoom(opened);
else if (opened) startViewer(opened, viewer, onViewer, missing);
else start(vault, onVault);

/** Fetched by whoever opens a room, and by nobody else. */
async function openRoom(room: Opened): Promise<void> {
  try {
    (await import("./room/room")).startRoom(room, vault);
  } catch {
    document.querySelector(".fallback")?.replaceChildren(m.start.roomFailed);
  }
}
