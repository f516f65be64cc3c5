/** The parts pages are made of: headings, figures, lists, states, instants, statuses. */
import { Button, Skeleton, Tooltip } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import { Problem } from "../api";
import { count, exact, initials, relative, words } from "../format";

/** A link inside the console. */
export function A({ to, search, className, children, ...rest }: { to: string; search?: Record<string, string>; className?: string; children: ReactNode; "aria-label"?: string; title?: string }) {
  return (
    <Link to={to as never} search={(search ?? {}) as never} className={className} {...rest}>
      {children}
    </Link>
  );
}

export function Head({ title, line, back, status, mark, children }: { title: ReactNode; line?: ReactNode; back?: { to: string; label: string }; status?: ReactNode; mark?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    if (typeof title === "string") document.title = `${title} · Rapport`;
  }, [title]);
  return (
    <div className="head">
      <div className="grow">
        {back && <A to={back.to} className="crumb">← {back.label}</A>}
        <div style={{ display: "flex", gap: 10, alignItems: "center", flexWrap: "wrap" }}>
          {mark}
          <h1 className="wrap">{title}</h1>
          {status}
        </div>
        {line && <p className="line">{line}</p>}
      </div>
      {children && <div className="actions">{children}</div>}
    </div>
  );
}

export function Figures({ children }: { children: ReactNode }) {
  return <div className="figures">{children}</div>;
}

/** One large numeral; it opens when it has somewhere to lead. */
export function Figure({ name, value, note, to, search }: { name: string; value: number | string | undefined | null; note?: ReactNode; to?: string; search?: Record<string, string> }) {
  const large = <span className="figure-value">{typeof value === "string" ? value : count(value)}</span>;
  return (
    <div className="figure">
      {to ? <A to={to} search={search} className="open"><span className="name">{name}</span>{large}</A> : <><span className="name">{name}</span>{large}</>}
      {note && <div className="note">{note}</div>}
    </div>
  );
}

export function Section({ title, note, more, children }: { title: string; note?: ReactNode; more?: ReactNode; children: ReactNode }) {
  return (
    <section className="section">
      <header>
        <h2>{title}</h2>
        {note && <span className="muted small">{note}</span>}
        {more && <span className="more">{more}</span>}
      </header>
      {children}
    </section>
  );
}

let now = Date.now();
const clocks = new Set<() => void>();
setInterval(() => {
  now = Date.now();
  for (const clock of clocks) clock();
}, 10_000);

export function useNow(): number {
  return useSyncExternalStore(
    (clock) => {
      clocks.add(clock);
      return () => clocks.delete(clock);
    },
    () => now,
  );
}

/** Whether the window is as narrow as a phone's; the same limit as in the styles. */
export function usePhone(): boolean {
  return useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false }) ?? false;
}

/** An instant: relative, with the exact one on hover. */
export function When({ at }: { at: string | null | undefined }) {
  const present = useNow();
  if (!at) return <span className="muted">–</span>;
  // What was read since the last beat is not in the future.
  return <time dateTime={at} title={exact(at)}>{relative(at, Math.max(present, Date.now()))}</time>;
}

const TONES: Record<string, string> = {
  live: "good", ok: "good", accepted: "good", delivered: "good", subscribed: "good", completed: "good", sent: "good",
  building: "accent", planned: "accent", active: "accent", opened: "accent", clicked: "accent", composed: "accent",
  draft: "", skipped: "", duplicate: "", unknown: "", exited: "",
  paused: "warn", deferred: "warn", warn: "warn", in_doubt: "warn", held: "warn",
  error: "bad", rejected: "bad", down: "bad", unsubscribed: "bad", failed: "bad", bounced: "bad", suppressed: "bad",
};

/** A state as a word with its meaning as colour. */
export function Status({ of, label }: { of: string; label?: string }) {
  return <span className={`status ${TONES[of] ?? ""}`}>{label ?? words(of)}</span>;
}

/** What stands where there is nothing yet: what this is, one example, one thing to do. */
export function Empty({ title, children, example, action }: { title: string; children: ReactNode; example?: string; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      <div className="muted">{children}</div>
      {example && <pre className="code">{example}</pre>}
      {action && <div style={{ marginTop: 16 }}>{action}</div>}
    </div>
  );
}

/** Says what went wrong and what to do. */
export function Trouble({ error, retry, title }: { error: Error; retry?: () => void; title?: string }) {
  const status = error instanceof Problem ? error.status : 0;
  const missing = status === 404;
  const out = status === 401;
  // A browser's own words for a broken connection help nobody.
  const words = error instanceof TypeError ? "The server cannot be reached." : error.message;
  return (
    <div className="notice bad" role="alert">
      <strong>{out ? "You are signed out" : missing ? "This is not here" : (title ?? "This could not be loaded")}</strong>
      <div className="wrap">{words}</div>
      {missing && <div style={{ marginTop: 8 }}><A to="/" className="link">Go to Home</A></div>}
      {out && <Button variant="default" size="xs" mt={8} onClick={() => window.location.reload()}>Sign in again</Button>}
      {retry && !missing && !out && <Button variant="default" size="xs" mt={8} onClick={retry}>Try again</Button>}
    </div>
  );
}

export function Waiting({ lines = 6 }: { lines?: number }) {
  return (
    <div role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <Skeleton key={index} height={14} my={14} width={`${92 - ((index * 17) % 40)}%`} radius={4} />
      ))}
    </div>
  );
}

/** A line above what was read before, when reading it again failed. */
function Stale({ error, retry }: { error: Error | null; retry: () => unknown }) {
  if (!error) return null;
  return <Trouble error={error} title="This is not fresh: reading it again failed" retry={() => void retry()} />;
}

