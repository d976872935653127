// Failures found by attack, each kept from coming back.

import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { getRun, start } from "../src/api.ts";
import { createEngine, createHook, createWebhook, defineHook, sleep, step, workflow } from "../src/index.ts";
import { serve } from "../src/node.ts";
import type { Command, Outcome, Store } from "../src/store/port.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { settled } from "../src/testing/settled.ts";
import { createWorld, epoch, modes, testKeys } from "./harness.ts";

test("a request with an oversized key at a token that is not ours is 404, and the server lives", async () => {
  const world = await createWorld([]);
  const served = await serve(world.engine, { port: 0, host: "127.0.0.1" });
  onTestFinished(() => served.close());
  const send = (path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { port: served.port, host: "127.0.0.1", path, method: "POST", headers: { "idempotency-key": "k".repeat(2_000) } },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on("error", reject).end();
    });
  expect(await send("/.well-known/workflow/v1/webhook/junk")).toBe(404);
  expect(await send(`/.well-known/workflow/v1/webhook/wh:t1:${"A".repeat(16)}:1.0:${"A".repeat(24)}`)).toBe(404);
});

test.each(modes)(
  "start() and getRun() of ringback/api, and defineHook().resume(), speak to the engine that runs the code (%s)",
  async (mode) => {
    const approval = defineHook<number>({});
    const child = workflow("api child", async (n: number) => {
      const hook = approval.create({ token: `child ${n}` });
      return (await hook) + n;
    });
    const parent = workflow("api parent", async () => {
      const run = await start(child, [1]);
      await sleep("1s");
      await step.run("approve", async () => void (await approval.resume("child 1", 41)));
      return [await run.returnValue, await getRun(run.runId).returnValue];
    });
    const world = await createWorld([parent, child], { mode });
    const run = await world.start(parent);
    await world.restart();
    await world.advance(1_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([42, 42]);
  },
);

test("an engine that could not open opens once what was in the way is gone, and takes nothing from the one that is open", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const clock = createManualClock(epoch);
  const wf = workflow("opens", async () => 1);
  const make = (store: Store) => createEngine({ store, clock, keys: testKeys, baseUrl: null, logger: false, workflows: [wf] });
  const path = join(folder, "a.db");
  const first = make(sqliteStore({ path, clock }));
  const second = make(sqliteStore({ path, clock }));
  await first.open();
  await expect(second.start(wf, [])).rejects.toMatchObject({ code: "store_in_use" });
  expect(await (await first.start(wf, [])).returnValue).toBe(1);
  await first.close();
  expect(await (await second.start(wf, [])).returnValue).toBe(1);
  await second.close();
});

test.each(modes)("a request that crosses runs survives a restart (%s)", async (mode) => {
  let url = "";
  const child = workflow("reads", async (request: Request) => {
    await sleep("1s");
    return [request, await request.clone().text()] as const;
  });
  const parent = workflow("hands over", async () => {
    const hook = createWebhook();
    await step.run("give", () => void (url = hook.url));
    const run = await start(child, [await hook]);
    const [request, text] = await run.returnValue;
    await sleep("1s");
    return [await request.text(), text];
  });
  const world = await createWorld([parent, child], { mode });
  const run = await world.start(parent);
  await world.engine.ingress(new Request(url, { method: "POST", body: "the body" }));
  await world.settled();
  await world.restart();
  await world.advance(1_000);
  await world.restart();
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual(["the body", "the body"]);
});

test.each(modes)("a changed helper is noticed, and a mended one is tried by the next process (%s)", async (mode) => {
  let helper = (): Promise<string> => step.run("a", () => "a");
  const wf = workflow("helped", async () => {
    const first = await helper();
    await sleep("1s");
    return first;
  });
  const world = await createWorld([wf], { mode });
  const run = await world.start(wf);
  helper = () => step.run("b", () => "b");
  await world.restart();
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).state).toBe("blocked");
  helper = () => step.run("a", () => "a");
  await world.restart();
  expect(await world.engine.getRun(run.runId).returnValue).toBe("a");
});

test.each(modes)("a caught base_url_required takes no position (%s)", async (mode) => {
  const wf = workflow("no url", async () => {
    try {
      createWebhook();
    } catch (error) {
      const hook = createHook<string>({ token: "instead" });
      return [(error as { code: string }).code, await hook];
    }
    return null;
  });
  const world = await createWorld([wf], { mode, baseUrl: null });
  const run = await world.start(wf);
  await world.restart();
  await world.engine.resumeHook("instead", "x");
  expect(await world.engine.getRun(run.runId).returnValue).toEqual(["base_url_required", "x"]);
});

test("a base URL with a path is where callbacks come in", async () => {
  let url = "";
  const wf = workflow("below", async () => {
    const hook = createWebhook();
    await step.run("give", () => void (url = hook.url));
    return (await hook).text();
  });
  const world = await createWorld([wf], { baseUrl: "https://app.example/api/hooks/" });
  const run = await world.start(wf);
  expect(url).toMatch(/^https:\/\/app\.example\/api\/hooks\/\.well-known\//);
  expect((await world.engine.ingress(new Request(url, { method: "POST", body: "in" }))).status).toBe(202);
  expect(await run.returnValue).toBe("in");
});

test("an engine with workflows of its own refuses to start another, and strange options are refused", async () => {
  const world = await createWorld([workflow("mine", async () => 1)]);
  await expect(
    world.engine.start(
      workflow("other", async () => 1),
      [],
    ),
  ).rejects.toMatchObject({ code: "workflow_not_registered" });
  for (const options of [
    { concurrency: 0 },
    { hotRuns: -1 },
    { leaseMs: "15s" as never },
    { baseUrl: "localhost:3000" },
    { store: "./x.db" },
  ])
    expect(() => createEngine({ store: "memory:", ...options })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/bad_argument|bad_store_url/) }),
    );
});

