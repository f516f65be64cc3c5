/** Building a segment: the condition at the left, the people it holds at the right, live. */
import { Button, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useBlocker, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useRef, useState } from "react";
import { call, Problem, useGet, type Check, type Finding, type Preview, type Segment, type Vocabulary } from "../api";
import { placeOf } from "../editors/condition";
import { count, share } from "../format";
import { A, Avatar, Head, Loaded, Section, Trouble, Waiting } from "../parts/parts";

const Code = lazy(() => import("../editors/Code"));
const EXAMPLES = [
  ["Looked but did not buy", 'did "Product Viewed" in last 30 days\n  and not did "Order Completed" in last 30 days'],
  ["Bought three times", 'count "Order Completed" in last 60 days >= 3'],
  ["Spent 500 or more", 'sum(revenue) of "Order Completed" in last 180 days >= 500'],
  ["Silent for 90 days", 'time since last "Email Opened" > 90 days'],
] as const;
const DRAFT = "rapport-segment-draft";
const NONE: Finding[] = [];

export function NewSegment() {
  return <Editor key="new" />;
}

export function EditSegment() {
  const { id } = useParams({ strict: false }) as { id: string };
  const segment = useGet<Segment>(`/segments/${id}`);
  return <Loaded query={segment}>{(data) => <Editor key={id} segment={data} />}</Loaded>;
}

/** What saving means for the people: how many come in or leave. */
function Difference({ before, after, same }: { before: number; after: number; same: boolean }) {
  if (same) return <p className="muted small">The condition is as it is in force.</p>;
  const change = after - before;
  return <p className="small" data-testid="difference">Saving changes the members from {count(before)} to about {count(after)}: {change === 0 ? "as many as now, though perhaps others" : `${count(Math.abs(change))} ${change > 0 ? "more" : "fewer"}`}. Journeys that watch this segment see them come and go.</p>;
}

