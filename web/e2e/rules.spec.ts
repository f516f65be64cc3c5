/**
 * Rules, decision tables and lists, walked in Chromium against the real binary: RAPPORT_URL and RAPPORT_TOKEN name it.
 * Without them there is nothing to walk against, and the tasks are skipped. RAPPORT_SHOTS names a directory for pictures.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const base = (process.env.RAPPORT_URL ?? "").replace(/\/$/, "");
const shots = process.env.RAPPORT_SHOTS;
const run = Date.now().toString(36);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser: Browser;
let page: Page;

async function admin<T>(method: string, path: string, data?: unknown): Promise<T> {
  const answer = await page.request.fetch(`${base}/api${path}`, { method, headers: { "x-rapport": "1" }, data });
  expect(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`).toBe(true);
  return (answer.status() === 204 ? undefined : await answer.json()) as T;
}

async function open(path: string, heading: string) {
  await page.goto(`${base}${path}`);
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
}

async function write(label: string, text: string) {
  const editor = page.getByRole("textbox", { name: label });
  await editor.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
  await page.keyboard.press("Escape");
}

async function faults(): Promise<string[]> {
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  return page.evaluate(async () => {
    const found = await (window as unknown as { axe: { run: (o: unknown) => Promise<{ violations: { id: string; nodes: { target: string[] }[] }[] }> } }).axe.run({ runOnly: ["wcag2a", "wcag2aa"] });
    return found.violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  });
}

describe.skipIf(!base)("rules and decision tables", () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
    page.setDefaultTimeout(15_000);
    await page.goto(`${base}/?token=${process.env.RAPPORT_TOKEN ?? ""}`);
    await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
  });

  afterAll(async () => {
    await browser?.close();
  });

  it("makes a segment by a query, whose members are seen before it is saved and refreshed after", async () => {
    const name = `Best ${run}`;
    await open("/segments/new/list", "New segment by a query or a list");
    await page.getByRole("textbox", { name: "Name" }).fill(name);
    await write("Query", "SELECT profile_id FROM nowhere");
    await page.getByTestId("finding").first().waitFor();
    await write("Query", "SELECT id AS profile_id FROM profiles ORDER BY id LIMIT 3");
    await page.getByText("It can be run.").waitFor();
    await page.getByRole("textbox", { name: "Runs again" }).fill("0 3 * * *");
    await page.locator(".side .figure-value").getByText("3", { exact: true }).waitFor();
    expect(await faults()).toEqual([]);
    if (shots) await page.screenshot({ path: `${shots}/segment-query-1440.png` });
    await page.getByRole("button", { name: "Save segment" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("The query was run; the members are those it names.").waitFor();
    await page.getByRole("button", { name: "Edit the query" }).click();
    await page.getByRole("heading", { level: 1, name: `Edit ${name}` }).waitFor();
  });

  it("makes a list that is filled from its page", async () => {
    const name = `Invited ${run}`;
    await open("/segments/new/list", "New segment by a query or a list");
    await page.getByRole("textbox", { name: "Name" }).fill(name);
    await page.getByText("A list", { exact: true }).click();
    await page.getByRole("button", { name: "Save segment" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    await page.locator("input[type=file]").setInputFiles({ name: "people.csv", mimeType: "text/csv", buffer: Buffer.from("profile_id\n1\n999999999\n") });
    await page.getByRole("button", { name: "Send the list" }).click();
    await page.getByTestId("uploaded").getByText("2 rows: 1 entered").waitFor();
  });

  it("makes a rule that fires, shows whom it fired for and what it granted", async () => {
    const name = `Twice ${run}`;
    const event = `Bought ${run}`;
    await open("/rules/new", "New rule");
    await page.getByLabel("Name", { exact: false }).first().fill(name);
    await write("Condition", `count "${event}" in last 60 days >`);
    await page.getByTestId("finding").getByText("Line 1, column").waitFor();
    expect(await page.getByRole("button", { name: "Save rule" }).isDisabled()).toBe(true);
    await write("Condition", `count "${event}" in last 60 days >= 2`);
    await page.getByRole("button", { name: "Add an action" }).click();
    await page.getByLabel("Code begins with").fill("nope");
    await page.getByRole("button", { name: "Save rule" }).click();
    await page.getByText("capital letters").waitFor();
    await page.getByLabel("Code begins with").fill("TWICE");
    await page.getByRole("button", { name: "Save rule" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const { key } = await admin<{ key: string }>("POST", "/keys", { name: `Rules ${run}`, kind: "server" });
    const batch = [1, 2].map((n) => ({ type: "track", event, userId: `rules-${run}`, messageId: `rules-${run}-${n}` }));
    await page.request.post(`${base}/v1/batch`, { headers: { authorization: `Basic ${Buffer.from(`${key}:`).toString("base64")}` }, data: { batch } });
    const id = new URL(page.url()).pathname.split("/").pop() ?? "";
    await expect.poll(async () => (await admin<{ fired_30_days: number }>("GET", `/rules/${id}`)).fired_30_days, { timeout: 20_000 }).toBe(1);
    await page.goto(`${base}/rules/${id}?tab=firings`);
    await page.getByText(/granted the code TWICE-[A-Z2-9]{8}/).waitFor();
    await page.goto(`${base}/rules/${id}`);
    await page.getByTestId("sentence").getByText("not over for any of the 1").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused: it fires for nobody").waitFor();
    await open("/rules", "Rules");
    await page.getByRole("link", { name }).first().waitFor();
  });

  it("makes a decision table, shows a mistake in its row, a gap, an overlap, a row that is never reached, and decides", async () => {
    const name = `Offer ${run}`;
    await open("/tables/new", "New decision table");
    await page.getByLabel("Name", { exact: false }).first().fill(name);
    for (const [row, condition] of [[1, "email is present"], [2, "email is presnt"]] as const) {
      await page.getByRole("button", { name: "Add a row" }).click();
      await write(`Condition of row ${row}`, condition);
    }
    await page.getByTestId("row").nth(1).getByTestId("finding").getByText("Line 1, column").waitFor();
    await write("Condition of row 2", 'email ends with "@example.com"');
    await page.getByTestId("row").nth(1).getByText("never reached").waitFor();
    await page.getByTestId("outlook").getByText("both hold for").waitFor();
    await page.getByRole("button", { name: "Move row 2 up" }).click();
    await page.getByText("never reached").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Save table" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.getByLabel("Profile", { exact: true }).fill("1");
    await page.getByRole("button", { name: "Decide" }).click();
    await page.getByTestId("decision").waitFor();
  });

  it("keeps to WCAG AA and the window's width, light and dark, wide and narrow", async () => {
    if (shots) mkdirSync(shots, { recursive: true });
    const places: [string, string, string][] = [["/rules", "Rules", "rules"], ["/rules/loyalty-discount", "Loyalty discount", "rule"], ["/rules/loyalty-discount/edit", "Edit Loyalty discount", "rule-editor"], ["/tables", "Decision tables", "tables"], ["/tables/discount", "Discount", "table"]];
    for (const [width, height] of [[1440, 900], [390, 844]] as const) {
      await page.setViewportSize({ width, height });
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        for (const [path, heading, shot] of places) {
          await open(path, heading);
          await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
          if (shots) await page.screenshot({ path: `${shots}/${shot}-${scheme}-${width}.png`, fullPage: true });
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(wide, `${path} at ${width}`).toBeLessThanOrEqual(0);
          expect(await faults(), `${path} ${scheme} ${width}`).toEqual([]);
        }
      }
    }
  }, 240_000);
});
