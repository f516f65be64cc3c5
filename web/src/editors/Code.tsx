/** A code editor by CodeMirror: conditions with completion and errors in place, or SQL. Loaded when opened. */
import { autocompletion, closeBrackets, completionKeymap, type Completion, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { sql } from "@codemirror/lang-sql";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { Finding, Schema, Vocabulary } from "../api";
import { KEYWORDS, placeOf, quoted } from "./condition";

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
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-diagnostic": { padding: "6px 10px" },
});

function complete(vocabulary: Vocabulary | undefined) {
  return (context: CompletionContext) => {
    const word = context.matchBefore(/"[^"\n]*|[A-Za-z_][\w.]*/);
    if (!word && !context.explicit) return null;
    const from = word?.from ?? context.pos;
    const inside = word?.text.startsWith('"') ?? false;
    const before = context.state.sliceDoc(Math.max(0, from - 24), from);
    const option = (label: string, detail: string, type: string): Completion => ({ label, detail, type });
    const events = (vocabulary?.events ?? []).map((event) => option(quoted(event.name), "event", "class"));
    const segments = (vocabulary?.segments ?? []).map((segment) => option(quoted(segment.name), "segment", "enum"));
    if (inside) {
      const wanted = /segment\s*$/i.test(before) ? segments : [...events, ...segments];
      return { from, options: wanted, validFor: /^"[^"]*$/ };
    }
    const attributes = (vocabulary?.attributes ?? []).map((attribute) => option(attribute.name, attribute.type ?? "attribute", "variable"));
    const properties = [...new Set((vocabulary?.events ?? []).flatMap((event) => event.properties ?? []))].map((name) => option(name, "event property", "property"));
    const keywords = [...KEYWORDS].map((name) => option(name, "", "keyword"));
    return { from, options: [...attributes, ...properties, ...keywords, ...(context.explicit ? events : [])], validFor: /^[\w.]*$/ };
  };
}

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
        : [conditions, autocompletion({ override: [complete(vocabulary)], activateOnTyping: true, icons: false })];
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
