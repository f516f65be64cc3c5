/** Speaks to the server: calls, problems and the shapes that come back. The browser decides nothing. */
import { useInfiniteQuery, useQuery, type UseQueryResult } from "@tanstack/react-query";

export interface Finding {
  path?: string;
  line?: number;
  column?: number;
  offset?: number;
  message: string;
  expected?: string[];
  nearest?: string | null;
}

/** What the server said when it refused, in the shape of RFC 9457. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    title: string,
    readonly detail: string,
    readonly errors: Finding[],
  ) {
    super(detail || title);
    this.name = "Problem";
  }
}

interface Options {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
}

async function problemOf(response: Response): Promise<Problem> {
  let parsed: Partial<{ title: string; code: string; detail: string; errors: Finding[] }> = {};
  try {
    parsed = await response.json();
  } catch {
    // A proxy in between may answer with something that is not JSON; the status still says enough.
  }
  const title = parsed.title ?? `The server answered with ${response.status}`;
  return new Problem(response.status, parsed.code ?? String(response.status), title, parsed.detail ?? "", parsed.errors ?? []);
}

/** Calls the admin API; answers the parsed body, or `undefined` for an empty one. */
export async function call<T>(path: string, { method = "GET", body, signal }: Options = {}): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-rapport"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(`/api${path}`, {
    method,
    headers,
    credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** Reads one thing. `every` asks again after that many milliseconds. */
export function useGet<T>(path: string | null, every?: number): UseQueryResult<T, Error> {
  return useQuery<T, Error>({
    queryKey: ["get", path],
    queryFn: ({ signal }) => call<T>(path ?? "", { signal }),
    enabled: path !== null,
    refetchInterval: every,
  });
}

export interface Listing<T> {
  items: T[];
  next_cursor?: string | null;
  total?: number | null;
}

