/** Draws an explanation as a tree: each condition, whether it holds, its value, the deciding events, until when. */
import { IconCircleCheck, IconCircleX } from "@tabler/icons-react";
import type { Explained, Explanation } from "../api";
import { When } from "./parts";

function Leaf({ node }: { node: Explained }) {
  return (
    <li>
      <div className="leaf">
        {node.holds ? <IconCircleCheck size={16} className="good" aria-label="holds" /> : <IconCircleX size={16} className="muted" aria-label="does not hold" />}
        <div className="wrap">
          <span className="mono">{node.text}</span>
          {node.value !== null && node.value !== undefined && <span className="muted small"> is {node.value}</span>}
          {node.until && <span className="muted small">, until <When at={node.until} /></span>}
          {(node.evidence ?? []).map((item, index) => (
            <div key={index} className="small muted">{item.name}, <When at={item.at} /></div>
          ))}
        </div>
      </div>
      {node.children && node.children.length > 0 && <Tree nodes={node.children} />}
    </li>
  );
}

function Tree({ nodes }: { nodes: Explained[] }) {
  return <ul className="tree">{nodes.map((node, index) => <Leaf key={index} node={node} />)}</ul>;
}

export function Explain({ explanation }: { explanation: Explanation }) {
  return (
    <div>
      <p style={{ marginBottom: 8 }}>
        <strong className={explanation.holds ? "good" : undefined}>{explanation.holds ? "In this segment" : "Not in this segment"}</strong>
        {explanation.changes_at
          ? <span className="muted">. Without a further event this changes <When at={explanation.changes_at} />.</span>
          : <span className="muted">. Only a new event or a changed attribute can alter this.</span>}
      </p>
      <Tree nodes={[explanation.tree]} />
    </div>
  );
}
