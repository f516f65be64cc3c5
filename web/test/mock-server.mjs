// A stand-in for the server with made-up data, to look at the console and to test its walk. Not shipped.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import * as data from "./fixtures.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
export const TOKEN = "synthetic-token";
const list = (items, limit = 50) => ({ items: items.slice(0, limit), next_cursor: null, total: items.length });
const segments = [...data.segments];
const known = (name, type, values = []) => ({ name, type, count: 2180, values: values.map((value, index) => ({ value, count: 900 - index * 100 })), elements: [] });
const vocabulary = { profiles: 2180, attributes: [known("country", "text", ["DE", "FR"]), known("plan", "text", ["pro", "team"])], events: ["Product Viewed", "Product Added", "Order Completed", "Email Opened"].map((name, index) => ({ name, count: 4000 - index * 900 })), segments, topics: ["news"] };
const properties = [known("category", "text", ["Shoes", "Bags", "Coats"]), known("revenue", "number")];
const tree = { type: "did", event: { name: "Product Viewed", where: null }, window: { type: "in_last", span: { amount: 30, unit: "days" } } };
const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);

function check(where) {
  const known = vocabulary.events.map((event) => event.name);
  for (const match of where.matchAll(/did "([^"]*)"/g)) {
    if (known.includes(match[1])) continue;
    const offset = match.index + 4;
    const before = where.slice(0, offset).split("\n");
    return [{ path: "where", line: before.length, column: before.at(-1).length + 1, offset, message: `no event is named "${match[1]}"`, expected: [], nearest: known.find((name) => name[0] === match[1][0]) ?? null }];
  }
  return where.trim().length < 8 ? [{ path: "where", line: 1, column: where.length + 1, offset: where.length, message: "the condition ends too early", expected: ["did", "count", "an attribute"], nearest: null }] : [];
}

function api(method, path, query, body) {
  const [, first, second, third] = path.split("/");
  const problem = (status, errors = []) => [status, { type: "/docs/errors#x", title: "Refused", status, code: "invalid", detail: "", errors }];
  if (first === "overview") return [200, data.overview()];
  if (first === "events") return [200, second === "names" ? list(data.overview().top_events.map((row) => ({ ...row, last_at: new Date().toISOString() }))) : list(data.events.filter((row) => (!query.get("outcome") || row.outcome === query.get("outcome")) && (!query.get("name") || row.name === query.get("name"))))];
  if (first === "quarantine") return [200, list([{ id: "q-1", received_at: data.events[0].at, source: "browser", reasons: [{ code: "json", message: "the body is not JSON" }], body: "{\"userId\":" }])];
  if (first === "profiles") {
    if (!second) return [200, list(data.profiles.filter((row) => row.display.startsWith(query.get("q") ?? "")), Number(query.get("limit") ?? 50))];
    const row = data.profiles[Number(second) - 1];
    if (!row) return problem(404);
    if (third === "timeline") return [200, list(data.events.slice(0, 20).map((event) => ({ at: event.at, kind: "event", title: event.name, detail: null, data: event.properties })))];
    if (third === "messages") return [200, list(data.messages.filter((one) => one.profile_id === row.id))];
    return [200, data.profile(row)];
  }
  if (first === "segments") {
    if (second === "vocabulary") return [200, third === "event" ? { name: query.get("name"), events: 2000, properties } : vocabulary];
    if (second === "check") { const text = typeof body.where === "string" ? body.where : 'did "Product Viewed" in last 30 days'; const errors = check(text); return [200, { ok: errors.length === 0, errors, warnings: [], sentence: errors.length ? "" : "People who did this in the last 30 days.", text, json: errors.length ? null : tree }]; }
    if (second === "funnel") return [200, { total: 2180, clauses: [{ text: "a", sentence: "Did “Product Viewed” in the last 30 days.", alone: 1500, together: 1500 }, { text: "b", sentence: "Did not do “Order Completed” in the last 30 days.", alone: 1900, together: 1284 }] }];
    if (second === "past") return [200, { points: [1100, 1150, 1190, 1204, 1230, 1270, 1284].map((many, index) => ({ at: new Date(Date.now() - (6 - index) * 5 * 86_400_000).toISOString(), count: many })) }];
    if (second === "overlap") { const ids = query.get("ids").split(","); return [200, { segments: ids.map((id) => ({ id, name: segments.find((one) => one.id === id)?.name ?? id, count: 500 })), regions: Array.from({ length: 2 ** ids.length - 1 }, (_, index) => ({ inside: ids.filter((_, at) => (index + 1) & (1 << at)), count: 100 + index, where: "everyone" })), any: 700, total: 2180 }]; }
    if (third === "growth") return [200, { since: new Date(Date.now() - 9 * 86_400_000).toISOString(), days: Array.from({ length: 10 }, (_, index) => ({ day: day(9 - index), members: 1200 + index * 9, entered: 30 + index, exited: 21 + index, causes: [{ cause: "Product Viewed", entered: 30 + index, exited: 0 }] })), causes: [{ cause: "Product Viewed", entered: 345, exited: 0 }, { cause: "time passed", entered: 0, exited: 255 }] }];
    if (third === "coverage") return [200, { members: 1284, profiles: 2180, attributes: vocabulary.attributes.map((row) => ({ ...row, count: 1200, everyone: 2000 })) }];
    if (third === "dependents") return [200, list([{ kind: "journey", id: "cart-left", name: "Cart left behind", place: "its trigger" }])];
    if (second === "preview") { const errors = check(body.where); return errors.length ? problem(422, errors) : [200, { count: 1284, total: 2180, sample: data.profiles.slice(0, 8), took_ms: 14, sentence: "" }]; }
    if (method === "POST") { const made = { ...data.segments[0], ...body, id: `made-${segments.length}`, count: 0, status: "building" }; segments.push(made); return [201, made]; }
    if (!second) return [200, list(segments)];
    const row = segments.find((one) => one.id === second);
    if (!row) return problem(404);
    if (third === "members") return [200, list(data.profiles.map((one) => ({ ...one, since: one.created_at })))];
    if (third === "history") return [200, list(data.profiles.slice(0, 20).map((one, index) => ({ at: one.last_seen_at, profile_id: one.id, display: one.display, change: index % 3 ? "entered" : "exited", cause: index % 3 ? "Product Viewed" : "the window of 30 days passed" })))];
    if (third === "explain") return [200, data.explanation];
    return [200, row];
  }
  if (first === "conditions") return second === "hint" ? [200, { hint: null }] : [200, { items: [] }];
  if (first === "journeys") {
    if (!second) return [200, list(data.journeys)];
    if (third === "entries") return [200, list(data.profiles.slice(0, 30).map((one) => ({ entry_id: `e-${one.id}`, profile_id: one.id, display: one.display, node: "wait", entered_at: one.last_seen_at, due_at: null, exited_at: null })))];
    return [200, data.journeys.find((one) => one.id === second)];
  }
  if (first === "messages") {
    if (!second) return [200, list(data.messages.filter((row) => (!query.get("state") || row.state === query.get("state"))))];
    const row = data.messages.find((one) => one.id === second);
    return row ? [200, data.message(row)] : problem(404);
  }
  if (first === "query" && second !== "schema" && /\bnothing\b/.test(body.sql)) return [422, { type: "/docs/errors#x", title: "Refused", status: 422, code: "invalid", detail: "No field named nothing. Valid fields are events.name, events.at.", errors: [] }];
  if (first === "query") return second === "schema" ? [200, { tables: [{ name: "events", columns: [{ name: "name", type: "Utf8" }, { name: "at", type: "Timestamp" }, { name: "profile_id", type: "Int64" }] }, { name: "profiles", columns: [{ name: "id", type: "Int64" }] }] }] : [200, { columns: [{ name: "name", type: "Utf8" }, { name: "events", type: "Int64" }], rows: data.overview().top_events.map((row) => [row.name, row.count]), truncated: false, took_ms: 9 }];
  if (first === "settings") return [200, { workspace: { id: 1, name: "Synthetic shop", timezone: "UTC", brand_color: "#3451c9", postal_address: "1 Example Street", from_name: "Synthetic shop", from_email: "shop@example.com", reply_to: "" }, transport: { kind: "inbox" }, limits: { event_bytes_max: 32768 }, data_dir: "./shop", store: "sqlite" }];
  if (first === "keys") return [200, list([{ id: "k-1", name: "Web shop", kind: "browser", created_at: data.events[9].at, last_used_at: data.events[0].at }])];
  if (first === "dkim") return [200, { selector: "r1", record_name: "r1._domainkey.example.com", record_value: "v=DKIM1; k=rsa; p=SYNTHETIC" }];
  return problem(404);
}

