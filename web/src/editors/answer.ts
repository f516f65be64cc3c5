/** What can be done with an answer: a file of it, the way to draw it, where a cell leads. */
import type { Answer } from "../api";
import { moment, plain } from "../format";

const NUMERIC = /int|float|double|decimal|number/i;

/** Whether a column holds numbers. */
export function numeric(answer: Answer, index: number): boolean {
  return NUMERIC.test(answer.columns[index]?.type ?? "");
}

/** Writes an answer as CSV by RFC 4180; a text that a spreadsheet would run as a formula is kept a text. */
export function csv(answer: Answer): string {
  const cell = (value: unknown) => {
    if (value === null || value === undefined) return "";
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return [answer.columns.map((column) => cell(column.name)), ...answer.rows.map((row) => row.map(cell))].map((row) => row.join(",")).join("\r\n");
}

export type Shape = "line" | "bar" | "rows";

export interface Plan {
  label: number;
  value: number;
  shape: Shape;
}

/** Chooses what to draw: a line over time, bars in order, else one bar with its name for each row. */
export function planOf(answer: Answer): Plan | null {
  const value = answer.columns.map((_, index) => index).filter((index) => numeric(answer, index)).at(-1);
  if (value === undefined || answer.rows.length === 0) return null;
  const label = answer.columns.findIndex((_, index) => index !== value);
  const kind = answer.columns[label]?.type ?? "";
  if (/date|time/i.test(kind)) return { label, value, shape: answer.rows.length > 2 ? "line" : "bar" };
  return { label, value, shape: answer.rows.length <= 24 && !NUMERIC.test(kind) ? "rows" : "bar" };
}

/** Writes a cell as a person reads it. */
export function shown(value: unknown, type: string): string {
  if (typeof value === "string" && /timestamp/i.test(type)) return moment(value);
  return plain(value);
}

/** Where a cell leads: a profile or a message, when its column names one. */
export function leadsTo(name: string, value: unknown, sql: string): string | null {
  if (name === "profile_id" && Number.isSafeInteger(value)) return `/profiles/${value}`;
  const from = /\bfrom\s+(\w+)/i.exec(sql)?.[1]?.toLowerCase();
  if (name === "id" && from === "profiles" && Number.isSafeInteger(value)) return `/profiles/${value}`;
  if (name === "id" && from === "messages" && typeof value === "string") return `/messages/${value}`;
  if (name === "journey" && from === "messages" && typeof value === "string") return `/journeys/${value}`;
  if (name === "segment" && from === "memberships" && typeof value === "string") return `/segments/${value}`;
  return null;
}
