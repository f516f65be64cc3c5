/**
 * Segments from the builder to the page, walked in Chromium against the real binary: RAPPORT_URL and RAPPORT_TOKEN name it.
 * Without them there is nothing to walk against, and the tasks are skipped. Screenshots go to RAPPORT_SHOTS.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.RAPPORT_SHOTS;
const base = (process.env.RAPPORT_URL ?? "").replace(/\/$/, "");
const run = Date.now().toString(36);
const broken: string[] = [];
let browser: Browser;
let page: Page;

async function inspect(name: string) {
  await page.waitForFunction(() => document.querySelector("[aria-busy='true']") === null);
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.waitForFunction((value) => document.documentElement.getAttribute("data-mantine-color-scheme") === value, scheme);
    const found = await page.evaluate(async () => {
      const result = await (window as unknown as { axe: { run: (context: unknown, options: unknown) => Promise<{ violations: { id: string; nodes: { target: unknown; failureSummary?: string }[] }[] }> } }).axe.run(
        document,
        { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], iframes: false },
      );
      return result.violations.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id} at ${String(node.target)}: ${(node.failureSummary ?? "").slice(0, 220)}`));
    });
    expect.soft(found, `${name}, ${scheme}`).toEqual([]);
    if (!shots) continue;
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: true });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

async function admin<T>(method: string, path: string, data?: unknown): Promise<T> {
  const answer = await page.request.fetch(`${base}/api${path}`, { method, headers: { "x-rapport": "1" }, data });
  expect(answer.ok(), `${method} ${path}: ${answer.status()}`).toBe(true);
  return (answer.status() === 204 ? undefined : await answer.json()) as T;
}

async function open(path: string, heading: string) {
  await page.goto(`${base}${path}`);
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
}

/** Forgets what the browser keeps, from a page that keeps nothing. */
async function forget(mode?: "text") {
  await open("/", "Home");
  await page.evaluate((kept) => {
    localStorage.clear();
    if (kept) localStorage.setItem("rapport-condition-mode", kept);
  }, mode);
}

/** Adds a condition to a group by its menu. */
async function add(group: Locator, form: string) {
  await group.getByRole("button", { name: "Condition", exact: true }).last().click();
  await page.getByRole("menuitem", { name: form }).first().click();
}

/** Fills in a name and closes its list. */
async function name(field: Locator, value: string) {
  await field.fill(value);
  await field.press("Escape");
}

const builder = () => page.getByTestId("builder");
const group = (words: string) => builder().getByRole("group", { name: words });
const sentence = () => page.getByTestId("sentence");

