// What sealing a file costs in WASM with WebCrypto, in Node: CPU seconds, bytes, WASM memory.
//
//   node bench/seal.mjs WASM_DIR FILE [REPEAT]
//
// WASM_DIR holds gloaming_web.js and gloaming_web_bg.wasm built with the feature `bench`. Prints one line of JSON.

import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [, , dir, path, repeat = "1"] = process.argv;
if (!dir || !path) {
  console.error("usage: node bench/seal.mjs WASM_DIR FILE [REPEAT]");
  process.exit(2);
}

const core = await import(pathToFileURL(join(resolve(dir), "gloaming_web.js")).href);
const wasm = await core.default({ module_or_path: readFileSync(join(dir, "gloaming_web_bg.wasm")) });

const fd = openSync(path, "r");
const stat = fstatSync(fd);
const file = { name: path, size: stat.size, lastModified: Math.floor(stat.mtimeMs) };

/** The part of web/src/core/host.ts that sealing uses. */
const host = {
  read(_file, offset, length) {
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const got = readSync(fd, bytes, at, length - at, offset + at);
      if (got === 0) break;
      at += got;
    }
    return bytes.subarray(0, at);
  },
};

let best = null;
for (let run = 0; run < Number(repeat); run++) {
  const before = process.cpuUsage();
  const began = performance.now();
  const sealed = await core.benchSeal(host, file);
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / 1e6;
  const result = {
    bytes: stat.size,
    sealed,
    cpuSeconds: cpu,
    wallSeconds: (performance.now() - began) / 1000,
    wasmMiB: wasm.memory.buffer.byteLength / 2 ** 20,
    rssMiB: process.resourceUsage().maxRSS / 1024,
  };
  if (!best || result.cpuSeconds < best.cpuSeconds) best = result;
}
closeSync(fd);
console.log(JSON.stringify(best));
