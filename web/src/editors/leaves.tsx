/** Each form of the language as a line of fields that reads like its sentence. */
import { IconPlus, IconTrash, IconX } from "@tabler/icons-react";
import { useContext } from "react";
import { ElementsBox, EventBox, Known, Name, NumberBox, PathBox, SpanBox, suited, TestBox, useProperties, WindowBox, Word } from "./fields";
import { COMPARISONS, FIGURES, PASSAGES, PERIODS, QUANTIFIERS, SAYS, SPAN_OPS, WHICH } from "./forms";
import type { Pattern, Span, Test, Tree } from "./tree";

interface Given {
  leaf: Tree;
  set: (leaf: Tree) => void;
  not: boolean;
  negate: () => void;
}

interface Step {
  not?: boolean;
  event: Pattern;
  within?: Span | null;
}

const W = ({ children }: { children: string }) => <span className="bwords">{children}</span>;

function Segments({ value, set }: { value: string; set: (segment: string) => void }) {
  const known = useContext(Known)?.segments ?? [];
  const chosen = known.find((segment) => segment.id === value || segment.name === value);
  const words = known.map((segment) => [segment.id === value ? value : segment.name === value ? value : segment.id, segment.name] as const);
  return <Word words={words} value={value} optional={value === "" || !chosen ? "choose a segment" : undefined} set={set} label="Segment" />;
}

function Attribute({ leaf, set, against }: { leaf: Tree; set: (leaf: Tree) => void; against: "attribute" | "held" }) {
  const names = useContext(Known)?.attributes ?? [];
  const path = String(leaf.path);
  return (
    <>
      <PathBox path={path} set={(value, known) => set({ ...leaf, path: value, test: against === "held" ? leaf.test : suited(leaf.test as Test, known) })} names={names} label="Attribute" placeholder="attribute" />
      <TestBox test={leaf.test as Test} set={(test) => set({ ...leaf, test })} against={against} known={names.find((one) => one.name === path)} label={path || "Value"} />
    </>
  );
}

const NUMERIC = new Set(["sum", "avg", "min", "max", "distinct"]);

function Figure({ leaf, set }: { leaf: Tree; set: (leaf: Tree) => void }) {
  const pattern = leaf.event as Pattern;
  const names = useProperties(pattern.name);
  const numeric = NUMERIC.has(String(leaf.function));
  const property = String(leaf.property);
  const choose = (name: string) => {
    const test = NUMERIC.has(name) === numeric ? leaf.test : NUMERIC.has(name) ? { is: "compare", op: "greater_or_equal", value: 1 } : { is: "compare", op: "equal", value: "" };
    set({ ...leaf, function: name, test });
  };
  return (
    <>
      <Word words={FIGURES} value={String(leaf.function)} set={choose} label="Figure" />
      <PathBox path={property} set={(value) => set({ ...leaf, property: value })} names={numeric && leaf.function !== "distinct" ? names.filter((one) => one.type === "number") : names} label="Property" placeholder="property" />
      <W>in</W>
      <EventBox pattern={pattern} set={(event) => set({ ...leaf, event })}>
        <WindowBox window={leaf.window as Tree | null} set={(window) => set({ ...leaf, window })} />
        <W>is</W>
        <TestBox test={leaf.test as Test} set={(test) => set({ ...leaf, test })} against={numeric ? "number" : "property"} known={names.find((one) => one.name === property)} label="Figure" />
      </EventBox>
    </>
  );
}

