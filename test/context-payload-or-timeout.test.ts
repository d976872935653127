// Whether a wait has a payload or is over is decided once: by the journal for `wait({ timeout })`, by the clock for `webhook({ timeout })`.
// Nothing that comes later, no replay and no clock that is moved turns it round, and what came too late for one wait is for the next.

import { expect, test } from "vitest";
import { defineWorkflow, type WaitOptions } from "../src/context.ts";
import type { Command } from "../src/store/port.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";
import { epoch } from "./harness.ts";

const hour = 3_600_000;
type Kind = "wait" | "webhook";

interface Waiting {
  readonly world: ContextWorld;
  readonly runId: string;
  send(value: string): Promise<string>;
  /** The same, and the code has not gone on. */
  commit(value: string): Promise<string>;
  /** What the code has decided, each time it ran from its beginning or went on. */
  readonly decided: string[];
}

/** A run that waits one hour, notes in a step what it got, and waits once more. */
async function waiting(kind: Kind, timeout: WaitOptions["timeout"] = "1h"): Promise<Waiting> {
  let token = "";
  const decided: string[] = [];
  const workflow = defineWorkflow({ name: "decides" }, async (ctx) => {
    const hook = ctx.webhook<string>(kind === "webhook" ? { timeout: timeout as string } : {});
    await ctx.step("hand-out", () => void (token = hook.token));
    const first = await hook.wait(kind === "wait" ? { timeout: timeout as string } : {}).catch((error: Error) => error.name);
    decided.push(first);
    await ctx.step("note", () => first);
    await ctx.sleep("1d");
    return [first, await hook.wait({ timeout: "1d" }).catch((error: Error) => error.name)];
  });
  const world = await createContextWorld({ workflows: [workflow] });
  const { runId } = await world.engine.start(workflow, undefined as never);
  await world.settled();
  const commit = async (value: string): Promise<string> => (await world.engine.signal(token, value)).disposition;
  const send = async (value: string): Promise<string> => {
    const disposition = await commit(value);
    await world.settled();
    return disposition;
  };
  return { world, runId, send, commit, decided };
}

/** Goes through two crashes and a day, and ends. */
async function ended({ world, runId, decided }: Waiting): Promise<unknown> {
  await world.restart();
  await world.advance(24 * hour);
  await world.restart();
  await world.advance(24 * hour);
  const run = world.engine.getRun<unknown[]>(runId);
  expect([await run.state, (await run.blocked)?.message]).toEqual(["completed", undefined]);
  expect(new Set(decided).size).toBe(1);
  return run.returnValue;
}

/** Lets the store refuse to fire timers: the deadline has passed, and nobody has noticed. */
function withoutFiring(world: ContextWorld): () => void {
  const { store } = world;
  const commit = store.commit.bind(store);
  const isFire = ({ op }: Command): boolean => op === "fire";
  store.commit = async (group) => {
    const rest = group.filter((command) => !isFire(command));
    const outcomes = rest.length > 0 ? [...(await commit(rest))] : [];
    return group.map((command) => (isFire(command) ? { type: "broken", error: new Error("held back") } : outcomes.shift()!));
  };
  return () => {
    store.commit = commit;
  };
}

const outcomes: Record<Kind, { readonly late: string; readonly told: string; readonly later: string }> = {
  wait: { late: "SignalTimeoutError", told: "accepted", later: "a" },
  webhook: { late: "HookTimeoutError", told: "closed", later: "HookTimeoutError" },
};

test.each<[Kind, number]>([
  ["wait", -1],
  ["wait", 0],
  ["wait", 1],
  ["webhook", -1],
  ["webhook", 0],
  ["webhook", 1],
])("%s({ timeout }): a payload %i ms from the deadline", async (kind, offset) => {
  const { late, told, later } = outcomes[kind];
  const run = await waiting(kind);
  await run.world.advance(hour + offset);
  expect(await run.send("a")).toBe(offset < 0 ? "accepted" : told);
  if (offset < 0) await run.world.advance(-offset);
  const rest = kind === "wait" ? "SignalTimeoutError" : "HookTimeoutError";
  expect(await ended(run)).toEqual(offset < 0 ? ["a", rest] : [late, later]);
});