/** Starts the stand-in; answers the server once it listens. */
export function start(port = 0) {
  const dist = new URL("../dist", import.meta.url).pathname;
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://x");
    const send = (status, body, headers = {}) => { response.writeHead(status, { "content-type": "application/json", ...headers }); response.end(body === undefined ? undefined : JSON.stringify(body)); };
    if (url.pathname.startsWith("/api")) {
      let text = "";
      for await (const chunk of request) text += chunk;
      const body = text ? JSON.parse(text) : {};
      const path = url.pathname.slice(4);
      const known = (request.headers.cookie ?? "").includes("rapport_session=1");
      if (path === "/session" && request.method === "POST") return body.token === TOKEN ? send(204, undefined, { "set-cookie": "rapport_session=1; HttpOnly; SameSite=Strict; Path=/" }) : send(401, { title: "Not known", status: 401, code: "denied" });
      if (path === "/session" && request.method === "DELETE") return send(204, undefined, { "set-cookie": "rapport_session=; Max-Age=0; Path=/" });
      if (!known) return send(401, { title: "Sign in", status: 401, code: "denied" });
      if (path === "/session") return send(200, { workspace: { id: 1, name: "Synthetic shop", timezone: "UTC" }, actor: "console", version: "0.1.0", demo: true });
      if (path === "/stream") {
        response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
        const beat = setInterval(() => {
          response.write(`event: tick\ndata: ${JSON.stringify({ events_per_second: 34 + Math.round(Math.random() * 90) / 10, lag_events: 2, profiles: 2180, accepted: 184_300, messages_accepted: 533 })}\n\n`);
          response.write(`event: event\ndata: ${JSON.stringify(data.event())}\n\n`);
        }, 1000);
        request.on("close", () => clearInterval(beat));
        return undefined;
      }
      const [status, answer] = api(request.method, path, url.searchParams, body);
      return send(status, answer);
    }
    const wanted = normalize(url.pathname).replace(/^(\.\.[/\\])+/, "");
    for (const name of [wanted, "/index.html"]) {
      try {
        const file = await readFile(join(dist, name));
        response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
        return response.end(file);
      } catch {
        // The next candidate is the application itself, which knows its own paths.
      }
    }
    return send(404, {});
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1]?.endsWith("mock-server.mjs")) {
  const server = await start(Number(process.env.PORT ?? 7799));
  console.log(`http://127.0.0.1:${server.address().port}/?token=${TOKEN}`);
}
