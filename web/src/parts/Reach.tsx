/** Whom a condition holds, live: how many, who, how each clause narrows it, how it would have grown. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { call, type Funnel, type Past, type Preview } from "../api";
import { count, share } from "../format";
import { A, Avatar, Section, Sparkline, Trouble, Waiting } from "./parts";

function useAsked<T>(kind: string, where: string, enabled: boolean) {
  return useQuery<T, Error>({
    queryKey: [kind, where],
    queryFn: ({ signal }) => call<T>(`/segments/${kind}`, { method: "POST", body: { where }, signal }),
    enabled,
    placeholderData: keepPreviousData,
  });
}

/** Bars, one below the other: who is left after each clause. */
export function Narrowing({ funnel }: { funnel: Funnel }) {
  const width = (part: number) => `${funnel.total ? (part / funnel.total) * 100 : 0}%`;
  return (
    <ol className="funnel" data-testid="funnel">
      {funnel.clauses.map((clause, at) => {
        const before = at === 0 ? funnel.total : (funnel.clauses[at - 1]?.together ?? funnel.total);
        return (
          <li key={at}>
            <div className="funnelline"><span title={clause.text}>{clause.sentence.replace(/\.$/, "")}</span><strong className="num">{count(clause.together)}</strong></div>
            <div className="funnelbar" aria-hidden><span className="alone" style={{ width: width(clause.alone) }} /><span className="left" style={{ width: width(clause.together) }} /></div>
            <div className="muted small">{clause.together === before ? "takes nobody away" : `takes ${count(before - clause.together)} away`}; alone it holds for {count(clause.alone)}</div>
          </li>
        );
      })}
    </ol>
  );
}

/** How many it held for at earlier days. */
function Before({ past }: { past: Past }) {
  const values = past.points.map((point) => point.count);
  const [first = 0] = values;
  const last = values.at(-1) ?? 0;
  if (values.length < 2) return <p className="muted small" style={{ padding: "8px 0" }}>With this many profiles the past is not worked out before saving; from then on it is kept by the day.</p>;
  return (
    <div className="before">
      <Sparkline values={values} width={352} height={44} label={`As of earlier days, from ${count(first)} to ${count(last)}`} />
      <p className="muted small">{count(first)} thirty days ago, {count(last)} now: by the events up to each day and the attributes of today.</p>
    </div>
  );
}

/** The right side of the editor. `where` is the text that was checked; empty while there is none that could be counted. */
export function Reach({ where, hint, children }: { where: string; hint: string; children?: (preview: Preview) => ReactNode }) {
  const good = where !== "";
  const preview = useAsked<Preview>("preview", where, good);
  // The rest is asked for when the count is there: it is what people wait for.
  const counted = good && preview.data !== undefined && !preview.isPlaceholderData;
  const funnel = useAsked<Funnel>("funnel", where, counted);
  const past = useAsked<Past>("past", where, counted && funnel.data !== undefined && !funnel.isPlaceholderData);
  if (!good) return <Section title="Who is in"><p className="muted" style={{ padding: "12px 0" }}>{hint}</p></Section>;
  const dim = (stale: boolean) => ({ style: { opacity: stale ? 0.5 : 1 }, "aria-busy": stale });
  return (
    <>
      <Section title="Who is in" note={preview.data ? `counted in ${count(preview.data.took_ms)} ms` : undefined}>
        {preview.error && <Trouble error={preview.error} retry={() => void preview.refetch()} />}
        {!preview.error && !preview.data && <Waiting lines={5} />}
        {preview.data && !preview.error && (
          <div {...dim(preview.isPlaceholderData)} data-testid="preview">
            <div className="figure-value big" aria-live="polite">{count(preview.data.count)}</div>
            <div className="meter" aria-hidden><span style={{ width: `${preview.data.total ? Math.min(100, (preview.data.count / preview.data.total) * 100) : 0}%` }} /></div>
            <p className="muted">{share(preview.data.count, preview.data.total)} of {count(preview.data.total)} profiles</p>
            {children?.(preview.data)}
          </div>
        )}
      </Section>
      {preview.data && funnel.error && <Section title="What narrows it"><Trouble error={funnel.error} retry={() => void funnel.refetch()} /></Section>}
      {preview.data && funnel.data && funnel.data.clauses.length > 1 && <Section title="What narrows it" note={`of ${count(funnel.data.total)}`}><div {...dim(funnel.isPlaceholderData || preview.isPlaceholderData)}><Narrowing funnel={funnel.data} /></div></Section>}
      {preview.data && past.data && <Section title="The last 30 days"><div {...dim(past.isPlaceholderData || preview.isPlaceholderData)}><Before past={past.data} /></div></Section>}
      {preview.data && (
        <Section title={preview.data.count > 8 ? "Some of them" : "They are"}>
          {preview.data.sample.length === 0 && <p className="muted" style={{ padding: "12px 0" }}>Nobody fits now. A longer time or one condition less lets people in.</p>}
          <ul className="rows" {...dim(preview.isPlaceholderData)}>
            {preview.data.sample.slice(0, 8).map((profile) => <li key={profile.id}><div className="person"><Avatar name={profile.display} /><div style={{ minWidth: 0 }}><A to={`/profiles/${profile.id}`} className="main ellipsis">{profile.display}</A>{profile.email && profile.email !== profile.display && <div className="muted small ellipsis">{profile.email}</div>}</div></div></li>)}
          </ul>
        </Section>
      )}
    </>
  );
}
