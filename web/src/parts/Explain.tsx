/** Draws an explanation as a tree: each condition, whether it holds, its value, the deciding events, until when. */
import { IconCircleCheck, IconCircleX } from "@tabler/icons-react";
import type { Explained, Explanation } from "../api";
import { moment } from "../format";
import { When } from "./parts";

const JOINS: Record<string, string> = { and: "All of these hold", or: "At least one of these holds", not: "This does not hold" };

function Leaf({ node }: { node: Explained }) {
  const join = (node.children ?? []).length > 0;
  const said = node.sentence ?? JOINS[node.text];
  return (
    <li>
      <div className="leaf">
        {node.holds ? <IconCircleCheck size={16} className="good" aria-label="holds" /> : <IconCircleX size={16} className="bad" aria-label="does not hold" />}
        <div className="wrap">
          {said ? <span title={join ? undefined : node.text}>{said.replace(/\.$/, "")}</span> : <span className="mono">{node.text}</span>}
          {node.value !== null && node.value !== undefined && <span className="muted">; it is {node.value}</span>}
          {node.until && !join && <span className="muted">, until {moment(node.until)}</span>}
          {(node.evidence ?? []).map((item, index) => (
            <div key={index} className="small muted">Because of “{item.name}”, <When at={item.at} /></div>
          ))}
        </div>
      </div>
      {join && <Tree nodes={node.children ?? []} />}
    </li>
  );
}

function Tree({ nodes }: { nodes: Explained[] }) {
  return <ul className="tree">{nodes.map((node, index) => <Leaf key={index} node={node} />)}</ul>;
}

export function Explain({ explanation }: { explanation: Explanation }) {
  return (
    <div data-testid="explanation">
      <p style={{ marginBottom: 8 }}>
        <strong className={explanation.holds ? "good" : undefined}>{explanation.holds ? "In this segment" : "Not in this segment"}</strong>
        {explanation.changes_at
          ? <span className="muted">. {explanation.holds ? "Will leave" : "Will enter"} <When at={explanation.changes_at} />, on {moment(explanation.changes_at)}, if nothing happens.</span>
          : <span className="muted">. Only a new event or a changed attribute can alter this.</span>}
      </p>
      <Tree nodes={[explanation.tree]} />
    </div>
  );
}
