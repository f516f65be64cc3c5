/** Runs the walk through the console in Chromium, in one browser and in order. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["e2e/*.spec.ts"],
    fileParallelism: false,
    sequence: { concurrent: false },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    bail: 0,
  },
});
