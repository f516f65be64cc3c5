/** One rule: what it did, what those it fired for did afterwards beside those just below it, and its history. */
import { Button, Modal, Tabs } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPencil, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { call, useGet, useListing } from "../api";
import { count, share } from "../format";
import { LazyChart } from "../parts/LazyChart";
import { A, Empty, Figure, Figures, Head, List, Loaded, Section, Status, When } from "../parts/parts";
import { aboutAction, span, type Rule, type RuleFiring, type RuleReport } from "../rules";

const TABS = ["report", "firings", "definition", "versions"];

export function RulePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const rule = useGet<Rule>(`/rules/${id}`, 10_000);
  return <Loaded query={rule} lines={12}>{(data) => <Body rule={data} />}</Loaded>;
}

function Body({ rule }: { rule: Rule }) {
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const to = `/rules/${rule.id}`;
  const tab = TABS.includes(search.tab ?? "") ? search.tab : "report";
  const report = useGet<RuleReport>(`/rules/${rule.id}/report?days=90`, 30_000);
  return (
    <>
      <Head title={rule.name} back={{ to: "/rules", label: "Rules" }} status={<Status of={rule.status} />} line={rule.description || rule.sentence}>
        <Turn rule={rule} />
        <Button leftSection={<IconPencil size={16} aria-hidden />} onClick={() => void navigate({ to: `${to}/edit` as never })}>Edit the rule</Button>
      </Head>
      {rule.status === "paused" && <div className="notice warn">Paused: it fires for nobody until it is resumed.</div>}
      {rule.review_due && <div className="notice warn">Its review was due on {rule.review_at}. Look whether the threshold is still right, then set the next day.</div>}
      <Figures>
        <Figure name="Fired, 30 days" value={rule.fired_30_days} note={rule.last_fired_at ? <>last <When at={rule.last_fired_at} /></> : "not yet"} to={to} search={{ tab: "firings" }} />
        <Figure name="Fired, 90 days" value={report.data?.firings} note={report.data ? `for ${count(report.data.people)} ${report.data.people === 1 ? "person" : "people"}` : undefined} to={to} search={{ tab: "firings" }} />
        <Figure name="Again after" value={span(rule.definition.every_seconds)} note="for the same person at the earliest" />
        <Figure name="Review" value={rule.review_at ?? "–"} note={rule.owner ? `by ${rule.owner}` : "nobody is named"} />
      </Figures>
      <Tabs value={tab} onChange={(value) => void navigate({ to: to as never, search: { tab: value === "report" ? undefined : value } as never, replace: true })}>
        <Tabs.List mb={20}>
          <Tabs.Tab value="report">Report</Tabs.Tab>
          <Tabs.Tab value="firings">Firings</Tabs.Tab>
          <Tabs.Tab value="definition">Definition</Tabs.Tab>
          <Tabs.Tab value="versions">Versions</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="report"><Loaded query={report}>{(data) => <Report report={data} />}</Loaded></Tabs.Panel>
        <Tabs.Panel value="firings"><Firings id={rule.id} /></Tabs.Panel>
        <Tabs.Panel value="definition"><Definition rule={rule} /></Tabs.Panel>
        <Tabs.Panel value="versions"><Versions rule={rule} /></Tabs.Panel>
      </Tabs>
    </>
  );
}

