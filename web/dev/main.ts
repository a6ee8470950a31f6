import { app } from "../src/app/app.svelte";
import { router } from "../src/app/router.svelte";
import { library } from "../src/library/library.svelte";
import { start } from "../src/start";
import { adding } from "../src/upload/adding.svelte";
import { mountRoom as startRoom } from "../src/room/room";
import { startViewer } from "../src/viewer/start";
import { makeFake } from "./fake-vault";
import { makeFakeRoom } from "./fake-room";
import { makeFakeViewer } from "./fake-viewer";

let stop: (() => void) | null = null;

/** Begins anew with another make-believe vault at another address, without loading the page again. */
function show(scenario: string, address: string): void {
  stop?.();
  app.enter({ kind: "starting" });
  Object.assign(app, { online: true, alarms: [], phrase: null, ended: false });
  library.clear();
  adding.close();
  router.go(address, { replace: true });
  scrollTo(0, 0);
  const [, at, share, fragment = ""] = /^\/(v|embed|r)\/([^#]+)#?(.*)$/.exec(address) ?? [];
  if (at === "r" && share) {
    const { begin, account, missing } = makeFakeRoom(scenario);
    stop = startRoom({ at: "room", share, fragment }, account, begin, missing);
  } else if (at && share) {
    const { viewer, onViewer } = makeFakeViewer(scenario);
    const missing = async () => (scenario === "viewer-unsupported" ? (["mse"] as const).slice() : []);
    stop = startViewer({ at: at === "v" ? "view" : "embed", share, fragment }, viewer, onViewer, missing);
  } else {
    const { vault, onVault } = makeFake(scenario);
    stop = start(vault, onVault);
  }
}

Object.assign(globalThis, { show });
show(new URLSearchParams(location.search).get("scenario") ?? "full", location.pathname + location.hash);
