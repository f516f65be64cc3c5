/** The visual builder: nested groups of conditions, moved by mouse and keyboard, each form drawn as a line that reads like its sentence. */
import { Button, Menu, Textarea } from "@mantine/core";
import { IconArrowBackUp, IconArrowForwardUp, IconArrowDown, IconArrowUp, IconCode, IconCopy, IconDots, IconGripVertical, IconIndentDecrease, IconIndentIncrease, IconPlus, IconTrash, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type DragEvent, type KeyboardEvent } from "react";
import { call, type Check, type Vocabulary } from "../api";
import { Known } from "./fields";
import { DRAWN, FORMS, type Form } from "./forms";
import { LeafFields } from "./leaves";
import { change, duplicate, find, groupOf, insert, leafOf, move, moves, moveTo, negate, remove, replace, within, type Direction, type Group, type Leaf, type Part, type Tree } from "./tree";

interface Given {
  root: Group;
  /** `of` names what changed: a run of changes to it is one step. */
  set: (root: Group, of: string) => void;
  vocabulary: Vocabulary | undefined;
  /** What is wrong, by part. */
  faults: Map<number, string>;
  undo: (() => void) | null;
  redo: (() => void) | null;
}

interface Place {
  group: number;
  at: number;
}

interface Hands {
  root: Group;
  set: Given["set"];
  faults: Map<number, string>;
  drag: number | null;
  over: Place | null;
  take: (id: number | null) => void;
  aim: (place: Place | null) => void;
  drop: () => void;
  step: (part: Part, direction: Direction) => void;
  focus: (id: number) => void;
}

const ARROWS: Record<string, Direction> = { ArrowUp: "up", ArrowDown: "down", ArrowRight: "in", ArrowLeft: "out" };
const STEPS: Record<Direction, [string, typeof IconArrowUp]> = { up: ["Move up", IconArrowUp], down: ["Move down", IconArrowDown], in: ["Into a group", IconIndentIncrease], out: ["Out of the group", IconIndentDecrease] };

/** What a part is called where it cannot be seen. */
function nameOf(part: Part): string {
  if (part.kind === "group") return part.join === "and" ? "group of which all hold" : "group of which any holds";
  const leaf = part.leaf;
  const pattern = (leaf.event ?? leaf.first) as { name?: string } | undefined;
  const about = pattern?.name ?? leaf.path ?? leaf.segment ?? leaf.about ?? "";
  return `${String(leaf.type).replace(/_/g, " ")} ${String(about)}`.trim();
}

/** The text of a part, edited in its place; what it says then stands there instead. */
function Written({ leaf, apply, close }: { leaf: Tree; apply: (tree: Tree) => void; close: (() => void) | null }) {
  const [text, setText] = useState<string | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const written = useQuery<Check, Error>({ queryKey: ["written", JSON.stringify(leaf)], queryFn: ({ signal }) => call<Check>("/segments/check", { method: "POST", body: { where: leaf }, signal }), staleTime: Infinity });
  const shown = text ?? written.data?.text ?? "";
  const save = async () => {
    const check = await call<Check>("/segments/check", { method: "POST", body: { where: shown } });
    const json = check.json as unknown as Tree | null;
    if (check.ok && json) {
      apply(json);
      close?.();
      return;
    }
    const [error] = check.errors;
    setFault(error ? `${error.message}${error.expected.length > 0 ? `; expected ${error.expected.slice(0, 5).join(", ")}` : ""}` : "This cannot be read.");
  };
  const put = () => void save().catch((error: unknown) => setFault(error instanceof Error ? error.message : "The server cannot be reached."));
  return (
    <div className="bwritten">
      <Textarea aria-label="This part as text" autosize minRows={1} size="xs" value={shown} error={fault} onChange={(event) => { setText(event.currentTarget.value); setFault(null); }} onKeyDown={(event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) put(); if (event.key === "Escape") close?.(); }} classNames={{ input: "mono" }} />
      <span className="bgroup"><Button size="compact-xs" onClick={put} disabled={shown.trim() === ""}>Apply</Button>{close && <Button size="compact-xs" variant="default" onClick={close}>Keep as it was</Button>}</span>
    </div>
  );
}

