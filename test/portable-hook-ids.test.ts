// The ids of portable workflows' hooks on an engine: which there may be, that no two are taken for one, and that one takes one payload.

import { expect, test } from "vitest";
import { createWorkflow, ok, pendingHook, type Result, type Step } from "../src/portable.ts";
import { createWorld } from "./harness.ts";

/** A workflow whose steps may fail with anything. */
const anything = (name: string) => createWorkflow<{ readonly any: () => Result<never, any> }>(name);

test("a callback for no id is not kept where nobody finds it", async () => {
  const { engine } = await createWorld([]);
  const request = new Request("https://shop.example/", { method: "POST", body: "1" });
  await expect(engine.callback(undefined as never, request)).rejects.toThrow("known by its id, a string, got undefined");
});

test("hooks of steps whose ids look like one another's places are told apart", async () => {
  const world = await createWorld([]);
  const wait = (step: Step, id: string, hookId: string) => step(id, async () => pendingHook(hookId), { key: `hook:${hookId}` });
  const run = await world.engine.run(anything("places"), ({ step }) =>
    Promise.all([wait(step, "w", "p-1"), wait(step, "w", "p-2"), wait(step, "w#2", "p-3")]),
  );
  await world.settled();
  for (const place of [1, 2, 3]) await world.engine.resumeHook(`hook:p-${place}`, place);
  expect(await run.result()).toEqual(ok([1, 2, 3]));
});

test("a hook id that can be no token fails its step, in words", async () => {
  const world = await createWorld([]);
  const workflow = anything("odd-ids");
  const body = ({ step, ctx }: { step: Step; ctx: { input: string } }) => step("wait", async () => pendingHook(ctx.input));
  for (const [input, words] of [
    ["a\0b", "holds a NUL or half a character"],
    ["\ud800", "holds a NUL or half a character"],
    ["h".repeat(256), "has 261 bytes, and the limit is 255"],
  ] as const) {
    const run = await world.engine.run(workflow, body as never, { input: input as never });
    await world.settled();
    expect(await run.run.state).toBe("failed");
    expect(await run.result()).toMatchObject({ ok: false, error: { _tag: "UnexpectedError", message: expect.stringContaining(words) } });
  }
});

test("the first payload settles a wait, and closes its hook while the run goes on", async () => {
  const world = await createWorld([]);
  const run = await world.engine.run(anything("once"), ({ step }) =>
    Promise.all([
      step("one", async () => pendingHook("o-1")),
      step("two", async () => pendingHook("o-2")),
      step("again", async () => pendingHook("o-1")),
    ]),
  );
  await world.settled();
  await world.engine.resumeHook("hook:o-1", 1);
  await world.settled();
  expect((await world.engine.signal("hook:o-1", "late")).disposition).toBe("closed");
  await world.engine.resumeHook("hook:o-2", 2);
  expect(await run.result()).toEqual(ok([1, 2, 1]));
});
