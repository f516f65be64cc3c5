/** Reads a journey's definition as a graph and gives each node a place, layer by layer. */

import { words } from "../format";

export interface Edge {
  from: string;
  to: string;
  label: string;
}

type Nodes = Record<string, Record<string, unknown>>;

const SILENT = new Set(["next", "then", "to", "target", "node", "goto"]);

/** Finds the edges of a node: every text below it that names another node, labelled by where it stands. */
export function edges(nodes: Nodes): Edge[] {
  const found: Edge[] = [];
  const walk = (from: string, value: unknown, label: string, depth: number) => {
    if (depth > 5) return;
    if (typeof value === "string") {
      if (value !== from && Object.hasOwn(nodes, value) && !found.some((edge) => edge.from === from && edge.to === value && edge.label === label)) found.push({ from, to: value, label });
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => walk(from, item, labelOf(item) ?? (value.length > 1 ? `${label ? `${label} ` : ""}${index + 1}` : label), depth + 1));
    } else if (value && typeof value === "object") {
      for (const [key, item] of Object.entries(value)) {
        if (["type", "name", "title", "label", "template", "topic", "where", "event"].includes(key)) continue;
        const silent = SILENT.has(key) || key === "branches" || key === "arms" || key === "cases";
        walk(from, item, silent ? label : key.replace(/_/g, " "), depth + 1);
      }
    }
  };
  for (const [id, node] of Object.entries(nodes)) walk(id, node, "", 0);
  return found;
}

function labelOf(item: unknown): string | null {
  if (!item || typeof item !== "object") return null;
  const { label, name, when, where, share } = item as Record<string, unknown>;
  for (const one of [label, name, when, where]) if (typeof one === "string") return one.length > 28 ? `${one.slice(0, 27)}…` : one;
  return typeof share === "number" ? `${share} %` : null;
}

/** The size of a step as drawn; its height is that of one with two lines and counts. */
const STEP = { width: 216, height: 104 };

/** What stands free around the steps in their frame: at both sides together, above and below together. */
const FREE = { x: 40, y: 72 };

/** The height of a frame of a given width in which all steps can be seen at once, at most at their own size. */
export function fitting(places: { x: number; y: number }[], width: number): number {
  const span = (values: number[]) => (values.length > 0 ? Math.max(...values) - Math.min(...values) : 0);
  const wide = span(places.map((place) => place.x)) + STEP.width;
  const high = span(places.map((place) => place.y)) + STEP.height;
  const zoom = width > 0 ? Math.min(1, Math.max(0, width - FREE.x) / wide) : 1;
  return Math.round(Math.min(900, Math.max(320, high * zoom + FREE.y)));
}

/** Places nodes in layers from those nothing leads to; nodes in a circle keep the layer they were first met in. */
export function layout(nodes: Nodes, links: Edge[], given: Record<string, { x: number; y: number }> = {}): Record<string, { x: number; y: number }> {
  const ids = Object.keys(nodes);
  const layer = new Map<string, number>();
  const entered = new Set(links.map((edge) => edge.to));
  const queue = ids.filter((id) => !entered.has(id));
  if (queue.length === 0 && ids[0] !== undefined) queue.push(ids[0]);
  for (const id of queue) layer.set(id, 0);
  let steps = 0;
  while (queue.length > 0 && steps++ < ids.length * ids.length + 8) {
    const id = queue.shift();
    if (id === undefined) break;
    for (const edge of links) {
      if (edge.from !== id) continue;
      const next = (layer.get(id) ?? 0) + 1;
      if (next > (layer.get(edge.to) ?? -1) && next < ids.length) {
        layer.set(edge.to, next);
        queue.push(edge.to);
      }
    }
  }
  const rows = new Map<number, string[]>();
  for (const id of ids) {
    const row = layer.get(id) ?? 0;
    rows.set(row, [...(rows.get(row) ?? []), id]);
  }
  const places: Record<string, { x: number; y: number }> = {};
  for (const row of [...rows.keys()].sort((a, b) => a - b)) {
    const members = rows.get(row) ?? [];
    // A step alone on its layer stands aside when a sibling's way leads past it to a later layer.
    const parents = links.filter((edge) => edge.to === members[0]).map((edge) => edge.from);
    const [parent] = parents;
    const passed = parent !== undefined && new Set(links.filter((edge) => edge.from === parent).map((edge) => edge.to)).size > 1;
    const beside = members.length === 1 && parents.length === 1 && parent !== undefined ? (places[parent]?.x ?? 0) + (passed ? 190 : 0) : 0;
    members.forEach((id, index) => {
      places[id] = { x: beside + (index - (members.length - 1) / 2) * 264, y: row * 148 };
    });
  }
  return ids.every((id) => given[id]) ? { ...given } : places;
}

const UNITS: [number, string][] = [[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

/** Writes a number of seconds in its largest whole unit. */
export function span(seconds: number): string {
  const [size, unit] = UNITS.find(([one]) => seconds >= one && seconds % one === 0) ?? [1, "second"];
  const whole = seconds / size;
  return `${whole} ${unit}${whole === 1 ? "" : "s"}`;
}

/** Says in a few words what a step does. */
export function aboutStep(id: string, node: Record<string, unknown>): string {
  const text = (key: string) => (typeof node[key] === "string" && node[key] ? (node[key] as string) : null);
  const named = text("title") ?? text("label");
  if (named) return named;
  if (typeof node.seconds === "number") return `Wait ${span(node.seconds)}`;
  const template = text("template");
  if (template) return `Send “${words(template)}”`;
  const asked = text("condition") ?? text("where");
  if (asked) return node.type === "wait" ? `Wait until ${asked}` : `Is it so that ${asked}?`;
  if (node.type === "exit") return id === "end" ? "End" : `End: ${words(id).toLowerCase()}`;
  for (const key of ["event", "until", "duration", "for", "delay", "name"]) {
    const value = text(key);
    if (value) return value;
  }
  return words(id);
}

/** Says what lets people in. */
export function aboutTrigger(trigger: unknown): string {
  if (typeof trigger === "string") return `by “${trigger}”`;
  if (!trigger || typeof trigger !== "object") return "by no trigger";
  const { event, segment, where, key } = trigger as Record<string, unknown>;
  const what = typeof event === "string" ? `by “${event}”` : typeof segment === "string" ? `on coming into “${words(segment)}”` : "by a trigger";
  return `${what}${typeof where === "string" ? ` where ${where}` : ""}${typeof key === "string" ? `, once for each ${words(key).toLowerCase()}` : ""}`;
}
