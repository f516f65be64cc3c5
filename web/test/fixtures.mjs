// Openly synthetic data for looking at the console without a server, and for its walk in Chromium. Not shipped.
const now = Date.now();
const ago = (minutes) => new Date(now - minutes * 60_000).toISOString();
const NAMES = ["Product Viewed", "Product Added", "Checkout Started", "Order Completed", "Email Opened", "Signed Up"];

export const profiles = Array.from({ length: 180 }, (_, index) => ({
  id: index + 1,
  display: `person-${index + 1}@example.com`,
  email: `person-${index + 1}@example.com`,
  user_id: `u-${index + 1}`,
  name: null,
  created_at: ago(60 * 24 * (index + 3)),
  last_seen_at: ago(index * 7 + 1),
  segments: index % 4,
}));

let position = 4000;
export function event(index = position) {
  position += 1;
  const outcome = index % 17 === 0 ? "rejected" : index % 11 === 0 ? "duplicate" : "accepted";
  const person = profiles[index % profiles.length];
  return {
    position,
    message_id: `m-${position}`,
    at: new Date().toISOString(),
    received_at: new Date().toISOString(),
    call: "track",
    name: NAMES[index % NAMES.length],
    profile_id: outcome === "rejected" ? null : person.id,
    who: person.email,
    properties: { category: ["Shoes", "Bags", "Coats"][index % 3], revenue: 20 + (index % 80), products: [{ id: "p-1" }] },
    context: { library: { name: "synthetic" } },
    outcome,
    reasons: outcome === "rejected" ? [{ code: "field_type", message: "revenue must be a number, it is text", path: "properties.revenue" }] : outcome === "duplicate" ? [{ code: "duplicate", message: "messageId was seen before" }] : [],
  };
}
export const events = Array.from({ length: 60 }, (_, index) => ({ ...event(index + 1), at: ago(index / 2), received_at: ago(index / 2) }));

const trend = (base) => Array.from({ length: 24 }, (_, hour) => Math.round(base * (0.86 + 0.006 * hour + 0.03 * Math.sin(hour))));
export const segments = [
  ["looked-not-bought", "Looked, did not buy", 'did "Product Viewed" in last 30 days\n  and not did "Order Completed" in last 30 days', 1284],
  ["buys-often", "Buys often", 'count "Order Completed" in last 60 days >= 3', 212],
  ["spent-500", "Spent 500 or more", 'sum(revenue) of "Order Completed" in last 180 days >= 500', 96],
  ["silent", "Silent for 90 days", 'time since last "Email Opened" > 90 days', 431],
].map(([id, name, where, count], index) => ({
  id, name, where, count, description: "", kind: "condition", query: null, status: index === 3 ? "building" : "live", updated_at: ago(60 * 30 * (index + 1)), trend: trend(count),
  sentence: "People who looked at a product in the last 30 days and did not complete an order in that time.",
  versions: [{ version: 1, at: ago(60 * 30 * (index + 1)), author: "console", where }],
}));

export const explanation = {
  holds: true, changes_at: new Date(now + 3 * 86_400_000).toISOString(),
  tree: { text: "and", holds: true, children: [
    { text: 'did "Product Viewed" in last 30 days', holds: true, value: "4 times", evidence: [{ name: "Product Viewed", at: ago(300) }], until: new Date(now + 3 * 86_400_000).toISOString(), children: [] },
    { text: "not", holds: true, children: [{ text: 'did "Order Completed" in last 30 days', holds: false, value: "0 times", evidence: [], children: [] }] },
  ] },
};

export const journeys = [{
  id: "cart-left", name: "Cart left behind", description: "Reminds people of what they put into the cart, unless they buy.", status: "live", entered: 812, active: 64, completed: 590, exited: 158, messages: 533, updated_at: ago(4000),
  definition: { trigger: { event: "Product Added" }, nodes: {
    wait: { type: "wait", title: "Wait 30 minutes", next: "bought" },
    bought: { type: "branch", title: "Bought since?", branches: [{ where: 'did "Order Completed" in last 1 hours', next: "done" }], otherwise: "remind" },
    remind: { type: "email", template: "cart-reminder", next: "pause" },
    pause: { type: "wait", title: "Wait for a click, 2 days at most", next: "done" },
    done: { type: "exit", title: "Done" },
  } },
  counts: { wait: { waiting: 41, passed: 771 }, bought: { waiting: 0, passed: 771 }, remind: { waiting: 0, passed: 533 }, pause: { waiting: 23, passed: 510 }, done: { waiting: 0, passed: 590 } },
  exits: { goal_reached: 140, unsubscribed: 18 },
}];

