import { describe, expect, it } from "vitest";
import type { Answer } from "../api";
import { csv, leadsTo, planOf } from "./answer";

const answer = (columns: [string, string][], rows: unknown[][]): Answer => ({ columns: columns.map(([name, type]) => ({ name, type })), rows, truncated: false, took_ms: 1 });

describe("an answer", () => {
  it("becomes CSV with quotes where they are needed, and no formula", () => {
    const given = answer([["name", "text"], ["n", "integer"]], [['a "b", c', 1], ["=1+1", -2], [null, 3]]);
    expect(csv(given)).toBe('name,n\r\n"a ""b"", c",1\r\n\'=1+1,-2\r\n,3');
  });

  it.each([
    ["named bars for names", answer([["name", "text"], ["n", "integer"]], [["a", 1]]), { label: 0, value: 1, shape: "rows" }],
    ["a line for days", answer([["day", "date"], ["n", "integer"]], [["2026-01-01", 1], ["2026-01-02", 2], ["2026-01-03", 2]]), { label: 0, value: 1, shape: "line" }],
    ["columns for many names", answer([["name", "text"], ["n", "integer"]], Array.from({ length: 40 }, (_, index) => [`n${index}`, index])), { label: 0, value: 1, shape: "bar" }],
    ["nothing without numbers", answer([["name", "text"]], [["a"]]), null],
  ])("is drawn as %s", (_, given, plan) => {
    expect(planOf(given)).toEqual(plan);
  });

  it("leads from a cell to what it names, and from nothing else", () => {
    expect(leadsTo("profile_id", 7, "select * from events")).toBe("/profiles/7");
    expect(leadsTo("id", "m1", "select id from messages")).toBe("/messages/m1");
    expect(leadsTo("id", 7, "select id from events")).toBeNull();
    expect(leadsTo("profile_id", null, "select * from events")).toBeNull();
  });
});
