// One order as a portable workflow, for wherever code runs: each round may be in a process, a realm or a page of its own. It takes what it
// needs of the platform as an argument, and the package too, so that it can be loaded in either way.

type Portable = typeof import("../../src/portable.ts");

/** Where the state is kept between the rounds. */
export interface Shelf {
  load(): Promise<string | null>;
  save(state: string): Promise<void>;
}

/** What was done in a round, and what the run came to. */
export interface Round {
  readonly did: readonly string[];
  readonly came: string;
}

/** What the callbacks bring. The first round begins the run; each of the others has the answer to what it rested at. */
export const answers: readonly unknown[] = [undefined, { ref: "p-1" }, { isLost: true }];

/** What the rounds come to wherever they run: each effect once, none of them before its turn, and the undoing at the end. */
export const expected: readonly Round[] = [
  { did: ["reserve", "label", "box"], came: "waits at hook payment" },
  { did: ["charge p-1", "post"], came: "waits at hook courier" },
  { did: ["refund p-1", "release book"], came: "Lost: book of 1970-01-01T00:00:00.005Z, paid by p-1, sent by post, label+box" },
];

/** Runs the order until it ends or waits: from its beginning, or from what is on the shelf with the answer to what it waits for. */
export async function goOn(portable: Portable, shelf: Shelf, answer?: unknown): Promise<Round> {
  const { createHook, err, injectHook, isPendingHook, ok, parse, pendingHook, serialize, TaggedError, createWorkflow } = portable;
  class Lost extends TaggedError("Lost")<{ what: string }> {}
  const did: string[] = [];
  const doing = <T>(what: string, value: T) => {
    did.push(what);
    return ok(value);
  };
  // Made anew in each round, as a module that is loaded again does it.
  const [paid, handedOver] = [createHook(), createHook()];
  const order = createWorkflow("order", {
    paid: async () => pendingHook<{ ref: string }>(paid.hookId, { metadata: { name: "payment" } }),
    offered: async () => pendingHook<string>("offer", { metadata: { name: "offer" } }),
    handedOver: async () => pendingHook<{ isLost: boolean }>(handedOver.hookId, { metadata: { name: "courier" } }),
    lose: async (what: string) => err(new Lost({ what })),
  });
  const kept = await shelf.load();
  const options = kept === null ? {} : { resumeState: injectHook(parse(kept), answerOf(parse(kept))) };
  const { result, resumeState } = await order.runWithState(async ({ step, deps }) => {
    const stock = await step("reserve", () => doing("reserve", new Map([["book", new Date(5)]])), {
      compensate: (of) => doing(`release ${[...of.keys()].join()}`, null),
    });
    const parcel = await step.all("pack", { label: () => doing("label", "label"), box: () => doing("box", "box") });
    const { ref } = await step("paid", () => deps.paid(), { key: paid.stepKey });
    await step("charge", () => doing(`charge ${ref}`, null), { compensate: () => doing(`refund ${ref}`, null) });
    await step.sleep("cool down", 1);
    const sender = await step.race("sender", { offer: () => deps.offered(), own: () => doing("post", "post") });
    const { isLost } = await step("handed over", () => deps.handedOver(), { key: handedOver.stepKey });
    const at = stock.get("book")?.toISOString();
    const text = `book of ${at}, paid by ${ref}, sent by ${sender}, ${parcel.label}+${parcel.box}`;
    return isLost ? step("lose", () => deps.lose(text)) : text;
  }, options);
  await shelf.save(serialize(resumeState));
  if (result.ok) return { did, came: result.value };
  const { error } = result;
  if (isPendingHook(error)) return { did, came: `waits at hook ${String(error.metadata?.["name"])}` };
  return { did, came: "_tag" in error && error._tag === "Lost" ? `Lost: ${error.what}` : `unexpected: ${JSON.stringify(error)}` };

  /** Of all the hooks that wait, the one that is not the offer. */
  function answerOf(state: ReturnType<typeof parse>): { readonly hookId: string; readonly value: unknown } {
    const hookId = portable.getPendingHooks(state).find((id) => id !== "offer") ?? "none";
    return { hookId, value: answer };
  }
}
