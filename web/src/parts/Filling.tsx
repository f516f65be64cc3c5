/** A definition that is being filled from history: how far it is, and what can be done about it. */
import { Button, Progress } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlayerPause, IconPlayerPlay, IconX } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, useGet, type Listing } from "../api";
import type { FillRow } from "../api.gen";
import { count } from "../format";
import { saysOf, shareOf } from "./fill";

/** What is being filled, all of it or one definition alone. */
export function Filling({ of }: { of?: string }) {
  const fills = useGet<Listing<FillRow>>("/fills", 1_500);
  const shown = (fills.data?.items ?? []).filter((fill) => of === undefined || fill.id === of);
  return <>{shown.map((fill) => <One key={fill.id} fill={fill} />)}</>;
}

function One({ fill }: { fill: FillRow }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const act = async (what: "pause" | "resume" | "cancel") => {
    setBusy(true);
    try {
      await call(`/fills/${encodeURIComponent(fill.id)}/${what}`, { method: "POST", body: {} });
      if (what === "cancel") notifications.show({ message: fill.is_new ? `“${fill.name}” was not put in force.` : `“${fill.name}” is as it was.` });
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : "This did not work" });
    } finally {
      setBusy(false);
      await client.invalidateQueries();
    }
  };
  const cancel = () => {
    const after = fill.is_new ? "It will not be there." : "The former version stays in force.";
    if (window.confirm(`Stop filling “${fill.name}”? ${after}`)) void act("cancel");
  };
  const paused = fill.state === "paused";
  return (
    <div className="notice" data-testid="filling" role="status">
      <div style={{ display: "flex", gap: 10, alignItems: "center", flexWrap: "wrap" }}>
        <span style={{ flex: "1 1 260px" }}>{saysOf(fill, count)}</span>
        <Button size="compact-sm" variant="default" disabled={busy || fill.state === "cancelling"} leftSection={paused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />} onClick={() => void act(paused ? "resume" : "pause")}>{paused ? "Resume" : "Pause"}</Button>
        <Button size="compact-sm" variant="default" disabled={busy || fill.state === "cancelling"} leftSection={<IconX size={14} aria-hidden />} onClick={cancel}>Cancel</Button>
      </div>
      <Progress value={100 * shareOf(fill)} mt={10} size="sm" animated={fill.state === "running"} aria-label={`“${fill.name}” is filled from history`} />
    </div>
  );
}
