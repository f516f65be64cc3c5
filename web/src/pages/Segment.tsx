/** One segment: its members, how it moved, and why a given profile is in or out. */
import { Button, Modal, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconSearch } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { call, params, useGet, useListing, type Listing, type Profile, type ProfileRow, type Segment } from "../api";
import { count, words } from "../format";
import { A, Avatar, Empty, Figure, Figures, Head, List, Loaded, Section, Sparkline, Status, Trouble, Waiting, When } from "../parts/parts";
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

const TABS = ["members", "history", "why", "versions"];

function Body({ segment }: { segment: Segment }) {
  const search = useSearch({ strict: false }) as { tab?: string; profile?: string };
  const navigate = useNavigate();
  const to = `/segments/${segment.id}`;
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "members";
  const show = (tab: string | null, profile?: string) => void navigate({ to: to as never, search: { tab: tab === "members" ? undefined : (tab ?? undefined), profile } as never, replace: true });
  const trend = segment.trend ?? [];
  const moved = trend.length > 1 ? segment.count - (trend[0] ?? 0) : null;
  const versions = segment.versions ?? [];
  return (
    <>
      <Head title={segment.name} back={{ to: "/segments", label: "Segments" }} status={<Status of={segment.status} />} line={segment.description}>
        {segment.kind === "condition" && <Button onClick={() => void navigate({ to: `${to}/edit` as never })}>Edit the condition</Button>}
      </Head>
      <Figures>
        <Figure name="Members now" value={segment.count} note={moved === null ? "counted as events arrive" : `${moved >= 0 ? "+" : "−"}${count(Math.abs(moved))} in ${trend.length} days`} to="/profiles" search={{ segment: segment.id }} />
        {trend.length > 1 && <div className="figure"><div className="name">By day</div><div style={{ marginTop: 10 }}><Sparkline values={trend} width={180} height={34} label={`Members by day, from ${count(trend[0])} to ${count(trend.at(-1))}`} /></div></div>}
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
          <Tabs.Tab value="why">Why this profile</Tabs.Tab>
          <Tabs.Tab value="versions">Versions</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="members"><Members id={segment.id} ask={(profile) => show("why", String(profile))} /></Tabs.Panel>
        <Tabs.Panel value="history"><History id={segment.id} /></Tabs.Panel>
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
        { title: "Last seen", wide: true, render: (row) => <When at={row.last_seen_at} /> },
        { title: "Until when", right: true, render: (row) => <button type="button" className="plainbutton link small" aria-label={`Why ${row.display} and until when`} onClick={() => ask(row.id)}>Why</button> },
      ]}
      empty={<Empty title="Nobody is in here now">People appear the moment the condition holds for them. “Why this profile” shows what keeps someone out.</Empty>}
    />
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
