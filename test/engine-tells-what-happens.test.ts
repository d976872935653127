// engine.on(): what an engine did or saw, told once, after the commit; whoever listens harms nobody.

import { setImmediate } from "node:timers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { callingRun, callingStep } from "../src/engine/realm.ts";
import type { EngineEventName, EngineEvents } from "../src/engine/observer.ts";
import { RingbackError } from "../src/errors.ts";
import { start } from "../src/api.ts";
import { createHook, createWebhook, defineHook, FatalError, sleep, step, workflow } from "../src/index.ts";
import type { Engine } from "../src/wiring.ts";
import { createWorld, epoch, modes, type World } from "./harness.ts";

type Told = { [E in EngineEventName]: { readonly event: E } & EngineEvents[E] }[EngineEventName];

const all: readonly EngineEventName[] = [
  "run_started",
  "run_completed",
  "run_failed",
  "run_cancelled",
  "run_blocked",
  "run_unblocked",
  "run_warning",
  "hook_created",
  "delivery",
  "delivery_refused",
  "step_completed",
  "step_retrying",
  "step_failed",
  "store_failed",
  "store_recovered",
];

function listen(engines: readonly Engine[], names: readonly EngineEventName[] = all): Told[] {
  const told: Told[] = [];
  for (const engine of engines) for (const event of names) engine.on(event, (fact) => told.push({ event, ...fact } as unknown as Told));
  return told;
}

const named = (told: readonly Told[], ...names: readonly EngineEventName[]): Told[] => told.filter(({ event }) => names.includes(event));
const post = (engine: Engine, url: string, body = "{}"): Promise<Response> =>
  engine.ingress(new Request(url, { method: "POST", body, headers: { "Idempotency-Key": "k" } }));

