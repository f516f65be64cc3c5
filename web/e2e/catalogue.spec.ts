/**
 * Catalogue, recommendations and coupons, walked in Chromium against the real binary: RAPPORT_URL and RAPPORT_TOKEN name it.
 * Without them there is nothing to walk against, and the walk is skipped.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const base = (process.env.RAPPORT_URL ?? "").replace(/\/$/, "");
const shots = process.env.RAPPORT_SHOTS ?? "";
const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const run = Date.now().toString(36);
let browser: Browser;
let page: Page;

async function open(path: string, heading: string) {
  await page.goto(`${base}${path}`);
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
}

/** Looks at the page in both themes and widths: nothing wider than the window, nothing that axe finds, a picture each. */
async function inspect(name: string) {
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForFunction(() => document.querySelectorAll("[aria-busy=true]").length === 0);
      expect.soft(await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth), `${name} at ${width}`).toBe(false);
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const outcome = await (window as never as { axe: { run: (on: Document, how: unknown) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run(document, { runOnly: ["wcag2a", "wcag2aa"] });
        return outcome.violations.map((one) => `${one.id}: ${one.nodes[0]?.html.slice(0, 160)}`);
      });
      expect.soft(found, `${name}, ${scheme}, ${width}`).toEqual([]);
      if (shots) await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 1440, height: 900 });
}

describe.skipIf(!base)("catalogue, recommendations and coupons", () => {
  beforeAll(async () => {
    if (shots) mkdirSync(shots, { recursive: true });
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
    page.setDefaultTimeout(20_000);
    await page.goto(`${base}/?token=${process.env.RAPPORT_TOKEN ?? ""}`);
    await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
  });

  afterAll(async () => {
    await browser?.close();
  });

  it("lists items with their picture, finds one and shows what it has", async () => {
    await open("/catalogue", "Catalogue");
    const list = page.getByRole("table").first();
    await list.getByRole("link").first().waitFor();
    await inspect("catalogue");
    const name = ((await list.getByRole("link").first().textContent()) ?? "").trim();
    await page.getByLabel("Find items").fill(name);
    await expect.poll(async () => list.getByRole("link").count()).toBe(1);
    await list.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.getByText("In a template").waitFor();
    await inspect("catalogue-item");
  });

  it("imports a file row by row and names the row it refused", async () => {
    await open("/catalogue", "Catalogue");
    await page.getByRole("button", { name: "Import a file" }).click();
    const rows = `id,name,category,price,stock\nwalk-${run},Walked lamp,walk,12.50,3\n,Nameless,walk,1,1\n`;
    await page.locator("input[type=file]").setInputFiles({ name: "items.csv", mimeType: "text/csv", buffer: Buffer.from(rows) });
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByTestId("taken").getByText("1 of 2 rows are stored.").waitFor();
    await page.getByTestId("taken").getByText("Row 2").waitFor();
    await inspect("catalogue-import");
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByLabel("Find items").fill(`walk-${run}`);
    await page.getByRole("link", { name: "Walked lamp" }).waitFor();
  });

  it("says at the declaration what is wrong with it, saves a collection and opens it", async () => {
    await open("/catalogue", "Catalogue");
    await page.getByRole("button", { name: "Edit" }).click();
    const box = page.getByLabel("Declaration");
    await box.fill('{"collections": {"walked": "did \\"Order Completed\\""}}');
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("A collection asks for fields of items alone").waitFor();
    await box.fill('{"collections": {"walked": "category = \\"walk\\" and price < 20"}}');
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: "walked" }).click();
    await page.getByRole("link", { name: "Walked lamp" }).first().waitFor();
    expect(page.url()).toContain("collection=walked");
  });

  it("shows what a person would get and why, beside how good it would have been", async () => {
    await open("/recommendations", "Recommendations");
    await page.getByTestId("offered").getByRole("link").first().waitFor();
    await page.getByText("How good they would have been").waitFor();
    await page.getByTestId("quality").first().waitFor();
    expect(await page.getByTestId("quality").first().getByRole("row").count()).toBe(4);
    await inspect("recommendations");
    await page.getByTestId("offered").getByRole("link").first().click();
    await page.getByText("In a template").waitFor();
  });

  it("makes a pool, adds codes and tells when they run low", async () => {
    const pool = `WALK-${run}`.toUpperCase();
    await open("/coupons", "Coupons");
    await page.getByRole("button", { name: "New pool" }).first().click();
    await page.getByLabel("Name").fill(pool);
    await page.getByLabel("Warn when so few are free").fill("1");
    await inspect("coupon-new");
    await page.getByRole("button", { name: "Make the pool" }).click();
    await page.getByRole("heading", { level: 1, name: pool }).waitFor();
    await page.getByText("empty", { exact: true }).first().waitFor();
    await page.getByLabel("Codes").fill("AAA111\nBBB222\nnot a code");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("2 codes added, 0 there already, 1 refused.").first().waitFor();
    await page.getByText("Ready").first().waitFor();
    await inspect("coupon-pool");
    await page.getByRole("link", { name: "← Coupons" }).click();
    await page.getByRole("link", { name: pool }).waitFor();
    await inspect("coupons");
  });

  it("refuses a pattern that could be guessed", async () => {
    await open("/coupons", "Coupons");
    await page.getByRole("button", { name: "New pool" }).first().click();
    await page.getByLabel("Name").fill(`GUESS-${run}`.toUpperCase());
    await page.getByText("Made by a pattern").click();
    await page.getByRole("textbox", { name: "Pattern" }).fill("SPRING-**");
    await page.getByRole("button", { name: "Make the pool" }).click();
    await page.getByText("fewer could be guessed").waitFor();
  });
});
