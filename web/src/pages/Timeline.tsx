/** A profile's timeline: what the person did and what was done, day by day, as sentences; like things in a row are one. */
import { SegmentedControl } from "@mantine/core";
import { IconBolt, IconChevronRight, IconFilter, IconGitBranch, IconMail, IconRoute } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { useGet, useListing, type JourneyRow, type Listing, type Segment, type TimelineRow } from "../api";
import { clock, count, day } from "../format";
import { A, Empty, Trouble, useNow, Waiting } from "../parts/parts";
import { Pairs } from "../parts/Value";
import { grouping, sentenceOf, type Names } from "../parts/story";

const ICONS: Record<string, typeof IconBolt> = { event: IconBolt, message: IconMail, segment: IconFilter, journey: IconRoute, decision: IconGitBranch };
const KINDS = [{ value: "", label: "All" }, { value: "event", label: "Events" }, { value: "message", label: "Messages" }, { value: "segment", label: "Segments" }, { value: "journey", label: "Journeys" }];

export function Timeline({ id }: { id: number }) {
  const [kind, setKind] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const now = useNow();
  const list = useListing<TimelineRow>(`/profiles/${id}/timeline`, { kind, limit: 200 });
  const segments = useGet<Listing<Segment>>("/segments");
  const journeys = useGet<Listing<JourneyRow>>("/journeys");
  const names: Names = useMemo(() => ({
    segment: new Map((segments.data?.items ?? []).map((one) => [one.id, one.name])),
    journey: new Map((journeys.data?.items ?? []).map((one) => [one.id, one.name])),
  }), [segments.data, journeys.data]);
  const rows = useMemo(() => list.rows.filter((row) => kind === "" || row.kind === kind), [list.rows, kind]);
  const days = useMemo(() => grouping(rows, (at) => day(at, now)), [rows, now]);
  return (
    <>
      <div className="filters"><SegmentedControl size="xs" value={kind} onChange={setKind} aria-label="Show" data={KINDS} /></div>
      {list.data === undefined && (list.error ? <Trouble error={list.error} retry={() => void list.refetch()} /> : <Waiting lines={10} />)}
      {list.data !== undefined && rows.length === 0 && <Empty title={kind ? "Nothing of this kind" : "Nothing has happened yet"}>The timeline mixes events, messages, segment changes and journeys as they happen.</Empty>}
      {days.map((one) => (
        <section key={one.day} className="dayline">
          <h3 className="day">{one.day}</h3>
          <ol className="rows">
            {one.groups.map((group) => {
              const [first] = group.rows;
              if (!first) return null;
              const Icon = ICONS[first.kind] ?? IconBolt;
              const key = `${first.at}${first.title}${group.rows.length}`;
              const said = sentenceOf(first, names);
              return (
                <li key={key} className="folds">
                  <button type="button" className="plainbutton fold" aria-expanded={open === key} onClick={() => setOpen(open === key ? null : key)}>
                    <span className="muted mono small time">{clock(first.at).slice(0, 5)}</span>
                    <Icon size={16} className="muted" aria-label={first.kind} />
                    <span className="said"><span className="main">{said.title}</span>{group.rows.length > 1 && <span className="tag">{count(group.rows.length)} times</span>}{said.detail && <span className="muted ellipsis">{group.rows.length > 1 ? group.details.slice(0, 4).join(", ") : said.detail}</span>}</span>
                    <IconChevronRight size={14} className={open === key ? "muted turned" : "muted"} aria-hidden />
                  </button>
                  {open === key && (
                    <div className="unfolded">
                      {said.to && <p style={{ marginBottom: 8 }}><A to={said.to} className="link">{said.open}</A></p>}
                      {group.rows.slice(0, 20).map((row, index) => (
                        <div key={index} style={{ marginBottom: 12 }}>
                          {group.rows.length > 1 && <div className="muted small mono">{clock(row.at)}</div>}
                          <Pairs data={row.data ?? {}} />
                        </div>
                      ))}
                      {group.rows.length > 20 && <p className="muted small">and {count(group.rows.length - 20)} more</p>}
                    </div>
                  )}
                </li>
              );
            })}
          </ol>
        </section>
      ))}
      {list.hasNextPage && <div style={{ paddingTop: 16 }}><button type="button" className="plainbutton link" onClick={() => void list.fetchNextPage()} disabled={list.isFetchingNextPage}>{list.isFetchingNextPage ? "Loading…" : "Show earlier"}</button></div>}
    </>
  );
}
