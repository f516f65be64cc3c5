/** Messages: each mail with the decisions that led to it, also those that were not sent. */
import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useGet, useListing, type JourneyRow, type Listing, type MessageRow } from "../api";
import { count, words } from "../format";
import { A, Empty, Head, List, Status, When } from "../parts/parts";

const STATES = ["planned", "accepted", "skipped", "deferred", "rejected", "in_doubt"];

/** The state of a message with its reason: the furthest thing that happened to it. */
export function stateOf(row: Pick<MessageRow, "state" | "reason" | "opened_at" | "clicked_at">) {
  return (
    <span className="stateline">
      <Status of={row.clicked_at ? "clicked" : row.opened_at ? "opened" : row.state} />
      {row.reason && <span className="muted small">{words(row.reason)}</span>}
    </span>
  );
}

export function Messages() {
  const search = useSearch({ strict: false }) as { q?: string; state?: string; journey?: string };
  const navigate = useNavigate();
  const [text, setText] = useState(search.q ?? "");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const { state, journey } = search;
  useEffect(() => {
    if ((search.q ?? "") !== asked) void navigate({ to: "/messages" as never, search: { state, journey, q: asked || undefined } as never, replace: true });
  }, [asked, navigate, state, journey, search.q]);
  const filter = (change: Record<string, string | undefined>) => void navigate({ to: "/messages" as never, search: { q: asked || undefined, state, journey, ...change } as never });
  const clear = () => {
    setText("");
    void navigate({ to: "/messages" as never, search: {} as never });
  };
  const journeys = useGet<Listing<JourneyRow>>("/journeys");
  const list = useListing<MessageRow>("/messages", { q: asked, state, journey }, 5000);
  return (
    <>
      <Head title="Messages" line="Every mail that was planned: sent or held back, with the reasons." />
      <div className="filters">
        <TextInput className="grow" leftSection={<IconSearch size={16} aria-hidden />} placeholder="Recipient or subject" aria-label="Find messages" value={text} onChange={(event) => setText(event.currentTarget.value)} maw={300} />
        <Select aria-label="State" placeholder="Any state" clearable clearButtonProps={{ "aria-label": "Any state" }} value={state ?? null} data={STATES.map((value) => ({ value, label: words(value) }))} onChange={(value) => filter({ state: value ?? undefined })} w={150} />
        <Select aria-label="Journey" placeholder="Any journey" clearable clearButtonProps={{ "aria-label": "Any journey" }} value={journey ?? null} data={[...(journeys.data?.items ?? []).map((one) => ({ value: one.id, label: one.name })), ...(journey && !journeys.data?.items.some((one) => one.id === journey) ? [{ value: journey, label: words(journey) }] : [])]} onChange={(value) => filter({ journey: value ?? undefined })} w={190} />
        {list.total !== null && <span className="end">{count(list.total)} messages</span>}
      </div>
      <List
        list={list}
        label="Messages"
        id={(row) => row.id}
        columns={[
          { title: "Message", render: (row) => <><A to={`/messages/${row.id}`} className="main">{row.subject || (row.state === "skipped" ? "Not composed" : "Not composed yet")}</A><div className="muted small ellipsis">{row.to}</div></> },
          { title: "State", stack: true, render: (row) => stateOf(row) },
          { title: "Journey", wide: true, render: (row) => row.journey_id ? <A to={`/journeys/${row.journey_id}`} className="link">{row.journey_name ?? words(row.journey_id)}</A> : <span className="muted">By API</span> },
          { title: "When", right: true, render: (row) => <When at={row.sent_at ?? row.created_at} /> },
        ]}
        empty={asked || state || journey
          ? <Empty title="No message matches" action={<Button variant="default" onClick={clear}>Show all messages</Button>}>No planned message fits what is asked for above.</Empty>
          : <Empty title="No message yet" action={<A to="/journeys" className="link">Look at the journeys</A>}>A message appears here as soon as a journey or the API plans it, also when a policy then holds it back.</Empty>}
      />
    </>
  );
}
