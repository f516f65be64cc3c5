/** One profile: who, what is known and from where, why in which segments, what was sent, what happened. */
import { Tabs } from "@mantine/core";
import { IconDeviceLaptop, IconGitMerge, IconHash, IconId, IconMail, IconPhone } from "@tabler/icons-react";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useGet, useListing, type Explanation, type Listing, type MessageRow, type Profile, type Segment } from "../api";
import { count, words } from "../format";
import { Explain } from "../parts/Explain";
import { A, Avatar, Empty, Figure, Figures, Head, List, Loaded, Section, Status, Trouble, Waiting, When } from "../parts/parts";
import { Copy, Value } from "../parts/Value";
import { stateOf } from "./Messages";
import { Split } from "./Split";
import { Timeline } from "./Timeline";

const TABS = ["overview", "segments", "timeline", "messages"];

export function ProfilePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const profile = useGet<Profile>(`/profiles/${id}`, 10_000);
  return <Loaded query={profile} lines={12}>{(data) => <Body profile={data} />}</Loaded>;
}

function Body({ profile }: { profile: Profile }) {
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "overview";
  const to = `/profiles/${profile.id}`;
  const scores = Object.entries(profile.scores ?? {});
  const running = (profile.journeys ?? []).filter((entry) => !entry.exited_at);
  const email = profile.identifiers.find((one) => one.kind === "email")?.value;
  const joined = profile.merged?.length ?? 0;
  return (
    <>
      <Head
        title={profile.display}
        mark={<Avatar name={profile.display} large />}
        back={{ to: "/profiles", label: "Profiles" }}
        status={profile.suppressed ? <Status of="suppressed" /> : null}
        line={<>{email && email !== profile.display && <><span className="wrap">{email}</span> <Copy value={email} label="Copy the e-mail address" /> · </>}Seen first <When at={profile.created_at} />, last <When at={profile.last_seen_at} /></>}
      />
      {profile.suppressed && <div className="notice bad">No mail is sent to this person: {words(profile.suppressed.reason).toLowerCase()}, <When at={profile.suppressed.at} />.</div>}
      <Figures>
        <Figure name="Segments" value={(profile.segments ?? []).length} note="true now" to={to} search={{ tab: "segments" }} />
        <Figure name="Journeys under way" value={running.length} note={`${count((profile.journeys ?? []).length)} entered so far`} />
        <Figure name="Identifiers" value={(profile.identifiers ?? []).length} note={joined ? `${joined} ${joined === 1 ? "profile" : "profiles"} joined into this one` : "one profile from the start"} />
        {scores.slice(0, 2).map(([name, value]) => <Figure key={name} name={words(name)} value={value} note={name === "engagement_score" ? "from 0 to 100, by opens, clicks and visits" : undefined} />)}
      </Figures>
      <Tabs value={tab} onChange={(value) => void navigate({ to: to as never, search: { tab: value === "overview" ? undefined : value } as never, replace: true })}>
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
  const entries = profile.journeys ?? [];
  return (
    <div className="two">
      <div>
        <Section title="Attributes" note="with source and time">
          <dl className="kv">
            {(profile.attributes ?? []).map((attribute) => (
              <Pair key={attribute.name} name={words(attribute.name)}>
                <Value value={attribute.value} />
                <span className="aside" title={attribute.source ? `Set by ${attribute.source}` : undefined}>{attribute.source ? `${attribute.source}, ` : ""}<When at={attribute.updated_at} /></span>
              </Pair>
            ))}
          </dl>
          {(profile.attributes ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Nothing but events is known. Attributes come with identify calls.</p>}
        </Section>
      </div>
      <div>
        <Computed profile={profile} />
        <Together profile={profile} />
        <Section title="Consent">
          <ul className="rows">
            {(profile.consents ?? []).map((consent) => (
              <li key={consent.topic}><span>{words(consent.topic)}</span><Status of={consent.state} /><span className="end muted small">{consent.source ? `${consent.source}, ` : ""}<When at={consent.at} /></span></li>
            ))}
          </ul>
          {(profile.consents ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Neither an opt-in nor an opt-out is recorded. An opt-out holds from the moment it is answered.</p>}
        </Section>
        <Section title="Journeys" note={entries.length > 5 ? `the last 5 of ${count(entries.length)}` : undefined}>
          <ul className="rows">
            {entries.slice(0, 5).map((entry) => (
              <li key={entry.entry_id}>
                <div style={{ minWidth: 0 }}>
                  <A to={`/journeys/${entry.journey_id}`} className="link">{entry.journey_name ?? entry.journey_id}</A>
                  <div className="muted small">{entry.exited_at ? <>{entry.exit_reason === "completed" ? "Went through to the end" : `Left: ${words(entry.exit_reason).toLowerCase()}`}, <When at={entry.exited_at} /></> : <>At “{words(entry.node).toLowerCase()}”</>}{!entry.exited_at && entry.due_at && <>, goes on <When at={entry.due_at} /></>}</div>
                </div>
                <span className="end muted small">entered <When at={entry.entered_at} /></span>
              </li>
            ))}
          </ul>
          {entries.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Has not entered a journey.</p>}
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

/** What is computed of somebody, and when it changes if nothing happens. */
function Computed({ profile }: { profile: Profile }) {
  const traits = profile.traits ?? [];
  if (traits.length === 0) return null;
  return (
    <Section title="Traits" note="computed now">
      <dl className="kv">
        {traits.map((one) => (
          <div key={one.name} style={{ display: "contents" }}>
            <dt><A to={`/traits/${one.name}`} className="link">{words(one.name)}</A></dt>
            <dd>{one.value === null || one.value === undefined ? <span className="muted">No value</span> : <Value value={one.value} />}{one.changes_at && <span className="aside">changes <When at={one.changes_at} /> unless something happens</span>}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

const MARKS: Record<string, typeof IconHash> = { email: IconMail, phone: IconPhone, user_id: IconId, anonymous_id: IconDeviceLaptop };
const KINDS: Record<string, string> = { email: "E-mail address", phone: "Phone number", user_id: "User id", anonymous_id: "Anonymous browser or app", external_id: "External id" };

/** The story of how identifiers became one profile, oldest first. */
function Together({ profile }: { profile: Profile }) {
  const steps = [
    ...(profile.identifiers ?? []).map((one) => ({ at: one.first_seen_at ?? "", one, merge: null })),
    ...(profile.merged ?? []).map((merge) => ({ at: merge.at, one: null, merge })),
  ].sort((a, b) => a.at.localeCompare(b.at));
  return (
    <Section title="Identifiers" note="how they came together, oldest first" more={<Split profile={profile} />}>
      <ol className="trace" style={{ paddingTop: 14 }} data-testid="together">
        {steps.map(({ at, one, merge }, index) => {
          const Icon = one ? (MARKS[one.kind] ?? IconHash) : IconGitMerge;
          const with_ = index > 0 && steps[index - 1]?.at === at;
          return (
            <li key={one ? `${one.kind}${one.value}` : `${merge?.from}${at}`}>
              <span className="mark"><Icon size={13} aria-hidden /></span>
              {one && <div className="title"><span className="mono wrap">{one.value}</span><Copy value={one.value} label={`Copy ${one.value}`} /></div>}
              {one && <p className="muted small">{KINDS[one.kind] ?? words(one.kind)}{one.source ? `, named by ${/^[aeiou]/.test(one.source) ? "an" : "a"} ${one.source} call` : ""} <When at={at} />{with_ ? ", in the same call" : ""}{one.last_seen_at && one.last_seen_at !== at && <>; last used <When at={one.last_seen_at} /></>}</p>}
              {merge && <div className="title"><span>Profile {merge.from} became part of this one</span></div>}
              {merge && <p className="muted small">{merge.reason ? `${words(merge.reason)}, ` : ""}<When at={merge.at} />. Its events, attributes and consent came along.</p>}
            </li>
          );
        })}
      </ol>
      {steps.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No identifier is known. One comes with the first event of this person.</p>}
    </Section>
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
  const all = useGet<Listing<Segment>>("/segments");
  const inside = new Set((profile.segments ?? []).map((segment) => segment.id));
  const outside = (all.data?.items ?? []).filter((segment) => !inside.has(segment.id));
  const why = (id: string, name: string) => <button type="button" className="plainbutton link small" aria-expanded={open === id} aria-label={`Why ${inside.has(id) ? "in" : "not in"} ${name}`} onClick={() => setOpen(open === id ? null : id)}>{inside.has(id) ? "Why" : "Why not"}</button>;
  const shown = (id: string) => open === id && <div className="unfolded"><Why segment={id} profile={profile.id} /></div>;
  return (
    <>
      <Section title="In these segments" note={profile.segments.length ? `${profile.segments.length}, true now` : undefined}>
        {profile.segments.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>In no segment now. They fill by themselves as events arrive.</p>}
        <ul className="rows">
          {profile.segments.map((segment) => (
            <li key={segment.id} className="folds">
              <div style={{ minWidth: 0, flex: "1 1 260px" }}>
                <A to={`/segments/${segment.id}`} className="main">{segment.name}</A>
                {segment.why && <div className="muted small wrap">{segment.why.replace(/^Entered because: (.*)\.$/, (_, cause: string) => `Came in by “${cause}”`)}</div>}
              </div>
              <span className="muted small">since <When at={segment.since} />{segment.until ? <>, leaves <When at={segment.until} /> unless something happens</> : ", without an end in sight"}</span>
              {why(segment.id, segment.name)}
              {shown(segment.id)}
            </li>
          ))}
        </ul>
      </Section>
      {outside.length > 0 && (
        <Section title="Not in these" note="each says what is missing">
          <ul className="rows">
            {outside.map((segment) => (
              <li key={segment.id} className="folds">
                <div style={{ minWidth: 0, flex: "1 1 260px" }}><A to={`/segments/${segment.id}`} className="main">{segment.name}</A><div className="muted small ellipsis">{segment.description}</div></div>
                {why(segment.id, segment.name)}
                {shown(segment.id)}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

export function Why({ segment, profile }: { segment: string; profile: number | string }) {
  const explanation = useGet<Explanation>(`/segments/${segment}/explain?profile=${encodeURIComponent(profile)}`);
  if (explanation.error) return <Trouble error={explanation.error} retry={() => void explanation.refetch()} />;
  return explanation.data ? <Explain explanation={explanation.data} /> : <Waiting lines={3} />;
}

function Mails({ id }: { id: number }) {
  const list = useListing<MessageRow>(`/profiles/${id}/messages`);
  return (
    <List
      list={list}
      label="Messages"
      id={(row) => row.id}
      columns={[
        { title: "Subject", render: (row) => <A to={`/messages/${row.id}`} className="main">{row.subject || "Not composed"}</A> },
        { title: "State", stack: true, render: (row) => stateOf(row) },
        { title: "Journey", wide: true, render: (row) => row.journey_id ? <A to={`/journeys/${row.journey_id}`} className="link">{row.journey_name ?? row.journey_id}</A> : <span className="muted">By API</span> },
        { title: "When", right: true, render: (row) => <When at={row.sent_at ?? row.created_at} /> },
      ]}
      empty={<Empty title="Nothing was sent or held back">Each message a journey plans for this person shows here, also those that were not sent, with the reason.</Empty>}
    />
  );
}
