import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

test("the generated types are those of docs/openapi.json; `npm run types` writes them anew", () => {
  const run = () => execFileSync("npm", ["run", "-s", "types", "--", "--check"], { stdio: "pipe" });
  expect(run).not.toThrow();
}, 60_000);
