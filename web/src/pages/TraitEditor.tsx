/** Building a trait: the figure at the left, its values for real people at the right, live. */
import { Button, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useBlocker, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useRef, useState } from "react";
import { call, Problem, useGet, type FigureCheck, type FigurePreview, type Finding, type Trait, type Vocabulary } from "../api";
import { placeOf } from "../editors/condition";
import { count } from "../format";
import { A, Avatar, Head, Loaded, Section, Trouble, Waiting } from "../parts/parts";
import { SpreadList, worth } from "../parts/Spread";

const Code = lazy(() => import("../editors/Code"));
const EXAMPLES = [
  ["Spent in 90 days", "spent_90_days", 'sum(revenue) of "Order Completed" in last 90 days'],
  ["Favourite category", "favourite_category", 'top(category) of "Product Viewed" in last 6 months'],
  ["Days since an order", "days_since_order", 'days since last "Order Completed"'],
  ["Weeks with a click", "weeks_engaged", 'weeks with "Email Link Clicked" in last 6 months'],
  ["A score that fades", "mail_score", 'score(3 * "Email Link Clicked" + 1 * "Email Opened", half-life 14 days)'],
] as const;
const NONE: Finding[] = [];

export function NewTrait() {
  return <Editor key="new" />;
}

export function EditTrait() {
  const { id } = useParams({ strict: false }) as { id: string };
  const found = useGet<Trait>(`/traits/${id}`);
  return <Loaded query={found}>{(data) => <Editor key={id} found={data} />}</Loaded>;
}

