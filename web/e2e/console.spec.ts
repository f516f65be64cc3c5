/**
 * Walks the console in Chromium. Against RAPPORT_URL with RAPPORT_TOKEN where they are set, else against the stand-in
 * with made-up data. Screenshots go to RAPPORT_SHOTS.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium, type Browser, type Page } from "playwright-core";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { start, TOKEN } from "../test/mock-server.mjs";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.RAPPORT_SHOTS;
let base = (process.env.RAPPORT_URL ?? "").replace(/\/$/, "");
const token = process.env.RAPPORT_URL ? (process.env.RAPPORT_TOKEN ?? "") : TOKEN;
let server: Server | undefined;
let browser: Browser;
let page: Page;
const broken: string[] = [];

beforeAll(async () => {
  if (!base) {
    server = await start();
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  if (shots) mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", bypassCSP: true });
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => broken.push(error.message));
});

afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

async function settle() {
  await page.waitForFunction(() => document.querySelector("[aria-busy='true']") === null);
}

async function inspect(name: string) {
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.waitForFunction((value) => document.documentElement.getAttribute("data-mantine-color-scheme") === value, scheme);
    const found = await page.evaluate(async () => {
      // A mail is shown as it was sent; its own markup is not the console's.
      const result = await (window as unknown as { axe: { run: (context: unknown, options: unknown) => Promise<{ violations: { id: string; nodes: { target: unknown; failureSummary?: string }[] }[] }> } }).axe.run(
        { exclude: [["iframe"]] },
        { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], iframes: false },
      );
      return result.violations.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id} at ${String(node.target)}: ${(node.failureSummary ?? "").slice(0, 220)}`));
    });
    expect.soft(found, `${name}, ${scheme}`).toEqual([]);
    if (!shots) continue;
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png` });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

async function open(path: string, heading: string) {
  await page.goto(`${base}${path}`);
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
  await settle();
}

async function first(path: string, heading: string) {
  await open(path, heading);
  const link = page.locator("table.list a.main").first();
  await link.waitFor();
  await link.click();
  await page.waitForURL((url) => url.pathname !== path);
  await page.locator(".crumb").waitFor();
  await settle();
}

describe("the console", () => {
  it("refuses a wrong token and lets the right one in", async () => {
    await page.goto(base);
    await page.getByLabel("Token", { exact: true }).fill("wrong");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByText("This token is not known").waitFor();
    await inspect("sign-in");
    await page.getByLabel("Token", { exact: true }).fill(token);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
  });

  it("shows the live pulse at home", async () => {
    await open("/", "Home");
    await page.locator(".pulse", { hasText: "events/s" }).waitFor();
    await inspect("home");
  });

  it("loads the chart after the page, into a place of its own size", async () => {
    let held = 0;
    await page.route(/\/assets\/Chart-[^/]*\.js$/, (route) => (held++ ? route.continue() : route.abort()));
    await page.goto(base);
    await page.getByRole("heading", { level: 2, name: "Latest events" }).waitFor();
    const place = page.getByTestId("chart-place");
    await place.getByRole("alert").waitFor();
    const before = await place.boundingBox();
    await page.unroute(/\/assets\/Chart-[^/]*\.js$/);
    await place.getByRole("button", { name: "Try again" }).click();
    const chart = page.getByRole("img", { name: /^Events by minute/ });
    await chart.waitFor();
    const after = await chart.boundingBox();
    expect([after?.y, after?.height]).toEqual([before?.y, before?.height]);
  });

  it("keeps the first load under 300 KB without charts and editors", () => {
    const dist = new URL("../dist/", import.meta.url);
    const html = readFileSync(new URL("index.html", dist), "utf8");
    const wanted = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
    const seen = new Set<string>();
    let size = gzipSync(html).length;
    while (wanted.length > 0) {
      const name = wanted.pop() ?? "";
      if (seen.has(name)) continue;
      seen.add(name);
      const body = readFileSync(new URL(name, dist));
      size += name.endsWith(".woff2") ? body.length : gzipSync(body).length;
      if (name.endsWith(".js")) for (const match of body.toString().matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) wanted.push(`assets/${match[1]}`);
      // A browser loads the faces for the letters that are there: the Latin one.
      if (name.endsWith(".css")) for (const match of body.toString().matchAll(/url\(\/?(assets\/inter-latin-wght-normal[^)]+\.woff2)\)/g)) wanted.push(match[1] ?? "");
    }
    expect([...seen].some((name) => name.endsWith(".woff2")), [...seen].join(" ")).toBe(true);
    expect([...seen].filter((name) => /Chart|Code|Canvas/.test(name))).toEqual([]);
    expect(size).toBeLessThan(300_000);
  });

  it("finds a profile and shows what is known of it", async () => {
    await open("/profiles", "Profiles");
    await inspect("profiles");
    await first("/profiles", "Profiles");
    await page.getByRole("heading", { name: "Identifiers" }).waitFor();
    await inspect("profile");
    await page.getByRole("tab", { name: "Timeline" }).click();
    await settle();
    await inspect("profile-timeline");
  });

  it("shows a segment's members and history", async () => {
    await open("/segments", "Segments");
    await inspect("segments");
    await first("/segments", "Segments");
    await page.getByRole("tab", { name: "History" }).click();
    await settle();
    await inspect("segment");
  });

  it("shows a mistake in a condition in place, then counts and saves the right one", async () => {
    await page.evaluate(() => localStorage.setItem("rapport-condition-mode", "text"));
    await open("/segments/new", "New segment");
    const name = `Walked ${Date.now()}`;
    await page.getByLabel("Name").fill(name);
    const editor = page.getByRole("textbox", { name: "Condition" });
    await editor.click();
    await page.keyboard.insertText("country = and");
    if (!process.env.RAPPORT_URL) {
      await page.keyboard.press("ControlOrMeta+a");
      await page.keyboard.insertText('did "Produkt Viewed" in last 30 days');
    }
    await page.getByTestId("finding").first().waitFor();
    await page.locator(".cm-lintRange-error").first().waitFor();
    expect(await page.getByRole("button", { name: "Save segment" }).isDisabled()).toBe(true);
    await inspect("segment-error");
    await editor.click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText('did "Product Viewed" in last 30 days');
    await page.getByTestId("preview").waitFor();
    await inspect("segment-editor");
    await page.getByRole("button", { name: "Save segment" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  });

  it("draws a journey with the people in it", async () => {
    await open("/journeys", "Journeys");
    await inspect("journeys");
    await first("/journeys", "Journeys");
    await page.locator(".react-flow__node").first().waitFor();
    await inspect("journey");
  });

  it("shows the whole path at any width", async () => {
    const outside = () =>
      page.evaluate(() => {
        const frame = document.querySelector("[data-testid=canvas]")!.getBoundingClientRect();
        const steps = [...document.querySelectorAll(".react-flow__node")].map((step) => step.getBoundingClientRect());
        return steps.length === 0 || steps.some((step) => step.left < frame.left - 1 || step.right > frame.right + 1 || step.top < frame.top - 1 || step.bottom > frame.bottom + 1);
      });
    for (const width of [1440, 390, 820, 390, 1440]) {
      await page.setViewportSize({ width, height: 844 });
      for (let tries = 0; tries < 40 && (await outside()); tries++) await page.waitForTimeout(50);
      expect(await outside(), `at ${width}`).toBe(false);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  it("keeps times and numbers on one line on a phone, and every list within its width", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    for (const [path, heading] of [["/profiles", "Profiles"], ["/segments", "Segments"], ["/journeys", "Journeys"], ["/messages", "Messages"], ["/events", "Events"], ["/", "Home"], ["/settings?tab=keys", "Settings"]] as const) {
      await open(path, heading);
      const wrong = await page.evaluate(() => {
        const broken = [...document.querySelectorAll("main time, main td.right, main .num, main .figure-value, main .rows .end, main .live-row .time")].filter((element) => {
          const range = document.createRange();
          range.selectNodeContents(element);
          return new Set([...range.getClientRects()].filter((one) => one.width > 0).map((one) => Math.round(one.top / 6))).size > 2;
        });
        const wide = [...document.querySelectorAll("main .tablewrap")].filter((element) => element.scrollWidth > element.clientWidth + 1);
        return [...broken, ...wide, ...(document.documentElement.scrollWidth > window.innerWidth ? [document.documentElement] : [])].map((element) => `${element.tagName} ${element.className} ${(element.textContent ?? "").slice(0, 60)}`);
      });
      expect.soft(wrong, path).toEqual([]);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  it("waits, fails and stays empty in words", async () => {
    const lists = [["/profiles", "Profiles", "Nobody is known yet"], ["/segments", "Segments", "Describe a group of people"], ["/journeys", "Journeys", "No journey yet"], ["/messages", "Messages", "No message yet"], ["/events", "Events", "No event yet"], ["/settings?tab=keys", "Settings", "No key yet"]] as const;
    // What arrives meanwhile would fill the list of events.
    await page.route(/\/api\/stream$/, (route) => route.abort());
    for (const [path, heading, words] of lists) {
      let answered = false;
      const call = new RegExp(`/api/${path.includes("keys") ? "keys" : path.slice(1)}(\\?.*)?$`);
      await page.route(call, (route) => (answered ? route.fulfill({ json: { items: [], next_cursor: null, total: 0 } }) : route.fulfill({ status: 418, json: { title: "Out of order", status: 418, code: "limited", detail: "Out of order for a moment.", errors: [] } })));
      await page.goto(`${base}${path}`);
      await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
      await page.getByRole("alert").getByText("Out of order for a moment.").waitFor();
      answered = true;
      await page.getByRole("button", { name: "Try again" }).click();
      await page.getByRole("heading", { name: words }).waitFor();
      await page.unroute(call);
    }
    await page.unroute(/\/api\/stream$/);
    let go = () => {};
    const gate = new Promise<void>((resolve) => { go = resolve; });
    await page.route(/\/api\/messages\?/, async (route) => { await gate; await route.continue(); });
    await page.goto(`${base}/messages`);
    await page.getByTestId("list-waiting").waitFor();
    go();
    await page.locator("table.list a.main").first().waitFor();
    await page.unroute(/\/api\/messages\?/);
  });

  it("explains a message step by step", async () => {
    await open("/messages", "Messages");
    await inspect("messages");
    await first("/messages", "Messages");
    await page.getByTestId("trace").locator("li").first().waitFor();
    await inspect("message");
  });

  it("shows the mail as sent in a frame that may do nothing", async () => {
    await open("/messages?state=accepted", "Messages");
    await page.locator("table.list a.main").first().click();
    const frame = page.getByTitle("The mail as sent");
    await frame.waitFor();
    const rights = await frame.evaluate((element) => ({ sandbox: element.getAttribute("sandbox"), reached: (element as HTMLIFrameElement).contentDocument !== null, script: /<script/i.test(element.getAttribute("srcdoc") ?? ""), long: (element.getAttribute("srcdoc") ?? "").length > 200 }));
    expect(rights).toEqual({ sandbox: "", reached: false, script: false, long: true });
    const steps = await page.getByTestId("trace").locator(".title > span:first-child").allTextContents();
    expect(steps.length).toBeGreaterThan(2);
    for (const sentence of await page.getByTestId("trace").locator("li > p").allTextContents()) expect(sentence.trim()).not.toMatch(/^$|^\(|^[{[]/);
  });

  it("shows events as they come and stops when asked", async () => {
    await open("/events", "Events");
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("came in since").waitFor();
    await page.locator(".live-row").first().click();
    await page.getByRole("heading", { name: "Properties" }).waitFor();
    await inspect("events");
  });

  it("answers a query as a table and as a chart", async () => {
    await open("/query", "Query");
    await page.getByRole("textbox", { name: "SQL" }).waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByTestId("answer").waitFor();
    await inspect("query");
    await page.getByText("Chart", { exact: true }).click();
    await page.locator("[data-testid=answer] [role=img] svg").first().waitFor();
    await inspect("query-chart");
  });

  it("says below the editor where a query is wrong", async () => {
    await page.getByRole("textbox", { name: "SQL" }).click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText("select name,\n  nothing\nfrom events");
    await page.keyboard.press("Escape");
    await page.keyboard.press("ControlOrMeta+Enter");
    const finding = page.getByTestId("finding");
    await finding.getByText("Line 2, column 3:").waitFor();
    expect(await finding.locator("mark").textContent()).toBe("nothing");
    await page.locator(".cm-lintRange-error").first().waitFor();
    await inspect("query-error");
    await page.evaluate(() => sessionStorage.removeItem("rapport-sql"));
  });

  it("shows the settings", async () => {
    for (const tab of ["workspace", "keys", "collector", "transport", "dkim", "server"]) {
      await open(`/settings?tab=${tab}`, "Settings");
      await inspect(`settings-${tab}`);
    }
  });

  it("goes anywhere from the keyboard", async () => {
    await open("/", "Home");
    await page.keyboard.press("ControlOrMeta+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill("query");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Query" }).waitFor();
  });

  it("finds a profile from the keyboard, also out of a field", async () => {
    await open("/profiles", "Profiles");
    const name = (await page.locator("table.list a.main").first().textContent()) ?? "";
    const field = page.getByLabel("Find profiles");
    await field.focus();
    await page.keyboard.press("ControlOrMeta+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill(name);
    await page.getByRole("option", { name: new RegExp(`^${name}`) }).first().waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.waitForFunction(() => document.activeElement?.id === "content");
  });

  it("closes every dialog by Escape and gives the focus back", async () => {
    await open("/settings?tab=keys", "Settings");
    const dialog = page.getByRole("dialog");
    const focused = (text: string) => page.waitForFunction((wanted) => `${document.activeElement?.getAttribute("aria-label") ?? ""}${document.activeElement?.textContent ?? ""}`.includes(wanted), text);
    const find = page.getByRole("button", { name: "Search or do" });
    await find.focus();
    await page.keyboard.press("Enter");
    await dialog.waitFor();
    await inspect("commands");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await focused("Search or do");
    const revoke = page.getByRole("button", { name: /^Revoke / }).first();
    if ((await revoke.count()) > 0) {
      await revoke.focus();
      await page.keyboard.press("Enter");
      await dialog.waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await focused("Revoke");
    }
    await page.setViewportSize({ width: 390, height: 844 });
    const more = page.getByRole("button", { name: "More" });
    await more.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("menu").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("menu").waitFor({ state: "detached" });
    await focused("More");
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  it("shows its shortcuts on one card and keeps still when asked to", async () => {
    await open("/events", "Events");
    expect(await page.locator(".dot.beat").evaluate((dot) => getComputedStyle(dot).animationName)).toBe("none");
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Search and commands").first().waitFor();
    await inspect("shortcuts");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  it("met no uncaught error on the way", () => {
    expect(broken).toEqual([]);
  });
});
