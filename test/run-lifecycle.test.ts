// Runs begin once per id, tell what they are doing, and end in one way.

import { describe, expect, onTestFinished, test } from "vitest";
import { callingRun } from "../src/engine/realm.ts";
import { continueAsNew, createHook, getWorkflowMetadata, random, sleep, step, uuid, workflow } from "../src/index.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { type ListRunsOptions, type Run, start } from "../src/api.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { createWorld, modes, testKeys } from "./harness.ts";

describe.each(modes)("runs (%s)", (mode) => {
  test("the same id, workflow and arguments give the run that exists; other arguments are a conflict", async () => {
    const wf = workflow("ids", async (n: number) => n);
    const world = await createWorld([wf], { mode });
    const first = await world.engine.start(wf, [1], { id: "order-1" });
    const again = await world.engine.start(wf, [1], { id: "order-1" });
    expect([first.runId, again.runId]).toEqual(["order-1", "order-1"]);
    await expect(world.engine.start(wf, [2], { id: "order-1" })).rejects.toMatchObject({ code: "run_conflict" });
    expect(await first.returnValue).toBe(1);
    await expect(world.engine.start(wf, [1], { id: "" })).rejects.toMatchObject({ code: "bad_argument" });
    await expect(world.engine.start(wf, [1], { id: "x".repeat(256) })).rejects.toMatchObject({ code: "too_large" });
    expect((await world.engine.start(wf, [1], { id: "x".repeat(255) })).runId.length).toBe(255);
  });

  test("states tell what a run is doing; a run that does not exist says so", async () => {
    const wf = workflow("states", async () => {
      await sleep("1h");
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect([await run.status, await run.state, await run.exists, await run.workflowName]).toEqual(["running", "waiting", true, "states"]);
    expect((await world.engine.listRuns({ workflow: "states" })).map((info) => info.state)).toEqual(["waiting"]);
    await world.advance(3_600_000);
    expect([await run.status, await run.state]).toEqual(["completed", "completed"]);
    const none = world.engine.getRun("nope");
    expect(await none.exists).toBe(false);
    for (const asked of [none.status, none.returnValue, none.cancel(), none.wakeUp()])
      await expect(asked).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("runs are listed newest first, by workflow and state, a page at a time", async () => {
    const done = workflow("listed done", async () => {});
    const parked = workflow("listed parked", async () => sleep("1h"));
    const world = await createWorld([done, parked], { mode });
    const ids: string[] = [];
    for (const wf of [parked, done, parked, done]) ids.unshift((await world.start(wf)).runId);
    const listed = async (options: ListRunsOptions): Promise<number[]> =>
      (await world.engine.listRuns(options)).map((info) => ids.indexOf(info.runId));
    expect(await listed({})).toEqual([0, 1, 2, 3]);
    expect([await listed({ state: "open" }), await listed({ state: "completed" })]).toEqual([
      [1, 3],
      [0, 2],
    ]);
    expect([await listed({ limit: 1 }), await listed({ before: ids[1] as string, limit: 1 })]).toEqual([[0], [2]]);
    expect([await listed({ workflow: "listed done", before: ids[0] as string }), await listed({ before: "none" })]).toEqual([[2], []]);
    await expect(listed({ status: "open" } as never)).rejects.toMatchObject({ code: "bad_argument" });
  });

  test("a sleep takes a duration, milliseconds or a date, survives a restart, and wakeUp ends it", async () => {
    const wf = workflow("sleeps", async (until: Date) => {
      const at = [Date.now()];
      await sleep("90m");
      at.push(Date.now());
      await sleep(1_000);
      at.push(Date.now());
      await sleep(until);
      at.push(Date.now());
      await sleep("1y");
      return at.map((time) => time - (at[0] as number));
    });
    const world = await createWorld([wf], { mode });
    const started = world.clock.now();
    const run = await world.start(wf, new Date(started + 86_400_000));
    await world.advance(90 * 60_000);
    await world.restart();
    await world.advance(1_000);
    await world.advance(86_400_000 - 90 * 60_000 - 1_000);
    expect(await world.engine.getRun(run.runId).wakeUp()).toEqual({ stoppedCount: 1 });
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([0, 5_400_000, 5_401_000, 86_400_000]);
  });

  test("random(), uuid(), Math.random and randomUUID replay the same and differ between runs", async () => {
    const wf = workflow("chance", async () => {
      const before = [random(), uuid(), Math.random(), crypto.randomUUID()];
      await sleep("1h");
      return [...before, random(), uuid()];
    });
    const world = await createWorld([wf], { mode });
    const hot = await world.start(wf);
    const other = await world.start(wf);
    await world.restart();
    await world.advance(3_600_000);
    const values = (await world.engine.getRun(hot.runId).returnValue) as unknown[];
    const others = (await world.engine.getRun(other.runId).returnValue) as unknown[];
    expect(new Set([...values, ...others]).size).toBe(12);
  });

  test("start() in workflow code starts a child; waiting for it is durable; its failure is an error with a cause", async () => {
    const child = workflow("child", async (n: number) => {
      await sleep("1h");
      if (n < 0) throw new RangeError("negative");
      return n * 2;
    });
    const parent = workflow("parent", async () => {
      const good = await world.engine.start(child, [21]);
      const bad = await world.engine.start(child, [-1], { id: "bad-child" });
      const value = await good.returnValue;
      const failure = await bad.returnValue.catch((error) => [error.code, error.cause instanceof RangeError]);
      return [value, failure, good.runId.startsWith(getWorkflowMetadata().workflowRunId)];
    });
    const world = await createWorld([parent, child], { mode });
    const run = await world.start(parent);
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([42, ["run_failed", true], true]);
    expect((await world.engine.listRuns()).length).toBe(3);
  });

  test("cancel rejects what is pending, lets the run clean up, and closes its hooks from the request on", async () => {
    const undone: string[] = [];
    const wf = workflow("cancelled", async () => {
      const hook = createHook<number>({ token: "c" });
      try {
        await hook;
      } catch (error) {
        await step.run("undo", () => void undone.push((error as Error).name));
        throw error;
      }
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await run.cancel();
    expect(await world.engine.signal("c", 1)).toMatchObject({ disposition: "closed", by: "cancelled" });
    await expect(run.returnValue).rejects.toMatchObject({ code: "run_cancelled" });
    expect(undone).toEqual(["RunCancelledError"]);
    expect(await run.status).toBe("cancelled");
    await run.cancel();
    await world.settled();
  });

  test("one that is to compensate has the time it takes, also over a restart; only a cancel without that ends it", async () => {
    let isAsked: boolean | undefined;
    const wf = workflow("undoes", async () => {
      await sleep("1y").catch(() => {});
      isAsked = callingRun()?.isCompensating;
      if (!isAsked) return;
      await sleep("1h"); // longer than any grace
      await step.run("undo", () => void undone.push("undone"));
    });
    const undone: string[] = [];
    const world = await createWorld([wf], { mode });
    const [run, other, plain] = [await world.start(wf), await world.start(wf), await world.start(wf)];
    await plain.cancel();
    await world.settled();
    expect([await plain.status, isAsked]).toEqual(["cancelled", false]);
    for (const asked of [run, other, run]) await world.engine.getRun(asked.runId).cancel({ compensate: true });
    await world.settled();
    expect((await run.timeline).find(({ event }) => event === "cancel_requested")?.detail).toBe("to undo what was done");
    expect((await plain.timeline).find(({ event }) => event === "cancel_requested")?.detail).toBe(undefined);
    await world.advance(3_000_000);
    isAsked = undefined;
    await world.restart();
    expect([await world.engine.getRun(run.runId).state, await world.engine.getRun(other.runId).state]).toEqual(["waiting", "waiting"]);
    await world.engine.getRun(other.runId).cancel();
    await world.settled();
    expect([await world.engine.getRun(other.runId).state, undone]).toEqual(["cancelled", []]);
    const { warnings } = (await world.engine.getRun(other.runId).ending) as { readonly warnings: readonly string[] };
    expect(warnings).toEqual([expect.stringMatching(/ended while it was to undo/)]);
    await world.advance(600_000);
    expect([await world.engine.getRun(run.runId).state, undone, isAsked]).toEqual(["cancelled", ["undone"], true]);
  });

  test("one that is to compensate, and that the last chapter has not seen, is the next one's to see", async () => {
    const seen: unknown[] = [];
    const wf = workflow("chapters", async (chapter: number): Promise<void> => {
      const hook = createHook<string>({ name: "next" });
      if (chapter === 1) await step.run("url", () => void (token = hook.token));
      await hook.catch(() => void seen.push([chapter, callingRun()?.isCompensating]));
      if (chapter === 1) return continueAsNew([2], { carry: [hook] });
    });
    let token = "";
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, 1);
    const { engine } = world;
    await Promise.all([engine.signal(token, "on"), engine.getRun(run.runId).cancel({ compensate: true })]);
    await world.settled();
    expect(await run.status).toBe("cancelled");
    const kinds = (await world.journal(run)).map(({ kind }) => kind);
    expect(kinds.slice(-5)).toEqual(["hook_received", "cancel_requested", "run_continued", "cancel_requested", "run_ended"]);
    expect(seen).toEqual([[2, true]]);
  });

  test("a cancelled run that does not end is ended after its grace; a second cancel ends it at once", async () => {
    const wf = workflow("stubborn", async () => {
      for (;;) await sleep("1y").catch(() => {});
    });
    const world = await createWorld([wf], { mode });
    const slow = await world.start(wf);
    const quick = await world.start(wf);
    await slow.cancel();
    await quick.cancel();
    await world.settled();
    expect(await slow.state).toBe("waiting");
    await quick.cancel();
    await world.settled();
    expect(await quick.status).toBe("cancelled");
    await world.advance(59_999);
    expect(await slow.state).toBe("waiting");
    await world.restart();
    await world.advance(1);
    expect(await world.engine.getRun(slow.runId).status).toBe("cancelled");
  });

  test("a second cancel ends the run at once, whoever asks: a door, or a worker that does not hold it", async () => {
    const wf = workflow("stubborn everywhere", async () => {
      for (;;) await sleep("1y").catch(() => {});
    });
    const world = await createWorld([wf], { mode });
    const { clock, path, store } = world;
    const beside = path ? sqliteStore({ path, clock }) : store;
    const door = createEngine({ store: beside, role: "ingress", clock, keys: testKeys, baseUrl: null, logger: false, workflows: [wf] });
    onTestFinished(() => door.close());
    const byDoor = await world.start(wf);
    const byOther = await world.start(wf);
    for (const engine of [world.engine, door]) await engine.getRun(byDoor.runId).cancel();
    for (const engine of [world.engine, world.engine]) await engine.getRun(byOther.runId).cancel();
    await world.advance(200); // the worker looks for what other processes wrote
    expect([await byDoor.status, await byOther.status]).toEqual(["cancelled", "cancelled"]);
  });

  test("what is first asked for in the turn that ends a run never starts; payloads nobody read are recorded", async () => {
    let started = 0;
    const wf = workflow("ending", async () => {
      const hook = createHook<number>({ token: "e" });
      await sleep("1h");
      void step.run("never", () => void started++);
      void sleep("1y");
      void hook.metadata;
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("e", 1);
    await world.engine.resumeHook("e", 2);
    await world.advance(3_600_000);
    expect(await run.returnValue).toBe("done");
    const ended = (await world.journal(run)).at(-1);
    expect(ended).toMatchObject({ kind: "run_ended", abandoned: [expect.any(Number), expect.any(Number)] });
    expect(ended?.kind === "run_ended" && ended.unread.length).toBe(2);
    expect(started).toBe(0);
    expect(await world.store.nextDue()).toBe(null);
  });

  test("a workflow called inside another runs inline; called outside a run it says to use start()", async () => {
    const inner = workflow("inner", async (n: number) => {
      await sleep("1s");
      return n + 1;
    });
    const outer = workflow("outer", async () => inner(1));
    const world = await createWorld([outer], { mode });
    const run = await world.start(outer);
    await world.advance(1_000);
    expect(await run.returnValue).toBe(2);
    await expect(inner(1)).rejects.toMatchObject({ code: "workflow_called_directly" });
    expect((await world.engine.listRuns()).length).toBe(1);
  });

  test("a run tells when its code began, and ends those of its sleeps that are named", async () => {
    const wf = workflow("naps", async () => {
      await Promise.all([sleep("1h"), sleep("2h"), sleep("3h")]);
    });
    const other = createEngine({ store: "memory:", workflows: [wf], keys: testKeys, baseUrl: null, role: "ingress", logger: false });
    onTestFinished(() => other.close());
    expect(await (await other.start(wf)).startedAt).toBeUndefined(); // nobody runs it
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(await run.startedAt).toEqual(await run.createdAt);
    const positions = (await run.timeline).filter(({ event }) => event === "timer_set").map(({ position }) => position);
    const named = positions.slice(0, 2).map((position) => `${run.runId}:${position}`);
    expect(await run.wakeUp({ correlationIds: [...named, "other:1"] })).toEqual({ stoppedCount: 2 });
    expect(await run.wakeUp({ correlationIds: [] })).toEqual({ stoppedCount: 0 });
    await expect(run.wakeUp({ correlationIds: "all" as never })).rejects.toMatchObject({ code: "bad_argument" });
    await world.settled();
    expect(await run.state).toBe("waiting");
    expect(await run.wakeUp()).toEqual({ stoppedCount: 1 });
    await run.returnValue;
  });

  test("a run may be handed to a step, and returned: it is its id, and is asked where it arrives", async () => {
    const ask = step("ask", async (run: Run) => ({ name: await run.workflowName, state: await run.state }));
    const waits = workflow("waits", async () => await createHook({ token: "one" }));
    const wf = workflow("asks", async () => {
      const conflict = await createHook({ token: "one" }).getConflict();
      return { conflict, told: await ask(conflict as Run), child: await start(waits, [], { id: "child" }) };
    });
    const world = await createWorld([waits, wf], { mode });
    const holder = await world.start(waits);
    const run = await world.start(wf);
    await world.settled();
    const { conflict, told, child } = await run.returnValue;
    expect([conflict?.runId, told]).toEqual([holder.runId, { name: "waits", state: "waiting" }]);
    expect([child.runId, await child.workflowName]).toEqual(["child", "waits"]);
  });

  test("a workflow without parameters takes options at once; what DevKit's options say of deployments has no effect, and is told once", async () => {
    const wf = workflow("bare", async () => "done");
    const world = await createWorld([wf], { mode });
    const one = world.engines[0] as Engine;
    expect((await one.start(wf, { id: "a" })).runId).toBe("a");
    for (const id of ["b", "c"]) expect((await one.start(wf, [], { id, deploymentId: "latest", specVersion: 3 })).runId).toBe(id);
    expect(world.lines.filter((line) => line.includes("deploymentId"))).toHaveLength(1);
    const world3 = { id: "d", world: {} } as never;
    await expect(one.start(wf, [], world3)).rejects.toMatchObject({ code: "bad_argument", details: { argument: "world" } });
  });
});
