/** Settings: the workspace, its keys, how mail leaves, and the record that signs it. */
import { Button, CopyButton, Modal, NumberInput, PasswordInput, Select, Tabs, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { call, useGet, useListing, type Key, type Settings } from "../api";
import { plain, words } from "../format";
import { Empty, Head, List, Loaded, Section, Status, When } from "../parts/parts";
import { Pair } from "./Profile";

const PLACES = ["workspace", "keys", "transport", "dkim", "server"];

export function SettingsPage() {
  const search = useSearch({ strict: false }) as { tab?: string };
  const navigate = useNavigate();
  const settings = useGet<Settings>("/settings");
  const tab = PLACES.includes(search.tab ?? "") ? search.tab : "workspace";
  return (
    <>
      <Head title="Settings" line="What holds for the whole workspace." />
      <Tabs value={tab} onChange={(value) => void navigate({ to: "/settings" as never, search: { tab: value } as never, replace: true })}>
        <Tabs.List mb={24}>
          <Tabs.Tab value="workspace">Workspace</Tabs.Tab><Tabs.Tab value="keys">Keys</Tabs.Tab><Tabs.Tab value="transport">Transport</Tabs.Tab><Tabs.Tab value="dkim">DKIM</Tabs.Tab><Tabs.Tab value="server">Server</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="workspace"><Loaded query={settings}>{(data) => <Workspace settings={data} />}</Loaded></Tabs.Panel>
        <Tabs.Panel value="keys"><Keys /></Tabs.Panel>
        <Tabs.Panel value="transport"><Loaded query={settings}>{(data) => <Transport settings={data} />}</Loaded></Tabs.Panel>
        <Tabs.Panel value="dkim"><Dkim /></Tabs.Panel>
        <Tabs.Panel value="server"><Loaded query={settings}>{(data) => <dl className="kv" style={{ maxWidth: 640 }}><Pair name="Data directory">{data.data_dir ?? "–"}</Pair><Pair name="Store">{words(data.store)}</Pair>{Object.entries(data.limits ?? {}).map(([name, value]) => <Pair key={name} name={words(name)}>{plain(value)}</Pair>)}</dl>}</Loaded></Tabs.Panel>
      </Tabs>
    </>
  );
}

function useSave(path: string) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const save = async (body: unknown) => {
    setBusy(true);
    try {
      await call(path, { method: "PUT", body });
      await client.invalidateQueries();
      notifications.show({ message: "Saved." });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Saving failed" });
    } finally {
      setBusy(false);
    }
  };
  return { busy, save };
}

const FIELDS: [string, string, string][] = [
  ["name", "Name", "Shown in the console and on pages your recipients see"],
  ["timezone", "Time zone", "Used for a person whose own zone is not known"],
  ["from_name", "Sender name", ""],
  ["from_email", "Sender address", "Its domain should be the one that DKIM signs for"],
  ["reply_to", "Reply to", ""],
  ["postal_address", "Postal address", "Stands at the foot of every marketing mail, as the law asks"],
  ["brand_color", "Brand colour", "Used on the pages your recipients see"],
];

function Workspace({ settings }: { settings: Settings }) {
  const [form, setForm] = useState<Record<string, string>>(() => Object.fromEntries(FIELDS.map(([key]) => [key, String(settings.workspace?.[key] ?? "")])));
  const { busy, save } = useSave("/settings/workspace");
  return (
    <form style={{ maxWidth: 480, display: "grid", gap: 16 }} onSubmit={(event) => { event.preventDefault(); void save(form); }}>
      {FIELDS.map(([key, label, description]) => <TextInput key={key} label={label} description={description || undefined} value={form[key] ?? ""} onChange={(event) => { const { value } = event.currentTarget; setForm((old) => ({ ...old, [key]: value })); }} />)}
      <div><Button type="submit" loading={busy}>Save</Button></div>
    </form>
  );
}

function Transport({ settings }: { settings: Settings }) {
  const given = settings.transport ?? { kind: "inbox" };
  const [kind, setKind] = useState(given.kind);
  const [host, setHost] = useState(given.host ?? "");
  const [port, setPort] = useState<number | string>(given.port ?? 587);
  const [tls, setTls] = useState(given.tls ?? "starttls");
  const [username, setUsername] = useState(given.username ?? "");
  const [password, setPassword] = useState("");
  const { busy, save } = useSave("/settings/transport");
  const body = kind === "inbox" ? { kind } : { kind, host, port: Number(port), tls, username: username || null, ...(password ? { password } : {}) };
  return (
    <form style={{ maxWidth: 480, display: "grid", gap: 16 }} onSubmit={(event) => { event.preventDefault(); void save(body); }}>
      <Select label="How mail leaves" allowDeselect={false} value={kind} onChange={(value) => setKind(value ?? "inbox")} data={[{ value: "inbox", label: "Built-in inbox: nothing leaves" }, { value: "smtp", label: "SMTP relay" }]} />
      {kind === "inbox" && <p className="muted">Messages are composed, signed and kept here to look at. Nothing reaches a real mailbox.</p>}
      {kind === "smtp" && (
        <>
          <TextInput label="Host" required value={host} onChange={(event) => setHost(event.currentTarget.value)} />
          <NumberInput label="Port" min={1} max={65535} value={port} onChange={setPort} hideControls />
          <Select label="Encryption" allowDeselect={false} value={tls} onChange={(value) => setTls(value ?? "starttls")} data={[{ value: "starttls", label: "STARTTLS" }, { value: "implicit", label: "TLS from the first byte" }, { value: "none", label: "None, for a relay on this machine" }]} />
          <TextInput label="User name" value={username} onChange={(event) => setUsername(event.currentTarget.value)} autoComplete="off" />
          <PasswordInput label="Password" description={given.has_password ? "One is stored; leave this empty to keep it" : undefined} value={password} onChange={(event) => setPassword(event.currentTarget.value)} autoComplete="new-password" />
        </>
      )}
      <div><Button type="submit" loading={busy}>Save</Button></div>
    </form>
  );
}

