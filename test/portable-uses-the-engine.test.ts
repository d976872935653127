// What a portable workflow has of the engine that runs it: hook ids that are one run's, streams, and what counts of its own options.

import { expect, test } from "vitest";
import { getWritable } from "../src/index.ts";
import { createWorkflow, ok, pendingHook, type Result, type Step } from "../src/portable.ts";
import { createWorld } from "./harness.ts";

/** A workflow whose steps may fail with anything. */
const anything = (name: string) => createWorkflow<{ readonly any: () => Result<never, any> }>(name);

test("a hook id is waited for by one run: the wait of a second one fails, and says whose it is", async () => {
  const world = await createWorld([]);
  const body = ({ step }: { step: Step }) => step("wait", async () => pendingHook<string>("same"));
  const first = await world.engine.run(anything("first"), body, { id: "f-1" });
  await world.settled();
  const second = await (await world.engine.run(anything("second"), ({ step }) => body({ step }))).result();
  expect(second).toMatchObject({ ok: false, error: { _tag: "UnexpectedError", cause: { name: "HookConflictError" } } });
  expect((second as { error: Error }).error.message).toContain("f-1");
  await world.engine.resumeHook("hook:same", "payload");
  expect(await first.result()).toEqual(ok("payload"));
});

test("a step writes to the run's stream, which is there after a restart", async () => {
  const world = await createWorld([]);
  const write = (text: string) => async () => {
    const writer = getWritable<string>().getWriter();
    await writer.write(text);
    writer.releaseLock();
    return ok();
  };
  const workflow = anything("streams");
  const body = async ({ step }: { step: Step }) => {
    await step("before", write("before"));
    await step("wait", async () => pendingHook("s-1"));
    await step("after", write("after"));
  };
  const { runId } = await world.engine.run(workflow, body);
  await world.settled();
  await world.restart();
  world.engine.register(workflow, body);
  await world.engine.resumeHook("hook:s-1", null);
  await world.settled();
  const reader = world.engine.getRun(runId).getReadable<string>().getReader();
  expect([(await reader.read()).value, (await reader.read()).value]).toEqual(["before", "after"]);
});

test("of the workflow's options what it calls and what exceptions become count; input is given to the run", async () => {
  const world = await createWorld([]);
  const told: unknown[] = [];
  const tell = (what: unknown): void => void told.push(what);
  const options = { input: 1, onEvent: tell, checkpoint: tell, catchUnexpected: () => "CAUGHT" as const };
  const workflow = createWorkflow("options", { value: async () => ok(1) }, { ...options, deps: { value: async () => ok(2) } });
  const run = await world.engine.run(workflow, async ({ step, deps, ctx }) => {
    throw new Error(`${await step("value", () => deps.value())} ${String(ctx.input)}`);
  });
  expect(await run.result()).toMatchObject({ error: "CAUGHT", cause: { message: "2 undefined" } });
  expect(told).toEqual([]);
});
