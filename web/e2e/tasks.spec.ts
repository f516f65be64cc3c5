/**
 * The main tasks of the console, walked in Chromium against the real binary: RAPPORT_URL and RAPPORT_TOKEN name it.
 * Without them there is nothing to walk against, and the tasks are skipped.
 */
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const base = (process.env.RAPPORT_URL ?? "").replace(/\/$/, "");
const run = Date.now().toString(36);
let browser: Browser;
let page: Page;
let key = "";

async function admin<T>(method: string, path: string, data?: unknown): Promise<T> {
  const answer = await page.request.fetch(`${base}/api${path}`, { method, headers: { "x-rapport": "1" }, data });
  expect(answer.ok(), `${method} ${path}: ${answer.status()}`).toBe(true);
  return (answer.status() === 204 ? undefined : await answer.json()) as T;
}

async function send(call: string, body: unknown, writeKey = key) {
  return page.request.post(`${base}/v1/${call}`, { headers: { authorization: `Basic ${Buffer.from(`${writeKey}:`).toString("base64")}` }, data: body });
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

/** The large numeral with a name, as a number. */
async function figure(name: string): Promise<number> {
  const text = (await page.locator(".figure", { has: page.locator(".name", { hasText: name }) }).locator(".figure-value").first().textContent()) ?? "";
  return Number(text.replace(/[^\d]/g, ""));
}

describe.skipIf(!base)("the main tasks", () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
    page.setDefaultTimeout(15_000);
    await page.goto(`${base}/?token=${process.env.RAPPORT_TOKEN ?? ""}`);
    await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
    expect(new URL(page.url()).search).toBe("");
    key = (await admin<{ key: string }>("POST", "/keys", { name: `Walk ${run}`, kind: "server" })).key;
  });

  afterAll(async () => {
    await browser?.close();
  });

  it("edits a segment: sees the mistake in place, saves the right one, watches the count", async () => {
    const name = `Everyone ${run}`;
    const made = await admin<{ id: string }>("POST", "/segments", { name, description: "", where: 'did "Never Happened" in last 30 days' });
    await open(`/segments/${made.id}`, name);
    expect(await figure("Members now")).toBe(0);
    await page.evaluate(() => localStorage.setItem("rapport-condition-mode", "text"));
    await page.getByRole("button", { name: "Edit the condition" }).click();
    await page.getByRole("heading", { level: 1, name: `Edit ${name}` }).waitFor();
    await write("Condition", "email is presnt");
    await page.getByTestId("finding").getByText("Line 1, column").waitFor();
    await page.locator(".cm-lintRange-error").first().waitFor();
    expect(await page.getByRole("button", { name: "Save segment" }).isDisabled()).toBe(true);
    await write("Condition", "email is present");
    await page.getByTestId("difference").getByText("more").waitFor();
    await page.getByRole("button", { name: "Save segment" }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    await expect.poll(() => figure("Members now"), { timeout: 20_000, interval: 250 }).toBeGreaterThan(10);
    await page.getByRole("tab", { name: "Members" }).click();
    await page.locator("table.list a.main").first().waitFor();
  });

  it("finds a profile and sees how its identifiers came together", async () => {
    const [anonymous, user, email] = [`browser-${run}`, `user-${run}`, `walk-${run}@shop.example`];
    await send("track", { anonymousId: anonymous, event: "Product Viewed", properties: { name: "Walked boot" } });
    await send("identify", { anonymousId: anonymous, userId: user, traits: { email } });
    await open("/profiles", "Profiles");
    await page.getByLabel("Find profiles").fill(email);
    const found = page.locator("table.list a.main");
    await expect.poll(async () => {
      await page.getByLabel("Find profiles").fill(email.slice(0, -1));
      await page.getByLabel("Find profiles").fill(email);
      return (await found.count()) === 1;
    }, { timeout: 15_000, interval: 600 }).toBe(true);
    await found.first().click();
    const story = page.getByTestId("together");
    for (const identifier of [anonymous, user, email]) await story.getByText(identifier, { exact: true }).waitFor();
    expect(await story.locator("li").first().textContent()).toContain(anonymous);
    await page.getByRole("tab", { name: "Timeline" }).click();
    await page.getByRole("button", { name: /Product Viewed.*Walked boot/ }).waitFor();
    await page.getByRole("tab", { name: "Segments" }).click();
    await page.getByRole("button", { name: /^Why in Everyone/ }).click();
    await page.getByTestId("explanation").getByText("In this segment").waitFor();
  });

  it("splits a profile after saying which events go where", async () => {
    const [tablet, user, email] = [`tablet-${run}`, `clerk-${run}`, `clerk-${run}@shop.example`];
    await send("track", { anonymousId: tablet, event: "Product Viewed", properties: { name: "Somebody else's boot" } });
    await send("identify", { anonymousId: tablet, userId: user, traits: { email } });
    const find = async () => (await admin<{ items: { id: number }[] }>("GET", `/profiles?q=${encodeURIComponent(email)}`)).items;
    await expect.poll(async () => (await find()).length, { timeout: 15_000, interval: 250 }).toBe(1);
    const [clerk] = await find();
    await open(`/profiles/${clerk?.id}`, email);
    await page.getByRole("button", { name: "Split", exact: true }).click();
    const dialog = page.getByRole("dialog");
    const split = dialog.getByRole("button", { name: "Split the profile" });
    await dialog.getByText("Nothing is ticked yet.").waitFor();
    expect(await split.isDisabled()).toBe(true);
    await dialog.getByRole("checkbox", { name: tablet }).check();
    await dialog.getByTestId("split-outlook").getByText(/1 event goes to/).waitFor();
    await dialog.getByText("1 of them because it names both people").waitFor();
    await dialog.getByLabel("Why").fill("A tablet in the shop");
    await split.click();
    await page.waitForURL((url) => /^\/profiles\/\d+$/.test(url.pathname) && url.pathname !== `/profiles/${clerk?.id}`);
    await page.getByTestId("together").getByText(tablet, { exact: true }).waitFor();
    await page.getByText(`It was split off from profile ${clerk?.id}: A tablet in the shop`).waitFor();
    await page.getByRole("tab", { name: "Timeline" }).click();
    await page.getByRole("button", { name: /Product Viewed.*Somebody else/ }).waitFor();
    await page.goto(`${base}/profiles/${clerk?.id}`);
    await page.getByTestId("together").getByText(email, { exact: true }).waitFor();
    expect(await page.getByTestId("together").getByText(tablet, { exact: true }).count()).toBe(0);
  });

  it("pauses a journey after saying what that does, and resumes it", async () => {
    const [first] = (await admin<{ items: { id: string; name: string }[] }>("GET", "/journeys")).items;
    await open(`/journeys/${first?.id}`, first?.name ?? "");
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByRole("dialog").getByText("nobody new enters").waitFor();
    await page.getByRole("button", { name: "Pause it" }).click();
    await page.getByText("Paused: nobody enters.").waitFor();
    expect((await admin<{ status: string }>("GET", `/journeys/${first?.id}`)).status).toBe("paused");
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByRole("button", { name: "Resume it" }).click();
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    expect((await admin<{ status: string }>("GET", `/journeys/${first?.id}`)).status).toBe("live");
  });

  it("opens the people who wait at a step from the path", async () => {
    await page.getByRole("tab", { name: "Steps as a table" }).click();
    await page.getByRole("link", { name: /^[1-9]/ }).first().waitFor();
    await page.getByRole("tab", { name: "Path" }).click();
    await page.locator(".react-flow__node button").first().click();
    await page.waitForURL((url) => url.searchParams.get("tab") === "people" && url.searchParams.has("step"));
    await page.getByRole("combobox", { name: "At step" }).waitFor();
  });

  it("shows a refused event with its reason, live and after", async () => {
    await open("/events?outcome=rejected", "Events");
    const answer = await send("track", { userId: `refused-${run}` });
    expect((await answer.text())).toContain("no_event");
    const row = page.locator(".live-row", { hasText: `refused-${run}` }).first();
    await row.waitFor();
    expect(await row.textContent()).toContain("names its event");
    await row.click();
    await page.getByText("Refused: it is kept in quarantine").waitFor();
    await page.getByRole("tab", { name: "Quarantine" }).click();
    await page.getByText("names its event").first().waitFor();
  });

  it("puts a mistyped query right, draws it, and hands it on as an address and a file", async () => {
    await open("/query", "Query");
    await write("SQL", "select nme, count(*) as times\nfrom events\ngroup by nme");
    await page.keyboard.press("ControlOrMeta+Enter");
    const finding = page.getByTestId("finding");
    await finding.getByText("Line 1, column 8:").waitFor();
    await write("SQL", "select name, count(*) as times\nfrom events\ngroup by name\norder by times desc");
    await page.keyboard.press("ControlOrMeta+Enter");
    const answer = page.getByTestId("answer");
    await answer.getByRole("cell", { name: "Product Viewed" }).waitFor();
    await finding.waitFor({ state: "detached" });
    await page.reload();
    await answer.getByRole("cell", { name: "Product Viewed" }).waitFor();
    const saved = page.waitForEvent("download");
    await answer.getByRole("button", { name: "CSV" }).click();
    const stream = await (await saved).createReadStream();
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(Buffer.from(part as Uint8Array));
    expect(Buffer.concat(parts).toString().split("\r\n")[0]).toBe("name,times");
    await page.getByText("Chart", { exact: true }).click();
    await answer.locator("[role=img] svg text", { hasText: "Product Viewed" }).waitFor();
    await page.getByRole("button", { name: "History" }).click();
    await page.getByRole("menuitem", { name: /^select name, count/ }).first().waitFor();
    await page.keyboard.press("Escape");
  });

  it("makes a key that is shown once and works, and revokes it", async () => {
    await open("/settings?tab=keys", "Settings");
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill(`Shop ${run}`);
    await page.getByRole("button", { name: "Create key" }).click();
    const shown = (await page.getByTestId("made-key").locator("pre").first().textContent()) ?? "";
    expect(shown).toMatch(/^server_[0-9a-f]{40}$/);
    expect((await send("track", { userId: "walker", event: "Key Tried" }, shown)).status()).toBe(200);
    await page.getByRole("button", { name: "I have stored it" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.reload();
    await page.getByText(`Shop ${run}`).waitFor();
    expect(await page.content()).not.toContain(shown);
    await page.getByRole("button", { name: `Revoke Shop ${run}` }).click();
    await page.getByRole("button", { name: "Revoke", exact: true }).click();
    await page.getByText(`“Shop ${run}” is revoked.`).waitFor();
    await page.getByRole("button", { name: `Revoke Shop ${run}` }).waitFor({ state: "detached" });
    expect((await send("track", { userId: "walker", event: "Key Tried" }, shown)).status()).toBe(401);
  });

  it("finds a message from the keyboard by its recipient", async () => {
    const [message] = (await admin<{ items: { id: string; to: string }[] }>("GET", "/messages?state=accepted&limit=1")).items;
    await open("/", "Home");
    await page.keyboard.press("ControlOrMeta+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill(message?.to ?? "");
    await page.getByRole("option", { name: /Message$/ }).first().click();
    await page.waitForURL((url) => url.pathname.startsWith("/messages/"));
    await page.getByTestId("trace").waitFor();
  });

  it("says how mail leaves and offers a change only where the server allows one", async () => {
    const settings = await admin<{ transport: { editable?: boolean } }>("GET", "/settings");
    await open("/settings?tab=transport", "Settings");
    await page.getByText("Built-in inbox").first().waitFor();
    expect(await page.getByRole("heading", { name: "Change it", exact: true }).count()).toBe(settings.transport.editable ? 1 : 0);
  });
});