function Sequence({ leaf, set }: { leaf: Tree; set: (leaf: Tree) => void }) {
  const steps = leaf.then as Step[];
  const first = leaf.first as Pattern;
  const names = useProperties(first.name);
  const put = (at: number, step: Step) => set({ ...leaf, then: steps.map((one, index) => (index === at ? step : one)) });
  return (
    <div className="bsteps">
      <div className="bline"><W>first</W><EventBox pattern={first} set={(event) => set({ ...leaf, first: event })} label="First event" /></div>
      {steps.map((step, at) => (
        <div className="bline" key={at}>
          <Word words={[["then", "then"], ["not", "then not"]]} value={step.not ? "not" : "then"} set={(word) => put(at, { ...step, not: word === "not" })} label={`Step ${at + 2}`} />
          <EventBox pattern={step.event} set={(event) => put(at, { ...step, event })} label={`Event of step ${at + 2}`}>
            {step.within
              ? <span className="bgroup"><W>within</W><SpanBox span={step.within} set={(within) => put(at, { ...step, within })} label={`Step ${at + 2} within`} /><button type="button" className="bicon" aria-label={`Step ${at + 2}: at any time`} title="At any time" onClick={() => put(at, { ...step, within: null })}><IconX size={13} aria-hidden /></button></span>
              : <button type="button" className="badd" onClick={() => put(at, { ...step, within: { amount: 2, unit: "hours" } })}><IconPlus size={12} aria-hidden />within</button>}
          </EventBox>
          {steps.length > 1 && <button type="button" className="bicon" aria-label={`Remove step ${at + 2}`} title="Remove this step" onClick={() => set({ ...leaf, then: steps.filter((_, index) => index !== at) })}><IconTrash size={13} aria-hidden /></button>}
        </div>
      ))}
      <div className="bline">
        {steps.length < 19 && <button type="button" className="badd" onClick={() => set({ ...leaf, then: [...steps, { not: false, event: { name: "", where: null }, within: null }] })}><IconPlus size={12} aria-hidden />step</button>}
        {leaf.whole
          ? <span className="bgroup"><W>all within</W><SpanBox span={leaf.whole as Span} set={(whole) => set({ ...leaf, whole })} label="All within" /><button type="button" className="bicon" aria-label="All in any time" title="In any time" onClick={() => set({ ...leaf, whole: null })}><IconX size={13} aria-hidden /></button></span>
          : <button type="button" className="badd" onClick={() => set({ ...leaf, whole: { amount: 1, unit: "days" } })}><IconPlus size={12} aria-hidden />all within</button>}
        {typeof leaf.same === "string"
          ? <span className="bgroup"><W>with the same</W><PathBox path={leaf.same} set={(same) => set({ ...leaf, same })} names={names} label="Same property" placeholder="property" /><button type="button" className="bicon" aria-label="Whatever the property" title="Remove" onClick={() => set({ ...leaf, same: null })}><IconX size={13} aria-hidden /></button></span>
          : <button type="button" className="badd" onClick={() => set({ ...leaf, same: "" })}><IconPlus size={12} aria-hidden />same property</button>}
        <W>all of it</W><WindowBox window={leaf.window as Tree | null} set={(window) => set({ ...leaf, window })} />
      </div>
    </div>
  );
}

