/** Catalogues: their items, files that come in, collections and what fields mean; one item with everything it has. */
import { Button, Checkbox, FileInput, Modal, Select, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconSearch, IconUpload } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { call, useGet, useListing } from "../api";
import type { Catalog, CatalogDeclaration, CatalogDetail, Item, RowsTaken } from "../api.gen";
import { count } from "../format";
import { A, Empty, Head, List, Loaded, Section, Status, Trouble } from "../parts/parts";

const NONE: CatalogDeclaration = { fields: {}, roles: {}, collections: {}, repeat_categories: [] };
const BARRED: Record<string, string> = { sold_out: "Sold out", no_price: "No price" };
const failed = (error: unknown, words: string) => (error instanceof Error ? error : new Error(words));

/** Sends a file as it is; the server reads it row by row. */
async function send(catalog: string, file: Blob, name: string, patch: boolean): Promise<RowsTaken> {
  const kind = /\.csv$/i.test(name) ? "text/csv" : "application/x-ndjson";
  const response = await fetch(`/api/catalogs/${encodeURIComponent(catalog)}/import?patch=${patch}`, { method: "POST", credentials: "same-origin", headers: { accept: "application/json", "content-type": kind, "x-rapport": "1" }, body: file });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || answer.title || `The server answered with ${response.status}`);
  return answer as RowsTaken;
}

export function Catalogue() {
  const search = useSearch({ strict: false }) as { catalog?: string; q?: string; collection?: string };
  const catalogs = useGet<{ items: Catalog[] }>("/catalogs");
  return <Loaded query={catalogs} lines={10}>{(data) => {
    const names = data.items.map((one) => one.name);
    const name = search.catalog ?? (names.includes("products") || names.length === 0 ? "products" : names[0] ?? "products");
    return <Body key={name} name={name} names={names} collection={search.collection} />;
  }}</Loaded>;
}

function Body({ name, names, collection }: { name: string; names: string[]; collection?: string }) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const [importing, setImporting] = useState(false);
  const known = names.includes(name);
  const detail = useGet<CatalogDetail>(known ? `/catalogs/${encodeURIComponent(name)}` : null);
  const list = useListing<Item>(`/catalogs/${encodeURIComponent(name)}/items`, { search: asked || undefined, collection });
  const go = (more: Record<string, string | undefined>) => void navigate({ to: "/catalogue" as never, search: { catalog: name === "products" ? undefined : name, collection, ...more } as never });
  const take = <Button leftSection={<IconUpload size={16} aria-hidden />} onClick={() => setImporting(true)}>Import a file</Button>;
  return (
    <>
      <Head title="Catalogue" line="What recommendations choose from and templates read, in memory: a change of price or stock is in the next mail.">{take}</Head>
      {!known && <Empty title="No items yet" action={take} example={"id,name,category,price,stock,url,image_url\ntea-1,Green tea,tea,4.50,120,https://shop.example/tea-1,https://shop.example/tea-1.jpg"}>Import a CSV file or one JSON object a line, or let your shop send its changes to the API.</Empty>}
      {known && (
        <>
          <Loaded query={detail} lines={4}>{(found) => <Declaration key={JSON.stringify(found.declaration)} name={name} found={found} open={(one) => go({ collection: one })} />}</Loaded>
          <div className="filters">
            <TextInput aria-label="Find items" placeholder="Name or id" leftSection={<IconSearch size={16} aria-hidden />} value={text} onChange={(event) => setText(event.currentTarget.value)} w={240} />
            {names.length > 1 && <Select aria-label="Catalogue" data={names} value={name} allowDeselect={false} onChange={(value) => value && go({ catalog: value, collection: undefined })} w={180} />}
            <Select aria-label="In collection" placeholder="All items" clearable clearButtonProps={{ "aria-label": "All items" }} data={(detail.data?.collections ?? []).map((one) => one.name)} value={collection ?? null} onChange={(value) => go({ collection: value ?? undefined })} w={200} />
            <span className="end muted small">{list.total !== null && `${count(list.total)} items`}</span>
          </div>
          <List list={list} label="Items" id={(row) => row.id} columns={[
            { title: "Item", render: (row) => <span style={{ display: "flex", gap: 10, alignItems: "center" }}>{row.image && <img src={row.image} alt="" width={32} height={32} loading="lazy" style={{ borderRadius: 4, objectFit: "cover" }} />}<span><A to={`/catalogue/${encodeURIComponent(name)}/${encodeURIComponent(row.id)}`} className="main">{row.name ?? row.id}</A><div className="muted small mono">{row.id}</div></span></span> },
            { title: "Category", wide: true, render: (row) => row.category ?? <span className="muted">–</span> },
            { title: "Price", right: true, render: (row) => (typeof row.price === "number" ? row.price.toFixed(2) : <span className="muted">–</span>) },
            { title: "Stock", right: true, wide: true, render: (row) => row.stock ?? <span className="muted">–</span> },
            { title: "Offered", right: true, stack: true, render: (row) => row.barred ? <Status of="paused" label={BARRED[row.barred] ?? row.barred} /> : <Status of="live" label="Offered" /> },
          ]} empty={<Empty title="Nothing like this here">Search for a part of the name or the id.</Empty>} />
        </>
      )}
      <Modal opened={importing} onClose={() => setImporting(false)} title="Import a file" size="lg" closeButtonProps={{ "aria-label": "Close" }}>{importing && <Import name={name} known={known} done={() => setImporting(false)} />}</Modal>
    </>
  );
}

