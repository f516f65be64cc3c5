/** Query: questions to the lake in SQL, answered as a table and a chart; the question stands in the address. */
import { Button, Menu, SegmentedControl, Select, Skeleton } from "@mantine/core";
import { IconDownload, IconHistory, IconLink, IconPlayerPlay } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { notifications } from "@mantine/notifications";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { call, Problem, useGet, type Answer, type Finding, type Schema } from "../api";
import { csv, leadsTo, numeric, planOf, shown, type Shape } from "../editors/answer";
import { placeOf } from "../editors/condition";
import { findingsOf } from "../editors/sql";
import { count, plain } from "../format";
import type { Series } from "../parts/Chart";
import { LazyChart } from "../parts/LazyChart";
import { A, Empty, Head, Loaded, Section, Trouble } from "../parts/parts";

const Code = lazy(() => import("../editors/Code"));
const START = "select name, count(*) as events\nfrom events\ngroup by name\norder by events desc\nlimit 20";
const EXAMPLES = [
  ["Events by day", "select cast(timestamp as date) as day, count(*) as events\nfrom events\ngroup by day\norder by day"],
  ["Who buys most", "select profile_id, count(*) as orders\nfrom events\nwhere name = 'Order Completed'\ngroup by profile_id\norder by orders desc\nlimit 20"],
  ["Segments by size", "select segment, count(*) as members\nfrom memberships\ngroup by segment\norder by members desc"],
  ["Why mail was held back", "select reason, count(*) as messages\nfrom messages\nwhere state = 'skipped'\ngroup by reason\norder by messages desc"],
] as const;
const NONE: Finding[] = [];
const HISTORY = "rapport-queries";
const KEPT = 20;

function past(): string[] {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(HISTORY) ?? "[]");
    return Array.isArray(read) ? read.filter((one): one is string => typeof one === "string") : [];
  } catch {
    return [];
  }
}

