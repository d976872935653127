// A function with a directive may have any shape a function has. Each is compiled, run, and run again from its journal.

import { describe, expect, test } from "vitest";
import { load } from "./directive/module.ts";
import { shapes } from "./directive/shape.ts";
import { createWorld } from "./harness.ts";

type Workflow = (...args: unknown[]) => Promise<unknown>;

describe.each(["hot", "evict"] as const)("%s", (mode) => {
  test.each(shapes)("$what", async ({ files, start = "main", args = [], result, steps, workflow = "app//main" }) => {
    const { [start]: main } = await load<{ [name: string]: Workflow }>(files);
    const world = await createWorld([main as Workflow], { mode });
    const run = await world.start(main as Workflow, ...args);
    await world.settled();
    expect(await run.state).toBe("completed");
    expect(await run.returnValue).toEqual(result);
    expect(await run.workflowName).toBe(workflow);
    const asked = (await world.journal(run)).flatMap((event) => (event.kind === "step_scheduled" ? [event.name] : []));
    expect(asked).toEqual(steps);
  });
});
