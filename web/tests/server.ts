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
  /** Kills it as it stands, and starts it again on what it left. */
  restart: () => Promise<void>;
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

export const startServer = (...more: string[]): Promise<Server> => startServerIn([], "127.0.0.1", ...more);

/** In another network: started by a program that runs the rest of its words there, and at an address of that network. */
export async function startServerIn(network: string[], address: string, ...more: string[]): Promise<Server> {
  const data = await mkdtemp(join(tmpdir(), "gloaming-web-"));
  const port = await freePort();
  let log = "";
  const start = (until: RegExp) => {
    // Several servers run side by side, and one of them would have the usual port.
    const forwarder = more.includes("--forwarder-listen") ? [] : ["--forwarder-listen", `${address}:0`];
    const [program = BIN, ...words] = [...network, BIN, "serve", "--data", data, "--listen", `${address}:${port}`, ...forwarder, ...more];
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
    child.stderr.on("data", (text: Buffer) => (log += text));
    let out = "";
    const found = new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the server did not say ${until} in time:\n${out}\n${log}`)), PATIENCE_MS);
      child.stdout.on("data", (text: Buffer) => {
        out += text;
        const line = until.exec(out)?.[0];
        if (line === undefined) return;
        clearTimeout(late);
        resolve(line);
      });
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`the server ended with ${code}:\n${out}\n${log}`)));
    });
    return { child, found };
  };
  let running = start(/https?:\/\/\S+\/setup#\S+/);
  const setupLink = await running.found;
  return {
    listens: `${more.includes("--tls") ? "https" : "http"}://${address}:${port}`,
    setupLink,
    data,
    log: () => log,
    async restart() {
      await kill(running.child);
      running = start(/https?:\/\/\S+/);
      await running.found;
    },
    async stop() {
      await kill(running.child);
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A link for one account that may store so many bytes: less than the page lets an owner choose. */
export async function inviteWithQuota(server: Server, origin: string, quota: number): Promise<string> {
  const { stdout } = await promisify(execFile)(BIN, ["admin", "invite", "--data", server.data, "--public-url", origin, "--quota", String(quota)]);
  const link = /https?:\/\/\S+\/join#\S+/.exec(stdout)?.[0];
  if (!link) throw new Error(`no link in ${stdout}`);
  return link;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await over;
}
