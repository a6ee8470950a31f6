import { mount, unmount } from "svelte";
import "../app.css";
import { app } from "../app/app.svelte";
import type { Vault } from "../core/vault";
import type { Opened } from "../viewer/secret";
import { account, type Account } from "./account";
import { startRoomWorker, type RoomWorker } from "./client";
import { missingForRooms, type RoomMissing } from "./devices";
import RoomPage from "./RoomPage.svelte";

/** Puts the page of a room on the screen. */
export const startRoom = (link: Opened, vault: Vault) => mountRoom(link, account(vault), startRoomWorker, missingForRooms);

/** The same over whatever room; answers with how to take it off again. */
export function mountRoom(link: Opened, account: Account, begin: () => RoomWorker, missing: () => RoomMissing[]): () => void {
  app.applyTheme();
  const target = document.getElementById("app");
  if (!target) throw new Error("index.html has a place for the page");
  target.replaceChildren();
  const page = mount(RoomPage, { target, props: { link, account, begin, missing } });
  return () => void unmount(page);
}
