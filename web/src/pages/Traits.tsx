/** Traits: values computed from what people did, usable like attributes; how they are spread. */
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { call, useGet, useListing, type Trait, type TraitRow } from "../api";
import { count, words } from "../format";
import { A, Empty, Figure, Figures, Head, List, Loaded, Section, Status, Trouble, When } from "../parts/parts";
import { Bars, SpreadList, worth } from "../parts/Spread";

export function Traits() {
  const list = useListing<TraitRow>("/traits", {}, 30_000);
  const navigate = useNavigate();
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => void navigate({ to: "/traits/new" as never })}>New trait</Button>;
  return (
    <>
      <Head title="Traits" line="Values computed from what people did, true at every instant, asked for like attributes in conditions and templates.">{create}</Head>
      <List
        list={list}
        label="Traits"
        id={(row) => row.id}
        columns={[
          { title: "Trait", render: (row) => <><A to={`/traits/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description || row.sentence}</div></> },
          { title: "Spread", wide: true, render: (row) => <Bars bars={row.spread.histogram} label={`Values of ${row.name}, from ${worth(row.spread.min)} to ${worth(row.spread.max)}`} /> },
          { title: "Middle", right: true, wide: true, render: (row) => worth(row.spread.median) },
          { title: "Highest", right: true, wide: true, render: (row) => worth(row.spread.max) },
          { title: "Profiles", right: true, render: (row) => <A to="/profiles" search={{ where: `${row.name} is present` }} className="open" aria-label={`${row.spread.count} profiles with ${row.name}`}><strong>{count(row.spread.count)}</strong></A> },
        ]}
        empty={<Empty title="Compute something of everybody" action={create} example={'sum(revenue) of "Order Completed" in last 90 days'}>A trait is a figure with a name. It is filled from history and then stays true by itself.</Empty>}
      />
    </>
  );
}

export function TraitPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const found = useGet<Trait>(`/traits/${id}`);
  return <Loaded query={found} lines={10}>{(data) => <Body found={data} />}</Loaded>;
}

function Body({ found }: { found: Trait }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [refusal, setRefusal] = useState<Error | null>(null);
  const { spread } = found;
  const people = { where: `${found.name} is present` };
  const remove = async () => {
    if (!window.confirm(found.name === "engagement_score" ? "Take back this definition? The score becomes again what it ships as." : `Delete the trait ${found.name}? Templates that show it will show nothing.`)) return;
    setRefusal(null);
    try {
      await call(`/traits/${found.id}`, { method: "DELETE" });
      await client.invalidateQueries();
      notifications.show({ message: `${found.name} is gone.`, closeButtonProps: { "aria-label": "Close" } });
      void navigate({ to: "/traits" as never });
    } catch (error) {
      setRefusal(error instanceof Error ? error : new Error("It could not be deleted"));
    }
  };
  return (
    <>
      <Head title={found.name} back={{ to: "/traits", label: "Traits" }} line={found.description || undefined} status={found.ships ? <Status of="live" label="Ships with Rapport" /> : null}>
        {!found.ships && <Button variant="default" onClick={() => void remove()}>{found.name === "engagement_score" ? "Take back" : "Delete"}</Button>}
        <Button onClick={() => void navigate({ to: `/traits/${found.id}/edit` as never })}>{found.ships ? "Define otherwise" : "Edit"}</Button>
      </Head>
      {refusal && <Trouble error={refusal} title="It was not deleted" />}
      <Figures>
        <Figure name="Profiles with a value" value={spread.count} to="/profiles" search={people} note={spread.missing ? `${count(spread.missing)} have none` : "everybody has one"} />
        <Figure name="Lowest" value={worth(spread.min)} />
        <Figure name="Middle" value={worth(spread.median)} note="as many lie below as above" />
        <Figure name="Highest" value={worth(spread.max)} />
      </Figures>
      <div className="two">
        <Section title="What it is">
          <pre className="code" style={{ marginTop: 8 }}>{found.figure}</pre>
          <p className="muted" style={{ paddingTop: 10 }}>{found.sentence}</p>
          <p className="muted small" style={{ paddingTop: 10 }}>Ask for it in conditions, as in <code className="mono">{found.name} is present</code>, and in templates as <code className="mono">{`{{ customer.${found.name} }}`}</code>.</p>
        </Section>
        <Section title="How it is spread" note={`over ${count(spread.count + spread.missing)} profiles`}>
          <SpreadList spread={spread} />
        </Section>
      </div>
      <div className="two">
        <Section title="Used by">
          <ul className="rows">
            {found.used_by.map((one) => <li key={`${one.kind}${one.id}`}><A to={`/${one.kind}s/${one.id}`} className="main">{one.name}</A><span className="end muted small">{words(one.kind)}</span></li>)}
          </ul>
          {found.used_by.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>No condition asks for it yet.</p>}
        </Section>
        <Section title="Versions">
          <ul className="rows">
            {found.versions.map((one) => <li key={one.version}><span className="num">{one.version}</span><span className="mono ellipsis small" title={one.figure}>{one.figure}</span><span className="end muted small">{one.author}, <When at={one.at} /></span></li>)}
          </ul>
          {found.versions.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>It is what it ships as.</p>}
        </Section>
      </div>
    </>
  );
}
