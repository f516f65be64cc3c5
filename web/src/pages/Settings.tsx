/** Settings: the workspace, its keys, how mail leaves, the record that signs it, how events come in. */
import { Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useGet, type DkimRecords, type Settings } from "../api";
import { bytes, count, plain, words } from "../format";
import { Head, Loaded, Section, When } from "../parts/parts";
import { CodeBlock, Copy } from "../parts/Value";
import { Keys } from "./Keys";
import { Pair } from "./Profile";
import { Collector } from "./Collector";
import { Transport } from "./Transport";
import { Workspace } from "./Workspace";

const PLACES = [["workspace", "Workspace"], ["keys", "Keys"], ["collector", "Send events"], ["transport", "Transport"], ["dkim", "DKIM"], ["server", "Server"]] as const;

export function SettingsPage() {
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const settings = useGet<Settings>("/settings");
  const tab = PLACES.some(([place]) => place === search.tab) ? search.tab : "workspace";
  return (
    <>
      <Head title="Settings" line="What holds for the whole workspace." />
      <Tabs value={tab} onChange={(value) => void navigate({ to: "/settings" as never, search: { tab: value } as never, replace: true })}>
        <Tabs.List mb={24}>{PLACES.map(([value, label]) => <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="workspace"><Loaded query={settings}>{(data) => <Workspace settings={data} />}</Loaded></Tabs.Panel>
        <Tabs.Panel value="keys"><Keys /></Tabs.Panel>
        <Tabs.Panel value="collector"><Collector /></Tabs.Panel>
        <Tabs.Panel value="transport"><Loaded query={settings}>{(data) => <Transport settings={data} />}</Loaded></Tabs.Panel>
        <Tabs.Panel value="dkim"><Dkim /></Tabs.Panel>
        <Tabs.Panel value="server"><Loaded query={settings}>{(data) => <Server settings={data} />}</Loaded></Tabs.Panel>
      </Tabs>
    </>
  );
}

const LIMITS: Record<string, string> = { event_bytes_max: "Largest event", batch_bytes_max: "Largest batch", batch_events_max: "Most events in a batch" };
const STORES: Record<string, string> = { sqlite: "SQLite, in the data directory", postgres: "PostgreSQL" };

function Server({ settings }: { settings: Settings }) {
  const since = (settings as { since?: string }).since;
  return (
    <dl className="kv" style={{ maxWidth: 640 }}>
      {settings.data_dir && <Pair name="Data directory"><span className="mono">{settings.data_dir}</span> <Copy value={settings.data_dir} label="Copy the directory" /></Pair>}
      <Pair name="Store">{STORES[settings.store ?? ""] ?? words(settings.store)}</Pair>
      {since && <Pair name="Running since"><When at={since} /></Pair>}
      {Object.entries(settings.limits ?? {}).map(([name, value]) => <Pair key={name} name={LIMITS[name] ?? words(name)}>{typeof value === "number" ? (/bytes/.test(name) ? bytes(value) : count(value)) : plain(value)}</Pair>)}
    </dl>
  );
}

function Dkim() {
  const dkim = useGet<DkimRecords>("/dkim");
  return (
    <Loaded query={dkim}>
      {(data) => (
        <div style={{ maxWidth: 760 }}>
          <p style={{ marginBottom: 20 }}>Every mail is signed once with each of this workspace's keys. Publish one TXT record for each at your domain's name server, and receivers can tell that the mail is yours.</p>
          {data.records.map((record) => (
            <Section key={record.selector} title={record.algorithm === "rsa" ? "RSA" : "Ed25519"} note="TXT">
              <div style={{ marginTop: 10, display: "grid", gap: 10 }}>
                <CodeBlock text={record.record_name} label={`Name of the ${record.algorithm} record`} />
                <CodeBlock text={record.record_value} label={`Value of the ${record.algorithm} record`} />
                <CodeBlock text={`dig +short TXT ${record.record_name}`} label={`Command that looks up the ${record.algorithm} record`} />
              </div>
            </Section>
          ))}
        </div>
      )}
    </Loaded>
  );
}
