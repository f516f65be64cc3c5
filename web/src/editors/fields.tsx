/** The fields a condition is drawn with: names and values with what was seen, spans, windows, tests, properties of events. */
import { Autocomplete, TagsInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { createContext, useContext, useId, useState, type ReactNode } from "react";
import { call, params, type EventVocabulary, type KnownName, type Vocabulary } from "../api";
import { count } from "../format";
import { choicesFor, CHOICES, keyOf, literalOf, MONTH_WORDS, OPS, QUANTIFIERS, UNITS, WEEKDAY_WORDS, windowOf, type Against, type Words } from "./forms";
import type { Pattern, Span, Test, Tree } from "./tree";

/** The names a workspace has. */
export const Known = createContext<Vocabulary | undefined>(undefined);

const NONE: KnownName[] = [];

/** The properties of an event, as they were seen. */
export function useProperties(event: string): KnownName[] {
  const found = useQuery<EventVocabulary, Error>({
    queryKey: ["event-vocabulary", event],
    queryFn: ({ signal }) => call<EventVocabulary>(`/segments/vocabulary/event${params({ name: event })}`, { signal }),
    enabled: event !== "",
    staleTime: 60_000,
  });
  return found.data?.properties ?? NONE;
}

/** A choice among few words, as wide as the word that is chosen. */
export function Word({ words, value, set, label, optional }: { words: Words; value: string; set: (value: string) => void; label: string; optional?: string }) {
  return (
    <select className="bfield bword" aria-label={label} value={value} onChange={(event) => set(event.currentTarget.value)}>
      {optional !== undefined && <option value="">{optional}</option>}
      {words.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      {value !== "" && !words.some(([key]) => key === value) && <option value={value}>{value}</option>}
    </select>
  );
}

interface Suggestion {
  value: string;
  label?: string;
  detail?: string;
}

/** A name that can be any, with those that are known. */
export function Name({ value, set, label, known, placeholder, mono }: { value: string; set: (value: string) => void; label: string; known: Suggestion[]; placeholder: string; mono?: boolean }) {
  const details = new Map(known.map((one) => [one.value, one]));
  return (
    <Autocomplete
      className={mono ? "bname mono" : "bname"}
      size="xs"
      aria-label={label}
      placeholder={placeholder}
      value={value}
      onChange={set}
      data={[...details.keys()]}
      // What is chosen is not what is searched for.
      filter={({ options, search }) => (details.has(search) ? options : options.filter((option) => "value" in option && `${option.value} ${details.get(option.value)?.label ?? ""}`.toLowerCase().includes(search.toLowerCase())))}
      limit={100}
      maxDropdownHeight={280}
      comboboxProps={{ width: 300, position: "bottom-start", shadow: "md", transitionProps: { duration: 0 } }}
      renderOption={({ option }) => {
        const one = details.get(option.value);
        return <span className="boption"><span className="ellipsis">{one?.label ?? option.value}</span>{one?.detail && <span className="muted small">{one.detail}</span>}</span>;
      }}
    />
  );
}

/** A whole or broken number; what is typed stays as it is typed. */
export function NumberBox({ value, set, label, suffix, whole }: { value: unknown; set: (value: number | string) => void; label: string; suffix?: string; whole?: boolean }) {
  const [text, setText] = useState(String(value ?? ""));
  const read = (typed: string) => (whole ? typed.replace(/\D/g, "") : typed);
  const shown = literalOf(text, "number") === value ? text : String(value ?? "");
  return (
    <span className="bunit">
      <input
        className="bfield bnumber"
        inputMode={whole ? "numeric" : "decimal"}
        aria-label={label}
        value={shown}
        onChange={(event) => {
          const typed = read(event.currentTarget.value);
          setText(typed);
          set(literalOf(typed, "number") as number | string);
        }}
      />
      {suffix}
    </span>
  );
}

export function SpanBox({ span, set, label }: { span: Span; set: (span: Span) => void; label: string }) {
  return (
    <span className="bspan">
      <NumberBox whole value={span.amount} set={(amount) => set({ ...span, amount: typeof amount === "number" ? amount : 1 })} label={`${label}: how many`} />
      <Word words={UNITS} value={span.unit} set={(unit) => set({ ...span, unit })} label={`${label}: unit`} />
    </span>
  );
}

/** A day, or an instant. */
export function WhenBox({ when, set, label }: { when: string; set: (when: string) => void; label: string }) {
  const instant = when.length > 10;
  return (
    <span className="bspan">
      {instant
        ? <input className="bfield" aria-label={label} value={when} onChange={(event) => set(event.currentTarget.value)} />
        : <input className="bfield" type="date" aria-label={label} value={when} onChange={(event) => set(event.currentTarget.value)} />}
      {when !== "" && <Word words={[["day", "day"], ["instant", "instant"]]} value={instant ? "instant" : "day"} set={(kind) => set(kind === "day" ? when.slice(0, 10) : `${when}T00:00:00Z`)} label={`${label}: day or instant`} />}
    </span>
  );
}

const WINDOWS: Words = [["in_last", "in the last"], ["before_last", "at least … ago"], ["ago", "between … ago and … ago"], ["since", "since"], ["before", "before"], ["between", "between the days"], ["today", "today"]];

/** When events happened. */
export function WindowBox({ window, set, required }: { window: Tree | null; set: (window: Tree | null) => void; required?: boolean }) {
  const span = (name: string, label: string) => <SpanBox span={window?.[name] as Span} set={(value) => set({ ...(window as Tree), [name]: value })} label={label} />;
  const when = (name: string, label: string) => <WhenBox when={window?.[name] as string} set={(value) => set({ ...(window as Tree), [name]: value })} label={label} />;
  return (
    <span className="bgroup">
      <Word words={WINDOWS} optional={required ? undefined : "ever"} value={window?.type ?? ""} set={(type) => set(windowOf(type, window))} label="When" />
      {(window?.type === "in_last" || window?.type === "before_last") && span("span", "Window")}
      {window?.type === "ago" && <>{span("from", "From")} and {span("to", "To")}</>}
      {(window?.type === "since" || window?.type === "before") && when("when", "Day")}
      {window?.type === "between" && <>{when("from", "From")} and {when("to", "To")}</>}
    </span>
  );
}

type Kind = "number" | "bool" | "text";
const KINDS: Words = [["text", "text"], ["number", "number"], ["bool", "yes or no"]];

function kindOf(value: unknown, known: KnownName | undefined): Kind {
  if (typeof value === "boolean") return "bool";
  if (known?.type === "number" && value === "") return "number";
  if (known?.type === "bool" && value === "") return "bool";
  return typeof value === "number" ? "number" : "text";
}

const suggestions = (known: KnownName | undefined): Suggestion[] => (known?.values ?? []).map((one) => ({ value: String(one.value), detail: count(one.count) }));

/** One value, of the kind its name has; where that is not known, of the kind that is chosen. */
function ValueBox({ value, set, known, label, kind: forced }: { value: unknown; set: (value: unknown) => void; known?: KnownName; label: string; kind?: Kind }) {
  const kind = forced ?? kindOf(value, known);
  const declared: Kind | null = !known ? null : known.type === "number" ? "number" : known.type === "bool" ? "bool" : known.type === "list" ? null : "text";
  const asked = !forced && (declared !== kind || declared === null);
  return (
    <span className="bspan">
      {kind === "bool"
        ? <Word words={[["true", "yes"], ["false", "no"]]} optional={value === "" ? "…" : undefined} value={value === "" ? "" : String(value)} set={(text) => set(text === "true")} label={label} />
        : kind === "number"
          ? <NumberBox value={value} set={set} label={label} />
          : <Name value={String(value ?? "")} set={(text) => set(text)} label={label} known={suggestions(known)} placeholder="value" />}
      {asked && <Word words={KINDS} value={kind} set={(next) => set(next === "bool" ? true : next === "number" ? literalOf(String(value ?? ""), "number") === value ? 0 : literalOf(String(value), "number") : String(value ?? ""))} label={`${label}: kind`} />}
    </span>
  );
}

/** Several values. */
function ValuesBox({ values, set, known, label }: { values: unknown[]; set: (values: unknown[]) => void; known?: KnownName; label: string }) {
  const kind: Kind = typeof values[0] === "number" || (values.length === 0 && known?.type === "number") ? "number" : "text";
  return (
    <TagsInput
      className="btags"
      size="xs"
      aria-label={label}
      placeholder={values.length === 0 ? "values" : undefined}
      value={values.map(String)}
      onChange={(texts) => set(texts.map((text) => values.find((value) => String(value) === text) ?? literalOf(text, kind)))}
      data={suggestions(known).map((one) => one.value)}
      maxDropdownHeight={240}
      comboboxProps={{ shadow: "md", transitionProps: { duration: 0 } }}
    />
  );
}

/** What a value must be. */
export function TestBox({ test, set, against, known, kind, label = "Value" }: { test: Test; set: (test: Test) => void; against: Against; known?: KnownName; kind?: Kind; label?: string }) {
  const key = keyOf(test);
  const choices = choicesFor(against, key);
  const families = [["value", "Value"], ["list", "List or text"], ["text", "Text"], ["date", "Date"]] as const;
  const put = (name: string) => (value: unknown) => set({ ...test, [name]: value });
  const dates = test.is === "between_dates";
  // A number's own words read better than "is more than".
  const worded = (choice: string, text: string) => (against === "number" && choice.startsWith("compare:") ? (OPS.find(([op]) => `compare:${op}` === choice)?.[1] ?? text) : against === "number" && choice === "between" ? "between" : text);
  return (
    <>
      <select className="bfield bword" aria-label={`${label}: test`} value={key} onChange={(event) => set(CHOICES.find((choice) => choice.key === event.currentTarget.value)?.make(test) ?? test)}>
        {families.map(([family, title]) => {
          const inside = choices.filter((choice) => choice.family === family);
          if (inside.length === 0) return null;
          const options = inside.map((choice) => <option key={choice.key} value={choice.key}>{worded(choice.key, choice.label)}</option>);
          return against === "number" ? options : <optgroup key={family} label={title}>{options}</optgroup>;
        })}
      </select>
      {(test.is === "compare" || test.is === "contains") && <ValueBox value={test.value} set={put("value")} known={known} label={label} kind={against === "number" ? "number" : kind} />}
      {test.is === "between" && <><ValueBox value={test.low} set={put("low")} known={known} label={`${label}: from`} kind={against === "number" ? "number" : kind} /> and <ValueBox value={test.high} set={put("high")} known={known} label={`${label}: to`} kind={against === "number" ? "number" : kind} /></>}
      {Array.isArray(test.values) && <ValuesBox values={test.values} set={put("values")} known={against === "number" ? { name: "", type: "number", count: 0, values: [], elements: [] } : known} label={label} />}
      {(test.is === "starts_with" || test.is === "ends_with") && <input className="bfield" aria-label={label} value={String(test.text ?? "")} onChange={(event) => put("text")(event.currentTarget.value)} />}
      {test.is === "matches" && <span className="bunit mono">/<input className="bfield mono" aria-label={`${label}: pattern`} value={String(test.pattern ?? "")} onChange={(event) => put("pattern")(event.currentTarget.value)} />/</span>}
      {test.is === "length" && <><Word words={OPS} value={String(test.op)} set={put("op")} label={`${label}: compared`} /><NumberBox whole value={test.number} set={(value) => put("number")(typeof value === "number" ? value : 0)} label={label} /></>}
      {test.span !== undefined && <SpanBox span={test.span as Span} set={put("span")} label={label} />}
      {test.when !== undefined && <WhenBox when={String(test.when)} set={put("when")} label={label} />}
      {dates && <><WhenBox when={String(test.from)} set={put("from")} label={`${label}: from`} /> and <WhenBox when={String(test.to)} set={put("to")} label={`${label}: to`} /></>}
      {test.is === "in_month" && <Word words={MONTH_WORDS} value={String(test.month)} set={put("month")} label={label} />}
      {test.is === "on_weekday" && <Word words={WEEKDAY_WORDS} value={String(test.weekday)} set={put("weekday")} label={label} />}
    </>
  );
}

const property = (): Tree => ({ type: "property", path: "", test: { is: "compare", op: "equal", value: "" } });
const detailOf = (known: KnownName) => known.type;

/** The name of an attribute or a property. */
export function PathBox({ path, set, names, label, placeholder }: { path: string; set: (path: string, known: KnownName | undefined) => void; names: KnownName[]; label: string; placeholder: string }) {
  return <Name mono value={path} set={(value) => set(value, names.find((one) => one.name === value))} label={label} known={names.map((one) => ({ value: one.name, detail: detailOf(one) }))} placeholder={placeholder} />;
}

/** A test that fits the kind of what was chosen. */
export function suited(test: Test, known: KnownName | undefined): Test {
  if (known?.type === "list" && test.is === "compare" && test.value === "") return { is: "contains", value: "" };
  if (known?.type === "date" && test.is === "compare" && test.value === "") return { is: "in_last", span: { amount: 30, unit: "days" } };
  if (known?.type === "bool" && test.is === "compare" && test.value === "") return { ...test, value: true };
  return test;
}

/** What the properties of an event, or the elements of a list, must be. */
export function FilterBox({ filter, set, names, what, drop, depth = 0 }: { filter: Tree; set: (filter: Tree) => void; names: KnownName[]; what: string; drop?: () => void; depth?: number }) {
  const away = drop && <button type="button" className="bicon" aria-label={`Remove this test of ${what}`} title="Remove" onClick={drop}><IconX size={13} aria-hidden /></button>;
  if (filter.type === "not") {
    const inner = filter.filter as Tree;
    return (
      <div className="bfilter">
        <button type="button" className="bnot" aria-label="not; take it away" title="Take “not” away" onClick={() => set(inner)}>not</button>
        <FilterBox filter={inner} set={(changed) => set({ ...filter, filter: changed })} names={names} what={what} depth={depth} />
        {away}
      </div>
    );
  }
  const name = filter.type === "and" ? "all" : filter.type === "or" ? "any" : null;
  if (name) {
    const parts = filter[name] as Tree[];
    const put = (changed: Tree[]) => set({ ...filter, [name]: changed });
    return (
      <div className="bfilters">
        <div className="bgroup">
          <Word words={[["and", "all of"], ["or", "any of"]]} value={filter.type} set={(type) => set({ type, [type === "and" ? "all" : "any"]: parts })} label={`How the tests of ${what} are joined`} />
          <button type="button" className="badd" onClick={() => put([...parts, property()])}><IconPlus size={12} aria-hidden />test</button>
          <button type="button" className="badd" onClick={() => put([...parts, { type: filter.type === "and" ? "or" : "and", [filter.type === "and" ? "any" : "all"]: [property(), property()] }])}><IconPlus size={12} aria-hidden />group</button>
          {away}
        </div>
        <ul className="bparts">{parts.map((part, at) => <li key={at}><FilterBox filter={part} set={(changed) => put(parts.map((one, index) => (index === at ? changed : one)))} names={names} what={what} drop={() => put(parts.filter((_, index) => index !== at))} depth={depth + 1} /></li>)}</ul>
      </div>
    );
  }
  const path = String(filter.path ?? "");
  const known = names.find((one) => one.name === path);
  const also = depth === 0 && <button type="button" className="badd" onClick={() => set({ type: "and", all: [filter, property()] })}><IconPlus size={12} aria-hidden />and</button>;
  const not = <button type="button" className="badd" onClick={() => set({ type: "not", filter })}>not</button>;
  if (filter.type === "elements") {
    return (
      <div className="bfilter">
        <Word words={QUANTIFIERS} value={String(filter.quantifier)} set={(quantifier) => set({ ...filter, quantifier })} label={`How many elements of ${path || "the list"}`} />
        of <PathBox path={path} set={(value) => set({ ...filter, path: value })} names={names.filter((one) => one.type === "list")} label="List" placeholder="list" />
        {not}{also}{away}
        <ElementsBox filter={filter} set={set} known={known} />
      </div>
    );
  }
  if (filter.type !== "property") return null;
  const lists = known?.type === "list" && known.elements.length > 0;
  return (
    <div className="bfilter">
      <PathBox path={path} set={(value, chosen) => set({ ...filter, path: value, test: suited(filter.test as Test, chosen) })} names={names} label={`Property of ${what}`} placeholder="property" />
      <TestBox test={filter.test as Test} set={(test) => set({ ...filter, test })} against="property" known={known} label={path || "Value"} />
      {lists && <button type="button" className="badd" onClick={() => set({ type: "elements", quantifier: "any", path, filter: property() })}>its elements</button>}
      {not}{also}{away}
    </div>
  );
}

const IT: KnownName = { name: "it", type: "text", count: 0, values: [], elements: [] };

/** What an element of a list must be. */
export function ElementsBox({ filter, set, known }: { filter: Tree; set: (filter: Tree) => void; known: KnownName | undefined }) {
  const inner = filter.filter as Tree | null;
  const names = known?.elements.length ? known.elements : [{ ...IT, values: known?.values ?? [] }];
  return (
    <div className="bnested">
      {inner ? <FilterBox filter={inner} set={(changed) => set({ ...filter, filter: changed })} names={names} what="an element" /> : <button type="button" className="badd" onClick={() => set({ ...filter, filter: property() })}><IconPlus size={12} aria-hidden />test</button>}
    </div>
  );
}

/** An event, perhaps with what its properties must be. */
export function EventBox({ pattern, set, label = "Event", children }: { pattern: Pattern; set: (pattern: Pattern) => void; label?: string; children?: ReactNode }) {
  const vocabulary = useContext(Known);
  const names = useProperties(pattern.name);
  const id = useId();
  const events = (vocabulary?.events ?? []).map((event) => ({ value: event.name, detail: count(event.count) }));
  return (
    <>
      <Name value={pattern.name} set={(name) => set({ ...pattern, name })} label={label} known={events} placeholder="event" />
      {!pattern.where && <button type="button" className="badd" onClick={() => set({ ...pattern, where: property() })}><IconPlus size={12} aria-hidden />where</button>}
      {children}
      {pattern.where && (
        <div className="bwhere" role="group" aria-labelledby={id}>
          <span id={id} className="bwords">where</span>
          <FilterBox filter={pattern.where} set={(where) => set({ ...pattern, where })} names={names} what={pattern.name || "the event"} drop={() => set({ ...pattern, where: null })} />
        </div>
      )}
    </>
  );
}
