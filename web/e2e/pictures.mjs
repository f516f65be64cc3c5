// Takes the pictures of the README from a running `rapport demo`:
//   RAPPORT_URL=http://127.0.0.1:7700 RAPPORT_TOKEN=… node e2e/pictures.mjs [DIRECTORY]
// The directory is docs/images by default. With pngquant on the path the files come out small.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const base = (process.env.RAPPORT_URL ?? "http://127.0.0.1:7700").replace(/\/$/, "");
const out = process.argv[2] ?? fileURLToPath(new URL("../../docs/images", import.meta.url));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
page.setDefaultTimeout(60_000);
await page.goto(`${base}/?token=${process.env.RAPPORT_TOKEN ?? ""}`);
await page.getByRole("heading", { level: 1, name: "Home" }).waitFor();
const read = async (path) => (await page.request.get(`${base}/api${path}`)).json();

async function picture(name, path, ready, scheme = "light") {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.goto(base + path);
  await ready();
  await page.waitForFunction(() => document.querySelector("[aria-busy='true']") === null);
  const file = `${out}/${name}.png`;
  await page.screenshot({ path: file });
  try {
    execFileSync("pngquant", ["--force", "--skip-if-larger", "--strip", "--speed", "1", "--output", file, file]);
  } catch (error) {
    console.error(`${name}.png was not made smaller: ${error.code === "ENOENT" ? "pngquant is not installed" : error.message}`);
  }
  console.log(file);
}

await picture("home", "/", async () => {
  await page.getByRole("img", { name: /^Events by minute/ }).waitFor();
  await page.locator(".figure svg").first().waitFor();
});

await picture("segment", "/segments/new", async () => {
  await page.getByLabel("Name").fill("Looked at shoes, bought nothing");
  await page.getByText("Text", { exact: true }).click();
  await page.getByRole("textbox", { name: "Condition" }).click();
  await page.keyboard.insertText('did "Product Viewed" where category = "Shoes" in last 30 days\n  and not did "Order Completed" in last 30 days\n  and email is present');
  await page.keyboard.press("Escape");
  await page.getByTestId("preview").waitFor();
  await page.getByText("Builder", { exact: true }).click();
  await page.getByTestId("funnel").waitFor();
});
await page.evaluate(() => localStorage.removeItem("rapport-segment-draft"));

const messages = (await read("/messages?state=accepted&limit=50")).items;
const message = messages.find((one) => one.clicked_at) ?? messages.find((one) => one.opened_at) ?? messages[0];
if (message) {
  await picture("message", `/messages/${message.id}`, () => page.getByTestId("trace").locator("li").first().waitFor());
}

const [journey] = (await read("/journeys")).items;
if (journey) {
  await picture("journey", `/journeys/${journey.id}`, () => page.locator(".react-flow__node button").first().waitFor(), "dark");
}

const profiles = (await read("/profiles?limit=50")).items.sort((a, b) => b.segments - a.segments);
if (profiles[0]) await picture("profile", `/profiles/${profiles[0].id}`, () => page.getByTestId("together").locator("li").first().waitFor());

await browser.close();
