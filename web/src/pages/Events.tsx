/** Events, live: what came in, what was refused and why. */
import { Button, Select, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconAlertTriangle, IconPlayerPause, IconPlayerPlay, IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useGet, useListing, type EventRow, type Listing, type Reason } from "../api";
import { brief, clock, count, words } from "../format";
import { useLiveEvents } from "../live";
import { A, Empty, Head, List, Status, Trouble, Waiting, When } from "../parts/parts";
import { Copy, Pairs } from "../parts/Value";

const KEPT = 300;
const TABS = ["live", "names", "quarantine"];

export function Events() {
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "live";
  return (
    <>
      <Head title="Events" line="Everything that arrives, the moment it arrives, with what was done about it." />
      <Tabs value={tab} onChange={(value) => void navigate({ to: "/events" as never, search: { tab: value === "live" ? undefined : value } as never, replace: true })}>
        <Tabs.List mb={16}><Tabs.Tab value="live">Live</Tabs.Tab><Tabs.Tab value="names">Names</Tabs.Tab><Tabs.Tab value="quarantine">Quarantine</Tabs.Tab></Tabs.List>
        <Tabs.Panel value="live"><Live /></Tabs.Panel>
        <Tabs.Panel value="names"><Names /></Tabs.Panel>
        <Tabs.Panel value="quarantine"><Quarantine /></Tabs.Panel>
      </Tabs>
    </>
  );
}

/** Whether a row has the words in its name, its person, its properties or the reason it was refused. */
function holds(row: EventRow, needle: string): boolean {
  if (!needle) return true;
  const reasons = (row.reasons ?? []).map((reason) => reason.message).join(" ");
  return `${row.name ?? row.call} ${row.who ?? ""} ${row.message_id} ${reasons} ${JSON.stringify(row.properties ?? {})}`.toLowerCase().includes(needle);
}

interface Refused {
  id: string | number;
  received_at: string;
  source: string;
  reasons: Reason[];
  body: string;
}

/** An event in quarantine as a row of the live list; what its body says of itself, as far as it can be read. */
function asRow(one: Refused): EventRow {
  let body: Record<string, unknown> = {};
  try {
    const read: unknown = JSON.parse(one.body);
    if (read !== null && typeof read === "object" && !Array.isArray(read)) body = read as Record<string, unknown>;
  } catch {
    // What is not JSON stays a text below.
  }
  const text = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : null);
  const { properties, traits } = body;
  const shown = [properties, traits].find((value) => value !== null && typeof value === "object");
  return { sequence: 0, context: {}, message_id: text("messageId") ?? "", at: text("timestamp") ?? one.received_at, received_at: one.received_at, call: text("type") ?? "unreadable", name: text("event") ?? "", profile_id: null, who: text("userId") ?? text("anonymousId") ?? "", properties: (shown as Record<string, unknown> | undefined) ?? (Object.keys(body).length > 0 ? body : { body: one.body }), outcome: "rejected", reasons: one.reasons };
}

/** What tells rows apart; a refused event may have no message id. */
function keyOf(row: EventRow): string {
  return row.outcome === "rejected" ? `rejected ${row.received_at ?? row.at} ${row.message_id} ${row.name ?? ""} ${(row.reasons ?? []).map((reason) => reason.code).join(" ")}` : `${row.outcome} ${row.message_id}`;
}

