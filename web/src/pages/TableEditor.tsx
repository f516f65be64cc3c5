/** A decision table as a grid: conditions with their mistakes in place, outcomes, gaps, overlaps, rows never reached. */
import { ActionIcon, Button, Modal, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconArrowDown, IconArrowUp, IconTrash } from "@tabler/icons-react";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { call, Problem, useGet } from "../api";
import { count, share } from "../format";
import { ConditionField } from "../parts/ConditionField";
import { A, Head, Loaded, Section, Status, Trouble, Waiting, When } from "../parts/parts";
import { outcomeOf, type Decision, type DecisionTable, type TableOutlook } from "../rules";

interface Row { key: number; name: string; where: string; outcome: string }

export function NewTable() {
  return <Editor key="new" />;
}

export function TablePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const table = useGet<DecisionTable>(`/tables/${id}`);
  return <Loaded query={table}>{(data) => <Editor key={`${id}-${data.version}`} table={data} />}</Loaded>;
}

let keys = 0;
const fresh = (): Row => ({ key: ++keys, name: "", where: "", outcome: '{"discount": 5}' });

function Editor({ table }: { table?: DecisionTable }) {
  const begun = table?.definition;
  const [name, setName] = useState(table?.name ?? "");
  const [description, setDescription] = useState(begun?.description ?? "");
  const [hit, setHit] = useState<"first" | "all">(begun?.hit ?? "first");
  const [attribute, setAttribute] = useState(begun?.attribute ?? "");
  const [rows, setRows] = useState<Row[]>(() => (begun?.rows ?? []).map((row) => ({ ...fresh(), name: row.name, where: row.where, outcome: JSON.stringify(row.outcome) })));
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const client = useQueryClient();
  const navigate = useNavigate();
  const outcomes = rows.map((row) => outcomeOf(row.outcome));
  const written = rows.length > 0 && rows.every((row) => row.where.trim()) && outcomes.every((outcome) => outcome !== null);
  const definition = { description, owner: begun?.owner ?? "", hit, ...(attribute.trim() ? { attribute: attribute.trim() } : {}), rows: rows.map((row, index) => ({ name: row.name, where: row.where, outcome: outcomes[index] })) };
  const text = JSON.stringify({ hit, rows: definition.rows });
  const [settled] = useDebouncedValue(text, 400);
  const check = useQuery<TableOutlook, Error>({
    queryKey: ["table", settled],
    queryFn: ({ signal }) => call<TableOutlook>("/tables/check", { method: "POST", body: { definition: JSON.parse(settled) as unknown }, signal }),
    enabled: written && settled === text,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const refused = refusal instanceof Problem ? refusal.errors : check.error instanceof Problem && settled === text ? check.error.errors : [];
  const at = (path: string) => refused.filter((fault) => fault.path === path);
  const change = (key: number, changes: Partial<Row>) => {
    setRows((before) => before.map((row) => (row.key === key ? { ...row, ...changes } : row)));
    setRefusal(null);
  };
  const move = (index: number, by: number) => setRows((before) => {
    const next = [...before];
    const [row] = next.splice(index, 1);
    if (row) next.splice(index + by, 0, row);
    return next;
  });
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const body = { name: name.trim(), definition };
      const saved = table ? await call<DecisionTable>(`/tables/${table.id}`, { method: "PUT", body }) : await call<DecisionTable>("/tables", { method: "POST", body });
      await client.invalidateQueries();
      notifications.show({ message: `“${body.name}” is saved and decides from now on.` });
      void navigate({ to: `/tables/${saved.id}` as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("Saving failed"));
    } finally {
      setSaving(false);
    }
  };
  const outlook = written && !check.error ? check.data : undefined;
  const label = (index: number) => rows[index]?.name || `Row ${index + 1}`;
  return (
    <>
      <Head title={table ? table.name : "New decision table"} back={{ to: "/tables", label: "Decision tables" }} status={table ? <span className="muted small">version {table.version}</span> : undefined} line={table?.definition.description || "The order counts: the first row that holds decides, unless all do."}>
        <Button onClick={() => void save()} loading={saving} disabled={!name.trim() || !written || refused.length > 0} title={!name.trim() ? "It needs a name" : !written ? "Every row needs a condition and an outcome" : undefined}>Save table</Button>
      </Head>
      {refusal && refused.length === 0 && <Trouble error={refusal} title="The table could not be saved" />}
      <div className="pairform" style={{ marginBottom: 16 }}>
        <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <TextInput label="Keep the outcome in the attribute" placeholder="none: only when asked" value={attribute} onChange={(event) => { setAttribute(event.currentTarget.value); setRefusal(null); }} error={at("/attribute")[0]?.message} />
      </div>
      <Textarea label="What it decides" value={description} onChange={(event) => setDescription(event.currentTarget.value)} autosize minRows={1} mb={16} />
      <SegmentedControl aria-label="Which rows decide" value={hit} onChange={(value) => setHit(value === "all" ? "all" : "first")} data={[{ value: "first", label: "First row that holds" }, { value: "all", label: "All rows that hold" }]} mb={20} />
      {at("/rows").map((fault, index) => <div key={index} className="mistake">{fault.message}</div>)}
      <div role="list" aria-label="Rows">
        {rows.map((row, index) => (
          <div key={row.key} role="listitem" className="tablerow" data-testid="row">
            <div className="tablerowhead">
              <strong className="num muted">{index + 1}</strong>
              <TextInput aria-label={`Name of row ${index + 1}`} placeholder="Name" value={row.name} onChange={(event) => change(row.key, { name: event.currentTarget.value })} className="grow" />
              {outlook?.rows[index] && <span className="small muted num">{hit === "first" ? `decides for ${count(outlook.rows[index].decides)}` : `holds for ${count(outlook.rows[index].holds)}`}</span>}
              {outlook?.rows[index]?.unreachable && <Status of="warn" label="never reached" />}
              <ActionIcon variant="subtle" color="gray" disabled={index === 0} onClick={() => move(index, -1)} aria-label={`Move row ${index + 1} up`}><IconArrowUp size={16} /></ActionIcon>
              <ActionIcon variant="subtle" color="gray" disabled={index === rows.length - 1} onClick={() => move(index, 1)} aria-label={`Move row ${index + 1} down`}><IconArrowDown size={16} /></ActionIcon>
              <ActionIcon variant="subtle" color="gray" onClick={() => setRows((before) => before.filter((one) => one.key !== row.key))} aria-label={`Remove row ${index + 1}`}><IconTrash size={16} /></ActionIcon>
            </div>
            <div className="tablerowbody">
              <ConditionField label={`Condition of row ${index + 1}`} value={row.where} change={(where) => change(row.key, { where })} refused={at(`/rows/${index}/where`)} height={44} />
              <Textarea aria-label={`Outcome of row ${index + 1}`} autosize minRows={1} value={row.outcome} onChange={(event) => change(row.key, { outcome: event.currentTarget.value })} error={outcomes[index] === null ? 'An object such as {"discount": 10}' : at(`/rows/${index}/outcome`)[0]?.message} styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }} />
            </div>
          </div>
        ))}
      </div>
      <Button variant="default" size="xs" mt={12} mb={28} onClick={() => setRows((before) => [...before, fresh()])}>Add a row</Button>
      <Section title="How it divides everybody" note={outlook ? `counted in ${count(outlook.took_ms)} ms` : undefined}>
        {!written && <p className="muted" style={{ padding: "12px 0" }}>Give every row a condition and an outcome, and here you see whom no row fits and where rows overlap.</p>}
        {written && check.error && refused.length === 0 && <Trouble error={check.error} retry={() => void check.refetch()} />}
        {written && !check.error && !check.data && <Waiting lines={3} />}
        {outlook && (
          <div style={{ opacity: check.isPlaceholderData ? 0.5 : 1 }} data-testid="outlook">
            <p><strong>{count(outlook.gap)}</strong> of {count(outlook.total)} profiles ({share(outlook.gap, outlook.total)}) fit no row{outlook.gap > 0 && outlook.gap_sample.length > 0 ? <>, among them {outlook.gap_sample.slice(0, 3).map((profile, index) => <span key={profile.id}>{index > 0 && ", "}<A to={`/profiles/${profile.id}`} className="link">{profile.display}</A></span>)}</> : null}.</p>
            {outlook.overlaps.length === 0 && <p className="muted">No two rows hold for the same person.</p>}
            <ul className="rows">
              {outlook.overlaps.map((pair) => <li key={`${pair.first}-${pair.second}`}><span>{label(pair.first)} and {label(pair.second)}</span><span className="end num">both hold for {count(pair.count)}</span></li>)}
            </ul>
          </div>
        )}
      </Section>
      {table && <Ask id={table.id} />}
      {table && (
        <Section title="Versions">
          <ul className="rows">
            {table.versions.map((version, index) => <li key={version.version}><strong>Version {version.version}</strong>{index === 0 && <Status of="live" label="In force" />}<span className="muted">by {version.author}, <When at={version.at} /></span><span className="end muted small">{(version.definition as { rows?: unknown[] }).rows?.length ?? 0} rows</span></li>)}
          </ul>
        </Section>
      )}
      {table && <Remove table={table} />}
    </>
  );
}

