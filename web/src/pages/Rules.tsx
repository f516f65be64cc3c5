/** Rules: what happens when a condition becomes true for somebody, how often it did, when it is due for review. */
import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useListing } from "../api";
import { count } from "../format";
import { A, Empty, Head, List, Status, When } from "../parts/parts";
import type { RuleRow } from "../rules";

export function Rules() {
  const list = useListing<RuleRow>("/rules", {}, 10_000);
  const navigate = useNavigate();
  const create = <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => void navigate({ to: "/rules/new" as never })}>New rule</Button>;
  return (
    <>
      <Head title="Rules" line="A condition, what is done when it becomes true for somebody, and how long until it may happen again.">{create}</Head>
      <List
        list={list}
        label="Rules"
        id={(row) => row.id}
        columns={[
          { title: "Rule", render: (row) => <><A to={`/rules/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description || row.where}</div></> },
          { title: "State", stack: true, render: (row) => <Status of={row.status} /> },
          { title: "Owner", wide: true, render: (row) => row.owner || <span className="muted">–</span> },
          { title: "Review", wide: true, render: (row) => row.review_at ? (row.review_due ? <Status of="warn" label={`due since ${row.review_at}`} /> : row.review_at) : <span className="muted">–</span> },
          { title: "Last fired", wide: true, render: (row) => <When at={row.last_fired_at} /> },
          { title: "30 days", right: true, render: (row) => <A to={`/rules/${row.id}`} search={{ tab: "firings" }} className="open" aria-label={`${row.fired_30_days} firings of ${row.name} in 30 days`}><strong>{count(row.fired_30_days)}</strong></A> },
        ]}
        empty={<Empty title="Do something when somebody reaches a line" action={create} example={`count "Order Completed" in last 60 days > 3\n→ grant a discount code, once in 60 days`}>A rule watches a condition for everybody. When it becomes true for a person, the rule fires: it grants a code, sets an attribute, moves the person into a segment or starts a journey.</Empty>}
      />
    </>
  );
}
