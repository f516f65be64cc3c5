/** What the builder knows of the language: its forms with their beginnings, tests, windows, and what is still to be filled in. */
import type { Span, Test, Tree } from "./tree";

export type Words = readonly (readonly [value: string, label: string])[];

export const UNITS: Words = [["seconds", "seconds"], ["minutes", "minutes"], ["hours", "hours"], ["days", "days"], ["weeks", "weeks"], ["months", "months"], ["years", "years"]];
export const PERIODS: Words = [["hours", "hours"], ["days", "days"], ["weeks", "weeks"], ["months", "months"]];
export const WHICH: Words = [["last", "last"], ["first", "first"]];
export const COMPARISONS: Words = [["after", "after"], ["before", "before"]];
export const SPAN_OPS: Words = [["greater", "more than"], ["greater_or_equal", "at least"], ["less", "less than"], ["less_or_equal", "at most"]];
export const OPS: Words = [["equal", "exactly"], ["not_equal", "not"], ["less", "less than"], ["less_or_equal", "at most"], ["greater", "more than"], ["greater_or_equal", "at least"]];
export const PASSAGES: Words = [["entered", "entered"], ["left", "left"]];
export const QUANTIFIERS: Words = [["any", "any"], ["all", "all"], ["none", "none"]];
export const SAYS: Words = [["consents", "consents to"], ["withdrew", "withdrew consent to"], ["subscribed", "is subscribed to topic"], ["unsubscribed", "unsubscribed from topic"]];
export const FIGURES: Words = [["sum", "total of"], ["avg", "average of"], ["min", "lowest"], ["max", "highest"], ["distinct", "different values of"], ["top", "most frequent"], ["first", "first"], ["last", "latest"]];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
export const MONTH_WORDS: Words = MONTHS.map((name) => [name, name] as const);
export const WEEKDAY_WORDS: Words = WEEKDAYS.map((name) => [name, name] as const);

const days = (amount: number): Span => ({ amount, unit: "days" });
const inLast = (amount: number) => ({ type: "in_last", span: days(amount) });
const event = (name = "") => ({ name, where: null });
const more = (value: number): Test => ({ is: "compare", op: "greater_or_equal", value });

export interface Form {
  label: string;
  /** A word more for finding it. */
  hint: string;
  make: (event: string) => Tree;
  nots?: number;
}

