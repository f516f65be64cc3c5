/** Home: what flows in, what goes out, whether all is well. */
import { Button } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import { useGet, type Overview } from "../api";
import { clock, count, grouped, share } from "../format";
import { usePulse } from "../live";
import { LazyChart } from "../parts/LazyChart";
import { A, Empty, Figure, Figures, Head, Loaded, Section, Sparkline, Status, useNow, When } from "../parts/parts";
import type { Series } from "../parts/Chart";

const CHART = 220;
const OPENED = "select events.name, count(distinct events.profile_id) as people, count(*) as times\nfrom events\nwhere name in ('Email Sent', 'Email Opened')\ngroup by events.name\norder by times desc";
const CLICKED = OPENED.replace("Email Opened", "Email Link Clicked");

function waiting(events: number): string {
  return events === 0 ? "nothing waits" : `${count(events)} ${events === 1 ? "event waits" : "events wait"}`;
}

/** What the server says of a part, as a marketer would say it. */
function healthWords(name: string, detail: string): string {
  const number = Number(/\d+/.exec(detail)?.[0] ?? NaN);
  if (name === "Step" && /to go/.test(detail)) return number === 0 ? "up to date" : `${count(number)} events to go`;
  if (name === "Log" && /^\d+ events$/.test(detail)) return `${count(number)} events kept`;
  if (name === "Lake" && /^archived up to \d+$/.test(detail)) return `${count(number)} events archived`;
  return grouped(detail);
}

/** The question that lists what came in within one minute. */
function minuteSql(at: string): string {
  const from = new Date(at);
  const to = new Date(from.getTime() + 60_000);
  const text = (date: Date) => `timestamp '${date.toISOString().slice(0, 19)}Z'`;
  return `select received_at, name, profile_id, properties\nfrom events\nwhere received_at >= ${text(from)} and received_at < ${text(to)}\norder by received_at\nlimit 200`;
}

/** The last minutes without a gap, 60 at most, 20 at least: a minute in which nothing came counts nothing. */
function hour(minutes: Overview["events_by_minute"], now: number): Overview["events_by_minute"] {
  const known = new Map(minutes.map((minute) => [Math.floor(Date.parse(minute.at) / 60_000), minute]));
  const last = Math.max(Math.floor(now / 60_000), ...known.keys());
  const first = Math.min(last, ...known.keys());
  const shown = Math.min(60, Math.max(20, last - first + 1));
  return Array.from({ length: shown }, (_, index) => {
    const minute = last - shown + 1 + index;
    return known.get(minute) ?? { at: new Date(minute * 60_000).toISOString(), accepted: 0, rejected: 0 };
  });
}

export function Home() {
  const overview = useGet<Overview>("/overview", 5000);
  return (
    <>
      <Head title="Home" line="What comes in, what goes out, and whether all is well." />
      <Loaded query={overview} lines={12}>{(data) => <Body data={data} />}</Loaded>
    </>
  );
}