function Editor({ segment }: { segment?: Segment }) {
  const draft = segment ? null : (localStorage.getItem(DRAFT) ?? null);
  const begun = segment?.where ?? draft ?? "";
  const [name, setName] = useState(segment?.name ?? "");
  const [description, setDescription] = useState(segment?.description ?? "");
  const [where, setWhere] = useState(begun);
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Problem | Error | null>(null);
  const [settled] = useDebouncedValue(where, 250);
  const done = useRef(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const vocabulary = useGet<Vocabulary>("/segments/vocabulary");
  const asked = settled.trim() !== "";
  const check = useQuery<Check, Error>({
    queryKey: ["check", settled],
    queryFn: ({ signal }) => call<Check>("/segments/check", { method: "POST", body: { where: settled }, signal }),
    enabled: asked,
  });
  const good = asked && check.data?.ok === true;
  const preview = useQuery<Preview, Error>({
    queryKey: ["preview", settled],
    queryFn: ({ signal }) => call<Preview>("/segments/preview", { method: "POST", body: { where: settled }, signal }),
    enabled: good,
    placeholderData: keepPreviousData,
  });
  const refused = refusal instanceof Problem ? refusal.errors : NONE;
  const findings = refused.length > 0 ? refused : settled === where ? (check.data?.errors ?? (check.error instanceof Problem ? check.error.errors : NONE)) : NONE;
  const changed = where !== (segment?.where ?? "") || name !== (segment?.name ?? "") || description !== (segment?.description ?? "");
  useBlocker({
    shouldBlockFn: () => !done.current && Boolean(segment) && changed && !window.confirm("Leave without saving the changed condition?"),
    enableBeforeUnload: () => !done.current && Boolean(segment) && changed,
  });
  const write = (text: string) => {
    setWhere(text);
    setRefusal(null);
    if (!segment) localStorage.setItem(DRAFT, text);
  };
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const body = { name: name.trim(), description: description.trim(), where };
      const saved = segment
        ? await call<Segment | undefined>(`/segments/${segment.id}`, { method: "PUT", body: { id: segment.id, ...body } })
        : await call<Segment | undefined>("/segments", { method: "POST", body });
      done.current = true;
      if (!segment) localStorage.removeItem(DRAFT);
      await client.invalidateQueries();
      notifications.show({ message: `“${body.name}” is saved. It fills from history and then stays live.` });
      const id = saved?.id ?? segment?.id;
      void navigate({ to: (id ? `/segments/${id}` : "/segments") as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("Saving failed"));
    } finally {
      setSaving(false);
    }
  };
  const fix = (finding: Finding) => {
    const { from, to } = placeOf(where, finding);
    const old = where.slice(from, to);
    const better = finding.nearest ?? old;
    write(where.slice(0, from) + (old.startsWith('"') && !better.startsWith('"') ? `"${better}"` : better) + where.slice(to));
  };
  return (
    <>
      <Head title={segment ? `Edit ${segment.name}` : "New segment"} back={segment ? { to: `/segments/${segment.id}`, label: segment.name } : { to: "/segments", label: "Segments" }} line="Write who belongs. The right side shows what that means for real people.">
        {!segment && (where || name) && <span className="muted small saved">{where ? "Draft kept in this browser" : ""}</span>}
        <Button onClick={() => void save()} loading={saving} disabled={!name.trim() || !good || !changed} title={!name.trim() ? "It needs a name" : !good ? "It needs a condition that is understood" : !changed ? "Nothing has changed" : undefined}>Save segment</Button>
      </Head>
      {refusal && refused.length === 0 && <Trouble error={refusal} title="The segment could not be saved" retry={() => void save()} />}
      <div className="side">
        <div>
          <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} placeholder="Looked at shoes, did not buy" mb={16} />
          <Textarea label="What it is for" value={description} onChange={(event) => setDescription(event.currentTarget.value)} autosize minRows={1} mb={16} />
          <div style={{ fontWeight: 500, marginBottom: 4 }}>Condition</div>
          <Suspense fallback={<Waiting lines={4} />}>
            <Code language="condition" label="Condition" value={where} change={write} findings={findings} vocabulary={vocabulary.data} hint={'did "Product Viewed" in last 30 days'} run={() => void (name.trim() && good && save())} />
          </Suspense>
          <div aria-live="polite" className="verdict">
            {findings.map((finding, index) => (
              <div key={index} className="mistake" data-testid="finding">
                {finding.line && <strong className="num">Line {finding.line}, column {finding.column}: </strong>}{finding.message}
                {finding.nearest && !finding.message.includes("expected") && <> <button type="button" className="plainbutton link" onClick={() => fix(finding)}>Use “{finding.nearest}”</button></>}
                {finding.expected && finding.expected.length > 0 && <div className="muted small">Expected {finding.expected.slice(0, 8).join(", ")}</div>}
              </div>
            ))}
            {check.error && findings.length === 0 && <Trouble error={check.error} title="The condition could not be checked" retry={() => void check.refetch()} />}
            {good && findings.length === 0 && <div><span className="good">Understood.</span> <span className="muted">{check.data?.sentence}</span></div>}
            {good && (check.data?.warnings ?? []).map((warning, index) => <div key={index} className="warn">{warning.message}</div>)}
          </div>
          <Section title="Examples" note="to start from">
            <ul className="rows">
              {EXAMPLES.map(([label, text]) => (
                <li key={label}><span className="example">{label}</span><span className="mono muted ellipsis wide small">{text.replace(/\s+/g, " ")}</span><span className="end"><button type="button" className="plainbutton link small" onClick={() => write(text)} aria-label={`Use the example: ${label}`}>Use</button></span></li>
              ))}
            </ul>
          </Section>
        </div>
        <aside aria-label="Preview">
          <Section title="Who is in" note={good && preview.data ? `counted in ${count(preview.data.took_ms)} ms` : undefined}>
            {!asked && <p className="muted" style={{ padding: "12px 0" }}>Write a condition, and here you see how many people it holds and who they are, before anything is saved.</p>}
            {asked && findings.length > 0 && <p className="muted" style={{ padding: "12px 0" }}>The condition has to be put right before it can be counted.</p>}
            {good && preview.error && <Trouble error={preview.error} retry={() => void preview.refetch()} />}
            {good && !preview.error && !preview.data && <Waiting lines={5} />}
            {good && preview.data && (
              <div style={{ opacity: preview.isPlaceholderData ? 0.5 : 1 }} data-testid="preview">
                <div className="figure-value big" aria-live="polite">{count(preview.data.count)}</div>
                <div className="meter" aria-hidden><span style={{ width: `${preview.data.total ? Math.min(100, (preview.data.count / preview.data.total) * 100) : 0}%` }} /></div>
                <p className="muted">{share(preview.data.count, preview.data.total)} of {count(preview.data.total)} profiles</p>
                {segment && <Difference before={segment.count} after={preview.data.count} same={where === segment.where} />}
                {preview.data.sample.length === 0 && <p className="muted" style={{ padding: "12px 0" }}>Nobody fits now. A longer time or one condition less lets people in.</p>}
                {preview.data.sample.length > 0 && <p className="muted small" style={{ marginTop: 16 }}>{preview.data.count > 8 ? "Some of them" : "They are"}</p>}
                <ul className="rows">
                  {preview.data.sample.slice(0, 8).map((profile) => <li key={profile.id}><div className="person"><Avatar name={profile.display} /><div style={{ minWidth: 0 }}><A to={`/profiles/${profile.id}`} className="main ellipsis">{profile.display}</A>{profile.email && profile.email !== profile.display && <div className="muted small ellipsis">{profile.email}</div>}</div></div></li>)}
                </ul>
              </div>
            )}
          </Section>
        </aside>
      </div>
    </>
  );
}
