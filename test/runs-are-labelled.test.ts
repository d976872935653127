// A run has labels that people find it by: given at its start, changed by its code and its steps, in one order, whatever happens to it.

import { describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import { continueAsNew, createHook, setAttributes, step, workflow } from "../src/index.ts";
import { createWorld, modes } from "./harness.ts";

describe.each(modes)("%s", (mode) => {
  test("those of the start, of the code and of its steps, through replays and restarts", async () => {
    const pay = step("pay", async (amount: string) => setAttributes({ phase: "paid", amount }));
    const wf = workflow("order", async () => {
      await setAttributes({ phase: "new", note: "fragile" });
      const hook = createHook<string>({ token: "order" });
      await pay(await hook);
      await setAttributes({ note: undefined });
      return await hook;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, [], { attributes: { order: "42" } });
    await world.settled();
    expect(await run.attributes).toEqual({ order: "42", phase: "new", note: "fragile" });
    await world.restart();
    await world.engine.resumeHook("order", "990");
    await world.settled();
    const again = world.engine.getRun(run.runId);
    expect(await again.attributes).toEqual({ order: "42", phase: "paid", amount: "990" });
    await world.restart();
    await world.engine.resumeHook("order", "over");
    expect(await world.engine.getRun(run.runId).returnValue).toBe("over");
    const set = (await world.engine.getRun(run.runId).timeline).filter(({ event }) => event.endsWith("attributes_set"));
    expect(set.map(({ event, name = null, detail }) => [event, name, detail])).toEqual([
      ["attributes_set", null, "phase, note"],
      ["step_attributes_set", "pay", "phase, amount"],
      ["attributes_set", null, "note"],
    ]);
  });

  test("an attempt that failed has set what it set; chapters go on with them", async () => {
    let attempts = 0;
    const flaky = step("flaky", async () => {
      await setAttributes({ attempt: String(++attempts) });
      if (attempts === 1) throw new Error("again");
    });
    const wf = workflow("long", async (chapter: number): Promise<string> => {
      await setAttributes({ chapter: String(chapter), [`c${chapter}`]: "here" });
      if (chapter === 1) await flaky();
      return chapter < 3 ? continueAsNew([chapter + 1]) : "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, 1);
    await world.advance(10_000);
    expect(await run.returnValue).toBe("done");
    expect(await run.attributes).toEqual({ attempt: "2", chapter: "3", c1: "here", c2: "here", c3: "here" });
  });

  test("runs are found by them; what a run has begun, in its code or in a step, says where it comes from", async () => {
    const leaf = workflow("leaf", async () => "leaf");
    const begin = step("begin", async () => (await start(leaf, [], { id: "in a step", attributes: { made: "in a step" } })).runId);
    const parent = workflow("parent", async () => {
      const child = await start(leaf, [], { id: "in code", attributes: { made: "in code" } });
      return [child.runId, await begin()];
    });
    const root = workflow("root", async () => (await start(parent, [], { id: "parent" })).returnValue);
    const world = await createWorld([leaf, parent, root], { mode });
    const run = await world.engine.start(root, [], { id: "root", attributes: { customer: "7" } });
    expect(await run.returnValue).toEqual(["in code", "in a step"]);
    const below = (await world.engine.listRuns({ attributes: { $rootRunId: "root" } })).sort((a, b) => (a.runId < b.runId ? -1 : 1));
    expect(below.map(({ runId, attributes }) => [runId, attributes])).toEqual([
      ["in a step", { made: "in a step", $parentRunId: "parent", $rootRunId: "root" }],
      ["in code", { made: "in code", $parentRunId: "parent", $rootRunId: "root" }],
      ["parent", { $parentRunId: "root", $rootRunId: "root" }],
    ]);
    const ids = async (attributes: { [name: string]: string }, workflow?: string): Promise<string[]> =>
      (await world.engine.listRuns({ attributes, ...(workflow ? { workflow } : {}) })).map(({ runId }) => runId);
    expect(await ids({ customer: "7" })).toEqual(["root"]);
    expect(await ids({ made: "in code", $parentRunId: "parent" })).toEqual(["in code"]);
    expect(await ids({ $rootRunId: "root" }, "parent")).toEqual(["parent"]);
    expect(await ids({ customer: "8" })).toEqual([]);
  });

  test("what cannot be a label is refused, and stops nothing that is caught", async () => {
    const told = async (attributes: unknown, options?: object): Promise<unknown> =>
      setAttributes(attributes as never, options).then(
        () => "set",
        ({ code }: { code: string }) => code,
      );
    const wf = workflow("slips", async () => {
      const { token } = createHook();
      return [
        await told({ a: 1 }),
        await told("a"),
        await told({ "": "x" }),
        await told({ $mine: "x" }),
        await told({ $mine: "x" }, { allowReservedAttributes: true }),
        await told({ $rootRunId: "x" }, { allowReservedAttributes: true }),
        await told({ token }),
        await told({ nul: "\0" }),
        await told({}),
        await told({ gone: undefined }),
      ];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const bad = "bad_argument";
    expect(await run.returnValue).toEqual([bad, bad, bad, bad, "set", bad, bad, bad, "set", "set"]);
    expect(await run.attributes).toEqual({ $mine: "x" });
    await expect(world.engine.start(wf, [], { attributes: { $mine: "x" } })).rejects.toMatchObject({ code: bad });
    await expect(world.engine.listRuns({ attributes: { a: 1 } as never })).rejects.toMatchObject({ code: bad });
    await expect(setAttributes({ a: "b" })).rejects.toMatchObject({ code: "outside_turn" });
  });
});

test("changed labels set the run aside as any changed call does", async () => {
  let phase = "one";
  const wf = workflow("changed", async () => {
    await setAttributes({ phase });
    return await createHook({ token: "t" });
  });
  const world = await createWorld([wf], { mode: "evict" });
  const run = await world.start(wf);
  phase = "two";
  await world.engine.resumeHook("t", 1);
  await world.settled();
  expect(await run.blocked).toMatchObject({ reason: "changed_code" });
  expect(await run.attributes).toEqual({ phase: "one" });
});
