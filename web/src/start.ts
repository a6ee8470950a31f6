import { mount, unmount } from "svelte";
import "./app.css";
import App from "./app/App.svelte";
import { app } from "./app/app.svelte";
import { sentence } from "./app/errors";
import type { Vault, VaultEvent } from "./core/vault";

/** Puts the page on the screen and connects it to its vault; answers with how to take it off again. */
export function start(vault: Vault, onVault: (listener: (event: VaultEvent) => void) => () => void): () => void {
  app.connect(vault);
  const stopHearing = onVault(app.hear);
  const target = document.getElementById("app");
  if (!target) throw new Error("index.html has a place for the page");
  target.replaceChildren();
  const page = mount(App, { target });
  vault.access().then(
    (access) => {
      // An event that came first knows better.
      if (app.access.kind === "starting") app.enter(access);
    },
    (error: unknown) => app.enter({ kind: "offline", message: sentence(error) }),
  );
  return () => {
    stopHearing();
    void unmount(page);
  };
}
