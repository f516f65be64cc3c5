/** Finds the place in a query that a refusal speaks of, for the mark in the editor and the line below it. */
import type { Finding, Problem } from "../api";

const NAMED = [
  /no field named ([\w."`]+?)(?=[.,;:]?(?:\s|$))/i,
  /table '([^']+)' not found/i,
  /invalid function '([^']+)'/i,
  /column '([^']+)'/i,
];

/** Writes where a word stands in a text: line and column, both from one; text in quotes of literals is passed over. */
export function whereIs(sql: string, word: string): { line: number; column: number } | null {
  const code = sql.replace(/'(?:[^']|'')*'|--[^\n]*/g, (text) => text.replace(/[^\n]/g, " "));
  const name = word.split(".").pop()?.replace(/["`]/g, "") ?? "";
  if (!name) return null;
  const offset = code.search(new RegExp(`(?<![\\w$])${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\w$])`, "i"));
  if (offset < 0) return null;
  const before = sql.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Takes the planner's own manner of speaking out of a refusal: its prefixes, its long lists of what would be valid. */
export function plainly(text: string): string {
  return text
    .replace(/\s*Valid fields are [^\n]*/i, "")
    .replace(/\s*Did you mean '[^']*'\?/i, "")
    .replace(/^(?:The SQL is not understood: )?(?:Schema error|SQL error|Error during planning|This feature is not implemented): */i, "")
    .replace(/^ParserError\("(.*)"\)$/s, "$1")
    .replace(/datafusion\.public\./g, "")
    .replace(/^No field named (\S+?)\.?$/i, "there is no column “$1” here.")
    .replace(/^table '([^']+)' not found\./i, "there is no table “$1”.")
    .replace(/^Expected: (.+), found: (.+)$/i, "expected $1, found “$2”.")
    .trim();
}

/** How many letters two words differ by. */
function apart(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The valid name that a mistyped one comes near to, out of those the refusal lists. */
function nearestOf(text: string, word: string): string | null {
  const list = /(?:Valid fields are|There are:?) ([^\n]*?)\.?\s*$/im.exec(text)?.[1];
  if (!list) return null;
  const name = word.toLowerCase();
  const best = list.split(/,\s*/).map((one) => one.split(".").pop()?.replace(/["`]/g, "") ?? "").map((one) => ({ one, far: apart(name, one.toLowerCase()) })).sort((a, b) => a.far - b.far)[0];
  return best && best.far <= Math.max(1, Math.floor(name.length / 3)) ? best.one : null;
}

/** The findings of a refused query: those the server gave, else the place its sentence names, else none. */
export function findingsOf(problem: Problem, sql: string): Finding[] {
  const given = problem.errors.filter((finding) => finding.line || finding.offset !== undefined);
  if (given.length > 0) return given;
  if (problem.status >= 500 || problem.status === 429) return [];
  const text = problem.message;
  const nearest = /did you mean '([^']+)'/i.exec(text)?.[1]?.split(".").pop() ?? null;
  const place = /\s*(?:at\s+)?line:?\s*(\d+),?\s*column:?\s*(\d+)/i.exec(text);
  if (place) return [{ line: Number(place[1]), column: Number(place[2]), message: plainly(text.replace(place[0], "").replace(/"\)$/, "\")")), nearest }];
  for (const pattern of NAMED) {
    const word = pattern.exec(text)?.[1];
    const found = word ? whereIs(sql, word) : null;
    if (found && word) return [{ ...found, message: plainly(text), nearest: nearest ?? nearestOf(text, word) }];
  }
  return [];
}
