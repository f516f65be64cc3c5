/** Segments: who is in now, and how that moved. */
import { Button, TextInput } from "@mantine/core";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useListing, type Segment } from "../api";
import { count } from "../format";
import { Filling } from "../parts/Filling";
import { A, Empty, Head, List, Sparkline, Status, When, type Column } from "../parts/parts";

export function Segments() {
  const search = useSearch({ strict: false }) as { q?: string };
  const list = useListing<Segment>("/segments", {}, 5000);
  const navigate = useNavigate();
  const write = (q: string) => void navigate({ to: "/segments" as never, search: { q: q || undefined } as never, replace: true });
  const byList = <Button variant="default" onClick={() => void navigate({ to: "/segments/new/list" as never })}>By a query or a list</Button>;
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => void navigate({ to: "/segments/new" as never })}>New segment</Button>;
  const needle = (search.q ?? "").toLowerCase();
  const rows = needle ? list.rows.filter((row) => `${row.name} ${row.description ?? ""} ${row.where}`.toLowerCase().includes(needle)) : list.rows;
  const moving = list.rows.some((row) => (row.trend ?? []).length > 1);
  const trend: Column<Segment>[] = moving ? [{ title: "By day", wide: true, render: (row) => <Sparkline values={row.trend ?? []} label={`Members of ${row.name} by day`} /> }] : [];
  return (
    <>
      <Head title="Segments" line="Groups of people that fill and empty by themselves, to the second, as events arrive and time passes.">{byList}{create}</Head>
      <Filling />
      {(list.rows.length > 5 || needle) && (
        <div className="filters">
          <TextInput className="grow" leftSection={<IconSearch size={16} aria-hidden />} placeholder="Name, purpose or condition" aria-label="Find segments" value={search.q ?? ""} onChange={(event) => write(event.currentTarget.value)} maw={340} />
          <span className="end">{count(rows.length)} {rows.length === 1 ? "segment" : "segments"}</span>
        </div>
      )}
      <List
        list={{ ...list, rows }}
        label="Segments"
        id={(row) => row.id}
        columns={[
          { title: "Segment", render: (row) => <><A to={`/segments/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description || row.where}</div></> },
          { title: "State", wide: true, render: (row) => <Status of={row.status} /> },
          ...trend,
          { title: "Changed", wide: true, render: (row) => <When at={row.updated_at} /> },
          { title: "Members", right: true, render: (row) => <A to={`/profiles`} search={{ segment: row.id }} className="open" aria-label={`${count(row.count)} members of ${row.name}`}><strong>{count(row.count)}</strong></A> },
        ]}
        empty={needle
          ? <Empty title="No segment fits" action={<Button variant="default" onClick={() => write("")}>Show all segments</Button>}>Neither a name, a purpose nor a condition has these words.</Empty>
          : <Empty title="Describe a group of people" action={create} example={`did "Product Viewed" where category = "Shoes" in last 30 days\n  and not did "Order Completed" in last 30 days`}>A segment is a condition. While you type, the console shows how many people it holds and who they are.</Empty>}
      />
    </>
  );
}
