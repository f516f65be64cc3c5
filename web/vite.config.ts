/** Builds the console into `dist`; in development, passes the API's paths to the address in RAPPORT_URL. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.RAPPORT_URL ?? "http://127.0.0.1:7799";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022", chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
  server: { proxy: { "/api": server, "/openapi.json": server } },
  test: { include: ["src/**/*.test.ts"] },
});
