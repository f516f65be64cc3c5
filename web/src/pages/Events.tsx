/** Events, live: what came in, what was refused and why. */
import { Button, Select, Tabs } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useRef, useState } from "react";
import { useGet, useListing, type EventRow, type Listing, type Reason } from "../api";
import { clock, count } from "../format";
import { useLiveEvents } from "../live";
import { A, Empty, Head, List, Status, Trouble, Waiting, When } from "../parts/parts";

const KEPT = 300;

export function Events() {
  return (
    <>
      <Head title="Events" line="Everything that arrives, the moment it arrives, with what was done about it." />
      <Tabs defaultValue="live">
        <Tabs.List mb={16}><Tabs.Tab value="live">Live</Tabs.Tab><Tabs.Tab value="names">Names</Tabs.Tab><Tabs.Tab value="quarantine">Quarantine</Tabs.Tab></Tabs.List>
        <Tabs.Panel value="live"><Live /></Tabs.Panel>
        <Tabs.Panel value="names"><Names /></Tabs.Panel>
        <Tabs.Panel value="quarantine"><Quarantine /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Live() {
  const search = useSearch({ strict: false }) as { name?: string; outcome?: string };
  const navigate = useNavigate();
  const [paused, setPaused] = useState(false);
  const [fresh, setFresh] = useState<EventRow[]>([]);
  const [held, setHeld] = useState(0);
  const [open, setOpen] = useState<string | null>(null);
  const stopped = useRef(false);
  const stored = useListing<EventRow>("/events", { name: search.name, outcome: search.outcome });
  const names = useGet<Listing<{ name: string }>>("/events/names");
  const { name, outcome } = search;
  const listener = useCallback(
    (row: EventRow) => {
      if ((name && row.name !== name) || (outcome && row.outcome !== outcome)) return;
      if (stopped.current) setHeld((number) => number + 1);
      else setFresh((rows) => [row, ...rows].slice(0, KEPT));
    },
    [name, outcome],
  );
  useLiveEvents(listener);
  const rows = useMemo(() => {
    const seen = new Set<string>();
    return [...fresh, ...stored.rows].filter((row) => {
      const key = `${row.message_id}${row.outcome}`;
      return !seen.has(key) && (!name || row.name === name) && (!outcome || row.outcome === outcome) && seen.add(key);
    }).slice(0, KEPT);
  }, [fresh, stored.rows, name, outcome]);
  const filter = (change: Record<string, string | undefined>) => void navigate({ to: "/events" as never, search: { name, outcome, ...change } as never, replace: true });
  return (
    <>
      <div className="filters">
        <Button variant="default" leftSection={paused ? <IconPlayerPlay size={16} aria-hidden /> : <IconPlayerPause size={16} aria-hidden />} aria-pressed={paused} onClick={() => { stopped.current = !paused; setPaused(!paused); setHeld(0); if (paused) void stored.refetch(); }}>{paused ? "Go on" : "Pause"}</Button>
        <Select aria-label="Outcome" placeholder="Any outcome" clearable clearButtonProps={{ "aria-label": "Any outcome" }} value={outcome ?? null} data={[{ value: "accepted", label: "Accepted" }, { value: "duplicate", label: "Duplicate" }, { value: "rejected", label: "Rejected" }]} onChange={(value) => filter({ outcome: value ?? undefined })} w={150} />
        <Select aria-label="Event name" placeholder="Any event" searchable clearable clearButtonProps={{ "aria-label": "Any event" }} value={name ?? null} data={[...new Set([...(names.data?.items ?? []).map((one) => one.name), ...(name ? [name] : [])])]} onChange={(value) => filter({ name: value ?? undefined })} w={220} />
        <span className="end" aria-live="polite">{paused ? `Paused, ${count(held)} came in since` : "Live"}</span>
      </div>
      {stored.data === undefined && (stored.error ? <Trouble error={stored.error} retry={() => void stored.refetch()} /> : <Waiting lines={10} />)}
      {stored.data !== undefined && rows.length === 0 && (name || outcome
        ? <Empty title="Nothing matches yet" action={<Button variant="default" onClick={() => filter({ name: undefined, outcome: undefined })}>Show all events</Button>}>No stored event has this name and outcome. A new one shows here within a second.</Empty>
        : <Empty title="No event yet" action={<A to="/settings" search={{ tab: "keys" }} className="link">Create a write key</A>} example={`curl ${window.location.origin}/v1/track -u WRITE_KEY: \\\n  -H 'content-type: application/json' \\\n  -d '{"userId":"u-1","event":"Product Viewed"}'`}>Send an event and it shows here within a second, whether it is taken or refused.</Empty>)}
      {rows.map((row) => {
        const key = `${row.message_id}${row.outcome}`;
        return (
          <div key={key}>
            <button type="button" className="live-row" aria-expanded={open === key} onClick={() => setOpen(open === key ? null : key)}>
              <span className="time muted mono">{clock(row.received_at ?? row.at)}</span>
              <span className="state"><Status of={row.outcome} /></span>
              <span className="name ellipsis" style={{ fontWeight: 540 }}>{row.name ?? row.call}</span>
              <span className="who muted ellipsis">{row.who ?? "–"}</span>
              <span className="wide muted small ellipsis">{row.reasons?.length ? <span className="bad">{row.reasons.map((reason) => reason.message).join("; ")}</span> : <span className="mono">{summary(row.properties)}</span>}</span>
            </button>
            {open === key && <Detail row={row} />}
          </div>
        );
      })}
    </>
  );
}

function summary(properties: Record<string, unknown> | undefined): string {
  return Object.entries(properties ?? {}).slice(0, 4).map(([key, value]) => `${key}=${typeof value === "object" ? "…" : String(value)}`).join("  ");
}

function Detail({ row }: { row: EventRow }) {
  return (
    <div style={{ padding: "8px 0 16px" }}>
      {(row.reasons ?? []).map((reason, index) => <div key={index} className="notice bad">{reason.message}{reason.path && <span className="mono"> ({reason.path})</span>}</div>)}
      <p className="muted small" style={{ marginBottom: 8 }}>{row.call}, message <span className="mono">{row.message_id}</span>{row.position !== undefined && <>, position {row.position}</>}, happened <When at={row.at} />{row.profile_id !== null && <>. <A to={`/profiles/${row.profile_id}`} className="link">Open the profile</A></>}</p>
      <pre className="code" tabIndex={0}>{JSON.stringify({ properties: row.properties ?? {}, context: row.context ?? {} }, null, 2)}</pre>
    </div>
  );
}

function Names() {
  const list = useListing<{ name: string; count: number; last_at: string }>("/events/names");
  return (
    <List list={list} label="Event names" id={(row) => row.name} columns={[
      { title: "Event", render: (row) => <A to="/events" search={{ name: row.name }} className="main">{row.name}</A> },
      { title: "Last", stack: true, render: (row) => <When at={row.last_at} /> },
      { title: "Count", right: true, render: (row) => count(row.count) },
    ]} empty={<Empty title="No event has a name yet">Names come with track calls.</Empty>} />
  );
}

function Quarantine() {
  const list = useListing<{ id: string; received_at: string; source: string; reasons: Reason[]; body: string }>("/quarantine");
  return (
    <List list={list} label="Quarantine" id={(row) => row.id} columns={[
      { title: "Reason", render: (row) => <span className="wrap">{(row.reasons ?? []).map((reason) => reason.message).join("; ")}</span> },
      { title: "Body", wide: true, render: (row) => <code className="mono muted wrap small">{(row.body ?? "").slice(0, 160)}</code> },
      { title: "Source", wide: true, render: (row) => row.source },
      { title: "Received", right: true, render: (row) => <When at={row.received_at} /> },
    ]} empty={<Empty title="Nothing is in quarantine">An event that cannot be taken is kept here with the reason, so that nothing is lost silently.</Empty>} />
  );
}
