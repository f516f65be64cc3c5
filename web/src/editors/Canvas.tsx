/** A journey as a canvas to read: each step with how many wait there and how many went through. */
import "@xyflow/react/dist/style.css";
import { useComputedColorScheme } from "@mantine/core";
import { IconArrowsSplit2, IconCircleDot, IconClock, IconFlag, IconMail, IconPlayerPlay, IconTag } from "@tabler/icons-react";
import { useElementSize } from "@mantine/hooks";
import { Background, Controls, Handle, Position, ReactFlow, useNodesInitialized, useReactFlow, useStore, type FitViewOptions, type Node, type NodeChange, type NodeProps } from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Journey } from "../api";
import { A } from "../parts/parts";
import { count, plain, words } from "../format";
import { aboutStep, aboutTrigger, edges, fitting, layout } from "./graph";

const ICONS: [RegExp, typeof IconMail][] = [
  [/trigger|start|entry/, IconPlayerPlay], [/wait|delay|until/, IconClock], [/mail|send|message/, IconMail], [/branch|split|if|condition|random/, IconArrowsSplit2], [/exit|end/, IconFlag], [/set|update|attribute|tag/, IconTag],
];

type Step = Node<{ kind: string; title: string; waiting?: number; passed?: number; here?: () => void; journey?: string }, "step">;

function StepNode({ data }: NodeProps<Step>) {
  const Icon = ICONS.find(([pattern]) => pattern.test(data.kind))?.[1] ?? IconCircleDot;
  return (
    <div className={data.waiting ? "node busy" : "node"}>
      <Handle type="target" position={Position.Top} isConnectable={false} style={{ opacity: 0 }} />
      <div className="kind"><Icon size={14} aria-hidden />{words(data.kind)}</div>
      <div className="title">{data.title}</div>
      {(data.waiting !== undefined || data.passed !== undefined) && (
        <div className="counts">
          {data.waiting ? <button type="button" className="plainbutton open nodrag nopan" onClick={data.here} aria-label={`${count(data.waiting)} here, at ${data.title}: open them`}><b>{count(data.waiting)}</b> here</button> : <span><b>0</b> here</span>}
          {data.journey ? <A to="/messages" search={{ journey: data.journey }} className="open nodrag nopan"><b>{count(data.passed)}</b> went through</A> : <span><b>{count(data.passed)}</b> went through</span>}
        </div>
      )}
      <Handle type="source" position={Position.Bottom} isConnectable={false} style={{ opacity: 0 }} />
    </div>
  );
}

const KINDS = { step: StepNode };

type Sizes = Record<string, { width: number; height: number }>;

/** Room below the path is for the controls. */
const FIT: FitViewOptions<Step> = { padding: { top: "20px", x: "20px", bottom: "52px" }, maxZoom: 1, minZoom: 0.1 };

/** Fits the path into its frame again when the frame or the path changes shape, not when a count does. */
function Refit({ shape }: { shape: string }) {
  const { fitView } = useReactFlow();
  const ready = useNodesInitialized();
  const width = useStore((state) => Math.round(state.width));
  const height = useStore((state) => Math.round(state.height));
  const fitted = useRef("");
  useEffect(() => {
    const now = `${width} ${height} ${shape}`;
    if (!ready || !width || !height || fitted.current === now) return;
    // A frame later: the steps have then been measured in the new frame.
    const frame = requestAnimationFrame(() => {
      fitted.current = now;
      void fitView(FIT);
    });
    return () => cancelAnimationFrame(frame);
  }, [ready, width, height, shape, fitView]);
  return null;
}

export default function Canvas({ journey, open }: { journey: Journey; open: (step: string) => void }) {
  const scheme = useComputedColorScheme("light");
  const latest = useRef(open);
  useEffect(() => {
    latest.current = open;
  });
  const drawn = useMemo(() => {
    const nodes = journey.definition.nodes ?? {};
    const links = edges(nodes);
    const places = layout(nodes, links, journey.definition.layout);
    const entered = new Set(links.map((link) => link.to));
    const first = typeof journey.definition.start === "string" ? journey.definition.start : Object.keys(nodes).find((id) => !entered.has(id));
    const steps: Step[] = Object.entries(nodes).map(([id, node]) => {
      const counts = journey.counts?.[id];
      return { id, type: "step", position: places[id] ?? { x: 0, y: 0 }, data: { kind: plain(node.type), title: aboutStep(id, node), waiting: counts?.waiting, passed: counts?.passed, here: () => latest.current(id), journey: node.type === "send" ? journey.id : undefined }, draggable: false };
    });
    const lines = links.map((link, index) => ({ id: `${index}`, source: link.from, target: link.to, label: link.label || undefined }));
    const trigger = journey.definition.trigger;
    if (trigger && first && !nodes["__trigger"]) {
      const place = places[first] ?? { x: 0, y: 0 };
      const said = aboutTrigger(trigger);
      const about = said.charAt(0).toUpperCase() + said.slice(1);
      steps.unshift({ id: "__trigger", type: "step", position: { x: place.x, y: place.y - 118 }, data: { kind: "trigger", title: about }, draggable: false });
      lines.unshift({ id: "trigger", source: "__trigger", target: first, label: undefined });
    }
    return { steps, lines, shape: JSON.stringify([steps.map((step) => [step.id, step.position, step.data.title]), lines.map((line) => [line.source, line.target])]) };
  }, [journey]);
  // What was measured stays with a step when its counts change, so that it neither blinks nor is fitted again.
  const [sizes, setSizes] = useState<Sizes>({});
  const nodes = useMemo(() => drawn.steps.map((step) => (sizes[step.id] ? { ...step, measured: sizes[step.id] } : step)), [drawn, sizes]);
  const measure = useCallback((changes: NodeChange<Step>[]) => {
    const found = changes.flatMap((change) => (change.type === "dimensions" && change.dimensions ? [[change.id, change.dimensions] as const] : []));
    if (found.length > 0) setSizes((old) => ({ ...old, ...Object.fromEntries(found) }));
  }, []);
  const { ref, width } = useElementSize<HTMLDivElement>();
  return (
    <div className="canvas" ref={ref} style={{ height: fitting(drawn.steps.map((step) => step.position), width) }} data-testid="canvas">
      <ReactFlow
        nodes={nodes}
        onNodesChange={measure}
        edges={drawn.lines.map((line) => ({ ...line, type: "smoothstep", style: { stroke: "var(--muted)" }, labelStyle: { fill: "var(--ink)", fontSize: 11.5 }, labelBgStyle: { fill: "var(--rail)" }, labelBgPadding: [4, 2] as [number, number] }))}
        nodeTypes={KINDS}
        colorMode={scheme}
        fitView
        fitViewOptions={FIT}
        minZoom={0.1}
        nodesConnectable={false}
        nodesDraggable={false}
        elementsSelectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        zoomOnScroll={false}
        preventScrolling={false}
      >
        <Background gap={20} size={1} />
        <Controls showInteractive={false} orientation="horizontal" fitViewOptions={FIT} />
        <Refit shape={drawn.shape} />
      </ReactFlow>
    </div>
  );
}
