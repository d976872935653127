// A delivery that starts its run where there is none: both are there, or neither, and of callers at once one starts it.

import { describe, expect, test } from "vitest";
import { createHook, defineHook, sleep, step, workflow } from "../src/index.ts";
import { HookConflictError } from "../src/errors.ts";
import { createWorld, modes, type World } from "./harness.ts";

/** Takes `count` payloads by a token of its own id. */
const talk = workflow("talk", async (id: string, count: number) => {
  const messages = createHook<string>({ token: `talk:${id}` });
  const taken: string[] = [];
  while (taken.length < count) taken.push(await messages);
  return taken;
});
const other = workflow("other", async () => sleep("1d"));

interface With {
  readonly id?: string;
  readonly token?: string;
  readonly key?: string;
  readonly count?: number;
}

function say(world: World, payload: unknown, { id = "a", token = `talk:${id}`, count = 2, ...given }: With = {}) {
  return world.engine.signalWithStart(talk, [id, count], { id, token, payload, ...given });
}
const runsOf = async (world: World): Promise<string[]> => (await world.engine.listRuns()).map(({ runId }) => runId);

describe.each(modes)("%s", (mode) => {
  test("the run starts with what is delivered, and the next goes to that run, whatever its arguments", async () => {
    const world = await createWorld([talk, other], { mode });
    const first = await say(world, "hi", { key: "k1" });
    expect(first.receipt).toEqual({ id: expect.stringMatching(/^dlv_/), disposition: "buffered", keyed: true });
    await world.settled();
    expect((await say(world, "hi", { key: "k1" })).receipt).toEqual({ ...first.receipt, disposition: "duplicate" });
    expect((await world.engine.signal("talk:a", "hi", { key: "k1" })).disposition).toBe("duplicate");
    const second = await say(world, "again", { count: 7 });
    expect(second).toMatchObject({ run: { runId: "a" }, receipt: { disposition: "accepted", keyed: false } });
    expect(await second.run.returnValue).toEqual(["hi", "again"]);
    await world.settled();
    expect((await say(world, "late", { key: "k2" })).receipt).toMatchObject({ disposition: "closed", by: "ended" });
    expect((await say(world, "hi", { key: "k1" })).receipt.disposition).toBe("duplicate");
    expect(await runsOf(world)).toEqual(["a"]);
  });

  test("of calls at once one starts the run, and each payload is taken once", async () => {
    const world = await createWorld([talk], { mode });
    const said = await Promise.all(["1", "2", "3"].map((payload, count) => say(world, payload, { count: count + 3 })));
    expect(said.map(({ run }) => run.runId)).toEqual(["a", "a", "a"]);
    expect(said.map(({ receipt }) => receipt.disposition)).toContain("buffered");
    expect(new Set(said.map(({ receipt }) => receipt.id)).size).toBe(3);
    expect(await runsOf(world)).toEqual(["a"]);
    for (const payload of ["4", "5"]) await say(world, payload);
    const taken = (await world.engine.getRun("a").returnValue) as string[];
    expect([...taken].sort()).toEqual(["1", "2", "3", "4", "5"].slice(0, taken.length));
  });

  test("calls at once under one key are one delivery", async () => {
    const world = await createWorld([talk], { mode });
    const said = await Promise.all(["x", "x"].map((payload) => say(world, payload, { key: "k1" })));
    expect(said.map(({ receipt }) => receipt.disposition).sort()).toEqual(["buffered", "duplicate"]);
    expect(new Set(said.map(({ receipt }) => receipt.id)).size).toBe(1);
    await say(world, "y");
    expect(await world.engine.getRun("a").returnValue).toEqual(["x", "y"]);
  });

  test("what comes while the run is on its way to its hook is kept for it, also over a restart and past an hour", async () => {
    let arrive = (): void => {};
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const prepare = step("prepare", () => arrived);
    const slow = workflow("slow", async () => {
      await prepare();
      const messages = createHook<string>({ token: "slow" });
      return [await messages, await messages];
    });
    const world = await createWorld([slow], { mode });
    const signal = (payload: string) => world.engine.signalWithStart(slow, [], { id: "s", token: "slow", payload });
    expect((await signal("1")).receipt.disposition).toBe("buffered");
    expect((await signal("2")).receipt.disposition).toBe("buffered");
    await world.restart({}, false);
    world.clock.advance(2 * 3_600_000);
    arrive();
    expect(await world.engine.getRun("s").returnValue).toEqual(["1", "2"]);
  });

  test("the hook's schema judges the first one when it opens, and the next at the door", async () => {
    const validate = (value: unknown) => (typeof value === "number" ? { value } : { issues: [{ message: "no number" }] });
    const numbers = defineHook<unknown, number>({ schema: { "~standard": { version: 1, vendor: "test", validate } } });
    const sum = workflow("sum", async () => {
      const hook = numbers.create({ token: "n" });
      return (await hook) + (await hook);
    });
    const world = await createWorld([sum], { mode });
    const add = (payload: unknown) => world.engine.signalWithStart(sum, [], { id: "sum", token: "n", payload });
    expect((await add("one")).receipt.disposition).toBe("buffered");
    await world.settled();
    expect((await world.engine.listRefused()).map(({ reason }) => reason)).toEqual(["invalid"]);
    expect((await add("two")).receipt).toMatchObject({ disposition: "invalid", issues: [{ message: "no number" }] });
    for (const payload of [1, 2]) expect((await add(payload)).receipt.disposition).toBe("accepted");
    expect(await world.engine.getRun("sum").returnValue).toBe(3);
  });

  test("an id of another workflow's run is a conflict; a token of another run starts nothing and goes nowhere", async () => {
    const world = await createWorld([talk, other], { mode });
    await world.engine.start(other, [], { id: "b" });
    await expect(say(world, "hi", { id: "b" })).rejects.toMatchObject({ code: "run_conflict", details: { run: "b" } });
    await say(world, "one", { count: 3 });
    await world.settled();
    const lost = await say(world, "hi", { id: "c", token: "talk:a" }).catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(HookConflictError);
    expect(lost).toMatchObject({ details: { token: "talk:a", holder: "a" } });
    expect(await runsOf(world)).toEqual(["a", "b"]);
    await say(world, "own", { id: "d" });
    await world.settled();
    await expect(say(world, "hi", { id: "d", token: "talk:a" })).rejects.toMatchObject({ code: "hook_conflict", details: { holder: "a" } });
    expect((await say(world, "hi", { id: "d", token: "talk:nobody" })).receipt.disposition).toBe("unknown");
    for (const payload of ["two", "three"]) await say(world, payload);
    expect(await world.engine.getRun("a").returnValue).toEqual(["one", "two", "three"]);
  });

  test("a repeat of what an ended run took begins nothing, also once that run is removed", async () => {
    const world = await createWorld([talk], { mode });
    const { run, receipt } = await say(world, "hi", { count: 1, key: "k1" });
    await run.returnValue;
    await world.settled();
    await run.delete();
    const repeat = await say(world, "hi", { key: "k1" });
    expect(repeat.receipt).toEqual({ ...receipt, disposition: "duplicate" });
    expect(await repeat.run.exists).toBe(false);
    expect((await say(world, "new", { count: 1, key: "k2" })).receipt.disposition).toBe("buffered");
    expect(await run.returnValue).toEqual(["new"]);
  });

  test("what was kept early under the key is what the run begins with", async () => {
    const world = await createWorld([talk], { mode });
    const early = await world.engine.signal("talk:a", "hi", { key: "k1", early: true });
    const { run, receipt } = await say(world, "hi", { key: "k1", count: 1 });
    expect(receipt).toEqual({ ...early, disposition: "duplicate" });
    expect(await run.returnValue).toEqual(["hi"]);
  });

  test("where there is no room for the payload there is no run", async () => {
    const world = await createWorld([talk], { mode });
    for (let n = 0; n < 32; n++) await world.engine.signal("talk:a", "early", { early: true });
    await expect(say(world, "hi")).rejects.toMatchObject({ code: "early_full" });
    expect(await runsOf(world)).toEqual([]);
  });

  test("a step may call it, and the run says whose step began it; workflow code may not", async () => {
    const tell = step("tell", async () => {
      const { run, receipt } = await world.engine.signalWithStart(talk, ["t", 1], {
        id: "t",
        token: "talk:t",
        payload: "hi",
        attributes: { from: "step" },
      });
      return [run.runId, receipt.disposition];
    });
    const asks = workflow("asks", async () => {
      const refused = await say(world, "hi").catch((error: { code: string }) => error.code);
      return [refused, ...(await tell())];
    });
    const world = await createWorld([talk, asks], { mode });
    const run = await world.start(asks);
    await world.settled();
    expect(await run.returnValue).toEqual(["forbidden_in_workflow", "t", "buffered"]);
    expect(await world.engine.getRun("t").attributes).toMatchObject({ from: "step", $parentRunId: run.runId });
    expect(await world.engine.getRun("t").returnValue).toEqual(["hi"]);
  });
});

