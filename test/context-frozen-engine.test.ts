// Two engines of the context style on one store, one of them frozen past its lease: the other goes on with its runs, and what the frozen one
// still does, when it thaws, is refused. Outcomes of steps and compensations are recorded once (G4, SG1).

import { setImmediate } from "node:timers";
import { expect, onTestFinished, test } from "vitest";
import { defineWorkflow, FatalError, type FunctionWorkflow, type WorkflowCtx, WorkflowEngine } from "../src/context.ts";
import type { Recorded } from "../src/core/event.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { settled } from "../src/testing/settled.ts";
import { createEngine } from "../src/wiring.ts";
import { epoch, testKeys } from "./harness.ts";

const leaseMs = 15_000;

interface Pair {
  /** Begins runs, and freezes. */
  readonly first: WorkflowEngine;
  readonly second: WorkflowEngine;
  /** Time passes for the store and the second engine; the first one's clock stands, so that it does not beat. */
  freeze(ms: number): Promise<void>;
  /** The first one's clock catches up. */
  thaw(): Promise<void>;
  journal(runId: string): Promise<readonly Recorded[]>;
}

async function pair(workflow: FunctionWorkflow<undefined>): Promise<Pair> {
  const clock = createManualClock(epoch);
  const frozen = createManualClock(epoch);
  const store = memoryStore({ clock });
  const engineOn = async (own: ManualClock): Promise<WorkflowEngine> => {
    const engine = createEngine({ store, clock: own, keys: testKeys, baseUrl: null, logger: false, leaseMs });
    onTestFinished(() => engine.close({ graceMs: 0 }).catch(() => {}));
    await engine.open();
    return new WorkflowEngine(engine, { workflows: [workflow] });
  };
  const [first, second] = [await engineOn(frozen), await engineOn(clock)];
  return {
    first,
    second,
    async freeze(ms) {
      clock.advance(ms);
      await settled(second.engine);
    },
    async thaw() {
      frozen.set(clock.now());
      await settled(first.engine, second.engine);
    },
    async journal(runId) {
      const row = await store.run({ id: runId });
      return row ? store.journal(row.run, 0) : [];
    },
  };
}

const countOf = (journal: readonly Recorded[], kind: Recorded["kind"]): number => journal.filter((event) => event.kind === kind).length;

/** A body that hangs the first time, until it is let go. */
function hanging(log: string[]): { readonly body: (name: string) => Promise<string>; letGo(): void; begun(times: number): Promise<void> } {
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let times = 0;
  return {
    letGo: () => letGo(),
    async begun(wanted) {
      while (times < wanted) await new Promise((resolve) => void setImmediate(resolve));
    },
    async body(name) {
      const attempt = ++times;
      if (attempt === 1) await held;
      log.push(`${name} ${attempt}`);
      return `${name} ${attempt}`;
    },
  };
}

test("a step that hangs on a frozen engine is taken up by the other one; what the frozen one brings late is refused", async () => {
  const log: string[] = [];
  const slow = hanging(log);
  let token = "";
  const workflow = defineWorkflow({ name: "frozen" }, async (ctx) => {
    const hook = ctx.webhook<string>();
    await ctx.step("hand-out", () => void (token = hook.token));
    const charged = await ctx.step("charge", () => slow.body("charge"));
    return [charged, await hook.wait()];
  });
  const { first, second, freeze, thaw, journal } = await pair(workflow);
  const { runId } = await first.start(workflow, undefined);
  await slow.begun(1);
  expect(await second.signal(token, "early")).toMatchObject({ disposition: "accepted" });
  await freeze(leaseMs - 1_000);
  expect(log).toEqual([]);
  await freeze(6_000);
  expect(await second.getRun(runId).returnValue).toEqual(["charge 2", "early"]);
  const before = await journal(runId);
  slow.letGo();
  await thaw();
  await freeze(leaseMs);
  expect(log).toEqual(["charge 2", "charge 1"]);
  expect(await journal(runId)).toEqual(before);
  expect(countOf(before, "step_completed")).toBe(2);
});

test("compensations that were done stay done when the engine freezes in the middle of them", async () => {
  const log: string[] = [];
  const slow = hanging(log);
  const book = (ctx: WorkflowCtx, name: string, undo: () => unknown): Promise<string> => ctx.step(name, () => name, { compensate: undo });
  const workflow = defineWorkflow({ name: "frozen" }, async (ctx) => {
    await book(ctx, "flight", () => void log.push("undo flight"));
    await book(ctx, "hotel", () => slow.body("undo hotel"));
    await book(ctx, "car", () => void log.push("undo car"));
    throw new FatalError("sold out", "sold_out");
  });
  const { first, second, freeze, thaw, journal } = await pair(workflow);
  const { runId } = await first.start(workflow, undefined);
  await slow.begun(1);
  expect(log).toEqual(["undo car"]);
  await freeze(leaseMs + 6_000);
  await expect(second.getRun(runId).returnValue).rejects.toMatchObject({ cause: { code: "sold_out" } });
  const before = await journal(runId);
  slow.letGo();
  await thaw();
  expect(log).toEqual(["undo car", "undo hotel 2", "undo flight", "undo hotel 1"]);
  expect(await journal(runId)).toEqual(before);
  expect([countOf(before, "step_scheduled"), countOf(before, "step_completed"), countOf(before, "run_ended")]).toEqual([6, 6, 1]);
});

test("a run that waits in a frozen engine's memory goes on in the other; thawed, the first one is told of callbacks and does nothing twice", async () => {
  const log: string[] = [];
  let token = "";
  const workflow = defineWorkflow({ name: "frozen" }, async (ctx) => {
    const hook = ctx.webhook<string>();
    await ctx.step("hand-out", () => void (token = hook.token));
    const got: string[] = [];
    for await (const value of hook) {
      got.push(await ctx.step("note", () => (log.push(value), value)));
      if (value === "end") return got;
    }
    return got;
  });
  const { first, second, freeze, thaw, journal } = await pair(workflow);
  const { runId } = await first.start(workflow, undefined);
  await settled(first.engine, second.engine);
  await freeze(leaseMs + 1_000);
  await second.signal(token, "a");
  await freeze(6_000);
  expect(log).toEqual(["a"]);
  // The first one, its clock still standing, has the run in memory as it was.
  expect(await first.signal(token, "b")).toMatchObject({ disposition: "accepted" });
  await settled(first.engine, second.engine);
  expect(log).toEqual(["a", "b"]);
  await thaw();
  await first.signal(token, "end");
  await settled(first.engine, second.engine);
  expect(await first.getRun(runId).returnValue).toEqual(["a", "b", "end"]);
  expect(log).toEqual(["a", "b", "end"]);
  expect(countOf(await journal(runId), "step_completed")).toBe(4);
});
