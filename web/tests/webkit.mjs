// A smoke test in a third engine: WebKitGTK's MiniBrowser, driven by WebKitWebDriver (W3C WebDriver) under Xvfb.
// Set up, upload, play. Exit code 77 says that the browser is not installed here.
//   node tests/webkit.mjs        GLOAMING_BIN names another server; GLOAMING_MINIBROWSER another browser

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PASSWORD = "velvet-orbit-lantern-mimic-harbor-7";
const BIN = process.env.GLOAMING_BIN ?? fileURLToPath(new URL("../../target/release/gloaming", import.meta.url));
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

const miniBrowser = process.env.GLOAMING_MINIBROWSER ?? findMiniBrowser();
const have = (program) => spawnSync("which", [program]).status === 0;
const lacking = [miniBrowser ? null : "MiniBrowser", ...["WebKitWebDriver", "Xvfb", "ffmpeg"].map((program) => (have(program) ? null : program))].filter(Boolean);
if (lacking.length > 0) {
  console.log(`SKIPPED: no ${lacking.join(", ")} here`);
  process.exit(77);
}

function findMiniBrowser() {
  try {
    return execFileSync("dpkg", ["-L", "libwebkit2gtk-4.1-0"], { encoding: "utf8" }).split("\n").find((path) => path.endsWith("/MiniBrowser"));
  } catch {
    return undefined;
  }
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const children = [];
function start(program, args, env = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  children.push(child);
  return child;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, ask, patience = 40_000) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited too long for: ${what}`);
    await sleep(150);
  }
}

const folder = mkdtempSync(join(tmpdir(), "gloaming-webkit-"));
let failed = null;
let driver;
let session;
const steps = [];
const step = (name) => {
  steps.push(name);
  console.log(`ok ${steps.length} ${name}`);
};

async function ask(method, path, body) {
  const answer = await fetch(`${driver}${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${value.error}: ${value.message}`);
  return value;
}
const run = (script, ...args) => ask("POST", `/session/${session}/execute/sync`, { script, args });

/** Elements by role-like selectors and by what they say, as a person finds them. */
const FIND = `
  const [selector, text] = arguments;
  return [...document.querySelectorAll(selector)].find((element) => {
    const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
    return label.trim().startsWith(text) && !element.disabled && element.getClientRects().length > 0;
  }) ?? null;`;
const find = (selector, text = "", patience) => until(`${selector} “${text}”`, () => run(FIND, selector, text), patience);
const click = async (selector, text) => ask("POST", `/session/${session}/element/${(await find(selector, text))[ELEMENT]}/click`, {});
const type = async (selector, label, text) => ask("POST", `/session/${session}/element/${(await find(selector, label))[ELEMENT]}/value`, { text });

try {
  const film = join(folder, "evening.mp4");
  execFileSync("ffmpeg", [
    ..."-v error -y -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=frequency=330:sample_rate=48000 -t 10".split(" "),
    ..."-c:v libx264 -preset veryfast -g 60 -bf 2 -pix_fmt yuv420p -c:a aac".split(" "),
    film,
  ]);
  const port = await freePort();
  const server = start(BIN, ["serve", "--data", join(folder, "data"), "--listen", `127.0.0.1:${port}`]);
  let said = "";
  server.stdout.on("data", (text) => (said += text));
  const link = await until("the set-up link", () => /https?:\/\/\S+\/setup#\S+/.exec(said)?.[0]);

  const display = `:${90 + (process.pid % 400)}`;
  start("Xvfb", [display, "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
  const driverPort = await freePort();
  driver = `http://127.0.0.1:${driverPort}`;
  start("WebKitWebDriver", [`--port=${driverPort}`], { DISPLAY: display, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" });
  await until("WebKitWebDriver", () => fetch(`${driver}/status`).then((answer) => answer.ok, () => false));
  const opened = await ask("POST", "/session", {
    capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary: miniBrowser, args: ["--automation", "--autoplay-policy=allow"] } } },
  });
  session = opened.sessionId;
  console.log(`# ${opened.capabilities.browserName} ${opened.capabilities.browserVersion}`);

  await ask("POST", `/session/${session}/url`, { url: link });
  await type("input", "User name", "mara");
  await type("input", "Password", PASSWORD);
  await until("an opinion of the password", () => run("return /Good|Very good/.test(document.body.innerText)"));
  await click("button", "Make the account");
  const words = await until("the 24 words", async () => {
    const found = await run('return [...document.querySelectorAll(".words li")].map((item) => item.lastChild.textContent.trim())');
    return found.length === 24 && found;
  }, 60_000);
  await click("button", "I have written them down");
  await find("input", "Word ");
  const asked = await run('return [...document.querySelectorAll("input")].map((input) => input.labels?.[0]?.textContent ?? "").filter((label) => label.startsWith("Word "))');
  for (const label of asked) await type("input", label, words[Number(label.slice(5)) - 1]);
  await click("button", "Confirm");
  await find("h1", "Library");
  step("the owner's account is made, the phrase confirmed");

  // The page makes its file field when it is asked for files; a driver cannot work the dialog, so the field is filled instead.
  await run('HTMLInputElement.prototype.click = function () { this.id = "given"; this.hidden = false; };');
  await click("button", "Add videos");
  const field = await until("the file field", () => run('return document.querySelector("#given")'));
  await ask("POST", `/session/${session}/element/${field[ELEMENT]}/value`, { text: film });
  await click("dialog button.primary", "Upload");
  await until("the upload's end", () => run('return document.querySelector("[data-phase=done]") !== null'), 90_000);
  step("a film is sealed and uploaded");

  await click("a", "Watch");
  const state = () => run('const v = document.querySelector("video"); return v && { time: v.currentTime, frames: v.getVideoPlaybackQuality().totalVideoFrames, width: v.videoWidth }');
  await until("frames", async () => ((await state())?.frames ?? 0) > 10, 60_000);
  const first = await state();
  await until("time", async () => (await state()).time > first.time + 0.5);
  if (first.width !== 640) throw new Error(`the picture is ${first.width} wide`);
  step("it plays");
} catch (error) {
  failed = error;
  console.error(error);
  if (session) console.error(await run("return document.body.innerText.slice(0, 800)").catch(String));
} finally {
  if (session) await ask("DELETE", `/session/${session}`).catch(() => undefined);
  for (const child of children.reverse()) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${steps.length} passed, ${failed ? 1 : 0} failed`);
process.exit(failed ? 1 : 0);