/** What can be added, by family. */
export const FORMS: readonly { family: string; forms: readonly Form[] }[] = [
  {
    family: "Who they are",
    forms: [
      { label: "Attribute", hint: "country, age, plan, a date", make: () => ({ type: "attribute", path: "", test: { is: "compare", op: "equal", value: "" } }) },
      { label: "Attribute held for a time", hint: "pro for 30 days", make: () => ({ type: "held", path: "", test: { is: "compare", op: "equal", value: "" }, span: days(30) }) },
      { label: "Elements of a list", hint: "any of the pets", make: () => ({ type: "elements", quantifier: "any", path: "", filter: { type: "property", path: "", test: { is: "compare", op: "equal", value: "" } } }) },
      { label: "Consent or topic", hint: "subscribed to news", make: () => ({ type: "consent", says: "subscribed", about: "", by: null, window: null }) },
      { label: "In a segment", hint: "member now", make: () => ({ type: "in_segment", segment: "" }) },
      { label: "Entered or left a segment", hint: "in the last 7 days", make: () => ({ type: "passed", passage: "entered", segment: "", window: inLast(7) }) },
      { label: "Random share", hint: "20 % of all, always the same ones", make: () => ({ type: "random", from: 0, to: 20, name: "" }) },
      { label: "Everyone", hint: "every profile", make: () => ({ type: "everyone" }) },
    ],
  },
  {
    family: "What they did",
    forms: [
      { label: "Did", hint: "an event, with its properties", make: (name) => ({ type: "did", event: event(name), window: inLast(30) }) },
      { label: "Did not", hint: "no such event", nots: 1, make: (name) => ({ type: "did", event: event(name), window: inLast(30) }) },
      { label: "How often", hint: "3 times in 60 days", make: (name) => ({ type: "count", event: event(name), window: inLast(60), test: more(3) }) },
      { label: "Figure of a property", hint: "total, average, most frequent", make: (name) => ({ type: "aggregate", function: "sum", property: "", event: event(name), window: inLast(180), test: more(500) }) },
      { label: "In different weeks", hint: "days, weeks, months with", make: (name) => ({ type: "periods", period: "weeks", event: event(name), window: { type: "in_last", span: { amount: 6, unit: "months" } }, test: more(20) }) },
      { label: "Time since", hint: "more than 90 days ago", make: (name) => ({ type: "since", which: "last", event: event(name), op: "greater", span: days(90) }) },
      { label: "One after the other", hint: "last cart after last order", make: (name) => ({ type: "order", left: { which: "last", event: event(name) }, comparison: "after", right: { which: "last", event: event() } }) },
      { label: "Sequence", hint: "then, then not, within", make: (name) => ({ type: "sequence", first: event(name), then: [{ not: false, event: event(), within: { amount: 2, unit: "hours" } }], whole: null, same: null, window: null }) },
    ],
  },
  {
    family: "How they changed",
    forms: [
      { label: "For the first time", hint: "first order in 7 days", make: (name) => ({ type: "first_time", event: event(name), window: inLast(7) }) },
      { label: "Stopped", hint: "did often, then no more", make: (name) => ({ type: "stopped", event: event(name), quiet: days(30), times: 3, before: days(90) }) },
      { label: "Resumed", hint: "again after a pause", make: (name) => ({ type: "resumed", event: event(name), window: inLast(7), pause: days(30) }) },
      { label: "Regularly", hint: "in 3 of the last 4 weeks", make: (name) => ({ type: "regularly", event: event(name), times: 1, periods: 3, last: { amount: 4, unit: "weeks" } }) },
    ],
  },
];

/** The forms that the builder draws in full; any other is shown as its text. */
export const DRAWN: ReadonlySet<string> = new Set(FORMS.flatMap((family) => family.forms.map((form) => form.make("").type)));

/** What a test is against: an attribute as it is now, one over time or an event's property (never the present), a number. */
export type Against = "attribute" | "property" | "held" | "number";

export interface Choice {
  key: string;
  label: string;
  family: "value" | "list" | "text" | "date";
  make: (old: Test) => Test;
  /** Needs the present. */
  relative?: boolean;
}

const literal = (old: Test): unknown => old.value ?? (old.values as unknown[] | undefined)?.[0] ?? old.low ?? old.text ?? "";
const numeric = (old: Test): unknown => (typeof literal(old) === "number" ? literal(old) : 0);
const several = (old: Test): unknown[] => (old.values as unknown[] | undefined) ?? (literal(old) === "" ? [] : [literal(old)]);
const textual = (old: Test): string => (typeof literal(old) === "string" ? (literal(old) as string) : "");
const spanned = (old: Test): Span => (old.span as Span | undefined) ?? days(30);
const dated = (old: Test): string => (old.when as string | undefined) ?? (old.from as string | undefined) ?? "";
const compare = (op: string, label: string): Choice => ({ key: `compare:${op}`, label, family: "value", make: (old) => ({ is: "compare", op, value: literal(old) }) });
const spanning = (is: string, label: string): Choice => ({ key: is, label, family: "date", relative: true, make: (old) => ({ is, span: spanned(old) }) });
const at = (is: string, label: string): Choice => ({ key: is, label, family: "date", make: (old) => ({ is, when: dated(old) }) });
const plain = (is: string, label: string, family: Choice["family"], relative = false): Choice => ({ key: is, label, family, relative, make: () => ({ is }) });

