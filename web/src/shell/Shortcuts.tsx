/** ?: the keys that do something, on one card. */
import { Modal } from "@mantine/core";
import { PLACES } from "./places";

const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);

const ANYWHERE: [string[], string][] = [
  [[APPLE ? "⌘" : "Ctrl", "K"], "Search and commands"],
  [["/"], "Search and commands"],
  [["?"], "This card"],
  [["Esc"], "Close what is open"],
];
const EDITORS: [string[], string][] = [
  [[APPLE ? "⌘" : "Ctrl", "Enter"], "Run the query, or save the segment"],
  [[APPLE ? "⌘" : "Ctrl", "Space"], "Complete a name"],
  [[APPLE ? "⌘" : "Ctrl", "Z"], "Undo"],
];

function Keys({ title, rows }: { title: string; rows: [string[], string][] }) {
  return (
    <section>
      <h3 className="sub">{title}</h3>
      <dl className="keys">{rows.map(([keys, about]) => <div key={about + keys.join("")}><dt>{about}</dt><dd>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dd></div>)}</dl>
    </section>
  );
}

export function Shortcuts({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Keyboard shortcuts" size={640} closeButtonProps={{ "aria-label": "Close" }}>
      <div className="two" style={{ rowGap: 20 }}>
        <Keys title="Go to" rows={PLACES.map((place) => [["g", place.key], place.label])} />
        <div style={{ display: "grid", gap: 20, alignContent: "start" }}><Keys title="Anywhere" rows={ANYWHERE} /><Keys title="In an editor" rows={EDITORS} /></div>
      </div>
    </Modal>
  );
}
