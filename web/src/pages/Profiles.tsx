/** Profiles: everyone known, found by identifier or name. */
import { TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useListing, type ProfileRow } from "../api";
import { count } from "../format";
import { A, Empty, Head, List, When } from "../parts/parts";

export function Profiles() {
  const search = useSearch({ strict: false }) as { q?: string };
  const navigate = useNavigate();
  const [text, setText] = useState(search.q ?? "");
  const [asked] = useDebouncedValue(text.trim(), 200);
  useEffect(() => {
    void navigate({ to: "/profiles" as never, search: { q: asked || undefined } as never, replace: true });
  }, [asked, navigate]);
  const list = useListing<ProfileRow>("/profiles", { q: asked });
  return (
    <>
      <Head title="Profiles" line="One record for each person, put together from every identifier and event." />
      <div className="filters">
        <TextInput leftSection={<IconSearch size={16} aria-hidden />} placeholder="E-mail address, user id or name" aria-label="Find profiles" value={text} onChange={(event) => setText(event.currentTarget.value)} w={320} maw="100%" />
        {list.total !== null && <span className="end">{count(list.total)} {list.total === 1 ? "profile" : "profiles"}</span>}
      </div>
      <List
        list={list}
        label="Profiles"
        id={(row) => row.id}
        columns={[
          { title: "Profile", render: (row) => <ProfileLink row={row} /> },
          { title: "User id", wide: true, render: (row) => <span className="mono muted ellipsis">{row.user_id ?? "–"}</span> },
          { title: "Segments", right: true, wide: true, render: (row) => count(row.segments) },
          { title: "First seen", wide: true, render: (row) => <When at={row.created_at} /> },
          { title: "Last seen", right: true, render: (row) => <When at={row.last_seen_at} /> },
        ]}
        empty={asked
          ? <Empty title="Nobody has this identifier">Profiles are found by the beginning of an e-mail address, a user id or a name.</Empty>
          : <Empty title="Nobody is known yet" example={`{"type":"identify","userId":"u-1","traits":{"email":"u-1@example.com"}}`}>A profile begins with the first event of a person: an identify call with an e-mail address is enough.</Empty>}
      />
    </>
  );
}

export function ProfileLink({ row }: { row: ProfileRow }) {
  const second = row.name && row.email ? row.email : null;
  return (
    <div style={{ minWidth: 0 }}>
      <A to={`/profiles/${row.id}`} className="main ellipsis">{second ? row.name : row.display}</A>
      {second && <div className="muted small ellipsis">{second}</div>}
    </div>
  );
}
