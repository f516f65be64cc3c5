import { describe, expect, it } from "vitest";
import type { TimelineRow } from "../api";
import { grouping, sentenceOf } from "./story";

const row = (title: string, at: string, kind = "event", data: Record<string, unknown> = {}, detail = ""): TimelineRow => ({ at, kind, title, detail, data });
const names = { segment: new Map([["high-intent", "High intent buyers"]]), journey: new Map([["abandoned-cart", "Abandoned cart"]]) };

describe("a timeline", () => {
  it("is put together by day, and like events in a row are one", () => {
    const rows = [row("Product Viewed", "2026-11-24T10:02:00Z", "event", {}, "Boot"), row("Product Viewed", "2026-11-24T10:01:00Z", "event", {}, "Hat"), row("Page Viewed", "2026-11-24T10:00:00Z"), row("Product Viewed", "2026-11-23T10:00:00Z")];
    const days = grouping(rows, (at) => at.slice(0, 10));
    expect(days.map((day) => [day.day, day.groups.map((group) => group.rows.length)])).toEqual([["2026-11-24", [2, 1]], ["2026-11-23", [1]]]);
    expect(days[0]?.groups[0]?.details).toEqual(["Boot", "Hat"]);
  });

  it("keeps entries into different segments apart", () => {
    const days = grouping([row("Segment Entered", "2026-11-24T10:01:00Z", "segment"), row("Segment Entered", "2026-11-24T10:00:00Z", "segment")], (at) => at.slice(0, 10));
    expect(days[0]?.groups.length).toBe(2);
  });

  it.each([
    [row("Segment Entered", "", "segment", { segment: "high-intent", cause: "Product Added" }), "Entered High intent buyers", "because of “Product Added”", "/segments/high-intent"],
    [row("Journey Exited", "", "journey", { journey: "abandoned-cart", reason: "ordered" }), "Left the journey Abandoned cart", "ordered", "/journeys/abandoned-cart"],
    [row("Email Opened", "", "message", { journey: "abandoned-cart", actor: "scanner", message_id: "m1" }), "Email Opened", "Abandoned cart, by a scanner", "/messages/m1"],
    [row("Product Added", "", "event", { name: "Boot", price: 9.5, currency: "EUR" }), "Product Added", "Boot, 9.50 EUR", undefined],
  ])("says %#: what happened, why, and where it leads", (given, title, detail, to) => {
    const { open, ...said } = sentenceOf(given, names);
    expect(said).toEqual({ title, detail, ...(to === undefined ? {} : { to }) });
    expect(open === undefined).toBe(to === undefined);
  });
});
