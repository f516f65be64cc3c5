/** One segment: its members, how it moved, and why a given profile is in or out. */
import { Button, Tabs, TextInput } from "@mantine/core";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { params, useGet, useListing, type Listing, type ProfileRow, type Segment } from "../api";
import { count } from "../format";
import { A, Empty, Figure, Figures, Head, List, Loaded, Section, Sparkline, Status, Trouble, Waiting, When } from "../parts/parts";
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

function Body({ segment }: { segment: Segment }) {
  const navigate = useNavigate();
  const trend = segment.trend ?? [];
  const moved = trend.length > 1 ? segment.count - (trend[0] ?? 0) : null;
  return (
    <>
      <Head title={segment.name} back={{ to: "/segments", label: "Segments" }} status={<Status of={segment.status} />} line={segment.description}>
        <Button onClick={() => void navigate({ to: `/segments/${segment.id}/edit` as never })}>Edit the condition</Button>
      </Head>
      <Figures>
        <Figure name="Members now" value={segment.count} note={moved === null ? "live" : `${moved >= 0 ? "+" : "−"}${count(Math.abs(moved))} in 30 days`} />
        <div className="figure"><div className="name">Last 30 days</div><div style={{ marginTop: 10 }}><Sparkline values={trend} width={180} height={34} label="Members in the last 30 days" /></div></div>
        <Figure name="Version" value={segment.versions?.[0]?.version ?? 1} note={<>changed <When at={segment.updated_at} /></>} />
      </Figures>
      <Section title="Condition">
        {segment.sentence && <p style={{ padding: "8px 0" }}>{segment.sentence}</p>}
        <pre className="code" tabIndex={0}>{segment.where}</pre>
      </Section>
      <Tabs defaultValue="members">
        <Tabs.List mb={20}>
          <Tabs.Tab value="members">Members</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
          <Tabs.Tab value="why">Why this profile</Tabs.Tab>
          <Tabs.Tab value="versions">Versions</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="members"><Members id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="history"><History id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="why"><Ask id={segment.id} /></Tabs.Panel>
        <Tabs.Panel value="versions">
          {(segment.versions ?? []).length === 0 && <Empty title="No earlier version">Each change of the condition is kept here with its author and its time.</Empty>}
          <ul className="rows">
            {(segment.versions ?? []).map((version) => (
              <li key={version.version} style={{ flexWrap: "wrap" }}><strong>Version {version.version}</strong><span className="muted">by {version.author}, <When at={version.at} /></span><pre className="code" style={{ flexBasis: "100%" }}>{version.where}</pre></li>
            ))}
          </ul>
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

function Members({ id }: { id: string }) {
  const list = useListing<ProfileRow>(`/segments/${id}/members`, {}, 10_000);
  return (
    <List
      list={list}
      label="Members"
      id={(row) => row.id}
      columns={[
        { title: "Profile", render: (row) => <ProfileLink row={row} /> },
        { title: "In since", right: true, render: (row) => <When at={row.since} /> },
        { title: "Last seen", wide: true, right: true, render: (row) => <When at={row.last_seen_at} /> },
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
        { title: "Because", wide: true, render: (row) => <span className="muted wrap">{row.cause}</span> },
        { title: "When", right: true, render: (row) => <When at={row.at} /> },
      ]}
      empty={<Empty title="Nobody has come or gone yet">Every entry and exit is kept here with its cause.</Empty>}
    />
  );
}

function Ask({ id }: { id: string }) {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState<string | null>(null);
  const found = useGet<Listing<ProfileRow>>(asked && !/^\d+$/.test(asked) ? `/profiles${params({ q: asked, limit: 1 })}` : null);
  const profile = asked && /^\d+$/.test(asked) ? asked : found.data?.items[0]?.id;
  return (
    <div style={{ maxWidth: 720 }}>
      <form
        style={{ display: "flex", gap: 8, alignItems: "flex-end", marginBottom: 20 }}
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(text.trim() || null);
        }}
      >
        <TextInput label="Profile" placeholder="E-mail address, user id or profile number" value={text} onChange={(event) => setText(event.currentTarget.value)} style={{ flex: 1 }} />
        <Button type="submit" variant="default">Explain</Button>
      </form>
      {found.error && <Trouble error={found.error} retry={() => void found.refetch()} />}
      {found.isLoading && <Waiting lines={3} />}
      {asked && found.data && found.data.items.length === 0 && <Empty title="Nobody has this identifier">Profiles are found by the beginning of an e-mail address, a user id or a name, or by their number.</Empty>}
      {profile !== undefined && <Why segment={id} profile={profile} />}
    </div>
  );
}
