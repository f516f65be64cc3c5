/** Where a finding is drawn. */
import { describe, expect, it } from "vitest";
import { bytesBefore, placeOf, placeOfByte, quoted, valueAt } from "./condition";

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

describe("bytes", () => {
  it("are counted as the server counts, there and back", () => {
    const text = 'name = "Léa 🙂" and age > 3';
    for (let at = 0; at <= text.length; at++) {
      // Half of a pair is no place in a text.
      if (/[\uDC00-\uDFFF]/.test(text[at] ?? "")) continue;
      expect(placeOfByte(text, bytesBefore(text, at))).toBe(at);
    }
    expect(bytesBefore(text, text.indexOf(" and"))).toBe(text.indexOf(" and") + 3);
  });
});

describe("valueAt", () => {
  it.each([
    ['country = ', "country", "", null],
    ['vip = true and country = "F', "country", '"F', null],
    ['plan in ("pro", ', "plan", "", null],
    ['plan not in ("pro", "t', "plan", '"t', null],
    ['interests contains any of ("a", ', "interests", "", null],
    ['address.city != ', "address.city", "", null],
    ['did "Viewed" where category = ', "category", "", "Viewed"],
    ['did "Viewed" where (price > 5 and category = "S', "category", '"S', "Viewed"],
  ])("knows whose value is written in %s", (before, name, typed, event) => {
    expect(valueAt(before)).toEqual({ name, typed, event });
  });
  it.each(['did "Viewed" where category = "Shoes" and country = ', 'did "Viewed" where (category = "Shoes") and country = '])("is back at attributes after a test: %s", (before) => {
    expect(valueAt(before)).toMatchObject({ name: "country", event: null });
  });
  it.each(["", "did ", 'country = "FR"', "country"])("says nothing for %s", (before) => {
    expect(valueAt(before)).toBeNull();
  });
});