describe.skipIf(!base)("segments", () => {
  beforeAll(async () => {
    if (shots) mkdirSync(shots, { recursive: true });
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", bypassCSP: true });
    page.setDefaultTimeout(15_000);
    page.on("dialog", (dialog) => void dialog.accept());
    page.on("pageerror", (error) => broken.push(error.message));
    await page.goto(`${base}/?token=${process.env.RAPPORT_TOKEN ?? ""}`);
    await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
  });

  afterAll(async () => {
    await browser?.close();
  });

  it("builds a nested condition by clicking, goes to the text and back, saves, and shows the members", async () => {
    const title = `Clicked ${run}`;
    await forget();
    await open("/segments/new", "New segment");
    await page.getByLabel("Name", { exact: false }).first().fill(title);
    await builder().waitFor();
    await add(builder(), "Did an event");
    await name(builder().getByRole("combobox", { name: "Event" }).or(builder().getByLabel("Event", { exact: true })).first(), "Product Viewed");
    await builder().getByRole("button", { name: "where" }).click();
    await name(builder().getByLabel("Property of Product Viewed"), "category");
    await builder().getByLabel("category", { exact: true }).click();
    await page.getByRole("option", { name: /Shoes/ }).click();
    await sentence().getByText("Did “Product Viewed” where category is “Shoes” in the last 30 days.").waitFor();
    await page.getByTestId("preview").waitFor();

    await builder().getByRole("button", { name: "Group", exact: true }).click();
    const inner = group("group of which any holds");
    await add(inner, "Attribute country");
    await name(inner.getByLabel("Attribute", { exact: true }), "country");
    await inner.getByLabel("country: test").selectOption("in");
    const values = inner.getByLabel("country", { exact: true });
    await values.fill("FR");
    await values.press("Enter");
    await values.fill("DE");
    await values.press("Enter");
    await values.press("Escape");
    await add(inner, "How often");
    await name(inner.getByLabel("Event", { exact: true }), "Order Completed");
    await inner.getByLabel("Times", { exact: true }).fill("1");
    await sentence().getByText("either (country is one of “FR”, “DE”, or “Order Completed” happened at least once in the last 60 days)").or(sentence().getByText("country is one of “FR”, “DE”")).first().waitFor();
    await page.getByTestId("funnel").locator("li").nth(1).waitFor();
    await inspect("builder");

    await page.getByText("Text", { exact: true }).click();
    const editor = page.getByRole("textbox", { name: "Condition" });
    await editor.waitFor();
    expect((await editor.textContent())?.replace(/\s+/g, " ")).toBe('did "Product Viewed" where category = "Shoes" in last 30 days and (country in ("FR", "DE") or count "Order Completed" in last 60 days >= 1)');
    await page.getByText("Builder", { exact: true }).click();
    await group("group of which any holds").waitFor();
    expect(await builder().getByRole("combobox", { name: "country: test" }).inputValue()).toBe("in");

    await page.getByRole("button", { name: "Save segment" }).click();
    await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
    await page.locator("table.list a.main").first().waitFor({ timeout: 30_000 });
    await inspect("segment-members");
  }, 120_000);

  it("moves a part by the arrow keys and takes it back", async () => {
    await open(`/segments/new?where=${encodeURIComponent('country = "FR" and age > 30 and vip = true')}`, "New segment");
    const order = async () => builder().getByLabel("Attribute", { exact: true }).evaluateAll((fields) => fields.map((field) => (field as HTMLInputElement).value).join(" "));
    await builder().getByLabel("Attribute", { exact: true }).nth(2).waitFor();
    expect(await order()).toBe("country age vip");
    const handle = builder().getByRole("button", { name: /^Move: attribute vip/ });
    await handle.focus();
    await page.keyboard.press("ArrowUp");
    await expect.poll(order).toBe("country vip age");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toMatch(/^Move: attribute vip/);
    await page.keyboard.press("ArrowRight");
    await sentence().getByText("either (country is “FR”, or vip is true), and age is above 30").waitFor();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ControlOrMeta+z");
    await page.keyboard.press("ControlOrMeta+z");
    await page.keyboard.press("ControlOrMeta+z");
    await expect.poll(order).toBe("country age vip");
    await page.keyboard.press("ControlOrMeta+Shift+z");
    await expect.poll(order).toBe("country vip age");
  });

  it("drags a part into a group", async () => {
    await open(`/segments/new?where=${encodeURIComponent('country = "FR" and (age > 30 or vip = true)')}`, "New segment");
    const inner = group("group of which any holds");
    await inner.waitFor();
    await builder().getByRole("button", { name: /^Move: attribute country/ }).dragTo(inner.locator("ol > li").nth(1));
    await expect.poll(async () => inner.getByLabel("Attribute", { exact: true }).count()).toBe(3);
  });

  it("marks what is wrong at its part, and edits one part as text", async () => {
    await forget();
    await open("/segments/new?where=everyone", "New segment");
    await builder().getByText("everyone", { exact: true }).waitFor();
    await add(builder(), "Random share");
    await builder().getByText("Give the draw a name").waitFor();
    expect(await page.getByRole("button", { name: "Save segment" }).isDisabled()).toBe(true);
    await builder().getByLabel("Name of the draw").fill("spring");
    await builder().getByLabel("To per cent").fill("400");
    await builder().getByText("a share is from 0% to 100%").waitFor();
    await builder().getByLabel("To per cent").fill("40");
    await sentence().getByText("the first 40% of the draw “spring”").waitFor();
    await builder().getByRole("button", { name: "Actions: everyone" }).click();
    await page.getByRole("menuitem", { name: "Edit as text" }).click();
    const text = builder().getByRole("textbox", { name: "This part as text" });
    await expect.poll(() => text.inputValue()).toBe("everyone");
    await text.fill("country =");
    await builder().getByRole("button", { name: "Apply" }).click();
    await builder().getByText("expected a number").waitFor();
    await page.getByTestId("funnel").waitFor();
    await inspect("builder-fault");
    await text.fill('not (country = "FR" or country = "DE")');
    await builder().getByRole("button", { name: "Apply" }).click();
    await group("group of which any holds").waitFor();
    await sentence().getByText("None of (country is “FR”, or country is “DE”)").waitFor();
    await inspect("builder-text");
  });

  it("keeps an unsaved condition, also one that is not complete", async () => {
    await forget();
    await open("/segments/new", "New segment");
    await add(builder(), "Sequence");
    await builder().getByText("Choose an event.").waitFor();
    await name(builder().getByLabel("First event"), "Product Added");
    await page.reload();
    await expect.poll(() => builder().getByLabel("First event").inputValue()).toBe("Product Added");
    await page.getByText("Text", { exact: true }).click();
    await page.getByText("One part is not complete").waitFor();
    await name(builder().getByLabel("Event of step 2"), "Order Completed");
    await page.getByText("Text", { exact: true }).click();
    await page.getByRole("textbox", { name: "Condition" }).getByText('"Product Added" then "Order Completed" within 2 hours').waitFor();
  });

  it("completes names and values in the text and says what a word means", async () => {
    await forget("text");
    await open("/segments/new", "New segment");
    const editor = page.getByRole("textbox", { name: "Condition" });
    await editor.click();
    await page.keyboard.type("did ");
    await page.keyboard.type('"Order C');
    await page.locator(".cm-tooltip-autocomplete").getByText("Order Completed").click();
    await expect.poll(() => editor.textContent()).toBe('did "Order Completed"');
    await page.keyboard.type(" where (");
    await page.keyboard.type("rev");
    await page.locator(".cm-tooltip-autocomplete").getByText("revenue").waitFor();
    await page.keyboard.press("Escape");
    await editor.press("ControlOrMeta+a");
    await page.keyboard.type("country = ");
    await page.keyboard.type('"');
    await page.locator(".cm-tooltip-autocomplete").getByText('"FR"').waitFor();
    await page.keyboard.press("Escape");
    await editor.press("ControlOrMeta+a");
    await page.keyboard.insertText('count "Order Completed" > 3');
    await page.keyboard.press("Escape");
    await editor.locator("span", { hasText: /^count$/ }).hover();
    await page.locator(".cm-meaning").getByText("Zero counts as a value").waitFor();
    await forget();
  });

  it("shows growth with causes, overlap, attributes, and what refers to a segment", async () => {
    const [first, second, third] = (await admin<{ items: { id: string; name: string; count: number }[] }>("GET", "/segments")).items.filter((segment) => segment.count > 0);
    const used = await admin<{ id: string }>("POST", "/segments", { name: `Refers ${run}`, description: "", where: { type: "and", all: [{ type: "in_segment", segment: first?.id }, { type: "everyone" }] } });
    await open(`/segments/${first?.id}?tab=history`, first?.name ?? "");
    await page.getByTestId("days").locator("tbody tr").first().waitFor();
    await page.getByTestId("causes").locator("tbody tr").first().waitFor();
    await inspect("segment-history");
    await page.getByRole("tab", { name: "Overlap" }).click();
    await page.getByTestId("regions").locator("tbody tr").nth(2).waitFor();
    await inspect("segment-overlap");
    await open(`/segments/${first?.id}?tab=overlap&with=${second?.id}&and=${third?.id}`, first?.name ?? "");
    await page.getByTestId("regions").locator("tbody tr").nth(6).waitFor();
    await inspect("segment-overlap-three");
    const region = page.getByTestId("regions").getByRole("link").first();
    const many = Number(((await region.textContent()) ?? "").replace(/\D/g, ""));
    await region.click();
    await page.getByRole("heading", { level: 1, name: "New segment" }).waitFor();
    const counted = Number(((await page.getByTestId("preview").locator(".figure-value").textContent()) ?? "").replace(/\D/g, ""));
    // People come and go while the demo shop is open.
    expect(Math.abs(counted - many)).toBeLessThan(Math.max(20, many / 2));
    await open(`/segments/${first?.id}?tab=attributes`, first?.name ?? "");
    await page.getByTestId("coverage").getByText("country", { exact: true }).waitFor();
    await inspect("segment-attributes");
    await page.getByRole("tab", { name: "Used by" }).click();
    await page.getByTestId("dependents").getByRole("link", { name: `Refers ${run}` }).click();
    await page.waitForURL((url) => url.pathname === `/segments/${used.id}`);
  });

  it("explains a person as a tree with values and says when they leave", async () => {
    const segment = await admin<{ id: string; name: string }>("POST", "/segments", { name: `Leaves ${run}`, description: "", where: 'did "Product Viewed" in last 30 days and not did "Never Happened"' });
    await expect.poll(async () => (await admin<{ items: unknown[] }>("GET", `/segments/${segment.id}/members`)).items.length, { timeout: 30_000, interval: 300 }).toBeGreaterThan(0);
    await open(`/segments/${segment.id}`, segment.name);
    await page.getByRole("button", { name: /^Why / }).first().click();
    const explanation = page.getByTestId("explanation");
    await explanation.getByText("Will leave").waitFor();
    await explanation.getByText("if nothing happens").waitFor();
    await explanation.getByText("Because of “Product Viewed”").waitFor();
    await inspect("segment-why");
  });

  it("met no uncaught error on the way", () => {
    expect(broken).toEqual([]);
  });
});
