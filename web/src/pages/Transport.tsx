/** How mail leaves: what is in force, and, where the server lets it be changed, another way. */
import { Button, NumberInput, PasswordInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { saveTransport, testTransport, type Settings, type TransportResult } from "../api";
import { A, Section, Trouble } from "../parts/parts";

const KINDS: Record<string, { name: string; about: string }> = {
  inbox: { name: "Built-in inbox", about: "Messages are composed, judged, signed and kept here to look at. Nothing reaches a real mailbox." },
  smtp: { name: "SMTP relay", about: "Messages that pass the gate are signed and handed to this relay, each once." },
};

export function Transport({ settings }: { settings: Settings }) {
  const now = settings.transport;
  const about = KINDS[now.kind] ?? { name: now.kind, about: "Messages that pass the gate are handed over this way." };
  return (
    <div style={{ maxWidth: 640 }}>
      <Section title="In force">
        <div className="inforce">
          <span className={`dot ${now.kind === "inbox" ? "" : "good"}`} aria-hidden />
          <div>
            <strong>{about.name}</strong>
            <p className="muted">{about.about}</p>
            {now.host && <p className="mono small" style={{ marginTop: 4 }}>{now.host}:{now.port}</p>}
            <p style={{ marginTop: 8 }}><A to="/messages" className="link">See what was handed over</A></p>
          </div>
        </div>
      </Section>
      {!now.fixed ? <Change settings={settings} /> : (
        <Section title="To change it" note="it is set where the server starts">
          <p className="muted" style={{ padding: "10px 0" }}>{now.kind === "inbox" ? "Start the server with an SMTP address to let mail leave:" : "Start the server with another address, or with none for the built-in inbox:"}</p>
          <pre className="code" tabIndex={0}>rapport serve --smtp-url smtp://user:secret@relay.example:587 --from "Shop &lt;hello@shop.example&gt;"</pre>
        </Section>
      )}
    </div>
  );
}

function Change({ settings }: { settings: Settings }) {
  const now = settings.transport;
  const [kind, setKind] = useState<"inbox" | "smtp">(now.kind === "smtp" ? "smtp" : "inbox");
  const [host, setHost] = useState(now.host ?? "");
  const [port, setPort] = useState<number | string>(now.port ?? 587);
  const [tls, setTls] = useState(now.tls ?? "starttls");
  const [username, setUsername] = useState(now.username ?? "");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [trying, setTrying] = useState(false);
  const [tried, setTried] = useState<TransportResult | null>(null);
  const client = useQueryClient();
  const relay = () => ({ kind: "smtp" as const, host: host.trim(), port: Number(port), tls, username: username.trim() || null, password: password || null });
  const test = async () => {
    setTrying(true);
    setTried(null);
    setError(null);
    try {
      setTried(await testTransport({ transport: relay() }));
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("This did not work"));
    } finally {
      setTrying(false);
    }
  };
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await saveTransport(kind === "inbox" ? { kind } : relay());
      setPassword("");
      notifications.show({ message: kind === "inbox" ? "Mail stays in the built-in inbox from now on." : "Mail leaves by this relay from now on." });
      await client.invalidateQueries({ queryKey: ["get", "/settings"] });
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("This did not work"));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Change it" note="in force for the next mail">
      <form className="form" style={{ paddingTop: 12 }} onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <SegmentedControl aria-label="How mail leaves" value={kind} onChange={(value) => setKind(value === "smtp" ? "smtp" : "inbox")} data={[{ value: "inbox", label: "Built-in inbox" }, { value: "smtp", label: "SMTP relay" }]} style={{ justifySelf: "start" }} />
        <p className="muted">{KINDS[kind]?.about}</p>
        {kind === "smtp" && (
          <>
            <TextInput label="Host" placeholder="relay.shop.example" required value={host} onChange={(event) => setHost(event.currentTarget.value)} autoComplete="off" />
            <NumberInput label="Port" min={1} max={65535} value={port} onChange={setPort} hideControls />
            <Select label="Encryption" description="A relay whose certificate does not fit gets no mail and no password" allowDeselect={false} value={tls} onChange={(value) => setTls(value ?? "starttls")} data={[{ value: "starttls", label: "STARTTLS" }, { value: "implicit", label: "TLS from the first byte" }, { value: "none", label: "None, for a relay on this machine" }]} />
            <TextInput label="User name" value={username} onChange={(event) => setUsername(event.currentTarget.value)} autoComplete="off" />
            <PasswordInput label="Password" description={now.has_password ? "One is stored and not shown; leave this empty to keep it" : undefined} value={password} onChange={(event) => setPassword(event.currentTarget.value)} autoComplete="new-password" visibilityToggleButtonProps={{ "aria-label": "Show the password" }} />
          </>
        )}
        {error && <Trouble error={error} title="This did not work" />}
        {tried && (
          <div role="status">
            <p><strong>{tried.works ? "It works" : "It does not work"}</strong></p>
            <p className="muted">{tried.detail}</p>
            {tried.remedy && <p>{tried.remedy}</p>}
          </div>
        )}
        <div className="formend">
          {kind === "smtp" && <Button variant="default" loading={trying} disabled={!host.trim()} onClick={() => void test()}>Test the connection</Button>}
          <Button type="submit" loading={busy} disabled={kind === "smtp" ? !host.trim() : now.kind === "inbox"}>{kind === "inbox" ? "Keep mail here" : "Let mail leave"}</Button>
        </div>
      </form>
    </Section>
  );
}
