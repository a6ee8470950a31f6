// The frozen vectors of crates/keys, made, opened and refused by the shipped core in real browsers.
//
//   node bench/vectors.mjs WASM_DIR
//
// WASM_DIR holds the core built with the feature `vectors`. CHROMIUM and FIREFOX_ESR name other binaries; a browser that
// is not there is skipped aloud, and is a failure with CI=true.

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { chromium, firefox } from "@playwright/test";

const dir = process.argv[2];
if (!dir) {
  console.error("usage: node bench/vectors.mjs WASM_DIR");
  process.exit(2);
}

const page = `<!doctype html><meta charset="utf-8"><title>Vectors</title><script type="module" src="/run.js"></script>`;
const run = `
import init, { checkVectors } from "/gloaming_web.js";
const refuse = { read() { throw new Error("there is no file"); } };
globalThis.result = init({ module_or_path: "/gloaming_web_bg.wasm" })
  .then(() => checkVectors(refuse))
  .then((said) => ({ said }), (error) => ({ error: String(error?.message ?? error) }));
`;
const read = (path) => readFileSync(path);
const files = {
  "/": ["text/html", () => page],
  "/run.js": ["text/javascript", () => run],
  "/gloaming_web.js": ["text/javascript", () => read(join(dir, "gloaming_web.js"))],
  "/gloaming_web_bg.wasm": ["application/wasm", () => read(join(dir, "gloaming_web_bg.wasm"))],
};
const server = createServer((request, response) => {
  const file = files[request.url];
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": file[0] }).end(file[1]());
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const address = `http://127.0.0.1:${server.address().port}/`;

const browsers = [
  { name: "chromium", type: chromium, path: process.env.CHROMIUM ?? "/usr/bin/chromium", options: { args: ["--no-sandbox", "--disable-gpu"] } },
  { name: "firefox", type: firefox, path: process.env.FIREFOX_ESR ?? "/usr/bin/firefox-esr", options: { channel: "moz-firefox" } },
];
let failed = 0;
for (const { name, type, path, options } of browsers) {
  if (!existsSync(path)) {
    console.log(`vectors in ${name}: SKIPPED, ${path} is not there`);
    if (process.env.CI === "true") failed += 1;
    continue;
  }
  const browser = await type.launch({ executablePath: path, ...options });
  try {
    const tab = await browser.newPage();
    await tab.goto(address);
    await tab.waitForFunction(() => "result" in globalThis);
    const { said, error } = await tab.evaluate(() => globalThis.result);
    console.log(`vectors in ${name}: ${said ?? `FAILED, ${error}`}`);
    if (!said) failed += 1;
  } finally {
    await browser.close();
  }
}
server.close();
process.exit(failed ? 1 : 0);
