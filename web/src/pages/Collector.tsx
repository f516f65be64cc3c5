/** How to send events: the same call for a Node program, a page and a shell, with this workspace's address. */
import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { A, Section } from "../parts/parts";
import { CodeBlock } from "../parts/Value";

export type Place = "curl" | "node" | "browser";

/** The text to paste, with the host and, where it was just made, the key. */
export function snippet(place: Place, host: string, key: string): string {
  if (place === "node") {
    return `import { Analytics } from "@segment/analytics-node"; // npm install @segment/analytics-node\n\nconst rapport = new Analytics({ writeKey: "${key}", host: "${host}" });\nrapport.identify({ userId: "42", traits: { email: "42@example.com" } });\nrapport.track({ userId: "42", event: "Product Added", properties: { product_id: "p-1", cart_id: "c-7" } });`;
  }
  if (place === "browser") {
    return `import { AnalyticsBrowser } from "@segment/analytics-next"; // npm install @segment/analytics-next\n\nconst rapport = AnalyticsBrowser.load(\n  { writeKey: "${key}", cdnURL: "${host}" },\n  { integrations: { "Segment.io": { apiHost: "${host.replace(/^https?:\/\//, "")}/v1", protocol: "${host.startsWith("https") ? "https" : "http"}" } } },\n);\nrapport.identify("42", { email: "42@example.com" });\nrapport.track("Product Added", { product_id: "p-1", cart_id: "c-7" });`;
  }
  return `curl -u ${key}: ${host}/v1/track \\\n  -H 'content-type: application/json' \\\n  -d '{"userId":"42","event":"Product Added","properties":{"product_id":"p-1","cart_id":"c-7"}}'`;
}

export function Snippets({ writeKey }: { writeKey: string }) {
  const [place, setPlace] = useState<Place>("curl");
  return (
    <>
      <SegmentedControl size="xs" aria-label="Where events come from" value={place} onChange={(value) => setPlace(value as Place)} data={[{ value: "curl", label: "curl" }, { value: "node", label: "Node" }, { value: "browser", label: "Browser" }]} mb={10} />
      <CodeBlock text={snippet(place, window.location.origin, writeKey)} label="The call" />
    </>
  );
}

export function Collector() {
  return (
    <div style={{ maxWidth: 860 }}>
      <Section title="Send an event" note="the wire format of Segment's SDKs">
        <div style={{ paddingTop: 12 }}>
          <Snippets writeKey="WRITE_KEY" />
          <p className="muted" style={{ marginTop: 12 }}>Put a <A to="/settings" search={{ tab: "keys" }} className="link">write key</A> in the place of WRITE_KEY. The event shows under <A to="/events" className="link">Events</A> within a second, whether it is taken or refused.</p>
        </div>
      </Section>
    </div>
  );
}
