// A turn has its macrotask to itself: nothing of anybody else runs in it, and nothing of anybody else's context is seen in it (M1, M3).

// Before anything of the engine is loaded.
import { native } from "./child/native-tick.ts";
import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { readFile } from "node:fs";
import { setImmediate } from "node:timers";
import { describe, expect, test } from "vitest";
import { current } from "../src/core/turn.ts";
import { callingRun } from "../src/engine/realm.ts";
import { createHook, step, workflow } from "../src/index.ts";
import { createWorld, defaultMode, modes } from "./harness.ts";

const passes = 300;

/** Keeps every queue of the process busy with callbacks that look whose turn it is, until told to stop. */
function busy(): { stop: () => void; seen: Record<string, number>; caught: string[] } {
  const seen: Record<string, number> = {};
  const caught: string[] = [];
  let isOn = true;
  const look = (kind: string, again?: () => void): void => {
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (current || callingRun()) caught.push(kind);
    if (isOn) again?.();
  };
  const tick = (): void => process.nextTick(() => look("tick", () => setImmediate(tick)));
  const microtask = (): void => queueMicrotask(() => look("microtask", () => setImmediate(microtask)));
  const chain = (): void => void Promise.resolve().then(() => look("promise", () => setImmediate(chain)));
  const immediate = (): void => void setImmediate(() => look("immediate", immediate));
  const timer = (): void => void setTimeout(() => look("timer", timer), 0);
  const file = (): void => readFile(import.meta.filename ?? new URL(import.meta.url), () => look("file", file));
  const mixed = (): void => void setImmediate(() => process.nextTick(() => queueMicrotask(() => look("mixed", mixed))));
  for (const begin of [tick, microtask, chain, immediate, timer, file, mixed]) begin();
  return { stop: () => void (isOn = false), seen, caught };
}

describe.each(modes)("a turn (%s)", (mode) => {
  test("no tick, microtask, immediate, timer or I/O callback of others runs in it", async () => {
    const work = step("work", async (n: number) => n);
    const emitter = new EventEmitter();
    const outside: (string | null)[] = [];
    emitter.on("poke", () => {
      process.nextTick(() => outside.push(current?.identity.id ?? null));
    });
    const wf = workflow("turns", async () => {
      const hook = createHook<number>({ token: "go" });
      for (let n = 0; n < 3; n++) {
        await Promise.resolve();
        emitter.emit("poke");
        await work(await hook);
      }
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const others = busy();
    const run = await world.start(wf);
    for (let n = 0; n < 3; n++) {
      await world.engine.resumeHook("go", n);
      await world.settled();
    }
    expect(await run.returnValue).toBe("done");
    for (let i = 0; i < passes; i++) await new Promise((resolve) => setImmediate(resolve));
    others.stop();
    expect(others.caught).toEqual([]);
    for (const kind of ["tick", "microtask", "promise", "immediate", "timer", "file", "mixed"])
      expect(others.seen[kind]).toBeGreaterThan(0);
    expect(outside.length).toBeGreaterThanOrEqual(3);
    expect(outside.every((id) => id === null)).toBe(true);
  });

  test("ticks that its code queues run behind its end, in order, with their arguments, in their own context", async () => {
    const als = new AsyncLocalStorage<string>();
    const log: unknown[] = [];
    const wf = workflow("ticks", async () => {
      als.run("first", () =>
        process.nextTick((...args: unknown[]) => log.push([als.getStore(), callingRun()?.identity.workflow, current, ...args]), 1, 2),
      );
      await Promise.resolve();
      als.run("second", () => process.nextTick(() => log.push([als.getStore()])));
      queueMicrotask(() => process.nextTick(() => log.push("third")));
      await Promise.resolve().then(() => log.push("in the turn"));
      expect(() => process.nextTick("no function" as never)).toThrow(TypeError);
      return "done";
    });
    const world = await createWorld([wf], { mode });
    expect(await (await world.start(wf)).returnValue).toBe("done");
    expect(log).toEqual(["in the turn", ["first", "ticks", null, 1, 2], ["second"], "third"]);
  });

  test("no request's context is seen in it: not the starter's, not the deliverer's", async () => {
    const als = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const look = async (place: string): Promise<void> => void seen.push([place, als.getStore()]);
    const work = step("work", () => look("step"));
    const wf = workflow("contexts", async () => {
      const hook = createHook({ token: "go" });
      await look("begin");
      await hook.then(() => look("then"));
      await look("continuation");
      await work();
      await look("after a step");
      for await (const _ of hook) break;
      await look("after an iterator");
      await Promise.race([hook, hook]).finally(() => void look("finally"));
      await look("after a race");
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await als.run("starter", () => world.start(wf));
    for (let n = 0; n < 3; n++) {
      await als.run(`deliverer ${n}`, () => world.engine.resumeHook("go", n));
      await world.settled();
    }
    expect(await run.returnValue).toBe("done");
    const places = new Set(seen.map((each) => (each as [string])[0]));
    expect(places.size).toBe(8);
    for (const each of seen) expect(each).toEqual([expect.any(String), undefined]);
  });

  test("its own context is kept through waits, and given to nobody else", async () => {
    const als = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const work = step("work", async () => {
      als.enterWith("a step's");
      return als.getStore();
    });
    const wf = workflow("enters", async (who: string) => {
      seen.push(als.getStore());
      als.enterWith(who);
      const hook = createHook({ token: who });
      await hook;
      seen.push(als.getStore());
      await work();
      return als.getStore();
    });
    const world = await createWorld([wf], { mode });
    const a = await world.start(wf, "a");
    const b = await world.start(wf, "b");
    for (const who of ["a", "b"]) await world.engine.resumeHook(who, null);
    expect([await a.returnValue, await b.returnValue]).toEqual(["a", "b"]);
    const begins = seen.filter((each) => each === undefined).length;
    expect(seen.filter((each) => each === "a").length).toBeGreaterThan(0);
    expect(begins).toBe(seen.filter((each) => each !== "a" && each !== "b").length);
    expect(als.getStore()).toBe(undefined);
  });
});

test("turns hold ticks back under a wrapper of process.nextTick, and where Node's own is put back", async () => {
  const before = process.nextTick;
  const log: unknown[] = [];
  const wf = workflow("runner", async () => {
    process.nextTick(() => log.push(current));
    return "done";
  });
  const world = await createWorld([wf], { mode: defaultMode });
  process.nextTick = native;
  expect(process.nextTick).toBe(before);
  let spied = 0;
  process.nextTick = (callback: (...args: any[]) => void, ...args: any[]) => {
    spied++;
    before(callback, ...args);
  };
  try {
    expect(await (await world.start(wf)).returnValue).toBe("done");
  } finally {
    process.nextTick = before;
  }
  expect(log).toEqual([null]);
  expect(spied).toBeGreaterThan(0);
  process.nextTick(() => log.push("outside"));
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(log).toEqual([null, "outside"]);
  expect(process.nextTick).toBe(before);
});
