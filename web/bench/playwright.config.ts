// Benchmarks and soaks in the browsers that the tests use: one at a time, so that nothing disturbs a measurement.

import { defineConfig } from "@playwright/test";
import base from "../playwright.config";

export default defineConfig({ ...base, testDir: ".", testMatch: "*.bench.ts", outputDir: "../test-results", workers: 1, timeout: 0 });