function Actions({ part, hands, write }: { part: Part; hands: Hands; write?: () => void }) {
  const can = moves(hands.root, part.id);
  const copy = () => {
    const made = duplicate(hands.root, part.id);
    hands.set(made.root, "");
    hands.focus(made.copy);
  };
  return (
    <Menu position="bottom-end" shadow="md" transitionProps={{ duration: 0 }}>
      <Menu.Target><button type="button" className="bicon" aria-label={`Actions: ${nameOf(part)}`} title="Actions"><IconDots size={15} aria-hidden /></button></Menu.Target>
      <Menu.Dropdown>
        {can.map((direction) => {
          const [label, Icon] = STEPS[direction];
          return <Menu.Item key={direction} leftSection={<Icon size={14} aria-hidden />} onClick={() => hands.step(part, direction)}>{label}</Menu.Item>;
        })}
        <Menu.Divider />
        <Menu.Item leftSection={<span className="bno" aria-hidden>¬</span>} onClick={() => hands.set(negate(hands.root, part.id), "")}>{part.nots > 0 ? "Take “not” away" : "Not this"}</Menu.Item>
        <Menu.Item leftSection={<IconCopy size={14} aria-hidden />} onClick={copy}>Duplicate</Menu.Item>
        {write && <Menu.Item leftSection={<IconCode size={14} aria-hidden />} onClick={write}>Edit as text</Menu.Item>}
        <Menu.Item leftSection={<IconTrash size={14} aria-hidden />} onClick={() => hands.set(remove(hands.root, part.id), "")}>Remove</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Handle({ part, hands }: { part: Part; hands: Hands }) {
  const keys = (event: KeyboardEvent) => {
    const direction = ARROWS[event.key];
    if (direction) {
      event.preventDefault();
      hands.step(part, direction);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      hands.set(remove(hands.root, part.id), "");
    }
  };
  return (
    // No button: Firefox does not let one be dragged.
    <span
      role="button"
      tabIndex={0}
      className="bhandle"
      data-handle={part.id}
      draggable
      aria-label={`Move: ${nameOf(part)}. Arrow keys move it up, down, into a group and out.`}
      title="Drag, or use the arrow keys"
      onKeyDown={keys}
      onDragStart={(event) => {
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", nameOf(part));
        hands.take(part.id);
      }}
      onDragEnd={() => hands.take(null)}
    >
      <IconGripVertical size={14} aria-hidden />
    </span>
  );
}

/** `not` before a part, for the forms that do not say it by themselves. */
function Nots({ part, hands }: { part: Part; hands: Hands }) {
  const own = part.kind === "leaf" && (part.leaf.type === "did" || part.leaf.type === "in_segment") ? 1 : 0;
  const times = Math.max(0, part.nots - own);
  return Array.from({ length: times }, (_, at) => <button key={at} type="button" className="bnot" aria-label="not; take it away" title="Take “not” away" onClick={() => hands.set(negate(hands.root, part.id), "")}>not</button>);
}

function LeafRow({ part, hands }: { part: Leaf; hands: Hands }) {
  const [writing, setWriting] = useState(false);
  const drawn = DRAWN.has(part.leaf.type);
  const fault = hands.faults.get(part.id);
  const apply = (tree: Tree) => hands.set(replace(hands.root, part.id, tree), "");
  return (
    <div className={fault ? "bleaf broken" : "bleaf"}>
      <Handle part={part} hands={hands} />
      <div className="bbody">
        <div className="bline">
          <Nots part={part} hands={hands} />
          {drawn && !writing
            ? <LeafFields leaf={part.leaf} set={(leaf) => hands.set(change(hands.root, part.id, (old) => ({ ...old, leaf }) as Leaf), `part ${part.id}`)} not={part.nots > 0} negate={() => hands.set(negate(hands.root, part.id), "")} />
            : <Written key={JSON.stringify(part.leaf)} leaf={part.leaf} apply={apply} close={drawn ? () => setWriting(false) : null} />}
        </div>
        {fault && <p className="bfault" role="status">{fault}</p>}
      </div>
      <Actions part={part} hands={hands} write={drawn ? () => setWriting(true) : undefined} />
    </div>
  );
}

function Add({ group, hands }: { group: Group; hands: Hands }) {
  const add = (form: Form) => {
    const made: Leaf = { ...leafOf(form.make(""), form.nots ?? 0), fresh: true };
    hands.set(insert(hands.root, group.id, made), "");
    hands.focus(made.id);
  };
  const nest = (join: "and" | "or") => {
    const made = groupOf(join, []);
    hands.set(insert(hands.root, group.id, made), "");
  };
  return (
    <div className="bgroup badds">
      <Menu position="bottom-start" shadow="md" width={300} transitionProps={{ duration: 0 }}>
        <Menu.Target><Button size="compact-sm" variant="default" leftSection={<IconPlus size={13} aria-hidden />}>Condition</Button></Menu.Target>
        <Menu.Dropdown className="bmenu">
          {FORMS.map(({ family, forms }) => (
            <div key={family}>
              <Menu.Label>{family}</Menu.Label>
              {forms.map((form) => <Menu.Item key={form.label} onClick={() => add(form)} rightSection={<span className="muted small">{form.hint}</span>}>{form.label}</Menu.Item>)}
            </div>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Button size="compact-sm" variant="subtle" color="gray" onClick={() => nest(group.join === "and" ? "or" : "and")} leftSection={<IconPlus size={13} aria-hidden />}>Group</Button>
    </div>
  );
}

function GroupBox({ group, hands, outer }: { group: Group; hands: Hands; outer: boolean }) {
  const join = (value: "and" | "or") => hands.set(change(hands.root, group.id, (part) => ({ ...part, join: value }) as Group), "");
  const fault = hands.faults.get(group.id);
  const aimed = (at: number) => hands.over?.group === group.id && hands.over.at === at;
  const over = (event: DragEvent, at: number) => {
    const dragged = hands.drag === null ? null : find(hands.root, hands.drag);
    if (!dragged || within(dragged.part, group.id)) return;
    event.preventDefault();
    event.stopPropagation();
    const box = event.currentTarget.getBoundingClientRect();
    hands.aim({ group: group.id, at: at + (event.clientY > box.top + box.height / 2 ? 1 : 0) });
  };
  const word = group.join;
  return (
    <div className={`bbox ${word}${outer ? " outer" : ""}`} role="group" aria-label={nameOf(group)} onDragOver={(event) => over(event, group.parts.length - (group.parts.length > 0 ? 1 : 0))} onDrop={(event) => { event.preventDefault(); event.stopPropagation(); hands.drop(); }}>
      <div className="bhead">
        {!outer && <Handle part={group} hands={hands} />}
        <Nots part={group} hands={hands} />
        <select className="bfield bword bjoin" aria-label={outer ? "How the conditions are joined" : "How the conditions of this group are joined"} value={group.join} onChange={(event) => join(event.currentTarget.value === "or" ? "or" : "and")}>
          <option value="and">All of these</option>
          <option value="or">Any of these</option>
        </select>
        <span className="muted small">{group.join === "and" ? "every one holds" : "at least one holds"}</span>
        {!outer && <span className="bend"><Actions part={group} hands={hands} /></span>}
      </div>
      {fault && <p className="bfault" role="status">{fault}</p>}
      <ol className="bparts">
        {group.parts.map((part, at) => (
          <li key={part.id} className={[hands.drag === part.id ? "dragged" : "", aimed(at) ? "aim" : "", at === group.parts.length - 1 && aimed(at + 1) ? "aimafter" : ""].join(" ").trim() || undefined} onDragOver={(event) => over(event, at)}>
            <span className="bjoiner" aria-hidden>{at === 0 ? "" : word}</span>
            {part.kind === "leaf" ? <LeafRow part={part} hands={hands} /> : <GroupBox group={part} hands={hands} outer={false} />}
          </li>
        ))}
      </ol>
      {group.parts.length === 0 && <p className={aimed(0) ? "muted small bhollow aim" : "muted small bhollow"}>{outer ? "Nothing yet: add the first condition." : "An empty group says nothing. Add a condition, or drag one here."}</p>}
      <Add group={group} hands={hands} />
    </div>
  );
}

export default function Builder({ root, set, vocabulary, faults, undo, redo }: Given) {
  const [drag, setDrag] = useState<number | null>(null);
  const [over, setOver] = useState<Place | null>(null);
  const [said, setSaid] = useState("");
  const wanted = useRef<number | null>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (wanted.current === null) return;
    // What was added is filled in first: its name, else its first choice.
    const row = box.current?.querySelector<HTMLElement>(`[data-handle="${wanted.current}"]`)?.parentElement;
    (row?.querySelector<HTMLElement>("input") ?? row?.querySelector<HTMLElement>("select") ?? row?.querySelector<HTMLElement>("button"))?.focus();
    wanted.current = null;
  }, [root]);
  const moved = useRef<number | null>(null);
  useEffect(() => {
    if (moved.current === null) return;
    box.current?.querySelector<HTMLElement>(`[data-handle="${moved.current}"]`)?.focus();
    moved.current = null;
  }, [root]);
  const hands: Hands = {
    root,
    set,
    faults,
    drag,
    over,
    take: (id) => {
      setDrag(id);
      setOver(null);
    },
    aim: (place) => setOver((old) => (old?.group === place?.group && old?.at === place?.at ? old : place)),
    drop: () => {
      if (drag !== null && over) set(moveTo(root, drag, over.group, over.at), "");
      setDrag(null);
      setOver(null);
    },
    step: (part, direction) => {
      const after = move(root, part.id, direction);
      if (after === root) return setSaid("It cannot move further that way.");
      moved.current = part.id;
      const place = find(after, part.id);
      set(after, "");
      setSaid(`Moved to place ${(place?.at ?? 0) + 1} of ${place?.parent?.parts.length ?? 1} in the ${place?.parent ? nameOf(place.parent) : "condition"}.`);
    },
    focus: (id) => {
      wanted.current = id;
    },
  };
  const steps = useRef({ undo, redo });
  useEffect(() => {
    steps.current = { undo, redo };
  });
  useEffect(() => {
    const keys = (event: globalThis.KeyboardEvent) => {
      const key = event.key.toLowerCase();
      if (!(event.metaKey || event.ctrlKey) || (key !== "z" && key !== "y")) return;
      // The focus falls to the page when the part that had it is taken back.
      if (event.target !== document.body && !box.current?.contains(event.target as Node)) return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) steps.current.redo?.();
      else steps.current.undo?.();
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, []);
  return (
    <Known.Provider value={vocabulary}>
      <div ref={box} className="builder" data-testid="builder">
        <div className="btools">
          <button type="button" className="bicon" aria-label="Undo" title="Undo (⌘Z)" disabled={!undo} onClick={() => undo?.()}><IconArrowBackUp size={16} aria-hidden /></button>
          <button type="button" className="bicon" aria-label="Redo" title="Redo (⇧⌘Z)" disabled={!redo} onClick={() => redo?.()}><IconArrowForwardUp size={16} aria-hidden /></button>
          {root.parts.length > 0 && <button type="button" className="bicon" aria-label="Remove all conditions" title="Remove all" onClick={() => set({ ...root, parts: [] }, "")}><IconX size={15} aria-hidden /></button>}
        </div>
        <GroupBox group={root} hands={hands} outer />
        <p className="sr" aria-live="polite">{said}</p>
      </div>
    </Known.Provider>
  );
}
