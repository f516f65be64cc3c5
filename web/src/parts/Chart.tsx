/** A chart by ECharts in the console's colours, loaded when first drawn; its numbers are given as a table too. */
import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use as register, type EChartsType } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { count } from "../format";

register([BarChart, LineChart, GridComponent, TooltipComponent, SVGRenderer]);

export interface Series {
  name: string;
  values: number[];
  tone: "accent" | "bad";
}

interface Given {
  labels: string[];
  series: Series[];
  /** `rows` lays bars out from the left, one below the other, each with its name and number. */
  kind?: "line" | "bar" | "rows";
  height?: number;
  label: string;
  /** Cuts the axis below one value that dwarfs all others; the cut bar then carries its number. */
  cap?: boolean;
  /** Called with the place of a point that was clicked. */
  pick?: (index: number) => void;
}

/** Where the axis ends when one value is more than six times the next; else nothing is cut. */
function capOf(series: Series[]): number | undefined {
  const values = series.flatMap((one) => one.values).filter((value) => value > 0).sort((a, b) => b - a);
  const [first = 0, second = 0] = values;
  if (values.length < 4 || first <= second * 6) return undefined;
  const step = 10 ** Math.floor(Math.log10(second));
  return Math.ceil((second * 1.25) / step) * step;
}

export default function Chart({ labels, series, kind = "line", height = 220, label, cap, pick }: Given) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef(pick);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    latest.current = pick;
  });
  useEffect(() => {
    if (!element.current) return;
    const made = init(element.current, null, { renderer: "svg" });
    chart.current = made;
    made.getZr().on("click", (event) => {
      const at = made.convertFromPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY]);
      if (Array.isArray(at) && made.containPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY])) latest.current?.(Math.round(Number(at[0])));
    });
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(element.current);
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const rows = kind === "rows";
    const top = cap ? capOf(series) : undefined;
    const names = { type: "category", data: labels, boundaryGap: kind !== "line", inverse: rows, axisTick: { show: false }, axisLine: { show: !rows, lineStyle: { color: colour("--rule-strong") } }, axisLabel: { color: colour(rows ? "--ink" : "--muted"), hideOverlap: true, width: rows ? 150 : undefined, overflow: rows ? "truncate" : undefined, interval: rows ? 0 : undefined } };
    const numbers = { type: "value", max: top, minInterval: series.some((one) => one.values.some((value) => !Number.isInteger(value))) ? 0 : 1, splitNumber: 3, splitLine: { show: !rows, lineStyle: { color: colour("--rule") } }, axisLabel: { show: !rows, color: colour("--muted"), formatter: (value: number) => count(value) } };
    chart.current?.setOption(
      {
        animation: false,
        textStyle: { fontFamily: "Inter Variable, sans-serif", fontSize: 11.5, color: colour("--muted") },
        grid: { left: 4, right: rows ? 56 : 8, top: top ? 26 : 12, bottom: 4, containLabel: true },
        tooltip: { trigger: "axis", confine: true, valueFormatter: (value: unknown) => count(typeof value === "number" ? value : null), backgroundColor: colour("--mantine-color-body"), borderColor: colour("--rule-strong"), textStyle: { color: colour("--ink"), fontSize: 12 }, axisPointer: { type: kind === "line" ? "line" : "shadow", lineStyle: { color: colour("--rule-strong") }, shadowStyle: { color: colour("--ink"), opacity: 0.05 } } },
        xAxis: rows ? numbers : names,
        yAxis: rows ? names : numbers,
        series: series.map((one) => ({
          name: one.name,
          type: kind === "line" ? "line" : "bar",
          stack: kind === "bar" && series.length > 1 ? "all" : undefined,
          data: one.values.map((value) => (top && value > top ? { value, label: { show: true, position: "insideTopLeft", offset: [-2, -22], formatter: `↑ ${count(value)}`, color: colour("--muted"), fontSize: 11.5 } } : value)),
          cursor: latest.current ? "pointer" : "default",
          showSymbol: one.values.length === 1,
          barMaxWidth: rows ? 18 : 36,
          barMinHeight: 0,
          label: rows ? { show: true, position: "right", color: colour("--muted"), formatter: (given: { value: unknown }) => count(Number(given.value)) } : undefined,
          lineStyle: { width: 1.8 },
          itemStyle: { color: colour(`--${one.tone}`), borderRadius: rows ? [0, 3, 3, 0] : [2, 2, 0, 0] },
          areaStyle: kind === "line" && one.tone === "accent" ? { opacity: 0.08 } : undefined,
        })),
      },
      true,
    );
  }, [labels, series, kind, scheme, cap]);
  return <div ref={element} role="img" aria-label={label} style={{ height, width: "100%", cursor: pick ? "pointer" : undefined }} />;
}
