// How waits and runs end: cancel with its clean-up, dispose, timeout, and what a run leaves behind.

import { describe, expect, onTestFinished, test } from "vitest";
import { createHook, getStepMetadata, race, sleep, step, workflow } from "../src/index.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { settled as allSettled } from "../src/testing/settled.ts";
import { coldModes, createWorld, epoch, testKeys, type World } from "./harness.ts";

/** As `world.settled()`, while a step's body runs on. */
async function quiet(world: World): Promise<void> {
  const isQuiet = ({ core }: Engine): boolean => core.worker.isIdle && core.committer.isIdle && core.timers.isIdle;
  for (let passes = 0; passes < 20; passes = world.engines.every(isQuiet) ? passes + 1 : 0)
    await new Promise<void>((resolve) => setImmediate(resolve));
}

const nameOf = (error: unknown): string => (error as Error).name;

describe.each(coldModes)("cancel (%s)", (mode) => {
  test("rejects everything that is pending, in position order, in one turn; then the marks of the hooks", async () => {
    const log: string[] = [];
    let finish = (): void => {};
    const wf = workflow("pending", async () => {
      const seen = (name: string) => (error: unknown) => void log.push(`${name} ${nameOf(error)}`);
      const hook = createHook<number>({ token: "p" });
      const read = hook.then(() => log.push("read"), seen("read"));
      const nap = sleep("1y").catch(seen("sleep"));
      const work = step.run("work", () => new Promise<void>((resolve) => (finish = resolve))).catch(seen("step"));
      const other = sleep("2y").catch(seen("later sleep"));
      const asleep = createHook<number>({ token: "asleep" });
      await Promise.all([read, nap, work, other]);
      await asleep.catch(seen("woken later"));
      return "returned";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    await quiet(world);
    log.length = 0;
    await run.cancel();
    await quiet(world);
    const expected = ["sleep", "step", "later sleep", "read", "woken later"].map((name) => `${name} RunCancelledError`);
    expect(log.slice(-5)).toEqual(expected);
    expect(await run.state).toBe("cancelled"); // whatever it returned
    await expect(run.returnValue).rejects.toMatchObject({ code: "run_cancelled" });
    finish();
  });

  test("payloads that came before it are still read; then the mark", async () => {
    const log: unknown[] = [];
    const wf = workflow("unread", async () => {
      const hook = createHook<number>({ token: "u" });
      await sleep("1h").catch(() => {});
      log.length = 0;
      for (;;) log.push(await hook.catch(nameOf));
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("u", 1);
    await run.cancel();
    await world.settled();
    expect(log.slice(0, 3)).toEqual([1, "RunCancelledError", "RunCancelledError"]);
  });

  test("clean-up may take steps, sleeps and children; a hook it opens is closed, and says so at once", async () => {
    const log: unknown[] = [];
    const wf = workflow("cleans", async () => {
      try {
        await createHook({ token: "waits" });
      } finally {
        log.length = 0;
        log.push(await step.run("undo", () => "undone"));
        await sleep("10s");
        log.push(await createHook({ token: "new" }).catch(nameOf));
        for await (const _ of createHook({ token: "iterated" })) log.push("never");
      }
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await run.cancel();
    await world.settled();
    expect(await run.state).toBe("waiting");
    await world.advance(10_000);
    expect(log).toEqual(["undone", "RunCancelledError"]);
    expect(await run.state).toBe("cancelled");
  });

  test("when its grace is over, a step that still runs is aborted, and what it brings is dropped", async () => {
    const bring: (() => void)[] = [];
    const reasons: string[] = [];
    const wf = workflow("stubborn step", async () => {
      for (;;)
        await step
          .run("long", () => {
            const { signal } = getStepMetadata();
            signal.addEventListener("abort", () => reasons.push((signal.reason as Error).message));
            return new Promise<void>((resolve) => bring.push(resolve));
          })
          .catch(() => {});
    });
    const world = await createWorld([wf], { mode, cancelGraceMs: 5_000 });
    const run = await world.engine.start(wf, []);
    await quiet(world);
    await run.cancel();
    await quiet(world);
    expect([await run.state, reasons]).toEqual(["running", []]);
    world.clock.advance(5_000);
    await quiet(world);
    expect([await run.state, reasons]).toEqual(["cancelled", bring.map(() => "The run was cancelled.")]);
    const { length } = await world.journal(run);
    for (const resolve of bring) resolve();
    await world.settled();
    expect((await world.journal(run)).length).toBe(length);
  });
});

describe.each(coldModes)("a hook's end (%s)", (mode) => {
  test("dispose and timeout: unread payloads first, then iterators end or throw, and bare reads throw, each time", async () => {
    const wf = workflow("ends", async () => {
      const log: unknown[] = [];
      const disposed = createHook<number>({ token: "d" });
      const late = createHook<number>({ token: "t", timeout: "1h" });
      await sleep("2h");
      disposed.dispose();
      for (let reads = 0; reads < 2; reads++) log.push(await disposed.catch(nameOf));
      for await (const payload of disposed) log.push(payload);
      log.push(await late.catch(nameOf), await late.catch(nameOf));
      try {
        for await (const payload of late) log.push(payload);
      } catch (error) {
        log.push(nameOf(error));
      }
      return log;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("d", 1);
    await world.engine.resumeHook("t", 2);
    await world.advance(7_200_000);
    await world.restart();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([1, "HookDisposedError", 2, "HookTimeoutError", "HookTimeoutError"]);
  });

  test("payload or timeout is decided once: a race that the deadline won reads the same in every life", async () => {
    const wf = workflow("decided", async () => {
      const hook = createHook<string>({ token: "r", timeout: "1m" });
      const { key, value } = await race({ read: hook.catch(nameOf), nap: sleep("1h") });
      await sleep("1h");
      return [key, value];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(60_000);
    expect(await world.engine.signal("r", "late")).toMatchObject({ disposition: "closed", by: "timeout" });
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["read", "HookTimeoutError"]);
  });
});

describe.each(coldModes)("a run's end (%s)", (mode) => {
  test("settles nothing: what code still waited for stays as it is", async () => {
    const settled: string[] = [];
    let finish = (): void => {};
    const wf = workflow("leaves", async () => {
      const hook = createHook<number>({ token: "l" });
      for (const wait of [hook, sleep("1h"), step.run("s", () => new Promise<void>((resolve) => (finish = resolve)))]) {
        void (async () => {
          try {
            await wait;
          } finally {
            settled.push("a wait");
          }
        })();
      }
      await sleep("1m");
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    await quiet(world);
    world.clock.advance(60_000);
    await quiet(world);
    expect(await run.state).toBe("completed");
    world.clock.advance(7_200_000);
    await quiet(world);
    expect(await world.engine.signal("l", 1)).toMatchObject({ disposition: "closed", by: "ended" });
    finish();
    await world.settled();
    expect(settled).toEqual([]);
  });

  test("is told with what it left behind: unread payloads, what never started, warnings; and in a line each", async () => {
    const wf = workflow("untidy", async (isFailing: boolean) => {
      const hook = createHook<number>({ token: `left ${isFailing}` });
      await hook;
      void Promise.reject(new Error("stray"));
      await sleep("1m");
      void step.run("never", () => {});
      void sleep("1y");
      if (isFailing) throw new RangeError("odd");
    });
    const world = await createWorld([wf], { mode });
    for (const isFailing of [false, true]) {
      const run = await world.start(wf, isFailing);
      expect(await run.ending).toBe(null);
      const receipts = [];
      for (const payload of [1, 2, 3]) receipts.push(await world.engine.signal(`left ${isFailing}`, payload));
      await world.settled();
      world.lines.length = 0;
      await world.advance(60_000);
      const at = new Date(world.clock.now() - 60_000);
      expect(await run.ending).toEqual({
        outcome: isFailing ? "failed" : "completed",
        at: new Date(world.clock.now()),
        unread: receipts.slice(1).map(({ id }) => ({ hookId: `${run.runId}:1`, delivery: id, at })),
        abandoned: [3, 4],
        warnings: ["Nobody handled a rejection: Error: stray"],
      });
      const about = `ringback: run ${run.runId} (untidy)`;
      expect(world.lines).toEqual([
        ...(isFailing ? [`${about} failed: RangeError: odd`] : []),
        `${about}: Nobody handled a rejection: Error: stray`,
        `${about} ended, and 2 payloads that its hooks took were never read`,
        `${about} ended, and 2 steps and timers first asked for in its last turn never started: await what must happen before the end`,
      ]);
      const last = (await run.timeline).at(-1);
      expect(last?.detail).toBe(`${isFailing ? "failed" : "completed"}, 2 payloads unread, 2 never started, 1 warning`);
    }
  });

  test("from outside keeps what is known of it", async () => {
    const wf = workflow("stubborn", async () => {
      void Promise.reject(new Error("stray"));
      const hook = createHook({ token: "k" });
      for (;;) await Promise.race([sleep("1y"), hook.then(() => sleep("1y"))]).catch(() => sleep("1y").catch(() => {}));
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await run.cancel();
    await world.settled();
    await run.cancel();
    await world.settled();
    expect(await run.ending).toMatchObject({
      outcome: "cancelled",
      unread: [],
      warnings: mode === "evict" ? [] : ["Nobody handled a rejection: Error: stray"],
    });
  });
});

test("a span counts from the store's clock at the commit; a Date is taken as it is", async () => {
  const [clock, storeClock] = [createManualClock(epoch), createManualClock(epoch + 3_600_000)];
  const store = memoryStore({ clock: storeClock });
  const until = new Date(epoch + 5_000_000);
  const wf = workflow("spans", async () => {
    const hook = createHook({ timeout: "30s" });
    const dated = createHook({ timeout: until });
    await Promise.all([hook, dated, sleep("1m"), sleep(until)]);
  });
  const engine = createEngine({ store, clock, keys: testKeys, baseUrl: null, logger: false, leaseMs: 1e12, workflows: [wf] });
  onTestFinished(() => engine.close({ graceMs: 0 }));
  const run = await engine.start(wf, []);
  await allSettled(engine);
  const journal = await store.journal((await store.run({ id: run.runId }))?.run ?? 0, 0);
  const due = journal.flatMap((event) =>
    event.kind === "hook_created" ? [event.expiresAt] : event.kind === "timer_set" ? [event.dueAt] : [],
  );
  expect(due).toEqual([epoch + 3_600_000 + 30_000, +until, epoch + 3_600_000 + 60_000, +until]);
});