describe.each(modes)("events (%s)", (mode) => {
  const create = (workflows: Parameters<typeof createWorld>[0]): Promise<World> => createWorld(workflows, { mode });

  test("a run's way is told once: start, hook, delivery, step, end", async () => {
    let url = "";
    const wf = workflow("checkout", async () => {
      const callback = createWebhook({ timeout: "1h" });
      url = callback.url;
      const request = await callback;
      return step.run("book", async () => request.text());
    });
    const world = await create([wf]);
    const told = listen(world.engines);
    const run = await world.start(wf);
    expect((await post(world.engine, url)).status).toBe(202);
    await world.settled();
    expect((await post(world.engine, url, "{ }")).status).toBe(422);
    await post(world.engine, url);
    expect(await run.returnValue).toBe("{}");
    await world.settled();
    const about = { runId: run.runId, workflow: "checkout", at: new Date(epoch) };
    const delivery = { ...about, event: "delivery", door: "ingress", hookId: `${run.runId}:1` };
    const receipt = { disposition: "accepted", keyed: true, id: expect.stringMatching(/^dlv_/) };
    expect(told.filter(({ event }) => event !== "delivery_refused")).toEqual(
      expect.arrayContaining([
        { ...about, event: "run_started" },
        { ...about, event: "hook_created", hookId: `${run.runId}:1`, name: null, isWebhook: true, expiresAt: new Date(epoch + 3_600_000) },
        { ...delivery, receipt },
        { ...about, event: "step_completed", position: 2, name: "book", attempt: 1, durationMs: 0 },
        { ...about, event: "run_completed", startedAt: new Date(epoch), unread: 0, abandoned: 0 },
        { ...delivery, receipt: { ...receipt, disposition: "duplicate" } },
        { ...delivery, receipt: { ...receipt, disposition: "duplicate" } },
      ]),
    );
    expect(told.length).toBe(8);
    expect(named(told, "delivery_refused")).toMatchObject([{ door: "ingress", code: "key_reused" }]);
    expect(JSON.stringify(told)).not.toContain(new URL(url).pathname.split(":").at(-1));
  });

  test("failures, retries, cancels, warnings and what was left behind", async () => {
    const fails = workflow("fails", async () => step.run("charge", () => Promise.reject(new FatalError("no card"))));
    let attempts = 0;
    const retries = workflow("retries", async () => {
      await step.run("flaky", async () => {
        if (++attempts < 2) throw new RangeError("busy");
      });
      void Promise.reject(new Error("stray"));
      const hook = createHook({ token: "left" });
      await sleep("1m");
      void step.run("never", () => {});
      return hook.handle.isClosed;
    });
    const world = await create([fails, retries]);
    const told = listen(world.engines);
    const failed = await world.start(fails);
    const retried = await world.start(retries);
    await world.advance(2_000);
    await world.engine.resumeHook("left", { secret: "payload" });
    await world.advance(60_000);
    const cancelled = await world.start(retries);
    await cancelled.cancel();
    await world.settled();
    const common = { workflow: "fails", runId: failed.runId };
    expect(told.filter(({ event }) => event === "step_failed" || event === "run_failed")).toMatchObject([
      { ...common, name: "charge", attempt: 1, error: "FatalError: no card" },
      { ...common, error: "FatalError: no card", unread: 0 },
    ]);
    expect(named(told, "step_retrying")).toMatchObject([{ name: "flaky", attempt: 1, error: "RangeError: busy", dueAt: expect.any(Date) }]);
    expect(named(told, "run_warning")).toMatchObject([
      { runId: retried.runId, message: expect.stringContaining("stray") },
      { runId: cancelled.runId },
    ]);
    expect(named(told, "run_completed")).toMatchObject([{ runId: retried.runId, unread: 1, abandoned: 1 }]);
    expect(named(told, "run_cancelled")).toMatchObject([{ runId: cancelled.runId, startedAt: new Date(epoch + 62_000) }]);
    expect(JSON.stringify(told)).not.toContain("secret");
  });

  test("a run that is ended from outside is cancelled once, whoever asked", async () => {
    const wf = workflow("stubborn", async () => {
      for (;;) await sleep("1y").catch(() => {});
    });
    const world = await create([wf]);
    const told = listen(world.engines, ["run_cancelled"]);
    const run = await world.start(wf);
    for (const engine of [world.engine, world.engine, world.engine]) await engine.getRun(run.runId).cancel();
    await world.advance(60_000);
    expect(told).toMatchObject([{ runId: run.runId, startedAt: new Date(epoch), at: new Date(epoch) }]);
  });

  test("a run that is set aside, and one that goes on; a hook that lost its token is none", async () => {
    const body = { fits: false };
    const waits = workflow(
      "waits",
      async () => (await createHook<string>({ token: "one" })) + (body.fits ? "" : await new Promise(() => {})),
    );
    const world = await create([waits]);
    const told = listen(world.engines);
    const run = await world.start(waits);
    const loser = await world.start(waits);
    await world.engine.resumeHook("one", "payload");
    await world.settled();
    expect(named(told, "run_blocked")).toMatchObject([
      { runId: run.runId, reason: "misuse", diff: null, message: expect.stringContaining("waits for nothing") },
    ]);
    body.fits = true;
    await world.advance(1_000);
    expect(await run.returnValue).toBe("payload");
    await world.settled();
    expect(named(told, "run_unblocked")).toMatchObject([{ runId: run.runId }]);
    expect(named(told, "hook_created").map(({ event, ...fact }) => [event, (fact as { runId: string }).runId])).toEqual([
      ["hook_created", run.runId],
    ]);
    expect(named(told, "run_failed")).toMatchObject([{ runId: loser.runId }]);
  });

  test("a child is a run that was started; one that was there before is not", async () => {
    const child = workflow("child", async () => 1);
    const both = workflow("both", async () => {
      const first = await start(child, [], { id: "only" });
      await sleep("1s");
      const again = await start(child, [], { id: "only" });
      return [await first.returnValue, await again.returnValue];
    });
    const world = await create([child, both]);
    const told = listen(world.engines, ["run_started", "run_completed"]);
    const run = await world.start(both);
    await world.advance(1_000);
    expect(await run.returnValue).toEqual([1, 1]);
    await world.settled();
    expect(told.map(({ event, ...fact }) => `${event} ${(fact as { runId: string }).runId}`).sort()).toEqual(
      ["run_started", "run_completed"].flatMap((event) => [`${event} ${run.runId}`, `${event} only`]).sort(),
    );
  });

  test("a listener that throws or rejects harms nobody, is told of once a minute, and may end itself", async () => {
    const wf = workflow("plain", async () => "done");
    const world = await create([wf]);
    const seen: string[] = [];
    for (const engine of world.engines) {
      engine.on("run_started", () => {
        throw new TypeError("my\nmistake");
      });
      engine.on("run_completed", () => Promise.reject(new Error("later")));
      const off = engine.on("run_completed", ({ runId }) => {
        seen.push(runId);
        off();
        off();
      });
    }
    const runs = [];
    for (let count = 0; count < 4; count++) runs.push(await world.start(wf));
    expect(await Promise.all(runs.map((run) => run.returnValue))).toEqual(["done", "done", "done", "done"]);
    await world.settled();
    expect(seen.length).toBe(world.engines.length);
    const lines = (event: string, error: string): string =>
      `ringback: a listener of "${event}" threw, and nothing else is affected: ${error}`;
    expect(new Set(world.lines)).toEqual(new Set([lines("run_started", "TypeError: my mistake"), lines("run_completed", "Error: later")]));
    expect(world.lines.length).toBe(2 * world.engines.length);
  });

  test("a listener runs in no run's, step's or turn's context, and may use the engine", async () => {
    const wf = workflow("plain", async () => step.run("work", () => createdIn.push("step")));
    const createdIn: unknown[] = [];
    const world = await create([wf]);
    for (const engine of world.engines)
      engine.on("step_completed", async ({ runId }) =>
        createdIn.push(callingRun(), callingStep(), await engine.getRun(runId).workflowName),
      );
    await world.start(wf);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(createdIn).toEqual(["step", null, null, "plain"]);
  });
});

