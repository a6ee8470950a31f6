// Networks of their own: a server and two browsers, each in a network namespace, joined by a router that can be told to forget
// what lies between the two. Nothing of it reaches any other network, and all of it goes when the router does.
//
//   browser ── 10.77.1.0/24 ── router, server 10.77.0.1 ── 10.77.2.0/24 ── browser

import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const ip = (...words: string[]) => run("ip", words);

export const SERVER = "10.77.0.1";
type Side = 1 | 2;

export type Networks = {
  /** Begins a command that runs where the server is. */
  router: string[];
  /** A program that runs another one with its arguments, on one side. */
  wrap: (side: Side, program: string) => Promise<string>;
  /** The cable of one side, in or out. */
  plug: (side: Side, plugged: boolean) => Promise<void>;
  /** One side has another address from now on. */
  move: (side: Side) => Promise<void>;
  /** Whether packets get from one side to the other. Both always reach the server. */
  routes: (between: boolean) => Promise<void>;
  remove: () => Promise<void>;
};

/** Why there can be no such networks here, if there can't. */
export async function noNetworks(): Promise<string | null> {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const probe = `gloaming-probe-${process.pid}`;
  try {
    await ip("netns", "add", probe);
    await ip("netns", "delete", probe);
    return null;
  } catch (error) {
    return `network namespaces cannot be made here: ${String(error)}`;
  }
}

export async function makeNetworks(): Promise<Networks> {
  const name = (what: string) => `gloaming-${process.pid}-${what}`;
  const router = name("router");
  const side = (side: Side) => name(`side${side}`);
  const scripts = await mkdtemp(join(tmpdir(), "gloaming-networks-"));
  let host = 2;
  const address = async (of: Side) => {
    await ip("-n", side(of), "addr", "add", `10.77.${of}.${host}/24`, "dev", "eth0");
    await ip("-n", side(of), "route", "add", "default", "via", `10.77.${of}.1`);
  };
  // An IPv6 address comes to be a second or two after its link, and a browser that loads a page meanwhile stops: the network changed.
  const add = async (netns: string) => {
    await ip("netns", "add", netns);
    await ip("netns", "exec", netns, "sh", "-c", "cd /proc/sys/net/ipv6/conf/default 2>/dev/null || exit 0; echo 1 > disable_ipv6");
  };
  await add(router);
  await ip("-n", router, "link", "set", "lo", "up");
  await ip("-n", router, "addr", "add", `${SERVER}/32`, "dev", "lo");
  for (const of of [1, 2] as const) {
    await add(side(of));
    await ip("-n", router, "link", "add", `side${of}`, "type", "veth", "peer", "name", "eth0", "netns", side(of));
    await ip("-n", router, "addr", "add", `10.77.${of}.1/24`, "dev", `side${of}`);
    await ip("-n", router, "link", "set", `side${of}`, "up");
    await ip("-n", side(of), "link", "set", "lo", "up");
    await ip("-n", side(of), "link", "set", "eth0", "up");
    await address(of);
  }
  const routes = async (between: boolean) => {
    await ip("netns", "exec", router, "sh", "-c", `echo ${between ? 1 : 0} > /proc/sys/net/ipv4/ip_forward`);
  };
  await routes(true);
  return {
    router: ["ip", "netns", "exec", router],
    async wrap(of, program) {
      const script = join(scripts, `in-${of}`);
      await writeFile(script, `#!/bin/sh\nexec ip netns exec ${side(of)} '${program}' "$@"\n`);
      await chmod(script, 0o755);
      return script;
    },
    plug: async (of, plugged) => void (await ip("-n", router, "link", "set", `side${of}`, plugged ? "up" : "down")),
    async move(of) {
      await ip("-n", side(of), "addr", "flush", "dev", "eth0");
      host += 1;
      await address(of);
    },
    routes,
    async remove() {
      for (const netns of [side(1), side(2), router]) await ip("netns", "delete", netns);
      await rm(scripts, { recursive: true, force: true });
    },
  };
}
