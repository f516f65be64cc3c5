/** Home: what flows in, what goes out, whether all is well. */
import { Button } from "@mantine/core";
import { useMemo, useState, type ReactNode } from "react";
import { useGet, type Overview } from "../api";
import { clock, count, share } from "../format";
import { usePulse } from "../live";
import { LazyChart } from "../parts/LazyChart";
import { A, Empty, Figure, Figures, Head, Loaded, Section, Sparkline, Status, When } from "../parts/parts";
import type { Series } from "../parts/Chart";

const CHART = 220;

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
  const accepted = tick?.messages_accepted ?? messages.accepted ?? 0;
  if (!data.events_total && !data.profiles) return <First />;
  return (
    <>
      <Figures>
        <Figure name="Events a second" value={tick?.events_per_second ?? data.events_per_second} note={<Sparkline values={rates} label="Events a second in the last minute" width={110} />} to="/events" />
        <Figure name="Profiles" value={tick?.profiles ?? data.profiles} note="everyone known" to="/profiles" />
        <Figure name="Events today" value={data.events_today} note={`${count(data.rejected_today)} rejected`} to="/events" />
        <Figure name="Messages handed over" value={accepted} note={`${share(messages.opened ?? 0, accepted)} opened, ${share(messages.clicked ?? 0, accepted)} clicked`} to="/messages" search={{ state: "accepted" }} />
        <Figure name="Held back" value={messages.skipped} note="by consent, caps or conditions" to="/messages" search={{ state: "skipped" }} />
      </Figures>
      <div className="side">
        <Activity data={data} />
        <Section title="Health">
          <ul className="rows">
            {(data.health ?? []).map((part) => (
              <li key={part.name}>
                <span className={`dot ${part.status === "ok" ? "good" : part.status === "warn" ? "warn" : "bad"}`} aria-hidden />
                <span style={{ fontWeight: 520 }}>{part.name}</span>
                <span className="end muted small ellipsis" title={part.detail}>{part.status === "ok" ? "" : `${part.status === "warn" ? "Look" : "Down"}: `}{part.detail}</span>
              </li>
            ))}
            <li><span className="dot" aria-hidden /><span style={{ fontWeight: 520 }}>Lag</span><span className="end muted small">{count(tick?.lag_events ?? data.lag_events)} events, {count(data.lag_ms)} ms</span></li>
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
              {row.profile_id !== null ? <A to={`/profiles/${row.profile_id}`} className="muted ellipsis link">{row.who}</A> : <span className="muted ellipsis">{row.who}</span>}
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
  const minutes = data.events_by_minute;
  const drawn = useMemo(() => {
    const list = minutes ?? [];
    const series: Series[] = [
      { name: "Accepted", tone: "accent", values: list.map((minute) => minute.accepted) },
      { name: "Rejected", tone: "bad", values: list.map((minute) => minute.rejected) },
    ];
    return { labels: list.map((minute) => clock(minute.at).slice(0, 5)), series };
  }, [minutes]);
  const accepted = (minutes ?? []).reduce((sum, minute) => sum + minute.accepted, 0);
  const rejected = (minutes ?? []).reduce((sum, minute) => sum + minute.rejected, 0);
  return (
    <Section title="Activity" note="last 60 minutes" more={<Button variant="subtle" size="compact-xs" onClick={() => setTable(!table)} aria-pressed={table}>{table ? "As a chart" : "As a table"}</Button>}>
      <p className="small muted" style={{ padding: "6px 0" }}><span className="dot" style={{ display: "inline-block", background: "var(--accent)", marginRight: 6 }} aria-hidden />{count(accepted)} accepted <span className="dot bad" style={{ display: "inline-block", margin: "0 6px 0 14px" }} aria-hidden />{count(rejected)} rejected</p>
      {table ? (
        <div className="grid-result" style={{ height: CHART }} tabIndex={0} role="region" aria-label="Events by minute">
          <table>
            <thead><tr><th scope="col">Minute</th><th scope="col" className="right">Accepted</th><th scope="col" className="right">Rejected</th></tr></thead>
            <tbody>{(minutes ?? []).map((minute) => <tr key={minute.at}><td>{clock(minute.at).slice(0, 5)}</td><td className="right">{count(minute.accepted)}</td><td className="right">{count(minute.rejected)}</td></tr>)}</tbody>
          </table>
        </div>
      ) : (
        <LazyChart {...drawn} height={CHART} label={`Events by minute: ${count(accepted)} accepted and ${count(rejected)} rejected in the last hour`} />
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
