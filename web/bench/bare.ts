// A Chromium that is asked nothing but what a measurement needs, over its debugging pipe. Playwright would not do: whoever
// listens to a page's network makes the page's process keep the bodies of its answers, up to 200 MB of them.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

export type Bare = {
  /** The value of an expression on the page. */
  evaluate: (expression: string) => Promise<unknown>;
  /** Megabytes that the largest process of a page takes: its own memory whole, shared memory in part. */
  pageMegabytes: () => Promise<number>;
  stop: () => Promise<void>;
};

type Answer = { id?: number; result?: Record<string, unknown>; error?: { message: string } };

/** Opens an address with an existing profile. */
export async function openBare(chromium: string, profile: string, address: string): Promise<Bare> {
  const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--password-store=basic", "--autoplay-policy=no-user-gesture-required"];
  const child = spawn(chromium, [...args, "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [to, from] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const over = new Promise<void>((resolve) => child.once("exit", () => resolve()));

  let last = 0;
  let read = "";
  const waiting = new Map<number, (answer: Answer) => void>();
  from.setEncoding("utf8").on("data", (text: string) => {
    const messages = (read + text).split("\0");
    read = messages.pop() ?? "";
    for (const message of messages) {
      const answer = JSON.parse(message) as Answer;
      if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
    }
  });
  const send = async (method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> => {
    const id = ++last;
    const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await answer;
    waiting.delete(id);
    if (!result) throw new Error(`${method}: ${error?.message}`);
    return result;
  };

  const { targetInfos } = (await send("Target.getTargets", {})) as { targetInfos: { type: string; targetId: string }[] };
  const targetId = targetInfos.find(({ type }) => type === "page")?.targetId;
  const { sessionId } = (await send("Target.attachToTarget", { targetId, flatten: true })) as { sessionId: string };
  await send("Page.navigate", { url: address }, sessionId);
  return {
    async evaluate(expression) {
      const { result } = (await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }, sessionId)) as { result: { value?: unknown } };
      return result.value;
    },
    async pageMegabytes() {
      const { processInfo } = (await send("SystemInfo.getProcessInfo", {})) as { processInfo: { type: string; id: number }[] };
      const pages = processInfo.filter(({ type }) => type === "renderer");
      const pss = pages.map(({ id }) => Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? NaN));
      return (Math.max(...pss) * 1024) / 1e6;
    },
    async stop() {
      child.kill();
      await over;
    },
  };
}
