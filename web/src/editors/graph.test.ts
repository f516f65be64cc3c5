/** A journey's definition as a graph. */
import { describe, expect, it } from "vitest";
import { edges, layout } from "./graph";

const nodes = {
  wait: { type: "wait", next: "check" },
  check: { type: "branch", branches: [{ where: "plan = 1", next: "mail" }], otherwise: "end" },
  mail: { type: "email", template: "end", next: "end" },
  end: { type: "exit" },
};

describe("edges", () => {
  it("are found wherever a node is named, and never in a template's name", () => {
    expect(edges(nodes)).toEqual([
      { from: "wait", to: "check", label: "" },
      { from: "check", to: "mail", label: "plan = 1" },
      { from: "check", to: "end", label: "otherwise" },
      { from: "mail", to: "end", label: "" },
    ]);
  });
});

describe("layout", () => {
  it("puts each node below all that lead to it", () => {
    const places = layout(nodes, edges(nodes));
    for (const edge of edges(nodes)) expect(places[edge.to]!.y).toBeGreaterThan(places[edge.from]!.y);
  });
  it("ends for a circle", () => {
    const circle = { a: { next: "b" }, b: { next: "a" } };
    expect(Object.keys(layout(circle, edges(circle)))).toEqual(["a", "b"]);
  });
});
