/** Puts a timeline's rows together by day and likeness, and says each in words. */
import type { TimelineRow } from "../api";
import { brief, words } from "../format";

export interface Names {
  segment: Map<string, string>;
  journey: Map<string, string>;
}

export interface Group {
  rows: TimelineRow[];
  details: string[];
}

export interface Day {
  day: string;
  groups: Group[];
}

/** Rows of one day together; neighbours with the same title become one group. Newest first, as given. */
export function grouping(rows: TimelineRow[], dayOf: (at: string) => string): Day[] {
  const days: Day[] = [];
  for (const row of rows) {
    const day = dayOf(row.at);
    let last = days.at(-1);
    if (!last || last.day !== day) {
      last = { day, groups: [] };
      days.push(last);
    }
    const group = last.groups.at(-1);
    const alike = group?.rows[0]?.title === row.title && row.kind === "event";
    const target = alike && group ? group : { rows: [], details: [] };
    if (!alike) last.groups.push(target);
    target.rows.push(row);
    if (row.detail && !target.details.includes(row.detail)) target.details.push(row.detail);
  }
  return days;
}

interface Said {
  title: string;
  detail: string | null;
  to?: string;
  open?: string;
}

/** Says what a row is about, with names instead of ids, and where it leads. */
export function sentenceOf(row: TimelineRow, names: Names): Said {
  const data = row.data ?? {};
  const text = (name: string) => (typeof data[name] === "string" ? (data[name] as string) : null);
  const segment = text("segment");
  const journey = text("journey");
  const journeyName = journey ? (names.journey.get(journey) ?? words(journey)) : null;
  const message = text("message_id");
  if (row.kind === "segment" && segment) {
    const name = names.segment.get(segment) ?? words(segment);
    const cause = text("cause");
    return { title: /Exited/.test(row.title) ? `Left ${name}` : `Entered ${name}`, detail: cause ? `because of “${cause}”` : null, to: `/segments/${segment}`, open: `Open ${name}` };
  }
  if (row.kind === "journey" && journey && journeyName) {
    const reason = text("reason");
    return { title: /Exited/.test(row.title) ? `Left the journey ${journeyName}` : `Entered the journey ${journeyName}`, detail: reason ? words(reason).toLowerCase() : null, to: `/journeys/${journey}`, open: `Open ${journeyName}` };
  }
  if (row.kind === "message") {
    const by = text("actor");
    const detail = [journeyName, by && by !== "person" ? `by ${/^[aeiou]/.test(by) ? "an" : "a"} ${by}` : null, text("link_url")?.replace(/[?#].*/, "")].filter(Boolean).join(", ");
    return { title: row.title, detail: detail || null, to: message && row.title !== "Email Link Clicked" ? `/messages/${message}` : undefined, open: "Open the message" };
  }
  if (row.title === "identify") return { title: "Told who they are", detail: Object.keys(data).slice(0, 6).map((name) => words(name).toLowerCase()).join(", ") || null };
  const price = data.price ?? data.revenue ?? data.total;
  const money = typeof price === "number" ? `${price.toFixed(2)}${typeof data.currency === "string" ? ` ${data.currency}` : ""}` : null;
  const named = row.detail || (typeof data.name === "string" ? data.name : null);
  const rest = !named && !money ? Object.entries(data).filter(([, value]) => value === null || typeof value !== "object").slice(0, 3).map(([name, value]) => `${name} ${brief(value)}`).join(", ") : null;
  return { title: row.title, detail: [named, money, rest].filter(Boolean).join(", ") || null };
}
