/** ⌘K: goes to a place, finds a profile, a segment, a journey or a message, or does a small thing. */
import { Modal, TextInput, useMantineColorScheme } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { IconFilter, IconKeyboard, IconLogout, IconMail, IconMoon, IconPlus, IconRoute, IconUser } from "@tabler/icons-react";
import { params, useGet, type JourneyRow, type Listing, type MessageRow, type ProfileRow, type Segment } from "../api";
import { PLACES } from "./places";

interface Command {
  label: string;
  more?: string;
  kind: string;
  icon: typeof IconMail;
  run: () => void;
}

interface Given {
  opened: boolean;
  close: () => void;
  help: () => void;
  leave: () => void;
}

export function Commands({ opened, close, help, leave }: Given) {
  return (
    <Modal.Root opened={opened} onClose={close} size={560} yOffset="12vh">
      <Modal.Overlay />
      <Modal.Content aria-label="Search and commands">
        <Modal.Body p={8}>{opened && <Finder close={close} help={help} leave={leave} />}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

function Finder({ close, help, leave }: Omit<Given, "opened">) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [asked] = useDebouncedValue(text.trim(), 150);
  const navigate = useNavigate();
  const { toggleColorScheme } = useMantineColorScheme();
  const segments = useGet<Listing<Segment>>("/segments");
  const journeys = useGet<Listing<JourneyRow>>("/journeys");
  const profiles = useGet<Listing<ProfileRow>>(asked.length > 0 ? `/profiles${params({ q: asked, limit: 6 })}` : null);
  const go = (to: string) => () => void navigate({ to: to as never });
  const messages = useGet<Listing<MessageRow>>(asked.length > 1 ? `/messages${params({ q: asked, limit: 4 })}` : null);
  const all: Command[] = [
    ...PLACES.map((place) => ({ label: place.label, kind: `g ${place.key}`, icon: place.icon, run: go(place.to) })),
    { label: "New segment", kind: "Do", icon: IconPlus, run: go("/segments/new") },
    { label: "Switch between light and dark", kind: "Do", icon: IconMoon, run: toggleColorScheme },
    { label: "Show the keyboard shortcuts", kind: "?", icon: IconKeyboard, run: help },
    { label: "Sign out", kind: "Do", icon: IconLogout, run: leave },
    ...(segments.data?.items ?? []).map((segment) => ({ label: segment.name, kind: "Segment", icon: IconFilter, run: go(`/segments/${segment.id}`) })),
    ...(journeys.data?.items ?? []).map((journey) => ({ label: journey.name, kind: "Journey", icon: IconRoute, run: go(`/journeys/${journey.id}`) })),
  ];
  const needle = text.trim().toLowerCase();
  const searching = needle !== "" && (asked !== text.trim() || profiles.isLoading || messages.isLoading);
  const fresh = asked !== "" && asked === text.trim();
  const found: Command[] = [
    ...all.filter((command) => command.label.toLowerCase().includes(needle)).slice(0, 9),
    ...(fresh ? (profiles.data?.items ?? []).map((profile) => ({ label: profile.display, more: profile.email && profile.email !== profile.display ? profile.email : undefined, kind: "Profile", icon: IconUser, run: go(`/profiles/${profile.id}`) })) : []),
    ...(fresh ? (messages.data?.items ?? []).map((message) => ({ label: message.subject || "A mail that was not composed", more: message.to, kind: "Message", icon: IconMail, run: go(`/messages/${message.id}`) })) : []),
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
        placeholder="Find a profile, segment, journey, message or command"
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
            <command.icon size={16} stroke={1.7} aria-hidden />
            <span className="ellipsis">{command.label}{command.more && <span className="muted small"> {command.more}</span>}</span>
            <span className="end">{command.kind}</span>
          </div>
        ))}
      </div>
      {searching && <p role="status" className="muted small" style={{ padding: "6px 12px" }}>Looking for profiles and messages…</p>}
      {!searching && needle !== "" && profiles.error && <p role="alert" className="bad small" style={{ padding: "6px 12px" }}>Profiles could not be searched. <button type="button" className="plainbutton link" onClick={() => void profiles.refetch()}>Try again</button></p>}
      {!searching && !profiles.error && found.length === 0 && <p className="muted" style={{ padding: 12 }}>Nothing has that name. Profiles are found by e-mail address, user id or name, messages by recipient or subject.</p>}
      <p className="commandfoot" aria-hidden><span><kbd>↑</kbd> <kbd>↓</kbd> choose</span><span><kbd>Enter</kbd> open</span><span><kbd>Esc</kbd> close</span></p>
    </div>
  );
}