test("two calls of one step with bodies: one that is not in hand is an error, and the other does not hide it", async () => {
  const send = step("send", async (response: Response) => response.text());
  const wf = workflow("bodies", async () => {
    const slow = new ReadableStream({ start: (controller) => void setTimeout(() => controller.close(), 1) });
    return Promise.all([send(new Response("x")), send(new Response(slow))]);
  });
  const world = await createWorld([wf]);
  const run = await world.start(wf);
  expect(await run.blocked).toMatchObject({ reason: "misuse", message: expect.stringMatching(/body|hand/) });
});

test("crashes do not use up a step's retries; a step that ends its process every time is set aside", async () => {
  let outcome: "hang" | "throw" | "ok" = "hang";
  let bodies = 0;
  const body = step("body", async () => {
    bodies++;
    if (outcome === "hang") return new Promise<string>(() => {});
    if (outcome === "throw") throw new Error("network");
    return "done";
  });
  const wf = workflow("crashing", async () => body());
  const world = await createWorld([wf]);
  const until = async (count: number): Promise<void> => {
    while (bodies < count) await new Promise(setImmediate);
  };
  const run = await world.engine.start(wf, []);
  await until(1);
  for (let crash = 0; crash < 4; crash++) {
    await world.restart({}, false);
    await until(crash + 2);
  }
  outcome = "throw";
  await world.restart();
  outcome = "ok";
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).returnValue).toBe("done");

  outcome = "hang";
  bodies = 0;
  const poison = await world.engine.start(wf, []);
  await until(1);
  for (let crash = 0; crash < 10; crash++) {
    await world.restart({}, false);
    await until(crash + 2);
  }
  await world.restart();
  expect(await world.engine.getRun(poison.runId).blocked).toMatchObject({ reason: "crash_loop" });
  expect(bodies).toBe(11);
});

/** A store that fails as told: before its commit takes effect, or after it, with what was to be told lost. */
function faulty(store: Store): { store: Store; fault: { at: number; kind: "before" | "after"; commits: number } } {
  const fault = { at: -1, kind: "before" as "before" | "after", commits: 0 };
  const commit = store.commit.bind(store);
  store.commit = async (group: readonly Command[]): Promise<readonly Outcome[]> => {
    const isHit = fault.commits++ === fault.at;
    if (isHit && fault.kind === "before") throw new Error("the store is away");
    const outcomes = await commit(group);
    if (isHit) throw new Error("the connection was lost");
    return outcomes;
  };
  return { store, fault };
}

test.each(["before", "after"] as const)(
  "a store that fails once, %s the commit, at each commit of a run's life: the run completes, each step's outcome once",
  async (kind) => {
    const outcomes: number[] = [];
    const wf = workflow("faulted", async () => {
      const hook = createHook<string>({ token: "f", timeout: "30d" });
      const first = await step.run("one", () => "one");
      await sleep("1m");
      return [first, await step.run("two", () => "two"), await hook];
    });
    for (let at = 0; at < 25; at++) {
      const clock = createManualClock(epoch);
      const { store, fault } = faulty(memoryStore({ clock }));
      const engine = createEngine({ store, clock, keys: testKeys, baseUrl: null, logger: false, leaseMs: 1e12, workflows: [wf] });
      await engine.open();
      fault.commits = 0;
      Object.assign(fault, { at, kind });
      const again = async <T>(call: () => Promise<T>): Promise<T> => call().catch(() => call());
      const run = await again(() => engine.start(wf, [], { id: "r" }));
      await settled(engine);
      const delivered = again(() =>
        engine
          .resumeHook("f", "payload", { key: "k" })
          .catch(async (error) => (clock.advance(10_000), await settled(), Promise.reject(error))),
      );
      await delivered;
      for (let tick = 0; tick < 12; tick++) {
        await settled(engine);
        clock.advance(10_000);
      }
      await settled(engine);
      expect(await run.returnValue, `fault ${at}`).toEqual(["one", "two", "payload"]);
      const row = await store.run({ id: "r" });
      const journal = await store.journal(row?.run ?? 0, 0);
      outcomes.push(journal.filter((event) => event.kind === "step_completed").length);
      await engine.close();
    }
    expect(new Set(outcomes)).toEqual(new Set([2]));
  },
);

test("a timer whose alarm never rings, as after a machine has slept, fires all the same", async () => {
  const wf = workflow("sleeper", async () => sleep("2h"));
  const time = createManualClock(epoch);
  const store = memoryStore({ clock: time });
  const clock = { now: time.now, alarm: (at: number, wake: () => void) => (at > time.now() + 60_000 ? () => {} : time.alarm(at, wake)) };
  const engine = createEngine({ store, clock, keys: testKeys, baseUrl: null, logger: false, leaseMs: 60_000, workflows: [wf] });
  onTestFinished(() => engine.close());
  const run = await engine.start(wf, []);
  await settled(engine);
  time.advance(7_200_000);
  await settled(engine);
  time.advance(30_000);
  await settled(engine);
  expect(await run.state).toBe("completed");
});
