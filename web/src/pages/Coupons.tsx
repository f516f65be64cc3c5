/** Coupons: pools of codes, how far they are used, and whom each code was given to. */
import { Button, Modal, NumberInput, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { call, useGet, useListing } from "../api";
import type { CodesAdded, CouponPool, GivenCoupon } from "../api.gen";
import { count, share } from "../format";
import { A, Empty, Figure, Figures, Head, List, Loaded, Section, Status, Trouble, When } from "../parts/parts";

const failed = (error: unknown, words: string) => (error instanceof Error ? error : new Error(words));
const at = (id: string) => `/coupons/${encodeURIComponent(id)}`;

export function Coupons() {
  const list = useListing<CouponPool>("/coupons", {}, 30_000);
  const [making, setMaking] = useState(false);
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setMaking(true)}>New pool</Button>;
  return (
    <>
      <Head title="Coupons" line="Each person is given one code for each step of a campaign, the same one on every retry. A preview gives none away.">{create}</Head>
      <List list={list} label="Pools" id={(row) => row.id} columns={[
        { title: "Pool", render: (row) => <><A to={at(row.id)} className="main">{row.id}</A><div className="muted small mono">{row.pattern ?? "uploaded codes"}</div></> },
        { title: "State", stack: true, render: (row) => (row.alert ? <Status of="warn" label={row.alert.replace(/^'[^']*' (is |has )?/, "")} /> : <Status of="live" label="Ready" />) },
        { title: "Free", right: true, render: (row) => (row.free === null || row.free === undefined ? <span className="muted">no end</span> : count(row.free)) },
        { title: "Given", right: true, wide: true, render: (row) => count(row.assigned) },
        { title: "Came back", right: true, wide: true, render: (row) => <>{count(row.redeemed)} <span className="muted small">{share(row.redeemed, row.assigned)}</span></> },
        { title: "Until", wide: true, render: (row) => <When at={row.expires_at} /> },
      ]} empty={<Empty title="No pool yet" action={create} example={"{% coupon \"SPRING\" %}"}>Upload codes that your shop knows, or give a pattern by which they are made. A mail whose pool is empty is skipped with that reason.</Empty>} />
      <Modal opened={making} onClose={() => setMaking(false)} title="New pool" size="lg" closeButtonProps={{ "aria-label": "Close" }}>{making && <Make />}</Modal>
    </>
  );
}

function Make() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [id, setId] = useState("");
  const [kind, setKind] = useState("codes");
  const [pattern, setPattern] = useState("SPRING-******");
  const [until, setUntil] = useState("");
  const [low, setLow] = useState<number | string>(100);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const make = async () => {
    setBusy(true);
    setRefusal(null);
    try {
      await call(at(id), { method: "PUT", body: { pattern: kind === "made" ? pattern : null, low_at: Number(low) || 0, expires_at: until || null } });
      await client.invalidateQueries();
      void navigate({ to: at(id) as never });
    } catch (error) {
      setRefusal(failed(error, "It could not be made"));
      setBusy(false);
    }
  };
  return (
    <div style={{ display: "grid", gap: 14 }}>
      <TextInput label="Name" description="As templates and journeys ask for it: letters, digits, hyphens." value={id} onChange={(event) => setId(event.currentTarget.value)} data-autofocus />
      <SegmentedControl aria-label="Where codes come from" data={[{ value: "codes", label: "Uploaded" }, { value: "made", label: "Made by a pattern" }]} value={kind} onChange={setKind} />
      {kind === "made" && <TextInput label="Pattern" description="? is a letter, # a digit, * either; at least six places vary." value={pattern} onChange={(event) => setPattern(event.currentTarget.value)} />}
      <TextInput label="Worth something until" type="date" value={until} onChange={(event) => setUntil(event.currentTarget.value)} />
      {kind === "codes" && <NumberInput label="Warn when so few are free" min={0} value={low} onChange={setLow} />}
      {refusal && <Trouble error={refusal} title="It was not made" />}
      <div><Button onClick={() => void make()} loading={busy} disabled={!id.trim()}>Make the pool</Button></div>
    </div>
  );
}

export function CouponPoolPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const pools = useGet<{ items: CouponPool[] }>("/coupons", 30_000);
  return <Loaded query={pools} lines={8}>{(data) => {
    const pool = data.items.find((one) => one.id === id);
    return pool ? <Body pool={pool} /> : <Trouble error={new Error(`There is no pool '${id}'.`)} title="This is not here" />;
  }}</Loaded>;
}

function Body({ pool }: { pool: CouponPool }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [codes, setCodes] = useState("");
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const given = useListing<GivenCoupon>(`${at(pool.id)}/codes`);
  const add = async () => {
    setBusy(true);
    setRefusal(null);
    try {
      const added = await call<CodesAdded>(`${at(pool.id)}/codes`, { method: "POST", body: { codes } });
      setCodes("");
      await client.invalidateQueries();
      notifications.show({ message: `${count(added.added)} codes added, ${count(added.known)} there already, ${count(added.refused)} refused.`, closeButtonProps: { "aria-label": "Close" } });
    } catch (error) {
      setRefusal(failed(error, "They could not be added"));
    } finally {
      setBusy(false);
    }
  };
  const remove = async () => {
    if (!window.confirm(`Remove the pool ${pool.id} with its codes? Mails that ask for it are skipped from then on.`)) return;
    try {
      await call(at(pool.id), { method: "DELETE" });
      await client.invalidateQueries();
      void navigate({ to: "/coupons" as never });
    } catch (error) {
      setRefusal(failed(error, "It could not be removed"));
    }
  };
  return (
    <>
      <Head title={pool.id} back={{ to: "/coupons", label: "Coupons" }} line={pool.pattern ? <>Made by the pattern <code className="mono">{pool.pattern}</code>.</> : "Uploaded codes, given in their order."} status={pool.alert ? <Status of="warn" label={pool.alert.replace(/^'[^']*' (is |has )?/, "")} /> : <Status of="live" label="Ready" />}><Button variant="default" onClick={() => void remove()}>Remove</Button></Head>
      {refusal && <Trouble error={refusal} title="It did not work" />}
      <Figures>
        <Figure name="Free" value={pool.free ?? "no end"} note={pool.free === null || pool.free === undefined ? "codes are made as they are needed" : `a warning at ${count(pool.low_at)}`} />
        <Figure name="Given" value={pool.assigned} />
        <Figure name="Came back" value={pool.redeemed} note={`${share(pool.redeemed, pool.assigned)} of those given`} />
        <Figure name="Worth something until" value={pool.expires_at ? pool.expires_at.slice(0, 10) : "no end"} />
      </Figures>
      {!pool.pattern && (
        <Section title="Add codes" note="one a line">
          <div style={{ display: "grid", gap: 10, paddingTop: 8, maxWidth: 560 }}>
            <Textarea aria-label="Codes" autosize minRows={4} maxRows={12} placeholder={"A1B2C3\nD4E5F6"} value={codes} onChange={(event) => setCodes(event.currentTarget.value)} />
            <div><Button onClick={() => void add()} loading={busy} disabled={!codes.trim()}>Add</Button></div>
          </div>
        </Section>
      )}
      <Section title="Given" note="whom each code was given to, and what came back">
        <List list={given} label="Given codes" id={(row) => row.code} columns={[
          { title: "Code", render: (row) => <span className="mono">{row.code}</span> },
          { title: "Profile", render: (row) => (row.profile ? <A to={`/profiles/${row.profile}`} className="link">{row.profile}</A> : "–") },
          { title: "Message", wide: true, render: (row) => (row.message ? <A to={`/messages/${row.message}`} className="link mono small" aria-label={`The message with ${row.code}`}>{row.message.slice(0, 8)}</A> : "–") },
          { title: "Given", wide: true, render: (row) => <When at={row.assigned_at} /> },
          { title: "Came back", stack: true, render: (row) => (row.redeemed_at ? <><When at={row.redeemed_at} />{row.order_id && <span className="muted small"> with {row.order_id}</span>}</> : <span className="muted">not yet</span>) },
        ]} empty={<p className="muted" style={{ padding: "10px 0" }}>Nobody was given one yet.</p>} />
      </Section>
    </>
  );
}
