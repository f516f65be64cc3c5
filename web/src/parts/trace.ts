/** Says a step of a decision trace in a sentence a marketer reads, and keeps the evidence apart. */
import type { Message } from "../api";
import { words } from "../format";

type Step = NonNullable<Message["trace"]>[number];

export interface Told {
  sentence: string;
  tone: "" | "bad";
  items: { name: string; why: string | null }[];
  evidence: Record<string, unknown> | unknown[] | null;
}

const ACTORS: Record<string, string> = {
  person: "By a person.", prefetch: "By a mail program that fetches ahead, so perhaps nobody looked.", scanner: "By a security scanner, not by a person.", unknown: "By whom cannot be told.",
};

function items(offered: unknown): { name: string; why: string | null }[] {
  if (!Array.isArray(offered)) return [];
  return offered.flatMap((one) => {
    if (one === null || typeof one !== "object") return [];
    const { name, title, product_id, reason } = one as Record<string, unknown>;
    const shown = [name, title, product_id].find((text) => typeof text === "string");
    return shown ? [{ name: String(shown), why: typeof reason === "string" ? reason : null }] : [];
  });
}

/** Reads a step: its sentence, what was offered with the reason of each, and what else is known. */
export function told(step: Step, message: Pick<Message, "journey_id" | "journey_name">): Told {
  const data = step.data as unknown;
  const record = data !== null && typeof data === "object" && !Array.isArray(data) ? (data as Record<string, unknown>) : {};
  const offered = step.step === "recommendations" ? items(record.items) : [];
  let sentence = step.sentence.trim();
  if (message.journey_id && message.journey_name) sentence = sentence.replaceAll(`'${message.journey_id}'`, `“${message.journey_name}”`);
  sentence = sentence.replace(/'([a-z0-9_-]+)'/g, (_, id: string) => `“${words(id).toLowerCase()}”`);
  sentence = sentence.replace(/^At (“[^”]+”), the condition (.+) (holds|does not hold)\.?$/, "At the step $1 it was asked: $2? It $3.");
  let evidence: Told["evidence"] = Object.keys(record).length > 0 ? record : null;
  if (step.step === "response") {
    const actor = typeof record.actor === "string" ? record.actor : (/\((\w+)\)$/.exec(sentence)?.[1] ?? "");
    const rest = sentence.replace(/\s*\(\w+\)$/, "");
    sentence = [rest ? `${rest}.`.replace(/\.\.$/, ".") : "", ACTORS[actor] ?? ""].filter(Boolean).join(" ");
    if (/^https?:/.test(rest)) sentence = `${ACTORS[actor] ?? ""} To ${rest}`.trim();
    if (Object.keys(record).every((name) => name === "actor")) evidence = null;
  }
  if (step.step === "delivery") {
    sentence = sentence.replace(/^(\w+): /, (_, state: string) => `${words(state)}: `);
    if (Object.keys(record).every((name) => name === "state")) evidence = null;
  }
  if (step.step === "fallbacks" && Array.isArray(record.missing) && record.missing.length === 0) evidence = null;
  if (step.step === "coupon" && Object.keys(record).every((name) => name === "code")) evidence = null;
  if (offered.length > 0) {
    const fewer = typeof record.fewer === "string" ? ` ${record.fewer}` : "";
    sentence = `${offered.length} chosen for this person, each for a reason.${fewer}`;
    evidence = record.model !== null && typeof record.model === "object" ? (record.model as Record<string, unknown>) : null;
  }
  const no = /not sent|held|skipped|suppress|opted out|unsubscribed/i.test(sentence) && step.step === "policy" && !/^nothing forbids/i.test(sentence);
  if (!/[.:!?]$/.test(sentence) && !/https?:\S+$/.test(sentence) && sentence) sentence = `${sentence}.`;
  return { sentence, tone: no ? "bad" : "", items: offered, evidence };
}

const REFUSALS: Record<string, string> = {
  unsubscribed: "Not sent: the person has opted out. The gate asks for consent last, at the moment of sending, and an opt-out always wins.",
  topic_unsubscribed: "Not sent: the person has left this topic. The gate asks last, at the moment of sending.",
  suppressed: "Not sent: the address is on the list of suppressed addresses.",
  profile_gone: "Not sent: the profile was there when the mail was planned and is gone now.",
  source_deleted: "Not sent: the journey was removed before its turn came.",
  attempts_exhausted: "Not sent: the relay put it off too often.",
};

/** Says why the gate did not let a message through. */
export function refusal(reason: string | null | undefined): string {
  return (reason && REFUSALS[reason]) || `Not sent: ${reason ? words(reason).toLowerCase() : "no reason is recorded"}.`;
}
