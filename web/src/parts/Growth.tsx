/** How a segment grew: its size by day, who came and went and why, as a chart and as a table. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { call, useGet, type Growth as Grown, type Past } from "../api";
import { count, words } from "../format";
import { LazyChart } from "./LazyChart";
import { Empty, Section, Trouble, Waiting, When } from "./parts";

const short = (day: string) => new Date(`${day}T12:00:00`).toLocaleDateString(undefined, { day: "numeric", month: "short" });

function Causes({ data }: { data: Grown }) {
  const most = Math.max(1, ...data.causes.flatMap((cause) => [cause.entered, cause.exited]));
  if (data.causes.length === 0) return <Empty title="Nobody has come or gone yet">Every entry and exit is kept with its cause.</Empty>;
  return (
    <div className="tablewrap" tabIndex={0} role="region" aria-label="Causes">
      <table className="list" data-testid="causes">
        <thead><tr><th scope="col">Because</th><th scope="col" className="right">Came in</th><th scope="col" className="wide" aria-label="Entries, drawn" /><th scope="col" className="right">Left</th><th scope="col" className="wide" aria-label="Exits, drawn" /></tr></thead>
        <tbody>
          {data.causes.map((cause) => (
            <tr key={cause.cause}>
              <td className="wrap">{words(cause.cause)}</td>
              <td className="right num">{count(cause.entered)}</td>
              <td className="wide"><span className="meter inline" aria-hidden><span style={{ width: `${(cause.entered / most) * 100}%` }} /></span></td>
              <td className="right num">{count(cause.exited)}</td>
              <td className="wide"><span className="meter inline" aria-hidden><span style={{ width: `${(cause.exited / most) * 100}%`, background: "var(--bad)" }} /></span></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Before a segment was kept, its past is worked out from the events. */
function Reconstructed({ where }: { where: string }) {
  const past = useQuery<Past, Error>({ queryKey: ["past", where], queryFn: ({ signal }) => call<Past>("/segments/past", { method: "POST", body: { where }, signal }), staleTime: 60_000 });
  const points = past.data?.points;
  const labels = useMemo(() => (points ?? []).map((point) => short(point.at.slice(0, 10))), [points]);
  const series = useMemo(() => [{ name: "Would have been in", values: (points ?? []).map((point) => point.count), tone: "accent" as const }], [points]);
  if (past.error) return <Trouble error={past.error} retry={() => void past.refetch()} />;
  if (!points) return <Waiting lines={4} />;
  if (points.length < 2) return null;
  return (
    <Section title="Before it was kept" note="worked out from the events up to each day and the attributes of today">
      <LazyChart labels={labels} series={series} height={170} label={`For how many the condition held, from ${count(series[0]?.values[0])} to ${count(series[0]?.values.at(-1))}`} />
    </Section>
  );
}

export function Growth({ id, where }: { id: string; where: string }) {
  const growth = useGet<Grown>(`/segments/${id}/growth`, 15_000);
  const days = growth.data?.days;
  const labels = useMemo(() => (days ?? []).map((day) => short(day.day)), [days]);
  const size = useMemo(() => [{ name: "Members", values: (days ?? []).map((day) => day.members), tone: "accent" as const }], [days]);
  const flow = useMemo(() => [{ name: "Came in", values: (days ?? []).map((day) => day.entered), tone: "accent" as const }, { name: "Left", values: (days ?? []).map((day) => -day.exited), tone: "bad" as const }], [days]);
  if (growth.error && !growth.data) return <Trouble error={growth.error} retry={() => void growth.refetch()} />;
  if (!growth.data || !days) return <Waiting lines={8} />;
  const young = days.length < 3;
  return (
    <>
      {!young && (
        <div className="two">
          <Section title="Size by day" note={<>kept since <When at={growth.data.since} /></>}><LazyChart labels={labels} series={size} height={200} label={`Members by day, from ${count(days[0]?.members)} to ${count(days.at(-1)?.members)}`} /></Section>
          <Section title="Came in and left"><LazyChart kind="bar" labels={labels} series={flow} height={200} label="Entries and exits by day" /></Section>
        </div>
      )}
      {young && <Reconstructed where={where} />}
      <Section title="Why people came and went" note={young ? <>kept since <When at={growth.data.since} /></> : "in these days"}><Causes data={growth.data} /></Section>
      <Section title="By day">
        <div className="tablewrap" tabIndex={0} role="region" aria-label="By day">
          <table className="list dense" data-testid="days">
            <thead><tr><th scope="col">Day</th><th scope="col" className="right">Members at its end</th><th scope="col" className="right">Came in</th><th scope="col" className="right">Left</th><th scope="col" className="wide">Mostly because</th></tr></thead>
            <tbody>
              {[...days].reverse().map((day, at) => (
                <tr key={day.day}><td>{at === 0 ? "Today" : short(day.day)}</td><td className="right num">{count(day.members)}</td><td className="right num">{count(day.entered)}</td><td className="right num">{count(day.exited)}</td><td className="wide muted">{day.causes[0] ? words(day.causes[0].cause) : "–"}</td></tr>
              ))}
            </tbody>
          </table>
        </div>
      </Section>
    </>
  );
}