function Import({ name, known, done }: { name: string; known: boolean; done: () => void }) {
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [patch, setPatch] = useState(false);
  const [busy, setBusy] = useState(false);
  const [taken, setTaken] = useState<RowsTaken | null>(null);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const start = async () => {
    if (!file) return;
    setBusy(true);
    setRefusal(null);
    try {
      if (!known) await call(`/catalogs/${encodeURIComponent(name)}`, { method: "PUT", body: NONE });
      setTaken(await send(name, file, file.name, patch));
      await client.invalidateQueries();
    } catch (error) {
      setRefusal(failed(error, "The file could not be sent"));
    } finally {
      setBusy(false);
    }
  };
  if (taken) {
    return (
      <div data-testid="taken">
        <p><strong>{count(taken.written)} of {count(taken.rows)} rows are stored.</strong> {taken.refused_count > 0 && `${count(taken.refused_count)} were refused:`}</p>
        <ul className="rows">{taken.refused.slice(0, 20).map((row) => <li key={row.row}><span className="num">Row {row.row}</span><span className="mono small">{row.id}</span><span className="end muted small wrap">{row.reason}</span></li>)}</ul>
        <Button mt="md" onClick={done}>Done</Button>
      </div>
    );
  }
  return (
    <div style={{ display: "grid", gap: 14 }}>
      <FileInput label="File" description="CSV with a header, or one JSON object a line; each row has an id or product_id. The same file again changes nothing." placeholder="Choose a file" accept=".csv,.ndjson,.jsonl,.json" value={file} onChange={setFile} clearable clearButtonProps={{ "aria-label": "Choose another" }} />
      <Checkbox label="Only change what the file names" description="For a list of prices or stock: other fields stay as they are." checked={patch} onChange={(event) => setPatch(event.currentTarget.checked)} />
      {refusal && <Trouble error={refusal} title="It was not imported" />}
      <div><Button onClick={() => void start()} loading={busy} disabled={!file}>Import</Button></div>
    </div>
  );
}

