/** A segment whose members are named: by a query that runs again on a schedule, or by hand, programs and rules. */
import { Button, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useBlocker, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useRef, useState } from "react";
import { call, Problem, useGet, type Check, type Finding, type Preview, type Schema, type Segment } from "../api";
import { count, share } from "../format";
import { A, Figure, Figures, Head, Loaded, Section, Trouble, Waiting } from "../parts/parts";
import { ProfileLink } from "./Profiles";

const Code = lazy(() => import("../editors/Code"));
const NONE: Finding[] = [];
const EXAMPLE = `SELECT profile_id FROM events
WHERE name = 'Order Completed'
GROUP BY profile_id
ORDER BY sum(json_number(properties, 'revenue')) DESC
LIMIT 100`;

export function NewList() {
  return <Editor key="new" />;
}

export function EditList() {
  const { id } = useParams({ strict: false }) as { id: string };
  const found = useGet<Segment>(`/segments/${id}`);
  return <Loaded query={found}>{(data) => <Editor key={id} found={data} />}</Loaded>;
}

function Editor({ found }: { found?: Segment }) {
  const [kind, setKind] = useState(found?.kind === "static" ? "static" : "sql");
  const [name, setName] = useState(found?.name ?? "");
  const [description, setDescription] = useState(found?.description ?? "");
  const [sql, setSql] = useState(found?.query?.sql ?? "");
  const [schedule, setSchedule] = useState(found?.query?.schedule ?? "");
  const [timezone, setTimezone] = useState(found?.query?.timezone ?? "");
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Problem | Error | null>(null);
  const [settled] = useDebouncedValue(JSON.stringify({ sql, schedule: schedule.trim(), timezone: timezone.trim() }), 500);
  const done = useRef(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const schema = useGet<Schema>("/query/schema");
  const asked = kind === "sql" && sql.trim() !== "";
  const check = useQuery<Check, Error>({
    queryKey: ["check-list", settled],
    queryFn: ({ signal }) => call<Check>("/segments/check", { method: "POST", body: JSON.parse(settled) as object, signal }),
    enabled: asked,
  });
  const good = kind === "static" || (asked && check.data?.ok === true);
  const preview = useQuery<Preview, Error>({
    queryKey: ["preview-list", settled],
    queryFn: ({ signal }) => call<Preview>("/segments/preview", { method: "POST", body: { sql: (JSON.parse(settled) as { sql: string }).sql }, signal }),
    enabled: asked && good,
    placeholderData: keepPreviousData,
  });
  const errors = refusal instanceof Problem ? refusal.errors : NONE;
  const findings = errors.length > 0 ? errors : asked ? (check.data?.errors ?? NONE) : NONE;
  const at = (path: string) => findings.find((one) => one.path === path)?.message;
  const elsewhere = findings.filter((one) => !["/name", "/schedule", "/timezone"].includes(one.path ?? ""));
  const changed = name !== (found?.name ?? "") || description !== (found?.description ?? "") || sql !== (found?.query?.sql ?? "")
    || schedule !== (found?.query?.schedule ?? "") || timezone !== (found?.query?.timezone ?? "") || (found !== undefined && kind !== found.kind);
  useBlocker({
    shouldBlockFn: () => !done.current && changed && !window.confirm("Leave without saving the segment?"),
    enableBeforeUnload: () => !done.current && changed,
  });
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const source = kind === "static" ? { static: true } : { sql, schedule: schedule.trim() || undefined, timezone: timezone.trim() || undefined };
      const body = { name: name.trim(), description: description.trim(), ...source };
      const saved = await (found ? call<Segment>(`/segments/${found.id}`, { method: "PUT", body }) : call<Segment>("/segments", { method: "POST", body }));
      done.current = true;
      await client.invalidateQueries();
      notifications.show({ message: kind === "static" ? `${saved.name} is saved. Send it a list, or let rules fill it.` : `${saved.name} is saved with the members its query names.`, closeButtonProps: { "aria-label": "Close" } });
      void navigate({ to: `/segments/${saved.id}` as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("Saving failed"));
    } finally {
      setSaving(false);
    }
  };
  return (
    <>
      <Head title={found ? `Edit ${found.name}` : "New segment by a query or a list"} back={found ? { to: `/segments/${found.id}`, label: found.name } : { to: "/segments", label: "Segments" }} line="For whom no condition tells: those a query names, or those on a list. Everything that can use a segment can use it.">
        <Button onClick={() => void save()} loading={saving} disabled={!name.trim() || !good || !changed} title={!name.trim() ? "It needs a name" : !good ? "It needs a query that can be run" : !changed ? "Nothing has changed" : undefined}>Save segment</Button>
      </Head>
      {refusal && errors.length === 0 && <Trouble error={refusal} title="The segment could not be saved" retry={() => void save()} />}
      <div className="side">
        <div>
          <TextInput label="Name" required value={name} onChange={(event) => { setName(event.currentTarget.value); setRefusal(null); }} error={at("/name")} placeholder="Hundred best customers" mb={16} />
          <Textarea label="What it is for" value={description} onChange={(event) => setDescription(event.currentTarget.value)} autosize minRows={1} mb={16} />
          <SegmentedControl aria-label="Where its members come from" value={kind} onChange={(value) => { setKind(value); setRefusal(null); }} data={[{ value: "sql", label: "A query" }, { value: "static", label: "A list" }]} mb={16} />
          {kind === "sql" ? (
            <>
              <div style={{ fontWeight: 500, marginBottom: 4 }}>Query</div>
              <Suspense fallback={<Waiting lines={6} />}>
                <Code language="sql" label="Query" value={sql} change={(text: string) => { setSql(text); setRefusal(null); }} schema={schema.data} hint={EXAMPLE} height={180} />
              </Suspense>
              <div aria-live="polite" className="verdict">
                {elsewhere.map((finding, index) => <div key={index} className="mistake" data-testid="finding">{finding.message}</div>)}
                {check.error && elsewhere.length === 0 && <Trouble error={check.error} title="The query could not be checked" retry={() => void check.refetch()} />}
                {asked && good && elsewhere.length === 0 && <div><span className="good">It can be run.</span> <span className="muted">{check.data?.sentence}</span></div>}
                {!asked && <p className="muted small">One SELECT with a column <span className="mono">profile_id</span>, <span className="mono">user_id</span> or <span className="mono">email</span>; the tables are those of <A to="/query" className="link">Query</A>. <button type="button" className="plainbutton link" onClick={() => setSql(EXAMPLE)}>Begin with an example</button></p>}
              </div>
              <div style={{ display: "flex", gap: 16, flexWrap: "wrap", marginTop: 16 }}>
                <TextInput label="Runs again" value={schedule} onChange={(event) => setSchedule(event.currentTarget.value)} error={at("/schedule")} placeholder="0 3 * * *" description="As cron says it; empty: only when asked" style={{ flex: "1 1 200px" }} />
                <TextInput label="Time zone" value={timezone} onChange={(event) => setTimezone(event.currentTarget.value)} error={at("/timezone")} placeholder="The workspace's" description="Such as Europe/Berlin" style={{ flex: "1 1 200px" }} />
              </div>
            </>
          ) : (
            <p className="muted">{found?.kind === "sql" ? "It keeps the members that its query found." : "It begins empty."} Its page takes lists as CSV or JSON; programs send them to <span className="mono">POST /api/segments/…/members</span>; rules add and remove people.</p>
          )}
        </div>
        <div>
          <Section title="Who would be in">
            {kind === "static" ? <p className="muted">Whoever is put on the list.</p>
              : preview.error ? <Trouble error={preview.error} title="The query could not be run" retry={() => void preview.refetch()} />
                : preview.data && asked ? (
                  <>
                    <Figures><Figure name="Members" value={preview.data.count} note={`${share(preview.data.count, preview.data.total)} of ${count(preview.data.total)} profiles`} /></Figures>
                    <ul className="rows">{preview.data.sample.map((one) => <li key={one.id}><ProfileLink row={one} /></li>)}</ul>
                  </>
                ) : asked && good ? <Waiting lines={4} /> : <p className="muted">Write a query; the people it names appear here.</p>}
          </Section>
        </div>
      </div>
    </>
  );
}
