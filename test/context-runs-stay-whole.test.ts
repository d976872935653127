// Runs of the context style go the way they went, whatever happens to them: late payloads, swallowed errors, engines that were held up,
// stores that fail, cancels, and a process that is killed at any point.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { RingbackError } from "../src/core/errors.ts";
import { defineWorkflow, FatalError, type FunctionWorkflow, SignalTimeoutError, WorkflowEngine } from "../src/context.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import type { Command, Store } from "../src/store/port.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { settled } from "../src/testing/settled.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { runChild } from "./child/child.ts";
import { createContextWorld } from "./context/world.ts";
import { epoch, testKeys } from "./harness.ts";

const hour = 3_600_000;
const nothing = undefined as never;

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open: () => open() };
}

/** A store as an engine has it that is held up: `before` stands in front of each of its calls. */
function heldUp(store: Store, before: (name: string, group: readonly Command[]) => Promise<void> | undefined): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (["now", "subscribe", "open", "close"].includes(String(name))) return call;
      return async (...args: unknown[]) => (await before(String(name), name === "commit" ? (args[0] as Command[]) : []), call(...args));
    },
  });
}

/** Engines on one memory store, whose leases count. */
function cluster(workflows: FunctionWorkflow[]) {
  const clock = createManualClock(epoch);
  const shared = memoryStore({ clock });
  const open = async (store: Store = shared): Promise<WorkflowEngine> => {
    const engine = createEngine({ store, clock, keys: testKeys, leaseMs: 15_000, baseUrl: null, workflows: [], logger: false });
    onTestFinished(() => engine.close({ graceMs: 0 }).catch(() => {}));
    const runs = new WorkflowEngine(engine, { workflows });
    await runs.open();
    return runs;
  };
  const pass = async (ms: number, ...engines: WorkflowEngine[]): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await settled(...engines.map(({ engine }) => engine as Engine));
    }
  };
  const journal = async (id: string) => shared.journal((await shared.run({ id }))?.run as number, 0);
  return { shared, open, pass, journal };
}

test("a wait that timed out stays timed out: what came late, or in the same instant, is the next wait's, in every life", async () => {
  const log: string[] = [];
  const patient = defineWorkflow({ name: "patient" }, async (ctx) => {
    const waits = async (): Promise<string> => {
      try {
        return await ctx.waitForSignal<string>("paid", { timeout: "1h" });
      } catch (error) {
        if (error instanceof SignalTimeoutError) return "late";
        throw error;
      }
    };
    const first = await waits();
    await ctx.step("note", () => void log.push(first));
    const second = await waits();
    await ctx.sleep("1h");
    return [first, second];
  });
  const world = await createContextWorld({ workflows: [patient] });
  const run = await world.engine.start(patient, nothing);
  await world.settled();
  world.world.clock.advance(hour); // the timer is due, and nobody has acted on it
  expect(await world.engine.signal("paid", "money")).toMatchObject({ disposition: "accepted" });
  await world.settled();
  for (let life = 0; life < 3; life++) await world.restart();
  await world.advance(hour);
  expect([await world.engine.getRun(run.runId).returnValue, log]).toEqual([["late", "money"], ["late"]]);
});

test("waits are ordinary promises: raced, looped over, and within a try whose catch does nothing", async () => {
  const ordinary = defineWorkflow({ name: "ordinary" }, async (ctx) => {
    const got: unknown[] = [];
    while (got.length < 4) {
      const next = ctx.waitForSignal<number>("n");
      got.push(await Promise.race([next, ctx.sleep("1h").then(() => "nothing")]));
    }
    let swallowed: unknown = "default";
    try {
      swallowed = await ctx.waitForSignal("last");
    } catch {}
    const both = await Promise.all([ctx.waitForSignal("x"), ctx.waitForSignal("y")]);
    const any = await Promise.any([ctx.waitForSignal("z"), Promise.reject(new Error("no"))]);
    return [got, swallowed, both, any];
  });
  const world = await createContextWorld({ workflows: [ordinary] });
  const { runId } = await world.engine.start(ordinary, nothing);
  await world.settled();
  const send = async (token: string, value: unknown): Promise<void> => {
    await world.engine.signal(token, value);
    await world.settled();
    await world.restart();
  };
  await send("n", 1);
  await world.advance(hour);
  await send("n", 2);
  await send("n", 3);
  expect(await world.engine.getRun(runId).state).toBe("waiting");
  await send("last", "kept");
  await send("y", "Y");
  await send("x", "X");
  await send("z", "Z");
  expect(await world.engine.getRun(runId).returnValue).toEqual([[1, "nothing", 2, 3], "kept", ["X", "Y"], "Z"]);
});

