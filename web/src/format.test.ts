/** Numbers and instants as words. */
import { describe, expect, it } from "vitest";
import { brief, count, day, grouped, initials, isInstant, plain, relative, share, words } from "./format";

describe("count", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [12345, "12\u202f345"],
    [1234567, "1\u202f234\u202f567"],
    [4.26, "4.3"],
    [undefined, "–"],
    [NaN, "–"],
  ])("writes %s as %s", (value, expected) => {
    expect(count(value)).toBe(expected);
  });
});

describe("share", () => {
  it.each([
    [1, 0, "–"],
    [1, 3, "33 %"],
    [1, 100000, "under 0.1 %"],
    [5, 100, "5 %"],
  ])("of %s in %s is %s", (part, whole, expected) => {
    expect(share(part, whole)).toBe(expected);
  });
});

describe("relative", () => {
  const now = Date.parse("2026-06-01T12:00:00Z");
  it.each([
    ["2026-06-01T11:59:58Z", "just now"],
    ["2026-06-01T11:59:00Z", "1 minute ago"],
    ["2026-06-01T14:30:00Z", "in 2 hours"],
    ["2026-05-30T12:00:00Z", "2 days ago"],
    ["2024-05-30T12:00:00Z", "2 years ago"],
    ["not an instant", "not an instant"],
  ])("says %s is %s", (at, expected) => {
    expect(relative(at, now)).toBe(expected);
  });
});

describe("plain", () => {
  it("shows a missing value as a dash and an object as JSON", () => {
    expect(plain(null)).toBe("–");
    expect(plain({ a: 1 })).toBe('{"a":1}');
    expect(plain(false)).toBe("false");
  });
});

describe("words", () => {
  it("reads a code as a sentence", () => {
    expect(words("no_consent")).toBe("No consent");
  });
});

describe("sentences of the server", () => {
  it.each([
    ["archived up to 60833", "archived up to 60\u202f833"],
    ["order A-12345 in 2.5 s", "order A-12345 in 2.5 s"],
    ["127.0.0.1:77500", "127.0.0.1:77500"],
  ])("get separators in long numbers only: %s", (text, expected) => {
    expect(grouped(text)).toBe(expected);
  });
});

describe("values of profiles", () => {
  it.each([
    [{ city: "Berlin", tags: ["a", "b"] }, "city Berlin, tags a, b"],
    [[], "none"],
    [true, "yes"],
    ["", "–"],
  ])("are written without brackets: %j", (value, expected) => {
    expect(brief(value)).toBe(expected);
  });

  it("tell instants from other texts", () => {
    expect([isInstant("2026-11-24T22:12:00Z"), isInstant("2026-11-24"), isInstant("order 2026-11-24T22:12:00Z")]).toEqual([true, false, false]);
  });
});

describe("people and days", () => {
  it.each([["Maple Sample", "MS"], ["walk@shop.example", "W"], ["Profile 12", "P"], ["42", "·"]])("marks %s with %s", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });

  it("names the near days", () => {
    const now = new Date(2026, 10, 24, 12).getTime();
    expect([day(new Date(2026, 10, 24, 1).toISOString(), now), day(new Date(2026, 10, 23, 23).toISOString(), now)]).toEqual(["Today", "Yesterday"]);
  });
});
