// Deliveries of the context style at once: of those with one key one is taken and the others are told so; without keys each is a payload, and
// the code reads them in the order they were committed (G1, G2).

import { expect, test } from "vitest";
import { defineWorkflow } from "../src/context.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

const count = 24;
type Deliver = (
  world: ContextWorld,
  at: { readonly url: string; readonly token: string },
  n: number,
) => Promise<{ disposition: string; id: string }>;

const overHttp =
  (headers: (n: number) => Record<string, string>): Deliver =>
  async (world, { url }, n) => {
    const response = await world.post(url, { n: "webhook-id" in headers(n) ? n : 0 }, headers(n));
    expect(response.status).toBe(202);
    return { disposition: response.headers.get("ringback-disposition") ?? "", id: response.headers.get("ringback-delivery") ?? "" };
  };
const bySignal: Deliver = async (world, { token }, n) => {
  const { disposition, id = "" } = await world.engine.signal(token, { n }, { key: "evt_1" });
  return { disposition, id };
};

/** A run that reads until nothing has come for an hour. */
async function reading(): Promise<{ world: ContextWorld; runId: string; at: { url: string; token: string } }> {
  const at = { url: "", token: "" };
  const workflow = defineWorkflow({ name: "reads" }, async (ctx) => {
    const hook = ctx.webhook<{ n: number }>();
    await ctx.step("hand-out", () => void Object.assign(at, { url: hook.url, token: hook.token }));
    const got: number[] = [];
    for (;;) {
      const next = await hook.wait({ timeout: "1h" }).catch(() => null);
      if (next === null) return got;
      got.push(next.n);
    }
  });
  const world = await createContextWorld({ workflows: [workflow] });
  const { runId } = await world.engine.start(workflow, undefined as never);
  await world.settled();
  return { world, runId, at };
}

test.each<[string, Deliver]>([
  ["Idempotency-Key", overHttp(() => ({ "idempotency-key": "k-1" }))],
  ["webhook-id", overHttp(() => ({ "webhook-id": "msg_1" }))],
  ["engine.signal with a key", bySignal],
])(
  "many at once by %s: one is taken, the others are duplicates with the first answer, also after a crash and the end",
  async (_, deliver) => {
    const { world, runId, at } = await reading();
    const receipts = await Promise.all(Array.from({ length: count }, (_each, n) => deliver(world, at, n)));
    expect(receipts.filter(({ disposition }) => disposition === "accepted")).toHaveLength(1);
    expect(receipts.filter(({ disposition }) => disposition === "duplicate")).toHaveLength(count - 1);
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
    await world.settled();
    await world.restart();
    expect(await deliver(world, at, count)).toEqual({ disposition: "duplicate", id: receipts[0]?.id });
    await world.settled();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(runId).returnValue).toHaveLength(1);
    expect(await deliver(world, at, count + 1)).toEqual({ disposition: "duplicate", id: receipts[0]?.id });
  },
);

test("many at once without keys: each is a payload, read in the order of the journal", async () => {
  const { world, runId, at } = await reading();
  const sent = await Promise.all(
    Array.from({ length: count }, (_, n) => (n % 2 === 0 ? world.post(at.url, { n }) : world.engine.signal(at.token, { n }))),
  );
  expect(sent).toHaveLength(count);
  await world.settled();
  const journal = await world.journal({ runId });
  const committed = journal.flatMap((event) => (event.kind === "hook_received" ? [event] : []));
  expect(committed).toHaveLength(count);
  await world.restart();
  await world.advance(3_600_000);
  const got = await world.engine.getRun<number[]>(runId).returnValue;
  expect(got?.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
  const inOrder = committed.map(({ payload }) =>
    payload.type === "value" ? Number(/-?\d+(?=\D*$)/.exec(payload.value)?.[0]) : Number.NaN,
  );
  expect(got).toEqual(inOrder);
});
