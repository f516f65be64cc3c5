/** One message: the mail as sent in a frame without rights, beside the decisions that led to it. */
import { Button, SegmentedControl, Tabs } from "@mantine/core";
import { IconArrowBackUp, IconBolt, IconDownload, IconFileText, IconFilter, IconMail, IconReplace, IconShieldCheck, IconShieldX, IconSparkles, IconTicket } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useGet, type Message } from "../api";
import { bytes, exact, words } from "../format";
import { A, Empty, Head, Loaded, Section, Status, usePhone, When } from "../parts/parts";
import { refusal, told } from "../parts/trace";
import { Pairs, Value } from "../parts/Value";

export function MessagePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const message = useGet<Message>(`/messages/${id}`, 10_000);
  return <Loaded query={message} lines={12}>{(data) => <Body message={data} />}</Loaded>;
}

const ICONS: Record<string, typeof IconMail> = { trigger: IconBolt, conditions: IconFilter, policy: IconShieldCheck, recommendations: IconSparkles, coupon: IconTicket, fallbacks: IconReplace, template: IconFileText, delivery: IconMail, response: IconArrowBackUp };

function Body({ message }: { message: Message }) {
  const state = message.clicked_at ? "clicked" : message.opened_at ? "opened" : message.state;
  const held = message.state === "skipped";
  const title = message.subject || (held ? "A mail that was not sent" : "A mail that is not composed yet");
  return (
    <>
      <Head title={title} back={{ to: "/messages", label: "Messages" }} status={<Status of={state} />} line={held ? <>Held back: {words(message.reason).toLowerCase()}. It will not be sent later.</> : message.sent_at ? <>Handed over <When at={message.sent_at} /></> : "Waits for its turn"}>
        {message.sent_at && <Button component="a" variant="default" href={`/api/messages/${message.id}/raw`} download leftSection={<IconDownload size={16} aria-hidden />}>Original</Button>}
      </Head>
      <div className="side">
        <div>
          <dl className="mailhead">
            <dt>To</dt><dd>{message.profile_id !== null ? <A to={`/profiles/${message.profile_id}`} className="link">{message.to}</A> : message.to}</dd>
            {message.from && <><dt>From</dt><dd>{message.from}</dd></>}
            {message.journey_id && <><dt>Journey</dt><dd><A to={`/journeys/${message.journey_id}`} className="link">{message.journey_name ?? words(message.journey_id)}</A></dd></>}
            <dt>Sent</dt><dd>{message.sent_at ? exact(message.sent_at) : "Not sent"}{message.size_bytes ? <span className="muted">, {bytes(message.size_bytes)}</span> : null}</dd>
          </dl>
          <Mail message={message} held={held} />
        </div>
        <div data-testid="trace">
          <Section title={held ? "Why it was not sent" : "Why this mail, why now, why these contents"}>
            <Trace message={message} />
            {(message.trace ?? []).length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No decision is recorded yet. The first comes when the mail is composed.</p>}
          </Section>
        </div>
      </div>
    </>
  );
}

function Mail({ message, held }: { message: Message; held: boolean }) {
  const [width, setWidth] = useState("wide");
  const phone = usePhone();
  if (!message.html && !message.text) {
    return <Empty title={held ? "No mail to show" : "Not composed yet"}>{held ? "It was held back before it was handed over, so its contents are not kept. The steps say what stood against it." : "The contents are written when its turn comes, with what is known at that moment."}</Empty>;
  }
  return (
    <Tabs defaultValue={message.html ? "mail" : "text"}>
      <div className="tabline">
        <Tabs.List>
          {message.html && <Tabs.Tab value="mail">As sent</Tabs.Tab>}
          {message.text && <Tabs.Tab value="text">Plain text</Tabs.Tab>}
          <Tabs.Tab value="headers">Headers</Tabs.Tab>
        </Tabs.List>
        {message.html && !phone && <SegmentedControl size="xs" aria-label="Width of the mail" value={width} onChange={setWidth} data={[{ value: "wide", label: "Desktop" }, { value: "slim", label: "Phone" }]} />}
      </div>
      <Tabs.Panel value="mail"><div className={width === "slim" ? "mailroom slim" : "mailroom"}><iframe className="mailframe" title="The mail as sent" sandbox="" srcDoc={message.html ?? ""} referrerPolicy="no-referrer" /></div></Tabs.Panel>
      <Tabs.Panel value="text"><pre className="code" tabIndex={0}>{message.text}</pre></Tabs.Panel>
      <Tabs.Panel value="headers">
        {(message.headers ?? []).length === 0 ? <p className="muted">Headers are written when the mail is handed over. This one was not.</p> : <dl className="kv">{message.headers?.map(([name, value], index) => <div key={index} style={{ display: "contents" }}><dt>{name}</dt><dd className="mono">{value}</dd></div>)}</dl>}
      </Tabs.Panel>
    </Tabs>
  );
}

function Trace({ message }: { message: Message }) {
  const steps = message.trace ?? [];
  return (
    <ol className="trace" style={{ paddingTop: 14 }}>
      {steps.map((step, index) => {
        const said = told(step, message);
        if (message.state === "skipped" && step.step === "policy" && said.tone === "") said.sentence = `When it was composed: ${said.sentence.charAt(0).toLowerCase()}${said.sentence.slice(1)}`;
        const Icon = said.tone === "bad" ? IconShieldX : (ICONS[step.step] ?? IconBolt);
        return (
          <li key={index}>
            <span className={`mark ${said.tone}`}><Icon size={13} aria-hidden /></span>
            <div className="title"><span>{step.title}</span>{step.at && <span className="muted small when"><When at={step.at} /></span>}</div>
            <p className="wrap">{said.sentence}</p>
            {said.items.length > 0 && (
              <ul className="picks">
                {said.items.map((item, place) => <li key={place}><span>{item.name}</span>{item.why && <span className="muted">{item.why}</span>}</li>)}
              </ul>
            )}
            {said.evidence && (
              <details>
                <summary className="muted small">Evidence</summary>
                <div style={{ marginTop: 4 }}>{Array.isArray(said.evidence) ? <Value value={said.evidence} /> : <Pairs data={said.evidence} />}</div>
              </details>
            )}
          </li>
        );
      })}
      {!steps.some((step) => step.step === "response") && (message.events ?? []).map((event, index) => (
        <li key={`e${index}`}>
          <span className="mark"><IconArrowBackUp size={13} aria-hidden /></span>
          <div className="title"><span>{event.name}</span><span className="muted small when"><When at={event.at} /></span></div>
          <p className="wrap">{[event.detail, event.actor ? `by a ${event.actor}` : null].filter(Boolean).join(", ")}</p>
        </li>
      ))}
      {message.state === "skipped" && (
        <li><span className="mark bad"><IconShieldX size={13} aria-hidden /></span><div className="title"><span>At the gate</span></div><p className="wrap">{refusal(message.reason)}</p></li>
      )}
      {message.state === "accepted" && !message.opened_at && (message.events ?? []).length === 0 && (
        <li><span className="mark idle"><IconArrowBackUp size={13} aria-hidden /></span><div className="title"><span>No answer yet</span></div><p className="muted">Opens, clicks and opt-outs show here as they come.</p></li>
      )}
    </ol>
  );
}
