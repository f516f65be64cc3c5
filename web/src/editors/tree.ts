/**
 * The builder's document: a condition's tree while somebody edits it. Knows no React. It may hold what a condition may not, such
 * as an empty group; what is written to the server is put in order. Every tree comes back as it was.
 */

/** A node of the language's JSON tree. */
export type Tree = { type: string; [key: string]: unknown };

/** A test, an attribute's or a property's or a number's. */
export type Test = { is: string; [key: string]: unknown };

export interface Span {
  amount: number;
  unit: string;
}

export interface Pattern {
  name: string;
  where?: Tree | null;
}

/** Several parts, joined by one word. */
export interface Group {
  id: number;
  kind: "group";
  join: "and" | "or";
  /** How many times `not` stands before it. */
  nots: number;
  parts: Part[];
}

/** One part of a condition that is no group. */
export interface Leaf {
  id: number;
  kind: "leaf";
  nots: number;
  leaf: Tree;
  /** Just added: what is empty in it is not meant to be. */
  fresh?: boolean;
}

export type Part = Group | Leaf;

let next = 1;

export function leafOf(leaf: Tree, nots = 0): Leaf {
  return { id: next++, kind: "leaf", nots, leaf };
}

export function groupOf(join: "and" | "or", parts: Part[], nots = 0): Group {
  return { id: next++, kind: "group", join, nots, parts };
}

function partOf(tree: Tree): Part {
  let nots = 0;
  let inner = tree;
  while (inner.type === "not") {
    nots += 1;
    inner = inner.condition as Tree;
  }
  if (inner.type === "and") return groupOf("and", (inner.all as Tree[]).map(partOf), nots);
  if (inner.type === "or") return groupOf("or", (inner.any as Tree[]).map(partOf), nots);
  return leafOf(inner, nots);
}

/** A tree as the builder edits it; the root is always a group. */
export function fromTree(tree: Tree | null | undefined): Group {
  if (!tree) return groupOf("and", []);
  const part = partOf(tree);
  return part.kind === "group" && part.nots === 0 ? part : groupOf("and", [part]);
}

/** Takes empty groups and groups of one out of a filter. */
export function tidyFilter(filter: Tree | null | undefined): Tree | null {
  if (!filter) return null;
  const name = filter.type === "and" ? "all" : filter.type === "or" ? "any" : null;
  if (name) {
    const parts = (filter[name] as Tree[]).map(tidyFilter).filter((part) => part !== null);
    return parts.length === 0 ? null : parts.length === 1 ? (parts[0] ?? null) : { ...filter, [name]: parts };
  }
  if (filter.type === "not") {
    const inner = tidyFilter(filter.filter as Tree);
    return inner ? { ...filter, filter: inner } : null;
  }
  if (filter.type === "elements") return { ...filter, filter: tidyFilter(filter.filter as Tree) };
  return filter;
}

function tidyPattern(pattern: unknown): unknown {
  const given = pattern as Pattern | undefined;
  return given?.where ? { ...given, where: tidyFilter(given.where) } : pattern;
}

/** A leaf as the language has it. */
export function tidyLeaf(leaf: Tree): Tree {
  const out: Tree = { ...leaf };
  for (const name of ["event", "first"]) if (out[name]) out[name] = tidyPattern(out[name]);
  for (const name of ["left", "right"]) {
    const occasion = out[name] as { event?: unknown } | undefined;
    if (occasion?.event) out[name] = { ...occasion, event: tidyPattern(occasion.event) };
  }
  if (Array.isArray(out.then)) out.then = (out.then as { event: unknown }[]).map((step) => ({ ...step, event: tidyPattern(step.event) }));
  if (out.type === "elements") out.filter = tidyFilter(out.filter as Tree);
  return out;
}

