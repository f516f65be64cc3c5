/** How mail leaves: what is in force, and, where the server lets it be changed, another way with a trial. */
import { Button, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { saveTransport, testTransport, type Settings } from "../api";
import { A, Section, Trouble } from "../parts/parts";

const KINDS: Record<string, { name: string; about: string }> = {
  inbox: { name: "Built-in inbox", about: "Messages are composed, judged, signed and kept here to look at. Nothing reaches a real mailbox." },
  smtp: { name: "SMTP relay", about: "Messages that pass the gate are signed and handed to this relay, each once." },
};

export function Transport({ settings }: { settings: Settings }) {
  const now = settings.transport ?? { kind: "inbox" };
  const about = KINDS[now.kind] ?? { name: now.kind, about: "Messages that pass the gate are handed over this way." };
  return (
    <div style={{ maxWidth: 640 }}>
      <Section title="In force">
        <div className="inforce">
          <span className={`dot ${now.kind === "inbox" ? "" : "good"}`} aria-hidden />
          <div>
            <strong>{about.name}</strong>
            <p className="muted">{about.about}</p>
            {now.url && <p className="mono small" style={{ marginTop: 4 }}>{now.url}</p>}
            {now.from && <p className="muted small">From {now.from}</p>}
            <p style={{ marginTop: 8 }}><A to="/messages" className="link">See what was handed over</A></p>
          </div>
        </div>
      </Section>
      {now.editable ? <Change settings={settings} /> : (
        <Section title="To change it" note="it is set where the server starts">
          <p className="muted" style={{ padding: "10px 0" }}>{settings.transport?.kind === "inbox" ? "Start the server with an SMTP address to let mail leave:" : "Start the server with another address, or with none for the built-in inbox:"}</p>
          <pre className="code" tabIndex={0}>rapport serve --smtp-url smtp://user:secret@relay.example:587 --from "Shop &lt;hello@shop.example&gt;"</pre>
        </Section>
      )}
    </div>
  );
}

function Change({ settings }: { settings: Settings }) {
  const now = settings.transport;
  const [kind, setKind] = useState(now.kind === "smtp" ? "smtp" : "inbox");
  const [url, setUrl] = useState("");
  const [from, setFrom] = useState(now.from ?? String(settings.workspace?.from_email ?? ""));
  const [to, setTo] = useState("");
  const [busy, setBusy] = useState<"" | "save" | "test">("");
  const [error, setError] = useState<Error | null>(null);
  const [tried, setTried] = useState<string | null>(null);
  const client = useQueryClient();
  const act = async (which: "save" | "test", work: () => Promise<string>) => {
    setBusy(which);
    setError(null);
    setTried(null);
    try {
      const said = await work();
      if (which === "test") setTried(said);
      else notifications.show({ message: said });
      await client.invalidateQueries({ queryKey: ["get", "/settings"] });
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("This did not work"));
    } finally {
      setBusy("");
    }
  };
  const save = () => act("save", async () => {
    await saveTransport(kind === "inbox" ? { kind: "inbox" } : { kind: "smtp", url: url.trim(), from: from.trim() });
    return kind === "inbox" ? "Mail stays in the built-in inbox from now on." : "Mail leaves by this relay from now on.";
  });
  return (
    <>
      <Section title="Change it">
        <form className="form" style={{ paddingTop: 12 }} onSubmit={(event) => { event.preventDefault(); void save(); }}>
          <SegmentedControl aria-label="How mail leaves" value={kind} onChange={setKind} data={[{ value: "inbox", label: "Built-in inbox" }, { value: "smtp", label: "SMTP relay" }]} style={{ justifySelf: "start" }} />
          <p className="muted">{KINDS[kind]?.about}</p>
          {kind === "smtp" && <PasswordInput label="Address of the relay" description={`smtp:// with STARTTLS or smtps://, with user and password${now.kind === "smtp" ? "; one is stored and not shown" : ""}`} placeholder="smtp://user:secret@relay.example:587" required value={url} onChange={(event) => setUrl(event.currentTarget.value)} autoComplete="off" visibilityToggleButtonProps={{ "aria-label": "Show the address" }} />}
          {kind === "smtp" && <TextInput label="From" description="The domain should be the one that DKIM signs for" placeholder="Shop <hello@shop.example>" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />}
          {error && <Trouble error={error} title="This did not work" />}
          <div className="formend"><Button type="submit" loading={busy === "save"} disabled={kind === "smtp" ? !/^smtps?:\/\/\S+$/.test(url.trim()) : now.kind === "inbox"}>{kind === "inbox" ? "Keep mail here" : "Let mail leave"}</Button></div>
        </form>
      </Section>
      <Section title="Try it" note="one mail, by what is in force">
        <form className="filters" style={{ paddingTop: 12, alignItems: "flex-end" }} onSubmit={(event) => { event.preventDefault(); void act("test", async () => { await testTransport(to.trim()); return `The relay took a mail for ${to.trim()}.`; }); }}>
          <TextInput className="grow" label="To" type="email" placeholder="you@shop.example" value={to} onChange={(event) => setTo(event.currentTarget.value)} maw={320} />
          <Button type="submit" variant="default" loading={busy === "test"} disabled={!/\S@\S/.test(to)}>Send a trial</Button>
        </form>
        {tried && <p className="good" role="status">{tried}</p>}
      </Section>
    </>
  );
}