export const CHOICES: readonly Choice[] = [
  compare("equal", "is"),
  compare("not_equal", "is not"),
  compare("less", "is less than"),
  compare("less_or_equal", "is at most"),
  compare("greater", "is more than"),
  compare("greater_or_equal", "is at least"),
  { key: "between", label: "is between", family: "value", make: (old) => ({ is: "between", low: old.low ?? numeric(old), high: old.high ?? numeric(old) }) },
  { key: "in", label: "is one of", family: "value", make: (old) => ({ is: "in", values: several(old) }) },
  { key: "not_in", label: "is none of", family: "value", make: (old) => ({ is: "not_in", values: several(old) }) },
  plain("present", "is known", "value"),
  plain("missing", "is not known", "value"),
  { key: "contains", label: "contains", family: "list", make: (old) => ({ is: "contains", value: literal(old) }) },
  { key: "contains_any", label: "contains any of", family: "list", make: (old) => ({ is: "contains_any", values: several(old) }) },
  { key: "contains_all", label: "contains all of", family: "list", make: (old) => ({ is: "contains_all", values: several(old) }) },
  { key: "length", label: "has a length of", family: "list", make: (old) => ({ is: "length", op: old.op ?? "greater_or_equal", number: typeof old.number === "number" ? old.number : 1 }) },
  { key: "starts_with", label: "starts with", family: "text", make: (old) => ({ is: "starts_with", text: textual(old) }) },
  { key: "ends_with", label: "ends with", family: "text", make: (old) => ({ is: "ends_with", text: textual(old) }) },
  { key: "matches", label: "matches the pattern", family: "text", make: (old) => ({ is: "matches", pattern: old.pattern ?? "" }) },
  spanning("in_last", "was in the last"),
  spanning("in_next", "is in the next"),
  spanning("before_last", "was at least … ago"),
  spanning("after_next", "is further ahead than"),
  at("before", "is before"),
  at("after", "is after"),
  at("on", "is on the day"),
  { key: "between_dates", label: "is between the days", family: "date", make: (old) => ({ is: "between_dates", from: dated(old), to: (old.to as string | undefined) ?? "" }) },
  plain("today", "is today", "date", true),
  plain("anniversary_today", "has its anniversary today", "date", true),
  spanning("anniversary_in_next", "has its anniversary in the next"),
  spanning("anniversary_in_last", "had its anniversary in the last"),
  { key: "in_month", label: "is in the month", family: "date", make: (old) => ({ is: "in_month", month: old.month ?? "May" }) },
  { key: "on_weekday", label: "is on a", family: "date", make: (old) => ({ is: "on_weekday", weekday: old.weekday ?? "Monday" }) },
];

const NUMBER_TESTS = new Set(["between", "in", "not_in"]);

/** The tests that fit; a test that is there stays among them. */
export function choicesFor(against: Against, current: string): readonly Choice[] {
  return CHOICES.filter((choice) => {
    if (choice.key === current) return true;
    if (against === "number") return choice.key.startsWith("compare:") || NUMBER_TESTS.has(choice.key);
    if (against === "held") return !choice.relative && choice.key !== "missing";
    return against === "attribute" || !choice.relative;
  });
}

/** The name of a test among the choices. */
export function keyOf(test: Test): string {
  return test.is === "compare" ? `compare:${String(test.op)}` : test.is;
}

/** The window that `type` begins with, keeping what it can of another. */
export function windowOf(type: string, old: Tree | null): Tree | null {
  const span = (old?.span as Span | undefined) ?? (old?.from as Span | undefined);
  const spanOr = (amount: number): Span => (span && typeof span === "object" ? span : days(amount));
  const when = typeof old?.when === "string" ? old.when : typeof old?.from === "string" ? old.from : "";
  switch (type) {
    case "in_last":
    case "before_last":
      return { type, span: spanOr(30) };
    case "ago":
      return { type, from: { ...spanOr(60) }, to: days(30) };
    case "since":
    case "before":
      return { type, when };
    case "between":
      return { type, from: when, to: typeof old?.to === "string" ? old.to : "" };
    case "today":
      return { type };
    default:
      return null;
  }
}

