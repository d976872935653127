// Children, and what a run does with several things at once; what it tells of itself; how it goes on as new.

import { describe, expect, test } from "vitest";
import { defineWorkflow, Workflow, type WorkflowCtx } from "../src/runtime/context.ts";
import { limits } from "../src/core/limits.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

@Workflow({ name: "double" })
class Double {
  async run(ctx: WorkflowCtx, n: number): Promise<number> {
    if (n < 0) throw new RangeError(`${n} is negative`);
    return ctx.step("double", () => n * 2);
  }
}
const half = defineWorkflow({ name: "half" }, (ctx, n: number) => ctx.step("half", () => n / 2));
const idle = defineWorkflow({ name: "idle" }, (ctx) => ctx.waitForSignal<string>(`idle:${ctx.runId}`));
const greet = (version: string) => defineWorkflow({ name: "greet", version }, (_ctx, name: string) => `${name} ${version}`);

async function outcome(body: (ctx: WorkflowCtx) => unknown): Promise<{ world: ContextWorld; outcome: unknown }> {
  const parent = defineWorkflow({ name: "parent" }, body);
  const world = await createContextWorld({ workflows: [parent, Double, half, idle, greet("1"), greet("2")] });
  const run = await world.engine.start(parent, undefined, "p");
  await world.settled();
  return { world, outcome: await run.returnValue.catch((error: { cause: unknown }) => error.cause) };
}

describe("a child", () => {
  test("is a class, a function or a name; its id is given, or is its parent's and its place", async () => {
    const { world, outcome: got } = await outcome(async (ctx) => [
      await ctx.child(Double, 2),
      await ctx.child(half, 2, "own"),
      await ctx.child<number>("double", 3, { childId: "labelled", attributes: { kind: "x" } }),
      await ctx.startChild(Double, 4),
    ]);
    expect(got).toEqual([4, 1, 6, expect.stringMatching(/^p\.\d+$/)]);
    expect(await world.engine.getRun("own").returnValue).toBe(1);
    expect((await world.engine.listRuns({ attributes: { kind: "x" } })).map(({ runId }) => runId)).toEqual(["labelled"]);
  });

  test("begins with the version that is asked for, else the reference's, else the newest", async () => {
    const { outcome: got } = await outcome((ctx) =>
      ctx.all([ctx.child("greet", "a", { version: "1" }), ctx.child(greet("1"), "b"), ctx.child("greet", "c")]),
    );
    expect(got).toEqual(["a 1", "b 1", "c 2"]);
  });

  test("that fails rejects with what it threw as cause", async () => {
    const { outcome: got } = await outcome((ctx) => ctx.child(Double, -1, "bad").catch((error: Error) => error));
    expect(got).toMatchObject({
      code: "run_failed",
      message: expect.stringContaining("bad"),
      cause: { name: "RangeError", message: "-1 is negative" },
    });
  });

  test("goes on where its parent is cancelled, and survives a crash of both", async () => {
    const parent = defineWorkflow({ name: "parent" }, (ctx) => ctx.child(idle, undefined, "c"));
    const world = await createContextWorld({ workflows: [parent, idle] });
    for (const id of ["p", "q"]) {
      await world.engine.start(parent, undefined, id).catch(() => {});
      await world.settled();
    }
    await world.engine.cancel("p");
    await world.settled();
    await world.restart();
    await world.engine.signal("idle:c", "on");
    await world.settled();
    expect(await world.engine.getRun("c").returnValue).toBe("on");
    expect(await world.engine.getRun("p").status).toBe("cancelled");
    expect(await world.engine.getRun("q").returnValue).toBe("on");
  });

  test("whose workflow nobody has registered sets its parent aside until it comes", async () => {
    const parent = defineWorkflow({ name: "parent" }, (ctx) => ctx.child<number>("double", 4));
    const world = await createContextWorld({ workflows: [parent] });
    const run = await world.engine.start(parent);
    await world.settled();
    await world.advance(2_000);
    expect(await run.blocked).toMatchObject({ message: expect.stringMatching(/Workflow "double" is not registered/) });
    const double = new Double();
    for (let each = 0; each < world.engines.length; each++) world.engine.register(double);
    await world.advance(25);
    expect(await run.returnValue).toBe(8);
  });

  test.each<[string, (ctx: WorkflowCtx) => unknown, RegExp]>([
    ["no workflow", (ctx) => ctx.child(5 as never), /ctx\.child\(\) takes a class with @Workflow.*got number/],
    ["a class that is none", (ctx) => ctx.child(Map as never, 1), /Map, which has no @Workflow\(\)/],
    ["another option", (ctx) => ctx.child(Double, 1, { id: "x" } as never), /ctx\.child\(\) has no option "id"/],
    ["no options", (ctx) => ctx.startChild(Double, 1, null as never), /ctx\.startChild\(\) takes its options as an object, got null/],
    ["an empty id", (ctx) => ctx.child(Double, 1, ""), /id/],
    ["an id beyond the limit", (ctx) => ctx.child(Double, 1, "i".repeat(limits.nameBytes + 1)), /255/],
    [
      "an attribute of the engine's",
      (ctx) => ctx.child(Double, 1, { attributes: { $root: "x" } }),
      /ctx\.child\(\{ attributes \}\): names that begin with "\$"/,
    ],
    ["an attribute that is no text", (ctx) => ctx.child(Double, 1, { attributes: { n: 1 as never } }), /takes text.*got number/],
    ["an input that cannot be stored", (ctx) => ctx.child("double", () => 1), /arguments of workflow double/],
    [
      "all without a list",
      (ctx) => ctx.all(Double as never),
      /ctx\.all\(\) takes promises, or a workflow and an array of inputs, got function/,
    ],
    ["all of no list", (ctx) => ctx.all(Double, 5 as never), /ctx\.all\(\) takes a workflow and an array of inputs, got number/],
    ["another mode", (ctx) => ctx.all(Double, [1], { mode: "some" as never }), /"waitAll" or "failFast", got "some"/],
    ["a race of nothing", (ctx) => ctx.race(null as never), /ctx\.race\(\) takes an object of sides, or an array of promises, got null/],
    ["a race without sides", (ctx) => ctx.race({}), /no sides/],
    ["an event without a key", (ctx) => ctx.setEvent("", 1), /key of 1 to 255 bytes/],
    ["a patch without a name", (ctx) => ctx.patched(""), /name/],
  ])("%s is refused", async (_, body, message) => {
    const { outcome: got } = await outcome(async (ctx) => await body(ctx));
    expect(got).toMatchObject({ message: expect.stringMatching(message) });
  });
});

