/** Building a segment: the condition at the left, in the builder or as text, the people it holds at the right, live. */
import { Button, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useBlocker, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { call, Problem, useGet, type Check, type Finding, type Segment, type Vocabulary } from "../api";
import { placeOf } from "../editors/condition";
import { readKept, useDraft, type Mode } from "../editors/draft";
import type { Tree } from "../editors/tree";
import { count } from "../format";
import { Filling } from "../parts/Filling";
import { Head, Loaded, Section, Trouble, Waiting } from "../parts/parts";
import { Reach } from "../parts/Reach";

const Code = lazy(() => import("../editors/Code"));
const Builder = lazy(() => import("../editors/Builder"));
const EXAMPLES = [
  ["Looked but did not buy", 'did "Product Viewed" in last 30 days\n  and not did "Order Completed" in last 30 days'],
  ["Bought three times", 'count "Order Completed" in last 60 days >= 3'],
  ["Spent 500 or more", 'sum(revenue) of "Order Completed" in last 180 days >= 500'],
  ["Silent for 90 days", 'time since last "Email Opened" > 90 days'],
] as const;
const DRAFT = "rapport-segment-draft";
const NONE: Finding[] = [];

export function NewSegment() {
  const { where } = useSearch({ strict: false }) as { where?: string };
  const given = useGet<Vocabulary>("/segments/vocabulary");
  const begun = useBegun(where);
  return where && begun.isPending ? <Waiting /> : <Editor key={where ?? "new"} vocabulary={given.data} where={where} tree={begun.data?.json as Tree | null | undefined} />;
}

/** The tree of a text that the address gives; where there is none, the text is shown. */
function useBegun(where: string | undefined) {
  return useQuery<Check, Error>({ queryKey: ["begun", where], queryFn: ({ signal }) => call<Check>("/segments/check", { method: "POST", body: { where }, signal }), enabled: where !== undefined, staleTime: Infinity, retry: false });
}

export function EditSegment() {
  const { id } = useParams({ strict: false }) as { id: string };
  const segment = useGet<Segment>(`/segments/${id}`);
  const vocabulary = useGet<Vocabulary>("/segments/vocabulary");
  return <Loaded query={segment}>{(data) => <Editor key={id} segment={data} vocabulary={vocabulary.data} where={data.where} tree={data.json as Tree | null} />}</Loaded>;
}

/** What saving means for the people: how many come in or leave. */
function Difference({ before, after, same }: { before: number; after: number; same: boolean }) {
  if (same) return <p className="muted small">The condition is as it is in force.</p>;
  const change = after - before;
  return <p className="small" data-testid="difference">Saving changes the members from {count(before)} to about {count(after)}: {change === 0 ? "as many as now, though perhaps others" : `${count(Math.abs(change))} ${change > 0 ? "more" : "fewer"}`}. Journeys that watch this segment see them come and go.</p>;
}

interface Given {
  segment?: Segment;
  vocabulary: Vocabulary | undefined;
  where?: string;
  tree?: Tree | null;
}

function Editor({ segment, vocabulary, where: given, tree }: Given) {
  const [kept] = useState(() => (segment || given ? null : readKept(localStorage.getItem(DRAFT))));
  const draft = useDraft({ text: given ?? "", tree, kept });
  const [name, setName] = useState(segment?.name ?? "");
  const [description, setDescription] = useState(segment?.description ?? "");
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Problem | Error | null>(null);
  const done = useRef(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const { mode, check, good, kept: keep } = draft;
  const refused = refusal instanceof Problem ? refusal.errors : NONE;
  const findings = refused.length > 0 ? refused : draft.findings;
  // One that an address gave is not kept as the draft: another may be there.
  const opened = segment !== undefined || given !== undefined;
  const same = opened && (mode === "text" ? draft.text === given : draft.counted === given || JSON.stringify(draft.where) === JSON.stringify(tree));
  const changed = (opened ? !same : draft.asked) || name !== (segment?.name ?? "") || description !== (segment?.description ?? "");
  useBlocker({
    shouldBlockFn: () => !done.current && opened && changed && !window.confirm("Leave without saving the changed condition?"),
    enableBeforeUnload: () => !done.current && opened && changed,
  });
  const what = keep();
  useEffect(() => {
    if (opened || done.current) return;
    if (draft.asked || draft.gaps > 0) localStorage.setItem(DRAFT, what);
    else localStorage.removeItem(DRAFT);
  }, [opened, what, draft.asked, draft.gaps]);
  const write = (text: string) => {
    draft.write(text);
    setRefusal(null);
  };
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const body = { name: name.trim(), description: description.trim(), where: draft.where };
      const saved = segment
        ? await call<Segment | undefined>(`/segments/${segment.id}`, { method: "PUT", body: { id: segment.id, ...body } })
        : await call<Segment | undefined>("/segments", { method: "POST", body });
      done.current = true;
      if (!opened) localStorage.removeItem(DRAFT);
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
    const { from, to } = placeOf(draft.text, finding);
    const old = draft.text.slice(from, to);
    const better = finding.nearest ?? old;
    write(draft.text.slice(0, from) + (old.startsWith('"') && !better.startsWith('"') ? `"${better}"` : better) + draft.text.slice(to));
  };
  const example = (text: string) => void draft.start(text).catch((error: unknown) => setRefusal(error instanceof Error ? error : new Error("The server cannot be reached.")));
  const hint = !draft.asked && draft.gaps === 0
    ? "Say who belongs, and here you see how many people it holds and who they are, before anything is saved."
    : draft.gaps > 0
      ? "The condition is counted when its parts are complete."
      : findings.length > 0 ? "The condition has to be put right before it can be counted." : "Counting follows when you pause.";
  const cannot = !name.trim() ? "It needs a name" : !good ? "It needs a condition that is understood" : segment && !changed ? "Nothing has changed" : undefined;
  return (
    <>
      <Head title={segment ? `Edit ${segment.name}` : "New segment"} back={segment ? { to: `/segments/${segment.id}`, label: segment.name } : { to: "/segments", label: "Segments" }} line="Say who belongs. The right side shows what that means for real people.">
        {!opened && (draft.asked || draft.gaps > 0) && <span className="muted small saved">Draft kept in this browser</span>}
        <Button onClick={() => void save()} loading={saving} disabled={cannot !== undefined} title={cannot}>Save segment</Button>
      </Head>
      {saving && <Filling />}
      {refusal && refused.length === 0 && <Trouble error={refusal} title="The segment could not be saved" retry={() => void save()} />}
      <div className="side">
        <div style={{ minWidth: 0 }}>
          <div className="pairform" style={{ marginBottom: 20 }}>
            <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} placeholder="Looked at shoes, did not buy" />
            <Textarea label="What it is for" value={description} onChange={(event) => setDescription(event.currentTarget.value)} autosize minRows={1} />
          </div>
          <div className="edithead">
            <h2>Condition</h2>
            <SegmentedControl size="xs" aria-label="How the condition is edited" value={mode} onChange={(value) => void draft.choose(value as Mode)} data={[{ value: "builder", label: "Builder" }, { value: "text", label: "Text" }]} />
          </div>
          {draft.switching && <p className="notice warn small" role="status">{draft.switching}</p>}
          <Suspense fallback={<Waiting lines={6} />}>
            {mode === "builder"
              ? <Builder root={draft.root} set={(root, of) => { draft.change(root, of); setRefusal(null); }} vocabulary={vocabulary} faults={draft.faults} undo={draft.undo} redo={draft.redo} />
              : <Code language="condition" label="Condition" value={draft.text} change={write} findings={findings} vocabulary={vocabulary} hint={'did "Product Viewed" in last 30 days'} run={() => void (name.trim() && good && save())} />}
          </Suspense>
          <div aria-live="polite" className="verdict">
            {mode === "text" && findings.map((finding, index) => (
              <div key={index} className="mistake" data-testid="finding">
                {Boolean(finding.line) && <strong className="num">Line {finding.line}, column {finding.column}: </strong>}{finding.message}
                {finding.nearest && !finding.message.includes("expected") && <> <button type="button" className="plainbutton link" onClick={() => fix(finding)}>Use “{finding.nearest}”</button></>}
                {finding.expected && finding.expected.length > 0 && <div className="muted small">Expected {finding.expected.slice(0, 8).join(", ")}</div>}
              </div>
            ))}
            {check.error && findings.length === 0 && <Trouble error={check.error} title="The condition could not be checked" retry={() => void check.refetch()} />}
            {good && findings.length === 0 && <p className="sentence" data-testid="sentence"><span className="good">Understood.</span> {check.data?.sentence}</p>}
            {good && (check.data?.warnings ?? []).map((warning, index) => <div key={index} className="warn">{warning.message}</div>)}
          </div>
          <Section title="Examples" note="to start from">
            <ul className="rows">
              {EXAMPLES.map(([label, text]) => (
                <li key={label}><span className="example">{label}</span><span className="mono muted ellipsis wide small">{text.replace(/\s+/g, " ")}</span><span className="end"><button type="button" className="plainbutton link small" onClick={() => example(text)} aria-label={`Use the example: ${label}`}>Use</button></span></li>
              ))}
            </ul>
          </Section>
        </div>
        <aside aria-label="Preview">
          <Reach where={draft.counted} hint={hint}>
            {(preview) => segment && <Difference before={segment.count} after={preview.count} same={same} />}
          </Reach>
        </aside>
      </div>
    </>
  );
}