export const messages = Array.from({ length: 40 }, (_, index) => ({
  id: `msg-${index + 1}`, profile_id: index + 1, to: profiles[index].email, subject: "You left something in the cart",
  state: index % 5 === 3 ? "skipped" : "accepted", reason: index % 5 === 3 ? "frequency_cap" : null, journey_id: "cart-left", journey_name: "Cart left behind",
  created_at: ago(index * 9), sent_at: index % 5 === 3 ? null : ago(index * 9), opened_at: index % 3 === 0 ? ago(index * 8) : null, clicked_at: null,
}));

export const message = (row) => ({
  ...row, from: "Synthetic shop <shop@example.com>", size_bytes: 18_214,
  html: "<html><body style='font-family:sans-serif;padding:32px'><h1>Still thinking about it</h1><p>Your cart is kept for two days.</p><a href='https://example.com'>Go to the cart</a></body></html>",
  text: "Still thinking about it\n\nYour cart is kept for two days.", headers: [["Subject", row.subject], ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"]],
  trace: [
    ["trigger", "Entered by “Product Added”", "A product was added to the cart 32 minutes before."],
    ["conditions", "Went the way “otherwise”", "No order was completed in the hour before."],
    ["policy", row.state === "skipped" ? "Held back" : "May be sent", row.state === "skipped" ? "3 of 3 marketing messages were sent in 7 days." : "Subscribed to marketing mail; 1 of 3 messages in 7 days; not a quiet hour."],
    ["recommendations", "3 products chosen", "Often bought with what is in the cart, none bought before."],
    ["template", "Composed from “cart-reminder”, version 2", "One fallback was used: the first name is not known."],
    ...(row.state === "skipped" ? [] : [["delivery", "Accepted by the relay", "250 2.0.0 queued"]]),
  ].map(([step, title, sentence]) => ({ step, title, sentence, at: row.created_at, data: step === "policy" ? { topic: "marketing", sent_in_7_days: 1 } : {} })),
  events: [{ at: row.created_at, name: "Planned", detail: null, actor: null }, ...(row.opened_at ? [{ at: row.opened_at, name: "Email Opened", detail: "by an image proxy", actor: "machine" }] : [])],
});

export const profile = (row) => ({
  ...row,
  identifiers: [{ kind: "user_id", value: row.user_id, first_seen_at: row.created_at, last_seen_at: row.last_seen_at, source: "identify" }, { kind: "email", value: row.email, first_seen_at: row.created_at, last_seen_at: row.last_seen_at, source: "identify" }, { kind: "anonymous_id", value: `a-${row.id}`, first_seen_at: row.created_at, last_seen_at: row.last_seen_at, source: "browser" }],
  attributes: [{ name: "country", value: "BD", type: "text", updated_at: ago(4000), source: "identify" }, { name: "plan", value: "pro", type: "text", updated_at: ago(900), source: "import" }],
  consents: [{ topic: "email_marketing", state: "subscribed", at: ago(9000), source: "form" }], suppressed: null,
  segments: [{ id: "looked-not-bought", name: "Looked, did not buy", since: ago(700), until: new Date(now + 3 * 86_400_000).toISOString(), why: "Looked at 4 products in 30 days and bought none." }],
  journeys: [{ entry_id: "e-1", journey_id: "cart-left", journey_name: "Cart left behind", node: "wait", entered_at: ago(12), due_at: new Date(now + 18 * 60_000).toISOString(), exited_at: null, exit_reason: null }],
  decisions: [{ at: ago(90), code: "frequency_cap", sentence: "A reminder was held back: 3 of 3 messages in 7 days." }],
  merged: [{ from: 9001, at: ago(8000), reason: "the same e-mail address in an identify call" }], scores: { engagement_score: 62.4 },
});

export const overview = () => ({
  profiles: 2180, events_total: 184_220, events_per_second: 38.2, events_today: 20_431, rejected_today: 112, duplicates_today: 64, lag_events: 3, lag_ms: 12,
  messages: { planned: 4, accepted: 533, skipped: 71, deferred: 2, rejected: 1, in_doubt: 0, opened: 301, clicked: 88 },
  events_by_minute: Array.from({ length: 60 }, (_, index) => ({ at: ago(59 - index), accepted: 300 + Math.round(80 * Math.sin(index / 6)) + (index % 7) * 9, rejected: index % 9 })),
  top_events: NAMES.map((name, index) => ({ name, count: 9200 - index * 1430 })), segments, journeys,
  health: [{ name: "Log", status: "ok", detail: "writes in 2 ms" }, { name: "Store", status: "ok", detail: "sqlite" }, { name: "Lake", status: "ok", detail: "flushed 9 s ago" }, { name: "Mail", status: "warn", detail: "2 deferred" }],
  recent: events.slice(0, 20),
});