function Live() {
  const search = useSearch({ strict: false }) as { name?: string; outcome?: string; q?: string };
  const navigate = useNavigate();
  const [paused, setPaused] = useState(false);
  const [fresh, setFresh] = useState<EventRow[]>([]);
  const [held, setHeld] = useState<EventRow[]>([]);
  const [open, setOpen] = useState<string | null>(null);
  const [text, setText] = useState(search.q ?? "");
  const [asked] = useDebouncedValue(text.trim(), 150);
  const [pointed, setPointed] = useState(false);
  const stopped = useRef(false);
  const { name, outcome } = search;
  const stored = useListing<EventRow>("/events", { name, outcome, limit: 200 });
  // The latest events are few and pass quickly; what was refused stays in quarantine and is shown from there too.
  const refused = useGet<Listing<Refused>>(outcome === "rejected" ? "/quarantine?limit=100" : null, 5000);
  const names = useGet<Listing<{ name: string }>>("/events/names");
  const needle = asked.toLowerCase();
  const fits = useCallback((row: EventRow) => (!name || row.name === name) && (!outcome || row.outcome === outcome) && holds(row, needle), [name, outcome, needle]);
  const filter = useCallback((change: Record<string, string | undefined>) => void navigate({ to: "/events" as never, search: { name, outcome, q: asked || undefined, ...change } as never, replace: true }), [navigate, name, outcome, asked]);
  useEffect(() => {
    if ((search.q ?? "") !== asked) filter({ q: asked || undefined });
  }, [asked, search.q, filter]);
  useLiveEvents(
    useCallback((row: EventRow) => {
      if (stopped.current) setHeld((rows) => [row, ...rows].slice(0, KEPT));
      else setFresh((rows) => [row, ...rows].slice(0, KEPT));
    }, []),
  );
  const rows = useMemo(() => {
    const seen = new Set<string>();
    return [...fresh, ...stored.rows, ...(refused.data?.items ?? []).map(asRow)].filter((row) => {
      const key = keyOf(row);
      return !seen.has(key) && fits(row) && seen.add(key);
    }).slice(0, KEPT);
  }, [fresh, stored.rows, refused.data, fits]);
  const waiting = held.filter(fits).length;
  const stand = (pause: boolean, point: boolean) => {
    stopped.current = pause || point;
    setPaused(pause);
    setPointed(point);
    if (stopped.current) return;
    setFresh((old) => [...held, ...old].slice(0, KEPT));
    setHeld([]);
  };
  const turn = () => stand(!paused, pointed);
  const clear = () => {
    setText("");
    filter({ name: undefined, outcome: undefined, q: undefined });
  };
  const narrowed = Boolean(name || outcome || asked);
  return (
    <>
      <div className="filters">
        <Button variant="default" leftSection={paused ? <IconPlayerPlay size={16} aria-hidden /> : <IconPlayerPause size={16} aria-hidden />} aria-pressed={paused} onClick={turn}>{paused ? "Go on" : "Pause"}</Button>
        <TextInput className="grow" leftSection={<IconSearch size={16} aria-hidden />} placeholder="Person, property or reason" aria-label="Find in events" value={text} onChange={(event) => setText(event.currentTarget.value)} maw={260} />
        <Select aria-label="Outcome" placeholder="Any outcome" clearable clearButtonProps={{ "aria-label": "Any outcome" }} value={outcome ?? null} data={[{ value: "accepted", label: "Accepted" }, { value: "duplicate", label: "Duplicate" }, { value: "rejected", label: "Rejected" }]} onChange={(value) => filter({ outcome: value ?? undefined })} w={150} />
        <Select aria-label="Event name" placeholder="Any event" searchable clearable clearButtonProps={{ "aria-label": "Any event" }} value={name ?? null} data={[...new Set([...(names.data?.items ?? []).map((one) => one.name), ...(name ? [name] : [])])]} onChange={(value) => filter({ name: value ?? undefined })} w={190} />
        <span className="end livestate"><span className={`dot ${paused || pointed ? "warn" : "good beat"}`} aria-hidden /><span role="status">{paused || pointed ? `${paused ? "Paused" : "Still while you point"}, ${count(waiting)}${held.length === KEPT ? " or more" : ""} came in since` : "Live"}</span></span>
      </div>
      {stored.data === undefined && (stored.error ? <Trouble error={stored.error} retry={() => void stored.refetch()} /> : <Waiting lines={10} />)}
      {stored.data !== undefined && rows.length === 0 && (narrowed
        ? <Empty title={outcome === "rejected" ? "Nothing was refused lately" : outcome === "duplicate" ? "Nothing came twice lately" : "Nothing matches yet"} action={<Button variant="default" onClick={clear}>Show all events</Button>}>{outcome === "rejected" ? <>What is refused shows here with its reason, and stays in <A to="/events" search={{ tab: "quarantine" }} className="link">quarantine</A>.</> : "None of the latest events fits. A new one shows here within a second."}</Empty>
        : <Empty title="No event yet" action={<A to="/settings" search={{ tab: "keys" }} className="link">Create a write key</A>} example={`curl ${window.location.origin}/v1/track -u WRITE_KEY: \\\n  -H 'content-type: application/json' \\\n  -d '{"userId":"u-1","event":"Product Viewed"}'`}>Send an event and it shows here within a second, whether it is taken or refused.</Empty>)}
      <div className="livelist" onPointerEnter={(event) => event.pointerType === "mouse" && stand(paused, true)} onPointerLeave={(event) => event.pointerType === "mouse" && stand(paused, false)}>
        {rows.map((row) => {
          const key = keyOf(row);
          const reason = (row.reasons ?? []).map((one) => one.message).join("; ");
          return (
            <div key={key}>
              <button type="button" className="live-row" aria-expanded={open === key} onClick={() => { setOpen(open === key ? null : key); if (open !== key) stand(true, pointed); }}>
                <span className="time muted mono">{clock(row.received_at ?? row.at)}</span>
                <span className="state"><Status of={row.outcome} /></span>
                <span className="name ellipsis">{row.name || words(row.call)}</span>
                <span className="who muted ellipsis">{row.who || (row.outcome === "rejected" ? "nobody" : "–")}</span>
                <span className={reason ? "sum reason small ellipsis" : "sum muted small ellipsis"}>{reason || summary(row.properties)}</span>
              </button>
              {open === key && <Detail row={row} />}
            </div>
          );
        })}
      </div>
    </>
  );
}

