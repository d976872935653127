// An `AbortController` of workflow code aborts the signals that steps were given: live, after a restart, and the same on every replay.

import { beforeEach, describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import { createHook, FatalError, race, sleep, step, workflow } from "../src/index.ts";
import { createWorld, modesOfLength, type World } from "./harness.ts";

/** What bodies have seen, in order. */
let seen: unknown[] = [];
beforeEach(() => {
  seen = [];
});

/** Waits for its signal, as `fetch` would. */
const hang = step("hang", async (name: string, { signal }: { signal: AbortSignal }) => {
  seen.push(`${name} begun${signal.aborted ? " aborted" : ""}`);
  signal.throwIfAborted();
  await new Promise((_, reject) =>
    signal.addEventListener("abort", () => {
      seen.push([name, signal.reason instanceof Error ? signal.reason.name : signal.reason]);
      reject(signal.reason);
    }),
  );
});
/** A body that runs is never settled: what is waited for is what it says. */
const until = async (isSo: () => unknown): Promise<void> => {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve));
};
const kinds = async (world: World, run: { readonly runId: string }): Promise<unknown[]> =>
  (await world.journal(run)).map((event) => event.kind);

describe.each(modesOfLength)("%s", (mode) => {
  const cancellable = workflow("cancellable", async () => {
    const controller = new AbortController();
    const hook = createHook<string>({ token: "stop" });
    const hung = hang("a", { signal: controller.signal });
    const first = await race({ hung, stop: hook });
    if (first.key === "stop") controller.abort();
    const error = await hung.then(null, (thrown: Error) => thrown);
    await sleep("1m");
    return [error?.name, FatalError.is(error), error instanceof DOMException, controller.signal.reason?.name];
  });

  test("the body that runs is told, is not tried again, and the workflow gets what it threw", async () => {
    const world = await createWorld([cancellable], { mode });
    const run = await world.engine.start(cancellable);
    await until(() => seen.length === 1);
    await world.engine.resumeHook("stop", "now");
    await world.settled();
    expect(seen).toEqual(["a begun", ["a", "AbortError"]]);
    await world.restart();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["AbortError", true, true, "AbortError"]);
    expect(seen.length).toBe(2);
    expect((await kinds(world, run)).filter((kind) => String(kind).startsWith("s"))).toEqual([
      "step_scheduled",
      "signal_aborted",
      "step_failed",
    ]);
  });

  test("a step that was taken up by another process is told there", async () => {
    const world = await createWorld([cancellable], { mode });
    const run = await world.engine.start(cancellable);
    await until(() => seen.length === 1);
    await world.restart({}, false);
    await until(() => seen.filter((each) => each === "a begun").length === 2);
    await world.engine.resumeHook("stop", "now");
    await world.settled();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["AbortError", true, true, "AbortError"]);
    expect(seen.filter((each) => each === "a begun").length).toBe(2);
    expect(seen.at(-1)).toEqual(["a", "AbortError"]);
  });

  test("an attempt that begins after the abort finds its signal aborted", async () => {
    let attempts = 0;
    const tries = step("tries", async (signal: AbortSignal) => {
      seen.push([++attempts, signal.aborted, signal.reason]);
      if (attempts === 1) throw new Error("again");
      return "done";
    });
    const wf = workflow("late", async () => {
      const controller = new AbortController();
      const tried = tries(controller.signal);
      await sleep("100ms");
      controller.abort({ why: new Map([["quota", 1n]]) });
      return tried;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(100);
    await world.restart();
    await world.advance(1_000);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("done");
    expect(seen).toEqual([
      [1, false, undefined],
      [2, true, { why: new Map([["quota", 1n]]) }],
    ]);
  });

  test("a signal that is aborted when it is passed arrives aborted; what it throws is final", async () => {
    const wf = workflow("already", async () => {
      const controller = new AbortController();
      controller.abort("no quota");
      const thrown: unknown = await hang("x", { signal: controller.signal }).then(null, (error: unknown) => error);
      const copy = await step.run("gives", async () => AbortSignal.abort(new RangeError("far")));
      await sleep("1m");
      return [thrown, copy.aborted, copy.reason instanceof RangeError];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["no quota", true, true]);
    expect(seen).toEqual(["x begun aborted"]);
    expect(await kinds(world, run)).not.toContain("signal_aborted");
  });

  test("one signal for several steps, AbortSignal.any, and listeners of the workflow: in order, and the same on replay", async () => {
    const lives: string[][] = [];
    const wf = workflow("several", async () => {
      const told: string[] = [];
      lives.push(told);
      const [one, two] = [new AbortController(), new AbortController()];
      const either = AbortSignal.any([one.signal, two.signal]);
      either.addEventListener("abort", () => told.push(`either ${either.reason}`));
      one.signal.onabort = () => void told.push("one");
      const work = [hang("a", { signal: one.signal }), hang("b", { signal: either }), hang("c", { signal: two.signal })].map((each) =>
        each.then(null, (reason: string) => told.push(`step ${reason}`)),
      );
      await sleep("1s");
      one.abort("first");
      one.abort("again");
      told.push("after");
      try {
        either.throwIfAborted();
      } catch (thrown) {
        told.push(`threw ${String(thrown)}`);
      }
      await Promise.all(work.slice(0, 2));
      await sleep("1s");
      two.abort("second");
      await work[2];
      await sleep("1s");
      return told;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf);
    await until(() => seen.length === 3);
    world.clock.advance(1_000);
    await until(() => seen.length === 5);
    expect(seen.slice(3)).toEqual([
      ["a", "first"],
      ["b", "first"],
    ]);
    await until(async () => (await kinds(world, run)).filter((kind) => kind === "timer_set").length === 2);
    await world.advance(1_000);
    await world.restart();
    await world.advance(1_000);
    const expected = ["one", "either first", "after", "threw first", "step first", "step first", "step second"];
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(expected);
    expect(lives.length).toBeGreaterThan(1);
    // `either` is aborted by its source: one abort, and one for what it reaches through another signal.
    expect((await kinds(world, run)).filter((kind) => kind === "signal_aborted").length).toBe(3);
  });

  test("the run may end in the turn of the abort; a run that ends without one stops its bodies all the same", async () => {
    const first = workflow("first", async (isTold: boolean) => {
      const controller = new AbortController();
      const work = ["a", "b"].map((name) => hang(name, { signal: controller.signal }));
      await Promise.race([...work, sleep("1s")]);
      if (isTold) controller.abort("enough");
      return "done";
    });
    const world = await createWorld([first], { mode });
    const runs = [await world.engine.start(first, [true]), await world.engine.start(first, [false])];
    await until(() => seen.length === 4);
    await world.advance(1_000);
    expect(await Promise.all(runs.map((run) => world.engine.getRun(run.runId).returnValue))).toEqual(["done", "done"]);
    expect(seen.slice(4)).toEqual(
      expect.arrayContaining([
        ["a", "enough"],
        ["b", "enough"],
        ["a", "Error"],
        ["b", "Error"],
      ]),
    );
    expect(seen.length).toBe(8);
  });
});

test("a timeout of the step ends it as a timeout: its signal is aborted, and it is tried again", async () => {
  const slow = step(
    "slow",
    async (signal: AbortSignal) => {
      seen.push("begun");
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
    { timeout: "1s", maxRetries: 1 },
  );
  const wf = workflow("times out", async () =>
    slow(new AbortController().signal).catch((error: Error) => [error.name, FatalError.is(error)]),
  );
  const world = await createWorld([wf]);
  const run = await world.engine.start(wf);
  await until(() => seen.length === 1);
  await world.advance(1_000);
  world.clock.advance(1_000);
  await until(() => seen.length === 2);
  await world.advance(1_000);
  expect(await run.returnValue).toEqual(["StepTimeoutError", false]);
  expect((await kinds(world, run)).filter((kind) => kind === "step_retrying").length).toBe(1);
});

test("a signal goes to steps alone: elsewhere nobody would tell it, and that is said where it is passed", async () => {
  const take = workflow("take", async (_value: unknown) => 1);
  const wf = workflow("wf", async () => {
    const controller = new AbortController();
    const told: string[] = [];
    const refusal = async (call: () => unknown): Promise<void> => {
      try {
        await call();
      } catch (error) {
        told.push((error as Error).message);
      }
    };
    await refusal(() => start(take, [controller.signal]));
    await refusal(() => hang("x", controller));
    await refusal(() => step("whole", async (_controller: AbortController) => 1)(controller));
    await refusal(() => step.run("gives", async () => new AbortController().signal));
    await refusal(() => AbortSignal.timeout(1_000));
    return told;
  });
  const world = await createWorld([wf, take]);
  const run = await world.start(wf);
  expect(await run.returnValue).toEqual([
    expect.stringMatching(/^the arguments of workflow take cannot be stored: \$\[0\] is a AbortSignal\. .*give it a hook/),
    expect.stringMatching(/\$\[1\] is a AbortController\. Pass its signal to the step/),
    expect.stringMatching(/\$\[0\] is a AbortController\. Pass its signal to the step/),
    expect.stringMatching(/^the result of step gives cannot be stored: \$ is a AbortSignal/),
    expect.stringMatching(/AbortSignal\.timeout does not work in workflow code.*sleep\("10s"\)\.then\(\(\) => controller\.abort\(\)\)/),
  ]);
  await expect(world.engine.start(take, [new AbortController().signal])).rejects.toThrow("$[0] is a AbortSignal");
});

test("an abort from outside the run's turns cannot be replayed: the run is set aside, and the process goes on", async () => {
  const outside = new AbortController();
  const wf = workflow("aborted from outside", async () => hang("x", { signal: outside.signal }));
  const world = await createWorld([wf]);
  const run = await world.engine.start(wf);
  await until(() => seen.length === 1);
  outside.abort();
  await until(async () => (await run.state) === "blocked");
  expect(await run.blocked).toMatchObject({ reason: "misuse", message: expect.stringContaining("controller.abort()") });
});

test("a reason that cannot be stored reaches the step as well as it can be told", async () => {
  const wf = workflow("odd reason", async () => {
    const controller = new AbortController();
    const hung = hang("x", { signal: controller.signal }).catch((error: Error) => error.message);
    await sleep("1s");
    controller.abort(() => 1);
    return hung;
  });
  const world = await createWorld([wf]);
  const run = await world.engine.start(wf);
  await until(() => seen.length === 1);
  await world.advance(1_000);
  expect(await run.returnValue).toMatch(/not an error and cannot be stored/);
});

test("whatever was thrown because of the abort is final, and comes back as it was", async () => {
  class Closed extends Error {
    override name = "AbortError";
    get fatal(): boolean {
      return false;
    }
  }
  const wait = step("wait", async (signal: AbortSignal, own: boolean) => {
    throw own ? new Closed("own") : signal.reason;
  });
  const wf = workflow("reasons", async () => {
    const thrown: unknown[] = [];
    for (const reason of [Number.NaN, { code: 7 }, [1], "text"]) {
      await wait(AbortSignal.abort(reason), false).catch((error: unknown) => thrown.push(error));
    }
    return [thrown, await wait(AbortSignal.abort(), true).catch((error: unknown) => FatalError.is(error))];
  });
  const world = await createWorld([wf]);
  const run = await world.start(wf);
  expect(await run.state).toBe("completed");
  expect(await run.returnValue).toEqual([[Number.NaN, { code: 7 }, [1], "text"], true]);
});
