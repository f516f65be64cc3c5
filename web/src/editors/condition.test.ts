/** Where a finding is drawn. */
import { describe, expect, it } from "vitest";
import { placeOf, quoted } from "./condition";

describe("placeOf", () => {
  const text = 'did "Order"\n  and contry = 1';
  it.each([
    ["a name on the second line", { line: 2, column: 7, message: "" }, [18, 24]],
    ["a quoted name", { line: 1, column: 5, message: "" }, [4, 11]],
    ["an offset", { offset: 18, message: "" }, [18, 24]],
    ["the end of the text", { message: "" }, [27, 28]],
    ["a line that is not there", { line: 9, column: 99, message: "" }, [27, 28]],
  ])("marks %s", (_, finding, [from, to]) => {
    expect(text.length).toBe(28);
    expect(placeOf(text, finding)).toEqual({ from, to });
  });
  it("marks nothing in an empty text", () => {
    expect(placeOf("", { message: "" })).toEqual({ from: 0, to: 0 });
  });
});

describe("quoted", () => {
  it("escapes quotes and backslashes", () => {
    expect(quoted('a"b\\c')).toBe('"a\\"b\\\\c"');
  });
});
