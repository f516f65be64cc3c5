/** The builder's document: every form of the language comes back as it was, and moves lose nothing. */
import { describe, expect, it } from "vitest";
import FORMS from "./forms.gen.json";
import { choicesFor, CHOICES, DRAWN, FORMS as OFFERED, gapOf, keyOf, literalOf, windowOf } from "./forms";
import { begin, change, commit, duplicate, empty, find, fromTree, groupOf, insert, leafOf, move, moves, moveTo, negate, placesOf, redo, remove, replace, revive, tidyFilter, toTree, undo, type Group, type Test, type Tree } from "./tree";

const everyone: Tree = { type: "everyone" };
const named = (name: string): Tree => ({ type: "in_segment", segment: name });
const root = (...names: string[]) => groupOf("and", names.map((name) => leafOf(named(name))));
const said = (group: Group): string => group.parts.map((part) => (part.kind === "leaf" ? String(part.leaf.segment) : `${part.join}(${said(part)})`)).join(" ");
const idOf = (group: Group, name: string): number => {
  for (const part of group.parts) {
    if (part.kind === "leaf" && part.leaf.segment === name) return part.id;
    const inner = part.kind === "group" ? idOf(part, name) : 0;
    if (inner) return inner;
  }
  return 0;
};

describe("the round trip", () => {
  it.each(FORMS.map((form) => [form.example, form.tree as Tree] as const))("gives back %s", (_, tree) => {
    expect(toTree(fromTree(tree))).toEqual(tree);
    const nested: Tree = { type: "or", any: [everyone, { type: "not", condition: { type: "not", condition: { type: "and", all: [tree, { type: "not", condition: tree }] } } }] };
    expect(toTree(fromTree(nested))).toEqual(nested);
    expect(toTree(fromTree({ type: "not", condition: tree }))).toEqual({ type: "not", condition: tree });
    expect(toTree(revive(JSON.parse(JSON.stringify(fromTree(nested)))) as Group)).toEqual(nested);
  });
  it.each(FORMS.map((form) => [form.example, form.tree as Tree] as const))("draws each part of %s, and misses nothing in it", (_, tree) => {
    const leaves = (part: Group): Tree[] => part.parts.flatMap((one) => (one.kind === "leaf" ? [one.leaf] : leaves(one)));
    for (const leaf of leaves(fromTree(tree))) {
      expect(DRAWN.has(leaf.type), leaf.type).toBe(true);
      expect(gapOf(leaf)).toBeNull();
      const test = leaf.test as Test | undefined;
      if (test) expect(CHOICES.some((choice) => choice.key === keyOf(test)), test.is).toBe(true);
    }
  });
  it("writes nothing for an empty document, and a group of one as its part", () => {
    expect(toTree(fromTree(null))).toBeNull();
    expect(toTree(groupOf("and", [groupOf("or", []), groupOf("or", [leafOf(everyone)], 1)]))).toEqual({ type: "not", condition: everyone });
    expect(empty(groupOf("and", [groupOf("or", [])]))).toBe(true);
  });
});

describe("places", () => {
  it("name the part that the server means", () => {
    const tree: Tree = { type: "and", all: [everyone, { type: "not", condition: { type: "or", any: [named("a"), { type: "not", condition: named("b") }] } }] };
    const document = fromTree(tree);
    const places = placesOf(document);
    expect(places.get("/where")).toBe(document.id);
    expect(places.get("/where/all/1/condition/any/1/condition")).toBe(idOf(document, "b"));
  });
  it("skip what is not written", () => {
    const document = groupOf("and", [groupOf("or", []), leafOf(named("a")), leafOf(named("b"))]);
    expect(placesOf(document).get("/where/all/0")).toBe(idOf(document, "a"));
  });
});

describe("moving", () => {
  it("goes up and down among siblings and stops at the ends", () => {
    const document = root("a", "b", "c");
    expect(said(move(document, idOf(document, "b"), "up"))).toBe("b a c");
    expect(said(move(document, idOf(document, "b"), "down"))).toBe("a c b");
    expect(move(document, idOf(document, "a"), "up")).toBe(document);
    expect(moves(document, idOf(document, "a"))).toEqual(["down", "in"]);
  });
  it("goes into a group of its own with its neighbour, and out again", () => {
    const document = root("a", "b", "c");
    const inside = move(document, idOf(document, "b"), "in");
    expect(said(inside)).toBe("or(a b) c");
    expect(said(move(inside, idOf(inside, "c"), "in"))).toBe("or(a b c)");
    expect(said(move(inside, idOf(inside, "a"), "out"))).toBe("or(b) a c");
  });
  it("never goes into itself and never loses a part", () => {
    const document = move(root("a", "b", "c"), 0, "in");
    const grouped = move(document, idOf(document, "b"), "in");
    const group = find(grouped, idOf(grouped, "a"))?.parent as Group;
    expect(moveTo(grouped, group.id, group.id, 0)).toBe(grouped);
    let at = grouped;
    for (const [index, direction] of (["in", "out", "up", "in", "down", "out", "out", "in", "up"] as const).entries()) {
      at = move(at, idOf(at, ["a", "b", "c"][index % 3] ?? ""), direction);
      expect(said(at).replace(/and|or|[()]/g, "").split(" ").sort().join("")).toBe("abc");
    }
  });
  it("counts places before the move", () => {
    const document = root("a", "b", "c");
    expect(said(moveTo(document, idOf(document, "a"), document.id, 3))).toBe("b c a");
    expect(said(moveTo(document, idOf(document, "c"), document.id, 0))).toBe("c a b");
    expect(moveTo(document, idOf(document, "a"), document.id, 1)).toBe(document);
  });
});