export function QueryPage() {
  const search = useSearch({ strict: false }) as { sql?: string };
  const navigate = useNavigate();
  const [sql, setSql] = useState(() => search.sql ?? sessionStorage.getItem("rapport-sql") ?? START);
  const [answered, setAnswered] = useState<{ sql: string; answer: Answer } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [findings, setFindings] = useState<Finding[]>(NONE);
  const [busy, setBusy] = useState(false);
  const [view, setView] = useState("table");
  const [history, setHistory] = useState(past);
  const asking = useRef<AbortController | null>(null);
  const schema = useGet<Schema>("/query/schema");
  const run = async (text: string) => {
    if (!text.trim()) return;
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    setBusy(true);
    setError(null);
    setFindings(NONE);
    sessionStorage.setItem("rapport-sql", text);
    void navigate({ to: "/query" as never, search: { sql: text } as never, replace: true });
    try {
      const answer = await call<Answer>("/query", { method: "POST", body: { sql: text }, signal: mine.signal });
      if (asking.current !== mine) return;
      setAnswered({ sql: text, answer });
      const kept = [text, ...past().filter((one) => one !== text)].slice(0, KEPT);
      localStorage.setItem(HISTORY, JSON.stringify(kept));
      setHistory(kept);
    } catch (problem) {
      if (asking.current !== mine) return;
      setAnswered(null);
      setError(problem instanceof Error ? problem : new Error("The query failed"));
      setFindings(problem instanceof Problem ? findingsOf(problem, text) : NONE);
    } finally {
      if (asking.current === mine) setBusy(false);
    }
  };
  // A question that came with the address is answered at once.
  const given = useRef(search.sql);
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    if (given.current) void latest.current(given.current);
    given.current = undefined;
  }, []);
  const write = (text: string) => {
    setSql(text);
    setError(null);
    setFindings(NONE);
  };
  const take = (text: string) => {
    write(text);
    void run(text);
  };
  const share = async () => {
    const url = new URL(window.location.href);
    url.search = new URLSearchParams({ sql }).toString();
    try {
      await navigator.clipboard.writeText(url.href);
      notifications.show({ message: "The address of this question is copied." });
    } catch {
      notifications.show({ color: "red", message: "This browser lets nothing be copied here. The address bar holds the question once it has run." });
    }
  };
  return (
    <>
      <Head title="Query" line="Read-only SQL over every event and profile, the last second included.">
        <Menu position="bottom-end" width={420}>
          <Menu.Target><Button variant="default" leftSection={<IconHistory size={16} aria-hidden />} disabled={history.length === 0}>History</Button></Menu.Target>
          <Menu.Dropdown mah={420} style={{ overflowY: "auto" }}>
            {history.map((one) => <Menu.Item key={one} onClick={() => take(one)}><span className="mono ellipsis" style={{ display: "block" }}>{one.replace(/\s+/g, " ")}</span></Menu.Item>)}
            <Menu.Divider />
            <Menu.Item onClick={() => { localStorage.removeItem(HISTORY); setHistory([]); }}>Forget all</Menu.Item>
          </Menu.Dropdown>
        </Menu>
        <Button variant="default" leftSection={<IconLink size={16} aria-hidden />} onClick={() => void share()} disabled={!sql.trim()}>Share</Button>
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={busy} onClick={() => void run(sql)} disabled={!sql.trim()}>Run</Button>
      </Head>
      <div className="side">
        <div>
          <Suspense fallback={<div aria-busy="true" aria-label="Loading the editor"><Skeleton height={142} radius={8} /></div>}><Code language="sql" label="SQL" value={sql} change={write} findings={findings} schema={schema.data} run={() => void run(sql)} height={140} /></Suspense>
          <p className="muted small" style={{ padding: "6px 0 12px" }}><kbd>{/Mac|iPhone|iPad/.test(navigator.platform) ? "⌘ Enter" : "Ctrl Enter"}</kbd> runs the query</p>
          {findings.map((finding, index) => <Mistake key={index} finding={finding} sql={sql} fix={(text) => take(text)} />)}
          {error && findings.length === 0 && <Trouble error={error} title="This query was not answered" retry={() => void run(sql)} />}
          {busy && !answered && <div aria-busy="true" aria-label="Waiting for the answer"><Skeleton height={220} radius={8} /></div>}
          {!busy && !answered && !error && (
            <Section title="Questions to begin with">
              <ul className="rows">
                {EXAMPLES.map(([label, text]) => <li key={label}><span className="example">{label}</span><span className="mono muted small ellipsis wide">{text.replace(/\s+/g, " ")}</span><span className="end"><button type="button" className="plainbutton link small" aria-label={`Run the question: ${label}`} onClick={() => take(text)}>Run</button></span></li>)}
              </ul>
            </Section>
          )}
          {answered && <Result {...answered} busy={busy} view={view} setView={setView} />}
        </div>
        <Section title="Tables">
          <Loaded query={schema} lines={5}>
            {({ tables }) => (
              <>
                {tables.map((table, index) => (
                  <details key={table.name} open={index === 0} className="table">
                    <summary className="mono">{table.name}</summary>
                    <ul className="rows">
                      {table.columns.map((column) => <li key={column.name}><span className="mono ellipsis">{column.name}</span><span className="end muted small ellipsis">{column.type.toLowerCase()}</span></li>)}
                    </ul>
                  </details>
                ))}
                {tables.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No table yet. They come with the first event.</p>}
              </>
            )}
          </Loaded>
        </Section>
      </div>
    </>
  );
}

function Result({ sql, answer, busy, view, setView }: { sql: string; answer: Answer; busy: boolean; view: string; setView: (view: string) => void }) {
  const download = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(answer)], { type: "text/csv;charset=utf-8" }));
    link.download = "rapport-query.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <div data-testid="answer" className="answer" aria-busy={busy} style={{ opacity: busy ? 0.5 : 1 }}>
      <div className="filters">
        <SegmentedControl size="xs" aria-label="Show as" value={view} onChange={setView} data={[{ value: "table", label: "Table" }, { value: "chart", label: "Chart" }]} />
        <span className="end" role="status">{count(answer.rows.length)} {answer.rows.length === 1 ? "row" : "rows"}{answer.truncated ? ", cut off there" : ""}, in {count(answer.took_ms)} ms</span>
        <Button variant="default" size="compact-sm" leftSection={<IconDownload size={14} aria-hidden />} onClick={download} disabled={answer.rows.length === 0}>CSV</Button>
      </div>
      {answer.rows.length === 0 ? <Empty title="No row fits">The query is right, but nothing matches it. Ask for a longer time or one condition less.</Empty> : view === "table" ? <Grid answer={answer} sql={sql} /> : <Drawn answer={answer} />}
    </div>
  );
}