/** The fields of one form. */
export function LeafFields({ leaf, set, not, negate }: Given) {
  const vocabulary = useContext(Known);
  const put = (name: string) => (value: unknown) => set({ ...leaf, [name]: value });
  const window = (required = false) => <WindowBox window={leaf.window as Tree | null} set={put("window")} required={required} />;
  const event = leaf.event as Pattern;
  switch (leaf.type) {
    case "attribute":
      return <Attribute leaf={leaf} set={set} against="attribute" />;
    case "held":
      return <><Attribute leaf={leaf} set={set} against="held" /><W>for</W><SpanBox span={leaf.span as Span} set={put("span")} label="For" /></>;
    case "did":
      return <><Word words={[["did", "did"], ["not", "did not"]]} value={not ? "not" : "did"} set={negate} label="Did or did not" /><EventBox pattern={event} set={put("event")}>{window()}</EventBox></>;
    case "count":
      return <><EventBox pattern={event} set={put("event")}>{window()}<TestBox test={leaf.test as Test} set={put("test")} against="number" label="Times" /><W>times</W></EventBox></>;
    case "aggregate":
      return <Figure leaf={leaf} set={set} />;
    case "periods":
      return <><W>in</W><TestBox test={leaf.test as Test} set={put("test")} against="number" label="Periods" /><W>different</W><Word words={PERIODS} value={String(leaf.period)} set={put("period")} label="Period" /><EventBox pattern={event} set={put("event")}>{window()}</EventBox></>;
    case "since":
      return <><W>the</W><Word words={WHICH} value={String(leaf.which)} set={put("which")} label="First or last" /><EventBox pattern={event} set={put("event")}><W>was</W><Word words={SPAN_OPS} value={String(leaf.op)} set={put("op")} label="Compared" /><SpanBox span={leaf.span as Span} set={put("span")} label="Time since" /><W>ago</W></EventBox></>;
    case "order": {
      const side = (name: "left" | "right", label: string) => {
        const occasion = leaf[name] as { which: string; event: Pattern };
        return <div className="bline">{name === "left" ? <W>the</W> : <><W>came</W><Word words={COMPARISONS} value={String(leaf.comparison)} set={put("comparison")} label="Before or after" /><W>the</W></>}<Word words={WHICH} value={occasion.which} set={(which) => set({ ...leaf, [name]: { ...occasion, which } })} label={`${label}: first or last`} /><EventBox pattern={occasion.event} set={(pattern) => set({ ...leaf, [name]: { ...occasion, event: pattern } })} label={label} /></div>;
      };
      return <div className="bsteps">{side("left", "One event")}{side("right", "Other event")}</div>;
    }
    case "in_segment":
      return <><Word words={[["is", "is in"], ["not", "is not in"]]} value={not ? "not" : "is"} set={negate} label="Is or is not in" /><Segments value={String(leaf.segment)} set={put("segment")} /></>;
    case "passed":
      return <><Word words={PASSAGES} value={String(leaf.passage)} set={put("passage")} label="Entered or left" /><Segments value={String(leaf.segment)} set={put("segment")} />{window()}</>;
    case "sequence":
      return <Sequence leaf={leaf} set={set} />;
    case "first_time":
      return <><W>did</W><EventBox pattern={event} set={put("event")}><W>for the first time</W>{window(true)}</EventBox></>;
    case "stopped":
      return <><W>did</W><EventBox pattern={event} set={put("event")}><W>at least</W><NumberBox whole value={leaf.times} set={put("times")} label="Times before" /><W>times in</W><SpanBox span={leaf.before as Span} set={put("before")} label="Before" /><W>, then not for</W><SpanBox span={leaf.quiet as Span} set={put("quiet")} label="Silence" /></EventBox></>;
    case "resumed":
      return <><W>did</W><EventBox pattern={event} set={put("event")}><W>again</W>{window()}<W>after a pause of</W><SpanBox span={leaf.pause as Span} set={put("pause")} label="Pause" /></EventBox></>;
    case "regularly":
      return <><W>did</W><EventBox pattern={event} set={put("event")}><NumberBox whole value={leaf.times} set={put("times")} label="Times in a period" /><W>or more times in each of at least</W><NumberBox whole value={leaf.periods} set={put("periods")} label="Periods" /><W>of the last</W><SpanBox span={leaf.last as Span} set={put("last")} label="Last" /></EventBox></>;
    case "elements":
      return <><Word words={QUANTIFIERS} value={String(leaf.quantifier)} set={put("quantifier")} label="How many elements" /><W>of</W><PathBox path={String(leaf.path)} set={(path) => set({ ...leaf, path })} names={(vocabulary?.attributes ?? []).filter((one) => one.type === "list")} label="List" placeholder="list" /><ElementsBox filter={leaf} set={set} known={vocabulary?.attributes.find((one) => one.name === leaf.path)} /></>;
    case "consent":
      return <><Word words={SAYS} value={String(leaf.says)} set={put("says")} label="Consent" /><Name value={String(leaf.about)} set={put("about")} label="Topic or purpose" known={(vocabulary?.topics ?? []).map((value) => ({ value }))} placeholder="topic" />{typeof leaf.by === "string" ? <span className="bgroup"><W>said by</W><input className="bfield" aria-label="Source" value={leaf.by} onChange={(change) => put("by")(change.currentTarget.value)} /><button type="button" className="bicon" aria-label="Whatever the source" title="Remove" onClick={() => put("by")(null)}><IconX size={13} aria-hidden /></button></span> : <button type="button" className="badd" onClick={() => put("by")("")}><IconPlus size={12} aria-hidden />source</button>}{window()}</>;
    case "random":
      return <><W>is among</W><NumberBox value={leaf.from} set={put("from")} label="From per cent" suffix="%" /><W>to</W><NumberBox value={leaf.to} set={put("to")} label="To per cent" suffix="%" /><W>of the draw</W><input className="bfield" aria-label="Name of the draw" placeholder="spring sale" value={String(leaf.name)} onChange={(change) => put("name")(change.currentTarget.value)} /></>;
    default:
      return <W>everyone</W>;
  }
}
