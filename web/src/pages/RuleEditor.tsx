/** Building a rule: when, what is done, how often at most, and why it is so. */
import { ActionIcon, Button, Checkbox, NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconTrash } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { call, Problem, useGet, useListing, type Finding, type JourneyRow, type Preview, type SegmentRow } from "../api";
import { count, share } from "../format";
import { ConditionField, useCheck } from "../parts/ConditionField";
import { Head, Loaded, Section, Trouble, Waiting } from "../parts/parts";
import { ACTIONS, NEW_RULE, tidy, valueOf, type Action, type Rule, type RuleDocument } from "../rules";

const UNITS = [["86400", "days"], ["3600", "hours"], ["60", "minutes"]] as const;

export function NewRule() {
  return <Editor key="new" />;
}

export function EditRule() {
  const { id } = useParams({ strict: false }) as { id: string };
  const rule = useGet<Rule>(`/rules/${id}`);
  return <Loaded query={rule}>{(data) => <Editor key={id} rule={data} />}</Loaded>;
}

function ActionRow({ action, at, change, remove, faults }: { action: Action; at: number; change: (action: Action) => void; remove: () => void; faults: Finding[] }) {
  const segments = useListing<SegmentRow>("/segments");
  const journeys = useListing<JourneyRow>("/journeys");
  const options: Record<string, { value: string; label: string }[]> = {
    segment: segments.rows.filter((row) => row.kind === "static").map((row) => ({ value: row.id, label: row.name })),
    journey: journeys.rows.map((row) => ({ value: row.id, label: row.name })),
  };
  const text = (value: unknown) => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));
  return (
    <li style={{ flexWrap: "wrap", alignItems: "flex-end" }} data-testid="action">
      <Select label={`Action ${at + 1}`} data={Object.entries(ACTIONS).map(([value, { label }]) => ({ value, label }))} value={action.type} allowDeselect={false} onChange={(type) => change({ type: type ?? action.type })} w={230} />
      {(ACTIONS[action.type]?.fields ?? []).map(([field, label]) =>
        options[field]
          ? <Select key={field} label={label} data={options[field]} value={text(action[field]) || null} onChange={(value) => change({ ...action, [field]: value ?? "" })} placeholder={options[field].length === 0 ? "There is none yet" : "Choose"} w={220} />
          : <TextInput key={field} label={label} value={text(action[field])} onChange={(event) => change({ ...action, [field]: field === "value" ? valueOf(event.currentTarget.value) : event.currentTarget.value })} w={180} />)}
      <span className="end"><ActionIcon variant="subtle" color="gray" onClick={remove} aria-label={`Remove action ${at + 1}`}><IconTrash size={16} /></ActionIcon></span>
      {faults.map((fault, index) => <div key={index} className="bad small" style={{ flexBasis: "100%" }}>{fault.message}</div>)}
    </li>
  );
}