/** Writes a part and notes where each part stands in what is written. */
function write(part: Part, path: string, places: Map<string, number>): Tree | null {
  const inside = path + "/condition".repeat(part.nots);
  const wrapped = (tree: Tree) => {
    let out = tree;
    for (let times = 0; times < part.nots; times++) out = { type: "not", condition: out };
    return out;
  };
  if (part.kind === "leaf") {
    places.set(inside, part.id);
    return wrapped(tidyLeaf(part.leaf));
  }
  const filled = part.parts.filter((one) => one.kind === "leaf" || !empty(one));
  if (filled.length === 0) return null;
  if (filled.length === 1) {
    const only = write(filled[0] as Part, inside, places);
    return only && wrapped(only);
  }
  places.set(inside, part.id);
  const name = part.join === "and" ? "all" : "any";
  const trees = filled.map((one, at) => write(one, `${inside}/${name}/${at}`, places)).filter((tree) => tree !== null);
  return wrapped({ type: part.join, [name]: trees });
}

/** Whether nothing is in a group, however deep. */
export function empty(group: Group): boolean {
  return group.parts.every((part) => part.kind === "group" && empty(part));
}

/** The tree that the builder's document says; `null` when it is empty. */
export function toTree(root: Group): Tree | null {
  return write(root, "/where", new Map());
}

/** Which part stands at each place of the written tree, such as `/where/all/1`. */
export function placesOf(root: Group): Map<string, number> {
  const places = new Map<string, number>();
  write(root, "/where", places);
  return places;
}

/** Finds a part and the group it is in. */
export function find(root: Group, id: number): { part: Part; parent: Group | null; at: number } | null {
  if (root.id === id) return { part: root, parent: null, at: 0 };
  for (const [at, part] of root.parts.entries()) {
    if (part.id === id) return { part, parent: root, at };
    if (part.kind === "group") {
      const found = find(part, id);
      if (found) return found;
    }
  }
  return null;
}

/** Puts a changed part in a part's place. */
export function change(root: Group, id: number, by: (part: Part) => Part): Group {
  if (root.id === id) return by(root) as Group;
  let touched = false;
  const parts = root.parts.map((part) => {
    const out = part.id === id ? by(part) : part.kind === "group" ? change(part, id, by) : part;
    touched ||= out !== part;
    return out;
  });
  return touched ? { ...root, parts } : root;
}

function inGroup(root: Group, id: number, by: (parts: Part[]) => Part[]): Group {
  return change(root, id, (part) => (part.kind === "group" ? { ...part, parts: by(part.parts) } : part));
}

/** Puts a part into a group, at a place or at its end. */
export function insert(root: Group, group: number, part: Part, at = Number.MAX_SAFE_INTEGER): Group {
  return inGroup(root, group, (parts) => [...parts.slice(0, at), part, ...parts.slice(at)]);
}

export function remove(root: Group, id: number): Group {
  const found = find(root, id);
  return found?.parent ? inGroup(root, found.parent.id, (parts) => parts.filter((part) => part.id !== id)) : root;
}

/** Whether one part lies in another, or is it. */
export function within(part: Part, id: number): boolean {
  return part.id === id || (part.kind === "group" && part.parts.some((inner) => within(inner, id)));
}

/** Puts a part elsewhere; a group cannot go into itself. `at` counts the places before the move. */
export function moveTo(root: Group, id: number, group: number, at: number): Group {
  const found = find(root, id);
  if (!found?.parent || within(found.part, group)) return root;
  const later = found.parent.id === group && found.at < at ? at - 1 : at;
  if (found.parent.id === group && later === found.at) return root;
  return insert(remove(root, id), group, found.part, later);
}

export type Direction = "up" | "down" | "in" | "out";

