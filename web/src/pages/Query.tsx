/** Query: questions to the lake in SQL, answered as a table and a chart. */
import { Button, SegmentedControl } from "@mantine/core";
import { IconPlayerPlay } from "@tabler/icons-react";
import { lazy, Suspense, useMemo, useState } from "react";
import { call, Problem, useGet, type Answer, type Finding, type Schema } from "../api";
import { count, plain } from "../format";
import { Empty, Head, Section, Trouble, Waiting } from "../parts/parts";
import type { Series } from "../parts/Chart";

const Code = lazy(() => import("../editors/Code"));
const Chart = lazy(() => import("../parts/Chart"));
const START = "select name, count(*) as events\nfrom events\ngroup by name\norder by events desc\nlimit 20";

const NUMERIC = /int|float|double|decimal|number/i;

export function QueryPage() {
  const [sql, setSql] = useState(() => sessionStorage.getItem("rapport-sql") ?? START);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const [view, setView] = useState("table");
  const schema = useGet<Schema>("/query/schema");
  const findings = useMemo<Finding[]>(() => (error instanceof Problem ? error.errors.filter((finding) => finding.line || finding.offset !== undefined) : []), [error]);
  const run = async () => {
    setBusy(true);
    setError(null);
    sessionStorage.setItem("rapport-sql", sql);
    try {
      setAnswer(await call<Answer>("/query", { method: "POST", body: { sql } }));
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("The query failed"));
    } finally {
      setBusy(false);
    }
  };
  const write = (text: string) => {
    setSql(text);
    setError(null);
  };
  return (
    <>
      <Head title="Query" line="Read-only SQL over every event and profile.">
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={busy} onClick={() => void run()} disabled={!sql.trim()}>Run</Button>
      </Head>
      <div className="side">
        <div>
          <Suspense fallback={<Waiting lines={4} />}><Code language="sql" label="SQL" value={sql} change={write} findings={findings} schema={schema.data} run={() => void run()} height={140} /></Suspense>
          <p className="muted small" style={{ padding: "6px 0 20px" }}><kbd>⌘ Enter</kbd> runs the query</p>
          {error && <Trouble error={error} />}
          {!answer && !error && <Empty title="Ask something">The example above counts events by name. Names of tables and columns complete as you type.</Empty>}
          {answer && (
            <div data-testid="answer">
              <div className="filters">
                <SegmentedControl size="xs" aria-label="Show as" value={view} onChange={setView} data={[{ value: "table", label: "Table" }, { value: "chart", label: "Chart" }]} />
                <span className="end">{count(answer.rows.length)} rows{answer.truncated ? ", cut off" : ""}, {count(answer.took_ms)} ms</span>
              </div>
              {view === "table" ? <Grid answer={answer} /> : <Drawn answer={answer} />}
            </div>
          )}
        </div>
        <Section title="Tables">
          {(schema.data?.tables ?? []).map((table, index) => (
            <details key={table.name} open={index === 0} style={{ borderBottom: "1px solid var(--rule)", padding: "8px 0" }}>
              <summary style={{ cursor: "pointer", fontWeight: 540 }} className="mono">{table.name}</summary>
              <ul className="rows" style={{ paddingLeft: 14 }}>
                {table.columns.map((column) => <li key={column.name} style={{ padding: "3px 0", minHeight: 0, border: 0 }}><span className="mono ellipsis">{column.name}</span><span className="end muted small ellipsis">{column.type.toLowerCase()}</span></li>)}
              </ul>
            </details>
          ))}
          {schema.error && <Trouble error={schema.error} />}
        </Section>
      </div>
    </>
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
  if (!drawn) return <p className="muted">A chart needs a column of numbers.</p>;
  return <Suspense fallback={<Waiting lines={4} />}><Chart {...drawn} height={340} /></Suspense>;
}
