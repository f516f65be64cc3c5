/** The circles of an overlap say the numbers. */
import { describe, expect, it } from "vitest";
import { circlesOf, shared } from "./overlap";

const area = (radius: number) => Math.PI * radius ** 2;

describe("circlesOf", () => {
  it.each([[100, 60, 30], [246, 61, 61], [246, 61, 1], [5, 5, 5], [1000, 1, 1], [40, 80, 39]])("is true to %i, %i and %i shared", (left, right, both) => {
    const drawn = circlesOf(left, right, both, 100);
    expect(Math.max(drawn.left, drawn.right)).toBeCloseTo(100);
    const unit = area(100) / Math.max(left, right);
    expect(area(drawn.left) / unit).toBeCloseTo(left, 3);
    expect(area(drawn.right) / unit).toBeCloseTo(right, 3);
    expect(shared(drawn.left, drawn.right, drawn.apart) / unit).toBeCloseTo(both, 2);
  });
  it("keeps apart what shares nothing and draws nothing for nobody", () => {
    const drawn = circlesOf(10, 20, 0, 50);
    expect(drawn.apart).toBeGreaterThan(drawn.left + drawn.right);
    expect(circlesOf(0, 0, 0, 50)).toMatchObject({ left: 0, right: 0 });
  });
});