/** Builds a query string from what is set. */
export function params(values: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** Reads a list page by page. */
export function useListing<T>(path: string, filters: Record<string, string | number | undefined> = {}, every?: number) {
  const query = useInfiniteQuery<Listing<T>, Error>({
    queryKey: ["list", path, filters],
    queryFn: ({ pageParam, signal }) =>
      call<Listing<T>>(`${path}${params({ limit: 50, ...filters, cursor: pageParam as string | undefined })}`, { signal }),
    initialPageParam: undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchInterval: every,
  });
  const rows = query.data?.pages.flatMap((page) => page.items ?? []) ?? [];
  return { ...query, rows, total: query.data?.pages[0]?.total ?? null };
}

export interface Session {
  workspace: { id: number; name: string; timezone: string };
  actor: string;
  version: string;
  demo: boolean;
}

export interface Reason {
  code: string;
  message: string;
  path?: string | null;
}

export interface EventRow {
  position?: number;
  message_id: string;
  at: string;
  received_at?: string;
  call: string;
  name: string | null;
  profile_id: number | null;
  who: string | null;
  properties?: Record<string, unknown>;
  context?: Record<string, unknown>;
  outcome: "accepted" | "duplicate" | "rejected";
  reasons?: Reason[];
}

export interface Overview {
  profiles: number;
  events_total: number;
  events_per_second: number;
  events_today: number;
  rejected_today: number;
  duplicates_today: number;
  lag_events: number;
  lag_ms: number;
  messages: Record<string, number>;
  events_by_minute: { at: string; accepted: number; rejected: number }[];
  top_events: { name: string; count: number }[];
  segments: { id: string; name: string; count: number }[];
  journeys: { id: string; name: string; active: number; completed: number }[];
  health: { name: string; status: "ok" | "warn" | "down"; detail: string }[];
  recent: EventRow[];
}

export interface ProfileRow {
  id: number;
  display: string;
  email?: string | null;
  user_id?: string | null;
  name?: string | null;
  created_at?: string | null;
  last_seen_at?: string | null;
  segments?: number;
  since?: string | null;
}

export interface Profile {
  id: number;
  display: string;
  identifiers: { kind: string; value: string; first_seen_at?: string; last_seen_at?: string; source?: string }[];
  attributes: { name: string; value: unknown; type?: string; updated_at?: string; source?: string }[];
  consents: { topic: string; state: string; at?: string | null; source?: string | null }[];
  suppressed: null | { reason: string; at: string };
  segments: { id: string; name: string; since?: string | null; until?: string | null; why?: string }[];
  journeys: {
    entry_id: string;
    journey_id: string;
    journey_name: string;
    node: string;
    entered_at: string;
    due_at?: string | null;
    exited_at?: string | null;
    exit_reason?: string | null;
  }[];
  decisions: { at: string; code: string; sentence: string }[];
  merged: { from: number | string; at: string; reason: string }[];
  scores?: Record<string, number>;
  created_at?: string | null;
  last_seen_at?: string | null;
}

export interface TimelineRow {
  at: string;
  kind: string;
  title: string;
  detail?: string | null;
  data?: Record<string, unknown> | null;
}

export interface Segment {
  id: string;
  name: string;
  description?: string;
  where: string;
  count: number;
  status: string;
  updated_at?: string;
  trend?: number[];
  sentence?: string;
  json?: unknown;
  versions?: { version: number; at: string; author: string; where: string }[];
}

export interface Check {
  ok: boolean;
  errors?: Finding[];
  warnings?: Finding[];
  sentence?: string;
}

export interface Preview {
  count: number;
  total: number;
  sample: ProfileRow[];
  took_ms: number;
  sentence?: string;
}

export interface Vocabulary {
  attributes: { name: string; type?: string; examples?: unknown[] }[];
  events: { name: string; properties?: string[] }[];
  segments: { id: string; name: string }[];
}

export interface Explained {
  text: string;
  sentence?: string;
  holds: boolean;
  value?: string | null;
  evidence?: { name: string; at: string }[];
  until?: string | null;
  children?: Explained[];
}

export interface Explanation {
  holds: boolean;
  changes_at?: string | null;
  tree: Explained;
}

export interface JourneyRow {
  id: string;
  name: string;
  description?: string;
  status: string;
  entered: number;
  active: number;
  completed: number;
  exited: number;
  messages: number;
  updated_at?: string;
}

export interface Journey extends Omit<JourneyRow, "exits"> {
  definition: {
    trigger?: unknown;
    start?: string;
    nodes: Record<string, Record<string, unknown>>;
    layout?: Record<string, { x: number; y: number }>;
    [key: string]: unknown;
  };
  counts?: Record<string, { waiting: number; passed: number }>;
  exits?: Record<string, number>;
}

export interface Entry {
  entry_id: string;
  profile_id: number;
  display: string;
  node: string;
  key?: string;
  entered_at: string;
  due_at?: string | null;
  exited_at?: string | null;
  exit_reason?: string | null;
}

export interface MessageRow {
  id: string;
  profile_id: number | null;
  to: string;
  subject: string;
  state: string;
  reason?: string | null;
  journey_id?: string | null;
  journey_name?: string | null;
  created_at: string;
  sent_at?: string | null;
  opened_at?: string | null;
  clicked_at?: string | null;
}

export interface Message extends MessageRow {
  from?: string;
  html?: string | null;
  text?: string | null;
  headers?: [string, string][];
  size_bytes?: number;
  trace?: { step: string; title: string; sentence: string; at?: string | null; data?: Record<string, unknown> | null }[];
  events?: { at: string; name: string; detail?: string | null; actor?: string | null }[];
}

export interface Answer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  truncated: boolean;
  took_ms: number;
}

export interface Schema {
  tables: { name: string; columns: { name: string; type: string }[] }[];
}

export interface Settings {
  workspace: Record<string, string | number | null>;
  transport: { kind: string; editable?: boolean; url?: string; from?: string };
  limits?: Record<string, unknown>;
  data_dir?: string;
  store?: string;
}

export interface Key {
  id: string;
  name: string;
  kind: string;
  created_at?: string;
  last_used_at?: string | null;
  key?: string;
}

/** Changes how mail leaves; the server says before it changes anything why it cannot. */
export function saveTransport(transport: { kind: "inbox" } | { kind: "smtp"; url: string; from: string }): Promise<unknown> {
  return call("/settings/transport", { method: "PUT", body: transport });
}

/** Hands one mail to what is in force. */
export function testTransport(to: string): Promise<unknown> {
  return call("/settings/transport/test", { method: "POST", body: { to } });
}
