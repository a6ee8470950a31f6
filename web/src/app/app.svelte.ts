// What the whole page knows: the vault, where the account stands, and what the vault has said since.

import type { Access, Alarm, Settings, UploadState, Vault, VaultEvent } from "../core/vault";
import { sentence } from "./errors";

export type Toast = { id: number; text: string; bad: boolean; action: { label: string; run: () => void } | null };

const THEME = "gloaming.theme";

class App {
  access = $state.raw<Access>({ kind: "starting" });
  // The vault says when it is not; a browser without a network may still reach a server on its own machine.
  online = $state(true);
  uploads = $state.raw<UploadState[]>([]);
  /** Grows whenever the library changed, here or on another device. */
  revision = $state(0);
  alarms = $state.raw<Alarm[]>([]);
  settings = $state.raw<Settings>({ autoLockMinutes: 15, theme: storedTheme() });
  toasts = $state.raw<Toast[]>([]);
  /** Shown once after the account was made; whatever else happens, it stays until it is confirmed. */
  phrase = $state.raw<string[] | null>(null);
  /** The session was ended from elsewhere, while it was open here. */
  ended = $state(false);
  spoken = $state("");
  /** The library's search field takes its text from here, so that it survives a look at a video. */
  search = $state("");

  #vault: Vault | null = null;
  #nextToast = 1;
  #leaving = false;
  #speaking: ReturnType<typeof setTimeout> | undefined;

  get vault(): Vault {
    if (!this.#vault) throw new Error("the vault is connected before anything is shown");
    return this.#vault;
  }

  connect(vault: Vault): void {
    this.#vault = vault;
    this.applyTheme();
  }

  hear = (event: VaultEvent): void => {
    switch (event.kind) {
      case "access":
        this.enter(event.access);
        break;
      case "library":
        this.revision = event.revision;
        break;
      case "uploads":
        this.uploads = event.uploads;
        break;
      case "alarm":
        if (!this.alarms.some((alarm) => alarm.code === event.alarm.code)) this.alarms = [...this.alarms, event.alarm];
        break;
      case "online":
        this.online = event.online;
        break;
      default:
        assertNever(event);
    }
  };

  enter(access: Access): void {
    const before = this.access.kind;
    this.access = access;
    if (access.kind === "open" && before !== "open") {
      this.ended = false;
      void this.#opened();
    }
    if (access.kind === "signed-out" && before === "open") this.ended = !this.#leaving;
    if (access.kind !== "open") {
      // Nothing that was unlocked stays on the screen or in the page's memory.
      this.uploads = [];
      this.search = "";
      this.toasts = [];
      clearTimeout(this.#speaking);
      this.spoken = "";
    }
  }

  async signOut(): Promise<void> {
    this.#leaving = true;
    try {
      await this.vault.signOut();
    } finally {
      this.#leaving = false;
    }
  }

  async #opened(): Promise<void> {
    try {
      this.settings = await this.vault.settings();
      this.applyTheme();
      this.uploads = await this.vault.uploads();
    } catch (error) {
      this.complain(error);
    }
  }

  async saveSettings(settings: Settings): Promise<void> {
    this.settings = settings;
    this.applyTheme();
    await this.vault.saveSettings(settings);
  }

  /** The theme is no secret: it is kept in the clear, so that the lock screen has it too. */
  applyTheme(): void {
    document.documentElement.dataset["theme"] = this.settings.theme;
    try {
      localStorage.setItem(THEME, this.settings.theme);
    } catch {
      // Storage switched off: the theme lasts as long as the page.
    }
  }

  say(text: string, action: Toast["action"] = null, bad = false): void {
    const toast = { id: this.#nextToast++, text, bad, action };
    this.toasts = [...this.toasts.slice(-2), toast];
    setTimeout(() => this.hush(toast.id), bad || action ? 12_000 : 6_000);
    this.speak(text);
  }

  complain(error: unknown): void {
    this.say(sentence(error), null, true);
  }

  hush(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  /** Says something to a screen reader, politely. */
  speak(text: string): void {
    this.spoken = "";
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => (this.spoken = text), 60);
  }
}

function storedTheme(): Settings["theme"] {
  try {
    const theme = localStorage.getItem(THEME);
    return theme === "dark" || theme === "light" ? theme : "system";
  } catch {
    return "system";
  }
}

export function assertNever(value: never): never {
  throw new Error(`no case for ${JSON.stringify(value)}`);
}

export const app = new App();

/** Runs something the person asked for; a failure becomes a sentence. True if it went well. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    app.complain(error);
    return false;
  }
}
