// What a run publishes is read from outside as it was last committed: by key, over chapters, after the end, until the run is removed.

import { describe, expect, test } from "vitest";
import { callPublish } from "../src/core/call.ts";
import { here } from "../src/engine/realm.ts";
import { continueAsNew, createHook, createWebhook, type RequestWithResponse, sleep, step, workflow } from "../src/index.ts";
import { ask, loadDriver } from "../src/store/sqlite/driver.ts";
import { createWorld, modes, type World } from "./harness.ts";

/** As a style would offer it. */
const publish = (key: string, value: unknown): void => callPublish(here("publish()"), key, value);
const day = 86_400_000;

async function valuesOf(world: World, runId: string, ...keys: readonly string[]): Promise<unknown[]> {
  return Promise.all(keys.map(async (key) => world.engine.getRun(runId).published(key)));
}

describe.each(modes)("%s", (mode) => {
  test("the last value under each key is read while the run waits, after a restart and after its end, and replays publish nothing", async () => {
    const work = step("work", async (n: number) => n * 2);
    const wf = workflow("tells", async () => {
      const hook = createHook<number>({ token: "t" });
      publish("status", "new");
      publish("status", { phase: "waiting", since: new Date(0) });
      publish("nothing", null);
      publish("gone", 1);
      publish("gone", undefined);
      const n = await work(await hook);
      publish("status", { phase: "half", n });
      await hook;
      publish("status", "done");
    });
    const world = await createWorld([wf], { mode });
    const { runId } = await world.start(wf);
    const keys = ["status", "nothing", "gone", "never"];
    const waiting = [{ phase: "waiting", since: new Date(0) }, null, undefined, undefined];
    expect(await valuesOf(world, runId, ...keys)).toEqual(waiting);
    await world.restart();
    expect(await valuesOf(world, runId, ...keys)).toEqual(waiting);
    await world.engine.resumeHook("t", 21);
    await world.settled();
    expect(await valuesOf(world, runId, "status")).toEqual([{ phase: "half", n: 42 }]);
    await world.engine.resumeHook("t", 0);
    await world.settled();
    await world.restart();
    expect(await valuesOf(world, runId, ...keys)).toEqual(["done", null, undefined, undefined]);
    const names = (await world.journal({ runId })).flatMap((event) => (event.kind === "value_published" ? [event.name] : []));
    expect(names).toEqual(["status", "status", "nothing", "gone", "gone", "status", "status"]);
    const shown = (await world.engine.getRun(runId).timeline).filter(({ event }) => event === "value_published");
    expect(shown.map(({ position, name, detail }) => [position, name, detail])[0]).toEqual([2, "status", undefined]);
    expect(JSON.stringify(shown)).not.toContain("waiting");
  });

  test("chapters go on with what earlier ones published, also in their last turn; a cancelled run publishes as it cleans up", async () => {
    const wf = workflow("chapters", async (chapter: number): Promise<void> => {
      publish(`c${chapter}`, chapter);
      publish("chapter", chapter);
      if (chapter < 3) return continueAsNew([chapter + 1]);
      await sleep("1d").catch(() => publish("chapter", "over"));
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, 1);
    expect(await valuesOf(world, run.runId, "c1", "c2", "c3", "chapter")).toEqual([1, 2, 3, 3]);
    await run.cancel();
    await world.settled();
    expect(await run.status).toBe("cancelled");
    expect(await valuesOf(world, run.runId, "c1", "chapter")).toEqual([1, "over"]);
  });

  test("a token in a value is sealed at rest and whole to who reads it; a request comes with its body", async () => {
    let token = "";
    const wf = workflow("hands out", async () => {
      const webhook = createWebhook();
      publish("link", { token: webhook.token, url: webhook.url });
      publish("request", await webhook);
      token = webhook.token;
      await createHook({ token: "end" });
    });
    const world = await createWorld([wf], { mode });
    const { runId } = await world.start(wf);
    const link = (await world.engine.getRun(runId).published<{ token: string; url: string }>("link"))!;
    expect(link.url).toBe(`https://app.example/.well-known/workflow/v1/webhook/${link.token}`);
    await world.engine.ingress(new Request(link.url, { method: "POST", body: "hello" }));
    await world.settled();
    expect(token).toBe(link.token);
    expect(JSON.stringify(await world.journal({ runId }))).not.toContain(token);
    await world.restart();
    const request = await world.engine.getRun(runId).published<RequestWithResponse>("request");
    expect([request?.method, await request?.text()]).toEqual(["POST", "hello"]);
  });

  test("what cannot be published is told at the call, and stops nothing that is caught", async () => {
    const told = (key: unknown, value: unknown = 1): unknown => {
      try {
        return publish(key as string, value) ?? "published";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const wf = workflow("slips", async () => {
      const { token } = createHook();
      const keys = ["", 7, null, "nul\0", "\ud800", token, "é".repeat(128), "é".repeat(127)].map((key) => told(key));
      const values = [() => 1, Symbol("s"), new Promise(() => {}), "x".repeat(70_000), Number.NaN].map((value) => told("value", value));
      await sleep(1);
      return [keys, values];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(1);
    const bad = "bad_argument";
    const no = "unserialisable";
    expect(await run.returnValue).toEqual([
      [bad, bad, bad, bad, bad, bad, "too_large", "published"],
      [no, no, no, "too_large", "published"],
    ]);
    expect(await valuesOf(world, run.runId, "é".repeat(127), "value", "nul\0", "")).toEqual([1, Number.NaN, undefined, undefined]);
    await expect(world.engine.getRun(run.runId).published(7 as never)).rejects.toMatchObject({ code: bad });
    await expect(world.engine.getRun("no such run").published("status")).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("published values go with their run", async () => {
    const wf = workflow("goes", async (n: number) => {
      for (let at = 0; at < 5; at++) publish(`k${at % 2}`, [n, at]);
    });
    const world = await createWorld([wf], { mode });
    const [a, b] = [await world.start(wf, 1), await world.start(wf, 2)];
    await a.delete();
    await expect(world.engine.getRun(a.runId).published("k0")).rejects.toMatchObject({ code: "run_not_found" });
    expect(await valuesOf(world, b.runId, "k0", "k1")).toEqual([
      [2, 4],
      [2, 3],
    ]);
    await world.advance(day);
    await world.engine.purge({ olderThan: "1d" });
    await expect(world.engine.getRun(b.runId).published("k0")).rejects.toMatchObject({ code: "run_not_found" });
    if (world.path === null) return;
    const database = new (await loadDriver())(world.path);
    expect([ask(database, "select count(*) from published"), ask(database, "select count(*) from journal")]).toEqual([[0], [0]]);
    database.close();
  });
});

describe("changed code", () => {
  let key = "status";
  let value: unknown = "one";
  const wf = workflow("changes", async () => {
    publish(key, value);
    return await createHook({ token: "t" });
  });

  test.each([
    ["another value", "status", "two", { expected: "value status", found: "value status with other input" }],
    ["another key", "state", "one", { expected: "value status", found: "value state" }],
  ])("%s sets the run aside, and what it published stays", async (_, newKey, newValue, difference) => {
    [key, value] = ["status", "one"];
    const world = await createWorld([wf], { mode: "evict" });
    const run = await world.start(wf);
    [key, value] = [newKey, newValue];
    await world.engine.resumeHook("t", 1);
    await world.settled();
    expect(await run.blocked).toMatchObject({ reason: "changed_code", difference: { position: 1, ...difference } });
    expect(await valuesOf(world, run.runId, "status", "state")).toEqual(["one", undefined]);
  });
});

test("what a run has published and not committed is not read", async () => {
  const wf = workflow("waits", async () => {
    publish("status", "before");
    await createHook({ token: "t" });
    publish("status", "after");
    await createHook({ token: "u" });
  });
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  const { store } = world;
  const commit = store.commit.bind(store);
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  let asked = (): void => {};
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  store.commit = async (group) => {
    const publishes = group.some((command) => command.op === "append" && command.events.some(({ kind }) => kind === "value_published"));
    if (publishes) asked();
    if (publishes) await gate;
    return commit(group);
  };
  await world.engine.resumeHook("t", 1);
  await isAsked;
  expect(await run.published("status")).toBe("before");
  open();
  await world.settled();
  expect(await run.published("status")).toBe("after");
});

test("a published value is encrypted at rest, and told to be unreadable where its key is not there", async () => {
  const wf = workflow("keeps", async () => {
    publish("status", { secret: "open sesame" });
    publish("other", "open sesame");
  });
  const world = await createWorld([wf], { mode: "hot", encryption: `k1=${"a1".repeat(32)}` });
  const run = await world.start(wf);
  expect(await valuesOf(world, run.runId, "status", "other", "none")).toEqual([{ secret: "open sesame" }, "open sesame", undefined]);
  expect(JSON.stringify(await world.journal(run))).not.toContain("sesame");
  await world.restart({ encryption: `k2=${"b2".repeat(32)},k1=${"a1".repeat(32)}` });
  expect(await valuesOf(world, run.runId, "status")).toEqual([{ secret: "open sesame" }]);
  await world.restart({ encryption: `k2=${"b2".repeat(32)}` });
  await expect(world.engine.getRun(run.runId).published("status")).rejects.toMatchObject({ code: "missing_key" });
});
