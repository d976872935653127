// What becomes of runs without fitting code: facts are taken meanwhile, others are left alone, and they go on when the code comes (G5, G7).

import { describe, expect, test } from "vitest";
import { createHook, createWebhook, sleep, step, workflow } from "../src/index.ts";
import type { Workflow } from "../src/engine/workflow.ts";
import { definitionOf } from "../src/engine/workflow.ts";
import type { Engine } from "../src/wiring.ts";
import { createWorld, modesOfLength } from "./harness.ts";

type Any = Workflow<any[], any>;
const calls: string[] = [];
const say = step("say", async (text: string) => void calls.push(text));

/** Another function under the name, in the same process. */
const replace = (engines: readonly Engine[], code: Any): void => {
  for (const { core } of engines) core.parts.registry.replaceWorkflow(definitionOf(code));
};

describe.each(modesOfLength)("runs without fitting code (%s)", (mode) => {
  const waits = (first: string, version: string): Any =>
    workflow(
      "waits",
      async (n: number) => {
        const [short, long] = [createHook<number>({ token: `short-${n}`, timeout: "1m" }), createHook<number>({ token: `long-${n}` })];
        const nap = sleep("2m");
        if (n === 1) await say(first);
        const told = await short.then(
          () => "in time",
          (error: unknown) => (error as Error).name,
        );
        await nap;
        return [told, await long, await long];
      },
      { version },
    );

  test("deliveries are kept, deadlines count, timers fire, and all of it is there when the code fits; other runs notice nothing", async () => {
    const world = await createWorld([waits("a", "v1")], { mode });
    const ids = [(await world.start(waits("a", "v1"), 1)).runId, (await world.start(waits("a", "v1"), 2)).runId] as const;
    await world.restart({ workflows: [waits("b", "v2")] });
    const states = () => Promise.all(ids.map((id) => world.engine.getRun(id).state));
    const send = async (n: number, value: number) => (await world.engine.signal(`long-${n}`, value, { key: `key-${value}` })).disposition;
    expect([await send(1, 1), await send(1, 1), await send(2, 1)]).toEqual(["accepted", "duplicate", "accepted"]);
    await world.settled();
    expect(await states()).toEqual(["blocked", "waiting"]);
    await world.advance(60_000);
    expect(await world.engine.signal("short-1", 1)).toMatchObject({ disposition: "closed", by: "timeout" });
    await world.advance(60_000);
    expect([await send(1, 2), await send(2, 2)]).toEqual(["accepted", "accepted"]);
    await world.settled();
    expect(await world.engine.getRun(ids[1]).returnValue).toEqual(["HookTimeoutError", 1, 2]);
    expect(await states()).toEqual(["blocked", "completed"]);
    await world.restart({ workflows: [waits("a", "v1")] });
    expect(await world.engine.getRun(ids[0]).returnValue).toEqual(["HookTimeoutError", 1, 2]);
  });

  test("code that takes the other's place in the same process is tried; the runs in memory go on with it", async () => {
    const gate = (text: string, version: string): Any =>
      workflow(
        "gated",
        async (isMarked: boolean) => {
          const hook = createHook<string>({ token: `gate-${isMarked}` });
          if (isMarked) await say(text);
          return `${await hook} ${version}`;
        },
        { version },
      );
    const world = await createWorld([gate("a", "v1")], { mode });
    const [marked, plain] = [await world.start(gate("a", "v1"), true), await world.start(gate("a", "v1"), false)];
    replace(world.engines, gate("b", "v2"));
    await world.advance(5_000);
    await world.engine.signal("gate-true", "took it");
    await world.engine.signal("gate-false", "took it");
    await world.settled();
    expect(await plain.returnValue).toBe("took it v2");
    expect(await marked.state).toBe("blocked");
    replace(world.engines, gate("a", "v3"));
    await world.advance(5_000);
    expect(await marked.returnValue).toBe("took it v3");
  });

  test("a step that waits for its next attempt makes it with the code that is there then", async () => {
    const code = (version: string): Any =>
      workflow(
        "fragile",
        async () =>
          step.run(
            "fragile",
            async () => {
              if (version === "v1") throw new Error("not yet");
              return version;
            },
            { backoff: "1h" },
          ),
        { version },
      );
    const world = await createWorld([code("v1")], { mode });
    const run = await world.start(code("v1"));
    replace(world.engines, code("v2"));
    await world.advance(1_000);
    await world.advance(2 * 3_600_000);
    expect(await run.returnValue).toBe("v2");
  });

  test("each code is tried once, however often the process looks", async () => {
    const code = (text: string, version: string): Any =>
      workflow("tried", async () => [await say(text), await createHook({ token: "tried" })], { version });
    const world = await createWorld([code("a", "v1")], { mode });
    const run = await world.start(code("a", "v1"));
    const attempts = async () => (await world.journal(run)).filter((event) => event.kind === "run_blocked").length;
    await world.restart({ workflows: [code("b", "v2")] });
    expect(await attempts()).toBe(0); // nothing has come for it
    for (let look = 0; look < 5; look++) {
      await world.engine.signal("tried", look);
      await world.advance(60_000);
    }
    expect(await attempts()).toBe(1);
    replace(world.engines, code("c", "v3"));
    await world.advance(60_000);
    expect(await attempts()).toBe(2);
    replace(world.engines, code("a", "v4"));
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([undefined, 0]);
  });

  test("many blocked runs are tried a batch at a time, and all of them in the end", async () => {
    const code = (text: string, version: string): Any => workflow("many", async () => [await say(text), await sleep("1d")], { version });
    const world = await createWorld([code("a", "v1")], { mode });
    const count = 450;
    await Promise.all(Array.from({ length: count }, (_, n) => world.engine.start(code("a", "v1"), [], { id: `many-${n}` })));
    await world.settled();
    const blocked = async () => (await world.engine.listRuns({ state: "blocked", limit: 1_000 })).length;
    await world.restart({ workflows: [code("b", "v2")] });
    await world.advance(24 * 3_600_000);
    expect(await blocked()).toBe(count);
    await world.restart({ workflows: [code("a", "v1")] });
    const left = [await blocked()];
    while ((left.at(-1) as number) > 0) {
      await world.advance(5_000);
      left.push(await blocked());
    }
    for (const [look, now] of left.entries()) expect((left[look - 1] ?? count) - now).toBeLessThanOrEqual(200);
    expect((await world.engine.listRuns({ state: "completed", limit: 1_000 })).length).toBe(count);
  });

  test("a workflow that an engine is given later is run there, and so are runs that waited for it", async () => {
    const later = workflow("later", async () => `${await createHook<string>({ token: "later" })} taken`);
    const world = await createWorld([later], { mode });
    const run = await world.start(later);
    await world.restart({ workflows: [] });
    await world.engine.signal("later", "it is");
    await world.settled();
    for (const engine of world.engines)
      engine.register(
        later,
        workflow("beside", async () => "beside"),
      );
    await world.advance(100);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("it is taken");
    const other = workflow("later", async () => "other");
    expect(() => world.engine.register(other)).toThrow(/Two workflows with different code are called "later"/);
    expect(() => world.engine.register((async () => {}) as never)).toThrow(/engine\.register\(\) takes what workflow\(\) returned/);
  });

  test("a run whose workflow is registered nowhere keeps what comes, is cancelled if asked, and somebody is told, once", async () => {
    const lost = workflow("lost", async (n: number) => {
      const hook = createWebhook({ token: `lost-${n}`, respondWith: Response.json("kept") });
      return (await hook).text();
    });
    const world = await createWorld([lost], { mode });
    const [run, cancelled] = [await world.start(lost, 1), await world.start(lost, 2)];
    const another = workflow("another", async () => 1);
    await world.restart({ workflows: [another] });
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).state).toBe("waiting");
    expect(world.lines.join()).not.toContain("lost"); // nothing waits for them yet
    const request = () => new Request("https://app.example/", { method: "POST", body: "late", headers: { "webhook-id": "1" } });
    expect(await (await world.engine.resumeWebhook("lost-1", request())).json()).toBe("kept");
    for (let look = 0; look < 5; look++) await world.advance(5_000);
    const told = world.lines.filter((line) => line.includes('runs of workflow "lost" have something to do'));
    expect(told.length).toBe(world.engines.length);
    expect(await world.engine.listRuns({ workflow: "lost" })).toMatchObject([{ isRegistered: false }, { isRegistered: false }]);
    await world.engine.getRun(cancelled.runId).cancel();
    await world.advance(60_000);
    expect(await world.engine.getRun(cancelled.runId).status).toBe("cancelled");
    if (mode !== "two-workers") expect((await world.store.run({ id: run.runId }))?.loads).toBe(0);
    replace(world.engines, lost);
    await world.settled();
    await world.advance(5_000);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("late");
  });
});