function Editor({ found }: { found?: Trait }) {
  const [name, setName] = useState(found?.name ?? "");
  const [description, setDescription] = useState(found?.description ?? "");
  const [figure, setFigure] = useState(found?.figure ?? "");
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<Problem | Error | null>(null);
  const [settled] = useDebouncedValue(figure, 250);
  const done = useRef(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const vocabulary = useGet<Vocabulary>("/segments/vocabulary");
  const asked = settled.trim() !== "";
  const check = useQuery<FigureCheck, Error>({
    queryKey: ["check-figure", settled],
    queryFn: ({ signal }) => call<FigureCheck>("/traits/check", { method: "POST", body: { figure: settled }, signal }),
    enabled: asked,
  });
  const good = asked && check.data?.ok === true;
  const preview = useQuery<FigurePreview, Error>({
    queryKey: ["preview-figure", settled],
    queryFn: ({ signal }) => call<FigurePreview>("/traits/preview", { method: "POST", body: { figure: settled }, signal }),
    enabled: good,
    placeholderData: keepPreviousData,
  });
  const errors = refusal instanceof Problem ? refusal.errors : NONE;
  const misnamed = errors.find((one) => one.path === "/name");
  const refused = errors.filter((one) => one.path !== "/name");
  const findings = refused.length > 0 ? refused : settled === figure ? (check.data?.errors ?? NONE) : NONE;
  const changed = figure !== (found?.figure ?? "") || name !== (found?.name ?? "") || description !== (found?.description ?? "");
  useBlocker({
    shouldBlockFn: () => !done.current && changed && !window.confirm("Leave without saving the trait?"),
    enableBeforeUnload: () => !done.current && changed,
  });
  const write = (text: string) => {
    setFigure(text);
    setRefusal(null);
  };
  const save = async () => {
    setSaving(true);
    setRefusal(null);
    try {
      const body = { name: name.trim(), description: description.trim(), figure };
      await (found ? call(`/traits/${found.id}`, { method: "PUT", body }) : call("/traits", { method: "POST", body }));
      done.current = true;
      await client.invalidateQueries();
      notifications.show({ message: `${body.name} is saved. It was filled from history and stays true from now on.`, closeButtonProps: { "aria-label": "Close" } });
      void navigate({ to: `/traits/${body.name}` as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("Saving failed"));
    } finally {
      setSaving(false);
    }
  };
  const fix = (finding: Finding) => {
    const { from, to } = placeOf(figure, finding);
    const old = figure.slice(from, to);
    const better = finding.nearest ?? old;
    write(figure.slice(0, from) + (old.startsWith('"') && !better.startsWith('"') ? `"${better}"` : better) + figure.slice(to));
  };
  const take = (call_it: string, text: string) => {
    write(text);
    if (!found && !name) setName(call_it);
  };
  return (
    <>
      <Head title={found ? `Edit ${found.name}` : "New trait"} back={found ? { to: `/traits/${found.id}`, label: found.name } : { to: "/traits", label: "Traits" }} line="Write what is computed of each person. The right side shows the values it has for real people.">
        <Button onClick={() => void save()} loading={saving} disabled={!name.trim() || !good || !changed} title={!name.trim() ? "It needs a name" : !good ? "It needs a figure that is understood" : !changed ? "Nothing has changed" : undefined}>Save trait</Button>
      </Head>
      {refusal && errors.length === 0 && <Trouble error={refusal} title="The trait could not be saved" retry={() => void save()} />}
      <div className="side">
        <div>
          <TextInput label="Name" required value={name} disabled={Boolean(found)} onChange={(event) => { setName(event.currentTarget.value); setRefusal(null); }} error={misnamed?.message} description="Small letters, digits and underscores: what conditions and templates call it" placeholder="spent_90_days" mb={16} />
          <Textarea label="What it is for" value={description} onChange={(event) => setDescription(event.currentTarget.value)} autosize minRows={1} mb={16} />
          <div style={{ fontWeight: 500, marginBottom: 4 }}>Figure</div>
          <Suspense fallback={<Waiting lines={4} />}>
            <Code language="condition" label="Figure" value={figure} change={write} findings={findings} vocabulary={vocabulary.data} hint={'sum(revenue) of "Order Completed" in last 90 days'} height={96} run={() => void (name.trim() && good && save())} />
          </Suspense>
          <div aria-live="polite" className="verdict">
            {findings.map((finding, index) => (
              <div key={index} className="mistake" data-testid="finding">
                {finding.line ? <strong className="num">Line {finding.line}, column {finding.column}: </strong> : null}{finding.message}
                {finding.nearest && <> <button type="button" className="plainbutton link" onClick={() => fix(finding)}>Use “{finding.nearest}”</button></>}
                {finding.expected && finding.expected.length > 0 && <div className="muted small">Expected {finding.expected.slice(0, 8).join(", ")}</div>}
              </div>
            ))}
            {check.error && findings.length === 0 && <Trouble error={check.error} title="The figure could not be checked" retry={() => void check.refetch()} />}
            {good && findings.length === 0 && <div><span className="good">Understood.</span> <span className="muted">{check.data?.sentence}</span></div>}
          </div>
          <Section title="Examples" note="to start from">
            <ul className="rows">
              {EXAMPLES.map(([label, called, text]) => (
                <li key={label}><span className="example">{label}</span><span className="mono muted ellipsis wide small">{text}</span><span className="end"><button type="button" className="plainbutton link small" onClick={() => take(called, text)} aria-label={`Use the example: ${label}`}>Use</button></span></li>
              ))}
            </ul>
          </Section>
        </div>
        <aside aria-label="Preview">
          <Section title="Its values" note={good && preview.data ? `of ${count(preview.data.count + preview.data.missing)} profiles` : undefined}>
            {!asked && <p className="muted" style={{ padding: "12px 0" }}>Write a figure, and here you see how its values are spread and who has the highest, before anything is saved.</p>}
            {asked && findings.length > 0 && <p className="muted" style={{ padding: "12px 0" }}>The figure has to be put right before it can be computed.</p>}
            {good && preview.error && <Trouble error={preview.error} retry={() => void preview.refetch()} />}
            {good && !preview.error && !preview.data && <Waiting lines={5} />}
            {good && preview.data && (
              <div style={{ opacity: preview.isPlaceholderData ? 0.5 : 1 }} data-testid="preview">
                <p className="muted small" style={{ padding: "8px 0" }}>{preview.data.count === 0 ? "Nobody has a value." : <>From {worth(preview.data.min)} to {worth(preview.data.max)}, in the middle <strong className="num">{worth(preview.data.median)}</strong></>}</p>
                <SpreadList spread={preview.data} />
                {preview.data.sample.length > 0 && <p className="muted small" style={{ marginTop: 16 }}>{preview.data.min === null ? "Some of them" : "The highest"}</p>}
                <ul className="rows">
                  {preview.data.sample.slice(0, 8).map((one) => <li key={one.id}><div className="person"><Avatar name={one.display} /><A to={`/profiles/${one.id}`} className="main ellipsis">{one.display}</A></div><span className="end ellipsis">{worth(one.value)}</span></li>)}
                </ul>
              </div>
            )}
          </Section>
        </aside>
      </div>
    </>
  );
}
