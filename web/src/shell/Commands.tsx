/** ⌘K: goes to a place, finds a profile, a segment or a journey, or does a small thing. */
import { Modal, TextInput, useMantineColorScheme } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { params, useGet, type JourneyRow, type Listing, type ProfileRow, type Segment } from "../api";
import { PLACES } from "./places";

interface Command {
  label: string;
  kind: string;
  run: () => void;
}

export function Commands({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal.Root opened={opened} onClose={close} size={560} yOffset="12vh">
      <Modal.Overlay />
      <Modal.Content aria-label="Search and commands">
        <Modal.Body p={8}>{opened && <Finder close={close} />}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

function Finder({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [asked] = useDebouncedValue(text.trim(), 150);
  const navigate = useNavigate();
  const { toggleColorScheme } = useMantineColorScheme();
  const segments = useGet<Listing<Segment>>("/segments");
  const journeys = useGet<Listing<JourneyRow>>("/journeys");
  const profiles = useGet<Listing<ProfileRow>>(asked.length > 0 ? `/profiles${params({ q: asked, limit: 6 })}` : null);
  const go = (to: string) => () => void navigate({ to: to as never });
  const all: Command[] = [
    ...PLACES.map((place) => ({ label: place.label, kind: `Go · g ${place.key}`, run: go(place.to) })),
    { label: "New segment", kind: "Do", run: go("/segments/new") },
    { label: "Switch between light and dark", kind: "Do", run: toggleColorScheme },
    ...(segments.data?.items ?? []).map((segment) => ({ label: segment.name, kind: "Segment", run: go(`/segments/${segment.id}`) })),
    ...(journeys.data?.items ?? []).map((journey) => ({ label: journey.name, kind: "Journey", run: go(`/journeys/${journey.id}`) })),
  ];
  const needle = text.trim().toLowerCase();
  const searching = needle !== "" && (asked !== text.trim() || profiles.isLoading);
  const found = [
    ...all.filter((command) => command.label.toLowerCase().includes(needle)).slice(0, 9),
    ...(asked !== "" && asked === text.trim() ? (profiles.data?.items ?? []).map((profile) => ({ label: profile.display, kind: "Profile", run: go(`/profiles/${profile.id}`) })) : []),
  ];
  const current = Math.max(0, Math.min(chosen, found.length - 1));
  useEffect(() => {
    document.getElementById(`command-${current}`)?.scrollIntoView({ block: "nearest" });
  }, [current]);
  const pick = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  return (
    <div>
      <TextInput
        data-autofocus
        size="md"
        variant="unstyled"
        px={12}
        placeholder="Find a profile, segment, journey or command"
        aria-label="Find or do"
        role="combobox"
        aria-expanded
        aria-controls="commands"
        aria-autocomplete="list"
        aria-activedescendant={found.length ? `command-${current}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setChosen(found.length ? (current + 1) % found.length : 0);
          else if (event.key === "ArrowUp") setChosen(found.length ? (current + found.length - 1) % found.length : 0);
          else if (event.key === "Enter") pick(found[current]);
          else return;
          event.preventDefault();
        }}
      />
      <div id="commands" role="listbox" aria-label="Results" className="commands">
        {found.map((command, index) => (
          <div key={`${command.kind}${command.label}${index}`} id={`command-${index}`} role="option" aria-selected={index === current} data-on={index === current} className="command" onMouseMove={() => setChosen(index)} onClick={() => pick(command)}>
            <span className="ellipsis">{command.label}</span>
            <span className="end">{command.kind}</span>
          </div>
        ))}
      </div>
      {searching && <p role="status" className="muted small" style={{ padding: "6px 12px" }}>Looking for profiles…</p>}
      {!searching && needle !== "" && profiles.error && <p role="alert" className="bad small" style={{ padding: "6px 12px" }}>Profiles could not be searched. <button type="button" className="plainbutton link" onClick={() => void profiles.refetch()}>Try again</button></p>}
      {!searching && !profiles.error && found.length === 0 && <p className="muted" style={{ padding: 12 }}>Nothing has that name. Profiles are found by e-mail address, user id or name.</p>}
    </div>
  );
}