test("an engine that was held up past its lease writes nothing any more, and a delivery that finds a run at work is not lost", async () => {
  const bodies: string[] = [];
  const frozen = gate();
  let isFrozen = false;
  let onAppend: (() => Promise<void>) | null = null;
  const pays = defineWorkflow({ name: "pays" }, async (ctx) => {
    await ctx.step("charge", () => {
      isFrozen = bodies.push("charge") === 1;
      return `charged ${bodies.length}`;
    });
    await ctx.step("ship", () => void bodies.push("ship"));
    const second = ctx.waitForSignal("second");
    const first = await ctx.waitForSignal("first");
    await ctx.step("between", () => void bodies.push("between"));
    return [first, await second];
  });
  const { shared, open, pass, journal } = cluster([pays]);
  const frozenOne = heldUp(shared, () => (isFrozen ? frozen.passed : undefined));
  const watchedTwo = heldUp(shared, (_name, group) => {
    const asking = group.some(({ op }) => op === "append") ? onAppend : null;
    if (asking !== null) onAppend = null;
    return asking?.();
  });
  const [one, two] = [await open(frozenOne), await open(watchedTwo)];
  const run = await one.start(pays, nothing, "p-1");
  await pass(60_000, two);
  expect(bodies).toEqual(["charge", "charge", "ship"]); // begun again, since nobody knows what became of it
  const before = await journal("p-1");
  isFrozen = false;
  frozen.open();
  await pass(60_000, one, two);
  const after = await journal("p-1");
  expect([after.length, bodies.length]).toEqual([before.length, 3]);
  expect(after.filter(({ kind }) => kind === "step_completed")).toHaveLength(2);
  // While its holder commits what came of one delivery, the next comes through another engine.
  onAppend = async () => void (await one.signal("second", 2));
  await one.signal("first", 1);
  await pass(60_000, one, two);
  expect(onAppend).toBe(null);
  expect(await run.returnValue).toEqual([1, 2]);
});

test("a cancel stands: work that finishes behind it changes nothing, nor does code that swallows it, and its addresses are closed", async () => {
  const work = gate();
  const stubborn = defineWorkflow({ name: "stubborn" }, async (ctx) => {
    const hook = ctx.waitForSignal("waits");
    try {
      await ctx.step("long", () => work.passed.then(() => "done"));
      await hook;
    } catch {}
    return "completed all the same";
  });
  const world = await createContextWorld({ workflows: [stubborn] });
  const run = await world.engine.start(stubborn, nothing, "s-1");
  for (let pass = 0; pass < 20; pass++) await new Promise<void>((resolve) => setImmediate(resolve)); // into the step's body
  await run.cancel();
  expect(await world.engine.signal("waits", "late")).toMatchObject({ disposition: "closed", by: "cancelled" });
  work.open();
  await world.settled();
  await world.advance(2 * 60_000);
  await world.restart();
  expect(await world.engine.getRun("s-1").state).toBe("cancelled");
  await expect(world.engine.getRun("s-1").returnValue).rejects.toMatchObject({ code: "run_cancelled" });
  expect(await world.engine.engine.listHooks({ runId: "s-1" })).toEqual([]);
  const kinds = (await world.journal({ runId: "s-1" })).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "run_ended")).toHaveLength(1);
  expect(await world.engine.start(stubborn, nothing, "s-2").then(({ state }) => state)).not.toBe("cancelled"); // its token is free
});

test("a cancel that comes while the last turn is being committed closes every address, and the run has one end", async () => {
  const quick = defineWorkflow({ name: "quick" }, async (ctx) => ctx.waitForSignal("last"));
  const committing = gate();
  const cancelled = gate();
  const { shared, open, pass, journal } = cluster([quick]);
  const held = heldUp(shared, (_name, group) => {
    const isEnd = group.some((command) => command.op === "append" && command.events.some(({ kind }) => kind === "run_ended"));
    if (!isEnd) return undefined;
    committing.open();
    return cancelled.passed;
  });
  const [one, door] = [await open(held), await open()];
  await one.start(quick, nothing, "q-1");
  await pass(1_000, one, door);
  await one.signal("last", 1);
  await committing.passed;
  await door.getRun("q-1").cancel();
  expect(await door.signal("last", 2)).toMatchObject({ disposition: "closed", by: "cancelled" });
  cancelled.open();
  await pass(120_000, one, door);
  const ends = (await journal("q-1")).filter(({ kind }) => kind === "run_ended");
  expect(ends).toMatchObject([{ outcome: { type: "completed" } }]); // what its code had come to
  expect(await door.getRun("q-1").returnValue).toBe(1);
});