function Turn({ rule }: { rule: Rule }) {
  const client = useQueryClient();
  const live = rule.status === "live";
  const turn = async () => {
    try {
      await call(`/rules/${rule.id}/${live ? "pause" : "resume"}`, { method: "POST" });
      await client.invalidateQueries();
      notifications.show({ message: live ? `“${rule.name}” is paused.` : `“${rule.name}” fires again from now on.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "That did not work" });
    }
  };
  return <Button variant="default" leftSection={live ? <IconPlayerPause size={16} aria-hidden /> : <IconPlayerPlay size={16} aria-hidden />} onClick={() => void turn()}>{live ? "Pause" : "Resume"}</Button>;
}

const points = (value: number) => `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)}`;

function Report({ report }: { report: RuleReport }) {
  const days = report.by_day;
  return (
    <>
      <Section title="Firings by day" note={`the last ${report.days} days`}>
        {report.firings === 0
          ? <p className="muted" style={{ padding: "12px 0" }}>It has not fired in these days.</p>
          : <>
              <LazyChart kind="bar" label="Firings by day" height={200} labels={days.map((day) => day.day)} series={[{ name: "Firings", values: days.map((day) => day.count), tone: "accent" }]} />
              <details><summary className="muted small">As a table</summary>
                <table className="list dense"><thead><tr><th scope="col">Day</th><th scope="col" className="right">Firings</th></tr></thead>
                  <tbody>{days.filter((day) => day.count > 0).map((day) => <tr key={day.day}><td>{day.day}</td><td className="right">{count(day.count)}</td></tr>)}</tbody></table>
              </details>
            </>}
      </Section>
      <Section title="What followed" note={`“${report.goal_event}” within ${report.goal_days} days`}>
        <div className="tablewrap" tabIndex={0} role="region" aria-label="What followed">
          <table className="list">
            <thead><tr><th scope="col">Group</th><th scope="col" className="right">Did it</th><th scope="col" className="right">Of</th><th scope="col" className="right">Share</th><th scope="col" className="right wide">Still open</th></tr></thead>
            <tbody>
              <tr><td><span className="main">It fired</span><div className="muted small">Counted from the first firing.</div></td><td className="right">{count(report.fired.did)}</td><td className="right">{count(report.fired.people)}</td><td className="right">{share(report.fired.did, report.fired.people)}</td><td className="right wide">{count(report.fired.open)}</td></tr>
              {report.near && <tr><td><span className="main">Just below</span><div className="muted small">{report.near_is}</div></td><td className="right">{count(report.near.did)}</td><td className="right">{count(report.near.people)}</td><td className="right">{share(report.near.did, report.near.people)}</td><td className="right wide">{count(report.near.open)}</td></tr>}
            </tbody>
          </table>
        </div>
        {!report.near && <p className="muted" style={{ paddingTop: 12 }}>{report.near_is}</p>}
        {report.difference && <p style={{ paddingTop: 12 }}><strong>{points(report.difference.value)} points</strong> <span className="muted">({points(report.difference.low)} to {points(report.difference.high)}, 95 % interval)</span></p>}
        <p className="muted" style={{ paddingTop: 8, maxWidth: "72ch" }} data-testid="sentence">{report.sentence}</p>
      </Section>
    </>
  );
}

function Firings({ id }: { id: string }) {
  const list = useListing<RuleFiring>(`/rules/${id}/firings`);
  return (
    <List
      list={list}
      label="Firings"
      id={(row) => row.id}
      columns={[
        { title: "Who", render: (row) => <A to={`/profiles/${row.profile_id}`} className="main">{row.display ?? `Profile ${row.profile_id}`}</A> },
        { title: "When", stack: true, render: (row) => <When at={row.at} /> },
        { title: "Because of", wide: true, render: (row) => row.cause },
        { title: "What was done", render: (row) => <>{row.actions.map((action, index) => <div key={index} className="wrap">{aboutAction(action)}{action.done === false && <span className="warn"> – not done</span>}</div>)}</> },
      ]}
      empty={<Empty title="It has not fired yet">It fires when its condition becomes true for somebody from now on.</Empty>}
    />
  );
}

function Definition({ rule }: { rule: Rule }) {
  const { definition } = rule;
  return (
    <>
      <Section title="When" note={definition.on ? `asked after each “${definition.on}”` : "when it becomes true"}>
        <pre className="code">{definition.where}</pre>
        <p className="muted" style={{ paddingTop: 8 }}>{rule.sentence}</p>
      </Section>
      <Section title="What is done">
        <ul className="rows">{definition.actions.map((action, index) => <li key={index}>{aboutAction(action)}</li>)}</ul>
      </Section>
      <Section title="Why it is so">
        <dl className="kv">
          <dt>Threshold</dt><dd>{definition.threshold || "–"}</dd>
          <dt>Time frame</dt><dd>{definition.time_frame || "–"}</dd>
          <dt>Owner</dt><dd>{definition.owner || "–"}</dd>
          <dt>Review</dt><dd>{definition.review_at || "–"}</dd>
          <dt>When saved</dt><dd>{definition.fire_on_save ? "fires for those it finds already" : "does not fire for those it finds already"}</dd>
        </dl>
      </Section>
    </>
  );
}

function Versions({ rule }: { rule: Rule }) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = async () => {
    try {
      await call(`/rules/${rule.id}`, { method: "DELETE" });
      await navigate({ to: "/rules" as never });
      await client.invalidateQueries();
      notifications.show({ message: `“${rule.name}” is removed.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Removing failed" });
    }
    setAsking(false);
  };
  return (
    <>
      <ul className="rows">
        {rule.versions.map((version, index) => (
          <li key={version.version} style={{ flexWrap: "wrap" }}>
            <strong>Version {version.version}</strong><Status of={version.status} />{index === 0 && <span className="muted">in force</span>}<span className="muted">by {version.author}, <When at={version.at} /></span>
            <pre className="code" style={{ flexBasis: "100%" }}>{(version.definition as { where?: string }).where}</pre>
          </li>
        ))}
      </ul>
      <p style={{ marginTop: 28 }}><Button variant="default" c="var(--bad)" onClick={() => setAsking(true)}>Remove this rule</Button></p>
      <Modal opened={asking} onClose={() => setAsking(false)} title="Remove this rule" closeButtonProps={{ "aria-label": "Close" }}>
        <p>It fires no more. Its firings stay in the events, and its versions are kept.</p>
        <div style={{ display: "flex", gap: 8, marginTop: 16 }}>
          <Button color="red" onClick={() => void remove()}>Remove “{rule.name}”</Button>
          <Button variant="default" data-autofocus onClick={() => setAsking(false)}>Keep it</Button>
        </div>
      </Modal>
    </>
  );
}
