/** Splitting a profile: which of its identifiers are another person's, and what becomes of both. */
import { Button, Checkbox, Modal, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArrowsSplit2 } from "@tabler/icons-react";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { call, type Profile } from "../api";
import type { SplitOutlook, Splitting } from "../api.gen";
import { count, words } from "../format";

type Identifier = Profile["identifiers"][number];

const nameOf = (one: Identifier) => `${one.kind} ${one.value}`;

export function Split({ profile }: { profile: Profile }) {
  const [opened, setOpened] = useState(false);
  const identifiers = profile.identifiers ?? [];
  if (identifiers.length < 2) return null;
  return (
    <>
      <Button variant="subtle" size="compact-sm" leftSection={<IconArrowsSplit2 size={15} aria-hidden />} onClick={() => setOpened(true)}>Split</Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title="Split this profile" size={620} closeButtonProps={{ "aria-label": "Close" }}>
        {opened && <Choice profile={profile} close={() => setOpened(false)} />}
      </Modal>
    </>
  );
}

function Choice({ profile, close }: { profile: Profile; close: () => void }) {
  const [named, setNamed] = useState<string[]>([]);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  // One key for one wish: a second press is the same split.
  const key = useRef(crypto.randomUUID());
  const navigate = useNavigate();
  const client = useQueryClient();
  const identifiers = profile.identifiers ?? [];
  const theirs = identifiers.filter((one) => named.includes(nameOf(one))).map(({ kind, value }) => ({ kind, value }));
  const sound = theirs.length > 0 && theirs.length < identifiers.length;
  const outlook = useQuery<SplitOutlook, Error>({
    queryKey: ["split", profile.id, theirs],
    queryFn: ({ signal }) => call<SplitOutlook>(`/profiles/${profile.id}/split/preview`, { method: "POST", body: { identifiers: theirs }, signal }),
    enabled: sound,
    placeholderData: keepPreviousData,
  });
  const choose = (next: string[]) => {
    key.current = crypto.randomUUID();
    setNamed(next);
  };
  const split = async () => {
    setBusy(true);
    try {
      const done = await call<Splitting>(`/profiles/${profile.id}/split`, { method: "POST", body: { identifiers: theirs, reason }, idempotencyKey: key.current });
      await client.invalidateQueries();
      close();
      if (done.profile === null || done.profile === undefined) notifications.show({ message: "The split waits its turn. It will show under the decisions of this profile." });
      else {
        notifications.show({ message: `${count(done.events?.moved ?? 0)} events went to profile ${done.profile}.` });
        void navigate({ to: `/profiles/${done.profile}` as never });
      }
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "This did not work" });
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => { event.preventDefault(); void split(); }}>
      <p style={{ marginTop: 0 }}>Two people were taken for one? Tick what belongs to the other person.</p>
      <Checkbox.Group value={named} onChange={choose} aria-label="Identifiers of the other person">
        {identifiers.map((one) => (
          <Checkbox key={nameOf(one)} value={nameOf(one)} mb={8} label={<span className="mono wrap">{one.value}</span>} description={words(one.kind)} />
        ))}
      </Checkbox.Group>
      <div className="notice" data-testid="split-outlook" aria-live="polite">
        {theirs.length === 0 && "Nothing is ticked yet."}
        {theirs.length > 0 && theirs.length === identifiers.length && "Everything is ticked, so nobody would stay: leave out what belongs to this person."}
        {sound && outlook.error && outlook.error.message}
        {sound && !outlook.error && !outlook.data && "Counting events…"}
        {sound && !outlook.error && outlook.data && <Outlook outlook={outlook.data} />}
      </div>
      <TextInput label="Why" description="Shown with both profiles" value={reason} onChange={(event) => setReason(event.currentTarget.value)} mb={16} maxLength={200} />
      <p className="muted small">Attributes, segments, traits and what is recommended are worked out anew from each one’s own events. Every opt-out stays on both. A running journey goes on with whoever entered it. No journey and no rule starts because of the split. A later event that names both may join them again.</p>
      <div style={{ display: "flex", gap: 10, justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>Cancel</Button>
        <Button type="submit" disabled={!sound || !!outlook.error} loading={busy}>Split the profile</Button>
      </div>
    </form>
  );
}

function Outlook({ outlook: { events, former } }: { outlook: SplitOutlook }) {
  const them = former ? `profile ${former}, who was merged into this one` : "a new profile";
  return (
    <>
      <strong>{count(events.moved)}</strong> {events.moved === 1 ? "event goes" : "events go"} to {them}; <strong>{count(events.kept)}</strong> {events.kept === 1 ? "stays" : "stay"} here
      {events.shared > 0 && <>, {count(events.shared)} of them because {events.shared === 1 ? "it names" : "they name"} both people</>}.
    </>
  );
}
