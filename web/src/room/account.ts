// An account's part in somebody's visit to a room: who they are, and whether they are the host. The keys go from the vault's
// worker to the room's, and never through the page.

import { notes } from "../core/storage";
import type { Access, Vault } from "../core/vault";

export type Visitor = { username: string; host: boolean };

export type Account = {
  /** Null for a guest; "locked" where somebody is signed in here, and their keys are not open. */
  visitor(room: string): Promise<Visitor | "locked" | null>;
  lend(room: string, port: MessagePort): Promise<void>;
  /** The room's other link comes on the port. */
  linkChanged(room: string, port: MessagePort): Promise<void>;
};

/** Whether somebody signed in here: the note is the core's (crates/client/src/account.rs). */
const remembered = async () => (await notes.load("account")) !== undefined;

/** Starts the vault only where this browser remembers that somebody signed in: a guest does not fetch it. */
export function account(vault: Pick<Vault, "access" | "lendRoomKeys" | "changeRoomLink">): Account {
  return {
    async visitor(room) {
      try {
        if (!(await remembered())) return null;
        const access: Access = await vault.access();
        if (access.kind === "locked") return "locked";
        return access.kind === "open" ? await vault.lendRoomKeys(room, null) : null;
      } catch {
        // Whoever cannot be asked is a guest.
        return null;
      }
    },
    lend: async (room, port) => void (await vault.lendRoomKeys(room, port)),
    linkChanged: (room, port) => vault.changeRoomLink(room, port),
  };
}
