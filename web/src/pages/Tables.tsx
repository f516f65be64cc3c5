/** Decision tables: which outcome follows for whom. */
import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useListing } from "../api";
import { count } from "../format";
import { A, Empty, Head, List, When } from "../parts/parts";
import type { TableRow } from "../rules";

export function Tables() {
  const list = useListing<TableRow>("/tables");
  const navigate = useNavigate();
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => void navigate({ to: "/tables/new" as never })}>New table</Button>;
  return (
    <>
      <Head title="Decision tables" line="Ordered rows of condition and outcome. Whom no row fits and where rows overlap is counted before you save.">{create}</Head>
      <List
        list={list}
        label="Decision tables"
        id={(row) => row.id}
        columns={[
          { title: "Table", render: (row) => <><A to={`/tables/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description}</div></> },
          { title: "Decides", stack: true, render: (row) => (row.hit === "all" ? "every row that holds" : "the first row that holds") },
          { title: "Attribute", wide: true, render: (row) => row.attribute ? <span className="mono">{row.attribute}</span> : <span className="muted">only when asked</span> },
          { title: "Changed", wide: true, render: (row) => <When at={row.updated_at} /> },
          { title: "Rows", right: true, render: (row) => count(row.rows) },
        ]}
        empty={<Empty title="Decide the same way for everybody" action={create} example={`sum(revenue) of "Order Completed" >= 500   {"discount": 15}\ndid "Order Completed"                       {"discount": 5}`}>A table lists conditions in their order, each with what follows. The first that holds decides, or all that hold do.</Empty>}
      />
    </>
  );
}
