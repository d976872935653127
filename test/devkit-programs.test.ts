// Programs written for Workflow DevKit do here what they say there.

import { describe, expect, test } from "vitest";
import { approval, collects, decide, forward, look, route, untyped, webhooks } from "./devkit/program.ts";
import { asDefault } from "./default-engine.ts";
import { createWorld, modes } from "./harness.ts";

describe.each(modes)("%s", (mode) => {
  test("a decision, a late one, and one that is asked for twice", async () => {
    const world = await asDefault(await createWorld([approval], { mode }));
    const first = await world.start(approval, "d1");
    expect(await (await world.start(approval, "d1")).returnValue).toEqual({ status: "duplicate", by: first.runId });
    expect(await decide("approval:d1", { approved: true, by: "ana" })).toBeNull(); // decided, but nobody collects
    expect(await first.returnValue).toEqual({ status: "published", by: "ana" });
    const late = await world.start(approval, "d1");
    expect(await look(late.runId)).toMatchObject({ status: "running", name: await late.workflowName, stoppedCount: 0, isRun: true });
    await expect(late.returnValue).rejects.toMatchObject({ code: "run_cancelled" });
    const over = await world.start(approval, "d2");
    await world.advance(7 * 86_400_000);
    await expect(over.returnValue).rejects.toMatchObject({ cause: { message: "Nobody decided." } });
  });

  test("events until one says stop; a hook without a type", async () => {
    const world = await createWorld([collects, untyped], { mode });
    const run = await world.start(collects, "c");
    for (const type of ["more", "more", "stop"]) await world.engine.resumeHook("channel:c", { type });
    expect(await run.returnValue).toEqual(["more", "more", "stop"]);
    const added = await world.start(untyped);
    const [hook] = await world.engine.listHooks({ runId: added.runId, withTokens: true });
    await world.engine.resumeHook({ token: hook?.token as string }, { a: 1, b: 2 });
    expect(await added.returnValue).toBe(3);
  });
});

test("those that want a server compile", () => {
  for (const program of [webhooks, route, forward]) expect(program).toBeTypeOf("function");
});
