/** Segments: who is in now, and how that moved. */
import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useListing, type Segment } from "../api";
import { count } from "../format";
import { A, Empty, Head, List, Sparkline, Status, When } from "../parts/parts";

export function Segments() {
  const list = useListing<Segment>("/segments", {}, 5000);
  const navigate = useNavigate();
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => void navigate({ to: "/segments/new" as never })}>New segment</Button>;
  return (
    <>
      <Head title="Segments" line="Groups of people that fill and empty by themselves, to the second, as events arrive and time passes.">{create}</Head>
      <List
        list={list}
        label="Segments"
        id={(row) => row.id}
        columns={[
          { title: "Segment", render: (row) => <><A to={`/segments/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description || row.where}</div></> },
          { title: "State", stack: true, render: (row) => <Status of={row.status} /> },
          { title: "Last 30 days", wide: true, render: (row) => <Sparkline values={row.trend ?? []} label={`Members of ${row.name} in the last 30 days`} /> },
          { title: "Changed", wide: true, render: (row) => <When at={row.updated_at} /> },
          { title: "Members", right: true, render: (row) => <strong style={{ fontWeight: 570 }}>{count(row.count)}</strong> },
        ]}
        empty={<Empty title="Describe a group of people" action={create} example={`did "Product Viewed" where category = "Shoes" in last 30 days\n  and not did "Order Completed" in last 30 days`}>A segment is a condition. While you type, the console shows how many people it holds and who they are.</Empty>}
      />
    </>
  );
}
