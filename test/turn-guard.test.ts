// A durable call counts only in the turn of the run whose code makes it. All else is misuse: told with run, workflow and line, without
// effect, and set aside as blocked (M2).

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setImmediate } from "node:timers";
import { setTimeout as wait } from "node:timers/promises";
import DataLoader from "dataloader";
import pLimit from "p-limit";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createHook, race, sleep, step, uuid, workflow } from "../src/index.ts";
import { RingbackError } from "../src/errors.ts";
import type { RunHandle } from "../src/engine/run-handle.ts";
import { createWorld, modes, type World } from "./harness.ts";

const here = /test\/turn-guard\.test\.ts:\d+/;

/** Runs compensations, of which none may ever start. */
const compensate = step("compensate", async () => void compensations++);
let compensations = 0;
beforeEach(() => void (compensations = 0));

/** A step that lasts until it is told to end. */
function held(name: string) {
  const ends: ((value: string) => void)[] = [];
  const body = step(name, (who: string) => new Promise<string>((resolve) => ends.push(() => resolve(who))));
  return { step: body, ends, begun: (count: number) => until(() => ends.length >= count) };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function blocked(run: RunHandle): Promise<string> {
  await until(async () => (await run.state) === "blocked");
  const why = await run.blocked;
  expect(why?.reason).toBe("misuse");
  return why?.message ?? "";
}

/** What the run's code asked for, by name. */
async function asked(world: World, run: { runId: string }): Promise<string[]> {
  const journal = await world.journal(run);
  return journal.flatMap((event) => ("digest" in event ? [`${event.kind} ${event.name}`] : []));
}

/** Exactly one retry, a second after the first misuse, however long one waits. */
async function retriedOnce(world: World, run: RunHandle, lives: () => number): Promise<void> {
  const before = lives();
  await world.advance(999);
  expect(lives()).toBe(before);
  world.clock.advance(1);
  await until(() => lives() === before + 1);
  await until(async () => (await world.journal(run)).filter((event) => event.kind === "run_blocked").length === 2);
  for (let i = 0; i < 5; i++) await world.advance(60_000);
  expect(lives()).toBe(before + 1);
  await blocked(run);
}

// Cold runs share no promises: each load makes its own.
describe.each(modes.filter((mode) => mode !== "evict"))("code of a hot run (%s)", (mode) => {
  const pairs = [
    ["of one workflow", false],
    ["of two workflows", true],
  ] as const;

  test.each(pairs)("a p-limit that two runs %s share", async (_, isOther) => {
    const limit = pLimit(1);
    const work = held("work");
    const caught: unknown[] = [];
    const body = async (who: string) => {
      const hook = createHook<string>({ token: `go:${who}` });
      const limited = async () => {
        const results: string[] = [];
        try {
          for (const n of [1, 2]) results.push(await limit(() => work.step(who + n)));
        } catch (error) {
          caught.push(error);
          await compensate();
        } finally {
          if (results.length < 2) void compensate();
        }
        return results;
      };
      return Promise.all([limited(), hook]);
    };
    const one = workflow("limited", body);
    const other = isOther ? workflow("limited-too", body) : one;
    const world = await createWorld([one, other], { mode });
    const a = await world.engine.start(one, ["a"]);
    await work.begun(1);
    const b = await world.engine.start(other, ["b"]);
    await until(async () => (await asked(world, b)).length > 0);
    work.ends[0]?.("");
    await work.begun(2);
    const message = await blocked(b);
    for (const part of [a.runId, b.runId, "limited", other.name, 'step "work"', here]) expect(message).toMatch(part);
    expect(caught.length).toBe(1);
    expect(RingbackError.is(caught[0], "other_run") && caught[0].details).toEqual({
      call: 'step "work"',
      run: b.runId,
      workflow: other.name,
      other: a.runId,
      otherWorkflow: "limited",
    });
    work.ends[1]?.("");
    await world.settled();
    await world.engine.resumeHook("go:a", "go");
    expect(await a.returnValue).toEqual([["a1", "a2"], "go"]);
    expect(await asked(world, a)).toEqual(["hook_created go:a", "step_scheduled work", "step_scheduled work"]);
    expect(await asked(world, b)).toEqual(["hook_created go:b"]);
    expect(compensations).toBe(0);
  });

  test("a run that only waits for the other one is tried again after a second, when it may be out of its way", async () => {
    const limit = pLimit(1);
    const work = held("work");
    const wf = workflow("limited", async (who: string) => limit(() => work.step(who)));
    const world = await createWorld([wf], { mode });
    const a = await world.engine.start(wf, ["a"]);
    await work.begun(1);
    const b = await world.engine.start(wf, ["b"]);
    expect(await blocked(b)).toMatch(/waits for nothing durable.*within this run/);
    work.ends[0]?.("");
    expect(await a.returnValue).toBe("a");
    await world.advance(999);
    expect([await b.state, work.ends.length]).toEqual(["blocked", 1]);
    world.clock.advance(1);
    await work.begun(2);
    work.ends[1]?.("");
    expect(await b.returnValue).toBe("b");
    expect(await asked(world, a)).toEqual(["step_scheduled work"]);
    expect(await asked(world, b)).toEqual(["step_scheduled work"]);
  });

  test("a memoised promise", async () => {
    const load = held("load");
    const use = step("use", async (what: string) => what);
    let memo: Promise<string> | undefined;
    const wf = workflow("memoised", async (who: string) => {
      const hook = createHook({ token: `go:${who}` });
      const config = async () => use(`${who} uses ${await (memo ??= load.step("config"))}`);
      return Promise.all([config(), hook]);
    });
    const world = await createWorld([wf], { mode });
    const a = await world.engine.start(wf, ["a"]);
    await load.begun(1);
    const b = await world.engine.start(wf, ["b"]);
    await until(async () => (await asked(world, b)).length > 0);
    load.ends[0]?.("");
    const message = await blocked(b);
    for (const part of [a.runId, b.runId, 'step "use"', here]) expect(message).toMatch(part);
    await world.engine.resumeHook("go:a", null);
    expect(await a.returnValue).toEqual(["a uses config", null]);
    expect(await asked(world, a)).toEqual(["hook_created go:a", "step_scheduled load", "step_scheduled use"]);
    expect(await asked(world, b)).toEqual(["hook_created go:b"]);
  });

  test("a promise made from a hook: to wait for another run's is not to read its hook", async () => {
    let shared: Promise<number> | undefined;
    const wf = workflow("shares", async (who: string) => {
      const hook = createHook<number>({ token: `go:${who}` });
      const value = (shared ??= hook.then((n) => n + 1));
      if (who === "a") {
        await createHook({ token: "later" });
        return value;
      }
      return Promise.all([value.then(async (n) => [n, await compensate()]), hook]);
    });
    const world = await createWorld([wf], { mode });
    const a = await world.start(wf, "a");
    const b = await world.start(wf, "b");
    await world.engine.resumeHook("go:a", 41);
    const message = await blocked(b);
    expect(message).toMatch(here);
    expect(message).toMatch("compensate");
    await world.engine.resumeHook("later", null);
    expect(await a.returnValue).toBe(42);
    expect(compensations).toBe(0);
  });

  test("a listener of an AbortSignal, however it was added", async () => {
    const controller = new AbortController();
    const clean = step("clean", async (who: string) => who);
    const seen: unknown[] = [];
    const wf = workflow("listens", async (who: string) => {
      const hook = createHook<string>({ token: `go:${who}` });
      if (who === "a") {
        await hook;
        controller.abort();
        return "aborted";
      }
      controller.signal.addEventListener("abort", (async () => await clean("async")) as () => void);
      controller.signal.addEventListener("abort", { handleEvent: () => void createHook({ token: "thrown" }) });
      controller.signal.onabort = () => void clean("on").catch((error) => seen.push(error.code));
      const removed = (): void => void seen.push("removed");
      controller.signal.addEventListener("abort", removed);
      controller.signal.removeEventListener("abort", removed);
      return hook;
    });
    const world = await createWorld([wf], { mode });
    const b = await world.start(wf, "b");
    const a = await world.start(wf, "a");
    await world.engine.resumeHook("go:a", "");
    expect(await a.returnValue).toBe("aborted");
    const message = await blocked(b);
    for (const part of [a.runId, b.runId, 'step "clean"', here]) expect(message).toMatch(part);
    expect(seen).toEqual(["other_run"]);
    expect(await asked(world, a)).toEqual(["hook_created go:a"]);
    expect(await asked(world, b)).toEqual(["hook_created go:b"]);
  });

  test("a hook of another run", async () => {
    let shared: PromiseLike<unknown> | undefined;
    const codes: string[] = [];
    const wf = workflow("borrows", async (who: string) => {
      if (who === "a") {
        const hook = createHook({ token: "mine" });
        shared = hook;
        return hook;
      }
      try {
        await shared;
      } catch (error) {
        codes.push((error as RingbackError).code);
        await compensate();
      }
      return "not reached";
    });
    const world = await createWorld([wf], { mode });
    const a = await world.start(wf, "a");
    const b = await world.start(wf, "b");
    expect(await blocked(b)).toMatch(a.runId);
    await world.engine.resumeHook("mine", 1);
    expect(await a.returnValue).toBe(1);
    expect([codes, compensations]).toEqual([["other_run"], 0]);
    await world.advance(1_000);
    expect(await blocked(b)).toMatch(a.runId);
  });

  test("an end outside the turn is no end", async () => {
    const wf = workflow("ends-late", async () => {
      await Promise.race([wait(0), sleep("1h")]);
      return "too late";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await wait(5);
    await world.settled();
    expect(await run.state).toBe("waiting");
    await world.advance(3_600_000);
    expect(await blocked(run)).toMatch(/setTimeout at .*turn-guard\.test\.ts:\d+/);
  });
});

describe.each(modes)("code that has left its turn (%s)", (mode) => {
  const server = createServer((_, response) => response.end("pong"));
  const ways: Record<string, { leave: () => Promise<unknown>; suspect: RegExp | null }> = {
    setTimeout: { leave: () => new Promise((resolve) => setTimeout(resolve, 0)), suspect: /setTimeout at .*turn-guard\.test\.ts:\d+/ },
    "timers/promises": { leave: () => wait(0), suspect: /setTimeout at .*turn-guard\.test\.ts:\d+/ },
    fetch: {
      leave: async () => (await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}/`)).text(),
      suspect: /fetch at .*turn-guard\.test\.ts:\d+/,
    },
    "fs.promises": { leave: () => readFile(new URL(import.meta.url)), suspect: /fs\.readFile at .*turn-guard\.test\.ts:\d+/ },
    "a tick": { leave: () => new Promise<void>((resolve) => process.nextTick(resolve)), suspect: null },
  };

  test.each(Object.keys(ways))("%s, then a durable call: outside_turn, with the line and what led there", async (name) => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { leave, suspect } = ways[name] as (typeof ways)[string];
    const errors: unknown[] = [];
    let lives = 0;
    const wf = workflow("leaves", async () => {
      lives++;
      const left = async (): Promise<void> => {
        await leave();
        try {
          await compensate();
        } catch (error) {
          errors.push(error);
          await compensate().catch(() => {});
          await sleep("1s").catch(() => {});
          throw error; // nobody awaits it
        } finally {
          createHook({ token: "never" });
        }
      };
      void left();
      return createHook({ token: "go" });
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    const message = await blocked(run);
    for (const part of [run.runId, "leaves", 'step "compensate"', here]) expect(message).toMatch(part);
    if (suspect) expect(message).toMatch(suspect);
    const [error] = errors;
    expect(RingbackError.is(error, "outside_turn") && error.details).toMatchObject({
      run: run.runId,
      workflow: "leaves",
      call: 'step "compensate"',
    });
    expect(await asked(world, run)).toEqual(["hook_created go"]);
    await retriedOnce(world, run, () => lives);
    expect((await world.engine.signal("go", "kept")).disposition).toBe("accepted");
    await world.settled();
    expect(await run.state).toBe("blocked");
    expect(compensations).toBe(0);
  });

  test.each(Object.keys(ways))("%s, and nothing durable is pending: nothing_pending", async (name) => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { leave, suspect } = ways[name] as (typeof ways)[string];
    let lives = 0;
    const wf = workflow("leaves", async () => {
      lives++;
      try {
        await leave();
        await sleep("1s");
      } catch {
        await compensate();
      }
      return "no end either";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    const message = await blocked(run);
    for (const part of [run.runId, "leaves", "waits for nothing durable"]) expect(message).toMatch(part);
    if (suspect) expect(message).toMatch(suspect);
    await retriedOnce(world, run, () => lives);
    expect(await asked(world, run)).toEqual([]);
    expect(compensations).toBe(0);
  });

  test("a DataLoader runs its batch in a tick of its own", async () => {
    const load = step("load", async (keys: readonly string[]) => keys.map((key) => key.toUpperCase()));
    const loader = new DataLoader<string, string>((keys) => load(keys));
    let lives = 0;
    const wf = workflow("loads", async (who: string) => {
      lives++;
      try {
        return await Promise.all([loader.load(who), createHook({ token: `go:${who}` })]);
      } finally {
        await compensate();
      }
    });
    const world = await createWorld([wf], { mode });
    const [a, b] = await Promise.all(["a", "b"].map((who) => world.engine.start(wf, [who])));
    for (const run of [a, b] as RunHandle[]) {
      const message = await blocked(run);
      for (const part of [run.runId, "loads", 'step "load"', here]) expect(message).toMatch(part);
    }
    expect(await asked(world, a as RunHandle)).toEqual(["hook_created go:a"]);
    expect(await asked(world, b as RunHandle)).toEqual(["hook_created go:b"]);
    await world.advance(1_000);
    for (const run of [a, b] as RunHandle[]) await blocked(run);
    await world.advance(60_000);
    expect(compensations).toBe(0);
    if (mode !== "evict") expect(lives).toBe(4);
  });

  test("what a shared promise rejected with does not fail the run that awaits it later", async () => {
    let broken: Promise<unknown> | undefined;
    const wf = workflow("breaks", async (who: string) => {
      if (who === "a") {
        broken = wait(0).then(() => sleep("1s"));
        return createHook({ token: "go" });
      }
      return broken;
    });
    const world = await createWorld([wf], { mode });
    const a = await world.engine.start(wf, ["a"]);
    await blocked(a);
    const b = await world.engine.start(wf, ["b"]);
    expect(await blocked(b)).toMatch(a.runId);
  });
});

test("where no run is around, a durable call says what to do", async () => {
  for (const call of [() => sleep("1s"), () => createHook(), () => race({ late: sleep("1s") })]) {
    expect(call).toThrow(expect.objectContaining({ code: "outside_turn", message: expect.stringMatching(/no run is around.*start\(\)/) }));
  }
  expect(uuid()).toMatch(/^[0-9a-f-]{36}$/);
  expect(await step("plain", async (n: number) => n + 1)(1)).toBe(2);
});

test("host code that a run's code wakes within its turn is not the run's", async () => {
  let wake: () => void = () => {};
  const errors: unknown[] = [];
  const host = new Promise<void>((resolve) => {
    wake = resolve;
  })
    .then(() => createHook())
    .catch((error) => errors.push(error));
  const wf = workflow("wakes", async () => {
    wake();
    await Promise.resolve();
    return "done";
  });
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  await host;
  expect(await run.returnValue).toBe("done");
  expect(errors).toEqual([expect.objectContaining({ code: "outside_turn", message: expect.stringContaining(run.runId) })]);
  expect(await asked(world, run)).toEqual([]);
});