describe("several children", () => {
  test("give what they return, in the order of their inputs; none give none", async () => {
    const { outcome: got } = await outcome((ctx) =>
      ctx.all([ctx.all(Double, [3, 1, 2]), ctx.all<number>("half", [4]), ctx.all(Double, []), ctx.all([])]),
    );
    expect(got).toEqual([[6, 2, 4], [2], [], []]);
  });

  test("are waited for all where one fails, and then all failures are told; or the first failure at once", async () => {
    const { outcome: got } = await outcome(async (ctx) => [
      await ctx
        .all(Double, [1, -2, -3])
        .catch((error: AggregateError) => [error.message, error.errors.length, (error.errors[1] as Error).cause]),
      await ctx.all(Double, [1, -2], { mode: "failFast" }).catch((error: Error) => error.message),
    ]);
    expect(got).toEqual([
      ["2 of 3 children did not complete.", 2, expect.objectContaining({ message: "-3 is negative" })],
      expect.stringMatching(/-2 is negative/),
    ]);
  });

  test("a run may fail with all their failures", async () => {
    const { outcome: got } = await outcome((ctx) => ctx.all(Double, [-1, -2]));
    expect(got).toMatchObject({ name: "AggregateError", errors: [{ code: "run_failed" }, { code: "run_failed" }] });
  });
});

describe("a race", () => {
  test("says which side was first, in both forms, and loses no payload", async () => {
    const racing = defineWorkflow({ name: "racing" }, async (ctx) => {
      const first = await ctx.race({ signal: ctx.waitForSignal("a"), late: ctx.sleep("1h") });
      const second = await ctx.race([ctx.waitForSignal("a"), ctx.sleep("2h").then(() => "slept")]);
      const third = await ctx.race({ signal: ctx.waitForSignal("a"), child: ctx.child(idle, undefined, "c") });
      return [first, second, third];
    });
    const world = await createContextWorld({ workflows: [racing, idle] });
    const { runId } = await world.engine.start(racing);
    await world.settled();
    await world.advance(3_600_000);
    await world.engine.signal("a", 1);
    await world.settled();
    await world.restart();
    await world.engine.signal("a", 2);
    await world.settled();
    expect(await world.engine.getRun(runId).returnValue).toEqual([{ key: "late", value: undefined }, 1, { key: "signal", value: 2 }]);
  });
});

test("events, attributes and patches are those of the run, from chapter to chapter", async () => {
  const telling = defineWorkflow({ name: "telling" }, async (ctx, chapter: number | undefined = 1) => {
    await ctx.setEvent("status", { chapter });
    await ctx.setAttributes({ phase: `chapter-${chapter}` });
    await ctx.waitForSignal(`go:${chapter}`);
    return chapter < 3 ? ctx.continueAsNew(chapter + 1) : ctx.patched("new");
  });
  const world = await createContextWorld({ workflows: [telling] });
  await world.engine.start(telling, 1, "t");
  await world.settled();
  for (const chapter of [1, 2, 3]) {
    expect(await world.engine.getEvent("t", "status")).toEqual({ chapter });
    expect((await world.engine.listRuns({ attributes: { phase: `chapter-${chapter}` } })).length).toBe(1);
    if (chapter === 2) await world.restart();
    await world.engine.signal(`go:${chapter}`, null);
    await world.settled();
  }
  expect(await world.engine.getRun("t").returnValue).toBe(true);
  expect(await world.engine.getEvent("t", "nothing")).toBeUndefined();
  await expect(world.engine.getEvent("nobody", "status")).rejects.toMatchObject({ code: "run_not_found" });
});

test("a run that is started again under its id is the one that exists; of another input it is a conflict", async () => {
  const world = await createContextWorld({ workflows: [Double, half] });
  const { engine } = world;
  const first = await engine.start(Double, 2, "d");
  expect((await engine.start("double", 2, "d")).runId).toBe(first.runId);
  await expect(engine.start(Double, 3, "d")).rejects.toMatchObject({ code: "run_conflict" });
  await expect(engine.start(Double, 2, "e", { attribute: {} } as never)).rejects.toThrow(
    /no option "attribute"\. Did you mean "attributes"/,
  );
  await expect(engine.start(Double, 2, undefined, { version: "9" })).rejects.toThrow(/Workflow "double", version "9", is not registered/);
});

test("a signal that starts its run takes the workflow by its name, too", async () => {
  const world = await createContextWorld({ workflows: [idle] });
  const { run, receipt } = await world.engine.signalWithStart("idle", undefined, "i", { token: "idle:i", payload: "hello" });
  expect(receipt.disposition).toBe("buffered");
  await world.settled();
  expect(await run.returnValue).toBe("hello");
});