function Ask({ id }: { id: string }) {
  const [profile, setProfile] = useState("");
  const [answer, setAnswer] = useState<Decision | Error | null>(null);
  const ask = async () => {
    try {
      setAnswer(await call<Decision>(`/tables/${id}/decide`, { method: "POST", body: { profile: Number(profile) } }));
    } catch (error) {
      setAnswer(error instanceof Error ? error : new Error("Asking failed"));
    }
  };
  return (
    <Section title="Ask for one person" note="the saved version answers">
      <form style={{ display: "flex", gap: 8, alignItems: "flex-end" }} onSubmit={(event) => { event.preventDefault(); void ask(); }}>
        <TextInput label="Profile" inputMode="numeric" value={profile} onChange={(event) => setProfile(event.currentTarget.value)} placeholder="1" w={140} />
        <Button type="submit" variant="default" disabled={!/^\d+$/.test(profile)}>Decide</Button>
      </form>
      {answer instanceof Error && <div style={{ marginTop: 12 }}><Trouble error={answer} title="It could not be decided" /></div>}
      {answer && !(answer instanceof Error) && (
        <div style={{ marginTop: 12 }} data-testid="decision">
          <pre className="code">{answer.outcome === null ? "No row holds." : JSON.stringify(answer.outcome, null, 2)}</pre>
          <ul className="rows">
            {answer.rows.map((row, index) => <li key={index}><Status of={row.decides ? "ok" : row.holds ? "held" : "skipped"} label={row.decides ? "decides" : row.holds ? "holds too" : "does not hold"} /><span className="wrap">{row.name || `Row ${index + 1}`}: <span className="muted">{row.explanation.sentence || row.explanation.text}{row.explanation.value !== null && row.explanation.value !== undefined ? ` It is ${row.explanation.value}.` : ""}</span></span></li>)}
          </ul>
        </div>
      )}
    </Section>
  );
}

function Remove({ table }: { table: DecisionTable }) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = async () => {
    try {
      await call(`/tables/${table.id}`, { method: "DELETE" });
      await navigate({ to: "/tables" as never });
      await client.invalidateQueries();
      notifications.show({ message: `“${table.name}” is removed.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Removing failed" });
    }
    setAsking(false);
  };
  return (
    <>
      <Button variant="default" c="var(--bad)" onClick={() => setAsking(true)}>Remove this table</Button>
      <Modal opened={asking} onClose={() => setAsking(false)} title="Remove this table" closeButtonProps={{ "aria-label": "Close" }}>
        <p>It decides no more. Its versions are kept; attributes it has set stay as they are.</p>
        <div style={{ display: "flex", gap: 8, marginTop: 16 }}>
          <Button color="red" onClick={() => void remove()}>Remove “{table.name}”</Button>
          <Button variant="default" data-autofocus onClick={() => setAsking(false)}>Keep it</Button>
        </div>
      </Modal>
    </>
  );
}
