/** One segment: its members, how it moved, and why a given profile is in or out. */
import { Button, Modal, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconSearch } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { call, params, useGet, useListing, type Coverage, type Dependent, type Listing, type Profile, type ProfileRow, type Segment } from "../api";
import { brief, count, share, words } from "../format";
import { Filling } from "../parts/Filling";
import { Growth } from "../parts/Growth";
import { Overlap } from "../parts/Overlap";
import { A, Avatar, Empty, Figure, Figures, Head, List, Loaded, Section, Sparkline, Status, Trouble, useNow, Waiting, When } from "../parts/parts";
import { SegmentSource } from "../parts/SegmentSource";
import { CodeBlock } from "../parts/Value";
import { Why } from "./Profile";
import { ProfileLink } from "./Profiles";

interface Change {
  at: string;
  profile_id: number;
  display: string;
  change: string;
  cause?: string;
}

export function SegmentPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const segment = useGet<Segment>(`/segments/${id}`, 5000);
  return <Loaded query={segment} lines={12}>{(data) => <Body segment={data} />}</Loaded>;
}

const TABS = ["members", "history", "overlap", "attributes", "used", "why", "versions"];

function Body({ segment }: { segment: Segment }) {
  const search = useSearch({ strict: false }) as { tab?: string; profile?: string };
  const navigate = useNavigate();
  const to = `/segments/${segment.id}`;
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "members";
  const show = (tab: string | null, profile?: string) => void navigate({ to: to as never, search: { tab: tab === "members" ? undefined : (tab ?? undefined), profile } as never, replace: true });
  const trend = segment.trend ?? [];
  const moved = trend.length > 1 ? segment.count - (trend[0] ?? 0) : null;
  const versions = segment.versions ?? [];
  const made = versions.at(-1)?.at ?? segment.updated_at;
  const present = useNow();
  // Nobody was counted before it was made.
  const young = present - Date.parse(made) < trend.length * 86_400_000;
  const kept = young ? trend.slice(-Math.ceil((present - Date.parse(made)) / 86_400_000) - 1) : trend;
  return (
    <>
      <Head title={segment.name} back={{ to: "/segments", label: "Segments" }} status={<Status of={segment.status} />} line={segment.description}>
        {segment.kind === "condition"
          ? <Button onClick={() => void navigate({ to: `${to}/edit` as never })}>Edit the condition</Button>
          : <Button variant="default" onClick={() => void navigate({ to: `${to}/source` as never })}>{segment.kind === "sql" ? "Edit the query" : "Edit"}</Button>}
      </Head>
      <Filling of={`segment:${segment.id}`} />
      <Figures>
        <Figure name="Members now" value={segment.count} note={moved === null ? "counted as events arrive" : young ? <>counted since it was made, <When at={made} /></> : `${moved >= 0 ? "+" : "−"}${count(Math.abs(moved))} in ${trend.length} days`} to="/profiles" search={{ segment: segment.id }} />
        {kept.length > 2 && <div className="figure"><div className="name">By day</div><div style={{ marginTop: 10 }}><Sparkline values={kept} width={180} height={34} label={`Members by day, from ${count(kept[0])} to ${count(kept.at(-1))}`} /></div></div>}
        <Figure name="Version" value={versions[0]?.version ?? 1} note={<>by {versions[0]?.author ?? "–"}, <When at={segment.updated_at} /></>} to={to} search={{ tab: "versions" }} />
      </Figures>
      <Section title="Who belongs">
        {segment.sentence && <p style={{ padding: "10px 0" }}>{segment.sentence}</p>}
        {segment.kind === "condition" && <CodeBlock text={segment.where} label="The condition" />}
      </Section>
      <SegmentSource segment={segment} />
      <Tabs value={tab} onChange={(value) => show(value)}>
        <Tabs.List mb={20}>
          <Tabs.Tab value="members">Members</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
          <Tabs.Tab value="overlap">Overlap</Tabs.Tab>
          <Tabs.Tab value="attributes">Attributes</Tabs.Tab>
          <Tabs.Tab value="used">Used by</Tabs.Tab>
          <Tabs.Tab value="why">Why this profile</Tabs.Tab>
          <Tabs.Tab value="versions">Versions</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="members"><Members id={segment.id} ask={(profile) => show("why", String(profile))} /></Tabs.Panel>
        <Tabs.Panel value="history"><Growth id={segment.id} where={segment.where} /><Section title="Every entry and exit" note="newest first"><History id={segment.id} /></Section></Tabs.Panel>
        <Tabs.Panel value="overlap"><Overlap id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="attributes"><Attributes id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="used"><UsedBy id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="why"><Ask key={search.profile} id={segment.id} given={search.profile} ask={(profile) => show("why", profile)} /></Tabs.Panel>
        <Tabs.Panel value="versions"><Versions segment={segment} /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Versions({ segment }: { segment: Segment }) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const versions = segment.versions ?? [];
  const remove = async () => {
    try {
      await call(`/segments/${segment.id}`, { method: "DELETE" });
      setAsking(false);
      await navigate({ to: "/segments" as never });
      await client.invalidateQueries();
      notifications.show({ message: `“${segment.name}” is removed.` });
    } catch (error) {
      setAsking(false);
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Removing failed" });
    }
  };
  return (
    <>
      {versions.length === 0 && <Empty title="No earlier version">Each change of the condition is kept here with its author and its time.</Empty>}
      <ul className="rows">
        {versions.map((version, index) => (
          <li key={version.version} style={{ flexWrap: "wrap" }}>
            <strong>Version {version.version}</strong>{index === 0 && <Status of="live" label="In force" />}<span className="muted">by {version.author}, <When at={version.at} /></span>
            <pre className="code" style={{ flexBasis: "100%" }}>{version.where}</pre>
          </li>
        ))}
      </ul>
      <p style={{ marginTop: 28 }}><Button variant="default" c="var(--bad)" onClick={() => setAsking(true)}>Remove this segment</Button></p>
      <Modal opened={asking} onClose={() => setAsking(false)} title="Remove this segment" closeButtonProps={{ "aria-label": "Close" }}>
        <p>{segment.count === 0 ? "Nobody is in it now." : `${count(segment.count)} ${segment.count === 1 ? "person leaves" : "people leave"} it at once.`} It stops counting; no profile and no event is lost. A journey that asks for it is refused or finds nobody.</p>
        <div style={{ display: "flex", gap: 8, marginTop: 16 }}>
          <Button color="red" onClick={() => void remove()}>Remove “{segment.name}”</Button>
          <Button variant="default" data-autofocus onClick={() => setAsking(false)}>Keep it</Button>
        </div>
      </Modal>
    </>
  );
}

function Members({ id, ask }: { id: string; ask: (profile: number) => void }) {
  const list = useListing<ProfileRow>(`/segments/${id}/members`, {}, 10_000);
  return (
    <List
      list={list}
      label="Members"
      id={(row) => row.id}
      columns={[
        { title: "Profile", render: (row) => <ProfileLink row={row} /> },
        { title: "In since", wide: true, render: (row) => <When at={row.since} /> },
        { title: "Until, if nothing happens", wide: true, render: (row) => row.until ? <When at={row.until} /> : <span className="muted">without an end</span> },
        { title: "Last seen", wide: true, render: (row) => <When at={row.last_seen_at} /> },
        { title: "Because", right: true, render: (row) => <button type="button" className="plainbutton link small" aria-label={`Why ${row.display} and until when`} onClick={() => ask(row.id)}>Why</button> },
      ]}
      empty={<Empty title="Nobody is in here now">People appear the moment the condition holds for them. “Why this profile” shows what keeps someone out.</Empty>}
    />
  );
}

/** Which attributes the members have, beside all profiles. */
function Attributes({ id }: { id: string }) {
  const coverage = useGet<Coverage>(`/segments/${id}/coverage`);
  return (
    <Loaded query={coverage}>
      {(data) => data.attributes.length === 0
        ? <Empty title="No attribute yet">What identify calls say of the members shows here, with how many of them have it.</Empty>
        : (
          <div className="tablewrap" tabIndex={0} role="region" aria-label="Attributes of the members">
            <table className="list" data-testid="coverage">
              <thead><tr><th scope="col">Attribute</th><th scope="col" className="wide">Type</th><th scope="col" className="right">Members have it</th><th scope="col" className="wide" aria-label="Share, drawn" /><th scope="col" className="right wide">All profiles</th><th scope="col" className="wide">Most frequent</th></tr></thead>
              <tbody>
                {data.attributes.map((row) => (
                  <tr key={row.name}>
                    <td className="mono wrap">{row.name}</td>
                    <td className="wide muted">{row.type}</td>
                    <td className="right num" title={`${count(row.count)} of ${count(data.members)}`}>{share(row.count, data.members)}</td>
                    <td className="wide"><span className="meter inline" aria-hidden><span style={{ width: `${data.members ? (row.count / data.members) * 100 : 0}%` }} /></span></td>
                    <td className="right wide num muted" title={`${count(row.everyone)} of ${count(data.profiles)}`}>{share(row.everyone, data.profiles)}</td>
                    <td className="wide"><span className="tags">{row.values.slice(0, 3).map((one, at) => <span key={at} className="tag" title={`${count(one.count)} times`}>{brief(one.value)}</span>)}</span></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </Loaded>
  );
}

/** What changes with this segment. */
function UsedBy({ id }: { id: string }) {
  const found = useGet<Listing<Dependent>>(`/segments/${id}/dependents`);
  return (
    <Loaded query={found}>
      {(data) => data.items.length === 0
        ? <Empty title="Nothing refers to it">Segments, journeys and branches that ask for this segment show here, so that a change of it surprises nobody.</Empty>
        : (
          <ul className="rows" data-testid="dependents">
            {data.items.map((row, at) => <li key={at}><A to={`/${row.kind}s/${row.id}`} className="main">{row.name}</A><span className="muted">{words(row.kind)}</span><span className="muted small">by {row.place}</span></li>)}
          </ul>
        )}
    </Loaded>
  );
}

function History({ id }: { id: string }) {
  const list = useListing<Change>(`/segments/${id}/history`, {}, 10_000);
  return (
    <List
      list={list}
      label="History"
      id={(row) => `${row.at}${row.profile_id}${row.change}`}
      columns={[
        { title: "Profile", render: (row) => <A to={`/profiles/${row.profile_id}`} className="main">{row.display}</A> },
        { title: "Change", stack: true, render: (row) => <Status of={row.change === "entered" ? "live" : "exited"} label={row.change === "entered" ? "Entered" : "Left"} /> },
        { title: "Because", wide: true, render: (row) => <span className="muted wrap">{row.cause ? words(row.cause) : "–"}</span> },
        { title: "When", right: true, render: (row) => <When at={row.at} /> },
      ]}
      empty={<Empty title="Nobody has come or gone yet">Every entry and exit is kept here with its cause.</Empty>}
    />
  );
}

function Ask({ id, given, ask }: { id: string; given?: string; ask: (profile: string) => void }) {
  const [text, setText] = useState("");
  const [typed] = useDebouncedValue(text.trim(), 200);
  const number = given && /^\d+$/.test(given) ? Number(given) : null;
  const asked = useGet<Profile>(number !== null ? `/profiles/${number}` : null);
  const searching = typed !== "";
  const found = useGet<Listing<ProfileRow>>(searching ? `/profiles${params({ q: typed, limit: 6 })}` : null);
  return (
    <div style={{ maxWidth: 760 }}>
      <TextInput label={number === null ? "Whom to explain" : "Somebody else"} placeholder="E-mail address, user id or name" value={text} onChange={(event) => setText(event.currentTarget.value)} leftSection={<IconSearch size={16} aria-hidden />} maw={440} mb={12} />
      {found.error && <Trouble error={found.error} retry={() => void found.refetch()} />}
      {searching && found.isLoading && <Waiting lines={3} />}
      {searching && found.data && (
        <ul className="rows" aria-label="Profiles found" style={{ maxWidth: 440 }}>
          {found.data.items.map((row) => <li key={row.id}><button type="button" className="plainbutton person" style={{ flex: 1 }} onClick={() => ask(String(row.id))}><Avatar name={row.name ?? row.display} /><span className="ellipsis"><span className="main">{row.display}</span> <span className="muted small">{row.email !== row.display ? row.email : ""}</span></span></button></li>)}
        </ul>
      )}
      {searching && found.data?.items.length === 0 && <p className="muted">Nobody has this identifier. Profiles are found by the beginning of an e-mail address, a user id or a name.</p>}
      {!searching && number === null && <p className="muted">Find a person, and each part of the condition says whether it holds for them, by which event, and until when.</p>}
      {!searching && number !== null && (
        <div style={{ paddingTop: 8 }}>
          {asked.data && <div className="person" style={{ marginBottom: 14 }}><Avatar name={asked.data.display} /><A to={`/profiles/${number}`} className="main">{asked.data.display}</A></div>}
          <Why segment={id} profile={number} />
        </div>
      )}
    </div>
  );
}
