/** The workspace's own words: its name, zone, colour, sender and postal address, with the foot of a mail beside them. */
import { Button, ColorInput, Select, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { call, Problem, type Settings } from "../api";
import { Section, Trouble } from "../parts/parts";

type Field = "name" | "timezone" | "from_name" | "from_email" | "reply_to" | "postal_address" | "brand_color";
const FIELDS: Field[] = ["name", "timezone", "from_name", "from_email", "reply_to", "postal_address", "brand_color"];

function zones(): string[] {
  const all = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return all.includes("UTC") ? all : ["UTC", ...all];
}

/** The time of day now in a zone; empty where the browser does not know it. */
function nowIn(zone: string): string {
  try {
    return new Intl.DateTimeFormat(undefined, { timeZone: zone, timeStyle: "short", dateStyle: "medium" }).format(new Date());
  } catch {
    return "";
  }
}

export function Workspace({ settings }: { settings: Settings }) {
  const stored = useMemo(() => Object.fromEntries(FIELDS.map((key) => [key, String(settings.workspace?.[key] ?? "")])) as Record<Field, string>, [settings]);
  const [form, setForm] = useState(stored);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const client = useQueryClient();
  const set = (key: Field) => (value: string) => setForm((old) => ({ ...old, [key]: value }));
  const changed = FIELDS.some((key) => form[key] !== stored[key]);
  const wrong = error instanceof Problem ? error.errors : [];
  const mistake = (key: Field) => wrong.find((one) => one.path?.endsWith(key))?.message;
  const text = (key: Field, label: string, description?: string) => <TextInput label={label} description={description} value={form[key]} error={mistake(key)} onChange={(event) => set(key)(event.currentTarget.value)} />;
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await call("/settings/workspace", { method: "PUT", body: form });
      await client.invalidateQueries();
      notifications.show({ message: "Saved. Mail composed from now on uses it." });
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error("Saving failed"));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="side">
      <form className="form" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        {error && <Trouble error={error} title="This was not saved" />}
        {text("name", "Name", "Shown in the console and on pages your recipients see")}
        <Select label="Time zone" description={`Used for a person whose own zone is not known${nowIn(form.timezone) ? `; there it is ${nowIn(form.timezone)}` : ""}`} searchable allowDeselect={false} limit={60} value={form.timezone || null} error={mistake("timezone")} data={[...new Set([form.timezone, ...zones()].filter(Boolean))]} onChange={(value) => value && set("timezone")(value)} />
        <div className="pairform">
          {text("from_name", "Sender name")}
          {text("from_email", "Sender address")}
        </div>
        {text("reply_to", "Reply to", "Where answers go; empty means to the sender address")}
        {text("postal_address", "Postal address", "Stands at the foot of every marketing mail, as the law asks")}
        <ColorInput label="Brand colour" description="Used in mail and on the pages your recipients see" format="hex" value={form.brand_color} error={mistake("brand_color")} onChange={set("brand_color")} swatches={["#1f6f78", "#3451c9", "#7a3e9d", "#b0413e", "#1c7a45", "#1b1c1e"]} withEyeDropper={false} />
        <div className="formend"><Button type="submit" loading={busy} disabled={!changed}>Save</Button>{changed && <Button variant="subtle" color="gray" onClick={() => setForm(stored)}>Take back</Button>}</div>
      </form>
      <aside aria-label="How it looks">
        <Section title="How it looks" note="in an inbox">
          <div className="specimen">
            <div className="specimenhead"><span className="avatar" style={{ background: form.brand_color || undefined, color: "#fff" }} aria-hidden>{(form.from_name || form.name || "·").charAt(0).toUpperCase()}</span><div style={{ minWidth: 0 }}><strong className="ellipsis">{form.from_name || form.name || "No sender name"}</strong><div className="muted small ellipsis">{form.from_email || "no sender address"}</div></div></div>
            <div className="specimenbody" aria-hidden><span /><span /><span style={{ width: "60%" }} /></div>
            <p className="muted small">{form.name}{form.postal_address ? `, ${form.postal_address}` : ""}</p>
            <p className="muted small">Unsubscribe</p>
          </div>
          {!form.postal_address && <p className="small warn" style={{ marginTop: 8 }}>Without a postal address marketing mail breaks the law in most countries.</p>}
        </Section>
      </aside>
    </div>
  );
}
