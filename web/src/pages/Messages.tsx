/** Messages: each mail with the decisions that led to it, also those that were not sent. */
import { Button, Select, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconArrowBackUp, IconBolt, IconFileText, IconFilter, IconMail, IconReplace, IconShieldCheck, IconSparkles, IconTicket } from "@tabler/icons-react";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useGet, useListing, type Message, type MessageRow } from "../api";
import { bytes, count, exact, plain, words } from "../format";
import { A, Empty, Head, List, Loaded, Section, Status, When } from "../parts/parts";

const STATES = ["planned", "accepted", "skipped", "deferred", "rejected", "in_doubt"];

export function Messages() {
  const search = useSearch({ strict: false }) as { q?: string; state?: string; journey?: string };
  const navigate = useNavigate();
  const [text, setText] = useState(search.q ?? "");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const { state, journey } = search;
  useEffect(() => {
    if ((search.q ?? "") !== asked) void navigate({ to: "/messages" as never, search: { state, journey, q: asked || undefined } as never, replace: true });
  }, [asked, navigate, state, journey, search.q]);
  const clear = () => {
    setText("");
    void navigate({ to: "/messages" as never, search: {} as never });
  };
  const list = useListing<MessageRow>("/messages", { q: asked, state, journey }, 5000);
  return (
    <>
      <Head title="Messages" line="Every mail that was planned: sent or held back, with the reasons." />
      <div className="filters">
        <TextInput placeholder="Recipient or subject" aria-label="Find messages" value={text} onChange={(event) => setText(event.currentTarget.value)} w={260} />
        <Select aria-label="State" placeholder="Any state" clearable clearButtonProps={{ "aria-label": "Any state" }} value={state ?? null} data={STATES.map((value) => ({ value, label: words(value) }))} onChange={(value) => void navigate({ to: "/messages" as never, search: { q: asked || undefined, journey, state: value ?? undefined } as never })} w={160} />
        {journey && <A to="/messages" className="tag">Journey {journey} ×</A>}
        {list.total !== null && <span className="end">{count(list.total)} messages</span>}
      </div>
      <List
        list={list}
        label="Messages"
        id={(row) => row.id}
        columns={[
          { title: "Message", render: (row) => <><A to={`/messages/${row.id}`} className="main">{row.subject || "No subject yet"}</A><div className="muted small ellipsis">{row.to}</div></> },
          { title: "State", stack: true, render: (row) => <Status of={row.clicked_at ? "clicked" : row.opened_at ? "opened" : row.state} /> },
          { title: "Reason", wide: true, render: (row) => <span className="muted">{row.reason ? words(row.reason) : ""}</span> },
          { title: "Journey", wide: true, render: (row) => row.journey_id ? <A to={`/journeys/${row.journey_id}`} className="link">{row.journey_name}</A> : <span className="muted">By API</span> },
          { title: "When", right: true, render: (row) => <When at={row.sent_at ?? row.created_at} /> },
        ]}
        empty={asked || state || journey
          ? <Empty title="No message matches" action={<Button variant="default" onClick={clear}>Show all messages</Button>}>No planned message fits what is asked for above.</Empty>
          : <Empty title="No message yet" action={<A to="/journeys" className="link">Look at the journeys</A>}>A message appears here as soon as a journey or the API plans it, also when a policy then holds it back.</Empty>}
      />
    </>
  );
}

export function MessagePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const message = useGet<Message>(`/messages/${id}`);
  return <Loaded query={message} lines={12}>{(data) => <Body message={data} />}</Loaded>;
}

const ICONS: Record<string, typeof IconMail> = { trigger: IconBolt, conditions: IconFilter, policy: IconShieldCheck, recommendations: IconSparkles, coupon: IconTicket, fallbacks: IconReplace, template: IconFileText, delivery: IconMail, response: IconArrowBackUp };

function Body({ message }: { message: Message }) {
  return (
    <>
      <Head title={message.subject || "No subject yet"} back={{ to: "/messages", label: "Messages" }} status={<Status of={message.state} />} line={message.state === "skipped" ? `Not sent: ${words(message.reason).toLowerCase()}` : undefined} />
      <div className="side" style={{ gridTemplateColumns: undefined }}>
        <div>
          <dl className="mailhead">
            <dt>To</dt><dd>{message.profile_id !== null ? <A to={`/profiles/${message.profile_id}`} className="link">{message.to}</A> : message.to}</dd>
            <dt>From</dt><dd>{message.from ?? "–"}</dd>
            {message.journey_id && <><dt>Journey</dt><dd><A to={`/journeys/${message.journey_id}`} className="link">{message.journey_name}</A></dd></>}
            <dt>Sent</dt><dd>{message.sent_at ? exact(message.sent_at) : "Not sent"}{message.size_bytes ? <span className="muted">, {bytes(message.size_bytes)}</span> : null}</dd>
          </dl>
          <Tabs defaultValue={message.html ? "mail" : message.text ? "text" : "headers"}>
            <Tabs.List mb={12}>
              {message.html && <Tabs.Tab value="mail">As sent</Tabs.Tab>}
              {message.text && <Tabs.Tab value="text">Plain text</Tabs.Tab>}
              <Tabs.Tab value="headers">Headers</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="mail"><iframe className="mailframe" title="The mail as sent" sandbox="" srcDoc={message.html ?? ""} referrerPolicy="no-referrer" /></Tabs.Panel>
            <Tabs.Panel value="text"><pre className="code" tabIndex={0}>{message.text}</pre></Tabs.Panel>
            <Tabs.Panel value="headers">
              {(message.headers ?? []).length === 0 ? <p className="muted">Headers are written when the mail is composed. This one was not.</p> : <dl className="kv">{message.headers?.map(([name, value], index) => <div key={index} style={{ display: "contents" }}><dt>{name}</dt><dd className="mono">{value}</dd></div>)}</dl>}
            </Tabs.Panel>
          </Tabs>
        </div>
        <div data-testid="trace">
          <Section title="Why, step by step">
            <ol className="trace" style={{ paddingTop: 12 }}>
              {(message.trace ?? []).map((step, index) => {
                const Icon = ICONS[step.step] ?? IconBolt;
                const data = Object.entries(step.data ?? {});
                return (
                  <li key={index}>
                    <span className="mark"><Icon size={13} aria-hidden /></span>
                    <div className="title"><span>{step.title}</span>{step.at && <span className="muted small" style={{ fontWeight: 400, marginLeft: "auto" }}><When at={step.at} /></span>}</div>
                    <p className="wrap">{step.sentence}</p>
                    {data.length > 0 && (
                      <details>
                        <summary className="muted small" style={{ cursor: "pointer" }}>Evidence</summary>
                        <pre className="code" tabIndex={0} style={{ marginTop: 6 }}>{data.map(([key, value]) => `${key}: ${plain(value)}`).join("\n")}</pre>
                      </details>
                    )}
                  </li>
                );
              })}
            </ol>
            {(message.trace ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No decision is recorded yet.</p>}
          </Section>
          <Section title="What happened to it">
            <ul className="rows">
              {(message.events ?? []).map((event, index) => <li key={index}><span style={{ fontWeight: 520 }}>{event.name}</span><span className="muted small wrap">{[event.actor, event.detail].filter(Boolean).join(", ")}</span><span className="end muted small"><When at={event.at} /></span></li>)}
            </ul>
            {(message.events ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>Nothing yet.</p>}
          </Section>
        </div>
      </div>
    </>
  );
}