/** Moves a part by one step: among its siblings, into the group before it (a new one with its neighbour otherwise), out of its group. */
export function move(root: Group, id: number, direction: Direction): Group {
  const found = find(root, id);
  if (!found?.parent) return root;
  const { part, parent, at } = found;
  if (direction === "up") return at > 0 ? moveTo(root, id, parent.id, at - 1) : root;
  if (direction === "down") return at < parent.parts.length - 1 ? moveTo(root, id, parent.id, at + 2) : root;
  if (direction === "out") {
    const outer = find(root, parent.id);
    return outer?.parent ? moveTo(root, id, outer.parent.id, outer.at + 1) : root;
  }
  const before = parent.parts[at - 1];
  const after = parent.parts[at + 1];
  if (before?.kind === "group") return moveTo(root, id, before.id, before.parts.length);
  if (after?.kind === "group") return moveTo(root, id, after.id, 0);
  const made = groupOf(parent.join === "and" ? "or" : "and", before ? [before, part] : [part]);
  return inGroup(root, parent.id, (parts) => parts.flatMap((one) => (one.id === before?.id ? [] : one.id === id ? [made] : [one])));
}

/** Which steps a part can take. */
export function moves(root: Group, id: number): Direction[] {
  const found = find(root, id);
  if (!found?.parent) return [];
  const all: [Direction, boolean][] = [
    ["up", found.at > 0],
    ["down", found.at < found.parent.parts.length - 1],
    ["in", true],
    ["out", found.parent.id !== root.id],
  ];
  return all.filter(([, can]) => can).map(([direction]) => direction);
}

function copied(part: Part): Part {
  return part.kind === "leaf" ? leafOf(structuredClone(part.leaf), part.nots) : groupOf(part.join, part.parts.map(copied), part.nots);
}

/** Puts a copy behind a part; answers its number too. */
export function duplicate(root: Group, id: number): { root: Group; copy: number } {
  const found = find(root, id);
  if (!found?.parent) return { root, copy: id };
  const copy = copied(found.part);
  return { root: insert(root, found.parent.id, copy, found.at + 1), copy: copy.id };
}

/** Puts a tree in a part's place. */
export function replace(root: Group, id: number, tree: Tree): Group {
  return change(root, id, () => partOf(tree));
}

/** Puts `not` before a part, or takes it away. */
export function negate(root: Group, id: number): Group {
  return change(root, id, (part) => ({ ...part, nots: part.nots > 0 ? part.nots - 1 : 1 }));
}

/** A document read from where a browser kept it, with numbers of its own. */
export function revive(kept: unknown): Group | null {
  const read = (value: unknown): Part | null => {
    const part = value as (Partial<Omit<Group, "kind">> & Partial<Omit<Leaf, "kind">> & { kind?: string }) | null;
    const nots = typeof part?.nots === "number" ? part.nots : 0;
    if (part?.kind === "leaf" && typeof part.leaf?.type === "string") return leafOf(part.leaf, nots);
    if (part?.kind !== "group" || !Array.isArray(part.parts)) return null;
    return groupOf(part.join === "or" ? "or" : "and", part.parts.map(read).filter((one) => one !== null), nots);
  };
  const root = read(kept);
  return root?.kind === "group" ? root : null;
}

/** What was, is, and was taken back. */
export interface History<T> {
  past: T[];
  now: T;
  future: T[];
  /** What the last change was to, and when: a run of changes to one field is one step. */
  last: { of: string; at: number } | null;
}

const STEPS_MAX = 200;
const RUN_MS = 1_000;

export function begin<T>(now: T): History<T> {
  return { past: [], now, future: [], last: null };
}

/** Notes a change. Changes to the same thing in quick succession are taken back together. */
export function commit<T>(history: History<T>, now: T, of: string, at: number): History<T> {
  if (now === history.now) return history;
  const run = of !== "" && history.last?.of === of && at - history.last.at < RUN_MS;
  const past = run ? history.past : [...history.past, history.now].slice(-STEPS_MAX);
  return { past, now, future: [], last: { of, at } };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return { past: history.past.slice(0, -1), now: before, future: [history.now, ...history.future], last: null };
}

export function redo<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.now], now: after, future, last: null };
}
