/** What to say of a fill, and how long its bar is. */
import type { FillRow } from "../api.gen";

/** From 0 to 1. History is the first half: it is not known beforehand how much of either there is. */
export function shareOf(fill: FillRow): number {
  const part = (done: number, of: number) => (of > 0 ? Math.min(1, done / of) : 0);
  return fill.phase === "history" ? part(fill.history_events, fill.history_events_max) / 2 : 0.5 + part(fill.profiles_done, fill.profiles_total) / 2;
}

export function saysOf(fill: FillRow, count: (number: number) => string): string {
  const work = fill.phase === "history"
    ? `${count(fill.history_events)} of at most ${count(fill.history_events_max)} events of history are read${fill.is_new ? "" : "; the former version holds until then"}`
    : `${count(fill.profiles_done)} of ${count(fill.profiles_total)} profiles are decided`;
  const state = { paused: " It rests; whoever does something is decided all the same.", cancelling: " It is being cancelled." }[fill.state] ?? "";
  return `“${fill.name}” is being filled: ${work}.${state}`;
}