test.each([0, 1, hour])("wait({ timeout }): a payload %i ms late is in time where nobody has noticed yet, and stays so", async (offset) => {
  const run = await waiting("wait");
  const fire = withoutFiring(run.world);
  await run.world.advance(hour + offset);
  expect(await run.send("a")).toBe("accepted");
  fire();
  await run.world.advance(10_000);
  expect(run.decided.at(-1)).toBe("a");
  expect(await ended(run)).toEqual(["a", "SignalTimeoutError"]);
});

test.each([0, 1, hour])("webhook({ timeout }): a payload %i ms late is late, whoever has noticed", async (offset) => {
  const run = await waiting("webhook");
  const fire = withoutFiring(run.world);
  await run.world.advance(hour + offset);
  expect(await run.send("a")).toBe("closed");
  expect(run.decided.at(-1)).toBe("HookTimeoutError");
  fire();
  expect(await ended(run)).toEqual(["HookTimeoutError", "HookTimeoutError"]);
});

test.each<Kind>(["wait", "webhook"])(
  "%s({ timeout }): the payload came first and the code has not gone on when the clock jumps: it has it",
  async (kind) => {
    const run = await waiting(kind);
    await run.world.advance(hour - 1);
    expect(await run.commit("a")).toBe("accepted");
    expect(run.decided).toEqual([]);
    run.world.clock.advance(48 * hour);
    await run.world.settled();
    expect(await ended(run)).toEqual(["a", kind === "wait" ? "SignalTimeoutError" : "HookTimeoutError"]);
  },
);

test.each<Kind>(["wait", "webhook"])("%s({ timeout }): time that went back after the deadline brings nothing back", async (kind) => {
  const run = await waiting(kind);
  await run.world.advance(hour);
  run.world.clock.set(epoch);
  const { late, told, later } = outcomes[kind];
  expect(await run.send("a")).toBe(told);
  expect(run.decided.at(-1)).toBe(late);
  await run.world.advance(25 * hour);
  expect(await ended(run)).toEqual([late, later]);
});

test.each<Kind>(["wait", "webhook"])(
  "%s({ timeout }): a deadline that passed while no engine was there is decided by what comes first",
  async (kind) => {
    const { late, later } = outcomes[kind];
    const run = await waiting(kind);
    for (const engine of run.world.engines) await engine.core.abandon();
    run.world.clock.advance(2 * hour);
    await run.world.restart();
    await run.world.advance(20); // the workflow is registered now, and runs are looked for
    expect(run.decided.at(-1)).toBe(late);
    await run.send("a");
    expect(await ended(run)).toEqual([late, later]);
  },
);

test.each<[Kind, Date, string]>([
  ["wait", new Date(epoch + hour), "SignalTimeoutError"],
  ["webhook", new Date(epoch + hour), "HookTimeoutError"],
  ["wait", new Date(epoch - hour), "SignalTimeoutError"],
  ["webhook", new Date(epoch - hour), "HookTimeoutError"],
])("%s({ timeout: %o }) is over at that instant, or at once", async (kind, timeout, late) => {
  const run = await waiting(kind, timeout);
  if (timeout.getTime() > epoch) {
    await run.world.advance(hour - 1);
    expect(run.decided).toEqual([]);
    await run.world.advance(1);
  }
  expect(run.decided.at(-1)).toBe(late);
});

test("payloads that came while nobody waited are read by the waits that come, also after the webhook's own deadline", async () => {
  let token = "";
  const workflow = defineWorkflow({ name: "busy" }, async (ctx) => {
    const hook = ctx.webhook<string>({ timeout: "2h" });
    await ctx.step("hand-out", () => void (token = hook.token));
    await ctx.sleep("3h");
    const got: string[] = [];
    for (let n = 0; n < 4; n++) got.push(await hook.wait({ timeout: "1h" }).catch((error: Error) => error.name));
    return got;
  });
  const world = await createContextWorld({ workflows: [workflow] });
  const { runId } = await world.engine.start(workflow, undefined as never);
  await world.settled();
  for (const value of ["a", "b"]) {
    expect(await world.engine.signal(token, value)).toMatchObject({ disposition: "accepted" });
    await world.advance(hour);
  }
  expect(await world.engine.signal(token, "c")).toMatchObject({ disposition: "closed", by: "timeout" });
  await world.restart();
  await world.advance(hour);
  expect(await world.engine.getRun(runId).returnValue).toEqual(["a", "b", "HookTimeoutError", "HookTimeoutError"]);
});