/** Reads what was typed as the kind of value that is wanted. */
export function literalOf(text: string, kind: "number" | "bool" | "text"): string | number | boolean {
  if (kind === "bool") return text === "true";
  if (kind === "number") {
    const number = Number(text.replace(",", "."));
    return text.trim() !== "" && Number.isFinite(number) ? number : text;
  }
  return text;
}

const blank = (value: unknown) => value === "" || value === null || value === undefined;

function testGap(test: Test, fresh: boolean): string | null {
  if (test.is === "compare" && test.value === "" && (fresh || (test.op !== "equal" && test.op !== "not_equal"))) return "Give a value.";
  if (["in", "not_in", "contains_any", "contains_all"].includes(test.is) && (test.values as unknown[]).length === 0) return "Give at least one value.";
  if (test.is === "between" && (blank(test.low) || blank(test.high))) return "Give both ends.";
  if (["before", "after", "on"].includes(test.is) && blank(test.when)) return "Choose a day.";
  if (test.is === "between_dates" && (blank(test.from) || blank(test.to))) return "Choose both days.";
  if (test.is === "contains" && blank(test.value)) return "Give a value.";
  if (test.is === "matches" && blank(test.pattern)) return "Give a pattern.";
  return null;
}

function filterGap(filter: Tree | null | undefined, fresh: boolean): string | null {
  if (!filter) return null;
  if (filter.type === "and" || filter.type === "or") return (filter[filter.type === "and" ? "all" : "any"] as Tree[]).map((part) => filterGap(part, fresh)).find((gap) => gap !== null) ?? null;
  if (filter.type === "not") return filterGap(filter.filter as Tree, fresh);
  if (blank(filter.path)) return "Choose a property.";
  return filter.type === "elements" ? (filter.filter ? filterGap(filter.filter as Tree, fresh) : "Say what an element must be.") : testGap(filter.test as Test, fresh);
}

const eventGap = (pattern: unknown, fresh: boolean): string | null => {
  const given = pattern as { name?: string; where?: Tree | null } | undefined;
  return blank(given?.name) ? "Choose an event." : filterGap(given?.where, fresh);
};

function windowGap(window: unknown): string | null {
  const given = window as Tree | null | undefined;
  if ((given?.type === "since" || given?.type === "before") && blank(given.when)) return "Choose a day.";
  return given?.type === "between" && (blank(given.from) || blank(given.to)) ? "Choose both days." : null;
}

/** What is still to be filled in before a part can be asked about; `null` when nothing is. */
export function gapOf(leaf: Tree, fresh = false): string | null {
  const steps = (leaf.then as { event: unknown }[] | undefined) ?? [];
  const gaps = [
    leaf.event !== undefined ? eventGap(leaf.event, fresh) : null,
    leaf.first !== undefined && leaf.type === "sequence" ? eventGap(leaf.first, fresh) : null,
    ...steps.map((step) => eventGap(step.event, fresh)),
    leaf.left ? eventGap((leaf.left as { event: unknown }).event, fresh) : null,
    leaf.right ? eventGap((leaf.right as { event: unknown }).event, fresh) : null,
    leaf.type === "sequence" && steps.length === 0 ? "Add what comes after." : null,
    leaf.path !== undefined && blank(leaf.path) ? "Choose an attribute." : null,
    leaf.type === "aggregate" && blank(leaf.property) ? "Choose a property." : null,
    (leaf.type === "in_segment" || leaf.type === "passed") && blank(leaf.segment) ? "Choose a segment." : null,
    leaf.type === "consent" && blank(leaf.about) ? "Choose a topic or purpose." : null,
    leaf.type === "random" && blank(leaf.name) ? "Give the draw a name: the same name always draws the same people." : null,
    leaf.type === "elements" ? (leaf.filter ? filterGap(leaf.filter as Tree, fresh) : "Say what an element must be.") : null,
    leaf.test !== undefined ? testGap(leaf.test as Test, fresh) : null,
    windowGap(leaf.window),
  ];
  return gaps.find((gap) => gap !== null) ?? null;
}
