// Every screen and state of the page over the make-believe vault.

import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";

/** A name, the fake vault's scenario, an address, and what is done there first. */
export type State = [name: string, scenario: string, path: string, act?: (page: Page) => Promise<unknown>];

const click = (role: "button", name: string) => async (page: Page) => page.getByRole(role, { name }).first().click();
const firstVideo = async (page: Page) => {
  await page.locator("[data-card]").first().click();
  await page.getByRole("heading", { name: "Who can watch" }).waitFor();
};
const videoAt = (n: number) => async (page: Page) => {
  await page.locator("[data-card]").nth(n).click();
  await page.getByRole("heading", { name: "Who can watch" }).waitFor();
};
const files = (names: string[]) => async (page: Page) => {
  await page.evaluate((names) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File([new Uint8Array(90000)], name));
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, names);
  await page.getByRole("dialog").waitFor();
  await page.getByText(/^Looking at/).waitFor({ state: "detached" });
};
const newAccount = async (page: Page) => {
  await page.getByLabel("User name").fill("mara");
  await page.getByRole("button", { name: "Suggest" }).click();
  await page.getByText(/^Password strength/).waitFor();
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByText("gospel").waitFor();
};

const shareFirst = async (page: Page) => {
  await page.locator(".videos .menu button").first().click();
  await page.getByRole("menuitem", { name: "Share" }).click();
  await page.getByRole("dialog").waitFor();
};
const LINK = "/v/01930000-0000-7000-8000-000000000009#secret";
const FRAME = "/embed/01930000-0000-7000-8000-000000000009#secret";
const ROOM = "/r/01930000-0000-7000-8000-0000000000c0#secret";
const checked = async (page: Page) => page.getByLabel("Your name in this room").waitFor();
const joined = async (page: Page) => {
  await checked(page);
  await page.getByLabel("Your name in this room").fill("Mara");
  await page.getByRole("button", { name: "Join without devices" }).click();
};
const inside = async (page: Page) => {
  await joined(page);
  await page.getByRole("list", { name: "People in the room" }).waitFor();
};
const then = (first: (page: Page) => Promise<unknown>, ...buttons: string[]) => async (page: Page) => {
  await first(page);
  for (const name of buttons) await page.getByRole("button", { name, exact: true }).or(page.getByRole("menuitem", { name })).first().click();
};
const viewing = async (page: Page) => page.getByRole("region", { name: /^Player/ }).waitFor();

