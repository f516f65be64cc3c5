import { describe, expect, it } from "vitest";
import { Problem } from "../api";
import { findingsOf, plainly, whereIs } from "./sql";

const refused = (detail: string, errors: Problem["errors"] = [], status = 422) => new Problem(status, "invalid", "Refused", detail, errors);

describe("the place of a mistake in a query", () => {
  it("is the one the server gives, if it gives one", () => {
    const given = { line: 3, column: 2, message: "not here" };
    expect(findingsOf(refused("at Line: 1, Column: 1", [given]), "select 1")).toEqual([given]);
  });

  it("is read from the parser's sentence, which loses it", () => {
    const [found] = findingsOf(refused("The SQL is not understood: Expected: an expression, found: from at Line: 2, Column: 1"), "select\nfrom events");
    expect(found).toMatchObject({ line: 2, column: 1, message: "The SQL is not understood: Expected: an expression, found: from" });
  });

  it.each([
    ["No field named nothing. Valid fields are events.name.", "select name,\n  nothing from events", 2, 3],
    ["No field named events.nothing.", "select events.nothing from events", 1, 15],
    ["table 'datafusion.public.evnts' not found. There are: events", "select 1\nfrom evnts", 2, 6],
    ["Invalid function 'cuont'.\nDid you mean 'count'?", "select cuont(*) from events", 1, 8],
  ])("is where the name in %j stands", (detail, sql, line, column) => {
    expect(findingsOf(refused(detail), sql)[0]).toMatchObject({ line, column });
  });

  it("brings the nearest name along", () => {
    expect(findingsOf(refused("Invalid function 'cuont'.\nDid you mean 'count'?"), "select cuont(*)")[0]?.nearest).toBe("count");
  });

  it("comes without the planner's manner of speaking, and finds the name that was meant", () => {
    const [found] = findingsOf(refused("Schema error: No field named nme. Valid fields are events.position, events.name, events.call."), "select nme from events");
    expect(found).toMatchObject({ message: "there is no column “nme” here.", nearest: "name" });
    expect(findingsOf(refused("No field named nothing. Valid fields are events.name."), "select nothing")[0]?.nearest).toBeNull();
    expect(plainly('The SQL is not understood: SQL error: ParserError("Expected: an SQL statement, found: selec")')).toBe("expected an SQL statement, found “selec”.");
  });

  it("is unknown where nothing names it, and where the server is at fault", () => {
    expect(findingsOf(refused("Only a SELECT is answered."), "drop table events")).toEqual([]);
    expect(findingsOf(refused("No field named a", [], 503), "select a")).toEqual([]);
  });

  it("passes over literals and comments", () => {
    expect(whereIs("select 'nothing' -- nothing\n, nothing", "nothing")).toEqual({ line: 2, column: 3 });
  });
});
