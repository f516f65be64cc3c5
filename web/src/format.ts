/** Turns values into words: numbers with thin separators, instants relative and exact, dynamic values as text. */

const THIN = "\u202f";

/** Writes a whole number with thin separators: 12 345. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const [whole = "0", part] = String(Math.round(value * 10) / 10).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
  return part && Math.abs(value) < 100 ? `${grouped}.${part}` : grouped;
}

/** Writes a share of a whole as a percentage; an empty whole has none. */
export function share(part: number, whole: number): string {
  if (!whole) return "–";
  const percent = (part / whole) * 100;
  if (percent > 0 && percent < 0.1) return "under 0.1 %";
  return `${percent < 10 ? Math.round(percent * 10) / 10 : Math.round(percent)} %`;
}

const STEPS: [number, string][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [30, "day"],
  [12, "month"],
  [Infinity, "year"],
];

/** Writes an instant relative to another: "3 minutes ago", "in 2 days". */
export function relative(at: string, now: number): string {
  const then = Date.parse(at);
  if (Number.isNaN(then)) return at;
  const seconds = (then - now) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  let amount = Math.abs(seconds);
  for (const [size, unit] of STEPS) {
    if (amount < size) {
      const whole = Math.floor(amount);
      const words = `${whole} ${unit}${whole === 1 ? "" : "s"}`;
      return seconds < 0 ? `${words} ago` : `in ${words}`;
    }
    amount /= size;
  }
  return at;
}

/** Writes an instant exactly, in the viewer's zone. */
export function exact(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Writes the time of day with seconds. */
export function clock(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? at : date.toTimeString().slice(0, 8);
}

/** Writes a dynamic value as a person would read it. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return JSON.stringify(value);
}

/** Writes a size in bytes. */
export function bytes(value: number | undefined): string {
  if (value === undefined) return "–";
  return value < 1024 ? `${value} B` : value < 1_048_576 ? `${Math.round(value / 102.4) / 10} kB` : `${Math.round(value / 104_857.6) / 10} MB`;
}

/** Writes a code such as `no_consent` as words. */
export function words(code: string | null | undefined): string {
  if (!code) return "–";
  const text = code.replace(/[_-]+/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
