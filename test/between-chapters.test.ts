// What comes between the last turn of one chapter and the first of the next: it is kept, and the next chapter's (CH1, CH2, P11, W3).

import { describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import type { Payload } from "../src/core/event.ts";
import { continueAsNew, createHook, createWebhook, type RequestWithResponse, sleep, step, workflow } from "../src/index.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import type { Command, RunRow, Store } from "../src/store/port.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { settled as allSettled } from "../src/testing/settled.ts";
import { createWorld, epoch, testKeys } from "./harness.ts";

const say = step("say", async (text: string) => text);

test("a door beside the worker has a name's hook as the last chapter opened it", async () => {
  let url = "";
  const wf = workflow("asks for more", async (chapter: number): Promise<string> => {
    const hook = createWebhook({ name: "a", ...(chapter === 1 ? {} : { schema: z.object({ n: z.number() }), respondWith: "manual" }) });
    url = hook.url;
    const request = (await hook) as RequestWithResponse;
    if (chapter === 1) return continueAsNew([2]);
    await request.respondWith(new Response(null, { status: 201 }));
    return request.text();
  });
  const { path, clock, start, advance } = await createWorld([wf], { mode: "hot" });
  const store = sqliteStore({ path: path as string, clock });
  const door = createEngine({ store, role: "ingress", baseUrl: "https://app.example", keys: testKeys, clock, workflows: [wf] });
  onTestFinished(() => door.close());
  const send = (body: string): Promise<Response> => door.ingress(new Request(url, { method: "POST", body }));
  const run = await start(wf, 1);
  expect((await send("anything")).status).toBe(202);
  await advance(100); // the worker hears of it
  await advance(100); // and looks
  expect((await send("anything")).status).toBe(422);
  const answered = send('{"n":1}');
  for (let at = 0; (await run.state) !== "completed" && at < 100; at++) await advance(100);
  await advance(100);
  expect((await answered).status).toBe(201);
  expect(await run.returnValue).toBe('{"n":1}');
});

test("a worker that has lost the run, and still has it in memory, forgets the chapter that is over", async () => {
  const relay = workflow("relayed", async (chapter: number): Promise<string> => {
    const hook = createHook<string>({ token: "relayed" });
    const text = await hook;
    return chapter === 3 ? text : continueAsNew([chapter + 1], { carry: [hook] });
  });
  const world = await createWorld([relay], { mode: "two-workers" });
  const [first, second] = world.engines as [Engine, Engine];
  const run = await first.start(relay, [1]);
  await world.settled();
  const row = (await world.store.run({ id: run.runId })) as RunRow;
  await world.store.commit([
    { op: "beat", worker: first.core.id, leaseMs: 0 },
    { op: "claim", run: row.run, worker: second.core.id },
  ]);
  await second.signal("relayed", "a");
  await world.settled();
  expect(first.core.worker.hot(row.key)?.run.turn).toBe(1);
  first.core.worker.grown(row.run, row.seq + 2);
  await world.settled();
  expect(first.core.worker.hot(row.key)).toBe(null);
  await first.signal("relayed", "b");
  await second.signal("relayed", "c");
  await world.settled();
  expect(await first.getRun(run.runId).returnValue).toBe("c");
});

describe("between two chapters", () => {
  const continues = (kinds: readonly string[]): boolean => kinds.at(-1) === "run_continued";

  /** An engine on a store that does `before` right ahead of the first commit of such events: those that end a chapter, unless told. */
  async function openGated(hotRuns: number, before: (store: Store, run: number) => Promise<unknown>, isIt = continues) {
    const clock = createManualClock(epoch);
    const store = memoryStore({ clock });
    const commit = store.commit.bind(store);
    let isOver = false;
    store.commit = async (group: readonly Command[]) => {
      const ending = group.find((command) => command.op === "append" && isIt(command.events.map((event) => event.kind)));
      if (ending?.op === "append" && !isOver) {
        isOver = true;
        await before(store, ending.run);
      }
      return commit(group);
    };
    const lines: string[] = [];
    const logger = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
    const engine = createEngine({
      store,
      clock,
      keys: testKeys,
      baseUrl: "https://app.example",
      leaseMs: 1e12,
      hotRuns,
      logger,
      workflows: [collect, stubborn, reopen],
    });
    onTestFinished(() => engine.close({ graceMs: 0 }));
    const settled = (): Promise<void> => allSettled(engine);
    return { engine, clock, settled, lines };
  }
  const collect = workflow("collect", async (chapter: number, taken: readonly string[]): Promise<readonly string[]> => {
    const hook = createHook<string>({ token: "collect", timeout: "1h" });
    if (chapter === 1) {
      const first = await hook;
      return continueAsNew([2, [...taken, first]], { carry: [hook] });
    }
    const next = [...taken];
    try {
      for (;;) next.push(await hook);
    } catch (error) {
      return [...next, (error as Error).name];
    }
  });
  const stubborn = workflow("stubborn", async (chapter: number): Promise<void> => {
    const hook = createHook<string>({ token: "stubborn" });
    if (chapter === 1) {
      await hook;
      return continueAsNew([2], { carry: [hook] });
    }
    try {
      await hook;
    } catch {
      await say("cleaned up");
      await sleep("1d");
    }
  });
  const reopen = workflow("reopen", async (): Promise<string> => {
    const first = createHook({ name: "reply", timeout: "1d" });
    await sleep("10m");
    first.dispose();
    const second = createHook({ name: "reply", timeout: "1h" });
    return second.then(String, (error: unknown) => (error as Error).name);
  });
  const value = (text: string): Payload => ({ type: "value", value: JSON.stringify([text]) });

  describe.each([1_000, 0])("with %i hot runs", (hotRuns) => {
    test("a delivery that the old chapter has not seen is the new one's", async () => {
      const deliver = (key: string): Command => ({ op: "deliver", address: { token: "collect" }, key, digest: key, payload: value(key) });
      const { engine, clock, settled } = await openGated(hotRuns, (store) => store.commit([deliver("b"), deliver("c")]));
      const run = await engine.start(collect, [1, []]);
      await settled();
      await engine.signal("collect", "a");
      await settled();
      await engine.signal("collect", "d");
      await settled();
      clock.advance(3_600_000);
      await settled();
      expect(await run.returnValue).toEqual(["a", "b", "c", "d", "HookTimeoutError"]);
    });

    test("a deadline that was reached there closed the hook", async () => {
      const { engine, settled } = await openGated(hotRuns, (store, run) => store.commit([{ op: "fire", run, position: 1, early: true }]));
      const run = await engine.start(collect, [1, []]);
      await settled();
      await engine.signal("collect", "a");
      await settled();
      expect(await run.returnValue).toEqual(["a", "HookTimeoutError"]);
      expect(await engine.signal("collect", "b")).toMatchObject({ disposition: "closed" });
    });

    test("a deadline of a closed hook is not that of the one which opened under its name", async () => {
      const { engine, clock, settled } = await openGated(
        hotRuns,
        (store, run) => store.commit([{ op: "fire", run, position: 1, early: true }]),
        (kinds) => kinds.includes("hook_disposed") && kinds.includes("hook_created"),
      );
      const run = await engine.start(reopen, []);
      await settled();
      clock.advance(600_000);
      await settled();
      expect(await engine.listHooks({ runId: run.runId })).toMatchObject([{ name: "reply", state: "open" }]);
      expect((await run.timeline).map(({ event }) => event)).toEqual([
        "run_started",
        "hook_created",
        "timer_set",
        "timer_fired",
        "hook_failed",
        "hook_disposed",
        "hook_created",
      ]);
      expect(await run.state).toBe("waiting");
      clock.advance(3_600_000);
      await settled();
      expect(await run.returnValue).toBe("HookTimeoutError");
      expect((await run.completedAt)?.getTime()).toBe(epoch + 4_200_000);
    });

    test("a cancel is told to the new chapter, which cleans up; its grace goes on counting", async () => {
      const { engine, clock, settled } = await openGated(hotRuns, (store, run) => store.commit([{ op: "cancel", run, graceMs: 60_000 }]));
      const run = await engine.start(stubborn, [1]);
      await settled();
      await engine.signal("stubborn", "a");
      await settled();
      expect(await engine.signal("stubborn", "b")).toMatchObject({ disposition: "closed", by: "cancelled" });
      expect((await run.timeline).map(({ event }) => event)).toContain("step_completed");
      expect(await run.status).toBe("running");
      clock.advance(60_000);
      await settled();
      expect(await run.status).toBe("cancelled");
    });

    test("another worker that takes the run over there makes the end fail; the chapter ends once", async () => {
      let other = "";
      const { engine, clock, settled } = await openGated(hotRuns, async (store, run) => {
        const row = await store.run({ run });
        other = "w_other";
        await store.commit([
          { op: "release", worker: row?.worker ?? "", runs: [run] },
          { op: "beat", worker: other, leaseMs: 15_000 },
          { op: "claim", run, worker: other },
          { op: "release", worker: other, runs: [run] },
        ]);
      });
      const run = await engine.start(collect, [1, []]);
      await settled();
      await engine.signal("collect", "a");
      await settled();
      clock.advance(5_000);
      await settled();
      expect((await run.timeline).filter(({ event }) => event === "run_continued").length).toBe(1);
      await engine.signal("collect", "b");
      clock.advance(3_600_000);
      await settled();
      expect(await run.returnValue).toEqual(["a", "b", "HookTimeoutError"]);
    });
  });
});