/** Shows a query's three states; the content only when there is some. */
export function Loaded<T>({ query, lines, children }: { query: { data: T | undefined; error: Error | null; refetch: () => unknown }; lines?: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <><Stale error={query.error} retry={query.refetch} />{children(query.data)}</>;
  if (query.error) return <Trouble error={query.error} retry={() => void query.refetch()} />;
  return <Waiting lines={lines} />;
}

export interface Column<T> {
  title: string;
  render: (row: T) => ReactNode;
  right?: boolean;
  /** Left out on a phone. */
  wide?: boolean;
  /** Stands under the first column on a phone. */
  stack?: boolean;
  width?: number | string;
}

interface Pages<T> {
  rows: T[];
  data: unknown;
  error: Error | null;
  refetch: () => unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  fetchNextPage: () => unknown;
}

const kind = (column: Column<never>) => [column.right ? "right" : "", column.wide ? "wide" : ""].join(" ").trim() || undefined;

function Heads({ columns }: { columns: Column<never>[] }) {
  return <thead><tr>{columns.map((column) => <th key={column.title} scope="col" className={kind(column)} style={{ width: column.width }}>{column.title}</th>)}</tr></thead>;
}

/** The list before its rows are there: the same heads, the same height of rows. */
function ListWaiting({ columns, label, dense, rows = 8 }: { columns: Column<never>[]; label: string; dense?: boolean; rows?: number }) {
  return (
    <div className="tablewrap" aria-busy="true" aria-label={`Loading ${label}`} data-testid="list-waiting">
      <table className={dense ? "list dense" : "list"} aria-hidden>
        <Heads columns={columns} />
        <tbody>
          {Array.from({ length: rows }, (_, row) => (
            <tr key={row}>{columns.map((column, index) => <td key={column.title} className={kind(column)}><Skeleton height={12} my={4} radius={4} width={index === 0 ? `${80 - ((row * 17) % 40)}%` : 56} ml={column.right ? "auto" : undefined} /></td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A list that loads further pages as it is scrolled; its first column holds the link. */
export function List<T>({ list, columns, id, label, empty, dense }: { list: Pages<T>; columns: Column<T>[]; id: (row: T) => string | number; label: string; empty: ReactNode; dense?: boolean }) {
  const end = useRef<HTMLDivElement>(null);
  const phone = usePhone();
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = list;
  useEffect(() => {
    const element = end.current;
    if (!element || !hasNextPage || isFetchNextPageError) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting) && !isFetchingNextPage) void fetchNextPage();
      },
      { rootMargin: "600px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage]);
  const stacked = phone ? columns.filter((column) => column.stack) : [];
  const shown = columns.filter((column) => !stacked.includes(column));
  if (list.data === undefined) {
    return list.error ? <Trouble error={list.error} retry={() => void list.refetch()} /> : <ListWaiting columns={shown as Column<never>[]} label={label} dense={dense} />;
  }
  const stale = <Stale error={isFetchNextPageError ? null : list.error} retry={list.refetch} />;
  if (list.rows.length === 0) return <>{stale}{empty}</>;
  return (
    <>
      {stale}
      <div className="tablewrap" tabIndex={0} role="region" aria-label={label}>
        <table className={dense ? "list dense" : "list"}>
          <Heads columns={shown as Column<never>[]} />
          <tbody>
            {list.rows.map((row) => (
              <tr key={id(row)}>
                {shown.map((column, index) => (
                  <td key={column.title} className={kind(column as Column<never>)}>
                    {column.render(row)}
                    {index === 0 && stacked.length > 0 && <div className="stacked">{stacked.map((one) => <span key={one.title}>{one.render(row)}</span>)}</div>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        <div ref={end}>{isFetchingNextPage && <Waiting lines={2} />}</div>
      </div>
      {isFetchNextPageError && list.error && !isFetchingNextPage && <div style={{ marginTop: 12 }}><Trouble error={list.error} title="The next rows could not be loaded" retry={() => void fetchNextPage()} /></div>}
    </>
  );
}

/** What a list needs of rows that are there already. */
export function pageOf<T>(rows: T[]): Pages<T> {
  return { rows, data: rows, error: null, refetch: () => undefined, hasNextPage: false, isFetchingNextPage: false, isFetchNextPageError: false, fetchNextPage: () => undefined };
}

/** The round mark of a person. */
export function Avatar({ name, large }: { name: string; large?: boolean }) {
  return <span className={large ? "avatar large" : "avatar"} aria-hidden>{initials(name)}</span>;
}

/** A small line without axes; the words beside it say the number. */
export function Sparkline({ values, width = 96, height = 24, label }: { values: number[]; width?: number; height?: number; label: string }) {
  if (values.length < 2) return null;
  const top = Math.max(...values);
  const bottom = Math.min(...values);
  const span = top - bottom || 1;
  const points = values.map((value, index) => `${((index / (values.length - 1)) * (width - 2) + 1).toFixed(1)},${(height - 3 - ((value - bottom) / span) * (height - 6)).toFixed(1)}`);
  return (
    <svg width={width} height={height} role="img" aria-label={label} style={{ display: "block" }}>
      <polyline points={points.join(" ")} fill="none" stroke="var(--accent)" strokeWidth={1.5} strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}

/** A word with its explanation on hover and for screen readers. */
export function Hint({ label, children }: { label: string; children: ReactNode }) {
  return <Tooltip label={label} multiline maw={320}><span>{children}</span></Tooltip>;
}
