// The real server, one for each test file and browser: started on a fresh folder, killed when the tests are over.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const BIN = process.env["GLOAMING_BIN"] ?? fileURLToPath(new URL("../../target/release/gloaming", import.meta.url));
const PATIENCE_MS = 30_000;

export type Server = {
  /** Where it listens, whatever its public address. */
  listens: string;
  setupLink: string;
  data: string;
  log: () => string;
  stop: () => Promise<void>;
};

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export async function startServer(...more: string[]): Promise<Server> {
  const data = await mkdtemp(join(tmpdir(), "gloaming-web-"));
  const port = await freePort();
  const child = spawn(BIN, ["serve", "--data", data, "--listen", `127.0.0.1:${port}`, ...more], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (text: Buffer) => (out += text));
  let log = "";
  child.stderr.on("data", (text: Buffer) => (log += text));
  const setupLink = await new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the server printed no set-up link in time:\n${out}\n${log}`)), PATIENCE_MS);
    child.stdout.on("data", () => {
      const link = /https?:\/\/\S+\/setup#\S+/.exec(out)?.[0];
      if (!link) return;
      clearTimeout(late);
      resolve(link);
    });
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}:\n${out}\n${log}`)));
  });
  return { listens: `http://127.0.0.1:${port}`, setupLink, data, log: () => log, stop: () => stop(child, data) };
}

/** A link for one account that may store so many bytes: less than the page lets an owner choose. */
export async function inviteWithQuota(server: Server, origin: string, quota: number): Promise<string> {
  const { stdout } = await promisify(execFile)(BIN, ["admin", "invite", "--data", server.data, "--public-url", origin, "--quota", String(quota)]);
  const link = /https?:\/\/\S+\/join#\S+/.exec(stdout)?.[0];
  if (!link) throw new Error(`no link in ${stdout}`);
  return link;
}

async function stop(child: ChildProcess, data: string): Promise<void> {
  if (child.exitCode === null) {
    const over = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await over;
  }
  await rm(data, { recursive: true, force: true });
}
