import { describe, expect, it } from "vitest";
import type { FillRow } from "../api.gen";
import { saysOf, shareOf } from "./fill";

const fill: FillRow = {
  id: "segment:vip", kind: "segment", definition: "vip", name: "VIP", is_new: false, phase: "history", state: "running",
  history_events: 250, history_events_max: 1000, profiles_done: 0, profiles_total: 0, started_at: "2026-01-05T12:00:00Z",
};

describe("a fill", () => {
  it("never goes back or beyond its end", () => {
    const steps: Partial<FillRow>[] = [
      { history_events: 0, history_events_max: 0 }, {}, { history_events: 2000 },
      { phase: "profiles", profiles_total: 0 }, { phase: "profiles", profiles_done: 5, profiles_total: 10 }, { phase: "profiles", profiles_done: 11, profiles_total: 10 },
    ];
    const shares = steps.map((step) => shareOf({ ...fill, ...step }));
    expect(shares).toEqual([0, 0.125, 0.5, 0.5, 0.75, 1]);
  });

  it("says what is done and what holds meanwhile", () => {
    expect(saysOf(fill, String)).toBe("“VIP” is being filled: 250 of at most 1000 events of history are read; the former version holds until then.");
    expect(saysOf({ ...fill, is_new: true, phase: "profiles", state: "paused", profiles_done: 3, profiles_total: 9 }, String)).toBe("“VIP” is being filled: 3 of 9 profiles are decided. It rests; whoever does something is decided all the same.");
  });
});
