/** How values are spread over people: bars with their bounds, and the same as a table for who cannot see them. */
import type { Bar, Spread as Spreading } from "../api";
import { count, moment } from "../format";

/** A value of a figure as text. */
export function worth(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return count(Math.abs(value) < 100 ? Math.round(value * 100) / 100 : value);
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? moment(text).replace(/,? \d\d?:\d\d.*$/, "") : text;
}

const span = (bar: Bar) => (bar.from === bar.to ? worth(bar.from) : `${worth(bar.from)} to ${worth(bar.to)}`);

/** Small bars without words; the label says what they are. */
export function Bars({ bars, label, width = 96, height = 24 }: { bars: Bar[]; label: string; width?: number; height?: number }) {
  const top = Math.max(1, ...bars.map((bar) => bar.count));
  const step = width / Math.max(1, bars.length);
  if (bars.length === 0) return <span className="muted">–</span>;
  return (
    <svg width={width} height={height} role="img" aria-label={label} style={{ display: "block" }}>
      {bars.map((bar, index) => {
        const high = bar.count === 0 ? 0 : Math.max(1.5, (bar.count / top) * (height - 2));
        return <rect key={index} x={index * step + 0.5} y={height - high} width={Math.max(1, step - 1)} height={high} fill="var(--accent)" rx={1} />;
      })}
    </svg>
  );
}

/** The whole spread: each bar with its bounds and its number. */
export function SpreadList({ spread }: { spread: Spreading }) {
  const top = Math.max(1, ...spread.histogram.map((bar) => bar.count));
  return (
    <ul className="rows bars" data-testid="spread">
      {spread.histogram.map((bar, index) => (
        <li key={index} className="bar" style={{ "--part": bar.count / top } as React.CSSProperties}>
          <span className="ellipsis">{span(bar)}</span>
          <span className="end">{count(bar.count)}</span>
        </li>
      ))}
      {spread.missing > 0 && <li><span className="muted">No value</span><span className="end muted">{count(spread.missing)}</span></li>}
    </ul>
  );
}