const DULL = /url|image|currency|brand|_id$/i;

/** What is worth reading of an event's properties in one line: names first, addresses not at all. */
function summary(properties: Record<string, unknown> | undefined): string {
  const entries = Object.entries(properties ?? {}).filter(([key, value]) => value !== null && typeof value !== "object" && !DULL.test(key));
  return entries.slice(0, 4).map(([key, value]) => (key === "name" || key === "title" ? brief(value) : `${key} ${brief(value)}`)).join(", ");
}

const DONE: Record<string, string> = {
  accepted: "Taken in: it is in the log, and profiles, segments and journeys have seen it or see it next.",
  duplicate: "Not counted again: a message with this id was taken in before.",
  rejected: "Refused: it is kept in quarantine with its body, and nothing has counted it.",
};

function Detail({ row }: { row: EventRow }) {
  const context = Object.entries(row.context ?? {});
  return (
    <div className="unfolded eventdetail">
      {(row.reasons ?? []).map((reason, index) => <div key={index} className="notice bad"><IconAlertTriangle size={14} aria-hidden /> {reason.message}{reason.path && <span className="mono"> ({reason.path})</span>}</div>)}
      <p className="muted" style={{ marginBottom: 10 }}>{DONE[row.outcome]} {row.profile_id !== null && <A to={`/profiles/${row.profile_id}`} className="link">Open the profile</A>}</p>
      <div className="two">
        <div><h3 className="sub">Properties</h3><Pairs data={row.properties ?? {}} /></div>
        <div>
          <h3 className="sub">Envelope</h3>
          <dl className="kv tight">
            <dt>call</dt><dd>{row.call}</dd>
            <dt>message id</dt><dd>{row.message_id ? <><span className="mono wrap">{row.message_id}</span> <Copy value={row.message_id} label="Copy the message id" /></> : <span className="muted">none was given</span>}</dd>
            <dt>happened</dt><dd><When at={row.at} /></dd>
            {row.received_at && <><dt>received</dt><dd><When at={row.received_at} /></dd></>}
            {typeof row.position === "number" && <><dt>position in the log</dt><dd>{count(row.position)}</dd></>}
            {context.map(([name, value]) => <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd>{brief(value)}</dd></div>)}
          </dl>
          <p className="small muted" style={{ paddingTop: 8 }}>The event as JSON <Copy value={JSON.stringify(row, null, 2)} label="Copy the event as JSON" /></p>
        </div>
      </div>
    </div>
  );
}

function Names() {
  const list = useListing<{ name: string; count: number; last_at: string }>("/events/names");
  const top = Math.max(1, ...list.rows.map((row) => row.count));
  return (
    <List list={list} label="Event names" id={(row) => row.name} columns={[
      { title: "Event", render: (row) => <A to="/events" search={{ name: row.name }} className="main">{row.name}</A> },
      { title: "Share", wide: true, render: (row) => <span className="meter inline" aria-hidden><span style={{ width: `${(row.count / top) * 100}%` }} /></span> },
      { title: "Last", stack: true, render: (row) => <When at={row.last_at} /> },
      { title: "Count", right: true, render: (row) => <A to="/query" search={{ sql: `select cast(timestamp as date) as day, count(*) as events\nfrom events\nwhere name = '${row.name.replace(/'/g, "''")}'\ngroup by day\norder by day` }} className="open" aria-label={`${row.count} of ${row.name} by day`}>{count(row.count)}</A> },
    ]} empty={<Empty title="No event has a name yet">Names come with track calls.</Empty>} />
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

function Quarantine() {
  const list = useListing<Refused>("/quarantine", {}, 5000);
  return (
    <List list={list} label="Quarantine" id={(row) => row.id} columns={[
      {
        title: "Why it was refused",
        render: (row) => (
          <>
            <div className="wrap main">{(row.reasons ?? []).map((reason) => reason.message).join("; ")}</div>
            <details className="small"><summary className="muted">What was sent</summary><pre className="code" tabIndex={0} style={{ marginTop: 6, maxHeight: 320 }}>{pretty(row.body ?? "")}</pre></details>
          </>
        ),
      },
      { title: "From", wide: true, render: (row) => words(row.source) },
      { title: "Received", right: true, render: (row) => <When at={row.received_at} /> },
    ]} empty={<Empty title="Nothing is in quarantine">An event that cannot be taken is kept here with the reason, so that nothing is lost silently.</Empty>} />
  );
}