function Body({ data }: { data: Overview }) {
  const { tick, rates } = usePulse();
  const messages = data.messages ?? {};
  // The tick counts since the server started; opens and clicks are of all time.
  const accepted = messages.accepted ?? 0;
  if (!data.events_total && !data.profiles) return <First />;
  return (
    <>
      <Figures>
        <Figure name="Events a second" value={tick?.events_per_second ?? data.events_per_second} note={<span style={{ display: "block", height: 24 }}><Sparkline values={rates} label="Events a second in the last minute" width={110} /></span>} to="/events" />
        <Figure name="Profiles" value={tick?.profiles ?? data.profiles} note="everyone known" to="/profiles" />
        <Figure name="Events today" value={data.events_today} note={<><A to="/events" search={{ outcome: "rejected" }} className="link">{count(data.rejected_today)} rejected</A></>} to="/events" />
        <Figure name="Messages handed over" value={accepted} note={<><A to="/query" search={{ sql: OPENED }} className="link" title={`${count(messages.opened)} of ${count(accepted)} messages`}>{share(messages.opened ?? 0, accepted)} opened</A>, <A to="/query" search={{ sql: CLICKED }} className="link" title={`${count(messages.clicked)} of ${count(accepted)} messages`}>{share(messages.clicked ?? 0, accepted)} clicked</A></>} to="/messages" search={{ state: "accepted" }} />
        <Figure name="Held back" value={messages.skipped} note="each with its reason" to="/messages" search={{ state: "skipped" }} />
      </Figures>
      <div className="side">
        <Activity data={data} />
        <Section title="Health">
          <ul className="rows">
            {(data.health ?? []).map((part) => (
              <li key={part.name}>
                <span className={`dot ${part.status === "ok" ? "good" : part.status === "warn" ? "warn" : "bad"}`} aria-hidden />
                <span style={{ fontWeight: 520 }}>{part.name}</span>
                <span className="end muted small ellipsis" title={grouped(part.detail)}>{part.status === "ok" ? "" : `${part.status === "warn" ? "Look" : "Down"}: `}{healthWords(part.name, part.detail)}</span>
              </li>
            ))}
            <li><span className={`dot ${(tick?.lag_events ?? data.lag_events) > 1000 ? "warn" : "good"}`} aria-hidden /><span style={{ fontWeight: 520 }}>Lag</span><span className="end muted small">{waiting(tick?.lag_events ?? data.lag_events)}</span></li>
          </ul>
        </Section>
      </div>
      <div className="three">
        <Ranked title="Top events" note="last 24 hours" rows={(data.top_events ?? []).map((row) => ({ key: row.name, name: row.name, value: row.count, to: "/events", search: { name: row.name } }))} more="/events" empty="No named event in the last 24 hours. Names come with track calls." />
        <Ranked title="Segments" note="members now" rows={(data.segments ?? []).map((row) => ({ key: row.id, name: row.name, value: row.count, to: `/segments/${row.id}` }))} more="/segments" empty={<>No segment yet. <A to="/segments/new" className="link">Describe a group of people</A></>} />
        <Ranked title="Journeys" note="people under way" rows={(data.journeys ?? []).map((row) => ({ key: row.id, name: row.name, value: row.active, to: `/journeys/${row.id}` }))} more="/journeys" empty="No journey yet. Nobody is under way until one is live." />
      </div>
      <Section title="Latest events" more={<A to="/events" className="link">Open the debugger</A>}>
        {(data.recent ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Nothing came in lately. An event shows here within a second of its arrival.</p>}
        <ul className="rows">
          {(data.recent ?? []).slice(0, 8).map((row) => (
            <li key={row.message_id}>
              <Status of={row.outcome} />
              <span className="ellipsis" style={{ fontWeight: 520 }}>{row.name ?? row.call}</span>
              {row.profile_id !== null ? <A to={`/profiles/${row.profile_id}`} className="muted ellipsis link">{row.who}</A> : <span className="muted ellipsis">{row.outcome === "rejected" ? row.reasons?.[0]?.message : row.who}</span>}
              <span className="end muted small"><When at={row.at} /></span>
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}

function Activity({ data }: { data: Overview }) {
  const [table, setTable] = useState(false);
  const navigate = useNavigate();
  const now = useNow();
  const minutes = useMemo(() => hour(data.events_by_minute ?? [], now), [data.events_by_minute, now]);
  const drawn = useMemo(() => {
    const series: Series[] = [
      { name: "Accepted", tone: "accent", values: minutes.map((minute) => minute.accepted) },
      { name: "Rejected", tone: "bad", values: minutes.map((minute) => minute.rejected) },
    ];
    return { labels: minutes.map((minute) => clock(minute.at).slice(0, 5)), series };
  }, [minutes]);
  const accepted = minutes.reduce((sum, minute) => sum + minute.accepted, 0);
  const rejected = minutes.reduce((sum, minute) => sum + minute.rejected, 0);
  const open = (index: number) => {
    const minute = minutes[index];
    if (minute) void navigate({ to: "/query" as never, search: { sql: minuteSql(minute.at) } as never });
  };
  return (
    <Section title="Activity" note={`events by minute, last ${minutes.length} minutes`} more={<Button variant="subtle" size="compact-xs" onClick={() => setTable(!table)} aria-pressed={table}>{table ? "As a chart" : "As a table"}</Button>}>
      <p className="small muted" style={{ padding: "6px 0" }}><span className="dot" style={{ display: "inline-block", background: "var(--accent)", marginRight: 6 }} aria-hidden />{count(accepted)} accepted <span className="dot bad" style={{ display: "inline-block", margin: "0 6px 0 14px" }} aria-hidden />{count(rejected)} rejected<span className="wide" style={{ float: "right" }}>{table ? "A minute opens its events" : "Click a minute to see its events"}</span></p>
      {table ? (
        <div className="grid-result" style={{ height: CHART }} tabIndex={0} role="region" aria-label="Events by minute">
          <table>
            <thead><tr><th scope="col">Minute</th><th scope="col" className="right">Accepted</th><th scope="col" className="right">Rejected</th></tr></thead>
            <tbody>{[...minutes].reverse().map((minute) => <tr key={minute.at}><td>{minute.accepted > 0 ? <A to="/query" search={{ sql: minuteSql(minute.at) }} className="link">{clock(minute.at).slice(0, 5)}</A> : clock(minute.at).slice(0, 5)}</td><td className="right">{count(minute.accepted)}</td><td className="right">{count(minute.rejected)}</td></tr>)}</tbody>
          </table>
        </div>
      ) : (
        <LazyChart {...drawn} kind="bar" cap pick={open} height={CHART} label={`Events by minute: ${count(accepted)} accepted and ${count(rejected)} rejected in the last ${minutes.length} minutes`} />
      )}
    </Section>
  );
}

function Ranked({ title, note, rows, more, empty }: { title: string; note: string; more: string; empty: ReactNode; rows: { key: string; name: string; value: number; to: string; search?: Record<string, string> }[] }) {
  const top = Math.max(1, ...rows.map((row) => row.value));
  return (
    <Section title={title} note={note} more={<A to={more} className="link">All</A>}>
      {rows.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>{empty}</p>}
      <ul className="rows bars">
        {rows.slice(0, 7).map((row) => (
          <li key={row.key} className="bar" style={{ ["--part" as string]: row.value / top }}>
            <A to={row.to} search={row.search} className="ellipsis">{row.name}</A>
            <span className="end">{count(row.value)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function First() {
  return (
    <Empty
      title="Send a first event"
      action={<A to="/settings" search={{ tab: "keys" }} className="link">Create a write key</A>}
      example={`curl ${window.location.origin}/v1/track -u WRITE_KEY: \\\n  -H 'content-type: application/json' \\\n  -d '{"userId":"u-1","event":"Product Viewed","properties":{"category":"Shoes"}}'`}
    >
      Rapport speaks the Segment protocol: point any of its SDKs at this address, or send one event by hand. It shows here within a second.
    </Empty>
  );
}
