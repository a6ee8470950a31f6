import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { precompress } from "./precompress";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// The service worker answers downloads for the whole origin, so its file stands at the root under a fixed name.
const serviceWorker = here("src/core/service-worker.ts");

export default defineConfig({
  plugins: [svelte(), precompress()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    cssTarget: ["chrome125", "firefox128", "safari17.5"],
    modulePreload: { polyfill: false },
    // A data: URL in a style sheet or a script would need its own hole in the content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: here("index.html"), ...(existsSync(serviceWorker) ? { "service-worker": serviceWorker } : {}) },
      output: {
        entryFileNames: (chunk) => (chunk.name === "service-worker" ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