test("observers are told of the run and of the delivery, once each", async () => {
  const world = await createWorld([talk]);
  const told: string[] = [];
  world.engine.on("run_started", ({ runId }) => void told.push(runId));
  world.engine.on("delivery", ({ door, receipt }) => void told.push(`${door} ${receipt.disposition}`));
  await say(world, "1", { key: "k1" });
  await world.settled();
  await say(world, "1", { key: "k1" });
  await say(world, "2");
  await world.settled();
  expect(told).toEqual(["a", "signal buffered", "signal duplicate", "signal accepted"]);
});

test("a slip is told at the call, and nothing is started", async () => {
  const world = await createWorld([talk]);
  const told = (options: object, args: unknown = ["a", 1]): Promise<unknown> =>
    world.engine.signalWithStart(talk, args as never, options as never).then(String, ({ code }) => code);
  expect(await told({ token: "t", payload: 1 })).toBe("bad_argument");
  expect(await told({ id: "a", payload: 1 })).toBe("bad_argument");
  expect(await told({ id: "a", token: "wh:k1:x", payload: 1 })).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: 1, key: "" })).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: 1, key: 1 })).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: 1, early: true })).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: 1, attributes: { $x: "1" } })).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: 1 }, "a")).toBe("bad_argument");
  expect(await told({ id: "a", token: "t", payload: () => {} })).toBe("unserialisable");
  expect(await runsOf(world)).toEqual([]);
});
