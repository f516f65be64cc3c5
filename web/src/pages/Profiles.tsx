/** Profiles: everyone known, found by identifier or name. */
import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useGet, useListing, type Listing, type ProfileRow, type Segment } from "../api";
import { count } from "../format";
import { A, Avatar, Empty, Head, List, When } from "../parts/parts";

export function Profiles() {
  const search = useSearch({ strict: false }) as { q?: string; segment?: string; where?: string };
  const navigate = useNavigate();
  const [text, setText] = useState(search.q ?? "");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const { segment, where } = search;
  useEffect(() => {
    void navigate({ to: "/profiles" as never, search: { q: asked || undefined, segment, where: asked || segment ? undefined : where } as never, replace: true });
  }, [asked, segment, where, navigate]);
  const segments = useGet<Listing<Segment>>("/segments");
  const list = useListing<ProfileRow>("/profiles", { q: asked, segment, where: asked || segment ? undefined : where });
  const pick = (value: string | null) => void navigate({ to: "/profiles" as never, search: { q: asked || undefined, segment: value ?? undefined } as never });
  const clear = () => {
    setText("");
    pick(null);
  };
  return (
    <>
      <Head title="Profiles" line="One record for each person, put together from every identifier and event." />
      <div className="filters">
        <TextInput className="grow" leftSection={<IconSearch size={16} aria-hidden />} placeholder="E-mail address, user id or name" aria-label="Find profiles" value={text} onChange={(event) => setText(event.currentTarget.value)} maw={340} />
        <Select aria-label="In segment" placeholder="Any segment" searchable clearable clearButtonProps={{ "aria-label": "Any segment" }} value={segment ?? null} data={(segments.data?.items ?? []).map((one) => ({ value: one.id, label: one.name }))} onChange={pick} w={220} />
        {list.total !== null && <span className="end">{count(list.total)} {list.total === 1 ? "profile" : "profiles"}</span>}
      </div>
      {where && !asked && !segment && <div className="notice">For whom <code className="mono wrap">{where}</code> holds now. <button type="button" className="plainbutton link" onClick={clear}>Show all profiles</button></div>}
      <List
        list={list}
        label="Profiles"
        id={(row) => row.id}
        columns={[
          { title: "Profile", render: (row) => <ProfileLink row={row} /> },
          { title: "User id", wide: true, render: (row) => <span className="mono muted ellipsis">{row.user_id ?? "–"}</span> },
          { title: "First seen", wide: true, render: (row) => <When at={row.created_at} /> },
          { title: "Segments", right: true, wide: true, render: (row) => row.segments ? <A to={`/profiles/${row.id}`} search={{ tab: "segments" }} className="open" aria-label={`${row.segments} segments of ${row.display}`}>{count(row.segments)}</A> : <span className="muted">0</span> },
          { title: "Last seen", right: true, render: (row) => <When at={row.last_seen_at} /> },
        ]}
        empty={asked || segment || where
          ? <Empty title={asked ? "Nobody has this identifier" : segment ? "Nobody is in this segment now" : "This holds for nobody now"} action={<Button variant="default" onClick={clear}>Show all profiles</Button>}>Profiles are found by the beginning of an e-mail address, a user id or a name{segment ? ", here among the members of one segment" : ""}.</Empty>
          : <Empty title="Nobody is known yet" example={`{"type":"identify","userId":"u-1","traits":{"email":"u-1@example.com"}}`}>A profile begins with the first event of a person: an identify call with an e-mail address is enough.</Empty>}
      />
    </>
  );
}

export function ProfileLink({ row }: { row: ProfileRow }) {
  const second = row.name && row.email ? row.email : null;
  return (
    <div className="person">
      <Avatar name={row.name ?? row.display} />
      <div style={{ minWidth: 0 }}>
        <A to={`/profiles/${row.id}`} className="main ellipsis">{second ? row.name : row.display}</A>
        {second && <div className="muted small ellipsis">{second}</div>}
      </div>
    </div>
  );
}