/** A mistake with its place: the line it is in, and the word. */
function Mistake({ finding, sql, fix }: { finding: Finding; sql: string; fix: (sql: string) => void }) {
  const { from, to } = placeOf(sql, finding);
  const start = sql.lastIndexOf("\n", from - 1) + 1;
  const stop = sql.indexOf("\n", from) < 0 ? sql.length : sql.indexOf("\n", from);
  const line = sql.slice(0, start).split("\n").length;
  const better = finding.nearest;
  return (
    <div className="mistake" role="alert" data-testid="finding">
      <div className="wrap"><strong className="num">Line {line}, column {from - start + 1}:</strong> {finding.message}</div>
      <pre tabIndex={0} aria-label="The line with the mistake"><span className="muted">{line} │ </span>{sql.slice(start, from)}<mark>{sql.slice(from, Math.min(to, stop)) || " "}</mark>{sql.slice(Math.min(to, stop), stop)}</pre>
      {better && <p style={{ marginTop: 6 }}><button type="button" className="plainbutton link" onClick={() => fix(sql.slice(0, from) + better + sql.slice(to))}>Use “{better}” and run</button></p>}
    </div>
  );
}

function Grid({ answer, sql }: { answer: Answer; sql: string }) {
  const [rows, setRows] = useState(200);
  const right = answer.columns.map((_, index) => numeric(answer, index));
  const cell = (value: unknown, place: number) => {
    const column = answer.columns[place];
    const to = leadsTo(column?.name ?? "", value, sql);
    const text = typeof value === "number" && right[place] && Number.isInteger(value) && !/(^|_)id$/.test(column?.name ?? "") ? count(value) : shown(value, column?.type ?? "");
    return to ? <A to={to} className="link">{text}</A> : text;
  };
  return (
    <div className="grid-result" tabIndex={0} role="region" aria-label="Answer" onScroll={(event) => {
      const box = event.currentTarget;
      if (box.scrollTop + box.clientHeight > box.scrollHeight - 400 && rows < answer.rows.length) setRows(rows + 300);
    }}>
      <table>
        <thead><tr>{answer.columns.map((column, index) => <th key={index} scope="col" className={right[index] ? "right" : undefined}>{column.name}</th>)}</tr></thead>
        <tbody>{answer.rows.slice(0, rows).map((row, index) => <tr key={index}>{row.map((value, place) => <td key={place} className={right[place] ? "right" : undefined} title={plain(value)}>{cell(value, place)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

const SHAPES: { value: Shape; label: string }[] = [{ value: "rows", label: "Named bars" }, { value: "bar", label: "Columns" }, { value: "line", label: "Line" }];

function Drawn({ answer }: { answer: Answer }) {
  const first = useMemo(() => planOf(answer), [answer]);
  const [shape, setShape] = useState<Shape | null>(null);
  const [value, setValue] = useState<number | null>(null);
  const [label, setLabel] = useState<number | null>(null);
  const numbers = answer.columns.map((column, index) => ({ value: String(index), label: column.name })).filter((_, index) => numeric(answer, index));
  const names = answer.columns.map((column, index) => ({ value: String(index), label: column.name }));
  const plan = useMemo(() => first && { shape: shape ?? first.shape, value: value !== null && numeric(answer, value) ? value : first.value, label: label !== null && label < answer.columns.length ? label : first.label }, [first, shape, value, label, answer]);
  const drawn = useMemo(() => {
    if (!plan) return null;
    const rows = answer.rows.slice(0, plan.shape === "rows" ? 30 : 400);
    const name = answer.columns[plan.value]?.name ?? "";
    const series: Series[] = [{ name, tone: "accent", values: rows.map((row) => Number(row[plan.value])) }];
    const type = answer.columns[plan.label]?.type ?? "";
    return { labels: rows.map((row, index) => (plan.label >= 0 ? shown(row[plan.label], type) : String(index + 1))), series, kind: plan.shape, left: answer.rows.length - rows.length, label: `${name} of each row; the table holds the numbers`, height: plan.shape === "rows" ? Math.max(120, rows.length * 28 + 16) : 340 };
  }, [answer, plan]);
  if (!drawn || !plan) return <Empty title="Nothing to draw">A chart needs a column of numbers, for instance <code className="mono">count(*)</code>. The table shows what came back.</Empty>;
  const { left, ...given } = drawn;
  return (
    <>
      <div className="filters">
        <Select size="xs" aria-label="Shape" allowDeselect={false} value={plan.shape} data={SHAPES} onChange={(next) => setShape(next as Shape)} w={130} />
        {numbers.length > 1 && <Select size="xs" aria-label="Number" allowDeselect={false} value={String(plan.value)} data={numbers} onChange={(next) => setValue(Number(next))} w={160} />}
        {names.length > 2 && <Select size="xs" aria-label="Named by" allowDeselect={false} value={String(plan.label)} data={names} onChange={(next) => setLabel(Number(next))} w={160} />}
        {left > 0 && <span className="end">the first {count(given.labels.length)} of {count(answer.rows.length)} rows</span>}
      </div>
      <LazyChart key={plan.shape} {...given} />
    </>
  );
}