function Editor({ rule }: { rule?: Rule }) {
  const [name, setName] = useState(rule?.name ?? "");
  const [draft, setDraft] = useState<RuleDocument>({ ...NEW_RULE, ...rule?.definition });
  const every = draft.every_seconds;
  const [unit, setUnit] = useState<string>(UNITS.find(([size]) => every % Number(size) === 0)?.[0] ?? "60");
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const client = useQueryClient();
  const navigate = useNavigate();
  const { good } = useCheck(draft.where);
  const preview = useQuery<Preview, Error>({
    queryKey: ["preview", draft.where],
    queryFn: ({ signal }) => call<Preview>("/segments/preview", { method: "POST", body: { where: draft.where }, signal }),
    enabled: good,
  });
  const faults = refusal instanceof Problem ? refusal.errors : [];
  const at = (path: string) => faults.filter((fault) => fault.path === path);
  const set = (changes: Partial<RuleDocument>) => {
    setDraft((before) => ({ ...before, ...changes }));
    setRefusal(null);
  };
  const goal = draft.goal ?? { event: "Order Completed", days: 14 };
  const ready = Boolean(name.trim()) && good && draft.actions.length > 0;
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const body = { name: name.trim(), definition: tidy(draft) };
      const saved = rule ? await call<Rule>(`/rules/${rule.id}`, { method: "PUT", body }) : await call<Rule>("/rules", { method: "POST", body });
      await client.invalidateQueries();
      notifications.show({ message: `“${body.name}” is saved and in force.` });
      void navigate({ to: `/rules/${saved.id}` as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("Saving failed"));
    } finally {
      setSaving(false);
    }
  };
  const placed = ["/where", "/every_seconds", "/review_at", "/goal"].flatMap(at).length + faults.filter((fault) => fault.path?.startsWith("/actions/")).length;
  return (
    <>
      <Head title={rule ? `Edit ${rule.name}` : "New rule"} back={rule ? { to: `/rules/${rule.id}`, label: rule.name } : { to: "/rules", label: "Rules" }} line="Say when, what is done, and how long until it may happen again for the same person.">
        <Button onClick={() => void save()} loading={saving} disabled={!ready} title={!name.trim() ? "It needs a name" : !good ? "It needs a condition that is understood" : draft.actions.length === 0 ? "It needs an action" : undefined}>Save rule</Button>
      </Head>
      {refusal && placed === 0 && <Trouble error={refusal} title="The rule could not be saved" retry={() => void save()} />}
      <div className="side">
        <div>
          <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} placeholder="Loyalty discount" mb={16} />
          <Textarea label="What it is for" value={draft.description ?? ""} onChange={(event) => set({ description: event.currentTarget.value })} autosize minRows={1} mb={16} />
          <div style={{ fontWeight: 500, marginBottom: 4 }}>Condition</div>
          <ConditionField label="Condition" value={draft.where} change={(where) => set({ where })} refused={at("/where")} />
          <TextInput label="Ask after each" description="An event. Without one the rule fires when the condition becomes true." value={draft.on ?? ""} onChange={(event) => set({ on: event.currentTarget.value })} placeholder="Order Completed" mt={12} mb={24} maw={360} />
          <Section title="What is done">
            <ul className="rows">
              {draft.actions.map((action, index) => (
                <ActionRow key={index} action={action} at={index} faults={at(`/actions/${index}`)} change={(next) => set({ actions: draft.actions.map((one, place) => (place === index ? next : one)) })} remove={() => set({ actions: draft.actions.filter((_, place) => place !== index) })} />
              ))}
            </ul>
            <Button variant="default" size="xs" mt={12} onClick={() => set({ actions: [...draft.actions, { type: "grant_coupon", prefix: "" }] })}>Add an action</Button>
          </Section>
          <Section title="How often">
            <div style={{ display: "flex", gap: 12, alignItems: "flex-end", flexWrap: "wrap" }}>
              <NumberInput label="Again for the same person after" min={1} value={every / Number(unit)} onChange={(value) => set({ every_seconds: Math.max(1, Math.round(Number(value) || 1)) * Number(unit) })} error={at("/every_seconds")[0]?.message} w={220} />
              <Select aria-label="Unit of time" data={UNITS.map(([value, label]) => ({ value, label }))} value={unit} allowDeselect={false} onChange={(value) => { const next = value ?? unit; set({ every_seconds: (every / Number(unit)) * Number(next) }); setUnit(next); }} w={120} />
            </div>
            <Checkbox mt={16} label="Fire also for those it finds when it is saved" checked={draft.fire_on_save ?? false} disabled={Boolean(draft.on)} onChange={(event) => set({ fire_on_save: event.currentTarget.checked })} />
          </Section>
          <Section title="What you hope follows" note="the report counts it">
            <div style={{ display: "flex", gap: 12, alignItems: "flex-end", flexWrap: "wrap" }}>
              <TextInput label="Event" value={goal.event} onChange={(event) => set({ goal: { ...goal, event: event.currentTarget.value } })} error={at("/goal")[0]?.message} w={220} />
              <NumberInput label="Within days" min={1} max={366} value={goal.days} onChange={(value) => set({ goal: { ...goal, days: Math.round(Number(value) || 1) } })} w={120} />
            </div>
          </Section>
          <Section title="Why it is so">
            <div className="pairform">
              <TextInput label="Threshold" value={draft.threshold ?? ""} onChange={(event) => set({ threshold: event.currentTarget.value })} placeholder="More than 3: one in ten customers" />
              <TextInput label="Time frame" value={draft.time_frame ?? ""} onChange={(event) => set({ time_frame: event.currentTarget.value })} placeholder="60 days" />
              <TextInput label="Owner" value={draft.owner ?? ""} onChange={(event) => set({ owner: event.currentTarget.value })} />
              <TextInput type="date" label="Review on" value={draft.review_at ?? ""} onChange={(event) => set({ review_at: event.currentTarget.value })} error={at("/review_at")[0]?.message} />
            </div>
          </Section>
        </div>
        <aside aria-label="Preview">
          <Section title="For whom it holds now">
            {!good && <p className="muted" style={{ padding: "12px 0" }}>Write a condition, and here you see for how many people it holds.</p>}
            {good && preview.error && <Trouble error={preview.error} retry={() => void preview.refetch()} />}
            {good && !preview.error && !preview.data && <Waiting lines={3} />}
            {good && preview.data && (
              <>
                <div className="figure-value big" aria-live="polite">{count(preview.data.count)}</div>
                <p className="muted">{share(preview.data.count, preview.data.total)} of {count(preview.data.total)} profiles. {draft.on ? `It fires for them after their next “${draft.on}”.` : draft.fire_on_save ? "Saving fires for them at once." : "Saving does not fire for them; it fires for those who come."}</p>
              </>
            )}
          </Section>
        </aside>
      </div>
    </>
  );
}
