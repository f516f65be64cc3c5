/** A journey's definition as a graph. */
import { describe, expect, it } from "vitest";
import { aboutStep, aboutTrigger, edges, fitting, layout, span } from "./graph";

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

describe("a step in words", () => {
  it.each([
    ["wait", { type: "wait", seconds: 7200 }, "Wait 2 hours"],
    ["send", { type: "send", template: "abandoned-cart" }, "Send “Abandoned cart”"],
    ["reachable", { type: "branch", condition: "email is present" }, "Is it so that email is present?"],
    ["end", { type: "exit" }, "End"],
  ])("is what it does: %s", (id, node, expected) => {
    expect(aboutStep(id, node)).toBe(expected);
  });

  it("names the trigger and what makes an entry its own", () => {
    expect(aboutTrigger({ event: "Product Added", key: "cart_id" })).toBe("by “Product Added”, once for each cart id");
    expect(aboutTrigger(undefined)).toBe("by no trigger");
  });

  it("writes spans in their largest whole unit", () => {
    expect([span(8), span(60), span(5400), span(172_800)]).toEqual(["8 seconds", "1 minute", "90 minutes", "2 days"]);
  });
});
