import { describe, expect, it } from "vitest";
import { refusal, told } from "./trace";

const message = { journey_id: "abandoned-cart", journey_name: "Abandoned cart" };

describe("a step of a trace", () => {
  it("names the journey instead of its id", () => {
    expect(told({ step: "trigger", title: "Why this mail", sentence: "The journey 'abandoned-cart' was entered.", data: { key: "c-1" } }, message)).toMatchObject({ sentence: "The journey “Abandoned cart” was entered.", evidence: { key: "c-1" } });
  });

  it("asks a branch's question", () => {
    expect(told({ step: "conditions", title: "Why now", sentence: "At 'reachable', the condition email is present holds.", data: {} }, message).sentence).toBe("At the step “reachable” it was asked: email is present? It holds.");
  });

  it("lists what was offered, each with its reason", () => {
    const data = { items: [{ name: "Fern boot", reason: "because you looked at Amber boot" }, { product_id: "p-2" }], asked: 3, fewer: "2 of 3 asked.", model: { interactions: 7 } };
    const said = told({ step: "recommendations", title: "Offered", sentence: "Offered: Fern boot.", data }, message);
    expect(said.sentence).toBe("2 chosen for this person, each for a reason. 2 of 3 asked.");
    expect(said.evidence).toEqual({ interactions: 7 });
    expect(said.items).toEqual([{ name: "Fern boot", why: "because you looked at Amber boot" }, { name: "p-2", why: null }]);
  });

  it.each([
    [" (person)", "By a person."],
    ["https://shop.example/p?x=1 (scanner)", "By a security scanner, not by a person. To https://shop.example/p?x=1"],
  ])("says of %j who acted", (sentence, expected) => {
    expect(told({ step: "response", title: "Email Opened", sentence, data: { actor: /\((\w+)\)/.exec(sentence)?.[1] } }, message)).toMatchObject({ sentence: expected, evidence: null });
  });

  it("says why the gate refused, also for a reason it does not know", () => {
    expect(refusal("unsubscribed")).toContain("opted out");
    expect(refusal("too_hot")).toBe("Not sent: too hot.");
    expect(refusal(null)).toBe("Not sent: no reason is recorded.");
  });
});
