/** Query: questions to the lake in SQL, answered as a table and a chart. */
import { Button, SegmentedControl, Skeleton } from "@mantine/core";
import { IconPlayerPlay } from "@tabler/icons-react";
import { lazy, Suspense, useMemo, useRef, useState } from "react";
import { call, Problem, useGet, type Answer, type Finding, type Schema } from "../api";
import { placeOf } from "../editors/condition";
import { findingsOf } from "../editors/sql";
import { count, plain } from "../format";
import type { Series } from "../parts/Chart";
import { LazyChart } from "../parts/LazyChart";
import { Empty, Head, Loaded, Section, Trouble } from "../parts/parts";

const Code = lazy(() => import("../editors/Code"));
const START = "select name, count(*) as events\nfrom events\ngroup by name\norder by events desc\nlimit 20";

const NUMERIC = /int|float|double|decimal|number/i;
const NONE: Finding[] = [];

export function QueryPage() {
  const [sql, setSql] = useState(() => sessionStorage.getItem("rapport-sql") ?? START);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [findings, setFindings] = useState<Finding[]>(NONE);
  const [busy, setBusy] = useState(false);
  const [view, setView] = useState("table");
  const asking = useRef<AbortController | null>(null);
  const schema = useGet<Schema>("/query/schema");
  const run = async () => {
    if (!sql.trim()) return;
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    setBusy(true);
    setError(null);
    setFindings(NONE);
    sessionStorage.setItem("rapport-sql", sql);
    try {
      const found = await call<Answer>("/query", { method: "POST", body: { sql }, signal: mine.signal });
      if (asking.current === mine) setAnswer(found);
    } catch (problem) {
      if (asking.current !== mine) return;
      setAnswer(null);
      setError(problem instanceof Error ? problem : new Error("The query failed"));
      setFindings(problem instanceof Problem ? findingsOf(problem, sql) : NONE);
    } finally {
      if (asking.current === mine) setBusy(false);
    }
  };
  const write = (text: string) => {
    setSql(text);
    setError(null);
    setFindings(NONE);
  };
  return (
    <>
      <Head title="Query" line="Read-only SQL over every event and profile.">
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={busy} onClick={() => void run()} disabled={!sql.trim()}>Run</Button>
      </Head>
      <div className="side">
        <div>
          <Suspense fallback={<div aria-busy="true" aria-label="Loading the editor"><Skeleton height={142} radius={8} /></div>}><Code language="sql" label="SQL" value={sql} change={write} findings={findings} schema={schema.data} run={() => void run()} height={140} /></Suspense>
          <p className="muted small" style={{ padding: "6px 0 12px" }}><kbd>⌘ Enter</kbd> or <kbd>Ctrl Enter</kbd> runs the query</p>
          {findings.map((finding, index) => <Mistake key={index} finding={finding} sql={sql} />)}
          {error && findings.length === 0 && <Trouble error={error} title="This query was not answered" retry={() => void run()} />}
          {busy && !answer && <div aria-busy="true" aria-label="Waiting for the answer"><Skeleton height={220} radius={8} /></div>}
          {!busy && !answer && !error && <Empty title="Ask something">The example above counts events by name. Names of tables and columns complete as you type.</Empty>}
          {answer && (
            <div data-testid="answer" className="answer" aria-busy={busy} style={{ opacity: busy ? 0.5 : 1 }}>
              <div className="filters">
                <SegmentedControl size="xs" aria-label="Show as" value={view} onChange={setView} data={[{ value: "table", label: "Table" }, { value: "chart", label: "Chart" }]} />
                <span className="end" role="status">{count(answer.rows.length)} {answer.rows.length === 1 ? "row" : "rows"}{answer.truncated ? ", cut off" : ""}, {count(answer.took_ms)} ms</span>
              </div>
              {answer.rows.length === 0 ? <Empty title="No row fits">The query is right, but nothing matches it. Ask for a longer time or one condition less.</Empty> : view === "table" ? <Grid answer={answer} /> : <Drawn answer={answer} />}
            </div>
          )}
        </div>
        <Section title="Tables">
          <Loaded query={schema} lines={5}>
            {({ tables }) => (
              <>
                {tables.map((table, index) => (
                  <details key={table.name} open={index === 0} style={{ borderBottom: "1px solid var(--rule)", padding: "8px 0" }}>
                    <summary style={{ cursor: "pointer", fontWeight: 540 }} className="mono">{table.name}</summary>
                    <ul className="rows" style={{ paddingLeft: 14 }}>
                      {table.columns.map((column) => <li key={column.name} style={{ padding: "3px 0", minHeight: 0, border: 0 }}><span className="mono ellipsis">{column.name}</span><span className="end muted small ellipsis">{column.type.toLowerCase()}</span></li>)}
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

/** A mistake with its place: the line it is in, and the word. */
function Mistake({ finding, sql }: { finding: Finding; sql: string }) {
  const { from, to } = placeOf(sql, finding);
  const start = sql.lastIndexOf("\n", from - 1) + 1;
  const stop = sql.indexOf("\n", from) < 0 ? sql.length : sql.indexOf("\n", from);
  const line = sql.slice(0, start).split("\n").length;
  return (
    <div className="mistake" role="alert" data-testid="finding">
      <div className="wrap"><strong className="num">Line {line}, column {from - start + 1}:</strong> {finding.message}</div>
      <pre tabIndex={0} aria-label="The line with the mistake"><span className="muted">{line} │ </span>{sql.slice(start, from)}<mark>{sql.slice(from, Math.min(to, stop)) || " "}</mark>{sql.slice(Math.min(to, stop), stop)}</pre>
    </div>
  );
}

function Grid({ answer }: { answer: Answer }) {
  const [shown, setShown] = useState(200);
  const right = answer.columns.map((column) => NUMERIC.test(column.type));
  return (
    <div className="grid-result" tabIndex={0} role="region" aria-label="Answer" onScroll={(event) => {
      const box = event.currentTarget;
      if (box.scrollTop + box.clientHeight > box.scrollHeight - 400 && shown < answer.rows.length) setShown(shown + 300);
    }}>
      <table>
        <thead><tr>{answer.columns.map((column, index) => <th key={index} scope="col" className={right[index] ? "right" : undefined}>{column.name}</th>)}</tr></thead>
        <tbody>{answer.rows.slice(0, shown).map((row, index) => <tr key={index}>{row.map((value, place) => <td key={place} className={right[place] ? "right" : undefined} title={plain(value)}>{typeof value === "number" && right[place] && Number.isInteger(value) ? count(value) : plain(value)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function Drawn({ answer }: { answer: Answer }) {
  const drawn = useMemo(() => {
    const value = answer.columns.findIndex((column, index) => NUMERIC.test(column.type) || typeof answer.rows[0]?.[index] === "number");
    if (value < 0 || answer.rows.length === 0) return null;
    const label = answer.columns.findIndex((_, index) => index !== value);
    const rows = answer.rows.slice(0, 200);
    const name = answer.columns[value]?.name ?? "";
    const series: Series[] = [{ name, tone: "accent", values: rows.map((row) => Number(row[value])) }];
    const time = label >= 0 && /date|time/i.test(answer.columns[label]?.type ?? "");
    return { labels: rows.map((row, index) => (label >= 0 ? plain(row[label]) : String(index + 1))), series, kind: time ? ("line" as const) : ("bar" as const), label: `${name} of each row; the table holds the numbers` };
  }, [answer]);
  if (!drawn) return <Empty title="Nothing to draw">A chart needs a column of numbers, for instance <code className="mono">count(*)</code>. The table shows what came back.</Empty>;
  return <LazyChart {...drawn} height={340} />;
}