test("a store that fails for a while ends no process: senders are told to come again, and every run goes on when it is back", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  onTestFinished(() => void process.off("unhandledRejection", listener));
  let isAway = false;
  const naps = defineWorkflow({ name: "naps" }, async (ctx, n: number) => {
    await ctx.sleep(`${n + 1}m`);
    return [await ctx.step("work", () => n), await ctx.waitForSignal(`go:${n}`)];
  });
  const { shared, open, pass } = cluster([naps]);
  const runs = await open(
    heldUp(shared, () =>
      isAway
        ? Promise.reject(new RingbackError("store_unavailable", "The connection was refused.", { details: { store: "memory" } }))
        : undefined,
    ),
  );
  for (let n = 0; n < 5; n++) await runs.start(naps, n, `n-${n}`);
  await pass(30_000, runs);
  for (let blip = 0; blip < 6; blip++) {
    isAway = true;
    await expect(runs.signal("go:0", "lost")).rejects.toMatchObject({ code: "store_unavailable" });
    const answer = await (runs.engine as Engine).resumeWebhook("go:0", new Request("https://x/", { method: "POST" }));
    expect(answer.status).toBe(503);
    await pass(40_000, runs);
    isAway = false;
    await pass(20_000, runs);
  }
  for (let n = 0; n < 5; n++) expect(await runs.signal(`go:${n}`, "on")).toMatchObject({ disposition: "accepted" });
  await pass(5_000, runs);
  expect(await Promise.all([0, 1, 2, 3, 4].map((n) => runs.getRun(`n-${n}`).returnValue))).toEqual([0, 1, 2, 3, 4].map((n) => [n, "on"]));
  expect(unhandled).toEqual([]);
});

test("a deadline for the whole run undoes what it has done, within the run's own code", async () => {
  const done: string[] = [];
  const within = defineWorkflow({ name: "within" }, async (ctx) => {
    const work = async (): Promise<string> => {
      await ctx.step("reserve", () => "r-1", { compensate: (id) => void done.push(`release ${id}`) });
      await ctx.step("charge", () => "c-1", { compensate: (id) => void done.push(`refund ${id}`) });
      return ctx.waitForSignal<string>("shipped");
    };
    const { key, value } = await ctx.race({ work: work(), deadline: ctx.sleep("1d") });
    if (key === "deadline") throw new FatalError("not shipped within a day", "too_late");
    return value;
  });
  const world = await createContextWorld({ workflows: [within] });
  const run = await world.engine.start(within, nothing, "late");
  await world.settled();
  await world.restart();
  await world.advance(24 * hour);
  await expect(world.engine.getRun(run.runId).returnValue).rejects.toMatchObject({ cause: { code: "too_late" } });
  expect(done).toEqual(["refund c-1", "release r-1"]);
  expect(await world.engine.signal("shipped", "late")).toMatchObject({ disposition: "closed" });
});

interface Journey {
  readonly lives: readonly (number | null)[];
  readonly ledger: readonly { readonly step: string; readonly key: string; readonly value: string }[];
  readonly result: readonly number[];
  readonly told: readonly string[];
  readonly kinds: readonly string[];
  readonly attributes: readonly string[];
  readonly stage: string;
}
let journey: Promise<Journey> | null = null;
beforeAll(() => void killed()); // beside the tests before those that read it

/** A run that is killed as a callback is stored, when a step has done its work, and on both sides of a chapter's end; then it ends. */
function killed(): Promise<Journey> {
  journey ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), "ringback-test-"));
    const lives: (number | null)[] = [];
    try {
      for (const point of ["deliver.after_commit", "step.before_commit", "continue.before_commit", "continue.after_commit"])
        lives.push((await runChild("context-journey", folder, point)).code);
      const { stdout, stderr, code } = await runChild("context-journey", folder);
      expect(stderr).toBe("");
      const ledger = readFileSync(join(folder, "ledger"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Journey["ledger"][number]);
      return { ...(JSON.parse(stdout) as Journey), ledger, lives: [...lives, code] };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  })();
  return journey;
}

test("a process that is killed once a callback is stored, and before anybody hears of it, has lost nothing; the repeat is one", async () => {
  const { lives, result, told, kinds } = await killed();
  expect(lives).toEqual([null, null, null, null, 0]);
  expect([result, told]).toEqual([
    [1, 2],
    ["duplicate", "duplicate"],
  ]);
  expect(kinds.filter((kind) => kind === "hook_received")).toHaveLength(2);
});

test("continueAsNew is one commit: killed before or behind it there is one next chapter, with the run's labels, values and address", async () => {
  const { kinds, attributes, stage, ledger } = await killed();
  expect(kinds.filter((kind) => kind === "run_continued")).toHaveLength(1);
  expect([attributes, stage]).toEqual([["journey-1"], "waiting"]);
  expect(ledger.filter(({ step }) => step === "hand out")).toHaveLength(1); // one URL takes the callbacks of both
});

test("a step that is killed behind its effect is begun again under the same idempotency key, and no other step has that", async () => {
  const { ledger } = await killed();
  const ships = ledger.filter(({ step }) => step === "ship");
  expect(ships.map(({ value }) => value)).toEqual(["1", "1", "2"]);
  expect(ships[0]?.key).toBe(ships[1]?.key);
  expect(new Set(ledger.map(({ key }) => key)).size).toBe(3);
});
