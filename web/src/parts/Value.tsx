/** Draws dynamic values as a person reads them: instants as dates, lists as tags, objects as lines, addresses as links. */
import { CopyButton } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { type ReactNode } from "react";
import { brief, count, exact, isInstant, moment } from "../format";

/** A small button that copies a text and says so. */
export function Copy({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value} timeout={1600}>
      {({ copied, copy }) => (
        <button type="button" className="plainbutton copy" onClick={copy} aria-label={copied ? "Copied" : label} title={copied ? "Copied" : label}>
          {copied ? <IconCheck size={14} className="good" aria-hidden /> : <IconCopy size={14} aria-hidden />}
        </button>
      )}
    </CopyButton>
  );
}

/** A block of code that can be copied whole. */
export function CodeBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className="codeblock">
      <pre className="code" tabIndex={0} aria-label={label}>{text}</pre>
      <Copy value={text} label={`Copy ${label.charAt(0).toLowerCase()}${label.slice(1)}`} />
    </div>
  );
}

/** One value. */
export function Value({ value }: { value: unknown }): ReactNode {
  if (value === null || value === undefined || value === "") return <span className="muted">–</span>;
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "number") return <span className="num">{Math.abs(value) >= 10_000 ? count(value) : String(value)}</span>;
  if (typeof value === "string") {
    if (isInstant(value)) return <time dateTime={value} title={exact(value)}>{moment(value)}</time>;
    return <span className="wrap">{value}</span>;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return <span className="muted">none</span>;
    if (value.every((one) => one === null || typeof one !== "object")) return <span className="tags">{value.map((one, index) => <span key={index} className="tag">{brief(one)}</span>)}</span>;
    return <ol className="nested">{value.slice(0, 30).map((one, index) => <li key={index}><Value value={one} /></li>)}</ol>;
  }
  return (
    <span className="nestedpairs">
      {Object.entries(value as Record<string, unknown>).map(([name, one]) => <span key={name}><span className="muted">{name}</span> <Value value={one} /></span>)}
    </span>
  );
}

/** Names and values below each other. */
export function Pairs({ data }: { data: Record<string, unknown> }) {
  const entries = Object.entries(data);
  if (entries.length === 0) return <p className="muted small">Nothing more is known.</p>;
  return <dl className="kv tight">{entries.map(([name, value]) => <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd><Value value={value} /></dd></div>)}</dl>;
}
