/** The chart's place: a skeleton of its size until the chart comes into view and the browser has time to load it. */
import { Skeleton } from "@mantine/core";
import { useEffect, useRef, useState, type ComponentProps } from "react";
import type Chart from "./Chart";
import { Trouble } from "./parts";

type Given = ComponentProps<typeof Chart>;
let loaded: typeof Chart | null = null;

function whenIdle(work: () => void): () => void {
  if (typeof window.requestIdleCallback !== "function") {
    const timer = window.setTimeout(work, 50);
    return () => window.clearTimeout(timer);
  }
  const handle = window.requestIdleCallback(work, { timeout: 1000 });
  return () => window.cancelIdleCallback(handle);
}

export function LazyChart(given: Given) {
  const place = useRef<HTMLDivElement>(null);
  const [Drawn, setDrawn] = useState<typeof Chart | null>(() => loaded);
  const [seen, setSeen] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const height = given.height ?? 220;
  useEffect(() => {
    const element = place.current;
    if (!element || seen) return;
    const observer = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)), { rootMargin: "200px" });
    observer.observe(element);
    return () => observer.disconnect();
  }, [seen]);
  useEffect(() => {
    if (!seen || Drawn || error) return;
    let gone = false;
    const cancel = whenIdle(() => {
      import("./Chart").then(
        (module) => {
          loaded = module.default;
          if (!gone) setDrawn(() => module.default);
        },
        () => {
          if (!gone) setError(new Error("The chart's code did not arrive. The numbers are in the table."));
        },
      );
    });
    return () => {
      gone = true;
      cancel();
    };
  }, [seen, Drawn, error]);
  if (Drawn) return <Drawn {...given} />;
  return (
    <div ref={place} style={{ height }} data-testid="chart-place" aria-busy={seen && !error ? true : undefined}>
      {error ? <Trouble error={error} retry={() => setError(null)} /> : <Skeleton height={height} radius={8} />}
    </div>
  );
}
