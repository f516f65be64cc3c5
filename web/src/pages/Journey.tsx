/** One journey: its path with the people in it, who is where, and what it says of itself. */
import { Button, Modal, Select, Skeleton, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { call, useGet, useListing, type Answer, type Entry, type Journey } from "../api";
import { aboutStep, aboutTrigger } from "../editors/graph";
import { count, share, words } from "../format";
import { A, Empty, Figure, Figures, Head, List, Loaded, pageOf, Status, When } from "../parts/parts";
import { CodeBlock } from "../parts/Value";

const Canvas = lazy(() => import("../editors/Canvas"));
const TABS = ["path", "steps", "people", "definition"];

export function JourneyPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const journey = useGet<Journey>(`/journeys/${id}`, 5000);
  return <Loaded query={journey} lines={12}>{(data) => <Body journey={data} />}</Loaded>;
}

function Body({ journey }: { journey: Journey }) {
  const search = useSearch({ strict: false }) as { tab?: string; step?: string; show?: string };
  const navigate = useNavigate();
  const to = `/journeys/${journey.id}`;
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "path";
  const exits = Object.entries(journey.exits ?? {});
  const early = exits.filter(([reason]) => reason !== "completed");
  const completed = exits.length ? (journey.exits?.completed ?? 0) : journey.completed;
  const left = early.reduce((sum, [, number]) => sum + number, 0);
  return (
    <>
      <Head title={journey.name} back={{ to: "/journeys", label: "Journeys" }} status={<Status of={journey.status} />} line={journey.description}>
        {journey.status !== "draft" && <Turn journey={journey} />}
      </Head>
      {journey.status === "paused" && <div className="notice warn">{journey.paused_because ? `Paused by the server. ${journey.paused_because} Nobody enters meanwhile. ` : "Paused: nobody enters. "}{journey.active > 0 ? `${count(journey.active)} ${journey.active === 1 ? "person stands" : "people stand"} where they were and go on when it is resumed.` : "Nobody was under way."}</div>}
      <Figures>
        <Figure name="Entered" value={journey.entered} note={aboutTrigger(journey.definition.trigger).replace(/, once for.*/, "")} to={to} search={{ tab: "people" }} />
        <Figure name="Under way" value={journey.active} note="wait at a step now" to={to} search={{ tab: "people", show: "active" }} />
        <Figure name="Went to the end" value={completed} note={`${share(completed, journey.entered)} of those who entered`} to={to} search={{ tab: "people", show: "completed" }} />
        <Figure name="Left early" value={left} note={early.length ? early.map(([reason, number]) => `${words(reason).toLowerCase()} ${count(number)}`).join(", ") : "nobody so far"} to={to} search={{ tab: "people", show: "early" }} />
        <Figure name="Messages" value={journey.messages} note="planned, sent or held back" to="/messages" search={{ journey: journey.id }} />
      </Figures>
      <Tabs value={tab} onChange={(value) => void navigate({ to: to as never, search: { tab: value === "path" ? undefined : value } as never, replace: true })}>
        <Tabs.List mb={16}>
          <Tabs.Tab value="path">Path</Tabs.Tab>
          <Tabs.Tab value="steps">Steps as a table</Tabs.Tab>
          <Tabs.Tab value="people">People</Tabs.Tab>
          <Tabs.Tab value="definition">Definition</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="path"><Suspense fallback={<div aria-busy="true" aria-label="Loading the path"><Skeleton height={560} radius={8} className="canvas" /></div>}><Canvas journey={journey} open={(step) => void navigate({ to: to as never, search: { tab: "people", step } as never })} /></Suspense></Tabs.Panel>
        <Tabs.Panel value="steps"><Steps journey={journey} /></Tabs.Panel>
        <Tabs.Panel value="people"><People journey={journey} step={search.step} show={search.show} /></Tabs.Panel>
        <Tabs.Panel value="definition"><p className="muted" style={{ marginBottom: 12 }}>As stored. A changed definition is sent to <code className="mono">PUT /api/journeys/{journey.id}</code>; people under way keep the version they entered with.</p><CodeBlock text={JSON.stringify(journey.definition, null, 2)} label="The definition" /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Turn({ journey }: { journey: Journey }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const running = journey.status === "live";
  const turn = async () => {
    setBusy(true);
    try {
      await call(`/journeys/${journey.id}/${running ? "pause" : "resume"}`, { method: "POST", body: {} });
      await client.invalidateQueries();
      notifications.show({ message: running ? `“${journey.name}” is paused.` : `“${journey.name}” is live again.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "This did not work" });
    } finally {
      setAsking(false);
      setBusy(false);
    }
  };
  const people = `${count(journey.active)} ${journey.active === 1 ? "person" : "people"}`;
  return (
    <>
      <Button variant="default" leftSection={running ? <IconPlayerPause size={16} aria-hidden /> : <IconPlayerPlay size={16} aria-hidden />} onClick={() => setAsking(true)}>{running ? "Pause" : "Resume"}</Button>
      <Modal opened={asking} onClose={() => setAsking(false)} title={running ? "Pause this journey" : "Resume this journey"} closeButtonProps={{ "aria-label": "Close" }}>
        <p>{running
          ? `${people} under way stay where they are, and nobody new enters. Mail that is planned but not yet handed over is held, and goes out after the resume.`
          : `${people} go on where they stood; whoever waited longer than a step asks goes on at once. New people enter from now on; those who came by while it was paused are not caught up.`}</p>
        <div style={{ display: "flex", gap: 8, marginTop: 16 }}>
          <Button loading={busy} onClick={() => void turn()} data-autofocus>{running ? "Pause it" : "Resume it"}</Button>
          <Button variant="default" onClick={() => setAsking(false)}>{running ? "Keep it running" : "Leave it paused"}</Button>
        </div>
      </Modal>
    </>
  );
}

/** Steps in the order people meet them. */
function inOrder(journey: Journey): [string, Record<string, unknown>][] {
  const nodes = journey.definition.nodes ?? {};
  const seen = new Set<string>();
  const queue = [journey.definition.start ?? "", ...Object.keys(nodes)];
  while (queue.length > 0) {
    const id = queue.shift() ?? "";
    const node = nodes[id];
    if (!node || seen.has(id)) continue;
    seen.add(id);
    const next = Object.values(node).filter((value): value is string => typeof value === "string" && Object.hasOwn(nodes, value) && value !== id);
    queue.unshift(...next);
  }
  return [...seen].map((id) => [id, nodes[id] ?? {}]);
}

function Steps({ journey }: { journey: Journey }) {
  return (
    <List
      list={pageOf(inOrder(journey))}
      label="Steps"
      id={([id]) => id}
      columns={[
        { title: "Step", render: ([id, node]) => <><div className="main">{aboutStep(id, node)}</div><div className="muted small">{words(String(node.type ?? ""))} “{id}”</div></> },
        { title: "Here now", right: true, render: ([id]) => { const here = journey.counts?.[id]?.waiting ?? 0; return here > 0 ? <A to={`/journeys/${journey.id}`} search={{ tab: "people", step: id }} className="open">{count(here)}</A> : <span className="muted">0</span>; } },
        { title: "Went through", right: true, render: ([id, node]) => node.type === "send" ? <A to="/messages" search={{ journey: journey.id }} className="open">{count(journey.counts?.[id]?.passed)}</A> : count(journey.counts?.[id]?.passed) },
      ]}
      empty={<Empty title="No step yet">The definition names no nodes, so nobody can go anywhere. Steps stand under “nodes” in the definition.</Empty>}
    />
  );
}

const named = new Map<number, string>();

/** The names of profiles that a list gives by number only; what was read once is kept. */
function useNames(rows: Entry[]): Map<number, string> {
  const ids = [...new Set(rows.filter((row) => row.display === `Profile ${row.profile_id}` && !named.has(row.profile_id)).map((row) => row.profile_id))].filter(Number.isSafeInteger).sort((a, b) => a - b).slice(0, 500);
  useQuery<number, Error>({
    queryKey: ["names", ids],
    queryFn: async ({ signal }) => {
      const answer = await call<Answer>("/query", { method: "POST", body: { sql: `select id, coalesce(name, email, user_id) from profiles where id in (${ids.join(", ")})` }, signal });
      for (const [id, name] of answer.rows) if (name) named.set(Number(id), String(name));
      return named.size;
    },
    enabled: ids.length > 0,
    staleTime: 60_000,
  });
  return named;
}

const SHOW = [{ value: "active", label: "Under way" }, { value: "completed", label: "Went to the end" }, { value: "early", label: "Left early" }];

function People({ journey, step, show }: { journey: Journey; step?: string; show?: string }) {
  const navigate = useNavigate();
  const to = `/journeys/${journey.id}`;
  const list = useListing<Entry>(`${to}/entries`, { limit: 500 }, 5000);
  const names = useNames(list.rows);
  const fits = (row: Entry) => (!step || (row.node === step && !row.exited_at)) && (!show || (show === "active" ? !row.exited_at : Boolean(row.exited_at) && (show === "completed") === (row.exit_reason === "completed")));
  const rows = list.rows.filter(fits);
  const filter = (change: { step?: string; show?: string }) => void navigate({ to: to as never, search: { tab: "people", step, show, ...change } as never, replace: true });
  return (
    <>
      <div className="filters">
        <Select aria-label="Show" placeholder="Everybody" clearable clearButtonProps={{ "aria-label": "Everybody" }} value={show ?? null} data={SHOW} onChange={(value) => filter({ show: value ?? undefined })} w={170} />
        <Select aria-label="At step" placeholder="Any step" clearable clearButtonProps={{ "aria-label": "Any step" }} value={step ?? null} data={inOrder(journey).map(([id, node]) => ({ value: id, label: aboutStep(id, node) }))} onChange={(value) => filter({ step: value ?? undefined })} w={230} />
        {list.data !== undefined && <span className="end">{step || show ? `${count(rows.length)} of the latest ${count(list.rows.length)}` : `the latest ${count(list.rows.length)}`} entries</span>}
      </div>
      <List
        list={{ ...list, rows }}
        label="People in this journey"
        id={(row) => row.entry_id}
        columns={[
          { title: "Profile", render: (row) => <A to={`/profiles/${row.profile_id}`} className="main">{names.get(row.profile_id) ?? row.display}</A> },
          { title: "Where", stack: true, render: (row) => row.exited_at ? <span className="muted">{row.exit_reason === "completed" ? "Went to the end" : `Left: ${words(row.exit_reason).toLowerCase()}`}</span> : <Status of="active" label={aboutStep(row.node, journey.definition.nodes[row.node] ?? {})} /> },
          { title: "Goes on", wide: true, render: (row) => row.exited_at ? <span className="muted">–</span> : <When at={row.due_at} /> },
          { title: "Entered", right: true, render: (row) => <When at={row.entered_at} /> },
        ]}
        empty={step || show ? <Empty title="Nobody fits now" action={<Button variant="default" onClick={() => filter({ step: undefined, show: undefined })}>Show everybody</Button>}>Among the latest entries nobody is where you look.</Empty> : <Empty title="Nobody has entered yet">The first person enters with the next event or segment change that matches the trigger.</Empty>}
      />
    </>
  );
}