function Keys() {
  const list = useListing<Key>("/keys");
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [kind, setKind] = useState("server");
  const [made, setMade] = useState<Key | null>(null);
  const [leaving, setLeaving] = useState<Key | null>(null);
  const [asking, setAsking] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const act = async (work: () => Promise<void>) => {
    try {
      await work();
      await client.invalidateQueries({ queryKey: ["list", "/keys"] });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "This did not work" });
    }
  };
  const revoke = async () => {
    setAsking(false);
    if (leaving) await act(() => call(`/keys/${leaving.id}`, { method: "DELETE" }));
    // The button that opened the dialog went away with its row.
    window.setTimeout(() => {
      if (document.activeElement === null || document.activeElement === document.body) field.current?.focus();
    }, 150);
  };
  return (
    <>
      <form className="filters" style={{ alignItems: "flex-end" }} onSubmit={(event) => { event.preventDefault(); void act(async () => { setMade(await call<Key>("/keys", { method: "POST", body: { name: name.trim(), kind } })); setName(""); }); }}>
        <TextInput ref={field} label="New key" placeholder="Web shop" value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select label="For" allowDeselect={false} value={kind} onChange={(value) => setKind(value ?? "server")} data={[{ value: "browser", label: "Browser: may only send events" }, { value: "server", label: "Server: trusted events" }, { value: "api", label: "API: everything" }]} w={250} />
        <Button type="submit" disabled={!name.trim()}>Create key</Button>
      </form>
      {made?.key && (
        <div className="notice warn" role="status">
          <p>This key is shown once. Store it now.</p>
          <div style={{ display: "flex", gap: 12, alignItems: "center", marginTop: 6 }}><code className="mono wrap">{made.key}</code><CopyButton value={made.key}>{({ copied, copy }) => <Button size="compact-sm" variant="default" onClick={copy}>{copied ? "Copied" : "Copy"}</Button>}</CopyButton></div>
        </div>
      )}
      <List list={list} label="Keys" id={(row) => row.id} columns={[
        { title: "Name", render: (row) => <span style={{ fontWeight: 540 }}>{row.name}</span> },
        { title: "For", stack: true, render: (row) => <Status of="draft" label={words(row.kind)} /> },
        { title: "Created", wide: true, render: (row) => <When at={row.created_at} /> },
        { title: "Action", right: true, render: (row) => <button type="button" className="plainbutton link small" onClick={() => { setLeaving(row); setAsking(true); }} aria-label={`Revoke ${row.name}`}>Revoke</button> },
      ]} empty={<Empty title="No key yet">A key lets a site, a server or a script speak to this workspace.</Empty>} />
      <Modal opened={asking} onClose={() => setAsking(false)} title="Revoke this key" closeButtonProps={{ "aria-label": "Close" }}>
        <p>Whatever uses “{leaving?.name}” is refused from now on. This cannot be taken back.</p>
        <div style={{ display: "flex", gap: 8, marginTop: 16 }}>
          <Button color="red" onClick={() => void revoke()}>Revoke</Button>
          <Button variant="default" data-autofocus onClick={() => setAsking(false)}>Keep it</Button>
        </div>
      </Modal>
    </>
  );
}

type DkimRecord = { selector: string; algorithm: string; record_name: string; record_value: string };

function Dkim() {
  const dkim = useGet<{ records: DkimRecord[] }>("/dkim");
  return (
    <Loaded query={dkim}>
      {(data) => (
        <div style={{ maxWidth: 720 }}>
          <p style={{ marginBottom: 16 }}>Every mail is signed once with each key. Publish a TXT record for each, so that receivers can check the signatures.</p>
          {data.records.map((record) => (
            <Section key={record.selector} title={record.algorithm === "rsa" ? "RSA" : "Ed25519"} more={<CopyButton value={record.record_value}>{({ copied, copy }) => <Button size="compact-xs" variant="subtle" onClick={copy}>{copied ? "Copied" : "Copy value"}</Button>}</CopyButton>}>
              <pre className="code" tabIndex={0} style={{ marginTop: 8 }}>{record.record_name}</pre>
              <pre className="code" tabIndex={0} style={{ marginTop: 8 }}>{record.record_value}</pre>
            </Section>
          ))}
        </div>
      )}
    </Loaded>
  );
}
