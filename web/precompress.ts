// Beside each file of the build its brotli and gzip forms, as small as they get: the server hands out whichever the
// browser takes. And the one promise about size that a build can break: what a browser fetches before it needs the core
// or the player.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Fetched when they are used: the core with its face, the player, rooms. */
const LATER = /\.wasm$|shaka|\.map$|room[^/]*$/i;
const AT_ONCE_MAX = 200 * 1000;
/** Smaller files gain nothing. */
const WORTH_IT = 512;

export function precompress(): Plugin {
  let dist = "";
  return {
    name: "precompress",
    apply: "build",
    configResolved: (config) => void (dist = join(config.root, config.build.outDir)),
    closeBundle() {
      let atOnce = 0;
      for (const path of filesBelow(dist)) {
        if (/\.(br|gz|png|ico|webp|woff2)$/.test(path)) continue;
        const plain = readFileSync(path);
        const gzip = gzipSync(plain, { level: 9 });
        if (!LATER.test(path)) atOnce += Math.min(gzip.length, plain.length);
        if (plain.length < WORTH_IT) continue;
        writeFileSync(`${path}.gz`, gzip);
        writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }));
      }
      const kB = (bytes: number) => `${Math.ceil(bytes / 1000)} kB`;
      this.info(`${kB(atOnce)} with gzip before the core and the player`);
      if (atOnce > AT_ONCE_MAX) this.error(`the page is ${kB(atOnce)} with gzip before the core and the player, and may be ${kB(AT_ONCE_MAX)}`);
    },
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