describe("editing", () => {
  it("adds, copies, negates, replaces and removes", () => {
    let document = root("a");
    document = insert(document, document.id, leafOf(named("b")));
    const copy = duplicate(document, idOf(document, "a"));
    expect(said(copy.root)).toBe("a a b");
    expect(said(remove(copy.root, copy.copy))).toBe("a b");
    document = negate(document, idOf(document, "b"));
    expect(toTree(document)).toEqual({ type: "and", all: [named("a"), { type: "not", condition: named("b") }] });
    expect(toTree(negate(document, idOf(document, "b")))).toEqual({ type: "and", all: [named("a"), named("b")] });
    expect(said(replace(document, idOf(document, "a"), { type: "or", any: [named("x"), named("y")] }))).toBe("or(x y) b");
    expect(change(document, -1, (part) => part)).toBe(document);
  });
  it("takes steps back and again, a run of typing as one", () => {
    let history = begin("");
    history = commit(history, "a", "name", 0);
    history = commit(history, "ab", "name", 400);
    history = commit(history, "abc", "other", 500);
    expect(undo(history).now).toBe("ab");
    expect(undo(undo(history)).now).toBe("");
    expect(redo(undo(undo(history))).now).toBe("ab");
    expect(undo(undo(undo(history))).now).toBe("");
    expect(commit(undo(history), "x", "", 600).future).toEqual([]);
  });
});

describe("filters", () => {
  const property: Tree = { type: "property", path: "p", test: { is: "present" } };
  it("are written without empty groups and groups of one", () => {
    expect(tidyFilter({ type: "and", all: [] })).toBeNull();
    expect(tidyFilter({ type: "or", any: [{ type: "and", all: [property] }, { type: "not", filter: { type: "or", any: [] } }] })).toEqual(property);
    const leaf = leafOf({ type: "did", event: { name: "A", where: { type: "and", all: [property] } }, window: null });
    expect(toTree(groupOf("and", [leaf]))).toEqual({ type: "did", event: { name: "A", where: property }, window: null });
  });
});

describe("forms", () => {
  it("say what is still to be filled in", () => {
    for (const form of OFFERED.flatMap((family) => family.forms)) {
      const whole = form.label === "Everyone";
      expect(gapOf(form.make(""), true) === null, form.label).toBe(whole);
    }
    expect(gapOf({ type: "attribute", path: "x", test: { is: "compare", op: "equal", value: "" } })).toBeNull();
    expect(gapOf({ type: "did", event: { name: "A", where: { type: "property", path: "", test: { is: "present" } } }, window: null })).toBe("Choose a property.");
  });
  it("turn one test and one window into another and keep what they share", () => {
    const choice = (key: string) => CHOICES.find((one) => one.key === key);
    expect(choice("in")?.make({ is: "compare", op: "equal", value: "BD" })).toEqual({ is: "in", values: ["BD"] });
    expect(choice("compare:less")?.make({ is: "between", low: 3, high: 9 })).toEqual({ is: "compare", op: "less", value: 3 });
    expect(windowOf("before_last", { type: "in_last", span: { amount: 7, unit: "weeks" } })).toEqual({ type: "before_last", span: { amount: 7, unit: "weeks" } });
    expect(windowOf("", { type: "today" })).toBeNull();
  });
  it("offer no test against the present where none can stand, and keep one that is there", () => {
    expect(choicesFor("property", "compare:equal").some((choice) => choice.key === "in_last")).toBe(false);
    expect(choicesFor("property", "in_last").some((choice) => choice.key === "in_last")).toBe(true);
    expect(choicesFor("number", "compare:equal").every((choice) => choice.family === "value")).toBe(true);
  });
  it("read numbers and leave alone what is none", () => {
    expect([literalOf("4.5", "number"), literalOf("4,5", "number"), literalOf("", "number"), literalOf("5", "text"), literalOf("true", "bool")]).toEqual([4.5, 4.5, "", "5", true]);
  });
});
