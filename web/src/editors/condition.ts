/** What the editor knows of the condition language: its words, how names are quoted, where a finding stands. */
import type { Finding } from "../api";

export const KEYWORDS = new Set([
  "and", "or", "not", "did", "where", "in", "last", "next", "days", "hours", "minutes", "weeks", "months", "count", "sum", "avg", "min", "max",
  "distinct", "top", "first", "of", "between", "contains", "any", "all", "is", "missing", "present", "matches", "starts", "ends", "with", "then",
  "within", "time", "since", "after", "before", "segment", "entered", "consents", "subscribed", "to", "topic", "anniversary", "today", "true", "false", "score", "half-life", "points", "at",
]);

/** Writes a name as the language wants it. */
export function quoted(name: string): string {
  return `"${name.replace(/[\\"]/g, "\\$&")}"`;
}

/** Finds the stretch of text a finding speaks of; at least one character where there is any. */
export function placeOf(text: string, finding: Finding): { from: number; to: number } {
  let from = text.length;
  if (finding.line && finding.column) {
    const lines = text.split("\n");
    const line = Math.min(finding.line, lines.length) - 1;
    const before = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0);
    from = before + Math.min(finding.column - 1, lines[line]?.length ?? 0);
  } else if (typeof finding.offset === "number") {
    from = Math.min(finding.offset, text.length);
  }
  const word = /^(?:"[^"\n]*"?|[\w.]+|\S)/.exec(text.slice(from))?.[0].length ?? 0;
  if (word > 0) return { from, to: from + word };
  return { from: Math.max(0, from - 1), to: from };
}

const encoder = new TextEncoder();

/** Bytes before a place of a text: what the server counts in. */
export function bytesBefore(text: string, at: number): number {
  return encoder.encode(text.slice(0, at)).length;
}

/** The place of a text that lies so many bytes behind its beginning. */
export function placeOfByte(text: string, bytes: number): number {
  let seen = 0;
  let at = 0;
  for (const letter of text) {
    if (seen >= bytes) break;
    seen += encoder.encode(letter).length;
    at += letter.length;
  }
  return at;
}

/** The name whose value is being written at the end of a text, and what there is of the value; `where` opened a test of an event. */
export function valueAt(before: string): { name: string; typed: string; event: string | null } | null {
  const found = /(`[^`]+`(?:\.[\w`]+)*|[A-Za-z_][\w.]*)\s*(?:!?=|(?:not\s+)?in\s*\((?:[^()]*,)?|contains(?:\s+(?:any|all)\s+of\s*\((?:[^()]*,)?)?|starts\s+with|ends\s+with)\s*("(?:[^"\\]|\\.)*)?$/.exec(before);
  if (!found?.[1]) return null;
  const open = /"((?:[^"\\]|\\.)*)"\s+where\s+(?:not\s+)?((?:[^"]|"(?:[^"\\]|\\.)*")*)$/.exec(before.slice(0, found.index));
  const rest = open?.[2] ?? "";
  const inside = open && (rest.trim() === "" || rest.split("(").length > rest.split(")").length);
  return { name: found[1], typed: found[2] ?? "", event: inside ? (open[1] ?? null) : null };
}