test("every door is told by name: what nobody has, what a schema refuses, what a request is answered without a receipt", async () => {
  const approval = defineHook<{ ok: boolean }>({
    schema: {
      "~standard": { version: 1, vendor: "test", validate: (value) => ({ issues: [{ message: `not ${JSON.stringify(value)}` }] }) },
    },
  });
  const wf = workflow("doors", async () => {
    const webhook = createWebhook({ token: "w" });
    await Promise.all([approval.create({ token: "a" }), webhook]);
  });
  const world = await createWorld([wf], { mode: "hot" });
  const told = listen(world.engines);
  await world.start(wf);
  const { engine } = world;
  await engine.signal("a", { secret: 1 });
  await engine.resumeHook("nobody", 1).catch(() => {});
  await engine.ingress(new Request("https://app.example/.well-known/workflow/v1/webhook/wh:nonsense", { method: "POST" }));
  await engine.resumeWebhook("w", new Request("https://app.example/", { method: "DELETE" }));
  const unknown = { runId: null, hookId: null, workflow: null };
  expect(named(told, "delivery", "delivery_refused")).toMatchObject([
    { door: "signal", receipt: { disposition: "invalid", keyed: false } },
    { door: "resumeHook", ...unknown, receipt: { disposition: "unknown" } },
    { door: "ingress", ...unknown, receipt: { disposition: "unknown" } },
    { door: "resumeWebhook", code: "method_not_allowed" },
  ]);
  expect(JSON.stringify(told)).not.toContain("secret");
});

test("an outage of the store is told when it begins and when it is over", async () => {
  const world = await createWorld([], { mode: "hot" });
  const { engine, store, clock } = world;
  const told = listen([engine]);
  const away = new RingbackError("store_unavailable", "It is away.", { details: { store: "sqlite" } });
  const commit = vi.spyOn(store, "commit").mockRejectedValue(away);
  onTestFinished(() => commit.mockRestore());
  const beat = (): Promise<unknown> => engine.core.committer.commit({ op: "release", worker: "nobody" }).catch(() => {});
  await beat();
  clock.advance(1_000);
  await beat();
  expect(told).toEqual([
    { event: "store_failed", store: store.name, code: "store_unavailable", message: "RingbackError: It is away.", at: new Date(epoch) },
  ]);
  await world.advance(10_000); // reads still work: that does not end it
  expect(told.length).toBe(1);
  commit.mockRestore();
  await beat();
  await beat();
  expect(told.slice(1)).toEqual([{ event: "store_recovered", store: store.name, failedAt: new Date(epoch), at: new Date(epoch + 11_000) }]);
});

test("a mistyped event, and a listener that is none, are told at the call", async () => {
  const { engine } = await createWorld([], { mode: "hot" });
  expect(() => engine.on("run_ended" as never, () => {})).toThrow(/engine\.on\(\) takes one of run_started, run_completed/);
  expect(() => engine.on("run_failed", undefined as never)).toThrow('engine.on("run_failed", …) takes a function, got undefined');
});
