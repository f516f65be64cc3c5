/** One profile: who, what is known and from where, why in which segments, what was sent, what happened. */
import { SegmentedControl, Tabs } from "@mantine/core";
import { IconBolt, IconFilter, IconGitBranch, IconMail, IconRoute } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useGet, useListing, type Explanation, type MessageRow, type Profile, type TimelineRow } from "../api";
import { plain, words } from "../format";
import { Explain } from "../parts/Explain";
import { A, Empty, Figure, Figures, Head, List, Loaded, Section, Status, Trouble, Waiting, When } from "../parts/parts";

export function ProfilePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const profile = useGet<Profile>(`/profiles/${id}`);
  return <Loaded query={profile} lines={12}>{(data) => <Body profile={data} />}</Loaded>;
}

function Body({ profile }: { profile: Profile }) {
  const scores = Object.entries(profile.scores ?? {});
  const running = (profile.journeys ?? []).filter((entry) => !entry.exited_at);
  return (
    <>
      <Head title={profile.display} back={{ to: "/profiles", label: "Profiles" }} status={profile.suppressed ? <Status of="suppressed" /> : null} line={<>Profile {profile.id}, first seen <When at={profile.created_at} />, last seen <When at={profile.last_seen_at} /></>} />
      {profile.suppressed && <div className="notice bad">No mail is sent to this person: {words(profile.suppressed.reason).toLowerCase()}, <When at={profile.suppressed.at} />.</div>}
      <Figures>
        <Figure name="Segments" value={(profile.segments ?? []).length} />
        <Figure name="Journeys under way" value={running.length} />
        <Figure name="Identifiers" value={(profile.identifiers ?? []).length} note={profile.merged?.length ? `${profile.merged.length} ${profile.merged.length === 1 ? "profile" : "profiles"} joined` : "one profile from the start"} />
        {scores.slice(0, 2).map(([name, value]) => <Figure key={name} name={words(name)} value={value} />)}
      </Figures>
      <Tabs defaultValue="overview">
        <Tabs.List mb={20}>
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          <Tabs.Tab value="segments">Segments</Tabs.Tab>
          <Tabs.Tab value="timeline">Timeline</Tabs.Tab>
          <Tabs.Tab value="messages">Messages</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="overview"><About profile={profile} /></Tabs.Panel>
        <Tabs.Panel value="segments"><Memberships profile={profile} /></Tabs.Panel>
        <Tabs.Panel value="timeline"><Timeline id={profile.id} /></Tabs.Panel>
        <Tabs.Panel value="messages"><Mails id={profile.id} /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function About({ profile }: { profile: Profile }) {
  return (
    <div className="two">
      <div>
        <Section title="Attributes" note="value, source and time">
          <dl className="kv">
            {(profile.attributes ?? []).map((attribute) => (
              <Pair key={attribute.name} name={attribute.name}>
                {plain(attribute.value)}
                <div className="muted small">{attribute.source ? `${attribute.source}, ` : ""}<When at={attribute.updated_at} /></div>
              </Pair>
            ))}
          </dl>
          {(profile.attributes ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Nothing but events is known. Attributes come with identify calls.</p>}
        </Section>
      </div>
      <div>
        <Section title="Identifiers" note="how they came together">
          <ul className="rows">
            {(profile.identifiers ?? []).map((identifier) => (
              <li key={`${identifier.kind}${identifier.value}`}>
                <div style={{ minWidth: 0 }}>
                  <div className="mono wrap">{identifier.value}</div>
                  <div className="muted small">{words(identifier.kind)}{identifier.source ? `, by ${identifier.source}` : ""}</div>
                </div>
                <span className="end muted small">since <When at={identifier.first_seen_at} /></span>
              </li>
            ))}
            {(profile.merged ?? []).map((merge) => (
              <li key={`${merge.from}${merge.at}`}><IconGitBranch size={16} className="muted" aria-hidden /><span className="wrap">Joined with profile {merge.from}: {merge.reason}</span><span className="end muted small"><When at={merge.at} /></span></li>
            ))}
          </ul>
          {(profile.identifiers ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No identifier is known. One comes with the first event of this person.</p>}
        </Section>
        <Section title="Consent">
          <ul className="rows">
            {(profile.consents ?? []).map((consent) => (
              <li key={consent.topic}><span>{words(consent.topic)}</span><Status of={consent.state} /><span className="end muted small">{consent.source ? `${consent.source}, ` : ""}<When at={consent.at} /></span></li>
            ))}
          </ul>
          {(profile.consents ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No consent is recorded, so no marketing mail is sent.</p>}
        </Section>
        <Section title="Journeys">
          <ul className="rows">
            {(profile.journeys ?? []).map((entry) => (
              <li key={entry.entry_id}>
                <div style={{ minWidth: 0 }}>
                  <A to={`/journeys/${entry.journey_id}`} className="link">{entry.journey_name}</A>
                  <div className="muted small">{entry.exited_at ? `Left: ${words(entry.exit_reason).toLowerCase()}` : `At “${entry.node}”`}{!entry.exited_at && entry.due_at && <>, goes on <When at={entry.due_at} /></>}</div>
                </div>
                <span className="end muted small">entered <When at={entry.entered_at} /></span>
              </li>
            ))}
          </ul>
          {(profile.journeys ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Has not entered a journey.</p>}
        </Section>
        {(profile.decisions ?? []).length > 0 && (
          <Section title="Decisions" note="what was done, or not, and why">
            <ul className="rows">
              {profile.decisions.slice(0, 12).map((decision, index) => <li key={index}><span className="wrap">{decision.sentence}</span><span className="end muted small"><When at={decision.at} /></span></li>)}
            </ul>
          </Section>
        )}
      </div>
    </div>
  );
}

export function Pair({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Memberships({ profile }: { profile: Profile }) {
  const [open, setOpen] = useState<string | null>(null);
  if ((profile.segments ?? []).length === 0) return <Empty title="In no segment">Segments fill by themselves as events arrive. Open a segment and ask “Why this profile” to see which condition does not hold.</Empty>;
  return (
    <ul className="rows">
      {profile.segments.map((segment) => (
        <li key={segment.id} style={{ flexWrap: "wrap" }}>
          <div style={{ minWidth: 0, flex: "1 1 300px" }}>
            <A to={`/segments/${segment.id}`} className="link">{segment.name}</A>
            <div className="muted small wrap">{segment.why}</div>
          </div>
          <span className="muted small">since <When at={segment.since} />{segment.until && <>, leaves <When at={segment.until} /></>}</span>
          <button type="button" className="plainbutton link small" aria-expanded={open === segment.id} onClick={() => setOpen(open === segment.id ? null : segment.id)}>Why</button>
          {open === segment.id && <div style={{ flexBasis: "100%", padding: "4px 0 8px" }}><Why segment={segment.id} profile={profile.id} /></div>}
        </li>
      ))}
    </ul>
  );
}

export function Why({ segment, profile }: { segment: string; profile: number | string }) {
  const explanation = useGet<Explanation>(`/segments/${segment}/explain?profile=${encodeURIComponent(profile)}`);
  if (explanation.error) return <Trouble error={explanation.error} retry={() => void explanation.refetch()} />;
  return explanation.data ? <Explain explanation={explanation.data} /> : <Waiting lines={3} />;
}

const ICONS: Record<string, typeof IconBolt> = { event: IconBolt, message: IconMail, segment: IconFilter, journey: IconRoute, decision: IconGitBranch };

function Timeline({ id }: { id: number }) {
  const [kind, setKind] = useState("");
  const list = useListing<TimelineRow>(`/profiles/${id}/timeline`, { kind });
  return (
    <>
      <div className="filters">
        <SegmentedControl size="xs" value={kind} onChange={setKind} aria-label="Show" data={[{ value: "", label: "All" }, { value: "event", label: "Events" }, { value: "message", label: "Messages" }, { value: "segment", label: "Segments" }, { value: "journey", label: "Journeys" }]} />
      </div>
      <List
        list={list}
        label="Timeline"
        id={(row) => `${row.at}${row.kind}${row.title}${JSON.stringify(row.data ?? "").slice(0, 80)}`}
        columns={[
          {
            title: "What",
            render: (row) => {
              const Icon = ICONS[row.kind] ?? IconBolt;
              return (
                <div style={{ display: "flex", gap: 10 }}>
                  <Icon size={16} className="muted" style={{ marginTop: 3, flex: "none" }} aria-label={row.kind} />
                  <div style={{ minWidth: 0 }}><div style={{ fontWeight: 540 }} className="wrap">{row.title}</div>{row.detail && <div className="muted small wrap">{row.detail}</div>}</div>
                </div>
              );
            },
          },
          { title: "With", wide: true, render: (row) => <span className="mono muted wrap small">{row.data && Object.keys(row.data).length > 0 ? JSON.stringify(row.data).slice(0, 140) : ""}</span> },
          { title: "When", right: true, render: (row) => <When at={row.at} /> },
        ]}
        empty={<Empty title={kind ? "Nothing of this kind" : "Nothing has happened yet"}>The timeline mixes events, messages, segment changes and journeys as they happen.</Empty>}
      />
    </>
  );
}

function Mails({ id }: { id: number }) {
  const list = useListing<MessageRow>(`/profiles/${id}/messages`);
  return (
    <List
      list={list}
      label="Messages"
      id={(row) => row.id}
      columns={[
        { title: "Subject", render: (row) => <A to={`/messages/${row.id}`} className="main">{row.subject || "No subject yet"}</A> },
        { title: "State", stack: true, render: (row) => <Status of={row.state} /> },
        { title: "Reason", wide: true, render: (row) => <span className="muted">{row.reason ? words(row.reason) : ""}</span> },
        { title: "When", right: true, render: (row) => <When at={row.sent_at ?? row.created_at} /> },
      ]}
      empty={<Empty title="Nothing was sent or held back">Each message a journey plans for this person shows here, also those that were not sent, with the reason.</Empty>}
    />
  );
}
