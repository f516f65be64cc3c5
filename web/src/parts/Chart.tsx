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

export default function Chart({ labels, series, kind = "line", height = 220, label }: { labels: string[]; series: Series[]; kind?: "line" | "bar"; height?: number; label: string }) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    if (!element.current) return;
    const made = init(element.current, null, { renderer: "svg" });
    chart.current = made;
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
    chart.current?.setOption(
      {
        animation: false,
        textStyle: { fontFamily: "Inter Variable, sans-serif", fontSize: 11.5, color: colour("--muted") },
        grid: { left: 4, right: 8, top: 12, bottom: 4, containLabel: true },
        tooltip: { trigger: "axis", confine: true, valueFormatter: (value: unknown) => count(typeof value === "number" ? value : null), backgroundColor: colour("--mantine-color-body"), borderColor: colour("--rule-strong"), textStyle: { color: colour("--ink"), fontSize: 12 }, axisPointer: { lineStyle: { color: colour("--rule-strong") } } },
        xAxis: { type: "category", data: labels, boundaryGap: kind === "bar", axisTick: { show: false }, axisLine: { lineStyle: { color: colour("--rule-strong") } }, axisLabel: { color: colour("--muted"), hideOverlap: true } },
        yAxis: { type: "value", minInterval: 1, splitNumber: 3, splitLine: { lineStyle: { color: colour("--rule") } }, axisLabel: { color: colour("--muted"), formatter: (value: number) => count(value) } },
        series: series.map((one) => ({ name: one.name, type: kind, data: one.values, showSymbol: false, barMaxWidth: 36, lineStyle: { width: 1.8 }, itemStyle: { color: colour(`--${one.tone}`), borderRadius: [3, 3, 0, 0] }, areaStyle: kind === "line" && one.tone === "accent" ? { opacity: 0.08 } : undefined })),
      },
      true,
    );
  }, [labels, series, kind, scheme]);
  return <div ref={element} role="img" aria-label={label} style={{ height, width: "100%" }} />;
}
