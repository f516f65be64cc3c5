/** How a segment shares its members with one or two others: exact numbers for every region, each leading to its people. */
import { Select } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { params, useGet, type Listing, type Overlap as Shared, type Region, type SegmentRow } from "../api";
import { count, share } from "../format";
import { circlesOf } from "./overlap";
import { A, Empty, Section, Trouble, Waiting } from "./parts";

/** Two circles, true to their numbers. */
function Circles({ data }: { data: Shared }) {
  const [left, right] = data.segments;
  if (!left || !right) return null;
  const both = data.regions.find((region) => region.inside.length === 2)?.count ?? 0;
  const drawn = circlesOf(left.count, right.count, both, 86);
  const width = drawn.left + drawn.apart + drawn.right;
  // One inside the other is as wide as the larger one.
  const wide = Math.max(width, drawn.left * 2, drawn.right * 2, drawn.apart + drawn.right + drawn.left);
  const from = (400 - wide) / 2 + drawn.left;
  const middle = 100;
  const text = { fontSize: 13, fill: "var(--ink)", textAnchor: "middle" as const };
  const only = (id: string) => data.regions.find((region) => region.inside.length === 1 && region.inside[0] === id)?.count ?? 0;
  const leftEdge = from - drawn.left;
  const rightEdge = from + drawn.apart + drawn.right;
  const sharedFrom = from + drawn.apart - drawn.right;
  const sharedTo = from + drawn.left;
  const room = (low: number, high: number) => high - low > 26;
  return (
    <div className="venn">
      <svg viewBox="0 0 400 200" role="img" aria-label={`${left.name} has ${left.count}, ${right.name} has ${right.count}, ${both} are in both. The areas are true to the numbers.`}>
        <circle cx={from} cy={middle} r={drawn.left} fill="var(--accent)" fillOpacity={0.28} stroke="var(--accent)" strokeWidth={1.5} />
        <circle cx={from + drawn.apart} cy={middle} r={drawn.right} fill="var(--warn)" fillOpacity={0.24} stroke="var(--warn)" strokeWidth={1.5} />
        {room(leftEdge, Math.min(sharedFrom, sharedTo)) && only(left.id) > 0 && <text {...text} x={(leftEdge + Math.min(sharedFrom, sharedTo)) / 2} y={middle + 4}>{count(only(left.id))}</text>}
        {both > 0 && room(sharedFrom, Math.min(sharedTo, rightEdge)) && <text {...text} x={(Math.max(sharedFrom, leftEdge) + Math.min(sharedTo, rightEdge)) / 2} y={middle + 4} fontWeight={600}>{count(both)}</text>}
        {room(Math.max(sharedTo, sharedFrom), rightEdge) && only(right.id) > 0 && <text {...text} x={(Math.max(sharedTo, sharedFrom) + rightEdge) / 2} y={middle + 4}>{count(only(right.id))}</text>}
      </svg>
      <p className="muted small"><span className="key accent" aria-hidden />{left.name} <span className="key warn" aria-hidden />{right.name}. Areas are true to the numbers.</p>
    </div>
  );
}

function Regions({ data }: { data: Shared }) {
  const most = Math.max(1, ...data.regions.map((region) => region.count));
  const names = new Map(data.segments.map((segment) => [segment.id, segment.name]));
  const said = (region: Region) => {
    const inside = region.inside.map((id) => names.get(id) ?? id);
    return region.inside.length === data.segments.length ? `In all of them` : `Only in ${inside.join(" and ")}`;
  };
  const rows = [...data.regions].sort((a, b) => b.inside.length - a.inside.length || b.count - a.count);
  return (
    <div className="tablewrap" tabIndex={0} role="region" aria-label="Regions">
      <table className="list" data-testid="regions">
        <thead><tr><th scope="col">Who</th>{data.segments.map((segment) => <th key={segment.id} scope="col" className="wide">{segment.name}</th>)}<th scope="col" className="wide">Size</th><th scope="col" className="right">People</th><th scope="col" className="right wide">Of any</th></tr></thead>
        <tbody>
          {rows.map((region) => (
            <tr key={region.where}>
              <td>{said(region)}</td>
              {data.segments.map((segment) => <td key={segment.id} className="wide"><span className="dots"><i className={region.inside.includes(segment.id) ? "in" : ""} role="img" aria-label={region.inside.includes(segment.id) ? "in" : "not in"} /></span></td>)}
              <td className="wide"><span className="meter inline" aria-hidden><span style={{ width: `${(region.count / most) * 100}%` }} /></span></td>
              <td className="right num">{region.count > 0 ? <A to="/segments/new" search={{ where: region.where }} className="link" aria-label={`${count(region.count)}, open as a condition: ${said(region)}`}>{count(region.count)}</A> : "0"}</td>
              <td className="right wide num">{share(region.count, data.any)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Overlap({ id }: { id: string }) {
  const search = useSearch({ strict: false }) as { with?: string; and?: string };
  const navigate = useNavigate();
  const all = useGet<Listing<SegmentRow>>("/segments");
  const others = (all.data?.items ?? []).filter((segment) => segment.id !== id);
  const second = others.some((segment) => segment.id === search.with) ? search.with : others[0]?.id;
  const third = search.and !== second && others.some((segment) => segment.id === search.and) ? search.and : undefined;
  const shared = useGet<Shared>(second ? `/segments/overlap${params({ ids: [id, second, third].filter(Boolean).join(",") })}` : null, 10_000);
  const show = (next: { with?: string; and?: string }) => void navigate({ to: `/segments/${id}` as never, search: { tab: "overlap", with: second, and: third, ...next } as never, replace: true });
  if (all.data && others.length === 0) return <Empty title="There is no other segment">With two or three segments, this shows whom they share.</Empty>;
  const option = (segment: SegmentRow) => ({ value: segment.id, label: segment.name });
  return (
    <>
      <div className="chooser">
        <Select label="Compare with" data={others.filter((segment) => segment.id !== third).map(option)} value={second ?? null} onChange={(value) => value && show({ with: value })} allowDeselect={false} searchable w={280} />
        <Select label="And with" placeholder="nobody else" data={others.filter((segment) => segment.id !== second).map(option)} value={third ?? null} onChange={(value) => show({ and: value ?? undefined })} clearable clearButtonProps={{ "aria-label": "Compare with one only" }} searchable w={280} />
      </div>
      {shared.error && <Trouble error={shared.error} retry={() => void shared.refetch()} />}
      {!shared.data && !shared.error && <Waiting lines={6} />}
      {shared.data && (
        <Section title="Whom they share" note={`${count(shared.data.any)} people are in at least one, of ${count(shared.data.total)}`}>
          {shared.data.segments.length === 2 && <Circles data={shared.data} />}
          <Regions data={shared.data} />
        </Section>
      )}
    </>
  );
}
