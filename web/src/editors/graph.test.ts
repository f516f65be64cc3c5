/** A journey's definition as a graph. */
import { describe, expect, it } from "vitest";
import { edges, fitting, layout } from "./graph";

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

describe("the frame", () => {
  const places = Array.from({ length: 5 }, (_, row) => ({ x: (row % 3) * 264, y: row * 148 }));

  it("is as high as the steps need at its width", () => {
    expect(fitting(places, 1200)).toBe(4 * 148 + 176);
    expect(fitting(places, 358)).toBeLessThan(fitting(places, 1200));
  });
  it("stays within bounds for one step and for very many", () => {
    expect(fitting([{ x: 0, y: 0 }], 358)).toBe(320);
    expect(fitting([], 0)).toBe(320);
    expect(fitting(Array.from({ length: 40 }, (_, row) => ({ x: 0, y: row * 148 })), 1200)).toBe(900);
  });
});
