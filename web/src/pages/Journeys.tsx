/** Journeys: who goes which way, how many are where. */
import { useListing, type JourneyRow } from "../api";
import { count } from "../format";
import { A, Empty, Head, List, Status } from "../parts/parts";

export function Journeys() {
  const list = useListing<JourneyRow>("/journeys", {}, 5000);
  return (
    <>
      <Head title="Journeys" line="Paths that people take one by one: an event or a segment lets them in, steps wait, ask and send." />
      <List
        list={list}
        label="Journeys"
        id={(row) => row.id}
        columns={[
          { title: "Journey", render: (row) => <><A to={`/journeys/${row.id}`} className="main">{row.name}</A><div className="muted small ellipsis">{row.description}</div></> },
          { title: "State", stack: true, render: (row) => <Status of={row.status} /> },
          { title: "Entered", right: true, wide: true, render: (row) => <A to={`/journeys/${row.id}`} search={{ tab: "people" }} className="open">{count(row.entered)}</A> },
          { title: "Under way", right: true, render: (row) => <A to={`/journeys/${row.id}`} search={{ tab: "people", show: "active" }} className="open"><strong>{count(row.active)}</strong></A> },
          { title: "Messages", right: true, wide: true, render: (row) => <A to="/messages" search={{ journey: row.id }} className="open">{count(row.messages)}</A> },
        ]}
        empty={<Empty title="No journey yet" example={`POST /api/journeys\n{"name":"Welcome","definition":{"trigger":{"event":"Signed Up"},"start":"hello","nodes":{…}}}`}>A journey begins with a trigger, for instance an event. Write it as JSON and send it to the API; here you see people move through it.</Empty>}
      />
    </>
  );
}
