/** Listens to the server's stream once for the whole console and hands out what it says. */
import { useEffect, useSyncExternalStore } from "react";
import type { EventRow } from "./api";
import type { Tick } from "./api.gen";

interface Pulse {
  tick: Tick | null;
  connected: boolean;
  rates: number[];
}

const KEPT = 60;
let pulse: Pulse = { tick: null, connected: false, rates: [] };
let source: EventSource | null = null;
const watchers = new Set<() => void>();
const listeners = new Set<(row: EventRow) => void>();

function change(next: Partial<Pulse>) {
  pulse = { ...pulse, ...next };
  for (const watcher of watchers) watcher();
}

/** Opens the stream; the browser connects again by itself when it breaks. */
export function connect() {
  if (source || typeof EventSource === "undefined") return;
  source = new EventSource("/api/stream");
  source.onopen = () => change({ connected: true });
  source.onerror = () => change({ connected: false });
  source.addEventListener("tick", (message) => {
    const tick = JSON.parse((message as MessageEvent<string>).data) as Tick;
    change({ tick, connected: true, rates: [...pulse.rates, tick.events_per_second].slice(-KEPT) });
  });
  source.addEventListener("event", (message) => {
    const row = JSON.parse((message as MessageEvent<string>).data) as EventRow;
    for (const listener of listeners) listener(row);
  });
}

/** Closes the stream, on signing out. */
export function disconnect() {
  source?.close();
  source = null;
  change({ connected: false });
}

/** The latest tick, whether the stream is open, and the rates of the last minute. */
export function usePulse(): Pulse {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => pulse,
  );
}

/** Calls back for each event the server samples into the stream. */
export function useLiveEvents(listener: (row: EventRow) => void) {
  useEffect(() => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, [listener]);
}
