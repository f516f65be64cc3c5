/** Where a listed segment's members come from: its query with the last run, or an upload. Nothing for a condition. */
import { Button, FileInput, SegmentedControl } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, Problem, type Segment } from "../api";
import type { MembersChanged } from "../api.gen";
import { count } from "../format";
import { Section, Trouble, When } from "./parts";

export function SegmentSource({ segment }: { segment: Segment }) {
  if (segment.kind === "sql" && segment.query) return <Query segment={segment} />;
  if (segment.kind === "static") return <Upload id={segment.id} />;
  return null;
}

function Query({ segment }: { segment: Segment }) {
  const [running, setRunning] = useState(false);
  const client = useQueryClient();
  const query = segment.query;
  if (!query) return null;
  const { last } = query;
  const refresh = async () => {
    setRunning(true);
    try {
      await call(`/segments/${segment.id}/refresh`, { method: "POST" });
      notifications.show({ message: "The query was run; the members are those it names." });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Refreshing failed" });
    }
    await client.invalidateQueries();
    setRunning(false);
  };
  return (
    <Section title="Query" note={query.schedule ? `runs at ${query.schedule}${query.timezone ? ` in ${query.timezone}` : ""}` : "runs when it is asked to"} more={<Button size="xs" variant="default" loading={running || last.running} onClick={() => void refresh()}>Refresh now</Button>}>
      <pre className="code">{query.sql}</pre>
      <p className="muted small" style={{ paddingTop: 8 }}>
        Last run <When at={last.at} />: {count(last.rows)} rows in {count(last.took_ms)} ms, {count(last.entered)} entered, {count(last.exited)} left{last.unknown > 0 ? `, ${count(last.unknown)} rows name nobody we know` : ""}.{query.next_at && <> Next <When at={query.next_at} />.</>}
      </p>
      {last.error && <Trouble error={new Error(last.error)} title="The last run failed; the members stayed as they were" />}
    </Section>
  );
}

function Upload({ id }: { id: string }) {
  const [file, setFile] = useState<File | null>(null);
  const [mode, setMode] = useState("add");
  const [sending, setSending] = useState(false);
  const [outcome, setOutcome] = useState<MembersChanged | Error | null>(null);
  const client = useQueryClient();
  const send = async () => {
    if (!file) return;
    setSending(true);
    setOutcome(null);
    try {
      const kind = /\.csv$/i.test(file.name) ? "text/csv" : /\.json$/i.test(file.name) ? "application/json" : "application/x-ndjson";
      const answer = await fetch(`/api/segments/${encodeURIComponent(id)}/members?mode=${mode}`, { method: "POST", headers: { "content-type": kind, "x-rapport": "1", accept: "application/json" }, credentials: "same-origin", body: file });
      const body = (await answer.json()) as MembersChanged & { title?: string; detail?: string; code?: string };
      if (!answer.ok) throw new Problem(answer.status, body.code ?? "", body.title ?? "The list was refused", body.detail ?? "", []);
      setOutcome(body);
      await client.invalidateQueries();
    } catch (error) {
      setOutcome(error instanceof Error ? error : new Error("Sending the list failed"));
    } finally {
      setSending(false);
    }
  };
  return (
    <Section title="List" note="CSV with a header, or one JSON value a line: profile_id, user_id or email">
      <div style={{ display: "flex", gap: 12, alignItems: "flex-end", flexWrap: "wrap" }}>
        <FileInput label="File" value={file} onChange={setFile} accept=".csv,.json,.ndjson,.jsonl" placeholder="Choose a file" clearable w={260} />
        <SegmentedControl aria-label="What the list does" value={mode} onChange={setMode} data={[{ value: "add", label: "Add" }, { value: "remove", label: "Remove" }, { value: "replace", label: "Replace all" }]} />
        <Button variant="default" disabled={!file} loading={sending} onClick={() => void send()}>Send the list</Button>
      </div>
      {outcome instanceof Error && <div style={{ marginTop: 12 }}><Trouble error={outcome} title="Nothing was changed" /></div>}
      {outcome && !(outcome instanceof Error) && (
        <div style={{ marginTop: 12 }} data-testid="uploaded">
          <p>{count(outcome.rows)} rows: {count(outcome.entered)} entered, {count(outcome.exited)} left, {count(outcome.members)} members now.</p>
          {[["name nobody we know", outcome.unknown] as const, ["cannot be read", outcome.rejected] as const].filter(([, rows]) => rows.count > 0).map(([what, rows]) => (
            <details key={what}><summary className="small">{count(rows.count)} rows {what}</summary><ul className="rows">{rows.rows.map((row) => <li key={row.row}><span className="num muted">Row {row.row}</span><span className="mono">{row.value}</span><span className="muted">{row.message}</span></li>)}</ul></details>
          ))}
        </div>
      )}
    </Section>
  );
}
