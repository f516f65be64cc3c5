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

/** Writes an instant as its day and minute, in the viewer's zone. */
export function moment(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Writes the day of an instant: today, yesterday or its date. */
export function day(at: string, now: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const start = (time: number) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((start(now) - start(date.getTime())) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  const year = date.getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year });
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/;

/** Whether a text is an instant as machines write it. */
export function isInstant(text: string): boolean {
  return INSTANT.test(text);
}

/** Puts thin separators into the long numbers of a sentence; codes that mix letters and digits stay as they are. */
export function grouped(sentence: string): string {
  return sentence.replace(/(?<![\w.,:/#-])\d{4,15}(?![\w:/-]|[.,]\d)/g, (digits) => count(Number(digits)));
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

/** Writes a dynamic value in one line, without brackets and quotes. */
export function brief(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return isInstant(value) ? moment(value) : value;
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(brief).join(", ");
  return Object.entries(value as Record<string, unknown>).map(([name, one]) => `${name} ${brief(one)}`).join(", ");
}

/** Writes the first letters of a person's names, for the round mark beside them. */
export function initials(name: string): string {
  const parts = name.replace(/@.*/, "").split(/[\s._-]+/).filter((part) => /^[\p{L}]/u.test(part));
  const letters = parts.length > 1 ? [parts[0], parts.at(-1)] : parts.slice(0, 1);
  return letters.map((part) => part?.[0]?.toUpperCase() ?? "").join("") || "·";
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
