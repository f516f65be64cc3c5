/** A condition to write: completion, mistakes in place, and what it says in plain English once it is understood. */
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { call, useGet, type Check, type Finding, type Vocabulary } from "../api";
import { Trouble, Waiting } from "./parts";

const Code = lazy(() => import("../editors/Code"));
const NONE: Finding[] = [];

export function useCheck(where: string) {
  const [settled] = useDebouncedValue(where, 250);
  const asked = settled.trim() !== "";
  const check = useQuery<Check, Error>({
    queryKey: ["check", settled],
    queryFn: ({ signal }) => call<Check>("/segments/check", { method: "POST", body: { where: settled }, signal }),
    enabled: asked,
  });
  return { check, good: asked && settled === where && check.data?.ok === true, findings: asked && settled === where ? (check.data?.errors ?? NONE) : NONE };
}

export function ConditionField({ label, value, change, refused, height = 90 }: { label: string; value: string; change: (text: string) => void; refused?: Finding[]; height?: number }) {
  const vocabulary = useGet<Vocabulary>("/segments/vocabulary");
  const { check, good, findings } = useCheck(value);
  const shown = refused && refused.length > 0 ? refused : findings;
  return (
    <div>
      <Suspense fallback={<Waiting lines={2} />}>
        <Code language="condition" label={label} value={value} change={change} findings={shown} vocabulary={vocabulary.data} hint={'count "Order Completed" in last 60 days > 3'} height={height} />
      </Suspense>
      <div aria-live="polite" className="small" style={{ padding: "6px 0 0", minHeight: 26 }}>
        {shown.map((finding, index) => <div key={index} className="bad" data-testid="finding">{finding.line ? `Line ${finding.line}, column ${finding.column}: ` : ""}{finding.message}</div>)}
        {check.error && shown.length === 0 && <Trouble error={check.error} title="The condition could not be checked" retry={() => void check.refetch()} />}
        {good && shown.length === 0 && <span className="muted">{check.data?.sentence}</span>}
      </div>
    </div>
  );
}
