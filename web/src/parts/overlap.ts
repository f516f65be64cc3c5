/** Draws two groups as circles whose areas, and whose shared area, are true to their numbers. */

export interface Circles {
  /** Radii and how far apart the centres are, in the same unit. */
  left: number;
  right: number;
  apart: number;
}

/** The area that two circles share. */
export function shared(left: number, right: number, apart: number): number {
  if (apart >= left + right) return 0;
  if (apart <= Math.abs(left - right)) return Math.PI * Math.min(left, right) ** 2;
  const angle = (own: number, other: number) => 2 * Math.acos(Math.max(-1, Math.min(1, (apart ** 2 + own ** 2 - other ** 2) / (2 * apart * own))));
  const segment = (radius: number, wide: number) => (radius ** 2 / 2) * (wide - Math.sin(wide));
  return segment(left, angle(left, right)) + segment(right, angle(right, left));
}

/** The circles for two numbers and what they share; the larger of the two has the radius `most`. */
export function circlesOf(left: number, right: number, both: number, most: number): Circles {
  const scale = most / Math.sqrt(Math.max(left, right, 1) / Math.PI);
  const radius = (many: number) => Math.sqrt(many / Math.PI) * scale;
  const [a, b] = [radius(left), radius(right)];
  const wanted = both * scale ** 2;
  if (both <= 0) return { left: a, right: b, apart: a + b + most * 0.08 };
  // The shared area falls as the circles move apart: halve until it is as large as it should be.
  let [near, far] = [Math.abs(a - b), a + b];
  for (let times = 0; times < 60; times++) {
    const middle = (near + far) / 2;
    if (shared(a, b, middle) > wanted) near = middle;
    else far = middle;
  }
  return { left: a, right: b, apart: (near + far) / 2 };
}
