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

/** The findings of a refused query: those the server gave, else the place its sentence names, else none. */
export function findingsOf(problem: Problem, sql: string): Finding[] {
  const given = problem.errors.filter((finding) => finding.line || finding.offset !== undefined);
  if (given.length > 0) return given;
  if (problem.status >= 500 || problem.status === 429) return [];
  const text = problem.message;
  const nearest = /did you mean '([^']+)'/i.exec(text)?.[1]?.split(".").pop() ?? null;
  const place = /\s*(?:at\s+)?line:?\s*(\d+),?\s*column:?\s*(\d+)/i.exec(text);
  if (place) return [{ line: Number(place[1]), column: Number(place[2]), message: text.replace(place[0], "").trim(), nearest }];
  for (const pattern of NAMED) {
    const word = pattern.exec(text)?.[1];
    const found = word ? whereIs(sql, word) : null;
    if (found) return [{ ...found, message: text, nearest }];
  }
  return [];
}
