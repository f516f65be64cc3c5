/**
 * Traits and RFM, walked in Chromium against the real binary: RAPPORT_URL and RAPPORT_TOKEN name it.
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

async function write(text: string) {
  const editor = page.getByRole("textbox", { name: "Figure" });
  await editor.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
  await page.keyboard.press("Escape");
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

describe.skipIf(!base)("traits and RFM", () => {
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

  it("lists the traits with their spread, the one that ships among them", async () => {
    await open("/traits", "Traits");
    await page.getByRole("link", { name: "engagement_score", exact: true }).waitFor();
    await inspect("traits");
    await page.getByRole("link", { name: "engagement_score", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "engagement_score" }).waitFor();
    await page.getByText("Ships with Rapport").waitFor();
    await page.getByTestId("spread").waitFor();
    await inspect("trait");
  });

  it("shows a mistake in a figure in place, then its values, and saves it", async () => {
    const name = `orders_${run}`;
    await open("/traits/new", "New trait");
    await page.getByLabel("Name").fill(name);
    await write('count "Order Completed" > 3');
    await page.getByTestId("finding").filter({ hasText: "leave out the comparison" }).waitFor();
    expect(await page.getByRole("button", { name: "Save trait" }).isDisabled()).toBe(true);
    await inspect("trait-error");
    await write('count "Order Completed" in last 6 months');
    await page.getByTestId("preview").waitFor();
    await page.getByTestId("spread").locator("li").nth(1).waitFor();
    await inspect("trait-editor");
    await page.getByRole("button", { name: "Save trait" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    await page.getByText("No condition asks for it yet").waitFor();
  });

  it("says at the name what is wrong with it", async () => {
    await open("/traits/new", "New trait");
    await page.getByLabel("Name").fill("Total Orders");
    await write('count "Order Completed"');
    await page.getByTestId("preview").waitFor();
    await page.getByRole("button", { name: "Save trait" }).click();
    await page.getByText("is written in small letters").waitFor();
    page.once("dialog", (dialog) => void dialog.accept());
  });

  it("refreshes RFM, and every count of the grid and of a group opens its people", async () => {
    await page.goto(`${base}/rfm`);
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("heading", { level: 1, name: "RFM and predictions" }).waitFor();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText(/^Refreshed: the figures of/).first().waitFor();
    await page.getByTestId("heat").waitFor();
    await inspect("rfm");
    const cell = page.getByTestId("heat").getByRole("link").first();
    const wanted = Number(((await cell.locator("strong").textContent()) ?? "").replace(/\D/g, ""));
    // What was refreshed reaches the profiles through the log.
    await expect.poll(async () => {
      const where = new URL((await cell.getAttribute("href")) ?? "", base).searchParams.get("where") ?? "";
      const answer = await page.request.get(`${base}/api/profiles?where=${encodeURIComponent(JSON.parse(`"${where.replace(/"/g, '\\"')}"`))}`);
      return ((await answer.json()) as { total: number }).total;
    }, { timeout: 20_000 }).toBe(wanted);
    await cell.click();
    await page.getByRole("heading", { level: 1, name: "Profiles" }).waitFor();
    await page.getByText("holds now").waitFor();
    await page.locator(".filters .end").filter({ hasText: /profile/ }).waitFor();
    expect(Number(((await page.locator(".filters .end").textContent()) ?? "").replace(/\D/g, ""))).toBe(wanted);
    await inspect("rfm-people");
  });
});
