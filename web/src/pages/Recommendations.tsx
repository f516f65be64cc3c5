/** Recommendations: how good they would have been lately, beside popularity, and what one person would get and why. */
import { Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { params, useGet } from "../api";
import type { CatalogDetail, ProfileRow, RankerFigures, RecommendationQuality, Recommendations } from "../api.gen";
import { count, words } from "../format";
import { A, Empty, Figure, Figures, Head, Loaded, Section, Status, When } from "../parts/parts";

const SIGNALS: Record<string, string> = {
  follows: "Follows closely on what they did", knn: "The same people have it", session: "Visits like their last one", content: "Similar items", trending: "In demand", repeat: "Bought before",
};
const RANKERS: Record<string, string> = { rapport: "Rapport", popularity: "Popularity", "item-kNN": "Item-kNN" };
const SOURCES: Record<string, string> = {
  repeat: "Bought before", history: "Their history", session: "Their last visit", content: "Similar items", segment: "Their segment's demand", trending: "Demand of all", newest: "Newest",
};
const BACK: Record<string, string> = {
  bought: "bought already", sold_out: "sold out", no_price: "without a price", another_category: "of another category", too_dear: "too dear", too_cheap: "too cheap", outside_the_collection: "outside the collection", without_the_tag: "without the tag", excluded: "excluded", too_new: "too new to be ranked",
};

interface Explained {
  items: { product_id: string; name: string; reason: string; source: string; score: number; fallback: string | null; signals: Record<string, number> }[];
  candidates: { product_id: string; score: number; source: string }[];
  filtered: Record<string, number>;
  fewer: string | null;
  model: { variant: string; history: number; segments: string[] };
}

export function RecommendationsPage() {
  const quality = useGet<RecommendationQuality>("/recommendations/quality");
  return (
    <>
      <Head title="Recommendations" line="What mails offer each person, and why. Ranked in memory when a mail is composed." />
      <Loaded query={quality} lines={8}>{(data) => <Quality found={data} />}</Loaded>
      <Person />
    </>
  );
}

const digits = (value: number) => value.toFixed(3);

function Quality({ found }: { found: RecommendationQuality }) {
  const asked = [...new Set(found.rows.map((row) => row.asked))];
  const best = (what: string, of: (row: RankerFigures) => number) => Math.max(...found.rows.filter((row) => row.asked === what).map(of));
  const cell = (row: RankerFigures, of: (row: RankerFigures) => number) => (of(row) === best(row.asked, of) ? <strong>{digits(of(row))}</strong> : digits(of(row)));
  return (
    <>
      <Figures>
        <Figure name="Items" value={found.items} to="/catalogue" />
        <Figure name="Fitted from" value={found.interactions} note={<>views, carts and purchases{found.fitted_at && <>, <When at={found.fitted_at} /></>}</>} />
        <Figure name="Ranking" value={found.variant} note={found.picked_on ? `weights picked on ${count(found.picked_on)} held-out histories` : "the usual weights: too few histories to pick others"} />
      </Figures>
      <div className="two">
        <Section title="How good they would have been" note={found.split_at ? <>fitted on what came before <When at={found.split_at} />, asked for what came then</> : undefined}>
          {asked.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>There is too little history to judge: it takes at least twenty people who did something with items before and after.</p>}
          {asked.map((what) => (
            <div key={what} className="tablewrap" tabIndex={0} role="region" aria-label={`Quality: ${what}`} data-testid="quality">
              <table className="list dense">
                <caption className="muted small" style={{ textAlign: "left", padding: "8px 0" }}>{what === "new item" ? "Items new to the person" : "Any item, also known ones"}, {count(found.rows.find((row) => row.asked === what)?.cases ?? 0)} people</caption>
                <thead><tr><th scope="col">Ranking</th><th scope="col" className="right" title="Share of people who took one of the first five">Hit in 5</th><th scope="col" className="right" title="How far up the first five what they took stood">NDCG@5</th><th scope="col" className="right wide" title="One over the place of the first hit among twenty">MRR@20</th><th scope="col" className="right wide" title="Share of all items that anybody was offered">Coverage</th></tr></thead>
                <tbody>{found.rows.filter((row) => row.asked === what).map((row) => <tr key={row.ranker}><td>{RANKERS[row.ranker] ?? row.ranker}</td><td className="right num">{cell(row, (one) => one.hit_rate_5)}</td><td className="right num">{cell(row, (one) => one.ndcg_5)}</td><td className="right wide num">{cell(row, (one) => one.mrr_20)}</td><td className="right wide num">{digits(row.coverage)}</td></tr>)}</tbody>
              </table>
            </div>
          ))}
        </Section>
        <Section title="What speaks for an item" note="weights of the ranking in force">
          <ul className="rows">{Object.entries(found.weights).sort((a, b) => b[1] - a[1]).map(([signal, weight]) => <li key={signal}><span>{SIGNALS[signal] ?? words(signal)}</span><span className="end num">{weight}</span></li>)}</ul>
          <p className="muted small" style={{ paddingTop: 10 }}>Each signal&rsquo;s strongest item counts 1. Picked by what finds held-out items soonest; the name stands in every mail&rsquo;s trace.</p>
        </Section>
      </div>
    </>
  );
}

function Person() {
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as { profile?: string; collection?: string };
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const people = useGet<{ items: ProfileRow[] }>(`/profiles${params({ q: asked || undefined, limit: 8 })}`);
  const detail = useGet<CatalogDetail>("/catalogs/products");
  const profile = search.profile ?? (people.data?.items[0] ? String(people.data.items[0].id) : undefined);
  const found = useGet<Recommendations>(profile ? `/recommendations${params({ profile, limit: 8, explain: "true", collection: search.collection })}` : null);
  const go = (more: Record<string, string | undefined>) => void navigate({ to: "/recommendations" as never, search: { profile, collection: search.collection, ...more } as never, replace: true });
  return (
    <Section title="What one person would get" note="as of now">
      <div className="filters">
        <TextInput aria-label="Find a person" placeholder="Name or e-mail" value={text} onChange={(event) => setText(event.currentTarget.value)} w={220} />
        <Select aria-label="Person" data={(people.data?.items ?? []).map((one) => ({ value: String(one.id), label: one.display }))} value={profile ?? null} allowDeselect={false} onChange={(value) => value && go({ profile: value })} w={240} />
        {(detail.data?.collections.length ?? 0) > 0 && <Select aria-label="Of collection" placeholder="Of all items" clearable clearButtonProps={{ "aria-label": "Of all items" }} data={detail.data?.collections.map((one) => one.name) ?? []} value={search.collection ?? null} onChange={(value) => go({ collection: value ?? undefined })} w={200} />}
        {profile && <A to={`/profiles/${profile}`} className="link end">Open the profile</A>}
      </div>
      {!profile && people.data && <Empty title="Nobody yet">As soon as somebody is known, their list stands here.</Empty>}
      {profile && <Loaded query={found} lines={6}>{(data) => <Listed found={data} />}</Loaded>}
    </Section>
  );
}

function Listed({ found }: { found: Recommendations }) {
  const why = found.explanation as Explained | undefined;
  if (!why) return <Empty title="Nothing to offer">There is no catalogue yet: import one under Catalogue.</Empty>;
  const back = Object.entries(why.filtered);
  return (
    <>
      <div className="tablewrap" tabIndex={0} role="region" aria-label="Their list" data-testid="offered">
        <table className="list">
          <thead><tr><th scope="col">Item</th><th scope="col">Why</th><th scope="col" className="wide">Came from</th><th scope="col" className="wide">Signals</th><th scope="col" className="right">Score</th></tr></thead>
          <tbody>
            {why.items.map((item) => (
              <tr key={item.product_id}>
                <td><A to={`/catalogue/products/${encodeURIComponent(item.product_id)}`} className="main">{item.name}</A></td>
                <td>{item.reason}{item.fallback && <> <Status of="paused" label={words(item.fallback)} /></>}</td>
                <td className="wide">{SOURCES[item.source] ?? item.source}</td>
                <td className="wide muted small">{Object.entries(item.signals).sort((a, b) => b[1] - a[1]).map(([signal, much]) => `${signal} ${much.toFixed(2)}`).join(", ") || "–"}</td>
                <td className="right num">{item.score.toFixed(2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small" style={{ paddingTop: 10 }}>
        {why.fewer ? `${why.fewer} ` : ""}
        {back.length > 0 && `Kept back: ${back.map(([code, many]) => `${count(many)} ${BACK[code] ?? words(code)}`).join(", ")}. `}
        {`They did something with ${count(why.model.history)} items. ${count(why.candidates.length)} candidates stand behind; each mail keeps them in its trace.`}
      </p>
    </>
  );
}
