import { defineConfig } from "@playwright/test";

const chromium = process.env["GLOAMING_CHROMIUM"] ?? "/usr/bin/chromium";
const firefox = process.env["GLOAMING_FIREFOX"] ?? "/usr/bin/firefox-esr";

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  outputDir: "test-results",
  // Two browsers and a server share the machine; a file runs in order because its tests share one account.
  workers: Number(process.env["GLOAMING_WORKERS"] ?? 2),
  fullyParallel: false,
  forbidOnly: Boolean(process.env["CI"]),
  // On a machine of two cores a browser is sometimes starved for seconds. Whoever needs another try is named at the end.
  retries: process.env["CI"] ? 2 : 0,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: { locale: "en-GB", viewport: { width: 1280, height: 800 }, screenshot: "only-on-failure", trace: "off" },
  projects: [
    {
      name: "chromium",
      use: {
        browserName: "chromium",
        launchOptions: {
          executablePath: chromium,
          args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", "--auto-accept-this-tab-capture"],
        },
      },
    },
    {
      name: "firefox",
      use: {
        browserName: "firefox",
        channel: "moz-firefox",
        launchOptions: { executablePath: firefox, firefoxUserPrefs: { "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0, "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true, "media.cubeb.force_mock_context": true } },
      },
    },
  ],
});
