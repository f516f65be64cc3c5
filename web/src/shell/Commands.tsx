/** ⌘K: goes to a place, finds a profile, a segment or a journey, or does a small thing. */
import { Modal, TextInput, useMantineColorScheme } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
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
  const profiles = useGet<Listing<ProfileRow>>(asked.length > 1 ? `/profiles${params({ q: asked, limit: 6 })}` : null);
  const go = (to: string) => () => void navigate({ to: to as never });
  const all: Command[] = [
    ...PLACES.map((place) => ({ label: place.label, kind: `Go · g ${place.key}`, run: go(place.to) })),
    { label: "New segment", kind: "Do", run: go("/segments/new") },
    { label: "Switch between light and dark", kind: "Do", run: toggleColorScheme },
    ...(segments.data?.items ?? []).map((segment) => ({ label: segment.name, kind: "Segment", run: go(`/segments/${segment.id}`) })),
    ...(journeys.data?.items ?? []).map((journey) => ({ label: journey.name, kind: "Journey", run: go(`/journeys/${journey.id}`) })),
  ];
  const needle = text.trim().toLowerCase();
  const found = [
    ...all.filter((command) => command.label.toLowerCase().includes(needle)).slice(0, 9),
    ...(asked.length > 1 ? (profiles.data?.items ?? []).map((profile) => ({ label: profile.display, kind: "Profile", run: go(`/profiles/${profile.id}`) })) : []),
  ];
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
        aria-activedescendant={found.length ? `command-${chosen}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setChosen((index) => Math.min(index + 1, found.length - 1));
          else if (event.key === "ArrowUp") setChosen((index) => Math.max(index - 1, 0));
          else if (event.key === "Enter") pick(found[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      <div id="commands" role="listbox" aria-label="Results" style={{ borderTop: "1px solid var(--rule)", paddingTop: 8 }}>
        {found.map((command, index) => (
          <div key={`${command.kind}${command.label}${index}`} id={`command-${index}`} role="option" aria-selected={index === chosen} data-on={index === chosen} className="command" onMouseEnter={() => setChosen(index)} onClick={() => pick(command)}>
            <span className="ellipsis">{command.label}</span>
            <span className="end">{command.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="muted" style={{ padding: 12 }}>Nothing has that name. Profiles are found by e-mail address, user id or name.</p>}
    </div>
  );
}
