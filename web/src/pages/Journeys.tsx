/** Journeys: who goes which way, how many are where. */
import { Button, Skeleton, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { call, useGet, useListing, type Entry, type Journey, type JourneyRow } from "../api";
import { count, share, words } from "../format";
import { A, Empty, Figure, Figures, Head, List, Loaded, pageOf, Section, Status, When } from "../parts/parts";

const Canvas = lazy(() => import("../editors/Canvas"));

export function Journeys() {
  const list = useListing<JourneyRow>("/journeys", {}, 5000);
  return (
    <>
      <Head title="Journeys" line="Paths that people take one by one: an event or a segment lets them in, steps wait, ask and send." />
      <List
        list={list}
        label="Journeys"
        id={(row) => row.id}
        columns={[
          { title: "Journey", render: (row) => <><A to={`/journeys/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description}</div></> },
          { title: "State", stack: true, render: (row) => <Status of={row.status} /> },
          { title: "Entered", right: true, wide: true, render: (row) => count(row.entered) },
          { title: "Under way", right: true, render: (row) => <strong style={{ fontWeight: 570 }}>{count(row.active)}</strong> },
          { title: "Completed", right: true, wide: true, render: (row) => count(row.completed) },
          { title: "Messages", right: true, wide: true, render: (row) => count(row.messages) },
        ]}
        empty={<Empty title="No journey yet" example={`POST /api/journeys\n{"id":"welcome","trigger":{"event":"Signed Up"},"nodes":{…}}`}>A journey begins with a trigger, for instance an event. Write it as JSON and send it to the API; here you see people move through it.</Empty>}
      />
    </>
  );
}

export function JourneyPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const journey = useGet<Journey>(`/journeys/${id}`, 5000);
  return <Loaded query={journey} lines={12}>{(data) => <Body journey={data} />}</Loaded>;
}

function Body({ journey }: { journey: Journey }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const running = journey.status === "live";
  const turn = async () => {
    setBusy(true);
    try {
      await call(`/journeys/${journey.id}/${running ? "pause" : "resume"}`, { method: "POST", body: {} });
      await client.invalidateQueries();
      notifications.show({ message: running ? "Paused. Nobody enters or moves until it is resumed." : "Resumed. People go on where they stood." });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "This did not work" });
    } finally {
      setBusy(false);
    }
  };
  const exits = Object.entries(journey.exits ?? {});
  return (
    <>
      <Head title={journey.name} back={{ to: "/journeys", label: "Journeys" }} status={<Status of={journey.status} />} line={journey.description}>
        {journey.status !== "draft" && <Button variant="default" loading={busy} onClick={() => void turn()}>{running ? "Pause" : "Resume"}</Button>}
      </Head>
      <Figures>
        <Figure name="Entered" value={journey.entered} />
        <Figure name="Under way" value={journey.active} />
        <Figure name="Completed" value={journey.completed} note={`${share(journey.completed, journey.entered)} of those who entered`} />
        <Figure name="Left early" value={journey.exited} note={exits.length ? exits.map(([reason, number]) => `${words(reason).toLowerCase()} ${count(number)}`).join(", ") : undefined} />
        <Figure name="Messages" value={journey.messages} to="/messages" search={{ journey: journey.id }} />
      </Figures>
      <Tabs defaultValue="path">
        <Tabs.List mb={16}>
          <Tabs.Tab value="path">Path</Tabs.Tab>
          <Tabs.Tab value="steps">Steps as a table</Tabs.Tab>
          <Tabs.Tab value="entries">People</Tabs.Tab>
          <Tabs.Tab value="definition">Definition</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="path"><Suspense fallback={<div aria-busy="true" aria-label="Loading the path"><Skeleton height={560} radius={8} className="canvas" /></div>}><Canvas journey={journey} /></Suspense></Tabs.Panel>
        <Tabs.Panel value="steps">
          <List
            list={pageOf(Object.entries(journey.definition.nodes ?? {}))}
            label="Steps"
            id={([id]) => id}
            columns={[
              { title: "Step", render: ([id]) => words(id) },
              { title: "Kind", stack: true, render: ([, node]) => <span className="muted">{words(String(node.type ?? ""))}</span> },
              { title: "Here now", right: true, render: ([id]) => count(journey.counts?.[id]?.waiting) },
              { title: "Went through", right: true, render: ([id]) => count(journey.counts?.[id]?.passed) },
            ]}
            empty={<Empty title="No step yet">The definition names no nodes, so nobody can go anywhere. Steps stand under “nodes” in the definition.</Empty>}
          />
        </Tabs.Panel>
        <Tabs.Panel value="entries"><Entries id={journey.id} /></Tabs.Panel>
        <Tabs.Panel value="definition"><Section title="As stored"><pre className="code" tabIndex={0} style={{ marginTop: 12, maxHeight: 560 }}>{JSON.stringify(journey.definition, null, 2)}</pre></Section></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Entries({ id }: { id: string }) {
  const list = useListing<Entry>(`/journeys/${id}/entries`, {}, 5000);
  return (
    <List
      list={list}
      label="People in this journey"
      id={(row) => row.entry_id}
      columns={[
        { title: "Profile", render: (row) => <A to={`/profiles/${row.profile_id}`} className="main">{row.display}</A> },
        { title: "Where", stack: true, render: (row) => row.exited_at ? <span className="muted">{words(row.exit_reason)}</span> : <Status of="active" label={words(row.node)} /> },
        { title: "Goes on", wide: true, render: (row) => <When at={row.exited_at ? null : row.due_at} /> },
        { title: "Entered", right: true, render: (row) => <When at={row.entered_at} /> },
      ]}
      empty={<Empty title="Nobody has entered yet">The first person enters with the next event or segment change that matches the trigger.</Empty>}
    />
  );
}
