import { describe, expect, it } from "vitest";
import { aboutAction, outcomeOf, span, tidy, valueOf } from "./rules";

describe("rules in words", () => {
  it("names the largest whole unit", () => {
    expect([span(5_184_000), span(3_600), span(5_400), span(61)]).toEqual(["60 days", "1 hour", "90 minutes", "61 seconds"]);
  });
  it("takes a typed value for JSON where it is JSON", () => {
    expect([valueOf("10"), valueOf("true"), valueOf("gold")]).toEqual([10, true, "gold"]);
  });
  it("takes only an object for an outcome", () => {
    expect([outcomeOf('{"discount": 10}'), outcomeOf("10"), outcomeOf("[1]"), outcomeOf("{")]).toEqual([{ discount: 10 }, null, null, null]);
  });
  it("says what was granted once it is", () => {
    expect(aboutAction({ type: "grant_coupon", prefix: "LOYAL" })).toContain("LOYAL");
    expect(aboutAction({ type: "grant_coupon", prefix: "LOYAL", code: "LOYAL-ABC" })).toBe("granted the code LOYAL-ABC");
  });
  it("leaves out what is empty and keeps false", () => {
    expect(tidy({ where: "a = 1", every_seconds: 60, actions: [], owner: "", fire_on_save: false })).toEqual({ where: "a = 1", every_seconds: 60, actions: [], fire_on_save: false });
  });
});
