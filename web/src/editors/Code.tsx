/** A code editor by CodeMirror: conditions with completion and errors in place, or SQL. Loaded when opened. */
import { autocompletion, closeBrackets, completionKeymap, insertCompletionText, pickedCompletion, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { sql } from "@codemirror/lang-sql";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, hoverTooltip, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import { call, params, type Completions, type EventVocabulary, type Finding, type Hinted, type Schema, type Vocabulary } from "../api";
import { bytesBefore, KEYWORDS, placeOf, placeOfByte, quoted, valueAt } from "./condition";

const conditions = StreamLanguage.define<null>({
  startState: () => null,
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (stream.match(/^\/(?:[^/\\\n]|\\.)+\//)) return "regexp";
    if (stream.match(/^-?\d[\d.:T+-]*/)) return "number";
    const word = stream.match(/^half-life\b|^[A-Za-z_][\w.]*/i);
    if (word && Array.isArray(word)) return KEYWORDS.has(word[0].toLowerCase()) ? "keyword" : "variableName";
    stream.next();
    return "operator";
  },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--keyword)", fontWeight: "550" },
  { tag: [tags.string, tags.regexp], color: "var(--string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--number)" },
  { tag: [tags.operator, tags.punctuation], color: "var(--muted)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "var(--ink)" },
  ".cm-content": { fontFamily: "var(--mantine-font-family-monospace)", padding: "12px 4px", lineHeight: "22px", caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent) !important" },
  ".cm-tooltip": { backgroundColor: "var(--mantine-color-body)", border: "1px solid var(--rule-strong)", borderRadius: "8px", color: "var(--ink)", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "3px 10px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--accent-ink)" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "12px" },
  ".cm-meaning": { padding: "8px 12px", maxWidth: "460px", fontSize: "12.5px", lineHeight: "19px" },
  ".cm-completionInfo": { backgroundColor: "var(--mantine-color-body)", border: "1px solid var(--rule-strong)", borderRadius: "8px", color: "var(--muted)", padding: "6px 10px", maxWidth: "340px" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-diagnostic": { padding: "6px 10px" },
});

/** Puts a text in; the quote that was closed by itself is not left over. */
function put(text: string) {
  return (view: EditorView, completion: Completion, from: number, to: number) => {
    const end = text.endsWith('"') && view.state.sliceDoc(to, to + 1) === '"' ? to + 1 : to;
    view.dispatch({ ...insertCompletionText(view.state, text, from, end), annotations: pickedCompletion.of(completion) });
  };
}

/** Values that the name before the cursor was seen with. */
async function values(before: string, vocabulary: Vocabulary | undefined, signal: AbortSignal): Promise<{ from: number; options: Completion[] } | null> {
  const at = valueAt(before);
  if (!at) return null;
  const names = at.event === null ? (vocabulary?.attributes ?? []) : (await call<EventVocabulary>(`/segments/vocabulary/event${params({ name: at.event })}`, { signal })).properties;
  const known = names.find((one) => one.name === at.name)?.values ?? [];
  if (known.length === 0) return null;
  const options = known.map(({ value, count }, index) => ({ label: typeof value === "string" ? quoted(value) : String(value), apply: put(typeof value === "string" ? quoted(value) : String(value)), detail: `seen ${count} times`, type: "text", boost: 99 - index }));
  return { from: before.length - at.typed.length, options };
}

/** What can stand at the cursor: the server knows the language and the names, the vocabulary the values. */
function complete(vocabulary: Vocabulary | undefined) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const text = context.state.doc.toString();
    const before = text.slice(0, context.pos);
    const word = context.matchBefore(/"[^"\n]*|[A-Za-z_][\w.]*|[=(,]\s*/);
    if (!word && !context.explicit && !/\s$/.test(before)) return null;
    const abort = new AbortController();
    context.addEventListener("abort", () => abort.abort(), { onDocChange: true });
    try {
      const seen = await values(before, vocabulary, abort.signal);
      if (seen) return { ...seen, validFor: /^"[^"]*$/ };
      const found = await call<Completions>("/conditions/complete", { method: "POST", body: { text, offset: bytesBefore(text, context.pos) }, signal: abort.signal });
      const [first] = found.items;
      if (!first) return null;
      const from = placeOfByte(text, first.from);
      const options = found.items.map((item, index) => ({ label: item.label, apply: put(item.insert), detail: item.kind === "form" || item.kind === "word" ? "" : item.detail || item.kind, info: item.kind === "form" || item.kind === "word" ? item.detail || undefined : undefined, type: item.kind, boost: (item.kind === "form" ? -50 : 0) - index / 100 }));
      return { from, options, filter: false };
    } catch {
      // Cancelled, or without an answer: typing goes on without suggestions.
      return null;
    }
  };
}

/** What the word under the pointer means. */
const meaning = hoverTooltip(async (view, at) => {
  const text = view.state.doc.toString();
  try {
    const { hint } = await call<Hinted>("/conditions/hint", { method: "POST", body: { text, offset: bytesBefore(text, at) } });
    if (!hint) return null;
    return {
      pos: placeOfByte(text, hint.from),
      end: placeOfByte(text, hint.to),
      above: true,
      create: () => {
        const dom = document.createElement("div");
        dom.className = "cm-meaning";
        for (const [name, words] of [["mono", hint.syntax], ["", hint.note], ["muted mono", hint.example], ["muted", hint.sentence]] as const) {
          if (!words) continue;
          const line = dom.appendChild(document.createElement("div"));
          line.className = name;
          line.textContent = words;
        }
        return { dom };
      },
    };
  } catch {
    return null;
  }
});

interface Given {
  value: string;
  change: (text: string) => void;
  label: string;
  language: "condition" | "sql";
  findings?: Finding[];
  vocabulary?: Vocabulary;
  schema?: Schema;
  run?: () => void;
  hint?: string;
  height?: number;
}

export default function Code({ value, change, label, language, findings, vocabulary, schema, run, hint, height = 150 }: Given) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const speech = useRef(new Compartment());
  const latest = useRef({ change, run, value });
  useEffect(() => {
    latest.current = { change, run, value };
  });
  useEffect(() => {
    if (!host.current) return;
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          keymap.of([{ key: "Mod-Enter", run: () => { latest.current.run?.(); return true; } }]),
          history(), drawSelection(), closeBrackets(), EditorView.lineWrapping, syntaxHighlighting(colours), look,
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
          placeholder(hint ?? ""),
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.change(update.state.doc.toString());
          }),
          EditorView.theme({ "&": { minHeight: `${height}px` }, ".cm-scroller": { minHeight: `${height}px` } }),
          speech.current.of([]),
        ],
      }),
    });
    view.current = made;
    return () => {
      made.destroy();
      view.current = null;
    };
  }, [label, hint, height]);
  useEffect(() => {
    const words =
      language === "sql"
        ? [sql({ schema: Object.fromEntries((schema?.tables ?? []).map((table) => [table.name, table.columns.map((column) => column.name)])) }), autocompletion()]
        : [conditions, meaning, autocompletion({ override: [complete(vocabulary)], activateOnTyping: true, icons: false })];
    view.current?.dispatch({ effects: speech.current.reconfigure(words) });
  }, [language, vocabulary, schema]);
  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const text = editor.state.doc.toString();
    const marks = (findings ?? []).map((finding) => ({ ...placeOf(text, finding), severity: "error" as const, message: finding.message }));
    editor.dispatch(setDiagnostics(editor.state, marks));
  }, [findings]);
  return <div ref={host} className={findings && findings.length > 0 ? "editor broken" : "editor"} />;
}