function Declaration({ name, found, open }: { name: string; found: CatalogDetail; open: (collection: string) => void }) {
  const client = useQueryClient();
  const [text, setText] = useState(JSON.stringify(found.declaration, null, 2));
  const [editing, setEditing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Error | null>(null);
  const save = async () => {
    setBusy(true);
    setRefusal(null);
    try {
      await call(`/catalogs/${encodeURIComponent(name)}`, { method: "PUT", body: JSON.parse(text) });
      await client.invalidateQueries();
      notifications.show({ message: "Saved. Recommendations and templates go by it now.", closeButtonProps: { "aria-label": "Close" } });
    } catch (error) {
      setRefusal(failed(error, "It could not be saved"));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="two">
      <Section title="Collections" note="conditions over the fields of items">
        <ul className="rows">
          {found.collections.map((one) => <li key={one.name}><button type="button" className="plainbutton link" onClick={() => open(one.name)}>{one.name}</button><code className="mono small ellipsis" title={one.condition}>{one.condition}</code><span className="end num">{count(one.items)}</span></li>)}
        </ul>
        {found.collections.length === 0 && <p className="muted" style={{ padding: "10px 0" }}>None yet. A collection is a condition such as <code className="mono">category = &quot;tea&quot; and price &lt; 20</code>; templates loop over it as <code className="mono">catalog.collections.name</code>.</p>}
      </Section>
      <Section title="What fields mean" more={!editing && <button type="button" className="plainbutton link small" onClick={() => setEditing(true)}>Edit</button>}>
        {editing ? (
          <div style={{ display: "grid", gap: 10, paddingTop: 8 }}>
            <Textarea aria-label="Declaration" description="Types of fields, the field that plays a role (name, price, stock, category, brand, tags, image, url …), collections by name, and categories that are bought again and again." autosize minRows={8} maxRows={24} styles={{ input: { fontFamily: "var(--mono, monospace)", fontSize: 13 } }} value={text} onChange={(event) => setText(event.currentTarget.value)} />
            {refusal && <Trouble error={refusal} title="It was not saved" />}
            <div style={{ display: "flex", gap: 8 }}><Button onClick={() => void save()} loading={busy}>Save</Button><Button variant="default" onClick={() => setEditing(false)}>Leave it</Button></div>
          </div>
        ) : <pre className="code" style={{ marginTop: 8 }}>{JSON.stringify(found.declaration, null, 2)}</pre>}
      </Section>
    </div>
  );
}

export function CatalogueItem() {
  const { catalog, id } = useParams({ strict: false }) as { catalog: string; id: string };
  const found = useGet<Item>(`/catalogs/${encodeURIComponent(catalog)}/items/${encodeURIComponent(id)}`);
  return <Loaded query={found} lines={8}>{(data) => <ItemBody catalog={catalog} found={data} />}</Loaded>;
}

function ItemBody({ catalog, found }: { catalog: string; found: Item }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [refusal, setRefusal] = useState<Error | null>(null);
  const fields = (found.fields ?? {}) as Record<string, unknown>;
  const name = String(fields.name ?? fields.title ?? found.id);
  const image = typeof fields.image_url === "string" ? fields.image_url : typeof fields.image === "string" ? fields.image : null;
  const remove = async () => {
    if (!window.confirm(`Remove ${name}? Mails do not offer it any more.`)) return;
    try {
      await call(`/catalogs/${encodeURIComponent(catalog)}/items/${encodeURIComponent(found.id)}`, { method: "DELETE" });
      await client.invalidateQueries();
      void navigate({ to: "/catalogue" as never });
    } catch (error) {
      setRefusal(failed(error, "It could not be removed"));
    }
  };
  return (
    <>
      <Head title={name} back={{ to: "/catalogue", label: "Catalogue" }} line={<span className="mono">{found.id}</span>}><Button variant="default" onClick={() => void remove()}>Remove</Button></Head>
      {refusal && <Trouble error={refusal} title="It was not removed" />}
      <div className="two">
        <Section title="Fields">
          <dl className="rows">{Object.entries(fields).map(([field, value]) => <div key={field} style={{ display: "flex", gap: 12, padding: "6px 0" }}><dt className="muted mono small" style={{ minWidth: 120 }}>{field}</dt><dd className="wrap" style={{ margin: 0 }}>{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd></div>)}</dl>
        </Section>
        <div>
          {image && <Section title="Picture"><img src={image} alt={name} style={{ maxWidth: "100%", maxHeight: 280, marginTop: 8, borderRadius: 6 }} /></Section>}
          <Section title="In a template"><pre className="code" style={{ marginTop: 8 }}>{`{{ catalog.${catalog}["${found.id}"].name }}`}</pre></Section>
        </div>
      </div>
    </>
  );
}

