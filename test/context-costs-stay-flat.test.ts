// What a run of the context style costs, leaves behind and tells does not grow with what has happened to it, with what it was sent, or with
// how many others wait.

import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { limits } from "../src/core/limits.ts";
import { defineWorkflow } from "../src/context.ts";
import type { Store } from "../src/store/port.ts";
import type { Engine } from "../src/wiring.ts";
import type { EngineEventName } from "../src/engine/observer.ts";
import { request, waiting } from "./context/callback.ts";
import { createContextWorld } from "./context/world.ts";
import { rowsIn } from "./rows.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const many = isLong ? 400 : 100;
const nothing = undefined as never;
const readings = [
  "run",
  "journal",
  "chapter",
  "hook",
  "hooks",
  "delivery",
  "runnable",
  "orphans",
  "blocked",
  "due",
  "timers",
  "runs",
  "held",
];

/** Counts the rows that the store gives from now on. */
function rowsRead(store: Store): { count: number } {
  const read = { count: 0 };
  const sizeOf = (value: unknown): number => {
    if (Array.isArray(value)) return value.length;
    if (value === null || typeof value !== "object") return 0;
    const { events, inherited } = value as { readonly events?: unknown[]; readonly inherited?: unknown[] };
    return events ? events.length + (inherited?.length ?? 0) : 1;
  };
  for (const name of readings) {
    const method = (store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[name];
    if (method === undefined) throw new Error(`A store has no ${name}().`);
    Object.assign(store, {
      [name]: async (...args: unknown[]) => {
        const value = await method.apply(store, args);
        read.count += sizeOf(value);
        return value;
      },
    });
  }
  return read;
}

test(`a run that lives for ever is harmed by nothing it is sent, and costs as much to take up after ${many} messages as after 20`, async () => {
  const cart = defineWorkflow({ name: "cart" }, async (ctx, state: { total: number }): Promise<number> => {
    let { total } = state;
    for (let n = 0; n < 10; n++) {
      const { add } = await ctx.onUpdate("command", { schema: z.object({ add: z.number() }) });
      if (add === 0) return total;
      total += add;
    }
    return ctx.continueAsNew({ total });
  });
  const costs: number[] = [];
  for (const count of [20, many]) {
    const world = await createContextWorld({ workflows: [cart] });
    const id = `cart-${count}`;
    await world.engine.start(cart, { total: 0 }, id);
    await world.settled();
    for (let n = 0; n < count; n++) {
      expect(await world.engine.update(id, "command", { add: 1 })).toMatchObject({ disposition: "accepted" });
      await world.settled();
      if (n % 10 > 0) continue;
      expect(await world.engine.update(id, "no such", { add: 1 }, { early: false })).toMatchObject({ disposition: "unknown" });
      expect(await world.engine.update(id, "command", { sub: 1 })).toMatchObject({ disposition: "invalid" });
      await expect(world.engine.update(id, "command", { add: () => 1 })).rejects.toMatchObject({ name: expect.any(String) });
    }
    await world.restart();
    const read = rowsRead(world.store);
    await world.engine.update(id, "command", { add: 0 });
    await world.settled();
    costs.push(read.count);
    expect(await world.engine.getRun(id).returnValue).toBe(count);
  }
  expect(costs[1]).toBeLessThanOrEqual((costs[0] as number) + 5);
});

test("waits in a row read a few rows each, not all that came before", async () => {
  const waits = defineWorkflow({ name: "waits" }, async (ctx, count: number) => {
    let sum = 0;
    for (let n = 0; n < count; n++) sum += await ctx.waitForSignal<number>(`n:${n}`);
    return sum;
  });
  const counts = isLong ? [200, 400] : [25, 100];
  const perWait: number[] = [];
  for (const count of counts) {
    const world = await createContextWorld({ workflows: [waits] }, { mode: "hot" });
    const run = await world.engine.start(waits, count);
    await world.settled();
    const read = rowsRead(world.store);
    for (let n = 0; n < count; n++) {
      await world.engine.signal(`n:${n}`, 1);
      await world.settled();
    }
    expect(await run.returnValue).toBe(count);
    perWait.push(read.count / count);
  }
  expect(Math.max(...perWait)).toBeLessThan(5);
  expect(Math.abs((perWait[1] as number) - (perWait[0] as number))).toBeLessThan(1);
});

test("runs that wait cost a worker's rounds nothing: an hour beside a hundred of them reads as much as beside ten", async () => {
  const parked = defineWorkflow({ name: "parked" }, async (ctx, n: number) => ctx.waitForSignal(`p:${n}`, { timeout: "30d" }));
  const costs: number[] = [];
  for (const count of [10, 100]) {
    const world = await createContextWorld({ workflows: [parked] });
    await Promise.all(Array.from({ length: count }, (_, n) => world.engine.start(parked, n)));
    await world.settled();
    const read = rowsRead(world.store);
    for (let minute = 0; minute < 60; minute++) await world.advance(60_000);
    costs.push(read.count);
  }
  expect(costs[1]).toBe(costs[0]);
});

test("what is unknown, late, repeated or refused stores nothing for good: no row but what is kept for people, for a time", async () => {
  const tokens: string[] = [];
  const judged = defineWorkflow({ name: "judged" }, async (ctx) => {
    const hook = ctx.webhook({ schema: z.object({ n: z.number() }) });
    await ctx.step("hand out", () => void tokens.push(hook.token));
    return hook.wait();
  });
  const world = await createContextWorld({ workflows: [judged] }, { mode: "hot", rateLimit: false, retention: { refused: "1d" } });
  const [gone, ended] = [await world.engine.start(judged, nothing), await world.engine.start(judged, nothing)];
  await world.engine.start(judged, nothing);
  await world.settled();
  const [goneToken = "", endedToken = "", openToken = ""] = tokens;
  for (const token of [goneToken, endedToken]) await world.world.engine.ingress(request(token, { "idempotency-key": "k" }, `{"n":1}`));
  await Promise.all([gone.returnValue, ended.returnValue]);
  await gone.delete();
  const before = await rowsIn(world.path as string);
  const { ingress } = world.world.engine;
  const body = (n: number): string => JSON.stringify({ n: `no ${n}`, text: "x".repeat(1_000) });
  const count = isLong ? 200 : 40;
  for (let n = 0; n < count; n++) {
    expect((await ingress(request(goneToken, { "idempotency-key": `late ${n}` }, body(n)))).status).toBe(404);
    expect((await ingress(request(endedToken, { "idempotency-key": `late ${n}` }, body(n)))).status).toBe(410);
    expect((await ingress(request(endedToken, { "idempotency-key": "k" }, `{"n":1}`))).status).toBe(202);
    expect((await ingress(request(openToken, { "idempotency-key": `bad ${n}` }, body(n)))).status).toBe(422);
    expect(await world.engine.signal(`nobody:${n}`, body(n))).toMatchObject({ disposition: "unknown" });
    expect(await world.engine.update("nobody", "limit", n)).toMatchObject({ disposition: "unknown" });
  }
  await world.settled();
  expect(await rowsIn(world.path as string)).toEqual(before);
  const engine = world.engine.engine as Engine;
  expect((await engine.listRefused({ limit: 1_000 })).length).toBe(2 * count);
  expect(limits.refusedRows).toBeLessThan(100_000);
  await world.advance(86_400_000 + 60_000);
  await engine.purge();
  expect(await engine.listRefused()).toEqual([]);
});

test(`of ${isLong ? 500 : 50} runs with webhooks, signals, children and published values nothing stays once they are deleted or purged`, async () => {
  const count = isLong ? 500 : 50;
  const tokens = new Map<string, string>();
  const child = defineWorkflow({ name: "child" }, async (_ctx, n: number) => ({ n, output: "x".repeat(1_000) }));
  const parent = defineWorkflow({ name: "parent" }, async (ctx, n: number) => {
    const hook = ctx.webhook();
    await ctx.step("hand out", () => void tokens.set(ctx.runId, hook.token));
    await ctx.setEvent("state", "waits");
    await ctx.setAttributes({ order: ctx.runId });
    const made = await ctx.child(child, n);
    const signal = ctx.waitForSignal(`s:${ctx.runId}`, { timeout: "1h" });
    return [await hook.wait(), await signal, made];
  });
  const { waits } = waiting();
  const world = await createContextWorld(
    { workflows: [parent, child, waits] },
    { mode: "hot", rateLimit: false, retention: { runs: "1d" } },
  );
  await world.engine.start(waits, nothing, "stays");
  await world.settled();
  const before = await rowsIn(world.path as string);
  const runs = await Promise.all(Array.from({ length: count }, (_, n) => world.engine.start(parent, n, `r-${n}`)));
  await world.settled();
  for (const [n, { runId }] of runs.entries()) {
    await world.world.engine.ingress(request(tokens.get(runId) as string, n % 2 ? { "idempotency-key": `k${n}` } : {}));
    await world.engine.signal(`s:${runId}`, n, n % 2 ? { key: `k${n}` } : {});
  }
  await world.settled();
  for (const run of runs) expect(await run.state).toBe("completed");
  for (const run of runs.slice(0, count / 2)) await run.delete();
  const engine = world.engine.engine as Engine;
  await world.advance(86_400_000 + 1);
  await engine.purge();
  const purged = await rowsIn(world.path as string);
  // The keys of deliveries outlive their runs: a repeat is a repeat for thirty days.
  const kept = Object.entries(purged).filter(([table, rows]) => rows !== before[table]);
  expect(kept).toEqual([["past_keys", count]]);
  await world.advance(limits.keysMs + 60_000);
  await engine.purge();
  expect(await rowsIn(world.path as string)).toEqual(before);
});

test("all that is told of a run names it, before its callback and after, in whatever process: who looks on can put it together", async () => {
  const names: readonly EngineEventName[] = [
    "run_started",
    "hook_created",
    "delivery",
    "step_completed",
    "step_retrying",
    "run_warning",
    "run_completed",
  ];
  const told: { readonly name: string; readonly runId: string | null }[] = [];
  let fails = 1;
  const traced = defineWorkflow({ name: "traced" }, async (ctx) => {
    await ctx.step("before", () => "done");
    await ctx.waitForSignal("call");
    return ctx.step("after", () => {
      if (fails-- > 0) throw new Error("once");
      return "done";
    });
  });
  const world = await createContextWorld({ workflows: [traced] }, { mode: "hot" });
  const listen = (engine: Engine): void => {
    for (const name of names) onTestFinished(engine.on(name, (fact) => void told.push({ name, runId: (fact as { runId: string }).runId })));
  };
  listen(world.engine.engine as Engine);
  await world.engine.start(traced, nothing, "t-1");
  await world.settled();
  await world.restart();
  listen(world.engine.engine as Engine);
  await world.engine.signal("call", null);
  await world.settled();
  await world.advance(5_000);
  expect(await world.engine.getRun("t-1").returnValue).toBe("done");
  expect(told.map(({ name }) => name)).toEqual([
    "run_started",
    "step_completed",
    "hook_created",
    "delivery",
    "step_retrying",
    "step_completed",
    "run_completed",
  ]);
  expect(new Set(told.map(({ runId }) => runId))).toEqual(new Set(["t-1"]));
});
