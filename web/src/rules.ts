/** The documents of rules and decision tables as the console writes them, and what they say in words. */
import type * as gen from "./api.gen";

export interface Action {
  type: string;
  [field: string]: unknown;
}

export interface RuleDocument {
  where: string;
  every_seconds: number;
  actions: Action[];
  description?: string;
  threshold?: string;
  time_frame?: string;
  owner?: string;
  review_at?: string;
  on?: string;
  fire_on_save?: boolean;
  goal?: { event: string; days: number };
}

export interface TableDocument {
  rows: { name: string; where: string; outcome: unknown }[];
  hit?: "first" | "all";
  attribute?: string;
  description?: string;
  owner?: string;
}

export type RuleRow = gen.RuleRow;
export type Rule = Omit<gen.Rule, "definition"> & { definition: RuleDocument };
export type RuleReport = gen.RuleReport;
export type RuleFiring = Omit<gen.RuleFiring, "actions"> & { actions: Action[] };
export type TableRow = gen.TableRow;
export type DecisionTable = Omit<gen.DecisionTable, "definition"> & { definition: TableDocument };
export type TableOutlook = gen.TableOutlook;
export type Decision = gen.TableDecision;

export const NEW_RULE: RuleDocument = { where: "", every_seconds: 86_400, actions: [], goal: { event: "Order Completed", days: 14 } };

/** What an action asks to be filled in: its field and the field's label. */
export const ACTIONS: Record<string, { label: string; fields: [string, string][] }> = {
  set_attribute: { label: "Set an attribute", fields: [["name", "Attribute"], ["value", "Value"]] },
  add_to_segment: { label: "Add to a static segment", fields: [["segment", "Segment"]] },
  remove_from_segment: { label: "Remove from a static segment", fields: [["segment", "Segment"]] },
  send_event: { label: "Send an event", fields: [["event", "Event"]] },
  start_journey: { label: "Start a journey", fields: [["journey", "Journey"]] },
  grant_coupon: { label: "Grant a discount code", fields: [["prefix", "Code begins with"]] },
};

/** An action in a few words. */
export function aboutAction(action: Action): string {
  const text = (name: string) => String(action[name] ?? "");
  switch (action.type) {
    case "set_attribute": return `sets ${text("name")} to ${JSON.stringify(action.value ?? null)}`;
    case "add_to_segment": return `adds to the segment ${text("segment")}`;
    case "remove_from_segment": return `removes from the segment ${text("segment")}`;
    case "send_event": return `sends “${text("event")}”`;
    case "start_journey": return `starts the journey ${text("journey")}`;
    case "grant_coupon": return action.code ? `granted the code ${text("code")}` : `grants a discount code that begins with ${text("prefix")}`;
    default: return action.type;
  }
}

const UNITS: [number, string][] = [[86_400, "day"], [3_600, "hour"], [60, "minute"]];

/** A number of seconds as the largest whole unit. */
export function span(seconds: number): string {
  const [size, unit] = UNITS.find(([size]) => seconds % size === 0) ?? [1, "second"];
  const many = seconds / size;
  return many === 1 ? `1 ${unit}` : `${many} ${unit}s`;
}

/** A value that somebody typed: JSON where it is JSON, text otherwise. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** An outcome that somebody typed: an object, or nothing when it is not one. */
export function outcomeOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Without what was left empty: the server fills in what is absent. */
export function tidy(rule: RuleDocument): RuleDocument {
  return Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== "" && value !== undefined && value !== null)) as unknown as RuleDocument;
}
