// A run whose process dies at every load is set aside, and holds up no other (G5).

import { expect, test } from "vitest";
import { createHook, sleep, step, workflow } from "../src/index.ts";
import { createWorld, modes } from "./harness.ts";

test.each(modes)("a run whose process died at every load is set aside; others go on; new code tries it again (%s)", async (mode) => {
  const code = (version: string) =>
    workflow(
      "looping",
      async () => {
        const hook = createHook<number>({ token: "loop" });
        return (await hook) + 1;
      },
      { version },
    );
  const other = workflow("fine", async () => {
    await sleep("1h");
    return step.run("ok", () => "fine");
  });
  const world = await createWorld([code("v1"), other], { mode });
  const run = await world.start(code("v1"));
  const good = await world.start(other);
  await world.restart({ role: "ingress" });
  const { store } = world;
  const row = await store.run({ id: run.runId });
  // Three processes take the run up and die before its code gets anywhere.
  for (const worker of ["dead-1", "dead-2", "dead-3"])
    await store.commit([
      { op: "beat", worker, leaseMs: 1 },
      { op: "claim", run: row?.run ?? 0, worker },
      { op: "release", worker },
    ]);
  await world.engine.signal("loop", 1);
  await world.restart();
  const held = world.engine.getRun<number>(run.runId);
  expect(await held.state).toBe("blocked");
  expect(await held.blocked).toMatchObject({ reason: "crash_loop" });
  await world.advance(3_600_000);
  expect(await world.engine.getRun(good.runId).returnValue).toBe("fine");
  await world.restart({ workflows: [code("v2"), other] });
  expect(await world.engine.getRun(run.runId).returnValue).toBe(2);
});

test.each(modes)("a run that parks after each load is not in a crash loop, however often it is loaded (%s)", async (mode) => {
  const wf = workflow("patient", async () => {
    const hook = createHook<number>({ token: "p" });
    let sum = 0;
    for (let i = 0; i < 6; i++) sum += await hook;
    return sum;
  });
  const world = await createWorld([wf], { mode });
  const run = await world.start(wf);
  for (let i = 0; i < 6; i++) {
    await world.restart();
    await world.engine.signal("p", i);
    await world.settled();
  }
  expect(await world.engine.getRun(run.runId).returnValue).toBe(15);
});

test("a run that many doors look into while it is taken up is not set aside for that", async () => {
  const wf = workflow("looked at", async () => createHook<string>({ token: "looked at" }));
  const world = await createWorld([wf], { mode: "evict" });
  const run = await world.start(wf);
  const { store } = world;
  const row = await store.run({ id: run.runId });
  const look = { op: "look", run: row?.run ?? 0, isOver: false } as const;
  const looks = await store.commit([look, look, look, look, look, look]);
  expect(looks.filter(({ type }) => type === "looked")).toHaveLength(2);
  await world.engine.signal("looked at", "taken");
  expect(await run.returnValue).toBe("taken");
});
