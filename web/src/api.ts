/** Speaks to the server: calls, problems and the shapes that come back. The browser decides nothing. */
import { useInfiniteQuery, useQuery, type UseQueryResult } from "@tanstack/react-query";
import type * as gen from "./api.gen";

/** A fault and its place; those of the editors themselves know less of it. */
export type Finding = Partial<gen.Finding> & Pick<gen.Finding, "message">;

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
  /** The same call sent twice under one key has one effect. */
  idempotencyKey?: string;
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
export async function call<T>(path: string, { method = "GET", body, signal, idempotencyKey }: Options = {}): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-rapport"] = "1";
  if (idempotencyKey) headers["idempotency-key"] = idempotencyKey;
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

export type {
  Answer, Bar, Check, Completions, Coverage, Dependent, Entry, EventRow, EventVocabulary, Explained, Explanation, FigureCheck,
  FigurePreview, Funnel, Growth, Hinted, JourneyRow, KnownName, KnownValue, MessageRow, NewKey, Overlap, Overview, Past, Preview,
  Profile, ProfileRow, Reason, Region, Rfm, RfmCell, RfmModel, Schema, Segment, SegmentRow, Session, Settings, Spread, TimelineRow,
  Trait, TraitRow, TransportResult, Vocabulary,
} from "./api.gen";

/** A journey; its document is free JSON to the API, and has this form once it was saved. */
export type Journey = Omit<gen.Journey, "definition"> & {
  definition: {
    trigger?: unknown;
    start?: string;
    nodes: Record<string, Record<string, unknown>>;
    layout?: Record<string, { x: number; y: number }>;
    [key: string]: unknown;
  };
};

/** A message; headers come as pairs. */
export type Message = Omit<gen.Message, "headers"> & { headers: [string, string][] };

/** A key as listed; the secret is there only in the answer that made it. */
export type Key = gen.Key & { key?: string };

/** The records that let receivers check our signatures. */
export type DkimRecords = gen.Dkim;

/** Tries a relay before mail depends on it; nothing is sent. */
export function testTransport(trial: gen.TransportTrial): Promise<gen.TransportResult> {
  return call("/settings/transport/test", { method: "POST", body: trial });
}

/** Changes how mail leaves; the server says before it changes anything why it cannot. */
export function saveTransport(transport: gen.TransportDraft): Promise<gen.Settings> {
  return call("/settings/transport", { method: "PUT", body: transport });
}
