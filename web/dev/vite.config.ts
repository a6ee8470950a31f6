import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// For looking at screens only: the page over dev/fake-vault.ts. Nothing here is part of what is built.
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  plugins: [
    svelte(),
    {
      name: "fake-vault",
      transformIndexHtml: { order: "pre", handler: (html) => html.replace("/src/main.ts", "/dev/main.ts") },
    },
  ],
  server: { host: "127.0.0.1", port: Number(process.env["PORT"] ?? 5199), strictPort: true },
});
