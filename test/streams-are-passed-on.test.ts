// Streams as values: given to a run, returned by a step, passed from step to step and back to the host, by reference, whole, from the start.

import { describe, expect, test } from "vitest";
import { getRun, start } from "../src/api.ts";
import { createHook, getStepMetadata, getWritable, step, workflow } from "../src/index.ts";
import { createWorld, modes, type World } from "./harness.ts";
import { all, gate, write } from "./stream-reading.ts";

const makes = step("makes", async (count: number) => ReadableStream.from(Array.from({ length: count }, (_, n) => n)));
const reads = step("reads", async (stream: ReadableStream<unknown>) => all(stream));

describe.each(modes)("%s", (mode) => {
  const open = (...workflows: Parameters<typeof createWorld>[0]): Promise<World> => createWorld(workflows, { mode });

  test("a stream that a step returns is read by others, each from the start, before and after a restart", async () => {
    const passes = workflow("passes", async () => {
      const { stream } = await step.run("in a value", async () => ({ stream: await makes(3) }));
      const [first, second] = await Promise.all([reads(stream), reads(stream)]);
      await createHook({ token: "later" });
      return [first, second, await reads(stream), stream instanceof ReadableStream];
    });
    const world = await open(passes);
    const run = await world.start(passes);
    await world.restart();
    await world.engine.resumeHook("later", null);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([[0, 1, 2], [0, 1, 2], [0, 1, 2], true]);
  });

  test("a stream among the arguments is kept with the run's start, and the host gets one back", async () => {
    const echoes = workflow("echoes", async (given: { body: ReadableStream<string> }) => ({
      read: await reads(given.body),
      back: given.body,
    }));
    const world = await open(echoes);
    const run = await world.start(echoes, { body: ReadableStream.from(["a", "b"]) });
    const { read, back } = await run.returnValue;
    expect([read, await all(back)]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
    const again = await run.returnValue; // each value is a new one
    expect(await all(again.back)).toEqual(["a", "b"]);
  });

  test("a step that is tried again reads its stream from the start, and what its failed attempt returned is nobody's", async () => {
    const breaks = step("breaks", async () => {
      const { attempt } = getStepMetadata();
      return new ReadableStream<string>({
        async pull(controller) {
          controller.enqueue(`attempt ${attempt}`);
          if (attempt === 1) throw new Error("broken off");
          controller.close();
        },
      });
    });
    const counts = step("counts", async (stream: ReadableStream<string>) => {
      const read = await all(stream);
      if (getStepMetadata().attempt === 1) throw new Error("once more");
      return read;
    });
    const retries = workflow("retries a stream", async () => counts(await breaks()));
    const world = await open(retries);
    const run = await world.start(retries);
    await world.advance(60_000);
    await world.advance(60_000);
    expect(await run.returnValue).toEqual(["attempt 2"]);
  });
});

describe("a stream", () => {
  test("of a run is passed on as what it is: to a child, from any index, taken by an inline step", async () => {
    const child = workflow("child reads", async (stream: ReadableStream<unknown>) => reads(stream));
    const parent = workflow("parent", async () => {
      await write([1, 2, 3]);
      const own = getRun("parent-1").getReadable({ startIndex: 1 });
      await step.run("close", () => getWritable().close());
      const run = await start(child, [own], { id: "child-1" });
      const inline = await step.run("inline", async () => all(own));
      const twice = await step.run("twice", async () => all(own));
      return [await run.returnValue, inline, twice];
    });
    const world = await createWorld([parent, child]);
    const run = await world.engine.start(parent, [], { id: "parent-1" });
    expect(await run.returnValue).toEqual([
      [2, 3],
      [2, 3],
      [2, 3],
    ]);
    await run.delete();
    expect(await run.exists).toBe(false);
  });

  test("keeps its run while another that has it is open", async () => {
    const owner = workflow("owner", async () => makes(2));
    const user = workflow("user", async (id: string) => {
      const stream = await step.run("result", async () => getRun<ReadableStream<number>>(id).returnValue);
      await createHook({ token: "use" });
      return reads(stream);
    });
    const world = await createWorld([owner, user]);
    const made = await world.start(owner);
    const run = await world.start(user, made.runId);
    await expect(made.delete()).rejects.toMatchObject({ code: "run_open", message: expect.stringContaining(run.runId) as string });
    await world.engine.resumeHook("use", null);
    expect(await run.returnValue).toEqual([0, 1]);
    await made.delete();
    expect(await made.exists).toBe(false);
  });

  test("that is still coming holds its step, within its timeout; who made it is told to stop", async () => {
    let stopped: unknown = null;
    const endless = step(
      "endless",
      async () =>
        new ReadableStream<number>({
          pull(controller) {
            controller.enqueue(1);
          },
          cancel: (reason) => {
            stopped = reason;
            gate("stopped").open();
          },
        }),
      { timeout: 1_000, maxRetries: 0 },
    );
    const runs = workflow("runs endless", async () => endless().then(String, (error: { code: string }) => error.code));
    const world = await createWorld([runs]);
    const run = await world.engine.start(runs);
    const journal = async (): Promise<string | undefined> => (await world.journal(run)).at(-1)?.kind;
    while ((await journal()) !== "step_scheduled") await new Promise(setImmediate);
    for (let n = 0; n < 20; n++) await new Promise(setImmediate);
    world.clock.advance(1_000);
    expect(await run.returnValue).toBe("step_timeout");
    await gate("stopped").opened;
    expect(stopped).toMatchObject({ code: "step_timeout" });
  });

  test("that cannot be kept is told at the call, with the path to it, and starts nothing", async () => {
    const makesOne = workflow("makes one", async () => {
      const made = ReadableStream.from([1]);
      const told = (call: () => Promise<unknown>): Promise<unknown> =>
        (async () => call())().catch((error: { code: string; details: unknown }) => [error.code, error.details]);
      return [await told(() => reads(made)), await told(() => start(takes, [made]))];
    });
    const takes = workflow("takes", async (given: unknown) => given);
    const locked = step("locked", async () => {
      const stream = ReadableStream.from([1]);
      stream.getReader();
      return { stream };
    });
    const sinks = step("sinks", async () => new WritableStream());
    const returns = workflow("returns", async (which: number) =>
      which === 1 ? locked() : which === 2 ? sinks() : ReadableStream.from([1]),
    );
    const world = await createWorld([makesOne, takes, returns]);
    const notInHand = (path: string): unknown => ["body_not_in_hand", { path }];
    expect(await (await world.start(makesOne)).returnValue).toEqual([notInHand("$[0]"), notInHand("$[0]")]);
    const causes = await Promise.all(
      [1, 2, 3].map(async (which) => (await world.start(returns, which)).returnValue.catch((e: Error) => e.cause)),
    );
    expect(causes).toMatchObject([
      { code: "unserialisable", details: { path: "$.stream" } },
      { code: "unserialisable", details: { path: "$", type: "WritableStream" } },
      { code: "body_not_in_hand", details: { path: "$" } },
    ]);
    const broken = new ReadableStream({
      pull: () => {
        throw new Error("no body");
      },
    });
    await expect(world.engine.start(takes, [broken], { id: "broken" })).rejects.toThrow("no body");
    expect(await world.engine.getRun("broken").exists).toBe(false);
    const hook = workflow("hook", async () => createHook({ token: "t" }));
    await world.restart({ workflows: [hook] });
    const run = await world.start(hook);
    await expect(world.engine.resumeHook("t", { body: ReadableStream.from([1]) })).rejects.toMatchObject({
      code: "body_not_in_hand",
      details: { path: "$.body" },
    });
    expect(await run.state).toBe("waiting");
  });

  test("in the same place makes the same start: its run is the one that is there", async () => {
    const takes = workflow("takes it", async (stream: ReadableStream<unknown>) => reads(stream));
    const world = await createWorld([takes]);
    const first = await world.engine.start(takes, [ReadableStream.from(["first"])], { id: "same" });
    const second = await world.engine.start(takes, [ReadableStream.from(["second"])], { id: "same" });
    expect([await first.returnValue, await second.returnValue]).toEqual([["first"], ["first"]]);
    await expect(world.engine.start(takes, [[] as never], { id: "same" })).rejects.toMatchObject({ code: "run_conflict" });
  });
});
