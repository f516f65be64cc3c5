/** Keys: made, shown once, copied, revoked. */
import { Button, Modal, Radio, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { call, useListing, type Key } from "../api";
import { words } from "../format";
import { Empty, List, Status, Trouble, When } from "../parts/parts";
import { CodeBlock } from "../parts/Value";
import { Snippets } from "./Collector";

const KINDS = [
  { value: "server", label: "A server", about: "May send events that are trusted, for instance about orders." },
  { value: "browser", label: "A page or app", about: "May only send events; public, so what it says is taken with care." },
  { value: "api", label: "A program", about: "May do all that this console can. Keep it secret." },
];

export function Keys() {
  const list = useListing<Key & { hint?: string }>("/keys");
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [leaving, setLeaving] = useState<Key | null>(null);
  const [asking, setAsking] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const revoke = async () => {
    setAsking(false);
    try {
      if (leaving) await call(`/keys/${leaving.id}`, { method: "DELETE" });
      await client.invalidateQueries({ queryKey: ["list", "/keys"] });
      notifications.show({ message: `“${leaving?.name}” is revoked.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "Revoking failed" });
    }
    // The button that opened the dialog went away with its row.
    window.setTimeout(() => {
      if (document.activeElement === null || document.activeElement === document.body) opener.current?.focus();
    }, 150);
  };
  const create = <Button ref={opener} leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setMaking(true)}>New key</Button>;
  return (
    <>
      <div className="filters"><p className="muted" style={{ flex: 1, minWidth: 200 }}>A key lets a site, a server or a program speak to this workspace. It is shown once, when it is made.</p>{list.rows.length > 0 && create}</div>
      <List list={list} label="Keys" id={(row) => row.id} columns={[
        { title: "Name", render: (row) => <><span className="main">{row.name}</span> {row.hint && <span className="muted mono small">{row.hint}</span>}</> },
        { title: "For", stack: true, render: (row) => <Status of={row.kind === "api" ? "warn" : "draft"} label={KINDS.find((kind) => kind.value === row.kind)?.label ?? words(row.kind)} /> },
        { title: "Made", wide: true, render: (row) => <When at={row.created_at} /> },
        { title: "Action", right: true, render: (row) => <button type="button" className="plainbutton link small" onClick={() => { setLeaving(row); setAsking(true); }} aria-label={`Revoke ${row.name}`}>Revoke</button> },
      ]} empty={<Empty title="No key yet" action={create}>Make one for your shop's server, paste it into the SDK, and events flow in.</Empty>} />
      <Modal opened={making} onClose={() => setMaking(false)} title="New key" size="lg" closeButtonProps={{ "aria-label": "Close" }}>{making && <Make done={() => setMaking(false)} />}</Modal>
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

function Make({ done }: { done: () => void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState("server");
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState<Key | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const client = useQueryClient();
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      setMade(await call<Key>("/keys", { method: "POST", body: { name: name.trim(), kind } }));
      await client.invalidateQueries({ queryKey: ["list", "/keys"] });
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("The key was not made"));
    } finally {
      setBusy(false);
    }
  };
  if (made?.key) {
    return (
      <div data-testid="made-key">
        <p style={{ marginBottom: 10 }}><IconKey size={14} aria-hidden /> This is “{made.name}”. It is shown now and never again: store it before you close this.</p>
        <CodeBlock text={made.key} label="The key" />
        {made.kind !== "api" && <div style={{ marginTop: 20 }}><p className="muted" style={{ marginBottom: 8 }}>Try it</p><Snippets writeKey={made.key} /></div>}
        <div style={{ marginTop: 20 }}><Button onClick={done}>I have stored it</Button></div>
      </div>
    );
  }
  return (
    <form className="form" onSubmit={(event) => { event.preventDefault(); void make(); }}>
      <TextInput label="Name" description="What it is for, so that you know what breaks when it is revoked" placeholder="Web shop" required data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <Radio.Group label="Who uses it" value={kind} onChange={setKind}>
        <div style={{ display: "grid", gap: 10, paddingTop: 6 }}>{KINDS.map((one) => <Radio key={one.value} value={one.value} label={one.label} description={one.about} />)}</div>
      </Radio.Group>
      {error && <Trouble error={error} title="The key was not made" />}
      <div className="formend"><Button type="submit" loading={busy} disabled={!name.trim()}>Create key</Button></div>
    </form>
  );
}