export const states: State[] = [
  ["starting", "starting", "/"], ["unsupported", "unsupported", "/"], ["offline", "offline", "/"], ["needs-setup", "needs-setup", "/"],
  ["setup", "setup", "/setup#token", async (page) => { await page.getByLabel("User name").fill("mara"); await page.getByLabel("Password", { exact: true }).fill("lantern7"); await page.waitForTimeout(300); }],
  ["setup-no-token", "setup", "/setup"],
  ["join", "signed-out", "/join#token"],
  ["sign-in", "signed-out", "/"],
  ["sign-in-empty", "signed-out", "/", click("button", "Sign in")],
  ["sign-in-wrong", "signed-out", "/", async (page) => { await page.getByLabel("User name").fill("mara"); await page.getByLabel("Password", { exact: true }).fill("wrong"); await click("button", "Sign in")(page); await page.getByRole("alert").waitFor(); }],
  ["recover", "signed-out", "/recover", async (page) => { await page.getByLabel("Recovery phrase").fill("gather orbit velvet"); await page.getByRole("button", { name: /new password/ }).click(); }],
  ["recover-words", "signed-out", "/recover", async (page) => { await page.getByLabel("User name").fill("mara"); await page.getByLabel("Recovery phrase").fill("gather ".repeat(24)); await page.getByRole("button", { name: "Suggest" }).click(); await page.getByText(/^Password strength/).waitFor(); await page.getByRole("button", { name: /new password/ }).click(); await page.getByRole("alert").first().waitFor(); }],
  ["ended", "ended", "/", async (page) => page.getByText("This device was signed out").waitFor()],
  ["locked", "locked", "/"],
  ["locked-wrong", "locked", "/", async (page) => { await page.getByLabel("Password", { exact: true }).fill("wrong"); await click("button", "Unlock")(page); await page.getByRole("alert").first().waitFor(); }],
  ["phrase", "setup", "/setup#token", newAccount],
  ["phrase-check", "setup", "/setup#token", async (page) => { await newAccount(page); await page.getByRole("button", { name: /written/ }).click(); await page.getByRole("button", { name: "Confirm" }).click(); }],
  ["library", "full", "/"],
  ["library-few", "few", "/"],
  ["library-middle", "full", "/", async (page) => { await page.mouse.wheel(0, 12000); await page.waitForTimeout(500); }],
  ["library-search", "full", "/", async (page) => { await page.keyboard.press("/"); await page.keyboard.type("snow"); await page.waitForTimeout(400); }],
  ["library-nothing", "full", "/", async (page) => { await page.keyboard.press("/"); await page.keyboard.type("zebra"); await page.waitForTimeout(400); }],
  ["library-select", "full", "/", async (page) => { await page.getByRole("button", { name: "Select", exact: true }).click(); const boxes = page.locator(".videos input[type=checkbox]"); await boxes.nth(0).check(); await boxes.nth(1).check(); }],
  ["library-menu", "full", "/", async (page) => page.locator(".videos .menu button").nth(1).click()],
  ["library-rename", "full", "/", async (page) => { await page.locator("[data-card]").nth(1).focus(); await page.keyboard.press("F2"); }],
  ["library-loading", "loading", "/"], ["library-failed", "library-failed", "/"], ["library-empty", "empty", "/"],
  ["library-alarm", "alarm", "/", async (page) => page.waitForTimeout(400)],
  ["library-offline", "offline-banner", "/", async (page) => page.waitForTimeout(400)],
  ["library-toast", "toasts", "/", async (page) => page.waitForTimeout(500)],
  ["library-focus", "full", "/", async (page) => { await page.locator("[data-card]").nth(1).focus(); await page.keyboard.press("ArrowRight"); }],
  ["add-to-playlist", "full", "/", async (page) => { await page.locator(".videos .menu button").nth(0).click(); await page.getByRole("menuitem", { name: "Add to playlist" }).click(); }],
  ["playlist", "full", "/playlist/p1"], ["playlist-empty", "full", "/playlist/p3"], ["playlist-lost", "full", "/playlist/none"],
  ["playlist-delete", "full", "/playlist/p2", async (page) => { await page.locator(".places .menu button").nth(1).click({ force: true }); await page.getByRole("menuitem", { name: "Delete" }).click(); }],
  ["trash", "full", "/trash"], ["trash-empty", "empty", "/trash"], ["continue", "full", "/continue"], ["continue-empty", "empty", "/continue"],
  ["lost", "full", "/no/such/place"],
  ["drop", "full", "/", async (page) => page.evaluate(() => { const transfer = new DataTransfer(); transfer.items.add(new File(["x"], "a.mp4")); window.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer })); })],
  ["review-one", "full", "/", files(["holiday.mov"])],
  ["review-folder", "full", "/uploads", async (page) => {
    await page.evaluate(() => Reflect.deleteProperty(window, "showDirectoryPicker"));
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Add a folder" }).click();
    await (await chooser).setFiles(fileURLToPath(new URL("../dev", import.meta.url)));
    await page.getByText(/^Looking at/).waitFor({ state: "detached" });
  }],
  ["review-many", "full", "/", files(["holiday.mov", "notes.txt", "hevc-lake.mov", "again.mp4", "cut-short.mp4", "رحلة.mp4", "edit-list.mp4"])],
  ["uploads", "uploads", "/uploads"], ["uploads-one", "upload-one", "/uploads"], ["uploads-empty", "full", "/uploads"],
  ["uploads-cancel", "uploads", "/uploads", async (page) => page.getByRole("button", { name: "Cancel upload" }).first().click()],
  ["video", "full", "/", firstVideo],
  ["video-long", "full", "/", videoAt(1)],
  ["video-rtl", "full", "/", videoAt(2)],
  ["video-help", "full", "/", async (page) => { await firstVideo(page); await page.locator(".controls").waitFor(); await page.keyboard.press("?"); }],
  ["video-speed", "full", "/", async (page) => { await firstVideo(page); await page.getByRole("button", { name: "Speed" }).click(); }],
  ["video-partly", "partly", "/", firstVideo], ["video-unplayable", "unplayable", "/", firstVideo],
  ["video-failed", "video-failed", "/", firstVideo], ["video-loading", "video-loading", "/", firstVideo],
  ["shared", "shared", "/", async (page) => { await firstVideo(page); await page.getByText("Checked: the log is unbroken").waitFor(); }],
  ["shared-open", "shared-open", "/", firstVideo],
  ["shared-log-changed", "log-changed", "/", async (page) => { await firstVideo(page); await page.getByText("The log was changed").waitFor(); }],
  ["share", "full", "/", shareFirst],
  ["share-limits", "full", "/", async (page) => { await shareFirst(page); await page.getByText("Limits", { exact: true }).click(); await page.getByText("Ask for a password").click(); await page.getByText("Let the name wander").click(); await page.getByLabel("Sites that may show it").fill("course.example.org"); await page.getByRole("button", { name: "Make the link" }).click(); await page.getByRole("alert").first().waitFor(); }],
  ["share-open", "full", "/", async (page) => { await shareFirst(page); await page.getByRole("radio", { name: /^Open/ }).check(); await page.getByRole("button", { name: "Open it to everybody" }).click(); await page.getByRole("alert").waitFor(); }],
  ["share-made", "full", "/", async (page) => { await shareFirst(page); await page.getByLabel("For whom").fill("Ana, cohort 3"); await page.getByRole("button", { name: "Make the link" }).click(); await page.getByRole("img", { name: "QR code of the link" }).waitFor(); }],
  ["share-playlist", "full", "/playlist/p1", async (page) => { await page.locator(".places .menu button").nth(0).click({ force: true }); await page.getByRole("menuitem", { name: "Share" }).click(); await page.getByRole("dialog").waitFor(); }],
  ["share-link-again", "shared", "/", async (page) => { await firstVideo(page); await page.getByRole("button", { name: "Show the link of Ana, cohort 3" }).click(); await page.getByRole("img", { name: "QR code of the link" }).waitFor(); }],
  ["share-change", "shared", "/", async (page) => { await firstVideo(page); await page.getByRole("button", { name: "Change the limits of Ana, cohort 3" }).click(); await page.getByRole("dialog").waitFor(); }],
  ["share-stop", "shared", "/", async (page) => { await firstVideo(page); await page.getByRole("button", { name: "Stop sharing with Ana, cohort 3" }).click(); await page.getByRole("dialog").waitFor(); }],
  ["share-person", "people", "/", async (page) => { await shareFirst(page); await page.getByRole("radio", { name: /^Lend it/ }).check(); await page.getByRole("button", { name: "Lend it" }).click(); await page.getByRole("alert").waitFor(); }],
  ["share-given-changed", "people", "/", async (page) => { await shareFirst(page); await page.getByRole("radio", { name: /^Give it/ }).check(); await page.getByLabel("To whom").selectOption({ label: "خالتي مريم" }); await page.getByRole("button", { name: "Give it" }).click(); await page.getByText("The server has other keys").waitFor(); }],
  ["share-nobody", "full", "/", async (page) => { await shareFirst(page); await page.getByRole("radio", { name: /^Give it/ }).check(); await page.getByText("You have no contacts yet").waitFor(); }],
  ["share-stop-given", "shared", "/", async (page) => { await firstVideo(page); await page.getByRole("button", { name: "Stop sharing with Ana", exact: true }).click(); await page.getByRole("dialog").waitFor(); }],
  ["people", "people", "/people", async (page) => page.getByRole("img", { name: "QR code" }).waitFor()],
  ["people-empty", "full", "/people"], ["people-failed", "people-failed", "/people", async (page) => page.getByRole("alert").first().waitFor()],
  ["people-fingerprint", "people", "/people", async (page) => page.getByText("Fingerprint", { exact: true }).first().click()],
  ["people-add", "people", "/people", async (page) => { await page.getByRole("button", { name: "Add somebody" }).click(); await page.getByRole("button", { name: "Add", exact: true }).click(); await page.getByRole("alert").first().waitFor(); }],
  ["people-remove", "people", "/people", async (page) => { await page.getByRole("button", { name: "Remove Ana" }).click(); await page.getByRole("dialog").waitFor(); }],
  ["contact", "people", "/c/01930000-0000-7000-8000-0000000000b1#fragment", async (page) => page.getByRole("dialog").getByText("9f2a b31c").waitFor()],
  ["contact-changed", "people", "/c/01930000-0000-7000-8000-0000000000a1#changed", async (page) => page.getByText("was known by other keys").waitFor()],
  ["contact-own", "people", "/c/01930000-0000-7000-8000-0000000000a0#own", async (page) => page.getByText("your own contact link").last().waitFor()],
  ["contact-cut", "people", "/c/01930000-0000-7000-8000-0000000000b1", async (page) => page.getByRole("alert").first().waitFor()],
  ["contact-other-keys", "people-changed", "/c/01930000-0000-7000-8000-0000000000b1#fragment", async (page) => { await page.getByLabel("What you call them").fill("Ben"); await page.getByRole("button", { name: "Add", exact: true }).click(); await page.getByText("so nothing was added").waitFor(); }],
  ["contact-signed-out", "signed-out", "/c/01930000-0000-7000-8000-0000000000b1#fragment"], ["contact-locked", "locked", "/c/01930000-0000-7000-8000-0000000000b1#fragment"],
  ["received", "received", "/received", async (page) => page.getByText("From somebody you have not added").waitFor()],
  ["received-empty", "full", "/received"], ["received-loading", "received-loading", "/received"], ["received-failed", "received-failed", "/received", async (page) => page.getByText("cannot be shown").waitFor()],
  ["received-given", "received", "/received", async (page) => { await page.getByRole("link", { name: "First steps in the garden" }).first().click(); await viewing(page); }],
  ["received-lent", "received", "/received", async (page) => { await page.locator("[data-share=r2] a").nth(1).click(); await viewing(page); }],
  ["received-over", "received", "/received", async (page) => { await page.locator("[data-share=r3] a").click(); await page.getByText("This video cannot be played now").waitFor(); }],
  ["viewer", "viewer", LINK, viewing], ["viewer-mark", "viewer-mark", LINK, viewing], ["viewer-list", "viewer-list", LINK, viewing], ["viewer-open", "viewer-open", LINK, viewing],
  ["viewer-opening", "viewer-opening", LINK, async (page) => page.waitForTimeout(450)], ["viewer-unsupported", "viewer-unsupported", LINK],
  ["viewer-password", "viewer-password", LINK, async (page) => page.getByLabel("Password", { exact: true }).waitFor()],
  ["viewer-password-wrong", "viewer-password", LINK, async (page) => { await page.getByLabel("Password", { exact: true }).fill("wrong"); await page.getByRole("button", { name: "Open" }).click(); await page.getByRole("alert").waitFor(); }],
  ["viewer-revoked-meanwhile", "viewer-over", LINK, async (page) => page.getByText("This is no longer shared").first().waitFor()],
  ...["share_revoked", "share_expired", "share_not_yet", "share_used_up", "too_many_at_once", "link_refused", "link_incomplete", "not_found", "offline", "tampered"].map(
    (code): State => [`viewer-${code}`, `viewer-${code}`, LINK, async (page) => page.getByRole("heading", { level: 1 }).first().waitFor()],
  ),
  ["embed", "viewer-mark", FRAME], ["embed-playing", "viewer-mark", FRAME, async (page) => { await page.getByRole("button", { name: "Play" }).click(); await viewing(page); }], ["embed-password", "viewer-password", FRAME, async (page) => page.getByLabel("Password", { exact: true }).waitFor()],
  ["embed-expired", "viewer-share_expired", FRAME, async (page) => { await page.getByRole("button", { name: "Play" }).click(); await page.getByRole("heading", { name: "The time to watch this is over" }).waitFor(); }],
  ["rooms", "rooms", "/rooms", async (page) => page.getByRole("heading", { name: "Tuesday, 7 pm" }).waitFor()], ["rooms-empty", "full", "/rooms", async (page) => page.getByText("You have no rooms").waitFor()],
  ["rooms-failed", "rooms-failed", "/rooms", async (page) => page.getByRole("alert").waitFor()],
  ["rooms-new", "rooms", "/rooms", async (page) => page.getByRole("button", { name: "New room" }).click()],
  ["rooms-made", "rooms", "/rooms", async (page) => { await page.getByRole("button", { name: "New room" }).click(); await page.getByRole("button", { name: "Make the room" }).click(); await page.getByRole("img", { name: "QR code of the link" }).waitFor(); }],
  ["room-check", "room", ROOM, checked], ["room-check-host", "room-host", ROOM, checked], ["room-check-locked", "room-locked", ROOM, checked],
  ["room-unsupported", "room-unsupported", ROOM], ["room-not_found", "room-not_found", ROOM, async (page) => page.getByText("There is no room here").waitFor()],
  ["room-bad_link", "room-bad_link", ROOM, async (page) => page.getByText("Part of the link is missing").waitFor()], ["room-offline", "room-offline", ROOM, async (page) => page.getByText("The room cannot be opened").waitFor()],
  ["room-knocking", "room-knocking", ROOM, async (page) => { await joined(page); await page.getByText("Waiting to be let in").waitFor(); }],
  ["room-awaiting", "room-awaiting", ROOM, async (page) => { await joined(page); await page.getByText("The host is not here yet").waitFor(); }],
  ...["denied", "full", "removed", "ended"].map((how): State => [`room-${how}`, `room-${how}`, ROOM, async (page) => { await joined(page); await page.getByRole("heading", { level: 1, name: /not let in|is full|removed you|is over/ }).waitFor(); }]),
  ["room", "room", ROOM, inside], ["room-empty", "room-empty", ROOM, inside],
  ...["room-hidden", "room-crowded", "room-forwarder"].map((name): State => [name, name, ROOM, async (page) => { await inside(page); await page.locator("[data-trouble]").waitFor(); }]),
  ["room-check-hidden", "room-hidden", ROOM, checked], ["room-host", "room-host", ROOM, inside], ["room-asked", "room-asked", ROOM, inside], ["room-doubt", "room-doubt", ROOM, then(inside, "People: 4")],
  ["room-chat", "room", ROOM, async (page) => { await inside(page); await page.getByRole("button", { name: /^Chat/ }).click(); }], ["room-people", "room-host", ROOM, then(inside, "People: 4")],
  ["room-invite", "room", ROOM, then(inside, "Invite")], ["room-share", "room", ROOM, then(inside, "Share screen")], ["room-shortcuts", "room", ROOM, then(inside, "More", "Shortcuts")], ["room-devices", "room", ROOM, then(inside, "More", "Devices")],
  ["room-end", "room-host", ROOM, then(inside, "More", "End for everybody")],
  ["settings", "full", "/settings"], ["settings-failed", "settings-failed", "/settings"],
  ["settings-wrong", "full", "/settings", async (page) => page.getByRole("button", { name: "Change the password" }).click()],
];
