/** A condition while it is written: as text or in the builder, checked by the server, which also turns one into the other. */
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { call, Problem, type Check, type Finding } from "../api";
import { gapOf } from "./forms";
import { begin, commit, fromTree, placesOf, redo, revive, toTree, undo, type Group, type History, type Tree } from "./tree";

export type Mode = "builder" | "text";
const MODE = "rapport-condition-mode";
const NONE: Finding[] = [];

/** What a browser keeps of a condition that is not saved. */
interface Kept {
  mode: Mode;
  text: string;
  root?: unknown;
}

export function readKept(kept: string | null): Kept | null {
  if (!kept) return null;
  try {
    const value = JSON.parse(kept) as Partial<Kept> | null;
    if (value && typeof value === "object" && typeof value.text === "string") return { mode: value.mode === "text" ? "text" : "builder", text: value.text, root: value.root };
  } catch {
    // Kept as bare text by an earlier console.
  }
  return { mode: "text", text: kept };
}

/** Every part that is not complete, with what it lacks. */
function gapsOf(root: Group): Map<number, string> {
  const gaps = new Map<number, string>();
  const walk = (group: Group) => {
    for (const part of group.parts) {
      if (part.kind === "group") walk(part);
      else {
        const gap = gapOf(part.leaf, part.fresh);
        if (gap) gaps.set(part.id, gap);
      }
    }
  };
  walk(root);
  return gaps;
}

const ask = (where: unknown, signal?: AbortSignal) => call<Check>("/segments/check", { method: "POST", body: { where }, signal });

export function useDraft(begun: { text: string; tree?: Tree | null; kept?: Kept | null }) {
  const [mode, setMode] = useState<Mode>(() => begun.kept?.mode ?? ((begun.text.trim() !== "" && !begun.tree) || localStorage.getItem(MODE) === "text" ? "text" : "builder"));
  const [text, setText] = useState(begun.kept?.text ?? begun.text);
  const [history, setHistory] = useState<History<Group>>(() => begin(revive(begun.kept?.root) ?? fromTree(begun.tree)));
  /** The text that the builder's document was made from, so that the text comes back as it was typed where nothing changed. */
  const [origin, setOrigin] = useState<{ text: string; tree: string } | null>(() => (begun.tree ? { text: begun.text, tree: JSON.stringify(begun.tree) } : null));
  const [switching, setSwitching] = useState<string | null>(null);
  const root = history.now;
  const gaps = useMemo(() => gapsOf(root), [root]);
  const tree = useMemo(() => toTree(root), [root]);
  const written = mode === "text" ? text : tree === null || gaps.size > 0 ? "" : JSON.stringify(tree);
  const [settled] = useDebouncedValue(written, 250);
  const asked = settled.trim() !== "";
  const check = useQuery<Check, Error>({
    queryKey: ["check", mode, settled],
    queryFn: ({ signal }) => ask(mode === "text" ? settled : JSON.parse(settled), signal),
    enabled: asked,
    placeholderData: keepPreviousData,
  });
  const current = settled === written && !check.isPlaceholderData;
  const good = asked && written.trim() !== "" && check.data?.ok === true && !check.isPlaceholderData;
  const refused = check.error instanceof Problem ? check.error.errors : NONE;
  const findings = asked && current ? (check.data?.errors ?? refused) : NONE;
  const faults = useMemo(() => {
    const out = new Map(gaps);
    const places = placesOf(root);
    if (mode === "builder") for (const finding of findings) out.set(places.get(finding.path ?? "") ?? root.id, finding.message);
    return out;
  }, [gaps, root, findings, mode]);

  const change = useCallback((next: Group, of: string) => setHistory((old) => commit(old, next, of, performance.now())), []);
  const choose = useCallback(async (next: Mode) => {
    setSwitching(null);
    if (next === mode) return;
    if (next === "text") {
      if (gaps.size > 0) return setSwitching(gaps.size === 1 ? "One part is not complete: fill it in or remove it, so that it can be written as text." : `${gaps.size} parts are not complete: fill them in or remove them, so that they can be written as text.`);
      const same = origin !== null && JSON.stringify(tree) === origin.tree;
      try {
        const found = tree === null ? "" : same ? origin.text : (await ask(tree)).text;
        if (tree !== null && found === "") return setSwitching("A part is not right: see the mark at it.");
        setText(found);
        setMode("text");
        localStorage.setItem(MODE, "text");
      } catch (error) {
        setSwitching(error instanceof Error ? error.message : "The server cannot be reached.");
      }
      return;
    }
    try {
      const found = text.trim() === "" ? null : await ask(text);
      if (found && !found.json) return setSwitching("The text cannot be read yet: put right what is marked, so that it can be drawn.");
      const json = (found?.json ?? null) as Tree | null;
      if (JSON.stringify(json) !== JSON.stringify(tree)) setHistory((old) => commit(old, fromTree(json), "", performance.now()));
      setOrigin(json ? { text, tree: JSON.stringify(json) } : null);
      setMode("builder");
      localStorage.setItem(MODE, "builder");
    } catch (error) {
      setSwitching(error instanceof Error ? error.message : "The server cannot be reached.");
    }
  }, [mode, gaps, tree, text, origin]);

  return {
    mode, text, root, check, good, findings, faults, gaps: gaps.size, switching, asked: written.trim() !== "",
    /** What is sent to be saved. */
    where: mode === "text" ? text : tree,
    /** The text of what was checked and is right; empty otherwise. */
    counted: good ? (check.data?.text ?? "") : "",
    current,
    kept: (): string => JSON.stringify({ mode, text, root: mode === "builder" ? root : undefined }),
    choose,
    write: (next: string) => {
      setText(next);
      setSwitching(null);
    },
    change,
    undo: history.past.length > 0 ? () => setHistory(undo) : null,
    redo: history.future.length > 0 ? () => setHistory(redo) : null,
    /** Begins with another condition, in whichever way is shown. */
    start: async (next: string) => {
      const found = await ask(next);
      setText(next);
      const json = (found.json ?? null) as Tree | null;
      if (json) setHistory((old) => commit(old, fromTree(json), "", performance.now()));
      setOrigin(json ? { text: next, tree: JSON.stringify(json) } : null);
    },
  };
}
