/** RFM: who buys how recently, how often and for how much; what the models expect; each count opens. */
import { Button, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconRefresh } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, useGet, type Rfm, type RfmCell, type RfmModel } from "../api";
import { count, share } from "../format";
import { A, Empty, Figure, Figures, Head, Loaded, Section, Trouble, When } from "../parts/parts";

const ABOUT: Record<string, string> = {
  "champions": "Bought lately and often",
  "loyal": "Buy often, and not long ago",
  "potential loyalist": "Bought lately, and more than once",
  "new": "Bought for the first time, just now",
  "promising": "Bought for the first time, lately",
  "needs attention": "In the middle of everything",
  "about to sleep": "Seldom, and a while ago",
  "at risk": "Bought often, but not for long",
  "cannot lose": "Bought most often, and stay away",
  "hibernating": "Seldom, and long ago",
  "lost": "Seldom, and longest ago",
};

export function RfmPage() {
  const found = useGet<Rfm>("/rfm", 30_000);
  return <Loaded query={found} lines={12}>{(data) => <Body found={data} />}</Loaded>;
}

function Body({ found }: { found: Rfm }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const refresh = async () => {
    setBusy(true);
    setRefusal(null);
    try {
      const now = await call<Rfm>("/rfm/refresh", { method: "POST" });
      await client.invalidateQueries();
      notifications.show({ message: `Refreshed: the figures of ${count(now.changed)} of ${count(now.customers)} customers changed.`, closeButtonProps: { "aria-label": "Close" } });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("It could not be refreshed"));
    } finally {
      setBusy(false);
    }
  };
  const button = <Button variant="default" leftSection={<IconRefresh size={16} aria-hidden />} loading={busy} onClick={() => void refresh()}>Refresh now</Button>;
  return (
    <>
      <Head title="RFM and predictions" line={found.refreshed_at ? <>How recently, how often and for how much people buy, beside each other. Refreshed <When at={found.refreshed_at} />{found.due_at && <>, next <When at={found.due_at} /></>}.</> : "How recently, how often and for how much people buy, beside each other."}>{button}</Head>
      {refusal && <Trouble error={refusal} title="It was not refreshed" />}
      {!found.refreshed_at && <Empty title="Not computed yet" example={'rfm_group = "champions" and churn_risk < 0.3'}>A refresh reads all orders and writes attributes such as <code className="mono">rfm_group</code>, <code className="mono">churn_risk</code> and <code className="mono">predicted_value</code>, which conditions and templates can ask for. {found.due_at && <>The next one is due <When at={found.due_at} />; or refresh now.</>}</Empty>}
      {found.refreshed_at && (
        <>
          <Figures>
            <Figure name="Customers" value={found.customers} to="/profiles" search={{ where: "rfm_group is present" }} note="profiles with an order" />
            <Figure name="Bought again" value={found.repeat_customers} note={`${share(found.repeat_customers, found.customers)} of them`} />
            <Figure name="Orders" value={found.orders} />
            <Figure name="Spent together" value={Math.round(found.value)} note="in the currency of the orders" />
          </Figures>
          <div className="two">
            <Section title="The grid" note="customers, and what each has spent on average">
              <Grid cells={found.grid} />
            </Section>
            <Section title="Groups" note="each opens its people">
              <div className="tablewrap" tabIndex={0} role="region" aria-label="Groups">
                <table className="list dense">
                  <thead><tr><th scope="col">Group</th><th scope="col" className="right">Customers</th><th scope="col" className="right wide">Spent</th>{found.value_model && <th scope="col" className="right wide" title="What the models expect of them together in the next 365 days">Expected in a year</th>}</tr></thead>
                  <tbody>
                    {found.groups.map((group) => (
                      <tr key={group.name}>
                        <td><span className="main">{group.name[0]?.toUpperCase()}{group.name.slice(1)}</span><div className="muted small">{ABOUT[group.name]}</div></td>
                        <td className="right">{group.count ? <A to="/profiles" search={{ where: group.where }} className="open" aria-label={`${group.count} customers: ${group.name}`}><strong>{count(group.count)}</strong></A> : <span className="muted">0</span>}</td>
                        <td className="right wide">{count(Math.round(group.value))}</td>
                        {found.value_model && <td className="right wide">{count(Math.round(group.predicted_value ?? 0))}</td>}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </Section>
          </div>
          <div className="two">
            <Model title="When people buy" model={found.orders_model ?? null} name="BG/NBD" words={ordersInWords(found.orders_model ?? null)} />
            <Model title="What an order is worth" model={found.value_model ?? null} name="Gamma-Gamma" words={valueInWords(found.value_model ?? null)} />
          </div>
        </>
      )}
      <Setup key={JSON.stringify(found.settings)} found={found} />
    </>
  );
}

function Grid({ cells }: { cells: RfmCell[] }) {
  const top = Math.max(1, ...cells.map((cell) => cell.count));
  const at = (recency: number, frequency: number) => cells.find((cell) => cell.recency === recency && cell.frequency === frequency);
  return (
    <table className="heat" data-testid="heat">
      <caption className="muted small">Down: how recently somebody bought, 5 is the latest fifth. Across: how often, 5 is the most.</caption>
      <thead><tr><td />{[1, 2, 3, 4, 5].map((frequency) => <th key={frequency} scope="col"><span className="wide">Frequency </span>{frequency}</th>)}</tr></thead>
      <tbody>
        {[5, 4, 3, 2, 1].map((recency) => (
          <tr key={recency}>
            <th scope="row">Recency {recency}</th>
            {[1, 2, 3, 4, 5].map((frequency) => {
              const cell = at(recency, frequency);
              const part = Math.sqrt((cell?.count ?? 0) / top);
              return (
                <td key={frequency} style={{ "--part": part } as React.CSSProperties} title={cell?.group}>
                  {cell && cell.count > 0
                    ? <A to="/profiles" search={{ where: `rfm_recency = ${recency} and rfm_frequency = ${frequency}` }} aria-label={`${cell.count} customers, recency ${recency}, frequency ${frequency}: ${cell.group}`}><strong className="num">{count(cell.count)}</strong><span className="small num">{count(Math.round(cell.mean_value ?? 0))}</span></A>
                    : <span className="muted">0</span>}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const of = (model: RfmModel | null, name: string) => model?.parameters.find((one) => one.name === name)?.value ?? 0;
const short = (value: number) => String(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)));

function ordersInWords(model: RfmModel | null): string {
  if (!model) return "";
  const days = of(model, "alpha") / of(model, "r");
  const leaves = of(model, "a") / (of(model, "a") + of(model, "b"));
  return `Somebody new buys about every ${short(days)} days while a customer, and after each further order leaves for good with a chance of ${Math.round(leaves * 100)} %.`;
}

function valueInWords(model: RfmModel | null): string {
  if (!model) return "";
  const q = of(model, "q");
  return q > 1 ? `A day with orders of somebody of whom nothing is known yet is worth ${short((of(model, "p") * of(model, "v")) / (q - 1))} on average.` : "What people spend differs so much that there is no average to name.";
}

function Model({ title, model, name, words }: { title: string; model: RfmModel | null; name: string; words: string }) {
  return (
    <Section title={title} note={name}>
      {!model && <p className="muted" style={{ padding: "10px 0" }}>Too few people have bought again to fit the model. It needs 30 customers, and ten of them more than once.</p>}
      {model && (
        <>
          <p style={{ padding: "10px 0" }}>{words}</p>
          <dl className="kv tight">
            {model.parameters.map((one) => (
              <div key={one.name} style={{ display: "contents" }}><dt>{one.name}</dt><dd><span className="num">{short(one.value)}</span> {one.low !== null && one.low !== undefined && one.high !== null && one.high !== undefined ? <span className="muted">from {short(one.low)} to {short(one.high)} with 95 % confidence</span> : <span className="muted">the orders do not say how certain</span>}</dd></div>
            ))}
            <dt>Log-likelihood</dt><dd><span className="num">{model.log_likelihood.toFixed(1)}</span> <span className="muted">of {count(model.customers)} customers</span></dd>
          </dl>
        </>
      )}
    </Section>
  );
}

/** What is read, and when. */
function Setup({ found }: { found: Rfm }) {
  const client = useQueryClient();
  const [event, setEvent] = useState(found.settings.event);
  const [revenue, setRevenue] = useState(found.settings.revenue.join(", "));
  const [schedule, setSchedule] = useState(found.settings.schedule);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const changed = event !== found.settings.event || revenue !== found.settings.revenue.join(", ") || schedule !== found.settings.schedule;
  const save = async () => {
    setRefusal(null);
    try {
      const names = revenue.split(",").map((name) => name.trim()).filter(Boolean);
      await call("/rfm/settings", { method: "PUT", body: { event: event.trim(), revenue: names, schedule: schedule.trim() } });
      await client.invalidateQueries();
      notifications.show({ message: "Saved. It takes effect with the next refresh.", closeButtonProps: { "aria-label": "Close" } });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("It could not be saved"));
    }
  };
  return (
    <Section title="What is read, and when">
      {refusal && <Trouble error={refusal} title="It was not saved" />}
      <form className="form" style={{ paddingTop: 12 }} onSubmit={(submitted) => { submitted.preventDefault(); void save(); }}>
        <TextInput label="The event that is an order" value={event} onChange={(change) => setEvent(change.currentTarget.value)} />
        <TextInput label="The property that holds its value" description="The first of these that is a number" value={revenue} onChange={(change) => setRevenue(change.currentTarget.value)} />
        <TextInput label="When it is refreshed" description="Minute, hour, day, month, weekday, in the time zone of the workspace: 0 3 * * * is three o'clock every night" value={schedule} onChange={(change) => setSchedule(change.currentTarget.value)} />
        <div className="formend"><Button type="submit" variant="default" disabled={!changed}>Save</Button></div>
      </form>
    </Section>
  );
}
